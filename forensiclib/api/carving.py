"""Carving over an image: which ranges, what is written, what is already known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from forensiclib.api.case import new_folder
from forensiclib.api.opening import Engine, OpenImage, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.units import Place, VolumeSource
from forensiclib.carving.engine import carve as carve_source
from forensiclib.core.declare import Carver, Find
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.source import ByteSource, fill_bad

__all__ = ["CarvedFile", "Zone", "carve", "zones"]


@dataclass(frozen=True, slots=True)
class Zone:
    """Space to carve: byte ranges of one volume (or gap). ``why`` is for the ledger."""

    volume: OpenVolume
    ranges: tuple[tuple[int, int], ...]
    why: str

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(length for _, length in self.ranges)


@dataclass(frozen=True, slots=True)
class CarvedFile:
    """One find, hashed, and written when a folder was given and nothing listed has its content.

    start    byte offset in the image; written   below the folder, "" when not written
    same_as  path of the listed file with the same SHA-256
    """

    volume: str
    start: int
    length: int
    carver: Carver
    find: Find
    digests: tuple[tuple[str, str], ...]
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
        whole = ((0, volume.size),)
        if everything or volume.state == "slack":
            out.append(Zone(volume, whole, "gap between volumes" if volume.state == "slack" else "everything"))
            continue
        try:
            free = volume.filesystem(engine).unallocated()
        except EvidenceError as error:
            out.append(Zone(volume, whole, f"no file system was read: {error}"))
            continue
        out.append(Zone(volume, free, "unallocated"))
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
    """Files found by their own structure, ascending by zone and offset.

    to          folder to write them to, named after type and image offset
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
    for zone in zones(run, image, everything, engine):
        yield from _zone(run, zone, carvers, folder, known or {})


def _zone(run: Run, zone: Zone, carvers: Sequence[Carver], to: Path | None, known: dict[str, str]) -> Iterator[CarvedFile]:
    volume = zone.volume
    budget = run.budget("carve", f"volume {volume.name}")
    source = VolumeSource(Place.of(volume, "native"))

    def progress(done: int, total: int) -> None:
        run.progress(f"carve volume {volume.name}", done, total)

    for hit in carve_source(source, carvers, budget=budget, ranges=zone.ranges, executor=run.executor, progress=progress):
        content = fill_bad(hit.open(source), budget.report)
        start = volume.start + hit.offset
        extension = hit.find.extension or hit.carver.extension
        written = f"{extension}/{start:012x}.{extension}" if to is not None else ""
        target = to / written if to is not None else None
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        digests = _digests(content, target)
        same = known.get(dict(digests)["sha256"], "")
        if same and target is not None:
            target.unlink()
            written = ""
        yield CarvedFile(volume.name, start, hit.length, hit.carver, hit.find, digests, written, same)
