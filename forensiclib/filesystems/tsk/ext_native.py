"""The ext hook: inode facts for every name, and deleted files brought back from the journal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.core.entry import Verdict
from forensiclib.core.errors import EvidenceError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.filesystems.tsk.blocks import Blocks
from forensiclib.filesystems.tsk.dirents import dirents, free_directories
from forensiclib.filesystems.tsk.ext import ExtVolume, Inode, parse_inode, try_inode
from forensiclib.filesystems.tsk.indirect import loose_files
from forensiclib.filesystems.tsk.journal import Copy, Journal
from forensiclib.filesystems.tsk.named import Named, Run
from forensiclib.filesystems.tsk.native import Facts, Native, Place, Recovered
from forensiclib.formats import ext

__all__ = ["Ext"]

RESERVED_INODES = 10
HAS_JOURNAL = 0x4


@dataclass(frozen=True, slots=True)
class _Version:
    """The newest live copy of a file that is gone: its inode, where the copy lies, its content."""

    inode: Inode
    copy: Copy
    runs: tuple[Run, ...]
    copies: int


@dataclass(slots=True)
class _Found:
    """What the journal gave: versions by (inode, generation), names by inode."""

    versions: dict[int, list[_Version]] = field(default_factory=dict)
    names: dict[int, list[tuple[int, bytes, int]]] = field(default_factory=dict)


class Ext(Native):
    """ext3 and ext4 zero the block pointers of a deleted inode; an older copy of its inode-table block
    in the journal still has them. The newest copy with links and without deletion time is taken;
    the blocks of its extent tree come from the journal where it has them from that transaction or
    before, else from the disk. The verdict is by the block bitmap of today.
    """

    def __init__(self, source: ByteSource, budget: Budget) -> None:
        self._source, self._budget = source, budget
        self._volume = ExtVolume(source, budget)
        self.blocks: Blocks = self._volume.blocks
        self.label = self._volume.sb.label.split(b"\0")[0].decode("utf-8", "backslashreplace")
        self._lock = threading.Lock()
        self._journal: _Found | None = None

    def facts(self, named: Named, place: Place) -> Facts | None:
        if not named.addr or named.addr > self._volume.sb.inodes or named.virtual:
            return Facts(state="deleted" if not named.addr and not named.virtual else None)
        inode = try_inode(self._volume, named.addr)
        if inode is None:
            return Facts()
        if (not named.live or named.orphan) and not inode.alive:
            return self._dead(named, inode, place)
        attributes = {"flags": inode.flags}
        inline = self._inline(inode)
        if inline is not None:
            return Facts(inode.times, inode.size, sequence=inode.generation, inline=inline, attributes=attributes)
        return Facts(inode.times, sequence=inode.generation, encrypted=bool(inode.flags & ext.FLAG_ENCRYPT), attributes=attributes)

    def _inline(self, inode: Inode) -> tuple[int, int] | None:
        """Content kept in the inode itself, when all of it fits there."""
        if not inode.flags & ext.FLAG_INLINE or not inode.regular or inode.size > 60:
            return None
        return self._volume.inode_at(inode.number) + 40, inode.size

    def _dead(self, named: Named, inode: Inode, place: Place) -> Facts:
        """A deleted name: the journal's copy of its inode if there is one, else what is left."""
        for version in self._load().versions.get(named.addr, ()):
            if version.inode.generation == inode.generation or inode.mode == 0:
                path = self._path(named.addr, place) if named.orphan else None
                return self._version_facts(version, inode, path)
        runs: tuple[Run, ...] | None = None
        verdict: Verdict = "unknown"
        if inode.size and inode.regular:
            try:
                runs = tuple(self._volume.runs(inode, self._volume.block))
                verdict = self._verdict(runs)
            except EvidenceError as error:
                self._budget.report(error, named.raw.decode("utf-8", "backslashreplace"))
        if runs is not None and all(start is None for start, _n in runs):
            runs, verdict = (), "unknown"  # the pointers were wiped: a file of zeros would be invented
        return Facts(
            inode.times, inode.size if runs else 0, sequence=inode.generation, runs=runs or (), verdict=verdict,
            path=self._path(named.addr, place) if named.orphan else None,
            links=inode.links, attributes={"flags": inode.flags, "mode": inode.mode},
        )  # fmt: skip

    def _version_facts(self, version: _Version, now: Inode | None, path: str | None) -> Facts:
        times = dict(version.inode.times)
        if now is not None and "deleted" in now.times and now.generation == version.inode.generation:
            times["deleted"] = now.times["deleted"]
        attributes = {
            "flags": version.inode.flags, "mode": version.inode.mode, "uid": version.inode.uid, "gid": version.inode.gid,
            "journal_sequence": version.copy.sequence, "journal_offset": version.copy.at, "journal_copies": version.copies,
            "journal_committed": version.copy.committed,
        }  # fmt: skip
        return Facts(
            times, version.inode.size, path=path, sequence=version.inode.generation, state="journal",
            verdict=self._verdict(version.runs), runs=version.runs, links=version.inode.links, attributes=attributes,
            kind="file", encrypted=bool(version.inode.flags & ext.FLAG_ENCRYPT),
        )  # fmt: skip

    def _verdict(self, runs: tuple[Run, ...]) -> Verdict:
        total = busy = 0
        for start, length in runs:
            if start is not None:
                block, count = start // self._volume.block_size, length // self._volume.block_size
                if not self._volume.judged(block, count):
                    return "unknown"
                total += count
                busy += self.blocks.in_use(block, count)
        return "intact" if not busy else "overwritten" if busy == total else "partly overwritten"

    def recovered(self, place: Place, budget: Budget) -> Iterator[Recovered]:
        """Versions in the journal that no deleted name of a directory leads to."""
        found = self._load()
        told = {named.addr for named in place.deleted()}
        for number in sorted(found.versions):
            now = try_inode(self._volume, number)
            for version in found.versions[number]:
                same = now is not None and version.inode.generation == now.generation
                if number in told and (same or (now is not None and now.mode == 0)):
                    continue
                path = self._path(number, place) or f"$OrphanFiles/inode-{number}"
                facts = self._version_facts(version, now, None)
                name = path.rpartition("/")[2]
                parents = found.names.get(number, ())
                yield Recovered(
                    number, parents[-1][2] or None if parents else None, path, name.encode("utf-8", "surrogateescape"), "file",
                    version.inode.size, facts,
                )  # fmt: skip

    def lost(self) -> Iterator[int]:
        return self._volume.dead_inodes()

    def loose(self, budget: Budget) -> Iterator[tuple[tuple[int, int], ...]]:
        """Files of block maps; extents are in the inode or in blocks with their own checksums."""
        return iter(()) if self._volume.sb.incompat & ext.INCOMPAT_EXTENTS else loose_files(self._volume, budget)

    def _path(self, number: int, place: Place) -> str | None:
        """The path that today's directories and the journal's give together; None without any name."""
        parts: list[str] = []
        seen: set[int] = set()
        names = self._load().names
        while number not in seen:
            seen.add(number)
            if parts and (known := place.path_of(number)) is not None and not known.startswith("$OrphanFiles"):
                return "/".join(filter(None, [known, *parts]))
            if not (candidates := names.get(number)):
                break
            _sequence, raw, number = candidates[-1]
            parts.insert(0, raw.decode("utf-8", "backslashreplace"))
            if number == 0:
                break
        return "/".join(("$OrphanFiles", *parts)) if parts else None

    def _load(self) -> _Found:
        with self._lock:
            if self._journal is None:
                self._journal = self._search()
            return self._journal

    def _search(self) -> _Found:
        found = _Found()
        number = self._volume.sb.journal_inode
        if not self._volume.sb.compat & HAS_JOURNAL or not number:
            self._names_in_free_blocks(found)
            return found
        try:
            inode = self._volume.inode(number)
            stream = ExtentSource(self._source, self._volume.runs(inode, self._volume.block), inode.size)
            journal = Journal(stream, self._budget)
        except EvidenceError as error:
            self._budget.report(error, "journal")
            return found
        _Search(self._volume, journal, self._budget).run(found)
        return found

    def _names_in_free_blocks(self, found: _Found) -> None:
        """Names of inodes by the directories that were deleted with them; none where two directories disagree, or where
        the directory's inode serves another one now."""
        names: dict[int, set[tuple[bytes, int]]] = {}
        for own, entries in free_directories(self._volume, self._budget):
            now = try_inode(self._volume, own)
            for entry in entries if now is not None and not now.alive else ():
                names.setdefault(entry.inode, set()).add((entry.name, own))
        found.names.update({number: [(0, *next(iter(said)))] for number, said in names.items() if len(said) == 1})


