"""Writing E01: ours beside ewfacquire, wall time of whole processes, MD5 and SHA-1, warm page cache, as many threads as cores.

    pytest benchmarks/bench_ewf_write.py --benchmark-only
    FORENSICLIB_BENCH_RAW=/evidence/disk.dd pytest benchmarks/bench_ewf_write.py --benchmark-only

Without FORENSICLIB_BENCH_RAW the media are files of this system in a tar, a fifth of noise, and some zeros: 256 MiB.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

THREADS = os.cpu_count() or 1
SIZE = 256 << 20


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bytes that both write."""
    if given := os.environ.get("FORENSICLIB_BENCH_RAW"):
        return Path(given)
    path = tmp_path_factory.mktemp("media") / "media.dd"
    with path.open("wb") as out:
        with tarfile.open(fileobj=out, mode="w|") as tar:
            for folder in ("/usr/lib", "/usr/share"):
                for found in sorted(Path(folder).rglob("*")):
                    if out.tell() >= SIZE * 3 // 4:
                        break
                    if found.is_file() and not found.is_symlink() and found.stat().st_size < 4 << 20:
                        tar.add(found, recursive=False)
        out.truncate(min(out.tell(), SIZE * 3 // 4))
        out.seek(0, os.SEEK_END)
        out.write(random.Random(1).randbytes(SIZE // 5))
        out.truncate(SIZE)
    return path


def _run(benchmark: Any, media: Path, words: list[str], target: Path) -> None:
    def before() -> None:
        for old in target.parent.glob(f"{target.stem}.*"):
            old.unlink()

    benchmark.pedantic(
        lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=900), setup=before, rounds=3, warmup_rounds=0
    )
    benchmark.extra_info["MB/s, best"] = round(media.stat().st_size / benchmark.stats.stats.min / 1e6)
    benchmark.extra_info["bytes written"] = sum(p.stat().st_size for p in target.parent.glob(f"{target.stem}.E*"))
    before()


@pytest.mark.parametrize("level", ["none", "empty-block", "fast", "best"])
def test_ours(benchmark: Any, level: str, media: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "forensiclib", "convert", str(media), "--to", str(tmp_path / "set.E01"), "--compression", level]
    _run(benchmark, media, [*words, "--algorithms", "md5,sha1", "--no-verify", "--jobs", str(THREADS)], tmp_path / "set.E01")


@pytest.mark.parametrize("level", ["none", "empty-block", "fast", "best"])
def test_ewfacquire(benchmark: Any, level: str, media: Path, tmp_path: Path) -> None:
    if shutil.which("ewfacquire") is None:
        pytest.skip("ewfacquire (Debian: ewf-tools) is not installed")
    words = ["ewfacquire", "-q", "-u", "-f", "encase6", "-c", level, "-d", "sha1", "-S", str(1500 << 20), "-t", str(tmp_path / "set")]
    _run(benchmark, media, [*words, str(media)], tmp_path / "set.E01")
