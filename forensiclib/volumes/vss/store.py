"""The store of one copy: which blocks were kept where, which were moved, which belong to it at all.

A block's former content is copied into the store of the copy that is the youngest at the time. So what a store does not have
stands in the next younger one, or, when none has it, where it always was.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Iterator

from forensiclib import kernels
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import vss as f
from forensiclib.formats._dsl import layout
from forensiclib.volumes._parts import span_of
from forensiclib.volumes.vss.catalog import Snapshot, record, records
from forensiclib.volumes.vss.runs import BACK, KEPT, LOST, MOVED, Runs

__all__ = ["Store"]

_DESCRIPTOR, _RANGE = layout(f.DESCRIPTOR), layout(f.RANGE)
HEAD = f.RECORD.sizeof()
LIST = slice(HEAD, HEAD + (f.BLOCK - HEAD) // _DESCRIPTOR.size * _DESCRIPTOR.size)
SECTOR = 512
_ALIGNED = frozenset((0x00, 0x40, 0x80, 0xC0))
"""Second byte of a multiple of a block."""
ENTRY_BYTES = 64
"""Memory that a descriptor costs while the lists are read; 24 bytes at most afterwards."""
MOST_LISTS = 1 << 20
"""Blocks of one list: 8 TiB of kept blocks."""


class Store:
    """The lists of one copy, read when they are first wanted. Any thread may ask."""

    def __init__(self, source: ByteSource, snapshot: Snapshot, budget: Budget) -> None:
        self.source, self.snapshot, self._budget = source, snapshot, budget
        self._lock = threading.Lock()
        self._loaded = False
        self._written, self._kept, self._inside = Runs(), Runs(), Runs()
        self._complete = True

    @property
    def written(self) -> Runs:
        """Sectors that were written to the copy itself, which older copies do not see."""
        self._load()
        return self._written

    @property
    def kept(self) -> Runs:
        """Blocks that are elsewhere."""
        self._load()
        return self._kept

    @property
    def inside(self) -> Runs:
        """What is part of the copy: of the rest there is only what was kept by chance."""
        self._load()
        return self._inside

    @property
    def complete(self) -> bool:
        """False when a part of the lists is lost, so that what is in none of them may be so by accident."""
        self._load()
        return self._complete

    def _load(self) -> None:
        if self._loaded:
            return
        with self._lock:
            if not self._loaded:
                made = _Lists(self.source, self.snapshot, self._budget)
                self._written, self._kept, self._complete = made.written(), made.kept(), made.complete
                self._inside = self._scope()
                self._loaded = True

    def _scope(self) -> Runs:
        """What both bitmaps mark as not in use is not part of the copy; what one cannot read counts as part of it."""
        one = self.snapshot
        blocks = -(-one.size // f.BLOCK)
        if not one.stored:
            return Runs()
        marked: int | None = None
        for at, name in ((one.bitmap, "VSS bitmap"), (one.previous, "VSS previous bitmap")):
            if at == 0 and name != "VSS bitmap":
                continue
            bits = int.from_bytes(self._bitmap(at, name, -(-blocks // 8)), "little")
            marked = bits if marked is None else marked & bits
        marked = (marked or 0) & (1 << blocks) - 1
        if count := marked.bit_count():
            what = "cannot be given" if one.flags & f.ZERO_UNUSED else "read as the volume has them now"
            text = (
                f"{count} of {blocks} blocks of {f.BLOCK} bytes are not part of it (not in use when it was made, or taken out of "
                f"its scope): where no store has them they {what}"
            )
            self._budget.report(Finding.note("shadow copy", text, one.name, one.spans.get("store")))
        clear = array("q", kernels.clear_runs(marked.to_bytes(-(-blocks // 8), "little"), blocks))
        return Runs.same([(start * f.BLOCK, count * f.BLOCK) for start, count in zip(clear[::2], clear[1::2], strict=True)])

    def _bitmap(self, at: int, what: str, size: int) -> bytes:
        out = bytearray()
        try:
            self._budget.allocate(what, size)
            for _, raw in records(self.source, at, f.BITMAP, what, self._budget, size // (f.BLOCK - HEAD) + 2):
                out += raw[HEAD:]
                if len(out) >= size:
                    break
            if len(out) < size:
                raise Corrupt(what, None, f"{len(out)} of {size} bytes")
        except EvidenceError as error:
            self._budget.report(error, self.snapshot.name)
        return bytes(out[:size])


class _Lists:
    """What the descriptors say, in the order in which they were written."""

    def __init__(self, source: ByteSource, snapshot: Snapshot, budget: Budget) -> None:
        self.source, self.snapshot, self.budget = source, snapshot, budget
        self.complete = snapshot.stored
        self.limit = -(-snapshot.size // f.BLOCK) * f.BLOCK
        self.most = budget.limits.allocation // ENTRY_BYTES
        self.blocks, self.places = array("Q"), array("Q")
        """Blocks in the order of the list, and where the content of each is, plus KEPT, MOVED, LOST or BACK."""
        self.arrived: dict[int, int] = {}
        """Place that content was moved to -> the block that it is of."""
        self.sectors, self.overlays = array("Q"), array("Q")
        """Likewise, of what was written to the copy."""
        if snapshot.stored:
            try:
                for at, raw in self._all():
                    self._take(at, raw)
                    if len(self.blocks) + len(self.sectors) > self.most:
                        found = f"{len(self.blocks)} blocks; {self.most} allowed"
                        raise LimitExceeded("VSS block list", span_of(self.source, at, f.BLOCK), found)
            except EvidenceError as error:
                self.complete = False
                budget.report(error, snapshot.name)

    def written(self) -> Runs:
        """Sectors of the copy that were written after it was made."""
        return Runs(SECTOR, self.sectors, self.overlays)

    def kept(self) -> Runs:
        """Blocks that are elsewhere."""
        return Runs(f.BLOCK, self.blocks, self.places)

    def _all(self) -> Iterator[tuple[int, bytes]]:
        """Every block of the list; when it breaks off, also those that are found in the store's own ranges."""
        one, seen, wanted = self.snapshot, set[int](), {self.snapshot.blocks}
        try:
            for at, raw in records(self.source, one.blocks, f.BLOCKS, "VSS block list", self.budget, MOST_LISTS):
                seen.add(at)
                wanted.add(int.from_bytes(raw[40:48], "little"))
                yield at, raw
            if one.blocks:
                return
            problem: EvidenceError = Corrupt("VSS block list", one.spans.get("store"), "the catalog names none")
        except LimitExceeded:
            raise
        except EvidenceError as error:
            problem = error
        self.budget.report(problem, one.name)
        self.complete = False
        again = sorted(self._search(seen))
        for _, at in again:
            raw = record(self.source, at, f.BLOCKS, "VSS block list")
            seen.add(at)
            wanted.add(int.from_bytes(raw[40:48], "little"))
            yield at, raw
        text = (
            f"the list of blocks breaks off; {len(again)} further blocks of it were found in the store's ranges, at least "
            f"{max(1, len(wanted - seen - {0}))} not: what these tell of is read as the volume has it now"
        )
        self.budget.report(Finding.note("VSS block list", text, one.name, problem.span))

    def _search(self, seen: set[int]) -> Iterator[tuple[int, int]]:
        """(place in the store, place on the volume) of blocks of the list that the chain did not come to."""
        try:
            for at, raw in records(self.source, self.snapshot.ranges, f.RANGES, "VSS range list", self.budget, MOST_LISTS):
                for place in range(HEAD, f.BLOCK - _RANGE.size + 1, _RANGE.size):
                    start, relative, size = _RANGE.unpack(raw, place)
                    if size and (start % f.BLOCK or start + size > self.source.size + f.BLOCK):
                        span = span_of(self.source, at + place, _RANGE.size)
                        self.budget.report(Corrupt("VSS range list", span, f"{size} bytes at {start:#x}"), self.snapshot.name)
                    elif size:
                        yield from self._lists_in(start, relative, size, seen)
        except EvidenceError as error:
            self.budget.report(error, self.snapshot.name)

    def _lists_in(self, start: int, relative: int, size: int, seen: set[int]) -> Iterator[tuple[int, int]]:
        for at in range(start, min(start + size, self.source.size), f.BLOCK):
            self.budget.item()
            if at in seen:
                continue
            try:
                head = self.source.read_at(at, HEAD)
                if head[:16] == f.GUID and head[20:24] == f.BLOCKS.to_bytes(4, "little"):
                    record(self.source, at, f.BLOCKS, "VSS block list")
                    yield relative + at - start, at
            except EvidenceError as error:
                self.budget.report(error, self.snapshot.name)

    def _take_plain(self, rows: bytes) -> bool:
        """The descriptors of one block of the list, when each of them is a copied block that can be where it says: most lists are
        nothing else. Looks at columns of bytes, as rows take ten times as long."""
        if self.arrived or any(rows[25::32]) or any(rows[26::32]) or any(rows[27::32]) or any(bits & 7 for bits in set(rows[24::32])):
            return False
        if any(rows[0::32]) or any(rows[16::32]) or not _ALIGNED.issuperset(rows[1::32]) or not _ALIGNED.issuperset(rows[17::32]):
            return False
        words = array("Q", rows)
        if sys.byteorder == "big":
            words.byteswap()
        originals, offsets = words[0::4], words[2::4]
        if max(originals) >= self.limit or not min(offsets):
            return False
        self.blocks += originals
        self.places += offsets
        return True

    def _take(self, at: int, raw: bytes) -> None:
        """The descriptors of one block of the list."""
        if self._take_plain(raw[LIST]):
            return
        arrived, limit, bad = self.arrived, self.limit, 0
        for original, relative, offset, flags, bitmap in _DESCRIPTOR.packed.iter_unpack(memoryview(raw)[LIST]):
            if flags & f.IGNORED or not (offset or flags or relative):
                continue
            if original % f.BLOCK or original >= limit or flags > 0xFF or flags & 3 == 3:
                bad += 1
                continue
            if flags & f.OVERLAY:
                bad += not self._write(original, offset, bitmap)
                continue
            original = arrived.pop(original, original)
            if not flags & f.FORWARDER:
                place = offset | KEPT if offset and offset % f.BLOCK == 0 else LOST
            elif relative == original:
                place = BACK  # it is where it was
            elif relative % f.BLOCK or relative >= limit:
                place = LOST
            else:
                place = relative | MOVED
                arrived[relative] = original
            bad += place == LOST
            self.blocks.append(original)
            self.places.append(place)
        if bad:
            text = f"{bad} descriptors name places that cannot be; the blocks that they are for cannot be read"
            self.budget.report(Corrupt("VSS block list", span_of(self.source, at, f.BLOCK), text), self.snapshot.name)

    def _write(self, original: int, offset: int, bitmap: int) -> bool:
        """Sectors of an overlay; several for one block add up. Returns whether they can be where it says."""
        sound = offset % f.BLOCK == 0 and offset > 0
        for sector in range(f.BLOCK // SECTOR):
            if bitmap >> sector & 1:
                self.sectors.append(original + sector * SECTOR)
                self.overlays.append(offset + sector * SECTOR | KEPT if sound else LOST)
        return sound
