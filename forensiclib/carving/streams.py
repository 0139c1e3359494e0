"""Compressed single streams with their own container: lzip, lzop, LZMA, compress, Snappy, SZDD, pbzx."""

from __future__ import annotations

import lzma
import zlib

from forensiclib.carving._read import STEP, Window, crc32
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_INPUT = 64 << 10
_WORTH = 64
_PBZX_MORE = 1 << 24
_CHUNK = 1 << 24


def _decode(data: ByteSource, at: int, engine: lzma.LZMADecompressor, budget: Budget) -> tuple[int, int, int]:
    """(offset behind the stream, bytes made, CRC-32 of them); the offset is -1 for a stream that breaks off."""
    made = crc = 0
    fed, step = b"", 4096
    while True:
        if engine.needs_input:
            fed = data.read_at(at, step)
            step = min(_INPUT, step * 2)
            if not fed:
                return -1, made, crc
            at += len(fed)
        budget.check()
        try:
            piece = engine.decompress(fed, STEP)
        except (lzma.LZMAError, EOFError):
            return -1, made, crc
        fed, made, crc = b"", made + len(piece), zlib.crc32(piece, crc)
        budget.produce("LZMA stream", len(piece), STEP)
        if engine.eof:
            return at - len(engine.unused_data), made, crc


def _measure_lzip(data: ByteSource, budget: Budget) -> Find | None:
    at, members = 0, 0
    while True:
        budget.item()
        head = data.read_at(at, 6)
        if len(head) < 6 or head[:5] != b"LZIP\x01" or not 12 <= head[5] & 31 <= 29:
            break
        size = (1 << (head[5] & 31)) * (16 - (head[5] >> 5)) // 16
        if size > budget.limits.allocation:
            break
        chain = [{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": 3, "lp": 0, "pb": 2}]
        end, made, crc = _decode(data, at + 6, lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain), budget)
        foot = data.read_at(end, 20) if end > 0 else b""
        good = len(foot) == 20 and int.from_bytes(foot[:4], "little") == crc and int.from_bytes(foot[4:12], "little") == made
        if not good or int.from_bytes(foot[12:], "little") != end + 20 - at:
            if members or made < _WORTH:
                break
            return Find(min(data.size, 6), 0.4, "header, the stream breaks off", complete=False)
        at, members = end + 20, members + 1
    return Find(at, 1.0, f"{members} member{'s' if members > 1 else ''}, checksum and sizes good") if members else None


def _measure_lzma(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 14)
    size, made = int.from_bytes(raw[1:5], "little"), int.from_bytes(raw[5:13], "little")
    step = size & -size if size else 0
    if len(raw) < 14 or size < 4096 or size // step not in (1, 3) or not made > 0 or raw[13] or size > budget.limits.allocation:
        return None
    unknown = made == 0xFFFFFFFFFFFFFFFF
    if not unknown and not _WORTH <= made < 1 << 40:
        return None
    end, got, _ = _decode(data, 0, lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=2 * budget.limits.allocation), budget)
    if end < 0 or got < _WORTH:
        return Find(13, 0.3, f"{got} bytes decode, then the stream breaks off", complete=False) if got > _INPUT else None
    if not unknown and got != made:
        return None
    if not unknown and end * 200 < got:
        return Find(end, 0.5, f"decodes to the {got} bytes stated, nearly all alike")
    return Find(end, 0.8, f"decodes to {'its end mark' if unknown else 'the size stated'}, {got} bytes; no checksum")


_LZOP = b"\x89LZO\0\r\n\x1a\n"


