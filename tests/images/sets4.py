"""AFF4 volumes laid out by hand, by the standard and by what came before it."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

SCHEMA = "http://aff4.org/Schema#"
OLD = "http://afflib.org/2009/aff4#"
VOLUME, IMAGE, MAP, STREAM = (f"aff4://{n * 8}-0000-4000-8000-{n * 12}" for n in "1234")
METHODS = {
    "none": "", "zlib": "https://www.ietf.org/rfc/rfc1950.txt", "deflate": "https://tools.ietf.org/html/rfc1951",
    "lz4": "https://code.google.com/p/lz4/", "snappy": "http://code.google.com/p/snappy/",
}  # fmt: skip


def packed(method: str, data: bytes) -> bytes:
    if method == "zlib":
        return zlib.compress(data)
    if method == "deflate":
        engine = zlib.compressobj(6, zlib.DEFLATED, -15)
        return engine.compress(data) + engine.flush()
    if method == "lz4":
        import lz4.block

        return lz4.block.compress(data, store_size=False)
    return snapped(data) if method == "snappy" else data


def snapped(data: bytes) -> bytes:
    """Literals, and copies of what a four-byte key was last seen at."""
    out, seen, at, plain = bytes([len(data) & 127 | 128, len(data) >> 7 & 127 | 128, len(data) >> 14]), dict[bytes, int](), 0, b""

    def literals() -> bytes:
        return b"".join(bytes([(len(p) - 1) << 2]) + p for p in (plain[i : i + 60] for i in range(0, len(plain), 60)))

    while at < len(data):
        before, n = seen.get(data[at : at + 4], -1), 0
        seen[data[at : at + 4]] = at
        while before >= 0 and n < 64 and at + n < len(data) and data[before + n] == data[at + n]:
            n += 1
        if n < 4:
            plain, at = plain + data[at : at + 1], at + 1
            continue
        out += literals() + bytes([(n - 1) << 2 | 2]) + (at - before).to_bytes(2, "little")
        plain, at = b"", at + n
    return out + literals()


def escaped(urn: str) -> str:
    return urn.replace("://", "%3A%2F%2F", 1)


class Aff4:
    """One volume; the pieces are put in one by one."""

    def __init__(self, urn: str = VOLUME, space: str = SCHEMA) -> None:
        self.urn, self.space = urn, space
        self.members: dict[str, tuple[bytes, int]] = {"container.description": (urn.encode(), 0)}
        if space == SCHEMA:
            self.members["version.txt"] = (b"major=1\nminor=0\ntool=by hand\n", 0)
        self.said: list[str] = []

    def say(self, subject: str, **properties: object) -> None:
        """Values are Turtle; "a" a list of classes."""
        parts = []
        for name, value in properties.items():
            values = value if isinstance(value, list) else [value]
            shown = ", ".join(f"aff4:{v}" if name == "a" else str(v) for v in values)
            parts.append(f"    {'a' if name == 'a' else 'aff4:' + name} {shown}")
        self.said.append(f"<{subject}>\n" + " ;\n".join(parts) + " .\n")

    def bevies(self, data: bytes, method: str = "none", chunk: int = 4096, count: int = 3, urn: str = STREAM, hashes: tuple[str, ...] = (),
               old: str = "", **more: object) -> None:  # fmt: skip
        """``old``: "starts" or "ends", what an index of 32 bits holds."""
        stored = []
        for at in range(0, len(data), chunk):
            piece = data[at : at + chunk].ljust(chunk, b"\0")
            made = packed(method, piece)
            stored.append((piece, made if len(made) < chunk else piece))
        for number in range(-(-len(stored) // count)):
            mine = stored[number * count : (number + 1) * count]
            at, index, edges = 0, b"", []
            for _, made in mine:
                index += struct.pack("<QI", at, len(made))
                edges.append(at if old == "starts" else at + len(made))
                at += len(made)
            name = f"{escaped(urn)}/{number:08d}"
            self.members[name] = (b"".join(made for _, made in mine), 0)
            self.members[name + ("/index" if old else ".index")] = (struct.pack(f"<{len(edges)}I", *edges) if old else index, 0)
            for algorithm in hashes:
                body = b"".join(hashlib.new(algorithm, piece).digest() for piece, _ in mine)
                self.members[f"{name}{'/' if old else '.'}blockHash.{algorithm}"] = (body, 0)
        names = (
            ("chunk_size", "chunks_in_segment", "CompressionMethod")
            if self.space == OLD
            else ("chunkSize", "chunksInSegment", "compressionMethod")
        )
        said: dict[str, object] = {names[0]: chunk, names[1]: count, "size": len(data), **more}
        if METHODS[method]:
            said[names[2]] = f"<{METHODS[method]}>"
        self.say(urn, a=["stream" if self.space == OLD else "ImageStream"], **said)

    def map(self, entries: list[tuple[int, int, int, int]], targets: list[str], size: int, urn: str = MAP, **more: object) -> None:
        self.members[f"{escaped(urn)}/map"] = (b"".join(struct.pack("<QQQI", *e) for e in entries), 0)
        self.members[f"{escaped(urn)}/idx"] = ("".join(t + "\n" for t in targets).encode(), 0)
        self.say(urn, a=more.pop("a", ["Map"]), size=size, **more)

    def image(self, size: int, stream: str = MAP, urn: str = IMAGE, **more: object) -> None:
        self.say(urn, a=["DiskImage", "Image"], size=size, dataStream=f"<{stream}>", **more)

    def turtle(self) -> bytes:
        head = f"@prefix aff4: <{self.space}> .\n@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n\n"
        return (head + "\n".join(self.said)).encode()

    def bytes(self, comment: bytes | None = None) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for name, (data, method) in {**self.members, "information.turtle": (self.turtle(), 8)}.items():
                file.writestr(zipfile.ZipInfo(name), data, method)
            file.comment = self.urn.encode() if comment is None else comment
        return out.getvalue()

    def write(self, path: Path) -> Path:
        path.write_bytes(self.bytes())
        return path


def disk(data: bytes, method: str = "zlib", hashes: tuple[str, ...] = ("md5", "sha1"), **options: object) -> Aff4:
    """A disk over one stream: all of ``data``, 4 KiB of FF behind it, 4 KiB of a gap, 1,000 bytes that could not be read and 3,000
    that were not acquired."""
    made = Aff4()
    made.bevies(data, method, hashes=hashes, **options)  # type: ignore[arg-type]
    end = -(-len(data) // 512) * 512
    entries = [(0, len(data), 0, 0), (end, 4096, end, 1), (end + 8192, 1000, end + 8192, 2), (end + 9192, 3000, end + 9192, 3)]
    names = [STREAM, SCHEMA + "SymbolicStreamFF", SCHEMA + "UnreadableData", SCHEMA + "UnknownData"]
    size = end + 12_192
    made.map(entries, names, size, dependentStream=f"<{STREAM}>")
    made.image(size, hash=f'"{hashlib.md5(media(data)).hexdigest()}"^^aff4:MD5', diskModel='"WD"', blockSize=512)
    made.say("aff4://case", a=["CaseNotes"], caseNumber='"7 \\u03a9"', target=f"<{IMAGE}>")
    return made


def text(pattern: bytes, offset: int, n: int) -> bytes:
    """The repeated text of the standard: begun anew every MiB."""
    tile = (pattern * ((1 << 20) // len(pattern) + 1))[: 1 << 20]
    return b"".join(tile[(offset + i) % (1 << 20) : (offset + i) % (1 << 20) + 1] for i in range(n))


def media(data: bytes) -> bytes:
    """What ``disk`` reads as."""
    end = -(-len(data) // 512) * 512
    made = data.ljust(end, b"\0") + b"\xff" * 4096 + bytes(4096)
    return made + text(b"UNREADABLEDATA", end + 8192, 1000) + text(b"UNKNOWN", end + 9192, 3000)
