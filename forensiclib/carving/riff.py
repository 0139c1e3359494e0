"""RIFF files: AVI with its OpenDML continuations, WAV, WebP. The chunk walk must land on the stated end."""

from __future__ import annotations

from functools import partial

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.riff import CHUNK, LIST, WAVE_FORMAT

__all__ = ["CARVERS", "measure_avi", "measure_wav", "measure_webp"]

REFS = ("Multimedia Programming Interface and Data Specifications 1.0 (1991), 2: Resource Interchange File Format",)
_WAV, _BWF = Kind("wav", "audio/wav", "WAV audio"), Kind("wav", "audio/wav", "Broadcast wave audio")
_STREAM = (b"dc", b"db", b"wb", b"tx", b"pc", b"iv", b"sb")


def _walk(data: ByteSource, at: int, end: int, budget: Budget) -> tuple[list[tuple[bytes, int, int]], int]:
    """Chunks (kind, place, size) of [at, end) and where the walk stops: at ``end`` when all is sound."""
    chunks = []
    while at + CHUNK.size <= end:
        budget.item()
        head = data.read_at(at, CHUNK.size)
        if len(head) < CHUNK.size:
            break
        kind, size = CHUNK.unpack(head)
        if not all(0x20 <= b < 0x7F for b in kind) or at + CHUNK.size + size > end:
            break
        chunks.append((kind, at, size))
        at = min(at + CHUNK.size + size + (size & 1), end)
    return chunks, at


def _movie(data: ByteSource, at: int, end: int, budget: Budget) -> tuple[int, int]:
    """(where the stream chunks of a movi list stop being stream chunks, ``end`` when they never do; the
    last sound one before it)."""
    last = at
    while at + CHUNK.size <= end:
        budget.item()
        head = data.read_at(at, LIST.size)
        if len(head) < CHUNK.size:
            return at, last
        kind, size = CHUNK.unpack(head)
        if kind == b"LIST" and head[8:] == b"rec ":
            at += LIST.size
            continue
        stream = kind[2:] in _STREAM and kind[:2].isalnum()
        if not (stream or kind[:2] == b"ix" or kind in (b"JUNK", b"idx1")) or at + CHUNK.size + size > end:
            return at, last
        last = at
        at += CHUNK.size + size + (size & 1)
    return end, last


def _riff(data: ByteSource, at: int, form: bytes) -> int | None:
    """End of the RIFF chunk of that form at ``at``."""
    head = data.read_at(at, LIST.size)
    if len(head) < LIST.size:
        return None
    kind, size, found = LIST.unpack(head)
    return at + CHUNK.size + size if kind == b"RIFF" and found == form and size >= 4 else None


def measure_avi(data: ByteSource, budget: Budget) -> Find | None:
    """hdrl, movi with every stream chunk, idx1, and RIFF AVIX chunks behind."""
    at, form, parts, frames = 0, b"AVI ", 0, 0
    while (end := _riff(data, at, form)) is not None:
        chunks, stop = _walk(data, at + LIST.size, min(end, data.size), budget)
        lists = [(data.read_at(place + 8, 4), place, size) for kind, place, size in chunks if kind == b"LIST"]
        if parts == 0 and not any(name == b"hdrl" and data.read_at(place + 12, 4) == b"avih" for name, place, _ in lists):
            return None
        if stop != end:
            # the last chunk reaches too far or is none: a movi list holds what there is of it
            sure = chunks[-1][1] if chunks else at
            if data.read_at(stop, 4) == b"LIST" and data.read_at(stop + 8, 4) == b"movi":
                stop, sure = _movie(data, stop + LIST.size, data.size, budget)
            return Find(stop, 0.4, f"{parts} whole part(s), then the chunk chain breaks off", complete=False, owned=sure)
        for name, place, size in lists:
            if name == b"movi":
                frames += 1
                bad, sure = _movie(data, place + LIST.size, place + CHUNK.size + size, budget)
                if bad != place + CHUNK.size + size:
                    return Find(end, 0.4, f"movi list breaks off before {bad}", complete=False, owned=sure)
        parts += 1
        at, form = end + (end & 1 if data.read_at(end, 1) == b"\0" and _riff(data, end + 1, b"AVIX") else 0), b"AVIX"
    if not frames:
        return None
    return Find(at, 1.0, f"{parts} RIFF part(s), every chunk of {frames} movi list(s) lands on the stated end")


