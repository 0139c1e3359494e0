"""Saved sums: gone on with at any offset and after any stop, they end as the uninterrupted ones; what is not theirs is refused."""

from __future__ import annotations

import hashlib
import json
import random

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib.core.errors import Cancelled, Corrupt, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.span import Span
from forensiclib.hashing.digest import ALGORITHMS, BLOCK, GRAIN, Partial, digest
from tests.hashing.damaged import Damaged

CONTENT = random.Random(3).randbytes(4 * BLOCK + 4321)
NAMES = ("md5", "sha256", "blake3", "sha512")
WANT = {
    "md5": hashlib.md5(CONTENT).hexdigest(),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "sha512": hashlib.sha512(CONTENT).hexdigest(),
    "blake3": blake3.blake3(CONTENT).hexdigest(),
}
EDGES = (0, 1, 63, 64, 65, 127, 128, 1023, 1024, 1025, GRAIN, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77, len(CONTENT))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("at", EDGES)
def test_going_on_at_any_offset(at: int, threads: int) -> None:
    begun = Partial.begin(NAMES)
    begun.update(CONTENT[:at])
    resumed = Partial.load(begun.save())
    assert (resumed.offset, resumed.algorithms) == (at, NAMES)
    got = digest(MemorySource(CONTENT), NAMES, budget=Budget(), threads=threads, partial=resumed)
    assert dict(got.values) == WANT
    assert (resumed.offset, resumed.size) == (len(CONTENT), len(CONTENT))
    assert resumed.digests() == got


@given(st.lists(st.integers(0, 70_000), max_size=6), st.lists(st.sampled_from(ALGORITHMS), min_size=1, max_size=4, unique=True))
@settings(max_examples=40, deadline=None)
def test_any_number_of_stops(stops: list[int], names: list[str]) -> None:
    data, at, sums = CONTENT[:70_000], 0, Partial.begin(names)
    for stop in [*sorted(stops), len(data)]:
        sums = Partial.load(sums.save())
        sums.update(data[at:stop])
        at = stop
    assert dict(sums.digests().values) == dict(digest(MemorySource(data), names, budget=Budget()).values)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_cancelled_run_hands_over(threads: int) -> None:
    stop_after, partial, rounds = 2, Partial.begin(NAMES), 0
    stood = 0
    while True:
        rounds += 1
        calls = 0

        def cancelled(limit: int = stop_after) -> bool:
            nonlocal calls
            calls += 1
            return calls > limit

        try:
            got = digest(MemorySource(CONTENT), NAMES, budget=Budget(cancelled=cancelled), threads=threads, partial=partial, window=2)
        except Cancelled:
            partial = Partial.load(partial.save())
            assert partial.offset % BLOCK == 0 or partial.offset == len(CONTENT)
            assert partial.offset >= stood
            stood = partial.offset
            assert dict(partial.digests().values)["md5"] == hashlib.md5(CONTENT[: partial.offset]).hexdigest()
            assert dict(partial.digests().values)["blake3"] == blake3.blake3(CONTENT[: partial.offset]).hexdigest()
            stop_after += 1
            continue
        break
    assert dict(got.values) == WANT
    assert rounds < 50


@pytest.mark.parametrize("threads", [1, 3])
def test_an_unreadable_range_stops_it_where_it_lies_and_the_bad_ranges_travel(threads: int) -> None:
    bad = ((5000, 10), (2 * BLOCK + 100, 10))
    zeroed = bytearray(CONTENT)
    for start, _ in bad:
        zeroed[start - start % GRAIN : start - start % GRAIN + GRAIN] = bytes(GRAIN)
    source, partial = Damaged(CONTENT, bad), Partial.begin(("md5",))
    with pytest.raises(Corrupt):
        digest(source, ("md5",), budget=Budget(), threads=threads, partial=partial)
    assert partial.offset == 0
    with pytest.raises(Corrupt):
        digest(Damaged(CONTENT, bad[1:]), ("md5",), budget=Budget(), threads=threads, partial=partial)
    assert partial.offset in (0, BLOCK, 2 * BLOCK)
    calls = 0

    def cancelled() -> bool:
        nonlocal calls
        calls += 1
        return calls > 3

    partial = Partial.begin(("md5",))
    try:
        digest(source, ("md5",), budget=Budget(cancelled=cancelled), threads=threads, partial=partial, on_bad="fill", window=1)
    except Cancelled:
        partial = Partial.load(partial.save())
    got = digest(source, ("md5",), budget=Budget(), threads=threads, partial=partial, on_bad="fill")
    assert got["md5"] == hashlib.md5(zeroed).hexdigest()
    assert got.bad == (Span("media", 4096, GRAIN), Span("media", 2 * BLOCK, GRAIN))


def test_the_saved_form_describes_itself() -> None:
    sums = Partial.begin(("md5", "blake3"))
    sums.update(b"abc")
    saved = json.loads(sums.save())
    assert saved["format"] == "forensiclib partial digests"
    assert (saved["version"], saved["offset"], sorted(saved["states"])) == (1, 3, ["blake3", "md5"])
    assert Partial.load(sums.save()) == sums


def test_no_byte_of_the_saved_form_may_change() -> None:
    sums = Partial.begin(("md5", "crc32"))
    sums.update(CONTENT[:100])
    saved = sums.save()
    rng = random.Random(9)
    for at in range(len(saved)):
        broken = bytearray(saved)
        broken[at] = rng.choice([b for b in range(32, 127) if b != saved[at]])
        try:
            loaded = Partial.load(bytes(broken))
        except UsageError:
            continue
        assert loaded == sums  # space for space, a hexadecimal digit in the other case: the same content
    for cut in range(0, len(saved), 7):
        with pytest.raises(UsageError):
            Partial.load(saved[:cut])


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": "other"}',
        b'{"format": "forensiclib partial digests", "version": 2}',
        b"[" * 100_000,
    ],
)
def test_foreign_bytes_are_refused(foreign: bytes) -> None:
    with pytest.raises(UsageError):
        Partial.load(foreign)


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 4}, {"offset": -1}, {"offset": "3"}, {"size": 2}, {"size": "x"}, {"states": {}}, {"states": {"md4": "00"}},
        {"states": {"md5": "00"}}, {"states": {"md5": "zz"}}, {"states": []}, {"bad": [[1]]}, {"bad": None},
    ],
)  # fmt: skip
def test_a_forged_content_with_a_good_check_is_refused(change: dict[str, object]) -> None:
    sums = Partial.begin(("md5",))
    sums.update(b"abc")
    body = {**json.loads(sums.save()), **change}
    del body["check"]
    check = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    with pytest.raises(UsageError):
        Partial.load(json.dumps({**body, "check": check}))


def test_sums_of_another_source_or_of_other_algorithms_do_not_go_on() -> None:
    partial = Partial.begin(("md5",))
    digest(MemorySource(b"abc"), ("md5",), budget=Budget(), partial=partial)
    for source, names in ((b"abcd", ("md5",)), (b"ab", ("md5",)), (b"abc", ("sha1",)), (b"abc", ("md5", "sha1"))):
        with pytest.raises(UsageError):
            digest(MemorySource(source), names, budget=Budget(), partial=partial)
    assert digest(MemorySource(b"abc"), ("md5",), budget=Budget(), partial=partial)["md5"] == hashlib.md5(b"abc").hexdigest()
