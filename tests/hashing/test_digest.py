"""Digests against hashlib over the same bytes, published vectors, damage, cancelling and progress."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import blake3
import pytest

from forensiclib.core.errors import Cancelled, Corrupt, LimitExceeded, UsageError
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import FileSource, MemorySource, WritableBuffer
from forensiclib.core.span import Span
from forensiclib.hashing.digest import ALGORITHMS, BLOCK, GRAIN, Partial, digest
from tests.hashing.damaged import Damaged

CONTENT = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range((5 * BLOCK + 12345) // 32 + 1))[: 5 * BLOCK + 12345]


def truth(data: bytes) -> dict[str, str]:
    out = {name: hashlib.new(name.replace("-", "_"), data).hexdigest() for name in ALGORITHMS if name not in ("blake3", "crc32")}
    return {**out, "blake3": blake3.blake3(data).hexdigest(), "crc32": f"{zlib.crc32(data):08x}"}


@pytest.mark.parametrize("size", [0, 1, GRAIN, BLOCK - 1, BLOCK, BLOCK + 1, len(CONTENT)])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_algorithm_for_any_number_of_threads(size: int, threads: int) -> None:
    data = CONTENT[:size]
    got = digest(MemorySource(data), tuple(ALGORITHMS), budget=Budget(), threads=threads)
    assert dict(got.values) == truth(data)
    assert (got.size, got.bad) == (size, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),  # RFC 1321, A.5
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),  # FIPS 180, "abc"
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),  # FIPS 202 examples
    ],
)
def test_published_vectors(name: str, value: str) -> None:
    assert digest(MemorySource(b"abc"), (name,), budget=Budget())[name] == value


def test_the_check_value_of_crc_32() -> None:
    assert digest(MemorySource(b"123456789"), ("crc32",), budget=Budget())["crc32"] == "cbf43926"


@pytest.mark.parametrize("window", [1, 2, 64])
def test_any_window(window: int) -> None:
    got = digest(MemorySource(CONTENT), budget=Budget(), threads=4, window=window)
    assert got["md5"] == hashlib.md5(CONTENT).hexdigest()


def test_the_callers_executor_is_used_and_left_alone() -> None:
    with ThreadPoolExecutor(2) as pool:
        got = digest(MemorySource(CONTENT), budget=Budget(), executor=pool, threads=2)
        assert got["sha1"] == hashlib.sha1(CONTENT).hexdigest()
        assert pool.submit(int, "7").result() == 7
    with ThreadPoolExecutor(1) as pool:  # fewer workers than asked for: slower, not stuck
        assert digest(MemorySource(CONTENT), budget=Budget(), executor=pool, threads=4)["sha1"] == got["sha1"]


def test_one_thread_starts_none() -> None:
    seen: set[int] = set()

    class Watched(MemorySource):
        def read_into(self, offset: int, buffer: WritableBuffer) -> int:
            seen.add(threading.get_ident())
            return super().read_into(offset, buffer)

    before = threading.active_count()
    digest(Watched(CONTENT), budget=Budget())
    assert seen == {threading.get_ident()}
    digest(Watched(CONTENT), budget=Budget(), threads=3)
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_damage_raises_the_first_error_in_media_order(threads: int) -> None:
    source = Damaged(CONTENT, [(4 * BLOCK, 10), (BLOCK + 77, 5), (3 * BLOCK, 4096)])
    for _ in range(5):
        with pytest.raises(Corrupt) as caught:
            digest(source, budget=Budget(), threads=threads)
        assert caught.value.span == Span("media", BLOCK + 77, 5)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_damage_is_filled_only_on_request_and_listed(threads: int) -> None:
    bad = [(BLOCK - 100, 200), (3 * BLOCK + GRAIN, 3 * GRAIN)]
    budget = Budget()
    got = digest(Damaged(CONTENT, bad), ("md5", "sha256"), budget=budget, threads=threads, on_bad="fill")
    zeroed = bytearray(CONTENT)
    zeroed[BLOCK - GRAIN : BLOCK + GRAIN] = bytes(2 * GRAIN)
    zeroed[3 * BLOCK + GRAIN : 3 * BLOCK + 4 * GRAIN] = bytes(3 * GRAIN)
    assert got["md5"] == hashlib.md5(zeroed).hexdigest()
    assert got.bad == (Span("media", BLOCK - GRAIN, 2 * GRAIN), Span("media", 3 * BLOCK + GRAIN, 3 * GRAIN))
    assert [f.span for f in budget.findings] == [Span("media", *b) for b in bad]


@pytest.mark.parametrize("threads", [1, 2])
def test_cancelling(threads: int) -> None:
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > 2

    class Slow(MemorySource):
        def read_into(self, offset: int, buffer: WritableBuffer) -> int:
            threading.Event().wait(0.02)
            return super().read_into(offset, buffer)

    before = threading.active_count()
    with pytest.raises(Cancelled):
        digest(Slow(CONTENT), budget=Budget(cancelled=cancelled), threads=threads)
    assert threading.active_count() == before


def test_the_time_limit_counts() -> None:
    with pytest.raises(LimitExceeded, match="time"):
        digest(MemorySource(CONTENT), budget=Budget(Limits(seconds=-1.0)), threads=2)


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_comes_on_the_callers_thread_and_ends_at_the_end(threads: int) -> None:
    said: list[tuple[int, int]] = []
    where: set[int] = set()

    def progress(done: int, total: int) -> None:
        said.append((done, total))
        where.add(threading.get_ident())

    digest(MemorySource(CONTENT), budget=Budget(), threads=threads, progress=progress)
    assert said[-1] == (len(CONTENT), len(CONTENT))
    assert said == sorted(said)
    assert where == {threading.get_ident()}


def test_an_error_of_the_progress_function_leaves_no_thread() -> None:
    before = threading.active_count()

    def progress(done: int, total: int) -> None:
        raise KeyError("mine")

    for threads in (1, 3):
        with pytest.raises(KeyError):
            digest(MemorySource(CONTENT), budget=Budget(), threads=threads, progress=progress)
    assert threading.active_count() == before


@pytest.mark.parametrize("wrong", [{"algorithms": ("md4",)}, {"algorithms": ()}, {"threads": 0}, {"window": 0}, {"on_bad": "ignore"}])
def test_the_callers_mistakes(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        digest(MemorySource(b"abc"), budget=Budget(), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [1, 2])
def test_other_programs_agree(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "media.raw"
    path.write_bytes(CONTENT)
    got = digest(FileSource(path), ("md5", "sha1", "sha256", "sha512", "blake2b"), budget=Budget(), threads=threads)
    programs = {"md5": "md5sum", "sha1": "sha1sum", "sha256": "sha256sum", "sha512": "sha512sum", "blake2b": "b2sum"}
    missing = [p for p in (*programs.values(), "hashdeep") if shutil.which(p) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: coreutils, hashdeep)")
    for name, program in programs.items():
        said = subprocess.run([program, path], check=True, capture_output=True, text=True).stdout
        assert said.split()[0] == got[name]
    said = subprocess.run(["hashdeep", "-c", "md5,sha1,sha256", path], check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1].split(",")[:4] == [str(len(CONTENT)), got["md5"], got["sha1"], got["sha256"]]


@pytest.mark.drivers
def test_similarity_digests_stand_beside_the_others(tmp_path):
    if shutil.which("ssdeep") is None:
        pytest.skip("ssdeep is not installed")
    data = random.Random(5).randbytes(70_000) + b"the same words again and again " * 4000
    (tmp_path / "f").write_bytes(data)
    program = subprocess.run(["ssdeep", "-s", tmp_path / "f"], capture_output=True, text=True, check=True).stdout.splitlines()[1]
    for threads in (1, 2):
        made = digest(MemorySource(data), ("md5", "ssdeep", "tlsh"), budget=Budget(), threads=threads)
        assert made["ssdeep"] == program.split(",")[0]
        assert made["md5"] == hashlib.md5(data).hexdigest() and made["tlsh"].startswith("T1")
    with pytest.raises(UsageError):
        digest(MemorySource(data), ("ssdeep",), budget=Budget(), partial=Partial.begin(("ssdeep",)))
