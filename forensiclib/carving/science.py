"""Self-describing data files: HDF, NetCDF, Parquet, Arrow, Avro, MATLAB, NumPy."""

from __future__ import annotations

import re

from forensiclib.carving._read import Window, find
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_NOWHERE = 0xFFFFFFFFFFFFFFFF
_SEARCHED = 1 << 30
_NC_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_MAT_TYPES = frozenset((*range(1, 8), 9, *range(12, 19)))


def _measure_hdf5(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 64)
    if len(raw) < 64 or raw[8] > 3:
        return None
    if raw[8] < 2:
        offsets, lengths, at = raw[13], raw[14], 24 + 4 * (raw[8] == 1)
        ends = at + 2 * offsets
    else:
        offsets, lengths, at = raw[9], raw[10], 12
        ends = at + 2 * offsets
    if offsets not in (4, 8) or lengths not in (4, 8):
        return None
    base, end = int.from_bytes(raw[at : at + offsets], "little"), int.from_bytes(raw[ends : ends + offsets], "little")
    if base or not 64 < end < 1 << 50:
        return None
    netcdf = find(data, b"_NCProperties", 0, min(end, 1 << 20), budget) >= 0
    return stated(data, end, 0.9, "end of file address of the superblock", *(("nc", "NetCDF 4 data") if netcdf else ("h5", "HDF5 data")))


def _measure_hdf4(data: ByteSource, budget: Budget) -> Find | None:
    window, at, end, seen = Window(data), 4, 0, 0
    while at:
        count, following = window.number(at, 2, big=True), window.number(at + 2, 4, big=True)
        if not 0 < count <= 4096 or (following and following <= at):
            return None
        end = max(end, at + 6 + 12 * count)
        for i in range(count):
            budget.item()
            raw = window.at(at + 6 + 12 * i, 12)
            tag, offset, length = (int.from_bytes(raw[a:b], "big") for a, b in ((0, 2), (4, 8), (8, 12)))
            if len(raw) < 12 or (tag > 1 and offset != 0xFFFFFFFF and offset + length > 1 << 32):
                return None
            if tag > 1 and offset != 0xFFFFFFFF and length != 0xFFFFFFFF:
                end, seen = max(end, offset + length), seen + 1
        at = following
    return stated(data, end, 0.8, f"{seen} data descriptors, the last element ends there") if seen else None


class _NetCdf:
    """The header of a classic file. ``at`` is -1 once it cannot be one."""

    def __init__(self, data: ByteSource, version: int) -> None:
        self.window, self.at, self.version = Window(data), 4, version

    def number(self, wide: bool = False) -> int:
        n = 8 if wide else 4
        value = self.window.number(self.at, n, big=True)
        if value < 0 or self.at < 0:
            self.at = -1 << 40
            return 0
        self.at += n
        return value

    def size(self) -> int:
        return self.number(self.version == 5)

    def name(self) -> None:
        length = self.size()
        self.at += length + -length % 4 if 0 < length < 4096 else -1 << 40

    def listed(self, mark: int) -> int:
        tag, count = self.number(), self.size()
        if tag not in (0, mark) or (not tag and count) or count > 1 << 20:
            self.at = -1 << 40
            return 0
        return count

    def attributes(self, budget: Budget) -> None:
        for _ in range(self.listed(12)):
            budget.item()
            self.name()
            unit, count = _NC_SIZES.get(self.number(), 0), self.size()
            self.at += unit * count + -(unit * count) % 4 if unit and count < 1 << 32 else -1 << 40
            if self.at < 0:
                return


