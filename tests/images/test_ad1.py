"""AD1 by its published descriptions: sets laid out by hand, since nothing but FTK Imager writes them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.images.ad1 import FORMAT
from tests.images.sets import noise

CHUNK = 65_536
FILES = {"a.txt": b"hello world", "big.bin": noise(150_000), "empty": b"", "Ωmega.txt": b"x" * 70_000}


def body(files: dict[str, bytes], version: int = 4) -> bytes:
    """The logical stream: header, then a folder "[root]" with the files, each with two attributes."""
    out = bytearray(b"ADLOGICALIMAGE\0\0" + struct.pack("<IIIQQ", version, 1, CHUNK, 0, 0)).ljust(512, b"\0")

    def attributes(pairs: list[tuple[int, int, str]]) -> int:
        first = 0
        for category, key, value in reversed(pairs):
            at, raw = len(out), value.encode()
            out.extend(struct.pack("<QIII", first, category, key, len(raw)) + raw)
            first = at
        return first

    def item(name: str, follows: int, child: int, meta: int, chunks: int, size: int, kind: int) -> int:
        at, raw = len(out), name.encode()
        out.extend(struct.pack("<QQQQQII", follows, child, meta, chunks, size, kind, len(raw)) + raw + bytes(8))
        return at

    follows = 0
    for name, data in reversed(files.items()):
        pieces = [zlib.compress(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK)]
        places = [len(out)]
        for piece in pieces:
            out.extend(piece)
            places.append(len(out))
        chunks = len(out)
        out.extend(struct.pack(f"<Q{len(places)}Q", len(pieces), *places))
        meta = attributes(
            [(1, 0x5001, hashlib.md5(data).hexdigest()), (1, 0x5002, hashlib.sha1(data).hexdigest().upper()), (5, 7, "20190314T031653"),
             (5, 8, "20190101T000000"), (4, 0x1E, "true")]
        )  # fmt: skip
        follows = item(name, follows, 0, meta, chunks if data else 0, len(data), 0)
    root = item("[root]", 0, follows, 0, 0, 0, 5)
    out[36:44] = struct.pack("<Q", root)
    return bytes(out)


def ad1(whole: bytes, parts: int = 1) -> list[bytes]:
    """The segments."""
    step = -(-len(whole) // parts)
    heads = (b"ADSEGMENTEDFILE\0" + struct.pack("<8xIIII", n + 1, parts, 0, 0) + struct.pack("<I", 512) for n in range(parts))
    return [head.ljust(512, b"\0") + whole[n * step : (n + 1) * step] for n, head in enumerate(heads)]


def opened(path: Path) -> tuple[Image, Budget]:
    budget = Budget()
    return FORMAT.open([str(path)], budget), budget


@pytest.mark.parametrize("parts", [1, 3, 12])
def test_the_files_of_a_set(parts: int, tmp_path: Path) -> None:
    for number, raw in enumerate(ad1(body(FILES), parts), 1):
        (tmp_path / f"set.ad{number}").write_bytes(raw)
    with fl.open_image(str(tmp_path / "set.ad1")) as image:
        (volume,) = image.volumes()
        found = {entry.path: entry for entry in volume.filesystem().walk()}
        assert (image.format, volume.scheme, len(image.parts), image.run.findings) == ("ad1", "logical", parts, [])
        assert list(found) == ["[root]", *(f"[root]/{name}" for name in FILES)] and found["[root]"].kind == "directory"
        for name, data in FILES.items():
            entry = image.find(f"0:/[root]/{name}")
            assert entry.open().read_at(0, len(data) + 1) == data and entry.size == len(data)
            assert entry.attributes["md5"] == hashlib.md5(data).hexdigest() and entry.attributes["sha1"] == hashlib.sha1(data).hexdigest()
            assert {n: t.iso() for n, t in entry.times.items()} == {"accessed": "2019-03-14T03:16:53Z", "time_8": "2019-01-01T00:00:00Z"}
            assert entry.attributes["attribute_4_1e"] == "true" and entry.parent == found["[root]"].id


def test_what_is_not_whole_or_not_known_is_said(tmp_path: Path) -> None:
    path, segments = tmp_path / "set.ad1", ad1(body(FILES), 3)
    path.write_bytes(segments[0])
    (tmp_path / "set.ad3").write_bytes(segments[2])
    with pytest.raises(Truncated, match="segment 2 of 3 is missing"):
        opened(path)
    for raw, kind in ((b"", NotThisFormat), (b"ADSEGMENTEDFILE\0" + bytes(10), Truncated), (ad1(body(FILES, 9))[0], Unsupported)):
        path.write_bytes(raw)
        with pytest.raises(kind):
            opened(path)
    path.write_bytes(b"ADCRYPT\0" + bytes(600))
    with pytest.raises(Unsupported, match="AD encryption"):
        fl.open_image(str(path))


def test_damage_costs_what_it_hits(tmp_path: Path) -> None:
    whole, path = bytearray(body(FILES)), tmp_path / "set.ad1"
    path.write_bytes(ad1(bytes(whole))[0])
    image, _ = opened(path)
    big = image.tree.get("[root]/big.bin").open()
    place = big.trace(CHUNK, 1)[0]
    whole[place.start + 1000] ^= 1
    path.write_bytes(ad1(bytes(whole))[0])
    image, _ = opened(path)
    big = image.tree.get("[root]/big.bin").open()
    assert big.read_at(0, CHUNK) == FILES["big.bin"][:CHUNK]
    with pytest.raises(Corrupt, match="chunk 1"):
        big.read_at(CHUNK, 1)
    root = struct.unpack_from("<Q", whole, 36)[0]
    whole[root : root + 8] = struct.pack("<Q", root)  # its own neighbour
    path.write_bytes(ad1(bytes(whole))[0])
    image, budget = opened(path)
    assert len(list(image.tree.walk())) == 5 and [f.what for f in budget.findings] == ["AD1 item"]
