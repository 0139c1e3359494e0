"""Files out of an image: digests of every stream in disk order, and the content of deleted ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forensiclib.api import shadows
from forensiclib.api.benign import Free, benign
from forensiclib.api.case import new_folder
from forensiclib.api.match import Listed, listed
from forensiclib.api.names import safe_path
from forensiclib.api.opening import Engine, OpenImage, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.units import FileRef, Place, UnitResult, run_unit
from forensiclib.core.batch import Batch
from forensiclib.core.entry import Entry, FileSystem, Stream
from forensiclib.core.errors import EvidenceError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.hashing.digest import new_sums

__all__ = ["FileDigest", "HashUnit", "Recovered", "benign", "content", "hash_files", "hash_units", "recover", "run_hash", "unreadable"]

BLOCK = 1 << 20
ALGORITHMS = ("md5", "sha1", "sha256")


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One stream's digests. ``written`` is where its content went, relative, or "". ``replaced`` bytes
    were zero-filled because they now belong to another file, ``unreadable`` ones because the image cannot give them."""

    file: FileRef
    size: int
    digests: tuple[tuple[str, str], ...]
    written: str = ""
    replaced: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class HashUnit:
    """Streams of one volume to read once, in disk order. ``to`` gives the folder that each stream
    with a name in ``names`` is written to."""

    place: Place
    files: tuple[FileRef, ...]
    names: tuple[str, ...]
    to: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS


def content(volume: OpenVolume, entry: Entry, opened: Stream, engine: Engine = "native") -> ByteSource:
    """One content as it may be shown: see ``benign``; bytes replaced are a finding of the volume's run."""
    fs = volume.filesystem(engine)
    ranges = volume.free(engine) if entry.state != "allocated" else ()
    source, replaced = benign(volume, fs, entry, opened, Free(((0, volume.size),) if ranges is None else ranges))
    if replaced:
        volume.run.report(_replaced(volume, replaced, f"{volume.name}:/{entry.path}"))
    return source


def _replaced(volume: OpenVolume, count: int, where: str) -> Finding:
    why = "belong to another file now" if volume.shadow is None else "belong to another file or are not part of the shadow copy,"
    return Finding.note("recovered content", f"{count} bytes {why} and read as zero", where)


def unreadable(volume: OpenVolume, stream: Stream) -> int:
    """How many bytes of a stream that was read the image cannot give, in whole sectors. Costs nothing on a
    sound image."""
    if not volume.damaged:
        return 0
    bad, grain = 0, volume.image.sector_size
    for start, length in stream.runs:
        for at in range(start, start + length, BLOCK) if start is not None else ():
            n = min(BLOCK, start + length - at) if start is not None else 0
            try:
                volume.strict.read_at(at, n)
            except EvidenceError:
                lost: list[EvidenceError] = []
                fill_bad(volume.strict, lost.append, grain).read_at(at, n)
                bad += len(lost) * grain
    return min(bad, stream.size)


def hash_units(
    volume: OpenVolume,
    table: Batch,
    engine: Engine,
    to: str = "",
    *,
    only_deleted: bool = False,
    unit_bytes: int = 64 << 20,
    algorithms: tuple[str, ...] = ALGORITHMS,
) -> Iterator[HashUnit]:
    """Every stream with content, in disk order, cut into units of about ``unit_bytes``."""
    rows = [r for r in listed(table) if not (only_deleted and r.file.state == "allocated")]
    taken: set[str] = set()
    names = {id(r): _name(volume, r, taken) if to else "" for r in rows}
    rows.sort(key=lambda r: (r.first < 0, r.first, r.file.id, r.file.sequence, r.file.stream))
    place, batch, total = Place.of(volume, engine), list[Listed](), 0
    for row in rows:
        batch.append(row)
        total += row.size
        if total >= unit_bytes or len(batch) >= 2000:
            yield _unit(place, batch, names, to, algorithms)
            batch, total = [], 0
    if batch:
        yield _unit(place, batch, names, to, algorithms)


def _unit(place: Place, rows: Sequence[Listed], names: dict[int, str], to: str, algorithms: tuple[str, ...]) -> HashUnit:
    return HashUnit(place, tuple(r.file for r in rows), tuple(names[id(r)] for r in rows), to, algorithms)


def _name(volume: OpenVolume, row: Listed, taken: set[str]) -> str:
    if row.file.state == "allocated" or row.verdict == "overwritten":
        return ""
    stream = f"__{row.file.stream}" if row.file.stream else ""
    return safe_path(f"{volume.name}/{row.file.path}{stream}", taken)


