"""What is left of deleted shadow copies: their stores, found by the records in them and put in order by their bitmaps.

Deleting a copy empties its entry of the catalog and frees its store; the records in the store, each of which says where it stands,
stay until something is written over them. No record says when its copy was made. But the previous bitmap of a store marks
just what the copy before it did not need any more, so it tells which store that was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import EvidenceError, LimitExceeded, NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.formats import vss as f
from forensiclib.formats._dsl import layout
from forensiclib.volumes._parts import span_of
from forensiclib.volumes.vss.catalog import Snapshot, copies, describe, entries, header, looks_like_vss, records
from forensiclib.volumes.vss.store import Store
from forensiclib.volumes.vss.view import ShadowSource

__all__ = ["FORMAT", "open_deleted", "probe"]

_RECORD, _RANGE = layout(f.RECORD), layout(f.RANGE)
STEP = 4 << 20
MOST = 512
"""Stores put in order: Windows keeps so many copies."""
STEPS = 20_000_000
"""Ranges and records looked at to put stores together: more than a real volume has, and no more than a minute."""
ALIKE = 64
"""A bitmap is the other's successor when it differs in at most one block of so many that it marks."""


@dataclass(frozen=True, slots=True)
class _Record:
    at: int
    kind: int
    relative: int
    next: int


def probe(source: ByteSource) -> bool:
    """Whether copies were in use on the volume, or may have been: NTFS whose boot area was emptied since."""
    return looks_like_vss(source) or source.read_at(3, 8) == b"NTFS    "


