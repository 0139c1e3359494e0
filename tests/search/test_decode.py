"""What other programs encoded is decoded and searched; each thing once, whatever the cut; bombs are bounded and said."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import io
import lzma
import pickle
import quopri
import random
import shutil
import subprocess
import urllib.parse
import zipfile
import zlib
from itertools import pairwise

import lz4.frame
import pytest

from forensiclib import kernels
from forensiclib.catalog import load
from forensiclib.core.errors import UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.search.decode import keyed, packed, pdf, regions, streams, text, windows
from forensiclib.search.decode.regions import Decoding, chosen
from forensiclib.search.engine import BLOCK, CELL, search, settled
from forensiclib.search.histogram import searched
from forensiclib.search.query import Query

ROOMS = (keyed, packed, pdf, streams, text, windows)
TRANSFORMS = tuple(t for room in ROOMS for t in room.TRANSFORMS)
ALL = Decoding(chosen(load().transforms, ("all",)))
EVERY = Decoding(chosen(load().transforms, ("all", "xor", "rot13")))
WORD = Query(words=("secretword",), encodings=("utf-8",))
RNG = random.Random(11)
TEXT = ("the secretword stands here, Grüße. " * 9 + "".join(RNG.choice("abcdefgh .,\n") for _ in range(2000))).encode()
NOISE = RNG.randbytes(5000)


def hits(data: bytes, decoder=ALL, depth: int = 4, query=WORD, budget=None, **options):
    return list(search(MemorySource(data), query, decoder=decoder, depth=depth, budget=budget, **options))


def zipped(data: bytes) -> bytes:
    """A ZIP archive without its end."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", data)
    return out.getvalue()[:-73]


def zstandard(data: bytes) -> bytes:
    return pytest.importorskip("zstandard").compress(data)


def lznt1(data: bytes) -> bytes:
    """Chunks as [MS-XCA] 2.5 has them: bytes as they are, and copies from one byte back."""
    out = b""
    for start in range(0, len(data), 4096):
        piece, at, items = data[start : start + 4096], 0, []
        while at < len(piece):
            shift = 12
            while at and at - 1 >= 1 << (16 - shift):
                shift -= 1
            run = 0
            while at and at + run < len(piece) and run < (1 << shift) + 2 and piece[at + run] == piece[at - 1]:
                run += 1
            items.append((run - 3).to_bytes(2, "little") if run >= 3 else piece[at : at + 1])
            at += run if run >= 3 else 1
        groups = [items[i : i + 8] for i in range(0, len(items), 8)]
        body = b"".join(bytes((sum(1 << n for n, item in enumerate(g) if len(item) == 2),)) + b"".join(g) for g in groups)
        out += (0xB000 | len(body) - 1).to_bytes(2, "little") + body
    return out


def hiberfil(data: bytes) -> bytes:
    """One block of 16 pages, all literals ([MS-XCA] 2.3.4), in the header that Windows XP writes."""
    data = data.ljust(65536, b" ")
    body = b"".join(bytes(4) + data[i : i + 32] for i in range(0, len(data), 32))
    return b"\x81\x81xpress" + ((len(body) - 1) << 10 >> 8 << 8 | 15).to_bytes(4, "little") + bytes(20) + body


FORMS = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zip": zipped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstandard,
    "base64": base64.b64encode,
    "base64_url": lambda d: base64.urlsafe_b64encode(b"\xff\xfe\xfb" * 9 + d),
    "base64_wide": lambda d: base64.b64encode(d).decode().encode("utf-16-le"),
    "hex": lambda d: d.hex().encode(),
    "hiberfil": hiberfil,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("before", [0, 999, 5000])
def test_what_was_encoded_is_found(name, before):
    data = NOISE[:before] + FORMS[name](TEXT) + b" " + NOISE[:3000]
    found = [h for h in hits(data) if h.via]
    assert [h.via for h in found] == [(f"{name}@{before}",)] * 9
    shift = 27 if name == "base64_url" else 0
    assert [h.offset - shift for h in found] == [4 + 37 * i for i in range(9)]
    assert found[0].path == f"{before}-{name.upper()}-{4 + shift}"
    assert all(not s.exact and s.via == (name,) and s.start == before for h in found for s in h.spans) and found[0].detail == ""


@pytest.mark.parametrize(
    "lines", [base64.encodebytes, lambda d: base64.encodebytes(d).replace(b"\n", b"\r\n"), lambda d: d.hex(" ").encode()]
)
def test_wrapped_and_spaced(lines):
    assert len(hits(b"x: " + lines(TEXT) + b"--" + NOISE)) == 9


