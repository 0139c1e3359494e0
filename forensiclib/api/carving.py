"""Carving over an image: which ranges, what is written, what is already known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forensiclib.api.case import new_folder
from forensiclib.api.opening import Engine, OpenImage, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.units import Place, VolumeSource
from forensiclib.carving.engine import Carved, recognise
from forensiclib.carving.engine import carve as carve_source
from forensiclib.carving.engine import runs as joined_runs
from forensiclib.carving.unit import CERTAIN
from forensiclib.core.declare import Carver, Find
from forensiclib.core.entry import FileSystem
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, fill_bad
from forensiclib.search.engine import Decoder

__all__ = ["CarvedFile", "Zone", "carve", "zones"]


@dataclass(frozen=True, slots=True)
class Zone:
    """Space to carve: byte ranges of one volume (or gap). ``why`` is for the ledger; ``system`` the file system that
    says of these ranges that they are free."""

    volume: OpenVolume
    ranges: tuple[tuple[int, int], ...]
    why: str
    system: FileSystem | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(length for _, length in self.ranges)


@dataclass(frozen=True, slots=True)
class CarvedFile:
    """One find, hashed, and written when a folder was given and nothing listed or carved before has its content.

    start    byte offset in the image; runs   (start, length) image ranges of the content, in its order
    written  below the folder, "" when not written
    same_as  path of the listed file with the same SHA-256, or "carved/" and the name of an earlier find
    via      decodings that it came out of, outermost first (("gzip@4096",)); ``runs`` are then the encoded bytes, and ``path`` is
             where it is as bulk_extractor writes it (4096-GZIP-56)
    """

    volume: str
    start: int
    length: int
    carver: Carver
    find: Find
    digests: tuple[tuple[str, str], ...]
    runs: tuple[tuple[int, int], ...]
    written: str = ""
    same_as: str = ""
    via: tuple[str, ...] = ()
    path: str = ""

    @property
    def extension(self) -> str:
        """Of the find, or of its carver."""
        return self.find.extension or self.carver.extension


def zones(run: Run, image: OpenImage, everything: bool, engine: Engine = "native") -> list[Zone]:
    """Unallocated space, gaps, and volumes without a readable file system; or every byte of all."""
    out = []
    for volume in image.volumes():
        whole = ((0, volume.size),)
        if everything or volume.state == "slack":
            out.append(Zone(volume, whole, "gap between volumes" if volume.state == "slack" else "everything"))
            continue
        try:
            free, system = volume.free(engine), volume.filesystem(engine)
        except EvidenceError as error:
            out.append(Zone(volume, whole, f"no file system was read: {error}"))
            continue
        if free is None:
            out.append(Zone(volume, whole, "everything: what is unallocated cannot be read"))
        else:
            out.append(Zone(volume, free, "unallocated", system))
    return out


def _digests(source: ByteSource, to: Path | None) -> tuple[tuple[str, str], ...]:
    hashes = {a: hashlib.new(a, usedforsecurity=False) for a in ("md5", "sha1", "sha256")}
    out = to.open("wb") if to is not None else None
    try:
        for at in range(0, source.size, 1 << 20):
            piece = source.read_at(at, 1 << 20)
            for h in hashes.values():
                h.update(piece)
            if out is not None:
                out.write(piece)
    finally:
        if out is not None:
            out.close()
    return tuple((a, h.hexdigest()) for a, h in hashes.items())


def carve(
    run: Run,
    image: OpenImage,
    *,
    to: str | os.PathLike[str] | None = None,
    everything: bool = False,
    types: Sequence[str] = (),
    known: dict[str, str] | None = None,
    engine: Engine = "native",
    decode: Decoder | None = None,
    depth: int = 4,
) -> Iterator[CarvedFile]:
    """Files found by their own structure, by zone: first those whose pieces the file system's lists join, then the
    others in ascending offset, then those in decoded regions.

    to          folder to write them to, named after type and image offset
    everything  every byte offset, not only unallocated space
    types       carver names; empty is all.  known   SHA-256 hex -> path of content that is listed already
    decode      what is decoded and carved too (api.searching.decoding); depth   levels of it
    """
    image.run = run
    carvers = run.catalog.carvers
    if types:
        unknown = set(types) - {c.name for c in carvers}
        if unknown:
            raise UsageError(f"no carver {', '.join(sorted(unknown))}; there are {', '.join(c.name for c in carvers)}")
        carvers = tuple(c for c in carvers if c.name in types)
    folder = None if to is None else new_folder(to)
    seen = dict(known or {})
    for zone in zones(run, image, everything, engine):
        yield from _zone(run, zone, carvers, folder, seen)
        if decode is not None:
            yield from _decoded(run, zone, carvers, folder, seen, decode, depth)


def _zone(run: Run, zone: Zone, carvers: Sequence[Carver], to: Path | None, seen: dict[str, str]) -> Iterator[CarvedFile]:
    volume = zone.volume
    budget = run.budget("carve", f"volume {volume.name}")
    source = VolumeSource(Place.of(volume, "native"))

    def progress(done: int, total: int) -> None:
        run.progress(f"carve volume {volume.name}", done, total)

    joined = list(_joined(zone, carvers, source, budget))
    for hit, pieces in joined:
        yield _kept(volume, hit, pieces, source, budget, to, seen)
    known = [piece for _, pieces in joined for piece in pieces]
    hits = carve_source(source, carvers, budget=budget, ranges=zone.ranges, known=known, executor=run.executor, progress=progress)
    for hit in hits:
        yield _kept(volume, hit, ((hit.offset, hit.length),), source, budget, to, seen)


def _decoded(
    run: Run, zone: Zone, carvers: Sequence[Carver], to: Path | None, seen: dict[str, str], decode: Decoder, depth: int
) -> Iterator[CarvedFile]:
    """Files in what lies encoded in the zone."""
    volume = zone.volume
    budget = run.budget("carve", f"volume {volume.name}")
    source = VolumeSource(Place.of(volume, "native"))

    def inside(base: ByteSource, shift: int, via: tuple[str, ...], path: str) -> Iterator[CarvedFile]:
        for region in decode(base, 0, base.size, budget):
            budget.check()
            name = "+".join(region.via)
            runs = tuple((s.start, s.length) for s in region.source.trace(0, region.source.size) if s.root)
            steps = (*via, f"{name}@{region.offset + shift}")
            here = f"{path}{region.offset + shift + (0 if via else volume.start)}-{name.upper()}-"
            for hit in carve_source(region.source, carvers, budget=budget):
                where = _Origin(runs, steps, f"{here}{hit.offset}")
                yield _written(volume, hit, hit.open(region.source), where, to, seen)
            if len(steps) < depth:
                yield from inside(region.source, 0, steps, here)

    for low, high in joined_runs(source.size, zone.ranges):
        yield from inside(source.slice(low, high - low), low, (), "")


Pieces = tuple[tuple[int, int], ...]


def _joined(zone: Zone, carvers: Sequence[Carver], source: ByteSource, budget: Budget) -> Iterator[tuple[Carved, Pieces]]:
    """Files whose pieces the file system's lists name and whose own structure agrees: they hold to the end, or to the
    last block of the list, and reach past the first piece (a file in one piece is found without any list)."""
    for pieces in zone.system.loose() if zone.system is not None else ():
        content = ExtentSource(source, pieces)
        hit = recognise(content, carvers, budget)
        if hit is None or not hit.find.complete or hit.length <= pieces[0][1]:
            continue
        find, spare = hit.find, content.size - hit.length
        if zone.system is not None and spare < zone.system.block_size:
            find = replace(find, confidence=max(find.confidence, CERTAIN), reason=f"{find.reason}; its list of blocks ends there too")
        if find.confidence >= CERTAIN:
            yield replace(hit, find=find), _cut(pieces, hit.length)


def _cut(pieces: Pieces, length: int) -> Pieces:
    out = []
    for start, n in pieces:
        if length > 0:
            out.append((start, min(n, length)))
        length -= n
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Image ranges behind a find, what was decoded, and where it is."""

    runs: Pieces
    via: tuple[str, ...] = ()
    path: str = ""


def _kept(
    volume: OpenVolume, hit: Carved, pieces: Pieces, source: ByteSource, budget: Budget, to: Path | None, seen: dict[str, str]
) -> CarvedFile:
    content = fill_bad(ExtentSource(source, pieces), budget.report)
    return _written(volume, hit, content, _Origin(tuple((volume.start + start, length) for start, length in pieces)), to, seen)


def _written(volume: OpenVolume, hit: Carved, content: ByteSource, origin: _Origin, to: Path | None, seen: dict[str, str]) -> CarvedFile:
    start = origin.runs[0][0] if origin.runs else 0
    stem = origin.path or f"{start:012x}"
    written = f"{hit.extension}/{stem}.{hit.extension}" if to is not None else ""
    target = to / written if to is not None else None
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    digests = _digests(content, target)
    sha256 = dict(digests)["sha256"]
    same = seen.get(sha256, "")
    if same and target is not None:
        target.unlink()
        written = ""
    seen.setdefault(sha256, f"carved/{written}" if written else f"offset {origin.path or start}")
    return CarvedFile(volume.name, start, hit.length, hit.carver, hit.find, digests, origin.runs, written, same, origin.via, origin.path)
