"""Carving over an image: which ranges, what is written, what is already known."""

from __future__ import annotations

import hashlib
import math
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
from forensiclib.carving.joining import SECTOR
from forensiclib.carving.unit import CERTAIN, certain
from forensiclib.core.declare import Carver, Find
from forensiclib.core.entry import FileSystem
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, fill_bad

__all__ = ["UNPROVEN", "CarvedFile", "Zone", "carve", "zones"]

UNPROVEN = "unproven"
"""Folder of finds that break off, or whose end is inferred: what lies beside it was verified to its end."""


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

    @property
    def extension(self) -> str:
        """Of the find, or of its carver."""
        return self.find.extension or self.carver.extension


def zones(run: Run, image: OpenImage, everything: bool, engine: Engine = "native") -> list[Zone]:
    """Unallocated space, gaps, and volumes without a readable file system; or every byte of all."""
    out = []
    for volume in image.volumes():
        if volume.member_of or volume.locked:
            continue  # its volumes are carved; locked ones are in the ledger
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
) -> Iterator[CarvedFile]:
    """Files found by their own structure, by zone: first those whose pieces the file system's lists join, then the
    others in ascending offset.

    to          folder to write them to, named after type and image offset; what is not proven to its end goes to UNPROVEN there
    everything  every byte offset, not only unallocated space
    types       carver names; empty is all.  known   SHA-256 hex -> path of content that is listed already
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
    hits = carve_source(
        source, carvers, budget=budget, ranges=zone.ranges, known=known, executor=run.executor, progress=progress, block=_block(zone)
    )
    for hit in hits:
        yield _kept(volume, hit, hit.find.pieces or ((hit.offset, hit.length),), source, budget, to, seen)


def _block(zone: Zone) -> int:
    """Where pieces of files may begin: at multiples of this; blocks of the file system where all its free ranges do."""
    block = zone.system.block_size if zone.system is not None else 0
    for start, length in zone.ranges if block else ():
        block = math.gcd(block, start, length)
    return block if block > SECTOR and block % SECTOR == 0 else SECTOR


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


def _kept(
    volume: OpenVolume, hit: Carved, pieces: Pieces, source: ByteSource, budget: Budget, to: Path | None, seen: dict[str, str]
) -> CarvedFile:
    content = fill_bad(ExtentSource(source, pieces), budget.report)
    runs = tuple((volume.start + start, length) for start, length in pieces)
    below = "" if certain(hit) else f"{UNPROVEN}/"
    written = f"{below}{hit.extension}/{runs[0][0]:012x}.{hit.extension}" if to is not None else ""
    target = to / written if to is not None else None
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    digests = _digests(content, target)
    sha256 = dict(digests)["sha256"]
    same = seen.get(sha256, "")
    if same and target is not None:
        target.unlink()
        written = ""
    seen.setdefault(sha256, f"carved/{written}" if written else f"offset {runs[0][0]}")
    return CarvedFile(volume.name, runs[0][0], hit.length, hit.carver, hit.find, digests, runs, written, same)
