"""Open a QEMU copy-on-write disk, version 1, 2 or 3."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image, Snapshot
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp
from forensiclib.formats import qcow as f
from forensiclib.images._blocks import padded, read_exactly
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.qcow.backing import file_name, other
from forensiclib.images.qcow.clusters import Shape, disk

__all__ = ["FORMAT", "layer", "open_qcow"]


@dataclass(slots=True)
class _Header:
    """Both kinds of header in one. ``l1``: (offset, entries); ``format`` and ``data_file`` from the extensions."""

    shape: Shape
    size: int
    crypt: int
    l1: tuple[int, int]
    backing: tuple[int, int]
    snapshots: tuple[int, int] = (0, 0)
    end: int = 0
    format: str = ""
    data_file: str = ""
    incompatible: int = 0
    autoclear: int = 0
    facts: dict[str, str] = field(default_factory=dict)


def _bad(file: PooledFile, found: str, kind: type[EvidenceError] = Corrupt) -> EvidenceError:
    return kind("QCOW header", Span(file.root, 0, 104), found)


def _first(file: PooledFile) -> _Header:
    raw = f.HEADER1.dict(read_exactly(file, 0, f.HEADER1.size, "QCOW header"))
    bits, l2_bits, size = raw["cluster_bits"], raw["l2_bits"], raw["size"]
    if not 9 <= bits <= 16 or not 6 <= l2_bits <= 13 or size > 1 << 60:
        raise _bad(file, f"clusters of 2^{bits} bytes, tables of 2^{l2_bits} entries, a disk of {size} bytes")
    l1 = (raw["l1_offset"], -(-size // (1 << (bits + l2_bits))))
    made = _Header(Shape(1, bits, 1 << l2_bits), size, raw["crypt"], l1, (raw["backing_offset"], raw["backing_size"]))
    made.facts = {"version": "1", "size": str(size), "cluster_size": str(1 << bits)}
    return made


def _later(file: PooledFile, version: int) -> _Header:
    raw = f.HEADER2.dict(read_exactly(file, 0, f.HEADER2.size, "QCOW header"))
    more = dict.fromkeys(f.HEADER3.names, 0)
    if version > 2:
        head = read_exactly(file, f.HEADER2.size, f.HEADER3.size, "QCOW header")
        more = f.HEADER3.dict(head)
        if more["length"] < 104 or more["length"] > 1 << 16:
            raise _bad(file, f"a header of {more['length']} bytes")
        if more["length"] <= 104:
            more["compression"] = 0
    bits, size, incompatible = raw["cluster_bits"], raw["size"], more["incompatible"]
    if not 9 <= bits <= 21 or size > 1 << 60:
        raise _bad(file, f"clusters of 2^{bits} bytes, a disk of {size} bytes")
    if unknown := incompatible & ~31:
        raise _bad(file, f"features that must be understood and are not known: {unknown:#x}", Unsupported)
    if more["compression"] not in f.COMPRESSIONS:
        raise _bad(file, f"compression method {more['compression']}", Unsupported)
    sub = bool(incompatible & f.EXTENDED_L2)
    if sub and bits < 14:
        raise _bad(file, f"subclusters in clusters of 2^{bits} bytes")
    packed = f.COMPRESSIONS[more["compression"]]
    shape = Shape(version, bits, 1 << (bits - (4 if sub else 3)), packed, sub, bool(incompatible & f.EXTERNAL_DATA))
    made = _Header(shape, size, raw["crypt"], (raw["l1_offset"], raw["l1_size"]), (raw["backing_offset"], raw["backing_size"]))
    made.snapshots, made.end = (raw["snapshots_offset"], raw["snapshots"]), more["length"] if version > 2 else f.HEADER2.size
    made.incompatible, made.autoclear = incompatible, more["autoclear"]
    made.facts = {"version": str(version), "size": str(size), "cluster_size": str(1 << bits), "compression_type": packed}
    if version > 2:
        made.facts |= {n: f"{more[n]:#x}" for n in ("incompatible", "compatible", "autoclear")}
    return made


def _extensions(file: PooledFile, made: _Header, budget: Budget) -> None:
    """Formats and names behind the header ("Header extensions")."""
    at, limit = made.end, min(made.shape.cluster, file.size)
    while at + f.EXTENSION.size <= limit:
        budget.item()
        kind, length = f.EXTENSION.unpack(file.read_at(at, f.EXTENSION.size))
        if kind == f.EXT_END:
            return
        if at + 8 + length > limit:
            budget.report(Corrupt("QCOW header extension", Span(file.root, at, 8), f"{length} bytes, past the first cluster"))
            return
        if kind in (f.EXT_FORMAT, f.EXT_DATA_FILE):
            text = file.read_at(at + 8, length).rstrip(b"\0").decode("utf-8", "replace")
            if kind == f.EXT_FORMAT:
                made.format = made.facts["backing_format"] = text
            else:
                made.data_file = made.facts["data_file"] = text
        at += 8 + (length + 7 & ~7)


def _header(file: PooledFile, budget: Budget) -> _Header:
    head = file.read_at(0, 8)
    if head[:4] != f.SIGNATURE:
        raise NotThisFormat("QCOW", Span(file.root, 0, 4), "no QFI\\xfb")
    version = int.from_bytes(head[4:], "big")
    if version not in (1, 2, 3):
        raise _bad(file, f"version {version}", Unsupported)
    made = _first(file) if version == 1 else _later(file, version)
    if version > 1:
        _extensions(file, made, budget)
    if made.incompatible & f.CORRUPT:
        budget.report(Corrupt("QCOW header", Span(file.root, 72, 8), "its maker marked the disk as corrupt"))
    if made.incompatible & f.DIRTY:
        note = "it was not closed: reference counts are stale (they are not used here), the last writes may be missing"
        budget.report(Finding.note("QCOW header", note, file.root, Span(file.root, 72, 8)))
    return made


def _locked(file: PooledFile, made: _Header) -> Locked:
    """Encrypted clusters. A reader with a key would hand ``clusters.disk`` a source that decrypts, in place of ``data``."""
    name = f.CRYPTS.get(made.crypt, f"method {made.crypt}")
    return Locked("QCOW", Span(file.root, 32, 4), f"encrypted with {name}, and no key can be given yet")


def _under(family: Family, path: str, file: PooledFile, made: _Header) -> ByteSource | None:
    at, n = made.backing
    if not at or not n:
        return None
    if n > 1023:
        raise _bad(file, f"a backing file name of {n} bytes")
    stated = read_exactly(file, at, n, "QCOW backing file name").decode("utf-8", "replace")
    made.facts["backing_file"] = stated
    where = family.need(path, [file_name(stated)], "backing file of a QCOW", stated)
    found = other(family, where, made.format)
    return found if found is not None else layer(family, where)[0]


def _data_file(family: Family, path: str, file: PooledFile, made: _Header) -> ByteSource:
    if not made.shape.external:
        return file
    if not made.data_file:
        raise _bad(file, "an external data file without a name")
    return family.open(family.need(path, [file_name(made.data_file)], "data file of a QCOW", made.data_file))


def _snapshots(file: PooledFile, made: _Header, budget: Budget, under: ByteSource | None, data: ByteSource) -> list[Snapshot]:
    at, count = made.snapshots
    out: list[Snapshot] = []
    for _ in range(count):
        budget.item()
        span = Span(file.root, at, f.SNAPSHOT.size)
        try:
            raw = f.SNAPSHOT.dict(read_exactly(file, at, f.SNAPSHOT.size, "QCOW snapshot table"))
            sizes = (raw["extra_size"], raw["id_size"], raw["name_size"])
            if raw["extra_size"] > 1 << 16:
                raise Corrupt("QCOW snapshot table", span, f"{raw['extra_size']} bytes of extra data")
            body = read_exactly(file, at + f.SNAPSHOT.size, sum(sizes), "QCOW snapshot table")
        except (Corrupt, Truncated) as error:
            budget.report(error)  # the entries have no fixed length: those behind it cannot be found
            break
        extra, ident, name = body[: sizes[0]], body[sizes[0] : sizes[0] + sizes[1]], body[sizes[0] + sizes[1] :]
        size = int.from_bytes(extra[8:16], "big") if len(extra) >= 16 else made.size
        try:
            if size > 1 << 60:
                raise Corrupt("QCOW snapshot", span, f"a disk of {size} bytes")
            source = disk(file, data, padded(under, size) if under else None, made.shape, (raw["l1_offset"], raw["l1_size"]), size, budget)
            when = Timestamp.unix(raw["seconds"], raw["nanoseconds"])
            out.append(Snapshot(ident.decode("utf-8", "replace"), name.decode("utf-8", "replace"), size, source, when))
        except EvidenceError as error:
            budget.report(error, f"snapshot {name.decode('utf-8', 'replace')}")
        at += f.SNAPSHOT.size + (sum(sizes) + 7 & ~7)
    if out:
        made.facts["snapshots"] = ", ".join(f"{s.id} ({s.name}, {s.time})" for s in out)
    return out


def layer(family: Family, path: str) -> tuple[ByteSource, dict[str, str], list[Snapshot]]:
    """(the disk in one file upon its backing files, what its header says, its snapshots)"""
    family.enter(path)
    file, budget = family.open(path), family.budget
    made = _header(file, budget)
    if made.crypt:
        raise _locked(file, made)
    under = _under(family, path, file, made)
    data = _data_file(family, path, file, made)
    source = disk(file, data, padded(under, made.size) if under is not None else None, made.shape, made.l1, made.size, budget)
    return source, made.facts, _snapshots(file, made, budget, under, data)


def _open(family: Family, path: str) -> Image:
    source, facts, snapshots = layer(family, path)
    return Image(source, format="qcow", name=os.path.basename(path), facts=facts, snapshots=snapshots)


def open_qcow(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the first path; backing and data files come from the other paths or from its folder. Internal snapshots are in
    ``image.snapshots``.

    Raises NotThisFormat by the signature; Locked when it is encrypted; Truncated when a backing or data file is missing, naming it;
    Unsupported for features that must be understood, MissingSupport for zstd without its package. A disk marked as corrupt or not closed,
    a damaged snapshot, a backing file without a stated format are findings.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="qcow",
    title="QEMU copy-on-write disk (QCOW, QCOW2)",
    refs=(
        "QEMU project, docs/interop/qcow2.txt: Qcow2 Image File Format",
        "Joachim Metz, QEMU Copy-On-Write file format, libqcow documentation (version 1)",
    ),
    gaps=(
        "encrypted disks (AES-CBC, LUKS) are recognised and refused",
        "reference counts, persistent bitmaps and the memory state of snapshots are not read",
        "backing and data files are looked for in the disk's own folder only: list those that are elsewhere",
        "the format stores no checksum: damage is seen only in tables that make no sense and in compressed clusters that break",
        "clusters that no table names any more are not shown",
    ),
    signatures=(Signature(f.SIGNATURE),),
    extensions=(".qcow2", ".qcow", ".qcow3"),
    open=open_qcow,
)
