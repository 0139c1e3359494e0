"""Video with little around it: DV, IVF, YUV4MPEG2, FLI/FLC, Smacker, Bink."""

from __future__ import annotations

import itertools
import re
import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_bink", "measure_dv", "measure_fli", "measure_ivf", "measure_smacker", "measure_y4m"]

_FLI, _FLC = Kind("fli", "video/x-fli", "Autodesk animation (FLI)"), Kind("flc", "video/x-flc", "Autodesk animation (FLC)")
_DIF = 12000


def _dif(data: ByteSource, at: int) -> bool:
    """Whether a DIF sequence of 150 blocks lies at ``at``: header, subcode, VAUX, then audio and video."""
    raw = data.read_at(at, _DIF)
    if len(raw) < _DIF:
        return False
    kinds = [raw[i] >> 5 for i in range(0, _DIF, 80)]
    return kinds == _ORDER and all(raw[i + 1] >> 4 == raw[1] >> 4 for i in range(0, _DIF, 80))


_ORDER = [0, 1, 1, 2, 2, 2] + ([3] + [4] * 15) * 9


def measure_dv(data: ByteSource, budget: Budget) -> Find | None:
    """Frames of ten (60 Hz) or twelve (50 Hz) sequences."""
    head = data.read_at(0, 8)
    if len(head) < 8 or not _dif(data, 0):
        return None
    count = 12 if head[3] & 0x80 else 10
    at, frames = 0, 0
    while True:
        budget.item()
        for number in range(count):
            place = at + number * _DIF
            if data.read_at(place + 1, 1)[:1] == b"" or data.read_at(place + 1, 1)[0] >> 4 != number or not _dif(data, place):
                begun = data.read_at(at, 3)[:1] == head[:1] and number > 0
                if not frames:
                    return None
                if begun:
                    return broken(at, f"{frames} frames, the next is cut off")
                return Find(at, 0.8, f"{frames} frames of {count} sequences, to the first thing that is none", owned=at)
        at += count * _DIF
        frames += 1


def measure_ivf(data: ByteSource, budget: Budget) -> Find | None:
    """As many frames as the header counts."""
    window = Window(data, 64)
    head = window.at(0, 32)
    if len(head) < 32 or head[:8] != b"DKIF\0\0\x20\0":
        return None
    count = int.from_bytes(head[24:28], "little")
    at, frames, last = 32, 0, -1
    while True:
        budget.item()
        size, stamp = window.number(at, 4), window.number(at + 4, 8)
        if (
            size <= 0
            or size > 64 << 20
            or stamp <= last
            or stamp > last + (1 << 24)
            or at + 12 + size > data.size
            or (count and frames == count)
        ):
            break
        frames, last = frames + 1, stamp
        at += 12 + size
    if not frames:
        return None
    if frames == count:
        return Find(at, 0.95, f"all {count} frames")
    # some writers count nothing, or fields
    return broken(at, f"{frames} of {count} frames") if count else Find(at, 0.6, f"{frames} frames; the header counts none")


_Y4M = re.compile(rb"YUV4MPEG2((?: [A-Z][\x21-\x7e]*){2,20})\n")
_CHROMA = {b"420": 3, b"422": 4, b"444": 6, b"mon": 2, b"411": 3, b"440": 4}
"""Half bytes of a pixel."""