def _measure_netcdf(data: ByteSource, budget: Budget) -> Find | None:
    version = data.read_at(3, 1)[0]
    walk = _NetCdf(data, version)
    records, dims = walk.size(), []
    for _ in range(walk.listed(10)):
        budget.item()
        walk.name()
        dims.append(walk.size())
        if walk.at < 0:
            return None
    walk.attributes(budget)
    end, record, record_end, variables, only = 0, 0, 0, 0, 0
    for _ in range(walk.listed(11) if walk.at > 0 else 0):
        budget.item()
        walk.name()
        rank = walk.size()
        shape = [walk.size() for _ in range(rank)] if rank <= 1024 else [len(dims)]
        walk.attributes(budget)
        unit, _vsize, begin = _NC_SIZES.get(walk.number(), 0), walk.size(), walk.number(version > 1)
        if walk.at < 0 or not unit or any(i >= len(dims) for i in shape):
            return None
        length = unit
        for i in shape:
            length *= dims[i] or 1
        variables += 1
        if shape and not dims[shape[0]]:
            record, record_end, only = record + length + -length % 4, begin if not record_end else min(record_end, begin), length
        else:
            end = max(end, begin + length + -length % 4)
    if walk.at < 0 or not (dims or variables):
        return None
    if record and records < (1 << 32) - 1:
        lone = record == only + -only % 4  # a single record variable is not padded
        end = max(end, record_end + records * (only if lone else record))
    return stated(data, max(end, walk.at), 0.85, f"{len(dims)} dimensions, {variables} variables; the last one ends there")


def _leb(raw: bytes, at: int) -> tuple[int, int]:
    """(value, offset behind it) of a LEB128 number; (-1, at) when it does not end within ten bytes."""
    value = shift = 0
    for i in range(at, min(at + 10, len(raw))):
        value |= (raw[i] & 127) << shift
        shift += 7
        if raw[i] < 128:
            return value, i + 1
    return -1, at


def _thrift_value(raw: bytes, at: int, kind: int, depth: int) -> int:
    """Offset behind a value of the Thrift compact protocol, -1 when it is none."""
    if kind in (1, 2):
        return at
    if kind == 3:
        return at + 1
    if kind in (4, 5, 6):
        value, end = _leb(raw, at)
        return end if value >= 0 else -1
    if kind == 7:
        return at + 8
    if kind == 8:
        size, end = _leb(raw, at)
        return end + size if size >= 0 else -1
    if kind in (9, 10) and at < len(raw):
        count, inner, at = raw[at] >> 4, raw[at] & 15, at + 1
        if count == 15:
            count, at = _leb(raw, at)
        for _ in range(count):
            at = at + 1 if inner in (1, 2) else _thrift_value(raw, at, inner, depth + 1)
            if not 0 <= at <= len(raw):
                return -1
        return at if count >= 0 else -1
    return _thrift_struct(raw, at, depth + 1) if kind == 12 else -1


def _thrift_struct(raw: bytes, at: int, depth: int = 0) -> int:
    while 0 <= at < len(raw) and depth < 16:
        mark, at = raw[at], at + 1
        if not mark:
            return at
        if not mark >> 4:
            _, at = _leb(raw, at)
        at = _thrift_value(raw, at, mark & 15, depth)
    return -1


def _measure_parquet(data: ByteSource, budget: Budget) -> Find | None:
    head = data.read_at(4, 3)
    if len(head) < 3 or head[0] != 0x15 or head[1] not in (0, 2, 4, 6) or head[2] not in (0x15, 0x19):
        return None
    at = 8
    while (at := find(data, b"PAR1", at, min(data.size, _SEARCHED), budget)) > 0:
        size = int.from_bytes(data.read_at(at - 4, 4), "little")
        if 8 < size <= min(at - 8, 64 << 20):
            raw = data.read_at(at - 4 - size, size)
            if raw[0] == 0x15 and _thrift_struct(raw, 0) == size:
                return Find(at + 4, 1.0, f"footer of {size} bytes parsed to its end")
        at += 1
    return Find(min(data.size, 4096), 0.3, "first page header, no footer within reach", complete=False)


