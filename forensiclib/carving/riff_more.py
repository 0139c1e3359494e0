"""RIFF files beside AVI, WAV and WebP, and waves that need more than 32 bits: RF64, BW64, Wave64."""

from __future__ import annotations

from forensiclib.carving._ends import broken, chunks, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure", "measure_rf64", "measure_w64"]

_FORMS: dict[bytes, tuple[Kind, bytes]] = {
    b"ACON": (Kind("ani", "application/x-navi-animation", "Animated cursor"), b"anih"),
    b"RMID": (Kind("rmi", "audio/mid", "MIDI music in RIFF"), b"data"),
    b"PAL ": (Kind("pal", "application/x-ms-palette", "Colour palette"), b"data"),
    b"sfbk": (Kind("sf2", "audio/x-soundfont", "SoundFont"), b"LIST"),
    b"DLS ": (Kind("dls", "audio/dls", "Downloadable sounds"), b"LIST"),
}
_CDR = Kind("cdr", "application/x-coreldraw", "CorelDRAW drawing")
_RF64, _BW64 = Kind("rf64", "audio/wav", "RF64 audio"), Kind("bw64", "audio/wav", "BW64 audio")
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_W64_TAIL = _W64_WAVE[4:]


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks to the stated end."""
    window = Window(data)
    head = window.at(0, 12)
    kind, needed = _FORMS.get(head[8:], (None, b""))
    if head[8:11] in (b"CDR", b"cdr") and (head[11:12].isalnum() or head[11:12] == b" "):
        kind, needed = _CDR, b"vrsn"
    end = 8 + int.from_bytes(head[4:8], "little")
    if kind is None or len(head) < 12 or end < 20:
        return None
    found, stop = chunks(window, 12, min(end, data.size), budget, big=False)
    if needed not in [name for name, _, _ in found]:
        return None
    if stop != end:
        return broken(stop, f"{len(found)} chunks, then the chain breaks off", kind)
    return ending(data, end, 0.9, f"{len(found)} chunks to the stated end", kind)


def measure_rf64(data: ByteSource, budget: Budget) -> Find | None:
    """The ds64 chunk states the sizes that do not fit elsewhere."""
    window = Window(data)
    head = window.at(0, 48)
    kind = {b"RF64": _RF64, b"BW64": _BW64}.get(head[:4])
    if kind is None or head[8:16] != b"WAVEds64" or len(head) < 48:
        return None
    end, sound = 8 + int.from_bytes(head[20:28], "little"), int.from_bytes(head[28:36], "little")
    at, seen = 12, set()
    while at + 8 <= min(end, data.size):
        budget.item()
        head = window.at(at, 8)
        size = int.from_bytes(head[4:], "little")
        if size == 0xFFFFFFFF and head[:4] == b"data":
            size = sound
        if not all(0x20 <= b < 0x7F for b in head[:4]) or at + 8 + size > end:
            break
        seen.add(head[:4])
        at = min(at + 8 + size + (size & 1), end)
    if not {b"fmt ", b"data"} <= seen:
        return None
    if at != end:
        return broken(min(at, data.size), f"{len(seen)} kinds of chunks, then the chain breaks off", kind)
    return ending(data, end, 0.9, f"{len(seen)} kinds of chunks to the end that ds64 states", kind)


def measure_w64(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks named by GUIDs, with 64-bit sizes that count their heads, at multiples of 8."""
    window = Window(data)
    head = window.at(0, 40)
    end = int.from_bytes(head[16:24], "little")
    if head[:16] != _W64_RIFF or head[24:] != _W64_WAVE or end < 88:
        return None
    at, seen = 40, set()
    while at + 24 <= end:
        budget.item()
        head = window.at(at, 24)
        size = int.from_bytes(head[16:], "little")
        if len(head) < 24 or head[4:16] != _W64_TAIL or size < 24 or at + size > end:
            break
        seen.add(head[:4])
        at = min(at + (size + 7 & ~7), end)
    if not {b"fmt ", b"data"} <= seen:
        return None
    return (
        ending(data, end, 0.9, "GUID chunks to the stated end")
        if at == end
        else broken(min(at, data.size), "the chain of chunks breaks off")
    )


_MASK = b"\xff" * 4 + bytes(4) + b"\xff" * 4

CARVERS = (
    Carver(
        name="riff",
        title="RIFF file (animated cursor, MIDI, palette, sounds, CorelDRAW)",
        extension="riff",
        mime="application/x-riff",
        signatures=(
            *(Signature(b"RIFF\0\0\0\0" + form, mask=_MASK) for form in _FORMS),
            *(Signature(b"RIFF\0\0\0\0" + form, mask=_MASK[:-1]) for form in (b"CDR", b"cdr")),
        ),
        measure=measure,
        refs=("Multimedia Programming Interface and Data Specifications 1.0 (1991), 2 and 3", "SoundFont 2.04 (2006), 4"),
        gaps=("content of chunks is not decoded", "CorelDRAW X4 and later are ZIP packages"),
        kinds=(*(kind for kind, _ in _FORMS.values()), _CDR),
    ),
    Carver(
        name="rf64",
        title="RF64 or BW64 audio",
        extension="wav",
        mime="audio/wav",
        signatures=tuple(Signature(k + b"\0\0\0\0WAVEds64", mask=b"\xff" * 4 + bytes(4) + b"\xff" * 8) for k in (b"RF64", b"BW64")),
        measure=measure_rf64,
        maximum=1 << 42,
        refs=("EBU Tech 3306: RF64 (2018)", "ITU-R BS.2088-1: BW64"),
        gaps=("chunks other than data that are longer than 4 GiB are not followed",),
        kinds=(_RF64, _BW64),
    ),
    Carver(
        name="w64",
        title="Sony Wave64 audio",
        extension="w64",
        mime="audio/x-w64",
        signatures=(Signature(_W64_RIFF),),
        measure=measure_w64,
        maximum=1 << 42,
        refs=("Sonic Foundry Wave64 (2003)",),
        gaps=("chunks whose GUID is not derived from that of WAVE end the walk",),
    ),
)
