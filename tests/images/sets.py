"""Media with known content, and EWF sets laid out by hand for what ewfacquire cannot make."""

from __future__ import annotations

import hashlib
import struct
import uuid
import zlib
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "images"
SET_ID = uuid.UUID("6f1c2a50-3d7e-4b8a-9c10-000000000001").bytes_le


def noise(n: int, seed: int = 0) -> bytes:
    """Incompressible bytes, the same everywhere: SHA-256 in counter mode."""
    blocks = (hashlib.sha256(b"%d:%d" % (seed, i)).digest() for i in range(-(-n // 32)))
    return b"".join(blocks)[:n]


def make_media() -> bytes:
    """121 sectors: text, zeros, noise, text with noise, a last chunk of one sector at 8 KiB a chunk."""
    text = b"".join(b"line %06d of the evidence\n" % i for i in range(1000))
    return (text[:8192] + bytes(8192) + noise(16384, 1) + text[:12000] + noise(4384, 2) + bytes(8192) + noise(4608, 3))[:61952]


def section(kind: str, at: int, body: bytes, *, follows: int | None = None, size: int | None = None) -> bytes:
    """A section with its descriptor; next and done point to themselves."""
    total = 76 + len(body)
    last = kind in ("next", "done")
    head = struct.pack(
        "<16sQQ40x",
        kind.encode(),
        at if last else (at + total if follows is None else follows),
        0 if last else (total if size is None else size),
    )
    return head + zlib.adler32(head).to_bytes(4, "little") + body


def summed(raw: bytes) -> bytes:
    """The bytes with their Adler-32 behind."""
    return raw + zlib.adler32(raw).to_bytes(4, "little")


def volume(size: int, chunk: int, set_id: bytes = SET_ID) -> bytes:
    """The 1052 bytes of a volume, disk or data section; 512-byte sectors."""
    raw = struct.pack("<B3xIIIQ12xB3x12xB3xI4x16s", 1, -(-size // chunk), chunk // 512, 512, size // 512, 3, 1, chunk // 512, set_id)
    return summed(raw.ljust(1048, b"\0"))


def table(entries: list[int], base: int = 0) -> bytes:
    """Table header, entries, footer."""
    return summed(struct.pack("<I4xQ4x", len(entries), base)) + summed(struct.pack(f"<{len(entries)}I", *entries))


def segment(
    number: int,
    chunks: list[bytes],
    *,
    size: int,
    chunk: int,
    last: bool,
    set_id: bytes = SET_ID,
    tail: list[tuple[str, bytes]] | None = None,
) -> bytes:
    """One segment file in the manner of EnCase 6: volume or data, sectors, table, table2, and the end."""
    out = b"EVF\x09\x0d\x0a\xff\x00\x01" + struct.pack("<HH", number, 0)
    out += section("volume" if number == 1 else "data", len(out), volume(size, chunk, set_id))
    base, at, entries, body = len(out), 76, [], b""
    for piece in chunks:
        packed = zlib.compress(piece, 1)
        stored = packed if len(packed) < len(piece) else summed(piece)
        entries.append(at | (0x80000000 if stored is packed else 0))
        body += stored
        at += len(stored)
    out += section("sectors", len(out), body)
    for kind in ("table", "table2"):
        out += section(kind, len(out), table(entries, base))
    for kind, extra in tail or []:
        out += section(kind, len(out), extra)
    return out + section("done" if last else "next", len(out), b"")


def build_set(
    folder: Path,
    content: bytes,
    extensions: list[str],
    *,
    chunk: int = 4096,
    set_id: bytes = SET_ID,
    tail: list[tuple[str, bytes]] | None = None,
) -> list[Path]:
    """A set of len(extensions) segments with the chunks spread evenly over them."""
    pieces = [content[i : i + chunk] for i in range(0, len(content), chunk)]
    share = -(-len(pieces) // len(extensions))
    out = []
    for i, extension in enumerate(extensions):
        last = i == len(extensions) - 1
        path = folder / f"set{extension}"
        mine = pieces[i * share : (i + 1) * share]
        path.write_bytes(segment(i + 1, mine, size=len(content), chunk=chunk, last=last, set_id=set_id, tail=tail if last else None))
        out.append(path)
    return out