def _measure_lzop(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    version = window.number(9, 2, big=True)
    late = version >= 0x940
    at = 15 if late else 13
    method, flags = window.number(at, 1), window.number(at + 1 + late, 4, big=True)
    if not 0x900 <= version < 0x2000 or method not in (1, 2, 3, 128) or flags < 0:
        return None
    at += 1 + late + 4 + (4 if flags & 0x800 else 0) + 8 + 4 * late
    name = window.number(at, 1)
    at += 1 + max(0, name)
    value = zlib.crc32(window.at(9, at - 9)) if flags & 0x1000 else zlib.adler32(window.at(9, at - 9))
    if window.number(at, 4, big=True) != value:
        return None
    at += 4
    if flags & 0x40:
        at += 8 + max(0, window.number(at, 4, big=True))
    blocks, plain, packed = 0, 4 * (bool(flags & 1) + bool(flags & 0x100)), 4 * (bool(flags & 2) + bool(flags & 0x200))
    while True:
        budget.item()
        made, size = window.number(at, 4, big=True), window.number(at + 4, 4, big=True)
        if made == 0:
            return Find(at + 4, 0.95, f"header checksum good, {blocks} blocks to the end mark")
        if made < 0 or made > 64 << 20 or not 0 < size <= made or at + 8 + size > data.size:
            return Find(min(at, data.size), 0.6, f"header checksum good, {blocks} blocks, then none", complete=False)
        at, blocks = at + 8 + plain + (packed if size < made else 0) + size, blocks + 1


def _measure_compress(data: ByteSource, budget: Budget) -> Find | None:
    """LZW codes until one is impossible. Nothing marks the end: zeros behind it are not counted."""
    flags = data.read_at(2, 1)
    most = flags[0] & 31 if flags else 0
    if not 9 <= most <= 16 or not flags[0] & 0x80 or data.read_at(3, 64).count(0) > 32:
        return None
    raw, step, at, width, free, known, position = data.read_at(3, 32), 32, 3, 9, 257, 0, 0
    codes = 0
    budget.check()
    start_bits = 0
    while True:
        if position + width > 8 * len(raw):
            keep = position // 8 // 1
            at, raw, position = at + keep, raw[keep:], position - 8 * keep
            step = min(_INPUT, step * 4)
            more = data.read_at(at + len(raw), step)
            budget.check()
            if not more:
                break
            raw, start_bits = raw + more, start_bits - 8 * keep
            continue
        code = int.from_bytes(raw[position // 8 : position // 8 + 4], "little") >> (position % 8) & (1 << width) - 1
        if code > free or (code == 256 and codes < 2) or (not known and code > 255):
            break
        position, codes = position + width, codes + 1
        if code == 256:
            group = 8 * width
            position += -(position - start_bits) % group
            start_bits, width, free, known = position, 9, 257, 0
            continue
        if known and free < 1 << most:
            free += 1
        known = 1
        if free > (1 << width) - 1 and width < most:
            group = 8 * width
            position += -(position - start_bits) % group
            start_bits, width = position, width + 1
    if codes < _WORTH:
        return None
    end = min(data.size, at + -(-position // 8))
    tail = data.read_at(max(3, end - _INPUT), min(_INPUT, end - 3))
    whole = end >= data.size - 1 or len(tail.rstrip(b"\0")) < len(tail)
    end = end - (len(tail) - len(tail.rstrip(b"\0"))) if end < data.size - 1 else data.size
    return Find(end, 0.5 if whole else 0.4, f"{codes} codes; where they end is inferred", complete=whole)


def _measure_snappy(data: ByteSource, budget: Budget) -> Find | None:
    window, at, chunks = Window(data), 10, 0
    while True:
        budget.item()
        head = window.at(at, 4)
        if len(head) < 4:
            break
        kind, size = head[0], int.from_bytes(head[1:], "little")
        known = (kind in (0, 1) and 4 < size <= 65_536 + 16_384) or kind == 0xFE or (kind == 0xFF and size == 6)
        if not known or at + 4 + size > data.size:
            if known:
                return Find(at, 0.4, f"{chunks} chunks, the data ends inside the next", complete=False)
            break
        at, chunks = at + 4 + size, chunks + 1
    return Find(at, 0.8, f"{chunks} chunks, then none") if chunks else None


def _measure_szdd(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(8, 6)
    size = int.from_bytes(raw[2:6], "little")
    if len(raw) < 6 or raw[0] != 0x41 or not 0 < size <= 64 << 20:
        return None
    window, at, made = Window(data, 1 << 16), 14, 0
    while made < size:
        budget.item()
        flags = window.number(at, 1)
        at += 1
        for bit in range(8):
            if flags < 0 or at >= data.size:
                return Find(min(at, data.size), 0.4, f"{made} of {size} bytes decode, the data ends", complete=False)
            if flags >> bit & 1:
                at, made = at + 1, made + 1
            else:
                at, made = at + 2, made + (window.number(at + 1, 1) & 15) + 3
            if made >= size:
                break
    if made != size or at > data.size:
        return None
    return Find(at, 0.8, f"decodes to the {size} bytes stated")


def _measure_pbzx(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    size, at, chunks = window.number(4, 8, big=True), 12, 0
    if not 4096 <= size <= _CHUNK * 4:
        return None
    flags = _PBZX_MORE
    while flags & _PBZX_MORE:
        budget.item()
        flags, length = window.number(at, 8, big=True), window.number(at + 8, 8, big=True)
        if flags < 0 or flags >> 26 or not 0 < length <= size or at + 16 + length > data.size:
            return Find(min(at, data.size), 0.4, f"{chunks} chunks, then none", complete=False) if chunks else None
        if length < size and window.at(at + 16, 6) != b"\xfd7zXZ\0":
            return None
        at, chunks = at + 16 + length, chunks + 1
    return Find(at, 0.9, f"{chunks} chunks, the last one marked")


_XAR_SUMS = {0: 0, 1: 20, 2: 16, 3: 32, 4: 64}


def _measure_xar(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 28)
    header, version = int.from_bytes(raw[4:6], "big"), int.from_bytes(raw[6:8], "big")
    packed, size = int.from_bytes(raw[8:16], "big"), int.from_bytes(raw[16:24], "big")
    if len(raw) < 28 or not 28 <= header <= 512 or version != 1 or not 0 < packed <= size + 64 or size > budget.limits.allocation:
        return None
    budget.allocate("table of contents", size)
    engine = zlib.decompressobj()
    try:
        toc = engine.decompress(data.read_at(header, packed), size + 1)
    except zlib.error:
        return None
    if len(toc) != size or not engine.eof:
        return None
    heap, end = header + packed, 0
    for part in toc.split(b"<offset>")[1:]:
        budget.item()
        before = part.partition(b"</offset>")
        end = max(end, int(before[0]) if before[0].isdigit() and len(before[0]) < 19 else 0)
    for block in (b"data", b"ea", b"checksum", b"signature", b"x-signature"):
        for part in toc.split(b"<" + block)[1:]:
            inner = part.partition(b"</" + block + b">")[0]
            numbers = [inner.partition(b"<" + key + b">")[2].partition(b"<")[0] for key in (b"offset", b"length", b"size")]
            offset, length = numbers[0], numbers[1] if block in (b"data", b"ea") else numbers[2]
            if offset.isdigit() and length.isdigit() and len(offset) < 19 and len(length) < 19:
                end = max(end, int(offset) + int(length))
    kind = ("pkg", "macOS installer package (xar)") if b"PackageInfo" in toc or b"Distribution" in toc else ("", "")
    if heap + end > data.size:
        return Find(data.size, 0.6, "table of contents, the data ends inside the heap", *kind, complete=False)
    return Find(heap + end, 0.95, f"table of contents of {size} bytes; the heap ends with the last data it lists", *kind)


def whole_crc(data: ByteSource, length: int, at: int, budget: Budget) -> int:
    """CRC-32 of ``length`` bytes whose own four at ``at`` count as zero."""
    value = crc32(data, 0, at, budget)
    value = zlib.crc32(bytes(4), value)
    rest = at + 4
    while rest < length:
        budget.check()
        piece = data.read_at(rest, min(STEP, length - rest))
        if not piece:
            break
        value, rest = zlib.crc32(piece, value), rest + len(piece)
    return value


CARVERS = (
    Carver(
        name="lzip",
        title="lzip-compressed file",
        extension="lz",
        mime="application/lzip",
        signatures=(Signature(b"LZIP\x01"),),
        measure=_measure_lzip,
        maximum=64 << 30,
        refs=("draft-diaz-lzip-09",),
        gaps=("version 0 files are refused", "dictionaries above the allocation limit are refused"),
    ),
    Carver(
        name="lzma",
        title="LZMA-compressed file (lzma-alone)",
        extension="lzma",
        mime="application/x-lzma",
        signatures=(
            Signature(b"\x5d\0\0\0\0" + b"\xff" * 8 + b"\0", mask=b"\xff\xff\xff\0\0" + b"\xff" * 9),
            Signature(b"\x5d\0\0\0\0" + bytes(9), mask=b"\xff\xff\xff\0\0" + b"\0" * 5 + b"\xff" * 4),
        ),
        measure=_measure_lzma,
        maximum=64 << 30,
        refs=("LZMA SDK: lzma-specification.txt",),
        gaps=("only lc 3, lp 0, pb 2, as every common tool writes it", "the format has no checksum"),
    ),
    Carver(
        name="lzop",
        title="lzop-compressed file",
        extension="lzo",
        mime="application/x-lzop",
        signatures=(Signature(_LZOP),),
        measure=_measure_lzop,
        maximum=64 << 30,
        refs=("lzop 1.04: file header and block layout",),
        gaps=("block checksums are not verified", "several files in one stream are separate finds"),
    ),
    Carver(
        name="compress",
        title="compress'd file (.Z)",
        extension="z",
        mime="application/x-compress",
        signatures=tuple(Signature(b"\x1f\x9d" + bytes((0x80 | bits,)), align=512) for bits in range(9, 17)),
        measure=_measure_compress,
        refs=("POSIX.1-2024, compress", "ncompress: LZW with block mode"),
        gaps=("the format has no end: the find ends where codes become impossible or zeros begin", "only starts on a sector boundary"),
    ),
    Carver(
        name="snappy",
        title="Snappy framed stream",
        extension="sz",
        mime="application/x-snappy-framed",
        signatures=(Signature(b"\xff\x06\0\0sNaPpY"),),
        measure=_measure_snappy,
        refs=("Snappy framing format description",),
        gaps=("checksums of chunks are not verified", "the end is where no chunk follows"),
    ),
    Carver(
        name="szdd",
        title="Microsoft compress file (SZDD)",
        extension="dl_",
        mime="application/x-ms-compress-szdd",
        signatures=(Signature(b"SZDD\x88\xf0\x27\x33A"),),
        measure=_measure_szdd,
        maximum=128 << 20,
        refs=("libmspack: SZDD file format",),
        gaps=("KWAJ files and the QBasic variant are not recognised",),
    ),
    Carver(
        name="pbzx",
        title="Apple pbzx stream",
        extension="pbzx",
        mime="application/x-pbzx",
        signatures=(Signature(b"pbzx\0\0\0\0"),),
        measure=_measure_pbzx,
        maximum=64 << 30,
        refs=("J. Levin: pbzx, the payload of Apple packages",),
        gaps=("chunks are not decompressed",),
    ),
    Carver(
        name="xar",
        title="xar archive",
        extension="xar",
        mime="application/x-xar",
        signatures=(Signature(b"xar!\0"),),
        measure=_measure_xar,
        maximum=64 << 30,
        refs=("xar file format (header, table of contents, heap)",),
        gaps=("checksums of the members are not verified",),
    ),
)
