"""Losslessly packed audio and Musepack: WavPack, True Audio, Monkey's Audio, MPC, and the tags behind them."""

from __future__ import annotations

import struct
import zlib

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.carving.mp3 import tail
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_ape", "measure_mpc", "measure_tta", "measure_wavpack"]


def measure_wavpack(data: ByteSource, budget: Budget) -> Find | None:
    """Blocks whose samples follow one another to the stated total."""
    window = Window(data, 64)
    at, blocks, next_sample, total = 0, 0, 0, -1
    while True:
        budget.item()
        head = window.at(at, 32)
        if len(head) < 32 or head[:4] != b"wvpk":
            break
        size, version, high, track, low, index, samples, flags = struct.unpack_from("<IHBBIIII", head, 4)
        if not 24 <= size <= 1 << 20 or not 0x402 <= version <= 0x410 or at + 8 + size > data.size:
            break
        if blocks == 0:
            total = -1 if low == 0xFFFFFFFF else low | track << 32
            next_sample = index | high << 32
        start = index | high << 32
        if samples and flags & 0x800 and start != next_sample:
            break
        blocks += 1
        if samples and flags & 0x1000:
            next_sample = start + samples
        at += 8 + size
    if not blocks:
        return None
    reason = f"{blocks} blocks, {next_sample} of {total} samples"
    if total >= 0 and next_sample < total:
        return broken(at, reason)
    return Find(at + tail(data, at), 0.95 if total >= 0 else 0.6, reason)


def measure_tta(data: ByteSource, budget: Budget) -> Find | None:
    """Header and frame sizes, both with a CRC; the frames lie one behind the other."""
    head = data.read_at(0, 22)
    if len(head) < 22 or head[:4] != b"TTA1" or zlib.crc32(head[:18]) != int.from_bytes(head[18:], "little"):
        return None
    rate, samples = struct.unpack_from("<II", head, 10)
    if not rate or not samples:
        return None
    frame = 256 * rate // 245
    count = -(-samples // frame)
    raw = data.read_at(22, budget.allocate("TTA frame sizes", 4 * count + 4))
    if len(raw) < 4 * count + 4:
        return broken(data.size, "header sound, the frame sizes are cut off")
    if zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        return broken(22, "header sound, the frame sizes are damaged")
    end = 22 + len(raw) + sum(struct.unpack(f"<{count}I", raw[:-4]))
    if end > data.size:
        return ending(data, end, 0.9, f"{count} frames")
    last = data.read_at(end - 4, 4)
    size = int.from_bytes(raw[-8:-4], "little")
    if size < 8 or zlib.crc32(data.read_at(end - size, size - 4)) != int.from_bytes(last, "little"):
        return broken(end, f"{count} frames, the last is damaged")
    return Find(end + tail(data, end), 1.0, f"{count} frames by their sizes, checksums of header and last frame good")


def measure_ape(data: ByteSource, budget: Budget) -> Find | None:
    """The descriptor of version 3.98 and later states every part."""
    head = data.read_at(0, 76)
    if len(head) < 76:
        return None
    version, _, descriptor, header, seeks, wave, audio, audio_high, rest = struct.unpack_from("<HHIIIIIII", head, 4)
    if (
        not 3980 <= version <= 4100
        or not 52 <= descriptor <= 4096
        or not 24 <= header <= 4096
        or seeks & 3
        or wave > 16 << 20
        or rest > 1 << 30
    ):
        return None
    bits, channels, rate = struct.unpack("<HHI", data.read_at(descriptor + 16, 8).ljust(8, b"\0"))
    if bits not in (8, 16, 24, 32) or not 1 <= channels <= 32 or not 1 <= rate <= 1 << 20:
        return None
    end = descriptor + header + seeks + wave + (audio | audio_high << 32) + rest
    if end > data.size:
        return ending(data, end, 0.9, "all parts by the descriptor")
    return Find(end + tail(data, end), 0.85, "all parts by the descriptor")


def measure_mpc(data: ByteSource, budget: Budget) -> Find | None:
    """Packets of stream version 8 to the one that ends it."""
    window = Window(data)
    at, packets = 4, 0
    while True:
        budget.item()
        head = window.at(at, 12)
        key, size, n = head[:2], 0, 2
        while n < len(head):
            size = size << 7 | head[n] & 127
            n += 1
            if not head[n - 1] & 128:
                break
        if len(key) < 2 or not all(0x41 <= b <= 0x5A for b in key) or size < n or (packets == 0 and key != b"SH") or at + size > data.size:
            return broken(min(at, data.size), f"{packets} packets, no last one") if packets > 2 else None
        packets += 1
        at += size
        if key == b"SE":
            return Find(at + tail(data, at), 0.95, f"{packets} packets to the last")


CARVERS = (
    Carver(
        name="wavpack",
        title="WavPack audio",
        extension="wv",
        mime="audio/x-wavpack",
        signatures=(Signature(b"wvpk\0\0\0\0\0\x04", mask=b"\xff" * 4 + b"\0\0\0\xff\0\xff"),),
        measure=measure_wavpack,
        maximum=64 << 30,
        refs=("WavPack 4 and 5 Binary File / Block Format (2020)",),
        gaps=("blocks are not decoded",),
    ),
    Carver(
        name="tta",
        title="True Audio",
        extension="tta",
        mime="audio/x-tta",
        signatures=(Signature(b"TTA1\1\0"), Signature(b"TTA1\2\0")),
        measure=measure_tta,
        refs=("TTA Lossless Audio Codec: format description (2007)",),
        gaps=("frames but the last are not verified",),
    ),
    Carver(
        name="ape",
        title="Monkey's Audio",
        extension="ape",
        mime="audio/x-ape",
        signatures=tuple(Signature(b"MAC \0" + bytes((v,)), mask=b"\xff\xff\xff\xff\0\xff") for v in (0x0F, 0x10)),
        measure=measure_ape,
        refs=("Monkey's Audio SDK: APE_DESCRIPTOR and APE_HEADER",),
        gaps=("versions before 3.98 are not recognised", "frames are not decoded"),
    ),
    Carver(
        name="mpc",
        title="Musepack audio",
        extension="mpc",
        mime="audio/x-musepack",
        signatures=(Signature(b"MPCKSH"),),
        measure=measure_mpc,
        refs=("Musepack Stream Version 8 Format Specification",),
        gaps=("stream version 7 states no length and is not recognised",),
    ),
)
