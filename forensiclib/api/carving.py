"""Carving over an image: which ranges, what is written, what is already known."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from forensiclib.api import shadows
from forensiclib.api.case import new_folder
from forensiclib.api.knownblocks import known_ranges
from forensiclib.api.opening import Engine, OpenImage, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.units import Place, VolumeSource
from forensiclib.carving.engine import Carved, recognise
from forensiclib.carving.engine import carve as carve_source
from forensiclib.carving.engine import runs as joined_runs
from forensiclib.carving.joining import SECTOR
from forensiclib.carving.unit import CERTAIN, certain
from forensiclib.carving.unit import content as joined_content
from forensiclib.core.declare import Carver, Find, Supplied
from forensiclib.core.entry import FileSystem
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, FileSource, fill_bad
from forensiclib.core.span import merge
from forensiclib.hashing.blockset import BlockSet
from forensiclib.hashing.digest import new_sums
from forensiclib.search.engine import Decoder

__all__ = ["UNPROVEN", "CarvedFile", "Zone", "carve", "zones"]

UNPROVEN = "unproven"
"""Folder of finds that break off, or whose end is inferred: what lies beside it was verified to its end."""


Pieces = tuple[tuple[int, int], ...]


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

    start    byte offset in the image; runs   (start, length) image ranges of the content, in its order; of a volume that is
             decrypted or put together those of the stored bytes behind it
    pieces   (start, length) ranges of the volume, in order of the content
    written  below the folder, "" when not written
    same_as  path of the listed file with the same SHA-256, or "carved/" and the name of an earlier find
    supplied what of the file is no evidence of its place: made by the carver, or of another file, whose spans it names; neither
             ``runs`` nor ``pieces`` have it
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
    pieces: tuple[tuple[int, int], ...] = ()
    via: tuple[str, ...] = ()
    path: str = ""

    @property
    def supplied(self) -> tuple[Supplied, ...]:
        """Of the find; the file is its pieces with these between."""
        return self.find.supplied

    @property
    def extension(self) -> str:
        """Of the find, or of its carver."""
        return self.find.extension or self.carver.extension


def zones(run: Run, image: OpenImage, everything: bool, engine: Engine = "native") -> list[Zone]:
    """Unallocated space, gaps, and volumes without a readable file system; or every byte of all."""
    out = []
    for volume in image.volumes():
        if volume.member_of or volume.locked or shadows.passed_over(volume):
            continue  # carve() says so
        whole = ((0, volume.size),)
        if everything and volume.shadow is not None:
            out.append(Zone(volume, tuple(volume.shadow.changed()), "what a store has of the shadow copy"))
            continue
        if everything or volume.state == "slack":
            out.append(Zone(volume, whole, "gap between volumes" if volume.state == "slack" else "everything"))
            continue
        try:
            free, system = shadows.free(volume, engine), volume.filesystem(engine)
        except EvidenceError as error:
            out.append(Zone(volume, whole, f"no file system was read: {error}"))
            continue
        if free is None:
            out.append(Zone(volume, whole, "everything: what is unallocated cannot be read"))
        else:
            out.append(Zone(volume, free, "unallocated", system))
    return out


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of a find: (start, length) pieces of a volume, where to write it ("" is nowhere), and what is supplied."""

    source: ByteSource
    pieces: Pieces
    target: str
    supplied: tuple[Supplied, ...] = ()


def _write(job: _Content) -> tuple[tuple[tuple[str, str], ...], tuple[Finding, ...]]:
    """Hash a content, and write it; in any process. Unreadable grains read as zero and are findings."""
    findings: list[Finding] = []
    content = fill_bad(joined_content(job.source, job.pieces, job.supplied), lambda error: findings.append(Finding.of(error)))
    sums = new_sums(("md5", "sha1", "sha256"))
    buffer = memoryview(bytearray(min(content.size, 1 << 20)))
    with open(job.target, "wb") if job.target else nullcontext() as out:
        for at in range(0, content.size, 1 << 20):
            piece = buffer[: content.read_into(at, buffer[: min(len(buffer), content.size - at)])]
            sums.update(piece)
            if out is not None:
                out.write(piece)
    return tuple(sums.values().items()), tuple(findings)