def test_escapes_and_literals():
    escaped = b"".join(b"\\x%02X" % c for c in b"the secretword")
    assert [h.via for h in hits(b"var a='" + escaped + b"';")] == [("hex@7",)]
    link = ("http://e.org/?q=" + urllib.parse.quote("sécret secretword") + "&x=secret%77ord").encode()
    assert [h.via for h in hits(link + b" ")] == [(), ("percent@16",)]  # the first stands there as it is: told once
    mail = b"the first secretword stands, then secr=\r\netword and =C3=A4\n"
    assert quopri.decodestring(mail).count(b"secretword") == 2
    assert [h.via for h in hits(b"\0\n" + mail)] == [(), ("quoted_printable@2",)]


def test_masked_bytes_only_when_asked():
    masked = bytes(c ^ 0x5A for c in b"see http://example.org and secretword")
    turned = codecs.encode("http://x.org secretword", "rot13").encode()
    assert hits(NOISE + masked + turned) == []
    assert [h.via[0].split("@")[0] for h in hits(NOISE + masked + bytes(8000) + turned, EVERY)] == ["xor", "rot13"]
    own = Decoding((keyed.xor((b"secretword",)),))
    assert len(hits(bytes(c ^ 200 for c in b"only the secretword"), own)) == 1
    with pytest.raises(UsageError):
        chosen(load().transforms, ("gunzip",))


def test_ntfs_compressed_clusters():
    unit = (b"the secretword in a compressed file" + b" " * 70000)[:65536]
    stored = lznt1(unit)
    assert kernels.lznt1(stored, 65536) == (unit, -1)
    raw = NOISE[:4096] + stored + bytes(-len(stored) % 4096) + NOISE[:2000]
    assert [h.via for h in hits(raw) if h.via] == [("lznt1@4096",)]


def test_nested_to_a_depth():
    data = NOISE + gzip.compress(base64.encodebytes(zlib.compress(TEXT)))
    assert {h.via for h in hits(data)} == {("gzip@5000", "base64@0", "zlib@0")} and hits(data, depth=2) == []
    assert hits(data)[0].path == "5000-GZIP-0-BASE64-0-ZLIB-4"


def test_what_is_inside_is_not_decoded_twice():
    inner = zlib.compress(TEXT)
    stored = gzip.compress(inner + NOISE, 0)  # the inner stream stands there as it is
    assert inner in stored
    assert [h.via for h in hits(stored)] == [("gzip@0", "zlib@0")] * 9
    assert [h.via for h in hits(zipped(TEXT * 3) + zlib.compress(TEXT))].count(("zlib@0",)) == 0


