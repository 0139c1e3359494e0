"""ssdeep and TLSH against the programs themselves: the digests of files of every size, the scores of every pair."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from contextlib import closing
from itertools import combinations
from pathlib import Path

import pytest

from forensiclib.core.errors import Cancelled, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.hashing.fuzzy import (
    NO_SSDEEP,
    NO_TLSH,
    SSDEEP_MOST,
    Ssdeep,
    Tlsh,
    ssdeep,
    ssdeep_score,
    ssdeep_scores,
    tlsh,
    tlsh_distance,
    tlsh_distances,
)  # fmt: skip

SIZES = (
    0,
    1,
    2,
    6,
    7,
    8,
    49,
    50,
    191,
    192,
    193,
    383,
    384,
    385,
    767,
    768,
    769,
    4095,
    4096,
    4097,
    6144,
    6145,
    100_000,
    196_608,
    196_609,
    3_000_000,
)
"""3 * 2**n * 64 and its neighbours are where ssdeep takes the next block size."""


def contents(size: int) -> list[bytes]:
    rng = random.Random(size)
    text = b" ".join(rng.choice((b"the", b"quick", b"brown", b"fox", b"jumps")) + b"%d" % rng.randrange(50) for _ in range(size // 6 + 1))
    return [
        rng.randbytes(size),
        bytes(size),
        text[:size],
        (rng.randbytes(31) * (size // 31 + 1))[:size],
        rng.randbytes(size // 2) + bytes(size - size // 2),
    ]


@pytest.fixture(scope="session")
def libfuzzy():
    try:
        return ctypes.CDLL("libfuzzy.so.2")
    except OSError:
        pytest.skip("libfuzzy.so.2 is not installed (Debian package ssdeep)")


def reference(libfuzzy, data: bytes) -> str:
    out = ctypes.create_string_buffer(256)
    assert libfuzzy.fuzzy_hash_buf(data, len(data), out) == 0
    return out.value.decode()


@pytest.mark.parametrize("size", SIZES)
def test_ssdeep_equals_libfuzzy(libfuzzy, size: int) -> None:
    for data in contents(size):
        assert ssdeep(MemorySource(data), budget=Budget()) == reference(libfuzzy, data)


def test_ssdeep_equals_the_program_on_a_large_sparse_file(tmp_path: Path) -> None:
    if shutil.which("ssdeep") is None:
        pytest.skip("ssdeep is not installed")
    rng, path = random.Random(4), tmp_path / "sparse"
    with path.open("wb") as file:
        for at in (0, 1 << 20, (77 << 20) + 12345, (130 << 20) - 5):
            file.seek(at)
            file.write(rng.randbytes(200_000))
    printed = subprocess.run(["ssdeep", "-s", path], capture_output=True, text=True, check=True).stdout.splitlines()[1]
    with closing(FileSource(path)) as source:
        assert ssdeep(source, budget=Budget()) == printed.rsplit(",", 1)[0]


@pytest.mark.corpus
def test_ssdeep_equals_the_program_on_the_corpus(corpus: Path) -> None:
    if shutil.which("ssdeep") is None:
        pytest.skip("ssdeep is not installed")
    files = sorted(p for p in corpus.rglob("*") if p.is_file() and p.stat().st_size < 8 << 20)[::7]
    assert len(files) > 50
    printed = subprocess.run(["ssdeep", "-s", *files], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    for path, line in zip(files, printed, strict=True):
        with closing(FileSource(path)) as source:
            assert ssdeep(source, budget=Budget()) == line.split(",", 1)[0], path


def versions(rng: random.Random, size: int, count: int) -> list[bytes]:
    """A file and edits of it."""
    out = [rng.randbytes(size)]
    for _ in range(count):
        data = bytearray(rng.choice(out))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(size // 5)] = rng.randbytes(rng.randrange(size // 5))
        out.append(bytes(data))
    return out


def test_ssdeep_scores_equal_libfuzzy(libfuzzy) -> None:
    rng = random.Random(9)
    digests = [reference(libfuzzy, data) for size in (100, 400, 1500, 20_000) for data in versions(rng, size, 14)]
    digests += [
        f"{3 << rng.randrange(8)}:{''.join(rng.choices('ABCD', k=rng.randrange(65)))}:{''.join(rng.choices('AB', k=rng.randrange(33)))}"
        for _ in range(60)
    ]
    seen = set()
    for one, other in combinations(digests, 2):
        wanted = libfuzzy.fuzzy_compare(one.encode(), other.encode())
        assert ssdeep_score(one, other) == wanted, (one, other)
        seen.add(wanted)
    assert len(seen) > 40, "scores of all kinds"
    for one in digests[:5]:
        assert list(ssdeep_scores(one, digests, budget=Budget())) == [ssdeep_score(one, other) for other in digests]


def test_a_file_name_behind_a_comma_is_ignored() -> None:
    assert ssdeep_score('3:AAAABBBBCCCCDDDDEEEE:AAA,"name"', "3:AAAABBBBCCCCDDDDEEEE:AAA") == 100


@pytest.mark.parametrize("text", ["", "3", "3:a", "4:a:b", "0:a:b", "3:a b:c", f"3:{'a' * 65}:", f"{3 << 31}:a:b", "-3:a:b", "x" * 10_000])
def test_what_is_no_ssdeep_digest(text: str) -> None:
    with pytest.raises(UsageError):
        ssdeep_score(text, "3::")


def test_over_192_gib_there_is_no_digest() -> None:
    made = Ssdeep()
    made._state[:8] = SSDEEP_MOST.to_bytes(8, "little")
    assert ":" in made.hexdigest()
    made.update(b"x")
    assert made.hexdigest() == NO_SSDEEP


@pytest.fixture(scope="session")
def oracle():
    return pytest.importorskip("tlsh", reason="py-tlsh is not installed")


@pytest.mark.parametrize("size", [*SIZES, 51, 60, 256, 656, 657, 3199, 3200, 190_336, 278_671, 16_787_162])
def test_tlsh_equals_the_reference(oracle, size: int) -> None:
    for data in contents(size) if size < 10 << 20 else [random.Random(size).randbytes(size)]:
        assert tlsh(MemorySource(data), budget=Budget()) == oracle.hash(data)


@pytest.mark.corpus
def test_tlsh_equals_the_reference_on_the_corpus(oracle, corpus: Path) -> None:
    files = sorted(p for p in corpus.rglob("*") if p.is_file() and p.stat().st_size < 4 << 20)[::7]
    digests = []
    for path in files:
        data = path.read_bytes()
        made = Tlsh()
        for at in range(0, len(data), 65_537):
            made.update(memoryview(data)[at : at + 65_537])
        assert made.hexdigest() == oracle.hash(data), path
        digests.append(made.hexdigest())
    good = [d for d in digests if d != NO_TLSH]
    assert len(good) > 50
    for one, other in list(combinations(good, 2))[::5]:
        assert tlsh_distance(one, other) == oracle.diff(one, other)
        assert tlsh_distance(one, other[2:], length=False) == oracle.diffxlen(one, other)
    assert list(tlsh_distances(good[0], good, budget=Budget())) == [oracle.diff(good[0], other) for other in good]


def test_random_tlsh_digests_have_the_reference_distance(oracle) -> None:
    rng = random.Random(2)
    for _ in range(2000):
        one, other = (f"T1{rng.randbytes(35).hex().upper()}" for _ in range(2))
        assert tlsh_distance(one, other) == oracle.diff(one, other)
        assert tlsh_distance(one, other, length=False) == oracle.diffxlen(one, other)


@pytest.mark.parametrize("text", ["", NO_TLSH, "T1", "T1" + "0" * 69, "T2" + "0" * 70, "T1" + "g" * 70])
def test_what_is_no_tlsh_digest(text: str) -> None:
    with pytest.raises(UsageError):
        tlsh_distance(text, "T1" + "0" * 70)


@pytest.mark.parametrize("call", [ssdeep, tlsh])
def test_the_budget_can_cancel(call) -> None:
    with pytest.raises(Cancelled):
        call(MemorySource(bytes(10)), budget=Budget(cancelled=lambda: True))
