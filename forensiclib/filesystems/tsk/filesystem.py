"""The FileSystem over a Reader and a Native: the tree walked once, every name with its content's place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from forensiclib.core.entry import Entry, FileSystem, Stream, Verdict
from forensiclib.core.errors import Corrupt, EvidenceError, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource, ExtentSource, clip
from forensiclib.core.span import Span, merge
from forensiclib.filesystems.tsk.blocks import free_ranges
from forensiclib.filesystems.tsk.named import Attr, Named, Reader, Run
from forensiclib.filesystems.tsk.native import LABEL_SUFFIX, Facts, Native, Place, Recovered, unix_times
from forensiclib.filesystems.tsk.others import attach

__all__ = ["TskFileSystem"]

ORPHANS = b"$OrphanFiles"
MAIN = {0x01, 0x80, 0x1100, 0x1105}
"""Attribute types of main content: default, NTFS $DATA, HFS data fork, HFS compressed."""
HFS_RESOURCE, HFS_EXTENDED, INDIRECT = 0x1101, 0x1102, 0x1001
KINDS = {HFS_RESOURCE: ("rsrc", "fork"), 0x90: ("$INDEX_ROOT", "index"), 0xA0: ("$INDEX_ALLOCATION", "index")}
META_ALLOCATED = 1


class _Decoded(ByteSource):
    """Content that The Sleuth Kit decodes. The trace names the stored runs, through it."""

    __slots__ = ("_at", "_base", "_reader", "_runs", "size")

    def __init__(self, reader: Reader, at: tuple[int, int, int], size: int, base: ByteSource, runs: Sequence[Run]) -> None:
        self._reader, self._at, self.size, self._base, self._runs = reader, at, size, base, tuple(runs)

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            piece = self._reader.read(*self._at, offset + done, min(n - done, 1 << 20))
            if not piece:
                raise Corrupt("content", None, f"inode {self._at[0]} ends at {offset + done} of {self.size} bytes")
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        if not clip(offset, n, self.size):
            return ()
        spans = [s.through("tsk") for start, length in self._runs if start is not None for s in self._base.trace(start, length)]
        return merge(spans) or (Span("", 0, clip(offset, n, self.size), ("tsk",), False),)


@dataclass(slots=True)
class _Index:
    """Where ids live, so that entry(id) need not walk: id to directory, directory to path."""

    places: dict[int, int] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    orphans: set[int] = field(default_factory=set)
    deleted: list[Named] = field(default_factory=list)


class TskFileSystem(FileSystem):
    """One volume through The Sleuth Kit. Damage met while walking goes to the Budget it was opened with."""

    def __init__(self, source: ByteSource, kind: str, reader: Reader, native: Native, budget: Budget) -> None:
        attach(native, reader)
        self.format = f"tsk.{kind}"
        self.serial = reader.info.serial
        self.block_size = native.blocks.size if native.blocks is not None else reader.info.block_size
        self.case_sensitive = native.case_sensitive
        self._source, self._reader, self._native, self._budget = source, reader, native, budget
        self._lock = threading.Lock()
        self._known: _Index | None = None
        self._reports = threading.Lock()
        self._reported: set[Finding] = set()
        self.label = native.label or self._label()

    def close(self) -> None:
        """End what the reader holds (the process of an isolated one)."""
        self._reader.close()

    def walk(self, deleted: bool = True) -> Iterator[Entry]:
        """Depth first in the directories' own order; then orphans; then what the journal adds."""
        noise = 0
        for named in self._names(deleted):
            entry = self._entry(named)
            if entry is None:
                noise += 1
            elif deleted or entry.state == "allocated":
                self._budget.item()
                yield entry
        if noise:
            text = f"{noise} slots in unallocated clusters cannot be directory entries and were left out"
            self._report(Finding.note("orphans", text, ORPHANS.decode()))
        if deleted:
            for found in self._native.recovered(self._place(), self._budget):
                self._budget.item()
                yield self._recovered(found)

    def get(self, path: str) -> Entry:
        parts = path.split("/") if path else []
        inode, directory = self._reader.info.root, ""
        entry: Entry | None = None
        for depth, part in enumerate(parts):
            entry = self._child(inode, directory, part)
            if entry is None or (depth + 1 < len(parts) and entry.kind != "directory"):
                raise UsageError(f"no entry {path!r}")
            inode, directory = entry.id, entry.path
        if entry is None:
            raise UsageError("the root directory has no entry; name something in it")
        return entry

    def _child(self, inode: int, directory: str, name: str) -> Entry | None:
        folded = name.casefold()
        for named in self._list(inode, directory, False):
            entry = self._entry(named)
            if entry is None or entry.state != "allocated":
                continue
            if entry.name == name or (not self.case_sensitive and entry.name.casefold() == folded):
                return entry
        return None

    def entry(self, id: int, sequence: int | None = None) -> Entry:
        index = self._index()
        if (directory := index.places.get(id)) is not None:
            lost = index.paths[directory] == ORPHANS.decode()
            listed = self._orphans(directory, set()) if lost else self._list(directory, index.paths[directory], directory in index.orphans)
            for named in listed:
                if named.addr == id and (found := self._entry(named)) is not None and sequence in (None, found.sequence):
                    return found
        for recovered in self._native.recovered(self._place(), Budget(self._budget.limits)):
            if recovered.id == id and sequence in (None, recovered.facts.sequence or 0):
                return self._recovered(recovered)
        for named in self._names(True):  # the same id under another name, with the sequence asked for
            if named.addr == id and (found := self._entry(named)) is not None and sequence in (None, found.sequence):
                return found
        raise UsageError(f"no entry with id {id}" + ("" if sequence is None else f" and sequence {sequence}"))

    def unallocated(self) -> tuple[tuple[int, int], ...]:
        if self._native.blocks is not None:
            return tuple(free_ranges(self._native.blocks, self._source.size))
        return self._in_no_file()

    def loose(self) -> Iterator[tuple[tuple[int, int], ...]]:
        try:
            yield from self._native.loose(Budget(self._budget.limits, self._budget.cancelled))
        except EvidenceError as error:
            self._report(Finding.of(error, "indirect blocks", self.format))

    def _in_no_file(self) -> tuple[tuple[int, int], ...]:
        """Without a table of free blocks: everything that no allocated content covers."""
        taken = sorted(
            (start, start + length)
            for named in self._names(False)
            for attr in named.attrs
            for start, length in attr.runs
            if start is not None and length
        )
        out: list[tuple[int, int]] = []
        at = 0
        for start, end in taken:
            if start > at:
                out.append((at, min(start, self._source.size) - at))
            at = max(at, end)
            if at >= self._source.size:
                break
        if at < self._source.size:
            out.append((at, self._source.size - at))
        return tuple((start, length) for start, length in out if length > 0)

    def _slack_of(self, stream: Stream) -> ByteSource | None:
        tail = stream.allocated - stream.size
        if tail <= 0 or stream.resident or stream.compressed or not stream.runs:
            return None
        return ExtentSource(self._source, stream.runs).slice(stream.size)

    def _label(self) -> str:
        """The volume label, where it is an entry of the root directory."""
        labels = [n.raw for n in self._list(self._reader.info.root, "", False) if n.live and n.raw.endswith(LABEL_SUFFIX)]
        return labels[0][: -len(LABEL_SUFFIX)].decode("utf-8", "backslashreplace").rstrip() if labels and labels[0][:1] != b"$" else ""

    def _names(self, deleted: bool) -> Iterator[Named]:
        """Every name, depth first. A directory is entered once, whoever names it, live names first."""
        root = self._reader.info.root
        visited = {root}
        told: set[int] = set()
        stack: list[Iterator[Named]] = [iter(self._list(root, "", False))]
        orphanage: list[Named] = []
        while stack:
            named = next(stack[-1], None)
            if named is None:
                stack.pop()
                if not stack and orphanage:
                    lost = orphanage.pop()
                    stack.append(self._orphans(lost.addr, told))
                continue
            if named.virtual and named.raw == ORPHANS:
                if deleted:
                    orphanage.append(named)
                continue
            if not deleted and not named.live:
                continue
            told.add(named.addr)
            yield named
            if named.kind != "directory" or not named.addr or named.addr in visited or not self._enter(named):
                continue
            if len(stack) >= self._budget.limits.depth:
                text = f"{_path(named)}: not entered, {len(stack)} levels above it"
                self._report(Finding("LimitExceeded", "directory", text, named.directory, self.format))
                continue
            visited.add(named.addr)
            stack.append(iter(self._list(named.addr, _path(named), named.orphan)))

    def _orphans(self, orphanage: int, told: set[int]) -> Iterator[Named]:
        """The names of The Sleuth Kit. One nameless directory without content makes it give none at all (seen in 4.15):
        then the inodes that the volume's own tables call deleted and no name (``told``) leads to, directories first."""
        try:
            found = self._reader.names(orphanage)
        except EvidenceError as error:
            lost = list(self._native.lost())
            if not lost:
                self._report(Finding.of(error, ORPHANS.decode(), self.format))
            for directories in (True, False):
                for number in lost:
                    named = self._nameless(number) if number not in told else None
                    if named is not None and (named.kind == "directory") is directories:
                        yield named.under(orphanage, ORPHANS.decode(), True)
            return
        yield from self._placed(found, orphanage, ORPHANS.decode(), True)

    def _nameless(self, inode: int) -> Named | None:
        try:
            return replace(self._reader.meta(inode), raw=b"OrphanFile-%d" % inode, live=False)
        except EvidenceError as error:
            self._report(Finding.of(error, ORPHANS.decode(), self.format))
            return None

    def _enter(self, named: Named) -> bool:
        """Not a deleted name whose inode lives again: it leads to another directory, walked under its own name. Nor
        one whose inode kept no content: there is nothing to enter, and that is no damage."""
        if not named.live and not named.virtual and not any(attr.size for attr in named.attrs):
            return False
        reused = not named.live and not named.orphan and named.meta is not None and named.meta.flags & META_ALLOCATED
        return not reused and self._native.facts(named, self._no_place()) is not None

    def _list(self, inode: int, directory: str, orphan: bool) -> list[Named]:
        try:
            found = self._reader.names(inode)
        except EvidenceError as error:
            self._report(Finding.of(error, directory, self.format))
            return []
        return self._placed(found, inode, directory, orphan)

    def _placed(self, found: Sequence[Named], inode: int, directory: str, orphan: bool) -> list[Named]:
        out = []
        for named in found:
            if named.broken:
                text = f"{named.raw.decode('utf-8', 'backslashreplace')}: {named.broken}"
                self._report(Finding("Corrupt", "directory entry", text, directory, self.format))
            if named.raw:
                out.append(named.under(inode, directory, orphan))
        return out

    def _report(self, finding: Finding) -> None:
        """Once each: the tree is walked more than once."""
        with self._reports:
            known = finding in self._reported
            self._reported.add(finding)
        if not known:
            self._budget.report(finding)

    def _index(self) -> _Index:
        with self._lock:
            if self._known is None:
                index = _Index(paths={self._reader.info.root: ""})
                for named in self._names(True):
                    index.places.setdefault(named.addr, named.parent)
                    if named.kind == "directory":
                        index.paths.setdefault(named.addr, _path(named))
                    if named.orphan:
                        index.orphans.add(named.parent)
                        index.paths.setdefault(named.parent, named.directory)
                    if not named.live or named.orphan:
                        index.deleted.append(named)
                self._known = index
            return self._known

    def _place(self) -> Place:
        return Place(lambda inode: self._index().paths.get(inode), lambda: iter(self._index().deleted))

    def _no_place(self) -> Place:
        return Place(lambda inode: None, lambda: iter(()))

    def _entry(self, named: Named) -> Entry | None:
        facts = self._native.facts(named, self._place())
        if facts is None:
            return None
        state: State = facts.state or ("orphan" if named.orphan else "allocated" if named.live else "deleted")
        meta = named.meta
        attributes: dict[str, Any] = {} if meta is None else {"mode": meta.mode, "uid": meta.uid, "gid": meta.gid}
        verdict: Verdict = facts.verdict or self._verdict(named, state)
        opener: Callable[[], Sequence[Stream]] | None = lambda: self._streams(named, facts)  # noqa: E731
        size = facts.size if facts.size is not None else _size(named)
        if state == "deleted" and meta is not None and meta.flags & META_ALLOCATED and facts.runs is None:
            # The inode serves another file now: its content is not this name's.
            attributes, verdict, size, opener = {"reallocated": True}, "overwritten", 0, None
        if named.virtual and not named.attrs and facts.runs is None and facts.inline is None:
            size, opener = 0, None  # a name that The Sleuth Kit gives without the content ($FAT2 of some volumes)
        name = facts.name if facts.name is not None else named.raw.decode("utf-8", "backslashreplace")
        path = f"{named.directory}/{name}" if named.directory else name
        if facts.path is not None:
            path, name = facts.path, facts.path.rpartition("/")[2]
        reused = "reallocated" in attributes
        return Entry(
            id=named.addr,
            sequence=facts.sequence if facts.sequence is not None else named.seq,
            parent=None if named.orphan and named.directory == ORPHANS.decode() else named.parent,
            raw_name=facts.raw_name if facts.raw_name is not None else named.raw,
            name=name,
            path=path,
            kind=facts.kind or ("special" if named.virtual else named.kind),
            state=state,
            size=size,
            times={} if reused else facts.times if facts.times is not None else unix_times(named),
            links=facts.links if facts.links is not None else meta.links if meta is not None else 0,
            verdict="" if state == "allocated" else verdict or "unknown",
            attributes=attributes | dict(facts.attributes),
            link_target="" if meta is None or reused else meta.link,
            opener=opener,
        )

    def _verdict(self, named: Named, state: State) -> Verdict:
        """By the table of free blocks, for content whose place The Sleuth Kit gives."""
        blocks = self._native.blocks
        if state == "allocated" or blocks is None or not named.attrs:
            return ""
        total = busy = 0
        for attr in named.attrs:
            for start, length in attr.runs if attr.type in MAIN else ():
                if start is not None:
                    count = -(-length // blocks.size)
                    total += count
                    busy += blocks.in_use(blocks.first + (start - blocks.start) // blocks.size, count)
        return "intact" if not busy else "overwritten" if busy >= total else "partly overwritten"

    def _recovered(self, found: Recovered) -> Entry:
        facts = found.facts
        return Entry(
            id=found.id,
            sequence=facts.sequence or 0,
            parent=found.parent,
            raw_name=found.raw_name,
            name=found.path.rpartition("/")[2],
            path=found.path,
            kind=found.kind,
            state=facts.state or "journal",
            size=found.size,
            times=facts.times or {},
            links=facts.links or 0,
            verdict=facts.verdict or "unknown",
            attributes=facts.attributes,
            link_target=found.link_target,
            opener=lambda: (self._own(facts, found.size),),
        )

    def _streams(self, named: Named, facts: Facts) -> list[Stream]:
        if facts.runs is not None or facts.inline is not None:
            return [self._own(facts, facts.size if facts.size is not None else _size(named))]
        out = [self._stream(named, attr, facts) for attr in named.attrs if attr.type != INDIRECT]
        out.sort(key=lambda stream: stream.name != "")
        return out

    def _own(self, facts: Facts, size: int) -> Stream:
        if facts.inline is not None:
            return Stream(self._source.slice(*facts.inline), resident=True, runs=(facts.inline,))
        runs = tuple(facts.runs or ())
        data = ExtentSource(self._source, runs, size, facts.valid)
        reserved = sum(length for start, length in runs if start is not None)
        return Stream(data, allocated=reserved, valid=facts.valid, runs=runs, encrypted=facts.encrypted)

    def _stream(self, named: Named, attr: Attr, facts: Facts) -> Stream:
        name, kind = _label(attr)
        data: ByteSource
        hole = all(start is None for start, _length in attr.runs)
        if attr.plain and _covers(attr) and (self._native.trust_runs or hole):
            data = ExtentSource(self._source, attr.runs, attr.size)
        else:
            data = _Decoded(self._reader, (named.addr, attr.type, attr.id), attr.size, self._source, attr.runs)
        return Stream(
            data,
            name=name,
            kind=kind,
            allocated=sum(length for start, length in attr.runs if start is not None),
            resident=bool(attr.flags & 0x04),
            compressed=bool(attr.flags & 0x20),
            encrypted=bool(attr.flags & 0x10) or facts.encrypted,
            runs=attr.runs,
        )


def _covers(attr: Attr) -> bool:
    return sum(length for _start, length in attr.runs) >= attr.size


def _path(named: Named) -> str:
    name = named.raw.decode("utf-8", "backslashreplace")
    return f"{named.directory}/{name}" if named.directory else name


def _size(named: Named) -> int:
    main = next((a for a in named.attrs if a.type in MAIN and not a.name.startswith("$") and _label(a)[0] == ""), None)
    return main.size if main is not None and named.kind != "directory" else named.meta.size if named.meta is not None else 0


def _label(attr: Attr) -> tuple[str, str]:
    if attr.type in KINDS:
        name, kind = KINDS[attr.type]
        return f"{attr.name}:{name}" if kind == "index" and attr.name else name, kind
    if attr.type in MAIN:
        name = "" if attr.name in ("", "N/A", "DATA", "$Data") else attr.name
        return name, "alternate" if name else "data"
    return attr.name if attr.name not in ("", "N/A") else f"attribute {attr.type}-{attr.id}", "ea" if attr.type == HFS_EXTENDED else "raw"
