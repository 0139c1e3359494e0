"""APFS containers: their volumes, snapshots, free blocks, and what is left."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.formats import apfs
from forensiclib.stores.apfs.container import FUSION, Container, header, open_container, probe
from forensiclib.stores.apfs.volume import ApfsVolume, Snapshot, minus, open_volume, union

__all__ = ["FORMAT", "open_apfs", "probe"]

Runs = list[tuple[int, int]]
_SOFTWARE = 4
"""Flag of a container whose keys are not the hardware's."""


def open_apfs(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The volumes of every container, then their snapshots, then free blocks and blocks of no volume as slack. Together they are
    each block of the container once: of a snapshot those that came before it and are in no other."""
    live: list[Volume] = []
    kept: list[Volume] = []
    slack: list[Volume] = []
    problems: list[EvidenceError] = []
    broken: list[Volume] = []
    for group in _groups(members):
        budget.check()
        try:
            container = open_container([m.data for m in group], budget)
            _opened(container, live, kept, slack, budget)
        except EvidenceError as error:
            problems.append(error)
            broken += group
    if not (live or kept or slack) and problems:
        raise problems[0]
    for problem in problems:
        budget.report(problem)
    for member in broken:
        slack.append(_slack(member.data, "a container that could not be opened", member.start))
    out = [*live, *kept, *slack]
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


def _groups(members: Sequence[Volume]) -> Iterator[list[Volume]]:
    """Members of the same Fusion set together, any other by itself."""
    sets: dict[bytes, list[Volume]] = {}
    for number, member in enumerate(members):
        try:
            head = header(member)
        except EvidenceError:
            head = None
        fused = head is not None and (head.incompatible & FUSION or any(head.fusion_uuid))
        key = bytes(head.uuid) if head is not None and fused else number.to_bytes(4, "big")
        sets.setdefault(key, []).append(member)
    yield from sets.values()


def _opened(container: Container, live: list[Volume], kept: list[Volume], slack: list[Volume], budget: Budget) -> None:
    blocks = container.blocks
    if container.older:
        text = f"checkpoint {container.current.xid} is in force; the ring still holds {', '.join(str(c.xid) for c in container.older[:20])}"
        budget.report(Finding.note("APFS checkpoints", text, span=blocks.span(container.current.block)))
    taken: Runs = []
    for oid, block in container.volumes():
        try:
            volume, snapshots, mine = open_volume(container, block, budget)
        except EvidenceError as error:
            budget.report(error, f"volume {oid:#x}")
            continue
        every = mine.every()
        _counted(volume, every, len(snapshots), mine.broken, budget)
        if (twice := sum(n for _, n in every) - sum(n for _, n in minus(every, taken))) > 0:
            text = f"{twice} of its blocks are another volume's too"
            budget.report(Corrupt("APFS volume", blocks.span(block), text), volume.name)
        taken = union([*taken, *every])
        live.append(_volume(volume, _words(volume), "allocated"))
        kept += [_volume(then, _taken(snapshot), "snapshot", f"{volume.name}@{snapshot.name}") for snapshot, then in snapshots]
    whole = [(base, device.size // blocks.size) for base, device in zip(container.bases, container.devices, strict=True)]
    free: Runs = []
    try:
        free = union(container.free())
    except EvidenceError as error:
        budget.report(error)
    if lost := sum(n for _, n in free) - sum(n for _, n in minus(free, taken)):
        budget.report(Corrupt("APFS space manager", blocks.span(container.current.block), f"{lost} blocks of volumes are called free"))
    free = minus(free, taken)
    free = minus(free, minus(free, union(whole)))
    rest = minus(union(whole), union([*taken, *free]))
    if free:
        slack.append(_slack(_extents(container, free), "free blocks"))
    if rest:
        kind = "blocks of no volume: the container's own, and what damaged trees no longer list"
        slack.append(_slack(_extents(container, rest), kind if free else f"{kind}; free blocks, for they are not known"))
    for base, device in zip(container.bases, container.devices, strict=True):
        if tail := device.size % blocks.size:
            at = device.size - tail
            slack.append(_slack(device.slice(at, tail), f"behind the last block of device {container.bases.index(base)}"))


def _counted(volume: ApfsVolume, every: Runs, snapshots: int, broken: int, budget: Budget) -> None:
    """Whether the volume's own count agrees: it leaves out the superblock and what each snapshot keeps of it."""
    found = sum(n for _, n in every) - 1 - snapshots
    stated = volume.head.allocated
    if found != stated or broken:
        text = f"{stated} blocks stated, {found} found in its trees" + (f", of which {broken} parts could not be read" if broken else "")
        where = volume.container.blocks.span(volume.block)
        budget.report(Corrupt("APFS volume", where, text) if broken else Finding.note("APFS volume", text, volume.name, where), volume.name)


def _words(volume: ApfsVolume) -> str:
    head = volume.head
    role = apfs.ROLES.get(head.role, f"{head.role:#x}")
    parts = ["APFS volume"] + ([f"role {role}"] if head.role else [])
    if volume.encrypted:
        software = volume.container.head.flags & _SOFTWARE
        parts.append("encrypted" if software else "encrypted by hardware (T2, Apple silicon)")
        parts.append("one key" if head.flags & apfs.FLAG_ONEKEY else "a key for each file")
    if volume.omap.flags & 0xE:
        parts.append("a change of encryption under way")
    parts += ["sealed"] if head.incompatible & 0x20 else []
    return ", ".join(parts)


def _taken(snapshot: Snapshot) -> str:
    when = snapshot.created.ns
    text = "at an unknown time"
    if when is not None:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=when // 1000)
        text = f"{moment.isoformat(timespec='microseconds')}Z"
    return f"APFS snapshot, transaction {snapshot.xid}, taken {text}: the blocks that came before it and are in no other"


def _volume(volume: ApfsVolume, kind: str, state: State, label: str = "") -> Volume:
    return Volume(volume, index=0, start=-1, scheme="apfs", kind=kind, type_code=str(volume.uuid), label=label or volume.name, state=state)


def _extents(container: Container, runs: Runs) -> ByteSource:
    size = container.blocks.size
    return ExtentSource(container.blocks.source, [(first * size, count * size) for first, count in runs])


def _slack(source: ByteSource, kind: str, start: int = -1) -> Volume:
    return Volume(source, index=0, start=start, scheme="apfs", kind=kind, state="slack")


FORMAT = VolumeLayer(
    name="apfs",
    title="APFS containers",
    refs=(
        "Apple, Apple File System Reference, 2020-06-22",
        "J. Metz, Apple File System (APFS) format (libfsapfs)",
    ),
    gaps=(
        "files and names are not read: a volume is its own blocks, found by its trees",
        "only the newest checkpoint whose object map holds is opened; older ones in the ring are named",
        "a snapshot is given as the blocks that it alone keeps, not as the volume that it was",
        "of a Fusion set with both devices, blocks of the second that the first caches are read where they belong; sets were tested with a "
        "container that the tests put together, not with a real one",
        "the pre-release format (version 1), and checkpoint rings in pieces, are refused",
        "blocks that only the integrity metadata of a sealed volume lists may count as the container's own",
    ),
    order=45,
    probe=probe,
    open=open_apfs,
)
