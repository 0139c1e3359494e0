"""Volume shadow copies: every copy that the catalog of an NTFS volume names, as a volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, NotThisFormat, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource
from forensiclib.formats import vss as f
from forensiclib.volumes.vss.catalog import Header, Snapshot, copies, describe, header, looks_like_vss
from forensiclib.volumes.vss.store import Store
from forensiclib.volumes.vss.view import ShadowSource

__all__ = ["FORMAT", "open_vss", "views"]

LARGER = 4
"""A copy may be so many times as large as its volume is now: the volume was made smaller since."""


def open_vss(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The copies of one volume, the oldest first; state "snapshot", "deleted" where the catalog says that it was taken away."""
    (member,) = members
    if member.scheme == "vss":
        raise NotThisFormat("VSS", None, "a copy shows the catalog of its own time, whose stores are younger than it")
    head = header(member)
    if head.volume != head.storage:
        text = f"shadow copies of volume {head.volume} are kept on volume {head.storage}"
        budget.report(Finding.note("VSS header", text, "", head.span))
    if head.catalog == 0:
        text = "shadow copies were in use here; there is no catalog of any, so there are none, or they were deleted"
        budget.report(Finding.note("VSS header", text, "", head.span))
        return []
    return list(views(member, copies(member, head, budget), head, budget))


def views(source: ByteSource, found: list[Snapshot], head: Header, budget: Budget, state: State = "snapshot") -> Iterator[Volume]:
    """The volumes of these copies, which stand in order of age."""
    stated = [one.size for one in found]
    for one in found:
        one.size = min(one.size, LARGER * source.size)
        if one.stored:
            describe(source, one, budget)
    chain, places = _chain(source, found, budget)
    for index, one in enumerate(found, 1):
        if not one.stored:
            elsewhere = head.volume != head.storage
            where = f"its store is on volume {head.storage}" if elsewhere else "the catalog does not say where its store is"
            where += "; what was kept for it and not for an older one reads in older ones as it was later"
            budget.report(Unsupported("shadow copy", one.spans.get("store"), where), one.name)
            continue
        stores = chain[places[index - 1] :]
        size = _size(source, one, stated[index - 1], stores, budget)
        data = ShadowSource(source, stores, size)
        offline = one.flags & f.OFFLINE
        if offline:
            text = "the catalog marks it as taken away; its store is still there"
            budget.report(Finding.note("shadow copy", text, one.name, one.spans.get("flags")))
        yield Volume(
            data, index=index, start=-1, scheme="vss", kind=f"shadow copy of {one.created.iso() or 'no date'}",
            type_code=one.facts.get("attributes", "").partition(":")[0], state="deleted" if offline else state,
            facts=one.facts, spans=one.spans, shadow=data,
        )  # fmt: skip


def _chain(source: ByteSource, found: list[Snapshot], budget: Budget) -> tuple[list[Store], list[int]]:
    """The stores, and where that of each copy is among them: one that nobody knows stands where positions leave a gap."""
    chain: list[Store] = []
    places: list[int] = []
    for number, one in enumerate(found):
        if number and one.position != found[number - 1].position + 1:
            text = (
                f"positions {found[number - 1].position} and {one.position} follow each other: copies between them are not in the "
                "catalog, and what was kept for them alone reads in older ones as it was later"
            )
            budget.report(Corrupt("VSS catalog", one.spans.get("position"), text), found[number - 1].name)
            chain.append(Store(source, Snapshot("unknown"), budget))
        places.append(len(chain))
        chain.append(Store(source, one, budget))
    return chain, places


def _size(source: ByteSource, one: Snapshot, stated: int, chain: list[Store], budget: Budget) -> int:
    """Bytes of the copy. A volume that was made smaller leaves blocks behind its end in stores; more cannot be read."""
    if stated <= source.size:
        return stated
    last = max(store.kept.end for store in chain)
    size = min(one.size, max(source.size, last))
    text = f"{stated} bytes stated, the volume has {source.size}: {size} are given"
    budget.report(Corrupt("shadow copy", one.spans.get("store"), text), one.name)
    return size


FORMAT = VolumeLayer(
    name="vss",
    title="Volume shadow copies of Windows Vista and later",
    refs=(
        "J. Metz, Volume Shadow Snapshot (VSS) format, libvshadow documentation",
        "M. Suhanov, Scoped shadow copies, dfir.ru 2020-02-29; Extracting unallocated clusters from a shadow copy, 2020-06-21",
        "Microsoft, VSS API reference: _VSS_SNAPSHOT_CONTEXT, _VSS_VOLUME_SNAPSHOT_ATTRIBUTES",
    ),
    gaps=(
        "copies whose store is on another volume are named, not read",
        "blocks that are not part of a copy (free when it was made, or taken out of its scope) are marked and not of its time",
        "what moving a block back to its first place does to its entry is inferred, not documented",
        "copies of Windows Server 2003 have another layout and are not read",
        "nothing in the format carries a checksum: damage shows only where lists make no sense",
    ),
    joins=False,
    consumes=False,
    order=80,
    probe=looks_like_vss,
    open=open_vss,
)
