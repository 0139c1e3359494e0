"""A second writer of Apple's disk images, from their descriptions: zlib, bz2, lzma, the lzfse wheel, Cryptodome and own ADC as encoders."""

from __future__ import annotations

import bz2
import hashlib
import hmac
import lzma
import plistlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.kernels.test_codecs import adc_packed

SECTOR = 512


def lzfse_packed(data: bytes) -> bytes:
    return pytest.importorskip("lzfse", reason="the lzfse wheel is not installed").compress(data)


PACK: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "raw": (1, bytes),
    "adc": (0x80000004, adc_packed),
    "zlib": (0x80000005, zlib.compress),
    "bzip2": (0x80000006, bz2.compress),
    "lzfse": (0x80000007, lzfse_packed),
    "lzma": (0x80000008, lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32)),
}
KINDS = tuple(PACK)


class Table:
    """A blkx resource: chunks of ``step`` bytes of a stretch of the disk. Stretches of zeros are of type zero, those in ``ignored`` of 2."""

    def __init__(self, name: str, ident: int, start: int, data: bytes, kind: str, step: int, at: int, ignored: Iterable[int] = ()) -> None:
        self.name, self.id, self.stored, entries, self.crc = name, ident, b"", [(0x7FFFFFFE, 0, 0, 0, 0, 0)], 0
        code, pack = PACK[kind]
        for offset in range(0, len(data), step):
            piece = data[offset : offset + step]
            where = offset // SECTOR, len(piece) // SECTOR
            if start + offset in ignored:
                entries.append((2, 0, *where, at + len(self.stored), 0))
                continue
            self.crc = zlib.crc32(piece, self.crc)
            if not any(piece):
                entries.append((0, 0, *where, at + len(self.stored), 0))
                continue
            packed = pack(piece)
            entries.append((code, 0, *where, at + len(self.stored), len(packed)))
            self.stored += packed
        entries.append((0xFFFFFFFF, 0, len(data) // SECTOR, 0, at + len(self.stored), 0))
        head = struct.pack(">4sIQQQII24x", b"mish", 1, start // SECTOR, len(data) // SECTOR, 0, 0x808, ident & 0xFFFFFFFF)
        self.raw = head + struct.pack(">III124xI", 2, 32, self.crc, len(entries)) + b"".join(struct.pack(">IIQQQQ", *e) for e in entries)


def plist(tables: list[Table]) -> bytes:
    blkx = [{"Attributes": "0x0050", "CFName": t.name, "Data": t.raw, "ID": str(t.id), "Name": t.name} for t in tables]
    return plistlib.dumps({"resource-fork": {"blkx": blkx, "plst": [{"Attributes": "0x0050", "Data": bytes(32), "ID": "0", "Name": ""}]}})


def fork(tables: list[Table]) -> bytes:
    """A resource fork as Inside Macintosh draws it: the blkx resources behind one of another type."""
    data, references, names = bytearray(), b"", bytearray()
    for t in tables:
        references += struct.pack(">hHB3sI", t.id, len(names), 0, len(data).to_bytes(3, "big"), 0)
        names += bytes([len(t.name)]) + t.name.encode("mac_roman")
        data += struct.pack(">I", len(t.raw)) + t.raw
    other = struct.pack(">hHB3sI", 0, 0xFFFF, 0, len(data).to_bytes(3, "big"), 0)
    data += struct.pack(">I", 4) + b"plst"
    types = struct.pack(">H4sHH4sHH", 1, b"plst", 0, 18, b"blkx", len(tables) - 1, 30)
    listed = types + other + references
    start = 256
    head = struct.pack(">IIII", start, start + len(data), len(data), 28 + len(listed) + len(names))
    shape = head + struct.pack(">IHHHH", 0, 0, 0, 28, 28 + len(listed))
    return head.ljust(start, b"\0") + bytes(data) + shape + listed + bytes(names)


def koly(**fields: int | bytes) -> bytes:
    f: dict[str, int | bytes] = {
        "flags": 1, "running": 0, "data": 0, "data_size": 0, "rsrc": 0, "rsrc_size": 0, "segment": 1, "segments": 1, "id": bytes(range(16)),
        "data_crc": 0, "xml": 0, "xml_size": 0, "master": 0, "variant": 1, "sectors": 0, "sum": 2,
    } | fields  # fmt: skip
    out = struct.pack(">4sIII", b"koly", 4, 512, f["flags"])
    out += struct.pack(">QQQQQ", f["running"], f["data"], f["data_size"], f["rsrc"], f["rsrc_size"])
    out += struct.pack(">II16sIII124x", f["segment"], f["segments"], f["id"], f["sum"], 32, f["data_crc"])
    out += struct.pack(">QQ120xIII124x", f["xml"], f["xml_size"], f["sum"], 32, f["master"])
    out += struct.pack(">IQ12x", f["variant"], f["sectors"])
    assert len(out) == 512
    return out


def tables_of(media: bytes, kind: str, step: int, ignored: Iterable[int] = ()) -> list[Table]:
    """Two partitions, at sector 0 and 64; the second one's chunks lie in front of the first one's."""
    second = Table("disk image (Apple_HFS : 2)", 1, 64 * SECTOR, media[64 * SECTOR :], kind, step, 0, ignored)
    first = Table("Driver Descriptor Map (DDM : 0)", -1, 0, media[: 64 * SECTOR], kind, step, len(second.stored), ignored)
    return [first, second]


def udif(
    path: Path,
    media: bytes,
    kind: str = "zlib",
    *,
    step: int = 65536,
    resources: str = "plist",
    ignored: Iterable[int] = (),
    first: bool = False,
) -> Path:
    """One file: data fork, tables, trailer; ``first`` puts the trailer in front."""
    tables = tables_of(media, kind, step, ignored)
    data = tables[1].stored + tables[0].stored
    if first:
        for t in tables:
            t.raw = b"".join((t.raw[:24], struct.pack(">Q", 0), t.raw[32:]))
    begin = 512 if first else 0
    listed = plist(tables) if resources == "plist" else fork(tables)
    place = (
        {"xml": begin + len(data), "xml_size": len(listed)}
        if resources == "plist"
        else {"rsrc": begin + len(data), "rsrc_size": len(listed)}
    )
    sums = zlib.crc32(b"".join(t.crc.to_bytes(4, "big") for t in tables))
    end = koly(data=begin, data_size=len(data), data_crc=zlib.crc32(data), master=sums, sectors=len(media) // SECTOR, **place)
    path.write_bytes(end + data + listed if first else data + listed + end)
    return path


def segmented(folder: Path, media: bytes, count: int, kind: str = "zlib") -> list[Path]:
    """The data fork cut into ``count`` files anywhere, each with a trailer; the tables in the first."""
    tables = tables_of(media, kind, 65536)
    data = tables[1].stored + tables[0].stored
    step, out = -(-len(data) // count), []
    sums = zlib.crc32(b"".join(t.crc.to_bytes(4, "big") for t in tables))
    for i in range(count):
        piece, listed = data[i * step : (i + 1) * step], plist(tables) if not i else b""
        path = folder / ("disk.dmg" if not i else f"disk.{i + 1:03}.dmgpart")
        end = koly(
            running=i * step, data_size=len(piece), segment=i + 1, segments=count, data_crc=zlib.crc32(piece), master=sums,
            xml=len(piece) if listed else 0, xml_size=len(listed), sectors=len(media) // SECTOR,
        )  # fmt: skip
        path.write_bytes(piece + listed + end)
        out.append(path)
    return out


def sparse_image(path: Path, media: bytes, band: int = 65536, order: int = 1) -> Path:
    """Bands that hold anything, written from the last to the first when ``order`` is -1. Nodes behind the header where there are many."""
    used = [i for i in range(-(-len(media) // band)) if any(media[i * band : (i + 1) * band])][::order]
    nodes = [used[:1008]] + [used[i : i + 1010] for i in range(1008, len(used), 1010)]
    out = b""
    for number, each in enumerate(nodes):
        after = len(out) + 4096 + len(each) * band if number + 1 < len(nodes) else 0
        if number:
            page = struct.pack(">4sIIQ36x", b"sprs", number - 1, 1, after)
        else:
            sectors = len(media) // SECTOR
            page = struct.pack(">4sIIIIQQ28x", b"sprs", 3, band // SECTOR, 1, sectors & 0xFFFFFFFF, after, sectors)
        out += (page + b"".join(struct.pack(">I", i + 1) for i in each)).ljust(4096, b"\0")
        out += b"".join(media[i * band : (i + 1) * band].ljust(band, b"\0") for i in each)
    path.write_bytes(out)
    return path


def info(size: int, band: int, **more: object) -> bytes:
    return plistlib.dumps(
        {"CFBundleInfoDictionaryVersion": "6.0", "band-size": band, "bundle-backingstore-version": 1,
         "diskimage-bundle-type": "com.apple.diskimage.sparsebundle", "size": size, **more}
    )  # fmt: skip


def sparse_bundle(
    folder: Path, media: bytes, band: int = 65536, token: bytes = b"", seal: Callable[[int, bytes], bytes] | None = None
) -> Path:
    """Bands of zeros have no file, and the zeros at the end of a band are not stored. ``seal`` encrypts what is (offset, blocks)."""
    (folder / "bands").mkdir(parents=True)
    (folder / "Info.plist").write_bytes(info(len(media), band))
    (folder / "Info.bckup").write_bytes(info(len(media), band))
    (folder / "token").write_bytes(token)
    for i in range(-(-len(media) // band)):
        piece = media[i * band : (i + 1) * band].rstrip(b"\0")
        if piece:
            piece = piece.ljust(-(-len(piece) // 512) * 512, b"\0")
            (folder / "bands" / f"{i:x}").write_bytes(seal(i * band, piece) if seal is not None else piece)
    return folder


class Seal:
    """Keys, and the header that a password opens. Ciphers are Cryptodome's."""

    def __init__(self, password: bytes, bits: int = 128, block: int = 512, rounds: int = 1000) -> None:
        from Cryptodome.Cipher import DES3

        self.bits, self.block, self.rounds = bits, block, rounds
        self.aes, self.hmac, self.salt, self.iv = bytes(range(1, 1 + bits // 8)), bytes(range(100, 120)), bytes(range(20)), b"initials"
        key = hashlib.pbkdf2_hmac("sha1", password, self.salt, rounds, 24)
        self._wrap = lambda data, iv: DES3.new(key, DES3.MODE_CBC, iv).encrypt(_padded(data))

    def encrypt(self, at: int, data: bytes) -> bytes:
        """Whole blocks, the first of which begins at ``at``; the last one is filled with zeros."""
        from Cryptodome.Cipher import AES

        out = b""
        for i in range(0, len(data), self.block):
            number = (at + i) // self.block
            iv = hmac.digest(self.hmac, struct.pack(">I", number), "sha1")[:16]
            out += AES.new(self.aes, AES.MODE_CBC, iv).encrypt(data[i : i + self.block].ljust(self.block, b"\0"))
        return out

    def header(self, size: int, offset: int = 4096, items: int = 1) -> bytes:
        """Version 2; a certificate's item, then that of the password."""
        blob = self._wrap(self.aes + self.hmac + b"CKIE\0", self.iv)
        head = struct.pack(
            ">8s7I16sIQQI", b"encrcdsa", 2, 16, 5, 0x80000001, self.bits, 0x5B, 160, bytes(range(16)), self.block, size, offset, items + 1
        )
        table = struct.pack(">IQQ", 2, 2048, 564) + struct.pack(">IQQ", 1, 1024, 616) * items
        own = struct.pack(">IQI32sI32s5I", 0x67, self.rounds, 20, self.salt, 8, self.iv, 192, 0x11, 7, 6, len(blob)) + blob
        return (head + table).ljust(1024, b"\0") + own.ljust(offset - 1024, b"\0")

    def version2(self, path: Path, plain: bytes, offset: int = 4096) -> Path:
        path.write_bytes(self.header(len(plain), offset) + self.encrypt(0, plain))
        return path

    def version1(self, path: Path, plain: bytes) -> Path:
        """The header at the end, each key wrapped as RFC 3217 says."""
        wrapped = []
        for key in (self.aes, self.hmac, bytes(20)):
            once = b"8 bytes!" + self._wrap(bytes(4) + key, b"8 bytes!")
            wrapped.append(self._wrap(once[::-1], bytes.fromhex("4adda22c79e82105")))
        body = self.encrypt(0, plain)
        head = struct.pack(">16s10I32s", bytes(16), self.block, 0x11, 7, 6, 192, 8, 0x67, 0, self.rounds, 20, self.salt)
        head += struct.pack(">4I", 16, 5, 0x80000001, self.bits) + bytes(32) + struct.pack(">I256s", len(wrapped[0]), wrapped[0])
        for blob in wrapped[1:]:
            head += struct.pack(">II32xI256s", 0x5B, 160, len(blob), blob)
        path.write_bytes(body + head.ljust(1256, b"\0") + struct.pack(">QI8s", len(body), 1, b"cdsaencr"))
        return path


def _padded(data: bytes) -> bytes:
    count = 8 - len(data) % 8
    return data + bytes([count]) * count


def chunk_starts(media: bytes, step: int = 65536) -> Iterator[int]:
    """Where the chunks begin that ``udif`` makes."""
    yield from range(0, 64 * SECTOR, step)
    yield from range(64 * SECTOR, len(media), step)
