"""Open AFF4 volumes: a disk, or a tree of files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image, Snapshot
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Unreadable, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.images._family import Family
from forensiclib.images._files import FilePool, expand
from forensiclib.images.aff4.container import Container, read_volume, symbolic
from forensiclib.images.aff4.facts import facts_of
from forensiclib.images.aff4.logical import files_of, is_file, tree_of
from forensiclib.images.aff4.maps import MapStream
from forensiclib.images.aff4.seals import disk_seals, file_seals
from forensiclib.images.aff4.zipvolume import ZipVolume

__all__ = ["FORMAT", "open_aff4"]

SUFFIXES = (".aff4", ".af4")
IMAGES = ("Image", "DiskImage", "ContiguousImage", "DiscontiguousImage", "VolumeImage", "MemoryImage", "device")
SIBLINGS = 1000
"""Volumes of a folder that are looked into for one that is missing."""


def _volumes(family: Family, budget: Budget) -> Container:
    """The listed volumes, and those beside the first that they say they need."""
    first = family.listed[0]
    volumes, graphs = [], []
    for path in family.listed:
        volume = ZipVolume(family.open(path), budget)
        if "information.turtle" not in volume.members and not volume.urn.startswith("aff4:"):
            raise NotThisFormat("AFF4 volume", Span(volume.root, 0, 4), "a ZIP without information.turtle")
        volumes.append(volume)
        graphs.append(read_volume(volume, budget))
    beside = family.others(first, SUFFIXES)
    while True:
        container = Container(volumes, graphs, budget)
        wanted = _missing(container)
        found = _beside(family, beside, wanted, budget) if wanted else None
        if found is None:
            return container
        beside.remove(found[0])
        volumes.append(found[1])
        graphs.append(read_volume(found[1], budget))


def _missing(container: Container) -> set[str]:
    """Names of volumes that hold a stream which is needed and not here."""
    here = {volume.urn for volume in container.volumes}
    out: set[str] = set()
    for urn in container.of_kind("ImageStream", "stream", "Map", "map"):
        out |= {value for value in container.values(urn, "stored") if isinstance(value, str) and value.startswith("aff4://")} - here
    return out


def _beside(family: Family, paths: Sequence[str], wanted: set[str], budget: Budget) -> tuple[str, ZipVolume] | None:
    """The first of these files that is one of the wanted volumes."""
    for path in paths[:SIBLINGS]:
        try:
            volume = ZipVolume(family.peek(path), Budget(budget.limits))
        except EvidenceError:
            continue  # another file; what is missing is said where it is needed
        if volume.urn in wanted:
            family.open(path)
            return path, volume
    return None


def _candidates(container: Container) -> list[str]:
    """What could be the disk, the likeliest first."""
    images = [u for u in container.of_kind(*IMAGES) if not is_file(container, u)]
    found = [u for u in images if container.values(u, "dataStream") or container.kinds(u) & {"Map", "map"}]
    if found or next(files_of(container), None) is not None:
        return found  # streams beside files hold what the files are made of
    used = {str(v) for said in container.graph.values() for name in ("dependentStream", "contains") for v in said.get(name, ())}
    maps = [u for u in container.of_kind("Map", "map") if not is_file(container, u) and u not in used]
    return maps or [u for u in container.of_kind("ImageStream", "stream", "image") if not is_file(container, u) and u not in used]


def _data(container: Container, image: str, budget: Budget) -> tuple[ByteSource, tuple[str, ...]]:
    """The bytes of an image, and the streams that are it: more than one where each volume of a striped image has a map of its own."""
    named = [str(v) for v in container.values(image, "dataStream") if isinstance(v, str)] or [image]
    streams = [container.stream(name) for name in named]
    for name, other in zip(named[1:], streams[1:], strict=True):
        first = streams[0]
        if isinstance(first, MapStream) and isinstance(other, MapStream) and not first.same(other):
            budget.report(Corrupt("AFF4 image", Span(container.volumes[0].root, 0, 0), f"its maps {named[0]} and {name} are not the same"))
    return streams[0], tuple(named)


def _unread(data: ByteSource, name: str, budget: Budget) -> list[Span]:
    """The ranges that were not acquired or could not be read, as findings too."""
    if not isinstance(data, MapStream):
        return []
    out: list[Span] = []
    sums = {"unreadable": 0, "unknown": 0}
    for start, length, target in data.stretches():
        kind = found.kind if (found := symbolic(target)) is not None else ""
        if kind in sums:
            sums[kind] += length
            out.append(Span(name, start, length))
    for kind, why in (("unreadable", "could not be read at the acquisition"), ("unknown", "were not acquired")):
        if sums[kind]:
            text = "UNREADABLEDATA" if kind == "unreadable" else "UNKNOWN"
            budget.report(Unreadable("AFF4 image", None, f"{sums[kind]} bytes {why}; they read as the text {text}, as the standard has it"))
    return out


def _disk(container: Container, candidates: list[str], name: str, budget: Budget) -> Image:
    image = candidates[0]
    data, named = _data(container, image, budget)
    if (said := container.number(image, "size")) not in (None, data.size):
        budget.report(container.wrong(image, f"said to have {said} bytes, its stream has {data.size}"))
    others = []
    for other in candidates[1:]:
        try:
            source = _data(container, other, budget)[0]
        except EvidenceError as error:
            budget.report(error)
            continue
        others.append(Snapshot(other, container.text(other, "diskDeviceName") or other, source.size, source))
    if others:
        budget.report(Finding.note("AFF4 image", f"{len(others)} further images; each can be opened as a snapshot", where=name))
    if files := sum(1 for _ in files_of(container)):
        budget.report(Finding.note("AFF4 image", f"{files} files that were collected beside the image are not opened", where=name))
    sector = container.number(image, "blockSize")
    return Image(
        data, format="aff4", name=name, facts=facts_of(container, image, named), hashes=container.hashes(image, "hash"),
        sector_size=sector if sector in (512, 1024, 2048, 4096) else 512, bad_sectors=_unread(data, name, budget), snapshots=others,
        seals=lambda: disk_seals(container, image, named),
    )  # fmt: skip


def open_aff4(paths: Sequence[str], budget: Budget) -> Image:
    """The disk, or the files, that the volumes hold; a striped image's other volumes are found beside the first. No chunk is read.

    Raises NotThisFormat for what is no ZIP or no AFF4; Truncated for a volume without its directory, and when a stream is in
    no volume; Unsupported for encryption; Corrupt for metadata without an image. What the acquisition did not read is a finding
    and one of ``bad_sectors``; it reads as the text that the standard defines, which the stored digests include.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        family = Family(expand(paths), budget, pool)
        container = _volumes(family, budget)
        name = container.volumes[0].root
        candidates = _candidates(container)
        if not candidates and next(files_of(container), None) is None:
            span = Span(name, 0, container.volumes[0].file.size)
            if next(container.of_kind("EncryptedStream"), None) is not None:
                raise Unsupported("AFF4 volume", span, "encrypted")
            raise Corrupt("AFF4 volume", span, "its metadata name no image")
        if candidates:
            made = _disk(container, candidates, name, budget)
        else:
            files = [volume.file for volume in container.volumes]
            made = Image(
                files[0] if len(files) == 1 else ConcatSource(files), format="aff4", name=name, facts=facts_of(container, "", ()),
                tree=tree_of(container, budget), seals=lambda: file_seals(container),
            )  # fmt: skip
        stack.pop_all()
    return Image(
        made.data, format="aff4", name=name, facts=made.facts, hashes=made.hashes, sector_size=made.sector_size,
        bad_sectors=made.bad_sectors, parts=tuple(family.parts.values()), close_with=(pool.close,), snapshots=made.snapshots,
        tree=made.tree, seals=made.seals,
    )  # fmt: skip