def measure_y4m(data: ByteSource, budget: Budget) -> Find | None:
    """Frames of the size that the header gives."""
    match = _Y4M.match(data.read_at(0, 512))
    if match is None:
        return None
    fields = {word[:1]: word[1:] for word in reversed(match[1].split())}
    if not fields.get(b"W", b"").isdigit() or not fields.get(b"H", b"").isdigit():
        return None
    width, height, chroma = int(fields[b"W"][:6]), int(fields[b"H"][:6]), fields.get(b"C", b"420")
    deep = re.search(rb"p(9|1[0-6])$", chroma)
    wide = 2 if deep or re.fullmatch(rb"mono(9|1[0-6])", chroma) else 1
    across, down = {b"420": (2, 2), b"422": (2, 1), b"411": (4, 1), b"440": (1, 2), b"444": (1, 1)}.get(chroma[:3], (0, 0))
    if chroma[:3] not in _CHROMA or not width or not height:
        return None
    size = width * height
    if across:
        size += 2 * (-(-width // across) * -(-height // down))
    if chroma == b"444alpha":
        size += width * height
    size *= wide
    window, at, frames = Window(data, 128), match.end(), 0
    while window.at(at, 5) == b"FRAME":
        budget.item()
        line = window.at(at, 100).find(b"\n")
        if line < 0:
            break
        if at + line + 1 + size > data.size:
            return broken(at, f"{frames} frames, the next is cut off")
        frames += 1
        at += line + 1 + size
    return Find(at, 0.85, f"{frames} frames of {width} x {height}") if frames else None


def measure_fli(data: ByteSource, budget: Budget) -> Find | None:
    """Frame chunks to the stated end."""
    window = Window(data, 64)
    head = window.at(0, 24)
    if len(head) < 24:
        return None
    size, magic, frames, width, height, depth, _ = struct.unpack_from("<IHHHHHH", head)
    kind = {0xAF11: _FLI, 0xAF12: _FLC}.get(magic)
    if kind is None or size < 128 + 16 or not frames or not 0 < width <= 4096 or not 0 < height <= 4096 or depth not in (0, 8, 15, 16, 24):
        return None
    at, seen = 128, 0
    while at + 6 <= size:
        budget.item()
        length, name = window.number(at, 4), window.number(at + 4, 2)
        if length < 6 or name not in (0xF1FA, 0xF100, 0xF1E0, 0xF1F0) or at + length > size:
            break
        seen += name == 0xF1FA
        at += length
    reason = f"{seen} of {frames} frames"
    if seen < frames or at > data.size:
        return broken(min(at, data.size), reason, kind) if seen else None
    return Find(max(at, size) if max(at, size) <= at + 1 else at, 0.95, reason, kind.extension, kind.title)


def measure_smacker(data: ByteSource, budget: Budget) -> Find | None:
    """Trees and frames by the table of sizes."""
    head = data.read_at(0, 104)
    if len(head) < 104:
        return None
    width, height, frames, _, flags = struct.unpack_from("<IIIiI", head, 4)
    trees = int.from_bytes(head[52:56], "little")
    if not 0 < width <= 4096 or not 0 < height <= 4096 or not 0 < frames < 1 << 20 or flags > 7 or trees > 1 << 24:
        return None
    frames += flags & 1
    raw = data.read_at(104, 5 * frames)
    if len(raw) < 5 * frames:
        return broken(data.size, "header sound, the table is cut off") if len(raw) else None
    sizes = struct.unpack_from(f"<{frames}I", raw)
    if any(size > 1 << 24 for size in sizes):
        return None
    return ending(data, 104 + 5 * frames + trees + sum(size & ~3 for size in sizes), 0.85, f"{frames} frames by the table of sizes")


def measure_bink(data: ByteSource, budget: Budget) -> Find | None:
    """The stated size, which the frame table ends on too."""
    head = data.read_at(0, 48)
    if len(head) < 48:
        return None
    size, frames, largest, again, width, height, over, under = struct.unpack_from("<8I", head, 4)
    tracks = int.from_bytes(head[40:44], "little")
    if (
        not 0 < frames < 1 << 20
        or again > frames + 1
        or not 0 < width <= 7680
        or not 0 < height <= 4800
        or not over
        or not under
        or tracks > 256
    ):
        return None
    extra = 4 if head[:4] in (b"BIKk", b"KB2i", b"KB2j", b"KB2k") else 0
    table = 44 + 12 * tracks + extra
    raw = data.read_at(table, 4 * frames + 4)
    if len(raw) < 4 * frames + 4:
        return broken(data.size, "header sound, the frame table is cut off") if size + 8 > data.size else None
    places = [p & ~1 for p in struct.unpack(f"<{frames + 1}I", raw)]
    if any(not 0 < b - a <= largest for a, b in itertools.pairwise(places)) or places[0] < table:
        return None
    if places[-1] != size + 8:
        return None
    return ending(data, size + 8, 0.95, f"{frames} frames to the stated end")


_FLI_MASK = bytes(3) + b"\xf0" + b"\xff\xff\0\xf0\0\xe0\0\xe0"

CARVERS = (
    Carver(
        name="dv",
        title="DV video",
        extension="dv",
        mime="video/x-dv",
        signatures=(Signature(b"\x1f\x07\0\x3f", mask=b"\xff\xff\xff\x7f"), Signature(b"\x1f\x0f\0\x3f", mask=b"\xff\xff\xff\x7f")),
        measure=measure_dv,
        maximum=1 << 40,
        refs=("IEC 61834-2", "SMPTE ST 314:2015"),
        gaps=("DVCPRO50 and DVCPRO HD, of several channels, are not recognised", "nothing marks the end"),
    ),
    Carver(
        name="ivf",
        title="IVF video",
        extension="ivf",
        mime="video/x-ivf",
        signatures=(Signature(b"DKIF\0\0\x20\0"),),
        measure=measure_ivf,
        maximum=1 << 40,
        refs=("WebM project: IVF container (ivfdec.c, ivfenc.h)",),
        gaps=("frames are not decoded",),
    ),
    Carver(
        name="y4m",
        title="Uncompressed video (YUV4MPEG2)",
        extension="y4m",
        mime="video/x-yuv4mpeg",
        signatures=(Signature(b"YUV4MPEG2 "),),
        measure=measure_y4m,
        maximum=1 << 42,
        refs=("yuv4mpeg(5), MJPEG tools",),
        gaps=("nothing marks the end: it is where no frame follows",),
    ),
    Carver(
        name="fli",
        title="Autodesk animation",
        extension="flc",
        mime="video/x-flc",
        signatures=tuple(Signature(bytes(4) + m + bytes(6), mask=_FLI_MASK) for m in (b"\x11\xaf", b"\x12\xaf")),
        measure=measure_fli,
        refs=("Autodesk Animator Pro: FLIC file format (Kent, Dr. Dobb's Journal, 1993)",),
        gaps=("frames are not decoded",),
        kinds=(_FLI, _FLC),
    ),
    Carver(
        name="smacker",
        title="Smacker video",
        extension="smk",
        mime="video/x-smacker",
        signatures=(Signature(b"SMK2"), Signature(b"SMK4")),
        measure=measure_smacker,
        refs=("RAD Game Tools: Smacker (MultimediaWiki)",),
        gaps=("frames are not decoded",),
    ),
    Carver(
        name="bink",
        title="Bink video",
        extension="bik",
        mime="video/x-bink",
        signatures=(
            *(Signature(b"BIK" + v) for v in (b"b", b"d", b"f", b"g", b"h", b"i", b"k")),
            *(Signature(b"KB2" + v) for v in (b"a", b"d", b"f", b"g", b"h", b"i", b"j", b"k")),
        ),
        measure=measure_bink,
        refs=("RAD Game Tools: Bink Container (MultimediaWiki)",),
        gaps=("frames are not decoded",),
    ),
)