def measure_wav(data: ByteSource, budget: Budget) -> Find | None:
    """A sound fmt chunk and a data chunk, chunks ending at the stated end."""
    end = _riff(data, 0, b"WAVE")
    if end is None:
        return None
    chunks, stop = _walk(data, LIST.size, min(end, data.size), budget)
    kinds = {kind: (place, size) for kind, place, size in reversed(chunks)}
    if b"fmt " not in kinds or kinds[b"fmt "][1] < WAVE_FORMAT.size:
        return None
    fmt = WAVE_FORMAT.dict(data.read_at(kinds[b"fmt "][0] + 8, WAVE_FORMAT.size))
    if not 1 <= fmt["channels"] <= 255 or not 1 <= fmt["rate"] <= 3_072_000 or not fmt["block"]:
        return None
    if stop != end:
        sound = data.read_at(stop, 4) == b"data"
        length = data.size if sound and end > data.size else stop
        return (
            Find(length, 0.3, "sound format, then the chunk chain breaks off", complete=False, owned=0)
            if sound or b"data" in kinds
            else None
        )
    if b"data" not in kinds:
        return None
    return Find(
        end,
        0.9,
        f"{len(chunks)} chunks to the stated end; {fmt['rate']} Hz, {fmt['channels']} channel(s)",
        "",
        _BWF.title if b"bext" in kinds else "",
    )


def measure_webp(data: ByteSource, budget: Budget) -> Find | None:
    """VP8, VP8L or VP8X first, chunks ending at the stated end."""
    end = _riff(data, 0, b"WEBP")
    if end is None:
        return None
    chunks, stop = _walk(data, LIST.size, min(end, data.size), budget)
    kinds = [kind for kind, _, _ in chunks]
    if not kinds or kinds[0] not in (b"VP8 ", b"VP8L", b"VP8X"):
        return None
    if not {b"VP8 ", b"VP8L", b"ANMF"} & set(kinds):
        return None
    if stop != end:
        return Find(stop, 0.4, f"{len(chunks)} chunks, then damage", complete=False, owned=chunks[-1][1])
    return Find(end, 0.9, f"{len(chunks)} chunks to the stated end")


def _form(form: bytes) -> Signature:
    return Signature(b"RIFF\0\0\0\0" + form, mask=b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff")


_carver = partial(Carver, maximum=4 << 30)

CARVERS = (
    _carver(
        name="avi", title="AVI video", extension="avi", mime="video/x-msvideo", signatures=(_form(b"AVI "),), measure=measure_avi,
        maximum=1 << 40, refs=(*REFS, "OpenDML AVI File Format Extensions 1.02 (1996), 2.1: RIFF AVIX"),
        gaps=("the frames themselves are not decoded",),
    ),
    _carver(
        name="wav", title="WAV audio", extension="wav", mime="audio/wav", signatures=(_form(b"WAVE"),), measure=measure_wav,
        refs=(*REFS, "the same, 3: WAVE"), gaps=("samples cannot be verified",), kinds=(_WAV, _BWF),
    ),
    _carver(
        name="webp", title="WebP picture", extension="webp", mime="image/webp", signatures=(_form(b"WEBP"),), measure=measure_webp,
        refs=("RFC 9649: WebP Image Format, 2.4 to 2.7",), gaps=("the picture is not decoded",),
    ),
)  # fmt: skip
