"""Open a cue sheet with its files, or a file of raw sectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image, Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource, MemorySource, OverlaySource
from forensiclib.core.span import Span
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.cdrom.cue import MODES, SIZE, Sheet, Stated, parse
from forensiclib.images.cdrom.sectors import SYNC, SectorSource, user_data

__all__ = ["FORMAT", "open_cue"]

_TEXT = (b"FILE ", b"REM ", b"CATALOG ", b"TITLE ", b"PERFORMER ", b"CDTEXTFILE ")


@dataclass(slots=True)
class _Track:
    """One track in its file: its data, where its first sector lies on the disc, bytes of a block, and what stands before INDEX 01."""

    stated: Stated
    data: ByteSource
    kind: str
    block: int
    lba: int
    pregap: ByteSource | None = None
    rest: ByteSource | None = None


def _tracks(sheet: Sheet, files: list[PooledFile | None], budget: Budget) -> list[_Track]:
    """The tracks whose file is here. Each lies between its first index and that of the next one, or the end of the file."""
    out: list[_Track] = []
    at = sector = lba = 0
    last_file = -1
    for number, stated in enumerate(sheet.tracks):
        mode, stride = stated.mode, MODES[stated.mode]
        after = sheet.tracks[number + 1] if number + 1 < len(sheet.tracks) else None
        file = files[stated.file]
        if stated.file != last_file:
            at = sector = 0
            last_file = stated.file
            skipped, at = stated.begin, stated.begin * stride
            sector = stated.begin
            lba += skipped
        lba += stated.pregap
        if file is None:
            continue
        end = after.begin if after is not None and after.file == stated.file else sector + max(0, file.size - at) // stride
        silent = stated.indexes[1] - stated.begin
        count = end - sector - silent
        there = max(0, file.size - at) // stride - silent
        if count > there:
            found = (
                f"track {stated.number} has {count} sectors of {stride} bytes, {max(0, there)} are in {file.root}: the rest cannot be read"
            )
            budget.report(Truncated("CD track", Span(file.root, min(at, file.size), max(0, file.size - at)), found))
        if count <= 0:
            raise Corrupt("CD track", Span(file.root, min(at, file.size), 0), f"track {stated.number} has no sector in {file.root}")
        data, block, kind = user_data(file, at + silent * stride, count, mode.partition("/")[0].replace("CDI", "MODE2"), stride)
        track = _Track(stated, data, kind, block, lba + silent)
        if silent:
            track.pregap = SectorSource(file, at, min(silent, there + silent), stride, 0, stride)
        at, sector, lba = at + (end - sector) * stride, end, lba + (end - sector) + stated.postgap
        if (after is None or after.file != stated.file) and at < file.size:
            budget.report(
                Truncated("CD track", Span(file.root, at, file.size - at), f"{file.size - at} bytes at the end are no whole sector")
            )
            track.rest = file.slice(at)
        out.append(track)
    return out


def _base(track: _Track) -> int | None:
    """The sector number that the first sector of the track has for the ISO 9660 file system in it; None without one. The root directory
    tells it: its own record holds the number of the sector that it lies in."""
    if track.block != 2048:
        return None
    try:
        head = track.data.read_at(16 * 2048, 2048)
        root = int.from_bytes(head[158:162], "little")
        if head[:6] != b"\x01CD001":
            return None
        for sector in range(17, min(512, track.data.size // 2048)):
            own = track.data.read_at(sector * 2048, 34)
            if own[0] >= 34 and own[32:34] == b"\x01\0" and int.from_bytes(own[2:6], "little") == root and root >= sector:
                return root - sector
    except EvidenceError:
        return None
    return None


def _descriptors(track: _Track, blocks: int) -> ByteSource:
    """The volume descriptors of the track, their size of the volume raised to ``blocks``: a later session states its own sectors only,
    though it counts from the beginning of the disc, and readers stop at the size."""
    parts: list[ByteSource] = []
    for sector in range(16, 80):
        raw = bytearray(track.data.read_at(sector * 2048, 2048))
        if raw[1:6] != b"CD001":
            break
        if raw[0] in (1, 2) and int.from_bytes(raw[80:84], "little") < blocks:
            raw[80:88] = blocks.to_bytes(4, "little") + blocks.to_bytes(4, "big")
        parts.append(MemorySource(raw, [span.through("session") for span in track.data.trace(sector * 2048, 2048)]))
        if raw[0] == 255:
            break
    return ConcatSource(parts)


def _volume_data(track: _Track, earlier: list[_Track], budget: Budget) -> tuple[ByteSource, bool]:
    """(what a file system in the track is read from, whether it is the track alone). The files of a later session are numbered from the
    beginning of the disc, and some of them lie in the sessions before: then it is the disc up to here, with the descriptors of this
    session where those of the first were."""
    base = _base(track) if earlier else 0
    blocks = (base or 0) + track.data.size // 2048
    if not base or blocks >= 1 << 32:
        return track.data, True
    below = [(t.lba * 2048, t.data) for t in earlier if t.block == 2048 and t.lba + t.data.size // 2048 <= base]
    try:
        heads = _descriptors(track, blocks)
    except EvidenceError as error:
        budget.report(error)
        return track.data, True
    if base * 2048 < heads.size:
        return track.data, True
    found = (
        f"the file system of track {track.stated.number} counts from the beginning of the disc, its first sector is number {base}: "
        f"its volume is the disc up to there, with the descriptors of this session, which are shown with a size of {blocks} sectors"
    )
    budget.report(Finding.note("CD session", found))
    return OverlaySource(ConcatSource(()), [*below, (base * 2048, track.data), (16 * 2048, heads)]), False


def _volumes(tracks: list[_Track], budget: Budget) -> tuple[list[ByteSource], list[Volume]]:
    parts: list[ByteSource] = []
    volumes: list[Volume] = []
    at = 0
    for number, track in enumerate(tracks):
        stated = track.stated
        pieces: list[tuple[ByteSource | None, str]] = [(track.pregap, "pregap"), (track.data, ""), (track.rest, "part of a sector")]
        for data, gap in pieces:
            if data is None or not data.size:
                continue
            if gap:
                volumes.append(Volume(data, index=stated.number, start=at, scheme="cd", kind=gap, type_code=stated.mode, state="slack"))
            else:
                shown, alone = _volume_data(track, tracks[:number], budget)
                volumes.append(
                    Volume(
                        shown, index=stated.number, start=at if alone else -1, scheme="cd", kind=track.kind, type_code=stated.mode,
                        label=stated.title,
                    )
                )  # fmt: skip
            parts.append(data)
            at += data.size
    return parts, volumes


def _image(family: Family, path: str, sheet: Sheet, files: list[PooledFile | None], facts: dict[str, str]) -> Image:
    tracks = _tracks(sheet, files, family.budget)
    if not tracks:
        raise Truncated("cue sheet", Span(os.path.basename(path), 0, 0), "no track of it is in a file that can be read")
    parts, volumes = _volumes(tracks, family.budget)
    said = {f"track {t.stated.number}": f"{t.stated.mode}, {t.kind}, session {t.stated.session}, from sector {t.lba} on" for t in tracks}
    facts = {**sheet.facts, **facts, **said}
    return Image(
        parts[0] if len(parts) == 1 else ConcatSource(parts), format="cue", name=os.path.basename(path), facts=facts,
        sector_size=tracks[0].block if tracks[0].block != 2324 else 2048, tracks=volumes,
    )  # fmt: skip


def _from_sheet(family: Family, path: str, file: PooledFile) -> Image:
    sheet = parse(file.read_at(0, SIZE + 1), file.root, family.budget)
    files: list[PooledFile | None] = []
    for name, kind in sheet.files:
        if kind in ("BINARY", "MOTOROLA"):
            files.append(family.open(family.need(path, [name], "file of a cue sheet")))
            continue
        family.budget.report(
            Finding.note("cue sheet", f"{name!r} is a file of type {kind}: the audio in it is not part of the image", path)
        )
        files.append(None)
    return _image(family, path, sheet, files, {"sheet": file.root})


def _sheet_of(family: Family, path: str) -> str | None:
    """The sheet that names the file: among the listed ones, then beside it with the same stem."""
    name = os.path.basename(path)
    stem = os.path.splitext(name)[0]
    listed = [p for p in family.listed if p.lower().endswith(".cue")]
    beside = family.find(path, [f"{stem}.cue", f"{name}.cue"])
    for candidate in [*listed, *([beside] if beside else [])]:
        try:
            file = PooledFile(family.pool, candidate)
            sheet = parse(file.read_at(0, SIZE + 1), file.root, Budget())
        except EvidenceError:
            continue
        if any(os.path.basename(n.replace("\\", "/")).casefold() == name.casefold() for n, _ in sheet.files):
            return candidate
    return None


def _bare(family: Family, path: str, file: PooledFile) -> Image:
    """Raw sectors without a sheet: one track of the mode of the first sector."""
    stride = next((s for s in (2352, 2448) if file.read_at(s, 12) == SYNC), 2352)
    mode = file.read_at(15, 1)
    if mode not in (b"\1", b"\2"):
        raise NotThisFormat("CD sectors", Span(file.root, 0, 16), f"the first sector has the mode {mode.hex() or 'missing'}")
    name = f"MODE{mode[0]}/2352"
    sheet = Sheet([(file.root, "BINARY")], [Stated(1, name, 0, {1: 0})])
    last = file.size // stride - 1
    if last > 0 and file.read_at(last * stride, 12) != SYNC:
        found = "the last sector has no sync: audio tracks or damage; a cue sheet would say, and none was given or is beside it"
        family.budget.report(Finding.note("CD sectors", found, file.root, Span(file.root, last * stride, stride)))
    first = file.read_at(12, 3)
    if stride == 2448:
        count = file.size // stride
        data = SectorSource(file, 0, count, stride, 16 if mode == b"\1" else 24, 2048, (0,) if mode == b"\1" else (2,))
        track = _Track(sheet.tracks[0], data, f"data track, mode {mode[0]}, with subchannels", 2048, 0, rest=file.slice(count * stride))
        parts, volumes = _volumes([track], family.budget)
        return Image(
            ConcatSource(parts), format="cue", name=file.root, facts={"first_sector": first.hex(":"), "sector": "2448"}, sector_size=2048,
            tracks=volumes,
        )  # fmt: skip
    return _image(family, path, sheet, [file], {"first_sector": first.hex(":")})


def _open(family: Family, path: str) -> Image:
    family.enter(path)
    file = family.open(path)
    if file.read_at(0, 12) != SYNC:
        head = file.read_at(0, 64).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head.upper().startswith(_TEXT):
            raise NotThisFormat("cue sheet", Span(file.root, 0, 64), "neither a cue sheet nor the sync of a sector")
        return _from_sheet(family, path, file)
    sheet = _sheet_of(family, path)
    if sheet is not None:
        family.budget.report(Finding.note("CD sectors", f"opened through {os.path.basename(sheet)}, which names the file", file.root))
        return _from_sheet(family, sheet, family.open(sheet))
    return _bare(family, path, file)


def open_cue(paths: Sequence[str], budget: Budget) -> Image:
    """The disc that a cue sheet describes, or one file of raw sectors, through the sheet beside it when there is one.

    The media are the user data of the tracks one behind the other: 2048 bytes of a data sector, 2324 where a track is of mode 2 form 2,
    2352 of audio and of what lies before a track's INDEX 01. Raises NotThisFormat by the content; Corrupt for a sheet that contradicts
    itself, Truncated for a file that is missing. A sector whose EDC does not match, or that is not what its track is, raises when read.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="cue",
    title="Compact disc in raw sectors (CUE/BIN)",
    refs=(
        "ECMA-130, Data interchange on read-only 120 mm optical data disks (CD-ROM), 2nd edition (1996): 14, sector modes and EDC",
        "CDRWIN user's guide, appendix A: cue sheet commands",
        "Philips and Sony, System Description CD-ROM XA (1991): subheader, forms 1 and 2",
    ),
    gaps=(
        "the EDC of every data sector is checked when it is read; the ECC is not used, nothing is repaired",
        "sync, header, subheader, EDC, ECC and subchannels are not in the media: open the file with format='raw' for them",
        "a form 2 sector inside a form 1 track raises; a track of form 2 sectors alone is read with 2324 bytes of each",
        "audio in WAVE, MP3 and AIFF files is named in a finding, and left out",
        "sessions are those of REM SESSION; the gaps between them are in no file, and what a later one finds there cannot be read",
        "the volume of a later session holds the earlier ones too, as a drive shows the disc: what is carved there is found in both",
        "other descriptions (CCD, MDS, NRG, TOC) are not read; their data file is, when it begins with a raw data sector",
        "without a sheet all sectors are one track; audio at the beginning hides the data behind it",
    ),
    signatures=(Signature(SYNC),),
    extensions=(".cue",),
    open=open_cue,
)
