"""From paths to an image, its volumes and their file systems. Detection stands here and nowhere else:
content first, name second, and a failure says what was tried and why each said no."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Literal

from forensiclib.api import shadows
from forensiclib.api.run import Run
from forensiclib.api.verifying import Verification, verified
from forensiclib.core.batch import Batch
from forensiclib.core.declare import FileSystemFormat, ImageFormat, VolumeLayer
from forensiclib.core.entry import Entry, FileSystem, Image, Lock, Volume
from forensiclib.core.errors import EvidenceError, Locked, NotThisFormat, Unsupported, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.core.span import Span
from forensiclib.crypto._looks import looks_random, structureless
from forensiclib.images._files import ends, exists
from forensiclib.images.remote import RemotePath, Traffic, located

__all__ = ["Engine", "OpenImage", "OpenVolume", "Verification", "open_image", "placed", "stacked", "table"]

Engine = Literal["native", "tsk"]
HEAD = 1 << 16
"""Bytes looked at for signatures; the furthest that a container's magic lies from its start."""
TAIL = 512
"""Bytes at the end looked at for the signatures of containers whose header stands there."""


class OpenVolume(Volume):
    """A volume that can open its file system. ``name`` is what paths start with ("2" in "2:/Windows").

    Reading it goes on past damage: an unreadable grain reads as zero and is a finding of the Run.
    ``strict`` is the same bytes with damage raised; ``damaged`` says whether any was met so far.
    lock       what was recognised of its encryption; None for none
    layers     the chain from the container to here
    base       of a shadow copy: the volume that it is of
    member_of  the layer that this volume is nothing but a member of ("lvm"); "" for none
    """

    __slots__ = ("_strict", "_systems", "base", "damaged", "image", "layers", "lock", "member_of", "name", "run")

    def __init__(
        self, image: OpenImage, volume: Volume, run: Run, name: str = "", below: tuple[str, ...] = (), lock: Lock | None = None
    ) -> None:
        self._strict = volume.data
        super().__init__(
            fill_bad(volume.data, self._bad, image.sector_size),
            index=volume.index,
            start=volume.start,
            scheme=volume.scheme,
            kind=volume.kind,
            type_code=volume.type_code,
            label=volume.label,
            state=volume.state,
            locked=volume.locked,
            facts=volume.facts,
            spans=volume.spans,
            shadow=volume.shadow,
        )
        self.image, self.run, self.damaged, self.lock, self.member_of = image, run, False, lock, ""
        self.name = name or (f"gap@{self.start}" if self.state == "slack" else str(self.index))
        self.base: OpenVolume | None = None
        self.layers = below or (image.format, f"{self.scheme}:{self.name}")
        self._systems: dict[str, FileSystem] = {}

    @property
    def strict(self) -> ByteSource:
        """Its bytes with damage raised."""
        return self._strict

    def _bad(self, error: EvidenceError) -> None:
        self.damaged = True
        self.image.run.budget("read").report(error, self.image.name)

    def candidates(self, engine: Engine = "native") -> tuple[FileSystemFormat, ...]:
        """Formats whose probe says yes, in the order they would be tried."""
        return tuple(f for f in self.run.catalog.filesystems if (f.engine == engine or engine == "native") and f.probe(self))

    @property
    def unknown(self) -> bool:
        """Nothing was recognised on it: it may be encrypted in a way that shows with a key only."""
        return not (self.lock or self.member_of or self.state == "slack" or self.candidates())

    def filesystem(self, engine: Engine = "native") -> FileSystem:
        """The file system on the volume; the same object at every call.

        "native" prefers forensiclib's own readers and falls back to The Sleuth Kit where there is none;
        "tsk" is The Sleuth Kit only. Raises Locked, or Unsupported naming what was tried.
        """
        if engine in self._systems:
            return self._systems[engine]
        if self.locked:
            how = f" ({self.lock.format}: give a {' or a '.join(self.lock.needs)})" if self.lock else ""
            raise Locked("volume", self._span(), f"encrypted, and no key opens it{how}")
        if self.member_of:
            raise Unsupported("file system", self._span(), f"a member of {self.member_of}: its volumes hold the file systems")
        tried = []
        for form in self.candidates(engine):
            budget = self.run.budget(form.name, f"volume {self.name}")
            try:
                opener = form.isolated if self.run.isolate and form.isolated is not None else form.open
                return self._systems.setdefault(engine, opener(self, budget))
            except EvidenceError as error:
                tried.append(f"{form.name}: {error}")
        if tried:
            raise Unsupported("file system", self._span(), "; ".join(tried))
        entropy = 0.0 if self.lock else structureless(self)
        found = f"; its bytes have no structure ({entropy:.4f} bits each): it may be an encrypted container, which only a key shows"
        raise Unsupported("file system", self._span(), "no known file system begins here" + (found if entropy else ""))

    def mount(self, system: FileSystem) -> None:
        """Take a file system that was opened elsewhere as this volume's own."""
        self._systems["native"] = system

    def close(self) -> None:
        """End the file systems that were opened on it."""
        systems, self._systems = self._systems, {}
        for fs in systems.values():
            fs.close()

    def free(self, engine: Engine = "native") -> tuple[tuple[int, int], ...] | None:
        """The (start, length) ranges in no file; None, and a finding, when the file system's own table of them
        cannot be read. Of a shadow copy without what is not part of it. Raises EvidenceError without a file system."""
        system = self.filesystem(engine)
        try:
            ranges = system.unallocated()
            return ranges if self.shadow is None else shadows.without(ranges, self.shadow.foreign())
        except EvidenceError as error:
            self.run.budget(system.format, f"volume {self.name}").report(error, "free space")
            return None

    def _span(self) -> Span | None:
        spans = self.trace(0, min(self.size, 512))
        return spans[0] if spans else None


