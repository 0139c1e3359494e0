"""Small disk images with known truth: a plan in, an image and the list of what is in it out.

    plan = Plan((Volume("fat16", 4 << 20, (File("DCIM/a.jpg", jpeg), File("DCIM/b.jpg", other, deleted=True))),))
    built = build(plan, "out")          # out/disk.dd, out/disk.truth.tsv

The file systems are made by their own tools and drivers (see makefs); only the partition table is written here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from forensiclib.core.errors import UsageError
from forensiclib.testing.makefs import KINDS, File, make_volume, run, tool
from forensiclib.testing.partitions import ALIGN, SECTOR, TAIL, Part, gpt, mbr

__all__ = ["Built", "File", "Plan", "Raw", "Truth", "Volume", "build"]


@dataclass(frozen=True, slots=True)
class Volume:
    """kind     a key of makefs.KINDS; size   bytes, a multiple of 512; cluster   bytes, 0 for the tool's choice"""

    kind: str
    size: int
    files: tuple[File, ...] = ()
    label: str = ""
    cluster: int = 0


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that lie on the disk and in no volume, ``offset`` bytes behind the end of the last one (left over from an
    older partition)."""

    name: str
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """scheme    "gpt", "mbr", or "none": the one volume is the whole disk
    raw       bytes outside the volumes; tail   bytes behind the last volume
    e01       also acquire the disk with ewfacquire
    """

    volumes: tuple[Volume, ...]
    scheme: str = "gpt"
    raw: tuple[Raw, ...] = ()
    tail: int = 0
    name: str = "disk"
    e01: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """One content: volume   1-based, 0 for none; stream   "" for the main one; state   "allocated", "deleted", or "slack"
    (in no file; ``path`` is then the file it lies behind, or the name of a Raw)."""

    volume: int
    kind: str
    path: str
    stream: str
    state: str
    size: int
    md5: str
    sha1: str


@dataclass(frozen=True, slots=True)
class Built:
    """image   the raw disk; e01   its acquisition or None; starts   byte offset of each volume; truth   what is in it"""

    image: Path
    e01: Path | None
    starts: tuple[int, ...]
    truth: tuple[Truth, ...]


def _truth(number: int, kind: str, path: str, stream: str, state: str, content: bytes) -> Truth:
    md5, sha1 = (hashlib.new(name, content, usedforsecurity=False).hexdigest() for name in ("md5", "sha1"))
    return Truth(number, kind, path, stream, state, len(content), md5, sha1)


def _truths(plan: Plan) -> Iterator[Truth]:
    for number, volume in enumerate(plan.volumes, 1):
        for file in volume.files:
            state = "deleted" if file.deleted else "allocated"
            yield _truth(number, volume.kind, file.path, "", state, file.content)
            for name, content in file.streams.items():
                yield _truth(number, volume.kind, file.path, name, state, content)
            if file.slack:
                yield _truth(number, volume.kind, file.path, "", "slack", file.slack)
    for raw in plan.raw:
        yield _truth(0, "", raw.name, "", "slack", raw.content)


def _starts(plan: Plan) -> list[int]:
    if plan.scheme == "none":
        if len(plan.volumes) != 1:
            raise UsageError(f"scheme none takes one volume, not {len(plan.volumes)}")
        return [0]
    starts, at = [], ALIGN
    for volume in plan.volumes:
        starts.append(at)
        at += -(-volume.size // ALIGN) * ALIGN
    return starts


def _table(plan: Plan, starts: list[int], size: int) -> dict[int, bytes]:
    parts = [
        Part(start, v.size, KINDS[v.kind].mbr_type, KINDS[v.kind].gpt_type, v.label or v.kind)
        for start, v in zip(starts, plan.volumes, strict=True)
    ]
    if plan.scheme == "gpt":
        return gpt(parts, size, plan.name)
    return mbr(parts) if plan.scheme == "mbr" else {}


def build(plan: Plan, directory: str | os.PathLike[str]) -> Built:
    """Make the disk of a plan in ``directory``: NAME.dd, NAME.truth.tsv, and NAME.E01 when asked for.

    Raises UsageError (the plan makes no sense), MissingSupport (names the Debian package), RuntimeError (a tool failed,
    in its own words).
    """
    if plan.scheme not in ("gpt", "mbr", "none"):
        raise UsageError(f"no scheme {plan.scheme!r}; there are gpt, mbr, none")
    if any(v.kind not in KINDS or v.size % SECTOR for v in plan.volumes):
        raise UsageError(f"volumes need a kind of {', '.join(KINDS)} and a size in sectors")
    if any(r.offset < 0 or r.offset + len(r.content) > plan.tail for r in plan.raw):
        raise UsageError(f"raw content must lie in the {plan.tail} bytes behind the last volume")
    out = Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    starts = _starts(plan)
    end = starts[-1] + plan.volumes[-1].size
    size = end + plan.tail + (TAIL if plan.scheme == "gpt" else 0)
    size += -size % SECTOR
    image = out / f"{plan.name}.dd"
    with open(image, "wb") as disk, tempfile.TemporaryDirectory() as folder:
        disk.truncate(size)
        for start, volume in zip(starts, plan.volumes, strict=True):
            part = Path(folder) / "volume"
            make_volume(part, volume.kind, volume.size, volume.files, label=volume.label, cluster=volume.cluster)
            disk.seek(start)
            with open(part, "rb") as source:
                shutil.copyfileobj(source, disk, 1 << 20)
        pieces = {end + raw.offset: raw.content for raw in plan.raw} | _table(plan, starts, size)
        for at, piece in pieces.items():
            disk.seek(at)
            disk.write(piece)
    truth = tuple(_truths(plan))
    lines = ["volume\tkind\tpath\tstream\tstate\tsize\tmd5\tsha1", *("\t".join(map(str, astuple(t))) for t in truth)]
    (out / f"{plan.name}.truth.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Built(image, _acquire(image, plan.name) if plan.e01 else None, tuple(starts), truth)


def _acquire(image: Path, name: str) -> Path:
    target = image.with_suffix(".E01")
    target.unlink(missing_ok=True)
    run(
        tool("ewfacquire", "ewf-tools"), "-u", "-q", "-t", image.with_suffix(""), "-f", "encase6", "-c", "deflate:best", "-b", "64",
        "-S", "1.9 GiB", "-d", "sha1", "-C", "example", "-D", name, "-E", "1", "-e", "forensiclib", "-N", "built from a plan", image,
    )  # fmt: skip
    return target