def _measure_arrow(data: ByteSource, budget: Budget) -> Find | None:
    window, at, messages = Window(data), 8, 0
    while window.at(at, 4) == b"\xff\xff\xff\xff":
        budget.item()
        size = window.number(at + 4, 4)
        if not size:
            foot = find(data, b"ARROW1", at + 8, at + (64 << 20), budget)
            if foot > 0 and window.number(foot - 4, 4) == foot - 4 - (at + 8):
                return Find(foot + 6, 1.0, f"{messages} messages, end mark and footer")
            return Find(at, 0.4, f"{messages} messages, no footer behind the end mark", complete=False)
        if size < 16 or size > 64 << 20:
            break
        meta = data.read_at(at + 8, size)
        body = _body_length(meta)
        if body < 0:
            break
        at, messages = at + 8 + size + body, messages + 1
    return Find(min(at, data.size), 0.4, f"{messages} messages, then none", complete=False) if messages else None


def _body_length(meta: bytes) -> int:
    """``bodyLength`` of the flatbuffer Message, -1 when it is none."""
    root = int.from_bytes(meta[:4], "little")
    if root + 4 > len(meta):
        return -1
    vtable = root - int.from_bytes(meta[root : root + 4], "little", signed=True)
    if not 0 <= vtable <= len(meta) - 4:
        return -1
    size = int.from_bytes(meta[vtable : vtable + 2], "little")
    if not 8 <= size <= 64 or size % 2:
        return -1
    field = int.from_bytes(meta[vtable + 10 : vtable + 12], "little") if size >= 12 else 0
    return int.from_bytes(meta[root + field : root + field + 8], "little") & (1 << 48) - 1 if field else 0


def _zigzag(raw: bytes, at: int) -> tuple[int, int]:
    value, end = _leb(raw, at)
    return (-1 << 40 if value < 0 else (value >> 1) ^ -(value & 1)), end


def _measure_avro(data: ByteSource, budget: Budget) -> Find | None:
    raw, at, pairs = data.read_at(0, 1 << 20), 4, 0
    while True:
        count, at = _zigzag(raw, at)
        if not 0 <= count <= 1024:
            return None
        if not count:
            break
        for _ in range(2 * count):
            size, at = _zigzag(raw, at)
            if not 0 <= size <= len(raw) - at:
                return None
            at += size
        pairs += count
    if b"avro.schema" not in raw[:at] or at + 16 > len(raw):
        return None
    sync, at, blocks = raw[at : at + 16], at + 16, 0
    while True:
        budget.item()
        head = data.read_at(at, 20)
        count, i = _zigzag(head, 0)
        size, i = _zigzag(head, i)
        if count <= 0 or size < 0 or data.read_at(at + i + size, 16) != sync:
            break
        at, blocks = at + i + size + 16, blocks + 1
    return Find(at, 0.95, f"{blocks} blocks, each closed by the sync mark")


