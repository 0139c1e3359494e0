"""Sound in simple containers: AU, CAF, AMR, VOC, MIDI."""

from __future__ import annotations

import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_amr", "measure_au", "measure_caf", "measure_midi", "measure_voc"]

_CAF = {
    b"desc", b"data", b"pakt", b"chan", b"kuki", b"strg", b"mark", b"regn", b"inst", b"midi", b"ovvw", b"peak", b"edct", b"info", b"umid",
    b"uuid", b"free", b"ldat", b"tmcd",
}  # fmt: skip
_AMR = (12, 13, 15, 17, 19, 20, 26, 31, 5, -1, -1, -1, -1, -1, -1, 0)
_AMR_WB = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, -1, -1, -1, -1, 0, 0)
"""Bytes of a frame behind its head, by frame type (RFC 4867, 5.3)."""
_NARROW, _WIDE = Kind("amr", "audio/amr", "AMR speech"), Kind("awb", "audio/amr-wb", "AMR wideband speech")
ENOUGH = 8
"""Frames that make a file: 160 ms of speech."""


def measure_au(data: ByteSource, budget: Budget) -> Find | None:
    """The size that the header states."""
    head = data.read_at(0, 24)
    if len(head) < 24:
        return None
    start, size, coding, rate, channels = struct.unpack_from(">5I", head, 4)
    if not 24 <= start <= 1 << 16 or not 1 <= coding <= 27 or not 1000 <= rate <= 768_000 or not 1 <= channels <= 64:
        return None
    reason = f"{rate} Hz, {channels} channel(s)"
    if size == 0xFFFFFFFF:
        return broken(start, reason + ", the size is not stated")
    return ending(data, start + size, 0.75, reason) if size else None


def measure_caf(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks while their kinds are known ones."""
    window = Window(data)
    if window.at(0, 20) != b"caff\0\1\0\0desc" + (32).to_bytes(8, "big"):
        return None
    at = 8
    kinds: set[bytes] = set()
    while True:
        budget.item()
        kind, size = window.at(at, 4), window.number(at + 4, 8, True)
        if kind not in _CAF or (kind in kinds and kind in (b"desc", b"data")):
            break
        if size == (1 << 64) - 1 or at + 12 + size > data.size:
            return broken(data.size if size >> 63 == 0 else at + 12, f"{len(kinds)} kinds of chunks, then an open or cut end")
        kinds.add(kind)
        at += 12 + size
    return Find(at, 0.85, f"{len(kinds)} kinds of chunks in a chain") if b"data" in kinds else None


def measure_amr(data: ByteSource, budget: Budget) -> Find | None:
    """Frames by their types."""
    window = Window(data, 1 << 14)
    wide = window.at(0, 9) == b"#!AMR-WB\n"
    sizes, kind, at, frames = (_AMR_WB, _WIDE, 9, 0) if wide else (_AMR, _NARROW, 6, 0)
    while True:
        budget.item()
        head = window.number(at, 1)
        size = sizes[head >> 3 & 15] if head >= 0 and head & 0x87 == 4 else -1
        if size < 0:
            break
        if at + 1 + size > data.size:
            return broken(data.size, f"{frames} frames, the last cut off", kind) if frames >= ENOUGH else None
        frames += 1
        at += 1 + size
    if frames < ENOUGH:
        return None
    return Find(at, 0.8, f"{frames} frames to the first thing that is none", kind.extension, kind.title)


def measure_voc(data: ByteSource, budget: Budget) -> Find | None:
    """Blocks to the terminator."""
    window = Window(data)
    head = window.at(0, 26)
    start, version, check = struct.unpack_from("<3H", head.ljust(26, b"\0"), 20)
    if head[:20] != b"Creative Voice File\x1a" or start < 26 or (~version + 0x1234) & 0xFFFF != check:
        return None
    at, blocks = start, 0
    while True:
        budget.item()
        kind, size = window.number(at, 1), window.number(at + 1, 3)
        if kind == 0 and blocks:
            return Find(at + 1, 0.9, f"{blocks} blocks to the terminator")
        if not 1 <= kind <= 9 or size < 0 or at + 4 + size > data.size:
            return broken(min(at, data.size), f"{blocks} blocks, no terminator") if blocks else None
        blocks += 1
        at += 4 + size


def measure_midi(data: ByteSource, budget: Budget) -> Find | None:
    """As many track chunks as the header states, each closed by its end-of-track event."""
    window = Window(data)
    head = window.at(0, 14)
    if len(head) < 14 or head[:8] != b"MThd\0\0\0\6":
        return None
    form, tracks, division = struct.unpack_from(">3H", head, 8)
    if form > 2 or not tracks or not division or (form == 0 and tracks != 1):
        return None
    at, seen = 14, 0
    while seen < tracks:
        budget.item()
        kind, size = window.at(at, 4), window.number(at + 4, 4, True)
        if size < 0 or not all(0x20 <= b < 0x7F for b in kind) or (kind == b"MTrk" and size < 4) or at + 8 + size > data.size:
            break
        if kind == b"MTrk":
            if window.at(at + 8 + size - 3, 3) != b"\xff\x2f\0":
                break
            seen += 1
        at += 8 + size
    if seen < tracks:
        return broken(min(at, data.size), f"{seen} of {tracks} tracks") if seen else None
    return Find(at, 0.95, f"all {tracks} tracks, each to its end event")


CARVERS = (
    Carver(
        name="au",
        title="Sun or NeXT audio",
        extension="au",
        mime="audio/basic",
        signatures=(Signature(b".snd\0\0"),),
        measure=measure_au,
        refs=("NeXT/Sun audio file format (audio(5), SunOS)",),
        gaps=("samples cannot be verified", "files of unknown size are reported incomplete"),
    ),
    Carver(
        name="caf",
        title="Core Audio file",
        extension="caf",
        mime="audio/x-caf",
        signatures=(Signature(b"caff\0\1\0\0desc"),),
        measure=measure_caf,
        maximum=1 << 40,
        refs=("Apple Core Audio Format Specification 1.0 (2011)",),
        gaps=("an open data chunk (recording interrupted) is reported incomplete", "a chunk of a kind not listed ends the file"),
    ),
    Carver(
        name="amr",
        title="AMR speech recording",
        extension="amr",
        mime="audio/amr",
        signatures=(Signature(b"#!AMR\n"), Signature(b"#!AMR-WB\n")),
        measure=measure_amr,
        maximum=1 << 30,
        refs=("RFC 4867, 5: AMR and AMR-WB storage format",),
        gaps=("nothing marks the end: it is where no frame follows", "recordings of several channels are not recognised"),
        kinds=(_NARROW, _WIDE),
    ),
    Carver(
        name="voc",
        title="Creative voice file",
        extension="voc",
        mime="audio/x-voc",
        signatures=(Signature(b"Creative Voice File\x1a"),),
        measure=measure_voc,
        maximum=1 << 30,
        refs=("Creative Labs: VOC file format (Sound Blaster Developer Kit)",),
        gaps=("files without a terminator are reported incomplete",),
    ),
    Carver(
        name="midi",
        title="MIDI music",
        extension="mid",
        mime="audio/midi",
        signatures=(Signature(b"MThd\0\0\0\x06\0"),),
        measure=measure_midi,
        maximum=64 << 20,
        refs=("MIDI 1.0 Detailed Specification (MMA): Standard MIDI Files 1.0",),
        gaps=("events are not parsed one by one",),
    ),
)
