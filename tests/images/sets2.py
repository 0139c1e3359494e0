"""EWF2 and logical sets laid out by hand: no tool on Debian writes them. libewf is the second reader."""

from __future__ import annotations

import bz2
import hashlib
import struct
import uuid
import zlib
from pathlib import Path

from tests.images.sets import section, segment, summed, table, volume

SET_ID = uuid.UUID("11111111-2222-4333-8444-555555555555").bytes_le
COMPRESSED, SUMMED, PATTERN = 1, 2, 4


def text(value: str, method: int = 1) -> bytes:
    """Serialized object data, compressed."""
    raw = b"\xff\xfe" + value.encode("utf-16-le", "surrogatepass")
    return bz2.compress(raw) if method == 2 else zlib.compress(raw)


class Ex01:
    """One segment file: sections, each with its descriptor behind."""

    def __init__(self, number: int = 1, method: int = 1, logical: bool = False) -> None:
        magic = b"LEF2\r\n\x81\0" if logical else b"EVF2\r\n\x81\0"
        self.out, self.previous, self.method = magic + struct.pack("<BBHI", 2, 1, method, number) + SET_ID, 0, method

    def add(self, kind: int, body: bytes = b"", hashed: bool = True, flags: int = 0, pad: bool = True) -> int:
        padding = -len(body) % 16 if pad else 0
        body += bytes(padding)
        start = len(self.out)
        self.out += body
        at = len(self.out)
        md5 = hashlib.md5(body).digest() if hashed else bytes(16)
        head = struct.pack("<IIQQII16s12x", kind, int(hashed) | flags, self.previous, len(body), 64, padding, md5)
        self.out += summed(head)
        self.previous = at
        return start

    def information(self, sectors: int, chunks: int, *, kind: str = "f", sector: int = 512, per_chunk: int = 16) -> None:
        device = (
            f"1\nmain\nsn\tmd\tlb\tts\ths\tdc\tdt\tpid\trs\tls\tbp\tph\nS-1\tWD\tlabel\t{sectors or ''}\t\t\t{kind}\t\t\t\t{sector}\t1\n\n"
        )
        case = (
            "1\nmain\nnm\tcn\ten\tex\tnt\tav\tos\ttt\tat\ttb\tcp\tsb\tgr\twb\n"
            f"a disk Ω\tcase 7\tev\tJ. Doe\tn\t7.10\tWindows\t1331424000\t1331424001\t{chunks}\t{self.method or ''}\t{per_chunk}\t64\t\n\n"
        )
        parts = [(1, device), (2, case)] if kind != "l" else [(2, case), (1, device)]
        for number, value in parts:
            self.add(number, text(value, self.method))

    def media(self, data: bytes, first: int = 0, chunk: int = 8192, pattern: bool = False, strip: bool = True) -> None:
        """Sector data and its table. ``pattern``: chunks of eight repeated bytes are stored as such."""
        entries, body, start = b"", b"", len(self.out)
        for at in range(0, len(data), chunk):
            piece = data[at : at + chunk]
            if pattern and piece == piece[:8] * (len(piece) // 8):
                entries += piece[:8] + struct.pack("<II", 0, COMPRESSED | PATTERN)
                continue
            packed = zlib.compress(piece, 1)
            if self.method == 2:
                packed = bz2.compress(piece)[4:] if strip else bz2.compress(piece)
            flags = COMPRESSED if len(packed) < len(piece) and self.method else SUMMED
            stored = packed if flags == COMPRESSED else summed(piece)
            entries += struct.pack("<QII", start + len(body), len(stored), flags)
            body += stored + bytes(-len(stored) % 16)
        self.add(3, body, hashed=False)
        head = summed(struct.pack("<QI4x", first, len(entries) // 16)) + bytes(12)
        self.add(4, head + summed(entries) + bytes(12))

    def count_table(self, kind: int, entries: list[bytes]) -> None:
        self.add(kind, summed(struct.pack("<I12x", len(entries))) + bytes(12) + summed(b"".join(entries)) + bytes(12))

    def hashes(self, data: bytes) -> None:
        self.add(8, summed(hashlib.md5(data).digest()) + bytes(12))
        self.add(9, summed(hashlib.sha1(data).digest()) + bytes(8))


def ex01(data: bytes, **options) -> bytes:
    """A whole set of one segment."""
    made = Ex01(method=options.pop("method", 1))
    made.information(len(data) // 512, -(-len(data) // 8192))
    made.media(data, **options)
    made.hashes(data)
    made.add(15)
    return made.out


TAGS = "mid\tls\tbe\tid\tcr\tac\twr\tmo\tdl\tsig\tha\tsha\tent\tsnh\tp\tn\tdu\tlo\tpo\tpm\toes\topr\tsrc\tsub\tcid\tjq\talt\tep\taq\tcfi\tsg\tea\tlpt"


def item(name: str, children: int = 0, kids_of: int = 26, **values: object) -> str:
    """Two lines of the entry category, in the form of EnCase 7."""
    row = {"n": name, "lo": -1, "po": -1, "pm": -1, "src": 1, "p": "", **values}
    return f"{kids_of}\t{children}\n" + "\t".join(str(row.get(tag, "")) for tag in TAGS.split("\t")) + "\n"


def logical(files: dict[str, bytes]) -> tuple[str, bytes]:
    """(list of files, media) of a tree: LogicalEntries / C / docs / each file, and one deleted, one sparse, one empty."""
    media, lines = b"", ""
    for number, (name, data) in enumerate(files.items(), 10):
        lines += item(
            name, id=number, ls=len(data), be=f"1 {len(media):x} {max(1, len(data)):x}", cr=1331424000 + number, ac=1331424100, wr=1331424200,
            mo=1331424300, ha=hashlib.md5(data).hexdigest(), sha=hashlib.sha1(data).hexdigest(), opr=8, pm=0, snh="11 A123~1.TXT",
        )  # fmt: skip
        media += data or b"\0"
    lines += item("gone.txt", id=90, ls=3, be=f"1 {len(media):x} 3", dl=1331424400, opr=0x80)
    media += b"abc"
    lines += item("sparse.bin", id=91, ls=5000, be=f"1 {len(media):x} 1", opr=0x0400_0000)
    media += b"z"
    lines += item("copy of a.txt", id=92, ls=11, be=f"1 {len(media):x} 1", du=0, opr=0x0400_0000)
    media += b"h"
    tree = item("LogicalEntries", 1, p=1) + item("C", 1, p=1, id=2, opr=0x0200_0000)
    tree += item("docs", len(files) + 3, p=1, id=3, opr=0x0200_0000) + lines
    perm = "perm\n1\t1\np\tn\ts\tpr\tnta\tnti\n0\t1\n1\t\t\t10\t\t\n0\t2\n1\t\t\t10\t\t\n0\t0\n0\t\tS-1-5-32-544\t\t\t\n0\t0\n0\tUsers\tS-1-5-32-545\t2\t2032127\t16\n\n"
    srce = "srce\n1\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tsh\tgu\tpgu\taq\n0\t1\n1\t\t\t\t\t\t\t\t\t\t\t\n0\t0\n\tlaptop\t1\tev1\t\t-1\t-1\t\t\t0\t0\t\n\n"
    sub = "sub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n\t\t\t\t1\t\n\n"
    rec = f"rec\ntb\tcl\tn\tfp\tpg\tlg\tig\n{len(media)}\t\t\t\t\t\t\n\n"
    return f"5\n{rec}{perm}{srce}{sub}entry\n1\t1\n{TAGS}\n{tree}\n", media


def lx01(files: dict[str, bytes], chunk: int = 8192, mark: bool = True) -> bytes:
    """A logical set of version 2."""
    listing, media = logical(files)
    made = Ex01(logical=True)
    made.information(0, -(-len(media) // chunk), kind="l")
    made.media(media)
    made.add(0x20, b"\xff\xfe" * mark + listing.encode("utf-16-le", "surrogatepass"))
    made.add(15)
    return made.out


def l01(files: dict[str, bytes], chunk: int = 8192) -> bytes:
    """A logical set of version 1."""
    listing, media = logical(files)
    raw = listing.encode("utf-16-le", "surrogatepass")
    head = hashlib.md5(raw).digest() + struct.pack("<QI20x", len(raw), 0)
    head = head[:24] + zlib.adler32(head).to_bytes(4, "little") + head[28:]
    size = -(-len(media) // chunk) * chunk
    shape = bytearray(volume(size, chunk)[:-4])
    shape[0] = 0x0E
    out = bytearray(b"LVF\x09\x0d\x0a\xff\x00\x01" + struct.pack("<HH", 1, 0))
    header = "3\nmain\na\tc\tn\te\tt\tav\tov\tm\tu\tp\tdc\nfiles\tcase\tev1\tJ. Doe\tn\t7.10\tWindows\t1331424000\t1331424000\t0\t\n\n"
    packed = zlib.compress(b"\xff\xfe" + header.encode("utf-16-le"))
    for kind, body in (("header2", packed), ("header2", packed), ("volume", summed(bytes(shape)))):
        out += section(kind, len(out), body)
    base, at, entries, stored = len(out), 76, [], b""
    for start in range(0, len(media), chunk):
        piece = zlib.compress(media[start : start + chunk], 1)
        entries.append(at | 0x80000000)
        stored += piece
        at += len(piece)
    out += section("sectors", len(out), stored)
    for kind, body in (
        ("table", table(entries, base)), ("table2", table(entries, base)), ("ltypes", bytes(6)), ("ltree", head + raw),
        ("data", summed(bytes(shape))), ("done", b""),
    ):  # fmt: skip
        out += section(kind, len(out), body)
    return bytes(out)


__all__ = ["Ex01", "Path", "ex01", "item", "l01", "logical", "lx01", "segment", "text"]
