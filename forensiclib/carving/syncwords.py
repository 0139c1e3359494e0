"""Audio as bare frames that a sync word begins: AAC (ADTS and LOAS), AC-3, E-AC-3, DTS."""

from __future__ import annotations

from collections.abc import Callable

from forensiclib.carving._ends import broken
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_aac", "measure_ac3", "measure_dts", "measure_loas"]

SECTOR = 512
ENOUGH = 16
"""Frames of one kind in a row that make a file."""
_AC3_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3, _EAC3 = Kind("ac3", "audio/ac3", "Dolby Digital audio (AC-3)"), Kind("eac3", "audio/eac3", "Dolby Digital Plus audio (E-AC-3)")

Frame = Callable[[bytes], tuple[int, tuple[int, ...]] | None]
"""Head -> (bytes of the frame, what all frames of a file have in common)."""


def _adts(head: bytes) -> tuple[int, tuple[int, ...]] | None:
    """ISO/IEC 13818-7, 6.2.1."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, (head[1], head[2] & 0xFD, head[3] & 0xC0)) if length > (7 if head[1] & 1 else 9) else None


def _loas(head: bytes) -> tuple[int, tuple[int, ...]] | None:
    """ISO/IEC 14496-3, 1.7.2: AudioSyncStream."""
    if len(head) < 3 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
        return None
    size = (head[1] & 0x1F) << 8 | head[2]
    return (3 + size, ()) if size > 2 else None


def _ac3(head: bytes) -> tuple[int, tuple[int, ...]] | None:
    """ETSI TS 102 366, 4.4.1 and annex E.1.3.1."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return None
    kind = head[5] >> 3
    if kind <= 10:
        rate, code = head[4] >> 6, head[4] & 63
        if rate == 3 or code > 37:
            return None
        half = code >> 1
        # 1536 samples in words of 16 bits at 48, 44.1 and 32 kHz
        words = (_AC3_KBIT[half] * 2, _AC3_KBIT[half] * 960 // 441 + (code & 1), _AC3_KBIT[half] * 3)[rate]
        return 2 * words, (0, rate)
    if kind > 16:
        return None
    if head[2] >> 6 == 3:
        return None
    words = ((head[2] & 7) << 8 | head[3]) + 1
    return (2 * words, (1, head[4] >> 6)) if words > 8 else None


def _dts(head: bytes) -> tuple[int, tuple[int, ...]] | None:
    """ETSI TS 102 114, 5.3: core frame, 16 bits, big endian."""
    if len(head) < 10 or head[:4] != b"\x7f\xfe\x80\x01":
        return None
    blocks = (head[4] & 1) << 6 | head[5] >> 2
    size = ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1
    rate = head[8] >> 2 & 15
    return (size, (blocks, rate)) if size >= 96 and blocks >= 5 and rate not in (0, 4, 5, 9, 10) else None


def _chain(data: ByteSource, frame: Frame, budget: Budget) -> tuple[int, int, bool]:
    """(end of the last whole frame, frames, whether a further one is cut off)."""
    window, at, frames, same = Window(data, 1 << 14), 0, 0, None
    while True:
        budget.item()
        found = frame(window.at(at, 10))
        if found is None or (same is not None and found[1] != same):
            return at, frames, False
        if at + found[0] > data.size:
            return at, frames, True
        same = found[1]
        at, frames = at + found[0], frames + 1


def _judged(chain: tuple[int, int, bool], kind: Kind | None = None) -> Find | None:
    end, frames, cut = chain
    if frames < ENOUGH:
        return None
    reason = f"{frames} frames of one kind in a chain"
    if cut:
        return broken(end, reason + ", the next is cut off", kind)
    extension, title = (kind.extension, kind.title) if kind else ("", "")
    # nothing marks begin and end: the chain owns what it proved
    return Find(end, 0.7, reason + "; it may begin earlier", extension, title, owned=end)


def measure_aac(data: ByteSource, budget: Budget) -> Find | None:
    """ADTS frames."""
    return _judged(_chain(data, _adts, budget))


def measure_loas(data: ByteSource, budget: Budget) -> Find | None:
    """LOAS frames."""
    return _judged(_chain(data, _loas, budget))


def measure_ac3(data: ByteSource, budget: Budget) -> Find | None:
    """AC-3 or E-AC-3 frames."""
    first = _ac3(data.read_at(0, 10))
    return _judged(_chain(data, _ac3, budget), _EAC3 if first[1][0] else _AC3) if first else None


def measure_dts(data: ByteSource, budget: Budget) -> Find | None:
    """Core frames."""
    return _judged(_chain(data, _dts, budget))


_GAPS = ("found only on sector boundaries", "nothing marks begin and end: they are where no frame of the kind is", "frames are not decoded")

CARVERS = (
    Carver(
        name="aac",
        title="AAC audio (ADTS)",
        extension="aac",
        mime="audio/aac",
        signatures=(Signature(b"\xff\xf0\0\0\0", mask=b"\xff\xf6\0\0\0", align=SECTOR),),
        measure=measure_aac,
        refs=("ISO/IEC 13818-7:2006, 6.2: ADTS",),
        gaps=_GAPS,
    ),
    Carver(
        name="loas",
        title="AAC audio (LOAS)",
        extension="loas",
        mime="audio/aac",
        signatures=(Signature(b"\x56\xe0", mask=b"\xff\xe0", align=SECTOR),),
        measure=measure_loas,
        refs=("ISO/IEC 14496-3:2019, 1.7.2",),
        gaps=_GAPS,
    ),
    Carver(
        name="ac3",
        title="Dolby Digital audio",
        extension="ac3",
        mime="audio/ac3",
        signatures=(Signature(b"\x0b\x77", align=SECTOR),),
        measure=measure_ac3,
        refs=("ETSI TS 102 366 V1.4.1 (ATSC A/52)",),
        gaps=_GAPS,
        kinds=(_AC3, _EAC3),
    ),
    Carver(
        name="dts",
        title="DTS audio",
        extension="dts",
        mime="audio/vnd.dts",
        signatures=(Signature(b"\x7f\xfe\x80\x01"),),
        measure=measure_dts,
        refs=("ETSI TS 102 114 V1.6.1, 5.3",),
        gaps=("extension substreams (DTS-HD) end the chain", "little-endian and 14-bit forms are not recognised", *_GAPS[1:]),
    ),
)
