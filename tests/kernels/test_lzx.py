"""LZX against cabextract (libmspack) and wimlib, and compiled against plain."""

from __future__ import annotations

import hashlib
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.testing.contracts import mutations
from tests.kernels.lzx_encoder import ALIGNED, RAW, VERBATIM, Encoder, cabinet

TEXT = Path(__file__).read_bytes()
PROGRAM = Path("/bin/sh").read_bytes()[:90_000] if Path("/bin/sh").exists() else TEXT * 12


def originals() -> dict[str, bytes]:
    rng = random.Random(8)
    calls = b"".join(b"\xe8" + rng.randrange(-40_000, 90_000).to_bytes(4, "little", signed=True) + rng.randbytes(3) for _ in range(9000))
    return {
        "one": b"x",
        "text": TEXT,
        "long": TEXT * 20,
        "program": PROGRAM,
        "random": rng.randbytes(40_001),
        "zero": bytes(100_000),
        "calls": calls,
    }


KINDS = {
    "verbatim": [(VERBATIM, 1 << 20)],
    "aligned": [(ALIGNED, 1 << 20)],
    "raw": [(RAW, 1 << 20)],
    "mixed": [(VERBATIM, 1001), (RAW, 777), (ALIGNED, 40_000), (RAW, 33_333), (RAW, 1), (VERBATIM, 9), (ALIGNED, 1 << 20)],
}


def packed(data: bytes, window: int, kinds: str, calls: int = 0) -> list[bytes]:
    return list(Encoder(data, window, KINDS[kinds], calls).frames())


@pytest.mark.drivers
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("name", originals())
def test_cabinets_that_cabextract_reads(name: str, kinds: str, tmp_path: Path) -> None:
    if shutil.which("cabextract") is None:
        pytest.skip("cabextract is not installed")
    data = originals()[name]
    for window, calls in ((15, 0), (16, len(data)), (18, 0), (21, 70_000)):
        frames = packed(data, window, kinds, calls)
        (tmp_path / "a.cab").write_bytes(cabinet(frames, len(data), window))
        assert subprocess.run(["cabextract", "-q", "-p", tmp_path / "a.cab"], capture_output=True, check=True).stdout == data
        assert kernels.lzx(b"".join(frames), len(data), window) == (data, -1)
        if len(data) < 30_000:
            assert plain.lzx(b"".join(frames), len(data), window) == (data, -1)


@pytest.mark.drivers
@pytest.mark.parametrize("chunk", [32_768, 131_072, 1 << 21])
def test_images_that_wimlib_makes(chunk: int, tmp_path: Path) -> None:
    if shutil.which("wimcapture") is None:
        pytest.skip("wimtools is not installed")
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in originals().items():
        (folder / name).write_bytes(data)
    command = ["wimcapture", folder, tmp_path / "a.wim", "--compress=LZX:50", f"--chunk-size={chunk}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wim, streams = (tmp_path / "a.wim").read_bytes(), set()
    table, at, _ = struct.unpack_from("<QQQ", wim, 48)  # "Windows Imaging File Format": the header's resource of the lookup table
    for entry in range(at, at + (table & (1 << 56) - 1), 50):
        flags, begin, size = struct.unpack_from("<QQQ", wim, entry)
        if not flags >> 56 & 4 or flags >> 56 & 2:
            continue  # stored as it is, or the metadata
        count = -(-size // chunk)
        places = [0, *struct.unpack_from(f"<{count - 1}I", wim, begin)]
        first = begin + 4 * (count - 1)
        places.append(begin + (flags & (1 << 56) - 1) - first)
        out = b""
        for number in range(count):
            piece, want = wim[first + places[number] : first + places[number + 1]], min(chunk, size - number * chunk)
            if len(piece) == want:
                out += piece
                continue
            made, status = kernels.lzx(piece, want, chunk.bit_length() - 1, True)
            assert status == -1
            assert len(piece) > 20_000 or plain.lzx(piece, want, chunk.bit_length() - 1, True) == (made, -1)
            out += made
        assert hashlib.sha1(out).digest() == wim[entry + 30 : entry + 50]
        streams.add(size)
    assert len(streams) >= 4


SMALL = [(b"".join(packed(TEXT[:3000], 15, kinds, calls)), 3000) for kinds in KINDS for calls in (0, 9000)]


@pytest.mark.parametrize(("stream", "size"), SMALL)
def test_every_cut_is_noticed(stream: bytes, size: int) -> None:
    for cut in range(0, len(stream) - 2, 7):
        out, status = kernels.lzx(stream[:cut], size, 15)
        assert status >= 0
        assert TEXT.startswith(out)


@pytest.mark.parametrize(("stream", "size"), SMALL)
def test_compiled_equals_plain_on_damage(stream: bytes, size: int) -> None:
    for damaged in mutations(stream, 60):
        for wim in (False, True):
            assert kernels.lzx(damaged, size, 15, wim) == plain.lzx(damaged, size, 15, wim)


@given(st.binary(max_size=400), st.integers(0, 70_000), st.integers(15, 21), st.booleans())
@settings(max_examples=200, deadline=None)
def test_compiled_equals_plain_on_anything(data: bytes, size: int, window: int, wim: bool) -> None:
    assert kernels.lzx(data, size, window, wim) == plain.lzx(data, size, window, wim)


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_impossible_arguments(module) -> None:
    for size, window in ((-1, 15), (1, 14), (1, 22)):
        with pytest.raises(ValueError):
            module.lzx(b"ab", size, window)
    assert module.lzx(b"", 5, 15) == (b"", 0)
    assert module.lzx(b"", 0, 15) == (b"", -1)