def run_hash(unit: HashUnit) -> UnitResult:
    """Values of the result are FileDigests in the unit's order."""

    def work(result: UnitResult) -> None:
        volume = unit.place.target()
        fs = volume.filesystem(unit.place.engine)
        deleted = any(f.state != "allocated" for f in unit.files)
        ranges = volume.free(unit.place.engine) if deleted else ()
        free = Free(((0, volume.size),) if ranges is None else ranges)
        for file, name in zip(unit.files, unit.names, strict=True):
            volume.run.check()
            where = f"{volume.name}:/{file.path}" + (f":{file.stream}" if file.stream else "")
            try:
                result.values.append(_one(unit, volume, fs, free, file, name, where, result))
            except EvidenceError as error:
                result.findings.append(Finding.of(error, where=where))

    return run_unit(unit.place, f"volume {unit.place.volume}", work)


def _one(
    unit: HashUnit, volume: OpenVolume, fs: FileSystem, free: Free, file: FileRef, name: str, where: str, result: UnitResult
) -> FileDigest:
    entry = fs.entry(file.id, file.sequence)
    stream = entry.open(file.stream)
    source, replaced = benign(volume, fs, replace(entry, state=file.state), stream, free)
    bad: list[EvidenceError] = []
    grain = max(512, fs.block_size)
    source = fill_bad(source, bad.append, grain)
    sums = new_sums(unit.algorithms)
    out = None
    if name:
        target = Path(unit.to, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        out = target.open("wb")
    try:
        buffer = bytearray(min(BLOCK, max(1, source.size)))
        at = 0
        while at < source.size:
            got = source.read_into(at, buffer)
            piece = memoryview(buffer)[:got]
            sums.update(piece)
            if out is not None:
                out.write(piece)
            at += got
            volume.run.check()
    finally:
        if out is not None:
            out.close()
    if replaced:
        result.findings.append(_replaced(volume, replaced, where))
    result.findings += [Finding.of(error, where=where) for error in bad]
    lost = min(source.size, len(bad) * grain + unreadable(volume, stream))
    if (kept_not := shadows.later(volume, stream.runs)) and file.state == "allocated":
        text = f"{kept_not} bytes are not part of the shadow copy and are of a later time"
        result.findings.append(Finding.note("shadow copy", text, where))
    if lost:
        text = f"{lost} bytes cannot be read and count as zero in its digests"
        result.findings.append(Finding("Unreadable", "content", text, where, "", None))
    values = sums.values()
    digests = tuple((a, values[a]) for a in unit.algorithms)
    return FileDigest(file, source.size, digests, name, replaced, lost)


def hash_files(
    run: Run, image: OpenImage, algorithms: Sequence[str] = ALGORITHMS, engine: Engine = "native", *, keys: Keys | None = None
) -> Iterator[tuple[str, FileDigest]]:
    """("VOLUME:/path", digests) of every file with content, live and deleted, in the order of the disk.

    ``keys`` replace those of the run. UsageError for an algorithm that is neither one of ``hashing.digest`` nor of hashlib.
    """
    new_sums(algorithms)
    image.use(run, keys)
    for volume, table in image.listing(engine):
        units = list(hash_units(volume, table, engine, algorithms=tuple(algorithms)))
        for done, result in enumerate(run.map(run_hash, units), 1):
            for finding in result.findings:
                run.report(finding)
            for item in result.values:
                yield f"{volume.name}:/{item.file.path}" + (f":{item.file.stream}" if item.file.stream else ""), item
            run.progress("hash", done, len(units))


@dataclass(frozen=True, slots=True)
class Recovered:
    """One deleted stream, written. ``path`` is the evidence path "VOLUME:/..."; ``written`` the file below
    the target folder; ``verdict`` as in the listing."""

    path: str
    state: str
    verdict: str
    size: int
    written: str
    digests: tuple[tuple[str, str], ...]
    replaced: int
    unreadable: int = 0


def recover(
    run: Run, image: OpenImage, to: str | os.PathLike[str], engine: Engine = "native", *, keys: Keys | None = None
) -> Iterator[Recovered]:
    """Write every deleted, orphaned or journal-held file whose clusters are not all lost.

    Files that the file system has no name for any more come from ``carve``. ``keys`` replace those of the run.
    """
    image.use(run, keys)
    new_folder(to)
    for volume, table in image.listing(engine):
        verdicts = {(r.file.id, r.file.sequence, r.file.path, r.file.stream): r.verdict for r in listed(table)}
        units = list(hash_units(volume, table, engine, os.fspath(to), only_deleted=True))
        for done, result in enumerate(run.map(run_hash, units), 1):
            for finding in result.findings:
                run.report(finding)
            for item in result.values:
                if item.written:
                    f = item.file
                    verdict = verdicts[f.id, f.sequence, f.path, f.stream]
                    path = f"{volume.name}:/{f.path}" + (f":{f.stream}" if f.stream else "")
                    yield Recovered(path, f.state, verdict, item.size, item.written, item.digests, item.replaced, item.unreadable)
            run.progress("recover", done, len(units))