class _Search:
    """One pass over the copies of a journal."""

    def __init__(self, volume: ExtVolume, journal: Journal, budget: Budget) -> None:
        self._volume, self._journal, self._budget = volume, journal, budget
        self._by_block: dict[int, list[Copy]] = {}
        self._owners: dict[int, int] = {}
        self._overwritten = 0
        for copy in journal.copies:
            self._by_block.setdefault(copy.block, []).append(copy)

    def run(self, found: _Found) -> None:
        """Fill versions and names."""
        inodes = self._inodes()
        for (number, _generation), history in sorted(inodes.items()):
            self._take(number, history, found)
        self._names(found)
        if self._overwritten:
            text = f"{self._overwritten} copies fail their checksum: later transactions wrote over them"
            self._budget.report(Finding.note("ext journal", text, "journal"))

    def _inodes(self) -> dict[tuple[int, int], list[tuple[Copy, Inode]]]:
        """Every copy of every inode that differs from the copy before it, oldest first."""
        out: dict[tuple[int, int], list[tuple[Copy, Inode]]] = {}
        last: dict[int, bytes] = {}
        volume = self._volume
        for copy in self._journal.copies:
            first = volume.table_first_inode(copy.block)
            if first is None or (raw := self._read(copy)) is None:
                continue
            for i in range(volume.block_size // volume.inode_size):
                self._budget.item()
                record = raw[i * volume.inode_size : (i + 1) * volume.inode_size]
                number = first + i
                if last.get(number) == record or not any(record[:40]):
                    continue
                last[number] = record
                inode = parse_inode(number, record)
                out.setdefault((number, inode.generation), []).append((copy, inode))
                if inode.directory and inode.alive:
                    self._own(inode, copy)
        return out

    def _read(self, copy: Copy) -> bytes | None:
        raw = self._journal.read(copy)
        self._overwritten += raw is None
        return raw

    def _own(self, inode: Inode, copy: Copy) -> None:
        """Remember which directory a block belongs to, for blocks without their own "."."""
        try:
            runs = self._volume.runs(inode, self._fetch(copy))
        except EvidenceError:
            return
        size = self._volume.block_size
        for start, length in runs:
            if start is not None:
                for block in range(start // size, min((start + length) // size, start // size + 4096)):
                    self._owners[block] = inode.number

    def _take(self, number: int, history: list[tuple[Copy, Inode]], found: _Found) -> None:
        if number <= RESERVED_INODES:
            return
        now = try_inode(self._volume, number)
        generation = history[-1][1].generation
        if now is not None and now.alive and now.generation == generation:
            return
        for copy, inode in reversed(history):
            if not inode.alive or not inode.regular or not inode.size or inode.flags & ext.FLAG_INLINE:
                continue
            try:
                runs = tuple(self._volume.runs(inode, self._fetch(copy)))
            except EvidenceError as error:
                self._budget.report(error, f"journal copy of inode {number}, transaction {copy.sequence}")
                continue
            if any(start is not None for start, _n in runs):
                found.versions.setdefault(number, []).append(_Version(inode, copy, runs, len(history)))
                return

    def _fetch(self, when: Copy) -> _Fetch:
        return _Fetch(self, when)

    def block_near(self, block: int, when: Copy) -> bytes:
        """A tree block as of the transaction ``when``: its copy there or before, else the disk's."""
        copies = self._by_block.get(block, [])
        before = [c for c in copies if c.sequence <= when.sequence]
        for copy in reversed(before):
            if (raw := self._journal.read(copy)) is not None:
                return raw
        return self._volume.block(block)

    def _names(self, found: _Found) -> None:
        """Names in the journal's directory blocks and in today's, deleted ones too."""
        volume = self._volume
        for copy in self._journal.copies:
            if volume.table_first_inode(copy.block) is not None:
                continue
            raw = self._journal.read(copy)
            if raw is None:
                continue
            entries = dirents(raw, volume.sb.inodes)
            own = next((e.inode for e in entries if e.name == b"."), self._owners.get(copy.block, 0))
            for entry in entries:
                if entry.name in (b".", b".."):
                    continue
                names = found.names.setdefault(entry.inode, [])
                item = (copy.sequence, entry.name, own)
                if not any(known[1:] == item[1:] for known in names):
                    names.append(item)


class _Fetch:
    """Blocks as of one transaction."""

    def __init__(self, search: _Search, when: Copy) -> None:
        self._search, self._when = search, when

    def __call__(self, block: int) -> bytes:
        return self._search.block_near(block, self._when)