def placed(volume: Volume, at: int) -> int:
    """The image offset of a byte of a volume; of a decrypted or assembled one that of the first stored byte behind it,
    -1 for what is stored nowhere."""
    if volume.start >= 0:
        return volume.start + at
    spans = volume.trace(at, 1)
    return spans[0].start if spans else -1


def table(source: ByteSource, run: Run, sector_size: int, where: str) -> list[Volume]:
    """The volumes of the first partition table that ``source`` has; empty for none."""
    for system in run.catalog.volumes:
        budget = run.budget(system.name, where)
        for attempt in (source, fill_bad(source, budget.report, sector_size)):
            try:
                return system.open(attempt, sector_size, budget)
            except NotThisFormat:
                break
            except EvidenceError as error:
                if attempt is not source:
                    budget.report(error)
    return []


class OpenImage(Image):
    """An opened image: a ByteSource of its media, a context manager, the first step of the staircase.

    lock   what was recognised of the encryption of the whole disk, when its volumes were asked for; None for none
    """

    __slots__ = ("_volumes", "disk", "lock", "others", "paths", "run", "snapshot")

    def __init__(self, image: Image, paths: tuple[str, ...], run: Run, snapshot: str = "", others: Sequence[OpenImage] = ()) -> None:
        super().__init__(
            image.data,
            format=image.format,
            name=image.name,
            facts=image.facts,
            hashes=image.hashes,
            sector_size=image.sector_size,
            bad_sectors=image.bad_sectors,
            parts=image.parts,
            close_with=image.close_with,
            snapshots=image.snapshots,
            tree=image.tree,
            checks=image.checks,
            tracks=image.tracks,
            seals=image.seals,
        )
        self.paths, self.run, self.snapshot, self.others = paths, run, snapshot, tuple(others)
        self._volumes: list[OpenVolume] | None = None
        self.disk: ByteSource = self.data
        self.lock: Lock | None = None

    def __enter__(self) -> OpenImage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file systems, then the files behind the image."""
        for volume in self._volumes or ():
            volume.close()
        for other in self.others:
            other.close()
        super().close()

    @property
    def traffic(self) -> Traffic | None:
        """What reading has cost so far; None when no part of the image is remote."""
        return next((path.line.traffic for path in self.paths if isinstance(path, RemotePath)), None)

    def verify(self, algorithms: Sequence[str] = ()) -> Verification:
        """Read the whole media once, check every stored chunk checksum, compare the stored digests.

        algorithms   digests to compute beside the stored ones; MD5 and SHA-1 when nothing is stored
        """
        return verified(self, self.run, algorithms)

    def use(self, run: Run, keys: Keys | None = None) -> None:
        """Work for that run from now on, with these keys instead of its own when they are given."""
        self.run = run
        if keys is not None:
            self.volumes(keys)

    def volumes(self, keys: Keys | None = None) -> list[OpenVolume]:
        """The volumes in disk order, gaps included as state "slack"; the whole image as volume 0 when
        there is no partition table. Then the volumes that these make (LVM, RAID, snapshots), named after the first
        of them and the layer: "2.lvm1". Volumes of other images are called "with1.2". ``keys``
        replaces those of the Run."""
        if keys is not None and keys != self.run.keys:
            self.run.keys = keys
            if self._volumes is not None and any(v.locked or v.unknown for v in self._volumes):
                for volume in self._volumes:
                    volume.close()
                self._volumes = None
        if self._volumes is None and self.tree is not None:
            files = OpenVolume(self, Volume(self.data, index=0, start=0, scheme="logical", kind="logical evidence"), self.run)
            files.mount(self.tree)
            self._volumes = [files]
        if self._volumes is None:
            self.disk, self.lock = _disk_opened(self)
            self._volumes = stacked(self, divided(self))
        return self._volumes

    def _whole(self) -> Volume:
        return Volume(self.disk, index=0, start=0, scheme="none", kind="whole image")

    def volume(self, name: str) -> OpenVolume:
        """The volume of that name ("2"); UsageError when there is none."""
        for volume in self.volumes():
            if volume.name == name:
                return volume
        raise UsageError(f"no volume {name!r}; there are {', '.join(v.name for v in self.volumes())}")

    def find(self, where: str, engine: Engine = "native", *, deleted: bool = False) -> Entry:
        """The allocated entry at "VOLUME:/path" ("2:/Windows/notepad.exe"), or with ``deleted`` the one entry
        of that path that is not allocated. UsageError when there is none, or more than one deleted."""
        name, colon, path = where.partition(":")
        path = path.strip("/")
        if not colon or not path:
            raise UsageError(f"{where}: write VOLUME:/PATH, such as 1:/Users")
        system = self.volume(name).filesystem(engine)
        if not deleted:
            try:
                return system.get(path)
            except UsageError as error:
                raise UsageError(f"{where}: no such file or folder among the allocated ones of volume {name}") from error
        found = [e for e in system.walk() if e.state != "allocated" and e.path.casefold() == path.casefold()]
        if len(found) != 1:
            which = "no deleted file of that path" if not found else f"{len(found)} deleted files of that path; recover writes them all"
            raise UsageError(f"{where}: {which}")
        return found[0]

    def listing(self, engine: Engine = "native") -> list[tuple[OpenVolume, Batch]]:
        """(volume, files table) for every volume that has a readable file system; the others go to the
        findings. Of shadow copies, when the run asks for them, the rows in which they differ from their volume."""
        out = []
        for volume in self.volumes():
            if volume.state == "slack" or volume.member_of or shadows.passed_over(volume):
                continue
            try:
                out.append((volume, shadows.shown(volume, engine)))
            except EvidenceError as error:
                self.run.budget("listing").report(error, f"volume {volume.name}")
                if volume.locked:
                    self.run.ledger.skipped("files", volume.size, "encrypted, and no key opens it", f"volume {volume.name}")
        return out


def _expand(evidence: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    if isinstance(evidence, (str, os.PathLike)):
        path = located([os.fspath(evidence)])[0]
        if isinstance(path, RemotePath):
            return (path,)
        if not os.path.exists(path) and glob.has_magic(path):
            found = tuple(sorted(glob.glob(path)))
            if not found:
                raise UsageError(f"{path}: no file matches")
            return found
        return (path,)
    paths = tuple(located([os.fspath(p) for p in evidence]))
    if not paths:
        raise UsageError("no evidence given")
    return paths if len(paths) > 1 else _expand(paths[0])


def _order(formats: Sequence[ImageFormat], head: bytes, tail: bytes, suffix: str) -> list[ImageFormat]:
    """Formats to try: signature first, then the one at the end, then extension, then the catch-all."""
    by_content = [f for f in formats if any(s.matches(head) for s in f.signatures)]
    by_content += [f for f in formats if f not in by_content and any(s.matches(tail) for s in f.trailers)]
    by_name = [f for f in formats if suffix in f.extensions and not f.catch_all and f not in by_content]
    return [*by_content, *by_name, *(f for f in formats if f.catch_all and f not in by_content)]


def _inside(path: str, formats: Sequence[ImageFormat]) -> str:
    """The file that stands for a folder which one format is kept in; UsageError for any other folder."""
    for form in formats:
        inner = os.path.join(path, form.folder)
        if form.folder and os.path.isfile(inner):
            return inner
    names = ", ".join(f.folder for f in formats if f.folder)
    raise UsageError(f"{path}: a directory, and no {names} in it; name the image")


def _named(formats: Sequence[ImageFormat], wanted: str) -> ImageFormat:
    """The format of that name; of "name:text" the one that goes by the text. UsageError for none."""
    name, colon, text = wanted.partition(":")
    for form in formats:
        if form.name == name and not colon:
            return form
        if form.name == name and form.configure is not None:
            return replace(form, open=form.configure(text))
    raise UsageError(f"no image format {wanted!r}; there are {', '.join(f.name for f in formats)}")


def _at_snapshot(image: Image, wanted: str) -> Image:
    """The image as it was at the snapshot of that id or name."""
    found = [s for s in image.snapshots if s.id == wanted] or [s for s in image.snapshots if s.name == wanted]
    if len(found) != 1:
        there = ", ".join(f"{s.id} ({s.name})" for s in image.snapshots) or "none"
        image.close()
        raise UsageError(f"{image.name}: {len(found) or 'no'} snapshots called {wanted!r}; there are {there}")
    return Image(
        found[0].data, format=image.format, name=image.name, facts={**image.facts, "snapshot": found[0].id, "snapshot_name": found[0].name},
        sector_size=image.sector_size, parts=image.parts, close_with=image.close_with, snapshots=image.snapshots,
    )  # fmt: skip


def open_image(
    evidence: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | ByteSource,
    *,
    run: Run | None = None,
    format: str | None = None,
    snapshot: str = "",
    others: Sequence[str | os.PathLike[str] | Sequence[str | os.PathLike[str]]] = (),
    keys: Keys | None = None,
) -> OpenImage:
    """Open evidence read-only.

    evidence   a path (the first segment of a set is enough), a glob, a list of segments, a folder that is an image (.hdd), an address
               (https://, s3://, whatever fsspec knows; see images/remote.py), or a ByteSource.
               Of a virtual disk the first path is the disk, the others are what it may need: its parents, extents
    format     name of an image format to insist on; None detects by content, then by name. "name:text" for a format that must be
               told what its content does not say ("nand:2048+64")
    snapshot   id or name of one of ``image.snapshots``: the disk as it was then; "" is the disk as it is
    others     further images whose volumes are members of what is on this one (disks of an array, of a volume group); all
               their volumes are listed too. Digests and verify() are of the first alone
    keys       for locked volumes; they replace those of the Run
    Raises UsageError for a path that is not there, EvidenceError when the content cannot be opened: a
    container that is damaged is never read as raw instead.
    """
    run = run or Run()
    if keys is not None:
        run.keys = keys
    if others:
        with ExitStack() as opened:
            first = opened.enter_context(open_image(evidence, run=run, format=format, snapshot=snapshot))
            first.others = tuple(opened.enter_context(open_image(other, run=run)) for other in others)
            opened.pop_all()
            return first
    if isinstance(evidence, ByteSource):
        return OpenImage(Image(evidence, format="source", name=_root_of(evidence)), (), run)
    paths = _expand(evidence)
    line = next((path.line for path in paths if isinstance(path, RemotePath)), None)
    if line is not None:
        line.cancelled = run.cancelled
    for path in paths:
        if not exists(path):
            denied = f" ({line.notes[path.name]})" if line is not None and isinstance(path, RemotePath) and path.name in line.notes else ""
            raise UsageError(f"{path}: no such file{denied}")
    formats = run.catalog.images
    folder = os.path.isdir(paths[0])
    paths = tuple(_inside(path, formats) if os.path.isdir(path) else path for path in paths)
    head, tail = ends(paths[0], HEAD, TAIL)
    if format is not None:
        order = [_named(formats, format)]
    else:
        order = _order(formats, head, tail, os.path.splitext(paths[0])[1].lower())
        if folder:  # the file that stood for it is no disk by itself
            order = [form for form in order if not form.catch_all]
    tried = []
    for form in order:
        try:
            image = form.open(paths, run.budget(form.name, os.path.basename(paths[0])))
        except NotThisFormat as error:
            tried.append(f"{form.name}: {error}")
            continue
        if form.catch_all and tried:
            found = f"read as {form.name}: its name or its first bytes promise more than the content holds ({'; '.join(tried)})"
            run.budget(form.name).report(Finding.note("image", found, os.path.basename(paths[0])))
        if line is not None:
            image.facts = {**image.facts, **line.facts()}
            for finding in line.findings():
                run.budget("remote").report(finding)
        return OpenImage(_at_snapshot(image, snapshot) if snapshot else image, paths, run, snapshot)
    raise NotThisFormat(os.path.basename(paths[0]), None, "; ".join(tried) or "no format recognises it")


def _root_of(source: ByteSource) -> str:
    spans = source.trace(0, 1)
    return spans[0].root if spans else "source"


def divided(image: OpenImage) -> list[Volume]:
    """The tracks or partitions of an image; the image as one volume when it has none, or when the whole of it looks like a
    member of an array or group (scheme "disk")."""
    if image.tracks:
        return list(image.tracks)
    source = fill_bad(image.disk, image.run.budget("read").report, image.sector_size)
    if any(layer.disks is not None and layer.disks(source) for layer in image.run.catalog.layers):
        return [Volume(image.disk, index=0, start=0, scheme="disk", kind="whole disk")]
    return table(image.disk, image.run, image.sector_size, image.name) or [image._whole()]


def stacked(image: OpenImage, base: Sequence[Volume]) -> list[OpenVolume]:
    """Volumes of volumes: what keys unlock, what LVM, RAID and snapshots make, partition tables inside of these; until
    nothing new comes. A volume that is only a member keeps its place in the list and says of what."""
    run = image.run
    found = [_opened(image, v) for v in base]
    for number, other in enumerate(image.others, 1):
        for volume in divided(other):
            where = f"gap@{volume.start}" if volume.state == "slack" else str(volume.index)
            volume.start = -1  # it does not lie in the first image: see trace
            found.append(_opened(image, volume, None, f"with{number}.{where}", (other.format, f"{volume.scheme}:{where}")))
    fresh, asked = list(found), set[tuple[str, str]]()
    for _ in range(run.limits.depth):
        made: list[OpenVolume] = []
        for layer in run.catalog.layers:
            if layer.deep and run.shadows != "deleted":
                continue
            members = [v for v in found if _may_join(v) and (layer.name, v.name) not in asked and layer.probe(v)]
            if not any(v in fresh for v in members):
                continue
            for group in [members] if layer.joins else [[v] for v in members]:
                made += _layered(image, layer, group)
            asked.update((layer.name, v.name) for v in members)
        for volume in fresh:
            if volume.lock is not None and not volume.locked:
                made += [_opened(image, other, volume, f"{volume.name}.{other.scheme}{other.index}") for other in volume.lock.others]
            if not _may_join(volume) or (len(volume.layers) < 3 and volume.scheme != "disk"):
                continue  # partition tables are looked for in what layers and keys gave and in whole disks; others were read
            inside = table(volume, run, image.sector_size, f"volume {volume.name}")
            if not inside and volume.scheme == "disk":
                inside = [Volume(volume.strict, index=0, start=0, scheme="none", kind="whole image")]
            for inner in inside:
                volume.member_of = inner.scheme
                name = f"gap@{inner.start}" if inner.state == "slack" else str(inner.index)
                made.append(_opened(image, _moved(inner, volume), volume, f"{volume.name}.{name}"))
        if not made:
            break
        found += made
        fresh = made
    return found


def _may_join(volume: OpenVolume) -> bool:
    return not (volume.locked or volume.member_of or volume.state == "slack")


def _layered(image: OpenImage, layer: VolumeLayer, members: list[OpenVolume]) -> list[OpenVolume]:
    where = f"volume {members[0].name}"
    try:
        volumes = layer.open(members, image.run.budget(layer.name, where))
    except NotThisFormat:
        return []
    except EvidenceError as error:
        image.run.budget(layer.name, where).report(error)
        return []
    if layer.consumes:
        for member in members:
            member.member_of = layer.name
    return [_opened(image, v, members[0], f"{members[0].name}.{layer.name}{v.index}") for v in volumes]


def _moved(inner: Volume, outer: OpenVolume) -> Volume:
    """The same with its start counted in the image, where it has one."""
    start = outer.start + inner.start if outer.start >= 0 else -1
    return Volume(
        inner.data, index=inner.index, start=start, scheme=inner.scheme, kind=inner.kind, type_code=inner.type_code, label=inner.label,
        state=inner.state, locked=inner.locked,
    )  # fmt: skip


def _opened(image: OpenImage, volume: Volume, parent: OpenVolume | None = None, name: str = "", root: tuple[str, ...] = ()) -> OpenVolume:
    """The volume, unlocked when one of the run's keys opens it."""
    run = image.run
    below = (*parent.layers, f"{volume.scheme}:{volume.index}") if parent is not None else root
    plain = OpenVolume(image, volume, run, name, below)
    plain.base = parent if volume.shadow is not None else None
    if _decrypted(plain):
        plain.lock = image.lock
    if volume.state == "slack" or volume.locked or volume.scheme == "disk":
        return plain  # what a whole disk begins with may be the array's
    for form in run.catalog.encryptions:
        if form.disk or (form.unmarked and (not run.keys or plain.candidates() or plain.lock)):
            continue
        if not form.probe(plain):
            continue
        budget = run.budget(form.name, f"volume {plain.name}")
        try:
            lock = form.open(plain, budget)
        except NotThisFormat:
            continue
        except EvidenceError as error:
            budget.report(error)
            continue
        try:
            data, locked = lock.unlock(run.keys, budget), False
        except Locked:
            if form.unmarked:
                continue
            data, locked = volume.data, True
        except EvidenceError as error:
            budget.report(error)
            data, locked = volume.data, True
        facts = Volume(
            data, index=volume.index, start=volume.start if locked else -1, scheme=volume.scheme, kind=volume.kind,
            type_code=volume.type_code, label=volume.label, state=volume.state, locked=locked, facts=volume.facts, spans=volume.spans,
        )  # fmt: skip
        return OpenVolume(image, facts, run, plain.name, (*plain.layers, form.name), lock)
    if image.lock is not None and image.disk is image.data and looks_random(volume.read_at(0, 512)) and not plain.candidates():
        volume.locked = True  # a part of what the disk's boot loader would decrypt
        return OpenVolume(image, volume, run, plain.name, plain.layers, image.lock)
    return plain


def _decrypted(volume: OpenVolume) -> bool:
    """Whether its first sector is what the encryption of the whole disk gave."""
    lock = volume.image.lock
    return lock is not None and any(lock.format in span.via for span in volume.trace(0, 512))


def _disk_opened(image: OpenImage) -> tuple[ByteSource, Lock | None]:
    """The disk, decrypted when a key opens the encryption of its system; and the lock, when it is certain that there is one."""
    run = image.run
    for form in run.catalog.encryptions:
        if not form.disk or not form.probe(image.data):
            continue
        budget = run.budget(form.name, image.name)
        try:
            lock = form.open(image.data, budget)
            if not run.keys and not lock.facts:
                continue
            return lock.unlock(run.keys, budget), lock
        except NotThisFormat:
            continue
        except Locked as error:
            if lock.facts:  # its boot loader names it
                budget.report(error)
                return image.data, lock
        except EvidenceError as error:
            budget.report(error)
    return image.data, None