def test_damage_keeps_what_comes_before_and_says_so():
    data = gzip.compress(TEXT * 40)
    found = hits(data[: len(data) // 2] + NOISE)
    assert found and {h.detail.split(":")[0] for h in found} == {"gzip@0"}
    spoiled = bytearray(zlib.compress(TEXT))
    spoiled[-1] ^= 1
    assert [h.offset for h in hits(bytes(spoiled) + NOISE)][:2] == [4, 41]


def test_noise_gives_nothing():
    data = random.Random(2).randbytes(4 << 20)
    budget = Budget()
    assert [r.via for r in ALL(MemorySource(data), 0, len(data), budget) if not r.broken] == [] and budget.findings == []


def test_png_pixels_are_left_alone_and_its_texts_are_read():
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(TEXT)) + chunk(b"IDAT", zlib.compress(TEXT * 2))
    assert {h.via for h in hits(picture)} == {("zlib@25",)}


def test_parts_are_the_whole_and_a_region_belongs_to_where_it_starts(monkeypatch):
    """A region over the border of two cells, with a stream stored inside of it behind the border."""
    inner = zlib.compress(TEXT)
    body = random.Random(1).randbytes(3 << 20) + inner + NOISE
    region = gzip.compress(body, 0)
    data = bytes(CELL - (1 << 20)) + region + bytes(BLOCK) + zlib.compress(TEXT)
    whole = list(settled(hits(data)))
    assert [h.via[-1].split("@")[0] for h in whole] == ["zlib"] * 18 and whole[0].via[0] == f"gzip@{CELL - (1 << 20)}"
    cuts = (0, CELL, CELL + BLOCK, CELL + 3 * BLOCK, len(data))
    parts = [h for low, high in pairwise(cuts) for h in hits(data, start=low, stop=high)]
    assert [(h.via, h.offset) for h in settled(parts)] == [(h.via, h.offset) for h in whole]


def test_bombs_are_bounded_and_said(monkeypatch):
    monkeypatch.setattr(regions, "FREE", 8 << 20)
    monkeypatch.setattr(regions, "RATIO", 0)
    bomb = gzip.compress(gzip.compress(bytes(6 << 20)) + gzip.compress(bytes(6 << 20)), 0)
    budget = Budget()
    assert hits(bomb + b" " + gzip.compress(TEXT), budget=budget) == [] and {f.kind for f in budget.findings} == {"LimitExceeded"}
    monkeypatch.setattr(regions, "REGION", 1 << 20)
    budget = Budget()
    assert len(hits(gzip.compress(TEXT + bytes(3 << 20)), budget=budget)) == 9  # the first MiB is searched
    assert "only the first 1048576 bytes" in budget.findings[0].found


def test_long_regions_are_decoded_as_they_are_read(monkeypatch):
    monkeypatch.setattr(regions, "HELD", 1 << 20)
    body = TEXT + bytes(5 << 20) + b"secretword" + zlib.compress(TEXT) + bytes(9 << 20) + b"secretword"
    found = hits(NOISE + gzip.compress(body))
    assert len(found) == 9 + 2 + 9 and max(h.offset for h in found) == len(body) - 10
    assert {h.via for h in found if len(h.via) > 1} == {("gzip@5000", f"zlib@{len(TEXT) + (5 << 20) + 10}")}


def test_members_are_one_stream():
    assert [h.offset for h in hits(gzip.compress(b"the secret") + gzip.compress(b"word is one"))] == [4]


PAGE = rb"""BT /F1 12 Tf 72 720 Td (The secretword stands) Tj 0 -14 Td [(on a p) 20 (age) -400 (of paper)] TJ
0 -14 Td (brackets \(and\) octal \101\102) Tj 0 -14 Td <68656C6C6F> Tj ET"""


def document(filters: str, body: bytes) -> bytes:
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter %s >>\nstream\n%s\nendstream" % (len(body), filters.encode(), body),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]  # fmt: skip
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % p for p in places)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)


def run_length(data: bytes) -> bytes:
    return b"".join(bytes((len(data[i : i + 128]) - 1,)) + data[i : i + 128] for i in range(0, len(data), 128)) + b"\x80"


PDFS = {
    "flate": document("/FlateDecode", zlib.compress(PAGE)),
    "a85 flate": document("[/ASCII85Decode /FlateDecode]", base64.a85encode(zlib.compress(PAGE)) + b"~>"),
    "hex": document("/ASCIIHexDecode", PAGE.hex().encode() + b">"),
    "run": document("[ /RunLengthDecode ]", run_length(PAGE)),
}


@pytest.mark.parametrize("name", PDFS)
def test_words_of_pdf_pages_are_those_of_pdftotext(name, tmp_path):
    words = ("secretword", "on a page of paper", "brackets (and) octal AB", "hello")
    found = hits(PDFS[name], query=Query(words=words, encodings=("utf-8",)))
    found = [h for h in found if h.via]
    assert [h.value for h in found if h.name == "secretword"] == ["secretword"]  # in the content, and not again in its text
    assert {h.name for h in found} == set(words)
    assert all(h.via[0].startswith("pdf@") for h in found)
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext (poppler-utils) to compare with")
    path = tmp_path / "a.pdf"
    path.write_bytes(PDFS[name])
    told = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True, text=True).stdout
    assert all(word in told for word in words)


def test_lzw_of_the_specification():
    # ISO 32000-1 7.4.4.2: the codes 256 45 258 258 65 259 66 257
    packed_bits = "".join(f"{c:09b}" for c in (256, 45, 258, 258, 65, 259, 66, 257))
    data = int(packed_bits, 2).to_bytes(len(packed_bits) // 8, "big")
    assert data.hex() == "800b6050220c0c8501" and pdf.lzw(data, 100) == (bytes((45, 45, 45, 45, 45, 65, 45, 45, 45, 66)), True)


def test_searches_in_urls():
    assert searched("https://www.google.com/search?client=x&q=How+to%20hide") == "how to hide"
    assert searched("https://example.org/page?q=1") == "" and searched("https://search.yahoo.com/x?p=%C3%A9t%C3%A9") == "été"
    assert searched("http://[::1") == ""


def test_declared_transforms_are_these_and_travel():
    assert {t.name for t in load().transforms} == {t.name for t in TRANSFORMS}
    travelled = pickle.loads(pickle.dumps(EVERY))  # noqa: S301
    assert hits(gzip.compress(TEXT), travelled) == hits(gzip.compress(TEXT), EVERY)