def carve(
    run: Run,
    image: OpenImage,
    *,
    to: str | os.PathLike[str] | None = None,
    everything: bool = False,
    types: Sequence[str] = (),
    known: dict[str, str] | None = None,
    blocks: BlockSet | None = None,
    engine: Engine = "native",
    decode: Decoder | None = None,
    depth: int = 4,
    references: Sequence[str | os.PathLike[str]] = (),
    keys: Keys | None = None,
) -> Iterator[CarvedFile]:
    """Files found by their own structure, by zone: first those whose pieces the file system's lists join, then the
    others in ascending offset, then those in decoded regions.

    to          folder to write them to, named after type and image offset; what is not proven to its end goes to UNPROVEN there
    everything  every byte offset, not only unallocated space
    types       carver names; empty is all.  known   SHA-256 hex -> path of content that is listed already
    blocks      digests of known blocks: where they fill a range (knownblocks.LEAST) nothing is looked for, and the ledger says so
    decode      what is decoded and carved too (api.searching.decoding); depth   levels of it
    references  files of the same cameras, which tell how to open recordings without header; those of the image are asked too
    keys        for locked volumes, instead of the run's
    """
    image.use(run, keys)
    carvers = run.catalog.carvers
    if types:
        unknown = set(types) - {c.name for c in carvers}
        if unknown:
            raise UsageError(f"no carver {', '.join(sorted(unknown))}; there are {', '.join(c.name for c in carvers)}")
        carvers = tuple(c for c in carvers if c.name in types)
    folder = None if to is None else new_folder(to)
    seen = dict(known or {})
    for volume in image.volumes():
        _passed_over(run, volume, engine)
    with ExitStack() as stack:
        given = [FileSource(path) for path in references]
        for reference in given:
            stack.callback(reference.close)
        for zone in zones(run, image, everything, engine):
            yield from _zone(run, zone, carvers, folder, seen, blocks, given)
            if decode is not None:
                yield from _decoded(run, zone, carvers, folder, seen, decode, depth)


def _passed_over(run: Run, volume: OpenVolume, engine: Engine) -> None:
    """Say of a volume that is not carved that it is not, and why."""
    where = f"volume {volume.name}"
    if volume.locked:
        run.ledger.skipped("carving", volume.size, "encrypted, and no key opens it", where)
        try:
            volume.filesystem(engine)
        except EvidenceError as error:
            run.budget("carve", where).report(error)
    elif volume.member_of:
        why = f"a member of {volume.member_of}: the volumes that it is part of are carved, its own metadata is not"
        run.ledger.skipped("carving", volume.size, why, where)


def _zone(
    run: Run,
    zone: Zone,
    carvers: Sequence[Carver],
    to: Path | None,
    seen: dict[str, str],
    blocks: BlockSet | None,
    references: Sequence[ByteSource],
) -> Iterator[CarvedFile]:
    volume = zone.volume
    budget = run.budget("carve", f"volume {volume.name}")
    source = VolumeSource(Place.of(volume, "native"))

    def progress(done: int, total: int) -> None:
        run.progress(f"carve volume {volume.name}", done, total)

    known = list(known_ranges(run, source, zone.ranges, blocks, budget)) if blocks is not None else []
    if known:
        run.ledger.skipped("carving", sum(n for _, n in known), "every block is in the set of known blocks", f"volume {volume.name}")
    asked: deque[tuple[Carved, Pieces, str]] = deque()

    def contents() -> Iterator[_Content]:
        for hit, pieces in _hits(run, zone, carvers, source, known, budget, progress, references):
            written = _named(volume, hit, pieces) if to is not None else ""
            asked.append((hit, pieces, written))
            if to is not None:
                (to / written).parent.mkdir(parents=True, exist_ok=True)
            yield _Content(source, pieces, os.fspath(to / written) if to is not None else "", hit.find.supplied)

    for digests, findings in run.map(_write, contents(), window=16):
        hit, pieces, written = asked.popleft()
        for finding in findings:
            budget.report(finding)
        where = _Origin(_on_image(volume, pieces), pieces)
        yield _finished(volume, hit, where, written, digests, to, seen)


def _hits(
    run: Run,
    zone: Zone,
    carvers: Sequence[Carver],
    source: ByteSource,
    known: Sequence[tuple[int, int]],
    budget: Budget,
    progress: Callable[[int, int], None],
    references: Sequence[ByteSource],
) -> Iterator[tuple[Carved, Pieces]]:
    """Finds and their pieces outside the ``known`` ranges: first what the file system's lists join."""
    joined = list(_joined(zone, carvers, source, budget))
    yield from joined
    known = [*known, *(piece for _, pieces in joined for piece in pieces)]
    hits = carve_source(
        source,
        carvers,
        budget=budget,
        ranges=zone.ranges,
        known=known,
        executor=run.executor,
        progress=progress,
        block=_block(zone),
        kin=lambda: _kin(zone, carvers, references),
    )
    for hit in hits:
        yield hit, hit.find.pieces or ((hit.offset, hit.length),)