def open_deleted(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The copies whose stores are still on the volume and in no catalog, as far as is known the oldest first. Reads all of it."""
    (member,) = members
    if member.scheme in ("vss", FORMAT.name):
        raise NotThisFormat("VSS", None, "a copy: its volume was searched")
    quiet = Budget(budget.limits, budget.cancelled, lambda finding: None)
    live = copies(member, header(member), quiet) if looks_like_vss(member) else []
    known = {at for one in live for at in _places(member, one, quiet)} | _catalog(member, quiet)
    found = [r for r in _scan(member, budget) if r.at not in known]
    left = _stores(member, found, {one.store for one in live}, budget)
    if not left:
        return []
    return list(_volumes(member, left, live, budget))


def _scan(source: ByteSource, budget: Budget) -> Iterator[_Record]:
    """Every record that stands where it says."""
    whole = fill_bad(source, budget.report, f.BLOCK)
    for base in range(0, source.size, STEP):
        budget.check()
        data = whole.read_at(base, STEP)
        at = data.find(f.GUID)
        while at >= 0:
            if at % f.BLOCK == 0 and at + _RECORD.size <= len(data):
                head = _RECORD.dict(data, at)
                if head["offset"] == base + at and f.CATALOG <= head["kind"] <= f.BITMAP:
                    yield _Record(base + at, head["kind"], head["relative"], head["next"])
            at = data.find(f.GUID, (at // f.BLOCK + 1) * f.BLOCK)


def _chained(source: ByteSource, at: int, kind: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    try:
        yield from records(source, at, kind, "VSS record", budget, source.size // f.BLOCK + 1)
    except EvidenceError as error:
        budget.report(error)


def _places(source: ByteSource, one: Snapshot, budget: Budget) -> set[int]:
    """Where the records of a copy are."""
    heads = ((one.header, f.STORE), (one.blocks, f.BLOCKS), (one.ranges, f.RANGES), (one.bitmap, f.BITMAP), (one.previous, f.BITMAP))
    return {at for start, kind in heads for at, _ in _chained(source, start, kind, budget)}


def _catalog(source: ByteSource, budget: Budget) -> set[int]:
    start = header(source).catalog if looks_like_vss(source) else 0
    return {at for at, _ in _chained(source, start, f.CATALOG, budget)}


def _stores(source: ByteSource, found: list[_Record], live: set[str], budget: Budget) -> list[Snapshot]:
    """The stores that the records are of: those that a lost catalog still names, then those that hang together."""
    out, places = [], {r.at for r in found}
    for one in entries(source, [r.at for r in found if r.kind == f.CATALOG][:MOST], budget):
        if one.stored and one.store not in live and one.blocks in places:
            one.size = min(one.size, source.size) or source.size
            out.append(one)
    taken = {at for one in out for at in _places(source, one, budget)}
    joiner = _Joiner(source, [r for r in found if r.at not in taken and r.kind != f.CATALOG], budget)
    while (joined := joiner.next()) is not None and len(out) < MOST:
        out.append(joined)
        joiner.taken |= _places(source, joined, budget)
    if spare := [r.at for r in joiner.rest if r.at not in joiner.taken]:
        text = f"{len(spare)} records of stores are joined to none, the first at {spare[0]:#x}"
        budget.report(Finding.note("deleted shadow copy", text, "", span_of(source, spare[0], _RECORD.size)))
    return out


class _Joiner:
    """Puts records together to stores: what lies in one stretch with a header or a list of ranges, and in the ranges."""

    def __init__(self, source: ByteSource, rest: list[_Record], budget: Budget) -> None:
        self.source, self.rest, self.budget = source, rest, budget
        self.taken: set[int] = set()
        self.steps = STEPS
        self._places = [r.at for r in rest]
        self._stretches: dict[int, list[_Record]] = {}
        for record in rest:
            self._stretches.setdefault(record.at - record.relative, []).append(record)
        self._todo = iter([r for r in rest if r.kind in (f.STORE, f.RANGES)])

    def next(self) -> Snapshot | None:
        """A further store; None when there is none, or when looking for them took too long, which is reported."""
        for record in self._todo:
            if record.at in self.taken:
                continue
            joined = self._joined(record)
            if self.steps <= 0:
                self.budget.report(LimitExceeded("deleted shadow copy", span_of(self.source, record.at, 1), f"more than {STEPS} steps"))
                return None
            if joined is not None:
                self.taken.add(record.at)
                return joined
        return None

    def _joined(self, record: _Record) -> Snapshot | None:
        heads = [r for r in self._stretches[record.at - record.relative] if r.at not in self.taken]
        ranges = next((r for r in heads if r.kind == f.RANGES), None)
        spans = list(self._ranges(ranges.at)) if ranges else []
        within = min((relative for _, relative, _ in spans), default=self.source.size)  # the ranges name all but the beginning
        mine = {r.at: r for r in heads if r.relative < within}
        for at, relative, size in spans:
            for r in self.rest[bisect_left(self._places, at) : bisect_left(self._places, at + size)]:
                self.steps -= 1
                if r.relative == relative + r.at - at and r.at not in self.taken and self.steps > 0:
                    mine[r.at] = r
        self.steps -= len(mine) + len(spans) + len(heads)
        followed = {r.next for r in mine.values()}
        ordered = sorted((r for r in mine.values() if r.at not in followed), key=lambda r: r.relative)
        blocks, bitmaps, store = ([r.at for r in ordered if r.kind == kind] for kind in (f.BLOCKS, f.BITMAP, f.STORE))
        if not blocks:
            return None
        one = Snapshot(f"at {record.at:#x}", self.source.size, listed=True, stored=True, blocks=blocks[0])
        one.ranges, one.header = ranges.at if ranges else 0, store[0] if store else 0
        one.bitmap, one.previous = [*bitmaps, 0, 0][:2]
        one.fact(self.source, "store", one.store, record.at, _RECORD.size)
        return one

    def _ranges(self, at: int) -> Iterator[tuple[int, int, int]]:
        for _, raw in _chained(self.source, at, f.RANGES, self.budget):
            for one in _RANGE.packed.iter_unpack(raw[_RECORD.size : _RECORD.size + 677 * _RANGE.size]):
                self.steps -= 1
                if one[2]:
                    yield one
            if self.steps <= 0:
                return


def _marks(store: Store, budget: Budget) -> tuple[int, int]:
    """(what its own previous bitmap marks, what that of the next copy must mark), a bit for a block."""
    blocks = -(-store.snapshot.size // f.BLOCK)
    needed = bytearray(b"0") * blocks
    for start, end, _, kind in store.inside.cut(0, blocks * f.BLOCK):
        needed[start // f.BLOCK : end // f.BLOCK] = (b"1" if kind >= 0 else b"0") * ((end - start) // f.BLOCK)
    for start, end, _, kind in store.kept.cut(0, blocks * f.BLOCK):
        if kind >= 0:
            needed[start // f.BLOCK : end // f.BLOCK] = b"0" * ((end - start) // f.BLOCK)
    whole = (1 << blocks) - 1
    at = store.snapshot.previous
    bits = b"".join(raw[_RECORD.size :] for _, raw in _chained(store.source, at, f.BITMAP, budget))[: -(-blocks // 8)]
    return int.from_bytes(bits, "little") & whole, whole ^ int(needed[::-1] or b"0", 2)


def _order(stores: list[Store], budget: Budget) -> dict[int, int]:
    """Number of a store -> number of the next younger one, where its previous bitmap proves it: where it is just what the
    older one leaves, then where hardly a block is other. As many bitmaps as memory allows are compared."""
    out: dict[int, int] = {}
    size = max((s.snapshot.size for s in stores), default=0) // f.BLOCK // 4 + 1
    most = budget.limits.allocation // size
    if len(stores) > most:
        found = f"{len(stores)} stores, of which {most} are put in order"
        budget.report(LimitExceeded("deleted shadow copy", None, found))
    marks = {number: _marks(store, budget) for number, store in enumerate(stores[:most])}
    ends = {marks[n][0]: n for n in marks if stores[n].snapshot.previous}
    for old, (_, wanted) in marks.items():
        young = ends.get(wanted, old)
        if old != young and young not in out.values() and not _reaches(out, young, old):
            out[old] = young
    pairs = []
    for young in [n for n in marks if stores[n].snapshot.previous and n not in out.values()]:
        budget.check()
        previous = marks[young][0]
        for old in [n for n in marks if n not in out and n != young]:
            if (apart := (previous ^ marks[old][1]).bit_count()) * ALIKE <= previous.bit_count():
                pairs.append((apart, old, young))
    for _, old, young in sorted(pairs):
        if old not in out and young not in out.values() and not _reaches(out, young, old):
            out[old] = young
    return out


def _reaches(following: dict[int, int], start: int, end: int) -> bool:
    while start in following:
        start = following[start]
        if start == end:
            return True
    return start == end


def _volumes(source: ByteSource, left: list[Snapshot], live: list[Snapshot], budget: Budget) -> Iterator[Volume]:
    quiet = Budget(budget.limits, budget.cancelled, lambda finding: None)
    stores = [Store(source, one, budget) for one in left] + [Store(source, one, quiet) for one in live]
    for number in range(len(left), len(stores)):
        stores[number].snapshot.size = min(stores[number].snapshot.size, source.size)
    following = _order(stores, budget)
    since = Store(source, Snapshot("since"), quiet)  # nobody kept what was written after the youngest one was deleted
    for index, number in enumerate(_oldest_first(len(left), following), 1):
        one, chain, at = left[number], [stores[number]], number
        if one.header:
            describe(source, one, budget)
        while at in following and len(chain) <= len(stores):
            at = following[at]
            chain.append(stores[at])
        links = "; ".join(s.snapshot.facts.get("shadow_copy", s.snapshot.store) for s in chain[1:])
        text = (
            f"deleted, and put together from its store; the next younger ones are {links or 'not known'}. What its store had may be "
            "written over since, and so may what it left where it was: nothing of it is proven"
        )
        budget.report(Finding.note("deleted shadow copy", text, one.name, one.spans.get("store")))
        data = ShadowSource(source, [*chain, since], one.size)
        yield Volume(
            data, index=index, start=-1, scheme=FORMAT.name, kind=f"deleted shadow copy of {one.created.iso() or 'an unknown time'}",
            type_code=one.facts.get("attributes", "").partition(":")[0], state="carved", facts=one.facts, spans=one.spans, shadow=data,
        )  # fmt: skip


def _oldest_first(count: int, following: dict[int, int]) -> Iterator[int]:
    firsts = [n for n in range(count) if n not in following.values()]
    for number in firsts:
        at: int | None = number
        while at is not None and at < count:
            yield at
            at = following.get(at)


FORMAT = VolumeLayer(
    name="vssdeleted",
    title="Deleted volume shadow copies of Windows, by what is left of their stores",
    refs=(
        "J. Metz, Volume Shadow Snapshot (VSS) format, libvshadow documentation",
        "M. Kobayashi and H. Suzuki, Reconstruct the World from Vanished Shadow, Black Hat USA 2018: catalogs are emptied, stores are not",
    ),
    gaps=(
        "when a copy was made is known only where a piece of its catalog is left",
        "whether blocks of a store were written over since is not seen: the state is carved, and no byte of it is proven",
        "which of a store's bitmaps is the previous one is told by their order in it",
        "stores in several pieces whose list of ranges is gone are joined no further than one stretch",
    ),
    joins=False,
    consumes=False,
    deep=True,
    order=90,
    probe=probe,
    open=open_deleted,
)
