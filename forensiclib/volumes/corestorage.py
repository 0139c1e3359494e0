"""CoreStorage: logical volumes of a group on one physical volume or two (Fusion), and what belongs to none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.stores.corestorage import Described, Group, LogicalVolume, Physical, physical, probe, read_group
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import Missing

__all__ = ["FORMAT", "open_corestorage", "probe"]

_MOST = 256
"""Times the bytes of the physical volumes that are there: a volume stated to be larger is damage, and reading it would not end."""


def open_corestorage(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The logical volumes of every group of which a physical volume is here, then what of these belongs to none as slack.
    A member that cannot be read is slack as a whole."""
    found: list[tuple[Volume, Physical]] = []
    problems: list[EvidenceError] = []
    broken: list[Volume] = []
    for member in members:
        try:
            found.append((member, physical(member.data, budget)))
        except EvidenceError as error:
            problems.append(error)
            broken.append(member)
    live: list[Volume] = []
    slack: list[Volume] = []
    for uuid in dict.fromkeys(p.group for _, p in found):
        mine = [(v, p) for v, p in found if p.group == uuid]
        budget.check()
        try:
            group = read_group([p for _, p in mine], budget)
        except EvidenceError as error:
            problems.append(error)
            broken += [v for v, _ in mine]
            continue
        _facts(group, mine, budget)
        live += _logical(group, budget)
        slack += _slack(group, mine)
    if not (live or slack):
        raise problems[0] if problems else NotThisFormat("CoreStorage", None, "no physical volume")
    for problem in problems:
        budget.report(problem)
    slack += [
        Volume(v.data, index=0, start=v.start, scheme="corestorage", kind="a physical volume that could not be read", state="slack")
        for v in broken
    ]  # fmt: skip
    out = [*live, *slack]
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


def _facts(group: Group, mine: Sequence[tuple[Volume, Physical]], budget: Budget) -> None:
    where = span_of(mine[0][0], 0, 512)
    for index, uuid in sorted(group.members.items()):
        if uuid not in group.there:
            budget.report(Finding("Unreadable", "CoreStorage physical volume", f"number {index} ({uuid}) is not there", group.name))
    if group.past:
        text = f"older metadata tell of logical volumes that are no more: {', '.join(group.past[:20])}"
        budget.report(Finding.note("CoreStorage group", text, group.name, where))
    if len(group.members) > 1:
        text = f"{len(group.members)} physical volumes (Fusion): read where the segments are; whether newer copies lie elsewhere is unknown"
        budget.report(Finding.note("CoreStorage group", text, group.name, where))


def _logical(group: Group, budget: Budget) -> Iterator[Volume]:
    for described in group.volumes:
        where = described.name or described.uuid
        if described.problem is not None:
            budget.report(described.problem, where)
        data = _content(group, described, budget)
        words = ["CoreStorage logical volume"] + ([f"of {described.hint}"] if described.hint else [])
        yield Volume(
            LogicalVolume(data, described, group.members.values()), index=0, start=-1, scheme="corestorage", kind=" ".join(words),
            type_code=described.uuid, label=described.name,
        )  # fmt: skip


def _content(group: Group, described: Described, budget: Budget) -> ByteSource:
    """The segments one behind the other; what lies in none of them, or on what is not there, raises Unreadable."""
    parts: list[ByteSource] = []
    at, size = 0, group.block
    where = described.name or described.uuid
    end = described.size
    if end > _MOST * sum(p.source.size for p in group.there.values()):
        end = 0
        budget.report(Corrupt("CoreStorage logical volume", None, f"{described.size} bytes cannot be: nothing is given of it"), where)
    for segment in sorted(described.segments, key=lambda s: s.logical):
        budget.item()
        start, length = segment.logical * size, segment.blocks * size
        if start < at:
            budget.report(Corrupt("CoreStorage segments", None, f"they overlap at byte {start}"), where)
            start, length = at, max(0, start + length - at)
        if start >= end or not length:
            continue
        if start > at:
            parts.append(Missing(start - at, f"logical volume {where}: no segment for bytes {at} to {start - 1}"))
        length = min(length, end - start)
        first = segment.first * size + start - segment.logical * size
        parts += _piece(group, segment.index, first, length)
        at = start + length
    if at < end:
        text = f"logical volume {where}: no segment for bytes {at} to {end - 1}"
        if described.problem is None:
            budget.report(Corrupt("CoreStorage segments", None, text), where)
        parts.append(Missing(end - at, text))
    return parts[0] if len(parts) == 1 else ConcatSource(parts)


def _piece(group: Group, index: int, first: int, length: int) -> Iterator[ByteSource]:
    uuid = group.members.get(index)
    owner = group.there.get(uuid) if uuid is not None else None
    if owner is None:
        yield Missing(length, f"physical volume {index} ({uuid or 'not named'}) of the group is not there")
        return
    there = max(0, min(length, owner.source.size - first))
    if there:
        yield owner.source.slice(first, there)
    if there < length:
        yield Missing(length - there, f"physical volume {index} ends at {owner.source.size}")


def _slack(group: Group, mine: Sequence[tuple[Volume, Physical]]) -> Iterator[Volume]:
    """What of each physical volume is neither metadata nor a segment."""
    for volume, member in mine:
        used = [(at, n) for uuid, at, n in group.taken if uuid == member.uuid]
        used += [(s.first, s.blocks) for d in group.volumes for s in d.segments if _owner(group, s.index) == member.uuid]
        at, size = 0, group.block
        for first, count in [*sorted(used), ((volume.size // size) + 1, 0)]:
            low = min(first * size, volume.size)
            if low > at:
                yield Volume(
                    volume.data.slice(at, low - at), index=0, start=volume.start + at if volume.start >= 0 else -1, scheme="corestorage",
                    kind="in no logical volume", label=group.name, state="slack",
                )  # fmt: skip
            at = max(at, (first + count) * size)


def _owner(group: Group, index: int) -> UUID | None:
    return group.members.get(index)


FORMAT = VolumeLayer(
    name="corestorage",
    title="Apple CoreStorage volume groups",
    refs=(
        "O. Choudary, J. Metz, FileVault Drive Encryption (FVDE) (libfvde)",
        "O. Choudary, F. Groebert, J. Metz, Infiltrate the Vault, 2012",
    ),
    gaps=(
        "Fusion: both physical volumes are put together by the segments in force; blocks that the group moves between them at that very "
        "moment are not followed, and no real set was at hand (the tests put one together)",
        "segments in more than one block of metadata, or counted from more than one range, are refused: their parts are unreadable",
        "deleted logical volumes are named, not given",
        "free extents are what nothing uses; the group's own lists of them are not compared",
    ),
    order=40,
    probe=probe,
    open=open_corestorage,
)