def _kin(zone: Zone, carvers: Sequence[Carver], references: Sequence[ByteSource]) -> Iterator[ByteSource]:
    """What the caller gave, and listed files of types that tell how to open what lacks its header."""
    yield from references
    kinds = tuple(f".{e}" for c in carvers if c.rebuild is not None for e in {c.extension, *(k.extension for k in c.kinds)})
    for entry in zone.system.walk(deleted=False) if zone.system is not None else ():
        if entry.kind == "file" and entry.name.lower().endswith(kinds):
            try:
                yield entry.open()
            except (EvidenceError, UsageError):
                continue  # a file that cannot be opened is told where files are read


def _block(zone: Zone) -> int:
    """Where pieces of files may begin: at multiples of this; blocks of the file system where all its free ranges do."""
    block = zone.system.block_size if zone.system is not None else 0
    for start, length in zone.ranges if block else ():
        block = math.gcd(block, start, length)
    return block if block > SECTOR and block % SECTOR == 0 else SECTOR


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
            here = f"{path}{region.offset + shift + (0 if via else max(0, volume.start))}-{name.upper()}-"
            for hit in carve_source(region.source, carvers, budget=budget):
                where = _Origin(runs, (), steps, f"{here}{hit.offset}")
                place = where.path if volume.start >= 0 else f"{volume.name}-{where.path}"
                written = f"{_folder(hit)}/{place}.{hit.extension}" if to is not None else ""
                if to is not None:
                    (to / written).parent.mkdir(parents=True, exist_ok=True)
                content = hit.open(region.source)
                target = os.fspath(to / written) if to is not None else ""
                digests, findings = _write(_Content(content, ((0, content.size),), target))
                for finding in findings:
                    budget.report(finding)
                yield _finished(volume, hit, where, written, digests, to, seen)
            if len(steps) < depth:
                yield from inside(region.source, 0, steps, here)

    for low, high in joined_runs(source.size, zone.ranges):
        yield from inside(source.slice(low, high - low), low, (), "")


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


def _on_image(volume: OpenVolume, pieces: Pieces) -> Pieces:
    if volume.start >= 0:
        return tuple((volume.start + start, length) for start, length in pieces)
    spans = merge(span for start, length in pieces for span in volume.trace(start, length) if span.root)
    return tuple((span.start, span.length) for span in spans) or ((-1, 0),)


def _named(volume: OpenVolume, hit: Carved, pieces: Pieces) -> str:
    """Type and place: the image offset, or the volume and the offset in it where that is not one."""
    place = f"{volume.start + pieces[0][0]:012x}" if volume.start >= 0 else f"{volume.name}-{pieces[0][0]:012x}"
    return f"{_folder(hit)}/{place}.{hit.extension}"


def _folder(hit: Carved) -> str:
    return hit.extension if certain(hit) else f"{UNPROVEN}/{hit.extension}"


@dataclass(frozen=True, slots=True)
class _Origin:
    """Image ranges behind a find, ranges of the volume, what was decoded, and where it is."""

    runs: Pieces
    pieces: Pieces = ()
    via: tuple[str, ...] = ()
    path: str = ""


def _finished(
    volume: OpenVolume,
    hit: Carved,
    origin: _Origin,
    written: str,
    digests: tuple[tuple[str, str], ...],
    to: Path | None,
    seen: dict[str, str],
) -> CarvedFile:
    """The find as told; what was written and is known already is taken away again."""
    start, sha256 = origin.runs[0][0] if origin.runs else 0, dict(digests)["sha256"]
    same = seen.get(sha256, "")
    if same.startswith(f"carved/{UNPROVEN}/") and certain(hit):
        same = ""  # the same bytes, proven this time: they belong with the proven ones
        del seen[sha256]
    if same and to is not None:
        (to / written).unlink()
        written = ""
    seen.setdefault(sha256, f"carved/{written}" if written else f"offset {origin.path or start}")
    return CarvedFile(
        volume.name, start, hit.length, hit.carver, hit.find, digests, origin.runs, written, same, origin.pieces, origin.via, origin.path
    )  # fmt: skip
