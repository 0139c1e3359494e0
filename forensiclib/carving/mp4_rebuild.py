"""A film whose movie header was never written, or is lost: a new one, made from its own pictures and the settings of a whole film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from forensiclib.carving.mp4_kin import Settings, settings
from forensiclib.carving.mp4_walk import Picture, Walk, own_sets, shown, sized, without_holes
from forensiclib.core.declare import Find, Remains, Supplied
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.isobmff import BOX, LARGE

__all__ = ["rebuild"]

LEAST = 4
"""Pictures without which a film is not told from chance."""
TRIED = 64
"""Pictures by which settings are tried."""
_BEFORE = {b"ftyp", b"wide", b"free", b"skip", b"uuid"}
_PROVEN, _DOUBTFUL = 0.85, 0.6


@dataclass(frozen=True, slots=True)
class _Media:
    """Where the type box (empty when there is none) and the media data lie; ``stated``: the latter's end is; ``beyond``: bytes
    that it states and that are not there."""

    kind: tuple[int, int]
    start: int
    end: int
    stated: bool
    beyond: int


def _media(data: ByteSource, budget: Budget) -> _Media | None:
    at, kind = 0, (0, 0)
    for _ in range(16):
        budget.item()
        raw = data.read_at(at, LARGE.size)
        if len(raw) < LARGE.size:
            return None
        size, name = BOX.unpack(raw)
        skip = BOX.size
        if size == 1:
            size, skip = LARGE.unpack(raw)[2], LARGE.size
        if name == b"mdat":
            stated = skip < size <= data.size - at
            return _Media(kind, at + skip, at + size if stated else data.size, stated, max(0, at + size - data.size))
        if name not in _BEFORE or size < BOX.size:
            return None
        if name == b"ftyp":
            kind = at, size
        at += size
    return None


def _box(name: bytes, *parts: bytes) -> bytes:
    size = BOX.size + sum(map(len, parts))
    return size.to_bytes(4, "big") + name + b"".join(parts)


def _numbers(*values: int) -> bytes:
    return b"".join(v.to_bytes(4, "big") for v in values)


def _runs(values: Sequence[int]) -> bytes:
    """A table of (count, value)."""
    rows = [(len(list(same)), value) for value, same in groupby(values)]
    return _numbers(0, len(rows), *(v for row in rows for v in row))


_UNITY = _numbers(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _movie(pictures: list[Picture], what: Settings, base: int, large: bool) -> tuple[bytes, int]:
    """A movie header for the pictures, whose place 0 is at ``base`` of the file, and where the sample description is in it.

    ISO/IEC 14496-12, 8.2 to 8.7."""
    count, delta, scale = len(pictures), what.delta, what.scale
    order = shown(pictures)
    late = max(i - n for i, n in enumerate(order))
    lasts = count * delta
    chunks, each = [pictures[0].at], [0]
    for i, picture in enumerate(pictures):
        if i and picture.at != pictures[i - 1].end:
            chunks.append(picture.at)
            each.append(0)
        each[-1] += 1
    spread = [(i + 1, n, 1) for i, n in enumerate(each) if not i or n != each[i - 1]]
    keys = [i + 1 for i, picture in enumerate(pictures) if picture.key]
    width, height = what.size
    wide = 8 if large else 4
    before = [
        _box(b"stts", _numbers(0, 1, count, delta)),
        *([_box(b"ctts", _runs([(n + late - i) * delta for i, n in enumerate(order)]))] if late else []),
        _box(b"stss", _numbers(0, len(keys), *keys)),
        _box(b"stsc", _numbers(0, len(spread), *(v for row in spread for v in row))),
        _box(b"stsz", _numbers(0, 0, count, *(p.end - p.at for p in pictures))),
        _box(b"co64" if large else b"stco", _numbers(0, len(chunks)), *((base + at).to_bytes(wide, "big") for at in chunks)),
    ]
    table = _box(b"stbl", _box(b"stsd", _numbers(0, 1), what.entry), *before)
    info = _box(b"minf", _box(b"vmhd", _numbers(1, 0, 0)), _box(b"dinf", _box(b"dref", _numbers(0, 1), _box(b"url ", _numbers(1)))), table)
    media = _box(
        b"mdia",
        _box(b"mdhd", _numbers(0, 0, 0, scale, lasts, 0x55C40000)),
        _box(b"hdlr", _numbers(0, 0), b"vide", _numbers(0, 0, 0), b"\0"),
        info,
    )
    track = _box(
        b"trak",
        _box(b"tkhd", _numbers(3, 0, 0, 1, 0, lasts, 0, 0, 0, 0), what.matrix, _numbers(width << 16, height << 16)),
        _box(b"edts", _box(b"elst", _numbers(0, 1, lasts, late * delta, 0x10000))),
        media,
    )
    movie = _box(
        b"moov", _box(b"mvhd", _numbers(0, 0, 0, scale, lasts, 0x10000, 0x01000000, 0, 0), _UNITY, _numbers(0, 0, 0, 0, 0, 0, 2)), track
    )
    return movie, len(movie) - sum(map(len, before)) - len(what.entry)


@dataclass(frozen=True, slots=True)
class _Film:
    """Media data read with one whole film's settings."""

    settings: Settings
    pictures: list[Picture]
    walk: Walk

    @property
    def own(self) -> bool:
        """Whether its parameters stand in the recording too."""
        return own_sets(self.pictures)

    @property
    def sized(self) -> bool:
        """Whether the slices tell the size of the pictures."""
        return sized(self.pictures, self.settings.coding.width, self.settings.coding.height)


