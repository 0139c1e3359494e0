"""MP4, MOV, 3GP, M4A, HEIC: the box chain, held against the sample tables."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.carving.mp4_join import rejoin
from forensiclib.carving.mp4_samples import Track, first_bad_sample, tracks
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.isobmff import BOX, LARGE

__all__ = ["CARVERS", "measure"]

CHUNK = 1 << 18
PADDING = 16 << 20
"""Bytes of one free box that are looked at."""
_TOP = {
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"udta", b"uuid", b"meta", b"moof", b"mfra", b"sidx",
    b"ssix", b"styp", b"emsg", b"prft", b"pdin", b"junk", b"PICT", b"idat", b"meco", b"imda", b"mere", b"bloc", b"ctab",
}  # fmt: skip
_BRANDS = {
    b"qt  ": ("mov", "QuickTime video"), b"heic": ("heic", "HEIF picture"), b"heix": ("heic", "HEIF picture"),
    b"mif1": ("heic", "HEIF picture"), b"msf1": ("heic", "HEIF picture"), b"hevc": ("heic", "HEIF picture"),
    b"avif": ("avif", "AVIF picture"), b"avis": ("avif", "AVIF picture"), b"M4A ": ("m4a", "MPEG-4 audio"),
    b"M4B ": ("m4b", "MPEG-4 audio book"), b"M4V ": ("m4v", "MPEG-4 video"), b"crx ": ("cr3", "Canon raw picture"),
    b"f4v ": ("f4v", "Flash video"),
}  # fmt: skip


def _boxes(data: ByteSource, budget: Budget) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, size) of top-level boxes while they are known ones; size 0 reaches to an unknown end."""
    at, seen = 0, set()
    while True:
        budget.item()
        head = data.read_at(at, LARGE.size)
        if len(head) < BOX.size:
            return
        size, kind = BOX.unpack(head)
        if kind not in _TOP or (kind in (b"ftyp", b"moov") and kind in seen):
            return  # a second ftyp or moov is another file's
        seen.add(kind)
        if size == 1 and len(head) == LARGE.size:
            size = LARGE.unpack(head)[2]
        if size and size < BOX.size:
            return
        yield kind, at, size
        if size == 0 or at + size > data.size:
            return
        at += size


def _kind(data: ByteSource) -> tuple[str, str]:
    head = data.read_at(0, 12)
    if head[4:8] != b"ftyp":
        return "mov", "QuickTime video"
    brand = head[8:12]
    if brand[:2] == b"3g":
        return "3gp", "3GP video"
    return _BRANDS.get(brand, ("", ""))


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Boxes from the first to the last known one."""
    boxes = list(_boxes(data, budget))
    kinds = [kind for kind, _, _ in boxes]
    if not boxes or (kinds[0] == b"ftyp" and not 16 <= boxes[0][2] <= 4096):
        return None
    extension, title = _kind(data)
    last, at, size = boxes[-1]
    movie = next(((place, length) for kind, place, length in boxes if kind == b"moov" and 0 < length <= data.size - place), None)
    whole = size > 0 and at + size <= data.size
    end = at + size if whole else at
    if movie is None:
        return _without_movie(kinds, end, whole, extension, title)
    listed = tracks(data.slice(*movie), budget)
    furthest = max((t.end for t in listed), default=0)
    if not whole and last == b"mdat" and size == 0 and at < furthest <= data.size:
        end, whole = furthest, True  # "to the end of the file": the sample tables know where that is
    if not whole or furthest > end:
        length = min(data.size, furthest) if last == b"mdat" and furthest else end
        return Find(
            max(length, end),
            0.4,
            "movie header sound, media data breaks off",
            extension,
            title,
            complete=False,
            owned=_media(boxes, sum(movie)),
        )
    if b"mdat" not in kinds and b"moof" not in kinds:
        return None
    return _judged(data, listed, end, boxes, extension, title, budget)


def _strange_padding(data: ByteSource, boxes: list[tuple[bytes, int, int]]) -> int | None:
    """Place of the first free box that is not zeros: where a file was sparse, others lie there."""
    for kind, place, size in boxes:
        if kind in (b"free", b"skip"):
            for at in range(place + BOX.size, min(place + size, place + PADDING), CHUNK):
                piece = data.read_at(at, min(CHUNK, place + size - at))
                if piece.count(0) != len(piece):
                    return place
    return None


def _judged(
    data: ByteSource, listed: list[Track], end: int, boxes: list[tuple[bytes, int, int]], extension: str, title: str, budget: Budget
) -> Find:
    checked, bad, sure = first_bad_sample(data, listed, budget)
    strange = _strange_padding(data, boxes)
    mine = end if strange is None else strange
    reason = f"{len(boxes)} boxes in a chain, samples of {len(listed)} track(s) inside"
    if bad is not None:
        reason += f"; the video data breaks off before {bad} (the file was in fragments, or is damaged)"
        return Find(end, 0.4, reason, extension, title, complete=False, owned=min(mine, sure))
    if strange is not None:
        reason += f"; the padding at {strange} is not empty"
    if checked:
        return Find(end, 1.0 if strange is None else 0.7, reason + f"; {checked} video samples verified", extension, title, owned=mine)
    return Find(end, 0.9 if strange is None else 0.6, reason, extension, title, owned=mine)


def _without_movie(kinds: list[bytes], end: int, whole: bool, extension: str, title: str) -> Find | None:
    if b"mdat" not in kinds:
        return None
    if b"meta" in kinds and whole:
        return Find(end, 0.9, f"{len(kinds)} boxes in a chain, with an item index", extension, title)
    if kinds[0] != b"ftyp":
        return None
    return Find(end, 0.2, "media data without a movie header", extension, title, complete=False, owned=0)


def _media(boxes: list[tuple[bytes, int, int]], movie: int) -> int:
    """Where the first box of media data begins, or the movie header ends: what is before is certainly this file's."""
    return next((place for kind, place, _ in boxes if kind == b"mdat"), movie)


CARVERS = (
    Carver(
        name="mp4",
        title="MPEG-4 video",
        extension="mp4",
        mime="video/mp4",
        signatures=(
            Signature(b"\0\0\0\0ftyp", mask=b"\xff\xff\xf0\0\xff\xff\xff\xff"),
            Signature(b"moov\0\0\0\x6cmvhd", offset=4),
            Signature(b"\0\0\0\x08wide\0\0\0\0mdat", mask=b"\xff" * 8 + b"\0\0\0\0\xff\xff\xff\xff"),
        ),
        measure=measure,
        rejoin=rejoin,
        holds=True,
        maximum=1 << 40,
        refs=("ISO/IEC 14496-12:2022, 4.2: box structure, 8.7: sample tables", "QuickTime File Format (2001): movie atoms"),
        gaps=(
            "pieces are joined by AVC and HEVC samples, their end within a sample is a guess; HEIF and other codecs are not joined",
            "media data whose movie header lies elsewhere (interrupted recordings) is reported incomplete, not rebuilt",
            "video samples are verified for AVC and HEVC; other codecs by the sample tables alone",
            "a box of a kind not listed at the top level ends the file",
        ),
    ),
)
