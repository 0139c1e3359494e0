"""Containers of disks: VMDK, VHD, VHDX, QCOW, VDI, EnCase, AFF, Parallels, Android sparse images."""

from __future__ import annotations

import zlib

from forensiclib.carving._read import Window, same_byte
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_SECTOR = 512
_LARGEST = 1 << 50
_WALKED = 1 << 20
"""Entries of allocation tables that are read; a larger image ends with what those reach."""


def _table(data: ByteSource, at: int, count: int, width: int, order: str, budget: Budget) -> list[int]:
    """``count`` numbers at ``at``; fewer when the data ends before."""
    raw = data.read_at(at, budget.allocate("allocation table", count * width))
    budget.item(count >> 4)
    return [int.from_bytes(raw[i : i + width], order) for i in range(0, len(raw) - width + 1, width)]  # type: ignore[arg-type]


def _measure_vmdk(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, _SECTOR)
    if len(raw) < _SECTOR or raw[73:77] != b"\n \r\n":
        return None
    flags, capacity, grain, text, text_size = (
        int.from_bytes(raw[a:b], "little") for a, b in ((8, 12), (12, 20), (20, 28), (28, 36), (36, 44))
    )
    per, directory, overhead = (
        int.from_bytes(raw[44:48], "little"),
        int.from_bytes(raw[56:64], "little"),
        int.from_bytes(raw[64:72], "little"),
    )
    if grain not in (1 << i for i in range(3, 12)) or per != 512 or not 0 < capacity < _LARGEST or text + text_size > 1 << 32:
        return None
    if directory == 0xFFFFFFFFFFFFFFFF:
        return _streamed_vmdk(data, max(overhead, 1) * _SECTOR, budget)
    end, tables = max(overhead, text + text_size) * _SECTOR, -(-capacity // (grain * per))
    entries = _table(data, directory * _SECTOR, min(tables, _WALKED), 4, "little", budget)
    if len(entries) < min(tables, _WALKED):
        return Find(data.size, 0.4, "header, the data ends inside the grain directory", complete=False)
    left, grains = _WALKED, 0
    for table in entries:
        if table and left > 0:
            listed = _table(data, table * _SECTOR, per, 4, "little", budget)
            left -= per
            top = max(listed, default=0)
            last = 0
            if top > 1 and flags & 0x10000:  # compressed: the grain says its size
                last = top * _SECTOR + 12 + int.from_bytes(data.read_at(top * _SECTOR + 8, 4), "little")
                if same_byte(data, last, (top + grain) * _SECTOR, budget):  # QEMU fills the grain up
                    last = (top + grain) * _SECTOR
            elif top > 1:
                last = (top + grain) * _SECTOR
            end, grains = max(end, table * _SECTOR + per * 4, last + -last % _SECTOR), grains + sum(n > 1 for n in listed)
    return stated(data, end, 0.9 if left > 0 else 0.6, f"{grains} grains; the last one ends there")


def _streamed_vmdk(data: ByteSource, at: int, budget: Budget) -> Find | None:
    """Grains and markers to the end-of-stream marker."""
    window, grains = Window(data), 0
    while True:
        budget.item()
        raw = window.at(at, 16)
        if len(raw) < 16:
            return Find(min(at, data.size), 0.4, f"{grains} grains, no end of stream", complete=False)
        sectors, size, kind = (int.from_bytes(raw[a:b], "little") for a, b in ((0, 8), (8, 12), (12, 16)))
        if size:
            at, grains = at + 12 + size, grains + 1
            at += -at % _SECTOR
        elif kind == 0:
            return Find(at + _SECTOR, 0.95, f"{grains} compressed grains to the end of the stream")
        elif kind in (1, 2, 3) and sectors < 1 << 24:
            at += _SECTOR * (1 + sectors)
        else:
            return Find(at, 0.4, f"{grains} grains, then neither a grain nor a marker", complete=False)


def _measure_vhd(data: ByteSource, budget: Budget) -> Find | None:
    foot, raw = data.read_at(0, _SECTOR), data.read_at(_SECTOR, 1024)
    total = ~(sum(foot) - sum(foot[64:68])) & 0xFFFFFFFF
    good = total == int.from_bytes(foot[64:68], "big")
    if len(foot) < _SECTOR or int.from_bytes(foot[60:64], "big") not in (3, 4):
        return None
    if raw[:8] != b"cxsparse":
        return None
    table, entries, block = (int.from_bytes(raw[a:b], "big") for a, b in ((16, 24), (28, 32), (32, 36)))
    if block not in (1 << i for i in range(12, 32)) or not 0 < entries <= 1 << 24:
        return None
    listed = [n for n in _table(data, table, entries, 4, "big", budget) if n != 0xFFFFFFFF]
    bitmap = -(-block // _SECTOR // 8 // _SECTOR) * _SECTOR
    end = max((n * _SECTOR + bitmap + block for n in listed), default=0)
    for i in range(576, 768, 24):  # parent locators: where the names of the parent lie
        code, space, at = raw[i : i + 4], int.from_bytes(raw[i + 4 : i + 8], "big"), int.from_bytes(raw[i + 16 : i + 24], "big")
        if any(code):
            end = max(end, at + min(space, 1 << 20))
    end = max(end, table + -(-entries * 4 // _SECTOR) * _SECTOR)
    for at in range(end, end + 16 * _SECTOR, _SECTOR):  # Windows aligns blocks to 4 KiB
        if data.read_at(at, _SECTOR) == foot:
            what = "checksum good" if good else "its checksum is wrong in both"
            return Find(at + _SECTOR, 1.0 if good else 0.8, f"{len(listed)} blocks, the footer behind them repeats the header, {what}")
    return Find(min(end, data.size), 0.6, f"{len(listed)} blocks, the footer is not behind them", complete=False)


_VHDX_BAT, _VHDX_META = bytes.fromhex("6677c22d23f600429d64115e9bfd4a08"), bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")


def _measure_vhdx(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(192 << 10, 64 << 10)
    count = int.from_bytes(raw[8:12], "little")
    if raw[:4] != b"regi" or not 2 <= count <= 2047:
        return None
    end, table, table_size = 1 << 20, 0, 0
    for i in range(count):
        entry = raw[16 + 32 * i : 48 + 32 * i]
        at, size = int.from_bytes(entry[16:24], "little"), int.from_bytes(entry[24:28], "little")
        if not at or at % (1 << 20) or at > _LARGEST:
            return None
        end = max(end, at + size)
        if entry[:16] == _VHDX_BAT:
            table, table_size = at, size
    meta = next(
        (
            int.from_bytes(raw[16 + 32 * i + 16 : 16 + 32 * i + 24], "little")
            for i in range(count)
            if raw[16 + 32 * i : 32 + 32 * i] == _VHDX_META
        ),
        0,
    )
    head = data.read_at(64 << 10, 4096)
    log, log_at = int.from_bytes(head[68:72], "little"), int.from_bytes(head[72:80], "little")
    end = max(end, log + log_at if head[:4] == b"head" and log_at < _LARGEST else 0)
    area, block = data.read_at(meta, 64 << 10), 0
    for i in range(min(2047, int.from_bytes(area[10:12], "little")) if area[:8] == b"metadata" else 0):
        if area[32 + 32 * i : 48 + 32 * i] == bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"):
            at = int.from_bytes(area[48 + 32 * i : 52 + 32 * i], "little")
            block = int.from_bytes(data.read_at(meta + at, 4), "little")
    if not table or not block or block % (1 << 20):
        return Find(1 << 20, 0.4, "headers; the metadata region is not there", complete=False) if data.size >= 1 << 20 else None
    blocks = 0
    for slot in _table(data, table, min(table_size // 8, _WALKED), 8, "little", budget):
        if slot & 7 in (6, 7) and slot >> 20:
            # a bitmap block has 1 MiB; which entries are bitmaps depends on the chunk ratio: data blocks lie further
            end, blocks = max(end, (slot >> 20 << 20) + block), blocks + 1
    return stated(data, end, 0.85, f"{blocks} blocks of {block} bytes and the regions of the header")


def _measure_qcow2(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 104)
    if len(raw) < 72:
        return None
    version, bits = int.from_bytes(raw[4:8], "big"), int.from_bytes(raw[20:24], "big")
    if version not in (2, 3) or not 9 <= bits <= 21:
        return None
    cluster = 1 << bits
    size, levels, level1, counts, clusters = (
        int.from_bytes(raw[a:b], "big") for a, b in ((24, 32), (36, 40), (40, 48), (48, 56), (56, 60))
    )
    if not counts or counts % cluster or level1 % cluster or not 0 < clusters <= 1 << 16 or size > _LARGEST or levels > 1 << 24:
        return None
    order = int.from_bytes(raw[96:100], "big") if version == 3 and len(raw) == 104 else 4
    if order > 6:
        return None
    end, used, per = max(level1 + levels * 8, counts + clusters * cluster), 0, cluster * 8 >> order
    left = _WALKED
    for number, block in enumerate(_table(data, counts, clusters * cluster // 8, 8, "big", budget)):
        if not block or left <= 0:
            continue
        left -= cluster >> 6
        content = data.read_at(block, cluster)
        last = len(content.rstrip(b"\0"))
        if last:
            used = number * per + (last * 8 - 1 >> order) + 1
    if not used:
        return None
    whole, exact = max(-(-end // cluster), used) * cluster, _qcow_end(data, level1, levels, bits, end, budget)
    end = exact if whole - cluster < exact < whole and (exact >= data.size or data.size < whole) else whole
    return stated(data, end, 0.9, f"{used} clusters of {cluster} bytes have references")


def _qcow_end(data: ByteSource, level1: int, levels: int, bits: int, end: int, budget: Budget) -> int:
    """End of the last thing that the mapping tables point at: a compressed cluster or a table need not fill its cluster."""
    shift, cluster, left = 62 - (bits - 8), 1 << bits, _WALKED
    for table in _table(data, level1, levels, 8, "big", budget):
        table &= (1 << 56) - 512
        if not table or left <= 0:
            continue
        end, left = max(end, table + cluster), left - cluster // 8
        for entry in _table(data, table, cluster // 8, 8, "big", budget):
            if entry >> 62 & 1:
                at = entry & (1 << shift) - 1
                end = max(end, (at & ~511) + 512 * (1 + (entry >> shift & (1 << 62 - shift) - 1)))
            elif entry & (1 << 56) - 512:
                end = max(end, (entry & (1 << 56) - 512) + cluster)
    return end


def _measure_vdi(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, _SECTOR)
    if len(raw) < _SECTOR or raw[68:72] != b"\1\0\1\0" or int.from_bytes(raw[76:80], "little") not in (1, 2, 3, 4):
        return None
    table, start, block, extra, total, used = (
        int.from_bytes(raw[a:b], "little") for a, b in ((340, 344), (344, 348), (376, 380), (380, 384), (384, 388), (388, 392))
    )
    if table < 400 or start < table or not block or block % _SECTOR or used > total or extra > block:
        return None
    listed = [n for n in _table(data, table, min(total, _WALKED), 4, "little", budget) if n < 0xFFFFFFFE]
    if listed and max(listed) >= used:
        return None
    return stated(data, start + used * (block + extra), 0.9, f"{used} of {total} blocks of {block} bytes are allocated")


def _measure_ewf(data: ByteSource, budget: Budget) -> Find | None:
    window, at, sections = Window(data), 13, 0
    if window.number(8, 1) != 1 or not window.number(9, 2) > 0 or window.number(11, 2):
        return None
    logical = window.at(0, 3) == b"LVF"
    while True:
        budget.item()
        raw = window.at(at, 76)
        if len(raw) < 76 or zlib.adler32(raw[:72]) != int.from_bytes(raw[72:], "little"):
            break
        kind, following = raw[:16].rstrip(b"\0"), int.from_bytes(raw[16:24], "little")
        sections += 1
        if kind in (b"done", b"next"):
            extension = ("L" if logical else "E").lower() + "01"
            return Find(at + 76, 1.0, f"{sections} sections, checksums good, to {kind.decode()!r}", extension)
        if following <= at:
            break
        at = following
    return Find(min(at, data.size), 0.5, f"{sections} sections, then none", complete=False) if sections else None


def _measure_aff(data: ByteSource, budget: Budget) -> Find | None:
    window, at, segments = Window(data), 8, 0
    while window.at(at, 4) == b"AFF\0":
        budget.item()
        name, size = window.number(at + 4, 4, big=True), window.number(at + 8, 4, big=True)
        end = at + 16 + name + size + 8
        if not 0 <= name <= 1024 or size < 0 or window.at(end - 8, 4) != b"ATT\0" or window.number(end - 4, 4, big=True) != end - at:
            break
        at, segments = end, segments + 1
    return Find(at, 0.95, f"{segments} segments with head and tail, then none") if segments else None


def _measure_parallels(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 64)
    version, _heads, _cylinders, block, entries = (int.from_bytes(raw[i : i + 4], "little") for i in range(16, 36, 4))
    if len(raw) < 64 or version != 2 or not 0 < entries <= 1 << 24 or not 0 < block <= 1 << 16:
        return None
    unit = block if raw[:16] == b"WithouFreSpacExt" else 1
    start = int.from_bytes(raw[48:52], "little")
    listed = _table(data, 64, min(entries, _WALKED), 4, "little", budget)
    if len(listed) < min(entries, _WALKED):
        return Find(data.size, 0.4, "header, the data ends inside the block table", complete=False)
    top = max(listed)
    end = (top * unit + block) * _SECTOR if top else max(start * _SECTOR, 64 + entries * 4)
    return stated(data, end, 0.85, f"{sum(n > 0 for n in listed)} of {entries} blocks are allocated")


def _measure_sparse(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 28)
    if len(raw) < 28:
        return None
    major, head, chunk_head = (int.from_bytes(raw[a : a + 2], "little") for a in (4, 8, 10))
    block, total, chunks = (int.from_bytes(raw[a : a + 4], "little") for a in (12, 16, 20))
    if major != 1 or head != 28 or chunk_head != 12 or not block or block % 4 or not chunks:
        return None
    at, blocks = head, 0
    for number in range(chunks):
        budget.item()
        kind, count, size = window.number(at, 2), window.number(at + 4, 4), window.number(at + 8, 4)
        body = {0xCAC1: count * block, 0xCAC2: 4, 0xCAC3: 0, 0xCAC4: 4}.get(kind, -1)
        if body < 0 or size != 12 + body or at + size > data.size:
            return Find(min(at, data.size), 0.4, f"{number} of {chunks} chunks, then none", complete=False) if number else None
        at, blocks = at + size, blocks + (count if kind != 0xCAC4 else 0)
    return Find(at, 1.0 if blocks == total else 0.7, f"{chunks} chunks, {blocks} of {total} blocks")


CARVERS = (
    Carver(
        name="vmdk",
        title="VMware disk (sparse)",
        extension="vmdk",
        mime="application/x-vmdk",
        signatures=tuple(Signature(b"KDMV" + bytes((v, 0, 0, 0))) for v in (1, 2, 3)),
        measure=_measure_vmdk,
        maximum=1 << 44,
        refs=("VMware: Virtual Disk Format 5.0",),
        gaps=(
            "flat extents have no signature",
            "ESX (COWD) and seSparse extents are not recognised",
            "grains set aside behind the last one in use are left out",
        ),
    ),
    Carver(
        name="vhd",
        title="Virtual PC disk (VHD, dynamic)",
        extension="vhd",
        mime="application/x-vhd",
        signatures=(
            Signature(b"conectix\0\0\0\x02\0\x01\0\0"),
            Signature(b"conectix\0\0\0\0\0\x01\0\0"),
            Signature(b"conectix\0\0\0\x03\0\x01\0\0"),
        ),
        measure=_measure_vhd,
        maximum=1 << 42,
        refs=("Microsoft: Virtual Hard Disk Image Format Specification 1.0",),
        gaps=("fixed disks have a footer only, nothing announces their start",),
    ),
    Carver(
        name="vhdx",
        title="Hyper-V disk (VHDX)",
        extension="vhdx",
        mime="application/x-vhdx",
        signatures=(Signature(b"vhdxfile"),),
        measure=_measure_vhdx,
        maximum=1 << 46,
        refs=("[MS-VHDX] 2.2 to 2.6",),
        gaps=("the log is not replayed", "checksums of headers are not verified"),
    ),
    Carver(
        name="qcow2",
        title="QEMU disk (QCOW 2 and 3)",
        extension="qcow2",
        mime="application/x-qemu-disk",
        signatures=(Signature(b"QFI\xfb\0\0\0\x02"), Signature(b"QFI\xfb\0\0\0\x03")),
        measure=_measure_qcow2,
        maximum=1 << 44,
        refs=("QEMU: docs/interop/qcow2.txt",),
        gaps=("version 1 is not recognised", "a last cluster that is shorter than the cluster size is counted whole: then incomplete"),
    ),
    Carver(
        name="vdi",
        title="VirtualBox disk (VDI)",
        extension="vdi",
        mime="application/x-virtualbox-vdi",
        signatures=(Signature(b"\x7f\x10\xda\xbe\1\0\1\0", 64),),
        measure=_measure_vdi,
        maximum=1 << 44,
        refs=("VirtualBox: VDICore.h, VDI header 1.1",),
        gaps=("version 0 headers are refused",),
    ),
    Carver(
        name="ewf",
        title="EnCase evidence file",
        extension="e01",
        mime="application/x-encase",
        signatures=(Signature(b"EVF\x09\x0d\x0a\xff\0"), Signature(b"LVF\x09\x0d\x0a\xff\0")),
        measure=_measure_ewf,
        maximum=1 << 44,
        refs=("libyal: Expert Witness Compression Format (EWF)",),
        gaps=("each segment is a file of its own", "version 2 (Ex01) is not recognised"),
        kinds=(
            Kind("e01", "application/x-encase", "EnCase evidence file"),
            Kind("l01", "application/x-encase", "EnCase logical evidence file"),
        ),
    ),
    Carver(
        name="aff",
        title="Advanced Forensic Format image (AFF 1)",
        extension="aff",
        mime="application/x-aff",
        signatures=(Signature(b"AFF10\r\n\0"),),
        measure=_measure_aff,
        maximum=1 << 44,
        refs=("S. Garfinkel: Advanced Forensic Format, segment layout",),
        gaps=("the end is where no segment follows",),
    ),
    Carver(
        name="parallels",
        title="Parallels disk",
        extension="hdd",
        mime="application/x-parallels-disk",
        signatures=(Signature(b"WithoutFreeSpace"), Signature(b"WithouFreSpacExt")),
        measure=_measure_parallels,
        maximum=1 << 44,
        refs=("QEMU: docs/interop/parallels.txt",),
        gaps=("blocks set aside behind the last one in use are left out",),
    ),
    Carver(
        name="android-sparse",
        title="Android sparse image",
        extension="simg",
        mime="application/x-android-sparse-image",
        signatures=(Signature(b"\x3a\xff\x26\xed\1\0"),),
        measure=_measure_sparse,
        maximum=1 << 40,
        refs=("Android: libsparse, sparse_format.h",),
        gaps=("checksums are not verified",),
    ),
)
