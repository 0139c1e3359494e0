"""Decompressors, the reference implementations beside them where there is a binding.

pytest benchmarks/bench_codecs.py --benchmark-group-by=group --benchmark-columns=min,median,rounds
"""

from __future__ import annotations

import itertools
import struct
import sys
from pathlib import Path

import pytest

from forensiclib import kernels

DATA = Path(sys.executable).resolve().read_bytes()[: 4 << 20]
if len(DATA) < 1 << 20:
    DATA = b"".join(p.read_bytes() for p in sorted(Path(kernels.__file__).parent.rglob("*.so")))[: 4 << 20]


def speed(benchmark, size: int) -> None:
    benchmark.extra_info["MB/s"] = size / benchmark.stats.stats.median / 1e6


@pytest.mark.parametrize("who", ["ours", "liblzo2"])
def test_lzo1x(benchmark, who: str) -> None:
    lzo = pytest.importorskip("lzo")
    benchmark.group = "lzo1x"
    packed = lzo.compress(DATA, 9, False)
    run = (lambda: kernels.lzo1x(packed, len(DATA))[0]) if who == "ours" else (lambda: lzo.decompress(packed, False, len(DATA)))
    assert benchmark(run) == DATA
    speed(benchmark, len(DATA))


@pytest.mark.parametrize("who", ["ours", "lzfse"])
def test_lzvn(benchmark, who: str) -> None:
    lzfse = pytest.importorskip("lzfse")
    benchmark.group = "lzvn"
    streams = [lzfse.compress(DATA[at : at + 4000]) for at in range(0, len(DATA), 4000)]
    streams = [s for s in streams if s[:4] == b"bvxn"]
    raw = [(s[12 : 12 + size], made) for s in streams for made, size in [struct.unpack_from("<II", s, 4)]]
    if who == "ours":
        out = benchmark(lambda: [kernels.lzvn(packed, size)[0] for packed, size in raw])
    else:
        out = benchmark(lambda: [lzfse.decompress(s) for s in streams])
    assert sum(map(len, out)) == sum(size for _, size in raw)
    speed(benchmark, sum(map(len, out)))


@pytest.mark.parametrize("who", ["ours", "lzfse"])
def test_lzfse(benchmark, who: str) -> None:
    """In chunks of 256 KiB, as images have them."""
    lzfse = pytest.importorskip("lzfse")
    benchmark.group = "lzfse"
    pieces = [DATA[at : at + (256 << 10)] for at in range(0, len(DATA), 256 << 10)]
    streams = [(lzfse.compress(p), len(p)) for p in pieces]
    if who == "ours":
        out = benchmark(lambda: [kernels.lzfse(s, size)[0] for s, size in streams])
    else:
        out = benchmark(lambda: [lzfse.decompress(s) for s, _ in streams])
    assert b"".join(out) == DATA
    speed(benchmark, len(DATA))


def test_lzx_of_wim(benchmark, tmp_path: Path) -> None:
    """No binding of wimlib is on PyPI; ``wimverify`` on the same file is the program to compare with."""
    import shutil
    import subprocess

    if shutil.which("wimcapture") is None:
        pytest.skip("wimtools is not installed")
    benchmark.group = "lzx"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "f").write_bytes(DATA)
    subprocess.run(["wimcapture", tmp_path / "in", tmp_path / "w", "--compress=LZX"], check=True, stdout=subprocess.DEVNULL)
    wim = (tmp_path / "w").read_bytes()
    table, at, _ = struct.unpack_from("<QQQ", wim, 48)
    for entry in range(at, at + (table & (1 << 56) - 1), 50):
        flags, begin, size = struct.unpack_from("<QQQ", wim, entry)
        if size == len(DATA):
            break
    count = -(-size // 32768)
    first = begin + 4 * (count - 1)
    places = [0, *struct.unpack_from(f"<{count - 1}I", wim, begin), begin + (flags & (1 << 56) - 1) - first]
    pieces = [(wim[first + a : first + b], min(32768, size - n * 32768)) for n, (a, b) in enumerate(itertools.pairwise(places))]
    out = benchmark(lambda: b"".join(p if len(p) == n else kernels.lzx(p, n, 15, True)[0] for p, n in pieces))
    assert out == DATA
    speed(benchmark, size)