FORMAT = ImageFormat(
    name="aff4",
    title="Advanced Forensic Format 4 (AFF4, AFF4-L)",
    refs=(
        'B. Schatz, M. Cohen, "AFF4 Standard v1.0a" (github.com/aff4/Standard)',
        "AFF4 Canonical Reference Images v1.0 (github.com/aff4/ReferenceImages)",
        'B. Schatz, "AFF4-L: A Scalable Open Logical Evidence Container", DFRWS USA 2019',
        'B. Schatz, "Wirespeed: Extending the AFF4 forensic container format for scalable acquisition and live analysis", DFRWS USA 2015',
    ),
    gaps=(
        "encrypted streams (AFF4 1.2) are recognised and refused",
        "volumes that are folders are not opened, nor a ZIP whose directory is lost (an acquisition that broke off)",
        "a set of which a volume is missing is refused, also where parts could be read",
        "what was not acquired or not readable reads as the text that the standard defines (UNKNOWN, UNREADABLEDATA): bad_sectors and "
        "findings say where, spans say unknown or unreadable",
        "files that were collected beside a disk or memory image are counted, not opened",
        "chunks without block hashes have no checksum but that of a whole bevy, which is not looked at",
        "imageStreamHash and linearBlockHash, which Evimetry writes and nobody describes, are shown and not checked",
        "a map of more than 9 million entries is refused",
    ),
    signatures=(Signature(b"PK\x03\x04" + bytes(26) + b"container.description", 0, b"\xff" * 4 + bytes(26) + b"\xff" * 21),),
    trailers=(Signature(b"aff4://", 468), Signature(b"aff4://", 469)),
    extensions=SUFFIXES,
    open=open_aff4,
)
