"""MP4, MOV, 3GP, M4A, HEIC: the box chain, held against the sample tables."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.carving.mp4_join import rejoin
from forensiclib.carving.mp4_rebuild import rebuild
from forensiclib.carving.mp4_samples import Track, first_bad_sample, tracks
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.isobmff import BOX, LARGE

__all__ = ["CARVERS", "measure"]

CHUNK = 1 << 18
PADDING = 16 << 20
"""Bytes of one free box that are looked at."""
_TOP = {
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"udta", b"uuid", b"meta", b"moof", b"mfra", b"sidx",
    b"gps0", b"gsen", b"frea", b"thmb", b"udat", b"sefd", b"inst", b"nbmt", b"mpvd", b"pict", b"prfl", b"etyp", b"sgpd",
    b"ssix", b"styp", b"emsg", b"prft", b"pdin", b"junk", b"PICT", b"idat", b"meco", b"imda", b"mere", b"bloc", b"ctab",
}  # fmt: skip
_MP4, _MOV = Kind("mp4", "video/mp4", "MPEG-4 video"), Kind("mov", "video/quicktime", "QuickTime video")
_3GP, _3G2 = Kind("3gp", "video/3gpp", "3GP video"), Kind("3g2", "video/3gpp2", "3G2 video")
_HEIC, _HEIF = Kind("heic", "image/heic", "HEIF picture (HEVC)"), Kind("heif", "image/heif", "HEIF picture")
_HEICS, _AVCI = Kind("heics", "image/heic-sequence", "HEIF picture sequence"), Kind("avci", "image/avci", "HEIF picture (AVC)")
_AVIF, _AVIFS = Kind("avif", "image/avif", "AVIF picture"), Kind("avifs", "image/avif-sequence", "AVIF picture sequence")
_BRANDS = {
    b"qt  ": _MOV, b"heic": _HEIC, b"heix": _HEIC, b"heim": _HEIC, b"heis": _HEIC, b"mif1": _HEIF, b"mif2": _HEIF,
    b"msf1": _HEICS, b"hevc": _HEICS, b"hevx": _HEICS, b"avci": _AVCI, b"avcs": _AVCI, b"avif": _AVIF, b"avis": _AVIFS,
    b"M4A ": Kind("m4a", "audio/mp4", "MPEG-4 audio"), b"M4B ": Kind("m4b", "audio/mp4", "MPEG-4 audio book"),
    b"M4P ": Kind("m4p", "audio/mp4", "MPEG-4 audio (protected)"), b"M4V ": Kind("m4v", "video/x-m4v", "Apple video (M4V)"),
    b"crx ": Kind("cr3", "image/x-canon-cr3", "Canon raw photograph (CR3)"), b"f4v ": Kind("f4v", "video/mp4", "Flash video (F4V)"),
    b"F4V ": Kind("f4v", "video/mp4", "Flash video (F4V)"), b"F4A ": Kind("f4a", "audio/mp4", "Flash audio (F4A)"),
    b"aax ": Kind("aax", "audio/vnd.audible.aax", "Audible book (AAX)"), b"MSNV": Kind("mp4", "video/mp4", "MPEG-4 video (Sony)"),
    b"XAVC": Kind("mp4", "video/mp4", "XAVC video (Sony cameras)"), b"dash": Kind("mp4", "video/mp4", "MPEG-4 video (DASH)"),
}  # fmt: skip
_CAMERAS = {
    b"GPRO": "MPEG-4 video (GoPro)",
    b"CAEP": "MPEG-4 video (Canon)",
    b"pana": "MPEG-4 video (Panasonic)",
    b"niko": "MPEG-4 video (Nikon)",
}
"""Brands that a camera puts among the compatible ones, or as the minor version."""


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
    head = data.read_at(0, 64)
    if head[4:8] != b"ftyp":
        return _MOV.extension, _MOV.title
    brand, size = head[8:12], int.from_bytes(head[:4], "big")
    if brand[:2] == b"3g":
        kind = _3G2 if brand[2:3] == b"2" else _3GP
        return kind.extension, kind.title
    listed = [head[i : i + 4] for i in range(8, min(size, len(head)), 4)]
    if brand in (b"mif1", b"msf1"):
        # the brands behind tell what the pictures are coded in
        brand = next((b for b in listed[2:] if b in _BRANDS and b not in (b"mif1", b"msf1", b"mif2")), brand)
    if (kind_or_none := _BRANDS.get(brand)) is not None:
        return kind_or_none.extension, kind_or_none.title
    return "", next((title for mark, title in _CAMERAS.items() if mark in listed), "")


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
        rebuild=rebuild,
        holds=True,
        maximum=1 << 40,
        refs=("ISO/IEC 14496-12:2022, 4.2: box structure, 8.7: sample tables", "QuickTime File Format (2001): movie atoms"),
        gaps=(
            "pieces are joined by AVC and HEVC samples, their end within a sample is a guess; HEIF and other codecs are not joined",
            "media data whose movie header was lost is rebuilt for AVC (no groups of slices, order of display not by type 1) and HEVC with "
            "a whole film of the same settings: video alone, in one run; sound between it has no track",
            "of such a film every unit and the head of every slice is verified, not the coded blocks: it is unproven where the recording "
            "does not hold its parameter sets itself, since the size of the pictures, or their transforms, may be another's",
            "video samples are verified for AVC and HEVC; other codecs by the sample tables alone",
            "a box of a kind not listed at the top level ends the file",
            "what a maker appends behind the boxes (Insta360 trailers) is left out",
        ),
        kinds=(
            _MP4,
            _MOV,
            _3GP,
            _3G2,
            *dict.fromkeys(_BRANDS.values()),
            *(Kind("mp4", "video/mp4", title) for title in _CAMERAS.values()),
        ),
    ),
)