def _measure_mat(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 128)
    if len(raw) < 128 or raw[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        return None
    big, at, elements = raw[126:128] == b"MI", 128, 0
    while at + 8 <= data.size:
        budget.item()
        kind, size = window.number(at, 4, big), window.number(at + 4, 4, big)
        if kind not in _MAT_TYPES or kind not in (14, 15) or not 8 <= size < 1 << 31:
            break
        if at + 8 + size > data.size:
            return Find(data.size, 0.4, f"{elements} elements, the data ends inside the next", complete=False)
        at, elements = at + 8 + size, elements + 1
    return Find(at, 0.8, f"{elements} elements, then none") if elements else None


_SHAPE = re.compile(
    rb"\{'descr': '[<>|=]?([a-zA-Z])(\d+)(?:\[[^]]*\])?', 'fortran_order': (?:True|False), 'shape': \(([\d, ]*)\),? *\}[ ]*\n$"
)


def _measure_npy(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 4096)
    if len(raw) < 12 or raw[6] not in (1, 2, 3) or raw[7]:
        return None
    start = 10 if raw[6] == 1 else 12
    size = int.from_bytes(raw[8:start], "little")
    match = _SHAPE.match(raw[start : start + size])
    if match is None or match[1] == b"O":
        return None
    length = int(match[2]) * (4 if match[1] == b"U" else 1)
    for part in match[3].split(b","):
        length *= int(part) if part.strip() else 1
    return stated(data, start + size + length, 0.95, "shape and item size of the header")


CARVERS = (
    Carver(
        name="hdf5",
        title="HDF5 data file",
        extension="h5",
        mime="application/x-hdf5",
        signatures=(Signature(b"\x89HDF\r\n\x1a\n"),),
        measure=_measure_hdf5,
        maximum=1 << 40,
        refs=("HDF5 File Format Specification 3.0, II.A",),
        gaps=("a user block before the superblock (MATLAB 7.3) is left out", "the object tree is not followed"),
        kinds=(Kind("h5", "application/x-hdf5", "HDF5 data"), Kind("nc", "application/x-netcdf", "NetCDF 4 data")),
    ),
    Carver(
        name="hdf4",
        title="HDF4 data file",
        extension="hdf",
        mime="application/x-hdf",
        signatures=(Signature(b"\x0e\x03\x13\x01"),),
        measure=_measure_hdf4,
        refs=("HDF Specification and Developer's Guide 4.2, chapter 2",),
        gaps=("external elements are other files",),
    ),
    Carver(
        name="netcdf",
        title="NetCDF classic data file",
        extension="nc",
        mime="application/x-netcdf",
        signatures=tuple(Signature(b"CDF" + bytes((v,))) for v in (1, 2, 5)),
        measure=_measure_netcdf,
        maximum=1 << 40,
        refs=("NetCDF Classic Format Specification (CDF-1, CDF-2, CDF-5)",),
        gaps=("a file being streamed (records unknown) ends with its fixed part",),
    ),
    Carver(
        name="parquet",
        title="Apache Parquet table",
        extension="parquet",
        mime="application/vnd.apache.parquet",
        signatures=(Signature(b"PAR1\x15"),),
        measure=_measure_parquet,
        maximum=64 << 30,
        refs=("Apache Parquet: File Format", "Apache Thrift: compact protocol"),
        gaps=("the footer is looked for within 1 GiB", "encrypted footers (PARE) are not recognised"),
    ),
    Carver(
        name="arrow",
        title="Apache Arrow file (Feather 2)",
        extension="arrow",
        mime="application/vnd.apache.arrow.file",
        signatures=(Signature(b"ARROW1\0\0"),),
        measure=_measure_arrow,
        maximum=64 << 30,
        refs=("Apache Arrow: Columnar Format, IPC File Format",),
        gaps=("messages before version 0.15 (no continuation mark) are refused",),
    ),
    Carver(
        name="avro",
        title="Apache Avro container",
        extension="avro",
        mime="application/avro",
        signatures=(Signature(b"Obj\x01"),),
        measure=_measure_avro,
        maximum=64 << 30,
        refs=("Apache Avro 1.11 Specification, Object Container Files",),
        gaps=("a header of more than 1 MiB is refused",),
    ),
    Carver(
        name="mat",
        title="MATLAB 5 data",
        extension="mat",
        mime="application/x-matlab-data",
        signatures=(Signature(b"MATLAB 5.0 MAT-file"),),
        measure=_measure_mat,
        refs=("MathWorks: MAT-File Format, chapter 1",),
        gaps=("elements are counted by their lengths, not decompressed",),
    ),
    Carver(
        name="npy",
        title="NumPy array",
        extension="npy",
        mime="application/x-npy",
        signatures=(Signature(b"\x93NUMPY"),),
        measure=_measure_npy,
        maximum=1 << 40,
        refs=("NumPy: numpy.lib.format",),
        gaps=("structured and object arrays are refused",),
    ),
)