def _read(data: ByteSource, media: _Media, what: Settings, budget: Budget) -> _Film | None:
    trial = Walk(data, media.start, media.end, media.stated, what, budget)
    if len(trial.pictures(TRIED)) < LEAST:
        return None
    walk = Walk(data, media.start, media.end, media.stated, what, budget)
    return _Film(what, walk.pictures(), walk)


def _known(remains: Remains, budget: Budget) -> list[Settings]:
    """The settings of whole films, those of equal parameter sets once."""
    known: list[Settings] | None = remains.learned.get("settings")
    if known is None:
        out: dict[frozenset[bytes], Settings] = {}
        for source in remains.kin:
            if (found := settings(source, budget)) is not None:
                out.setdefault(found.coding.sets, found)
        known = remains.learned["settings"] = list(out.values())
    return known


def rebuild(remains: Remains, budget: Budget) -> Find | None:
    """The film whose media data begins ``remains.data``, with a new header. Raises LimitExceeded."""
    data = remains.data
    media = _media(data, budget)
    if media is None:
        return None
    films = [film for what in _known(remains, budget) if (film := _read(data, media, what, budget)) is not None]
    if not films:
        return None
    longest = max(len(film.pictures) for film in films)
    films = [film for film in films if len(film.pictures) >= longest - 1]
    film = max(films, key=lambda f: (f.own, f.sized))
    return _made(film, media, len(films) - 1)


def _made(film: _Film, media: _Media, others: int) -> Find | None:
    pictures, what = film.pictures, film.settings
    doubts, cut = [], not film.walk.sure_of_last(pictures[-1])
    if cut:
        pictures = pictures[:-1]
    first, stop = pictures[0].at, pictures[-1].end
    if not film.own:
        dimensions = f"the size of the pictures, {what.size[0]} x {what.size[1]}, and " if not film.sized else ""
        doubts.append(f"{dimensions}what the heads of slices do not tell of the coding is that film's word alone")
        if others:
            doubts.append(f"the settings of {others} other film(s) fit as well")
    if not without_holes(pictures):
        doubts.append("pictures are missing in the order of display")
    if media.beyond:
        doubts.append(f"{media.beyond} bytes to the stated end of the media data are not there")
    if media.stated and media.end - film.walk.reached > what.gap:
        doubts.append(f"{media.end - film.walk.reached} bytes to the stated end of the media data were not followed")
    if len(pictures) * what.delta >= 1 << 32:
        return None  # no header of this form counts so long
    silent = stop - first - sum(p.end - p.at for p in pictures)
    at = media.kind[1]
    large = at + (1 << 20) + 40 * len(pictures) + stop - first >= 1 << 32
    header = (1).to_bytes(4, "big") + b"mdat" + (LARGE.size + stop - first).to_bytes(8, "big") if large else _box(b"mdat")
    if not large:
        header = (BOX.size + stop - first).to_bytes(4, "big") + b"mdat"
    size = len(_movie(pictures, what, 0, large)[0])
    movie, entry = _movie(pictures, what, at + size + len(header) - first, large)
    behind = entry + len(what.entry)
    supplied = (
        Supplied(at, movie[:entry], (), "movie header, made"),
        Supplied(at + entry, what.entry, what.spans, "sample description of another film"),
        Supplied(at + behind, movie[behind:] + header, (), "sample tables and the head of the media data, made"),
    )
    pieces = tuple((start, n) for start, n in (media.kind, (first, stop - first)) if n)
    spans = ", ".join(map(str, what.spans))
    reason = (
        f"media data without a movie header: {len(pictures)} pictures, the heads of all follow one another"
        f"{', the last one, cut off, is left out' if cut else ''}; {silent} bytes between them are no video and have no track"
        f"; header made, sample description of another film from {spans}; {what.delta}/{what.scale} s a picture as there"
        + f"{'; the recording holds the same parameter sets' if film.own else ''}"
        + "".join(f"; {d}" for d in doubts)
    )
    return Find(at + len(movie) + len(header) + stop - first, _DOUBTFUL if doubts else _PROVEN, reason, pieces=pieces, supplied=supplied)
