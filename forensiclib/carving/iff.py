"""IFF files: AIFF, 8SVX, ILBM and their kin, and DjVu. The chunk walk must land on the stated end."""

from __future__ import annotations

from forensiclib.carving._ends import broken, chunks, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure", "measure_djvu"]

_FORMS: dict[bytes, tuple[Kind, bytes]] = {
    b"AIFF": (Kind("aif", "audio/aiff", "AIFF audio"), b"COMM"),
    b"AIFC": (Kind("aifc", "audio/aiff", "AIFF-C audio"), b"COMM"),
    b"8SVX": (Kind("8svx", "audio/x-8svx", "Amiga 8SVX sound"), b"VHDR"),
    b"16SV": (Kind("16sv", "audio/x-16sv", "Amiga 16SV sound"), b"VHDR"),
    b"MAUD": (Kind("maud", "audio/x-maud", "Amiga MAUD sound"), b"MHDR"),
    b"SMUS": (Kind("smus", "audio/x-smus", "Amiga score"), b"SHDR"),
    b"ILBM": (Kind("lbm", "image/x-ilbm", "Amiga picture"), b"BMHD"),
    b"PBM ": (Kind("pbm8", "image/x-ilbm", "Deluxe Paint picture"), b"BMHD"),
    b"ACBM": (Kind("acbm", "image/x-ilbm", "Amiga contiguous bitmap"), b"BMHD"),
    b"ANIM": (Kind("anim", "video/x-anim", "Amiga animation"), b"FORM"),
    b"LWOB": (Kind("lwo", "model/x-lwo", "LightWave object"), b"PNTS"),
    b"LWO2": (Kind("lwo", "model/x-lwo2", "LightWave 6 object"), b"PNTS"),
}
"""By form: what it is, and the chunk without which it is not."""
_DJVU = {
    b"DJVU": Kind("djvu", "image/vnd.djvu", "DjVu page"),
    b"DJVM": Kind("djvu", "image/vnd.djvu", "DjVu document"),
}
SMALL = 12


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """One FORM."""
    window = Window(data)
    head = window.at(0, SMALL)
    kind, needed = _FORMS.get(head[8:], (None, b""))
    end = 8 + int.from_bytes(head[4:8], "big")
    if kind is None or end < SMALL + 8:
        return None
    found, stop = chunks(window, SMALL, min(end, data.size), budget)
    kinds = [name for name, _, _ in found]
    if needed not in kinds:
        return None
    if stop != end:
        return broken(stop, f"{len(found)} chunks, then the chain breaks off", kind)
    return ending(data, end, 0.9, f"{len(found)} chunks to the stated end", kind)


def measure_djvu(data: ByteSource, budget: Budget) -> Find | None:
    """A FORM behind the letters AT&T."""
    window = Window(data)
    head = window.at(0, 16)
    kind, end = _DJVU.get(head[12:16]), 12 + int.from_bytes(head[8:12], "big")
    if kind is None or head[:8] != b"AT&TFORM":
        return None
    found, stop = chunks(window, 16, min(end, data.size), budget)
    if not found or found[0][0] not in (b"INFO", b"DIRM"):
        return None
    if stop != end:
        return broken(stop, f"{len(found)} chunks, then the chain breaks off", kind)
    return ending(data, end, 0.9, f"{len(found)} chunks to the stated end", kind)


CARVERS = (
    Carver(
        name="iff",
        title="IFF file (AIFF audio, Amiga pictures and sounds, LightWave objects)",
        extension="iff",
        mime="application/x-iff",
        signatures=tuple(Signature(b"FORM\0\0\0\0" + form, mask=b"\xff" * 4 + bytes(4) + b"\xff" * 4) for form in _FORMS),
        measure=measure,
        refs=("EA IFF 85: Standard for Interchange Format Files (1985)", "Audio Interchange File Format AIFF-C (Apple, 1991)"),
        gaps=("content of chunks is not decoded", "CAT and LIST containers are not recognised"),
        kinds=tuple(kind for kind, _ in _FORMS.values()),
    ),
    Carver(
        name="djvu",
        title="DjVu document",
        extension="djvu",
        mime="image/vnd.djvu",
        signatures=tuple(Signature(b"AT&TFORM\0\0\0\0" + form, mask=b"\xff" * 8 + bytes(4) + b"\xff" * 4) for form in _DJVU),
        measure=measure_djvu,
        refs=("Lizardtech DjVu Reference v3 (2005), 7 and 8: file structure",),
        gaps=("content of chunks is not decoded", "shared parts of an indirect document are files of their own and not recognised"),
        kinds=tuple(_DJVU.values()),
    ),
)
