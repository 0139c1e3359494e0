"""Checksums of parts: any ranges, over any blocks, with any number of threads."""

from __future__ import annotations

import random
import zlib

import pytest

import forensiclib as fl
from forensiclib.api.checks import PartSums
from forensiclib.api.opening import OpenImage
from forensiclib.core.entry import Check, Image
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.span import Span
from forensiclib.hashing.digest import digest
from tests.images.disks import content

DATA = content(8, 3 << 20)


def stretches(seed: int) -> tuple[tuple[int, int], ...]:
    rng, at, out = random.Random(seed), 0, []
    while at < len(DATA):
        at += rng.choice((0, 1, 511, 70_000, 1 << 20))
        n = rng.choice((1, 512, 99_999, 1 << 20, 2 << 20))
        if at + n > len(DATA):
            break
        out.append((at, n))
        at += n
    return tuple(out)


def crc(ranges: tuple[tuple[int, int], ...]) -> str:
    return f"{zlib.crc32(b''.join(DATA[at : at + n] for at, n in ranges)):08x}"


def check(name: str, ranges: tuple[tuple[int, int], ...], stored: str = "") -> Check:
    return Check(name, "crc32", stored or crc(ranges), Span("x", 0, 1), ranges)


@pytest.mark.parametrize("threads", [1, 3])
def test_parts_are_summed_while_the_whole_is_hashed(threads: int) -> None:
    """Ranges of different checks may lie over each other."""
    every = [check(str(seed), stretches(seed)) for seed in range(12)] + [
        check("all", ((0, len(DATA)),)),
        check("end", ((len(DATA) - 1, 1),)),
    ]
    parts = PartSums(every)
    found = digest(MemorySource(DATA), ("md5",), budget=Budget(), threads=threads, also=parts)
    assert list(found.values) == ["md5"]
    assert {c.what: value for c, value in parts.outcome()} == {c.what: c.stored for c in every}


def test_blocks_of_any_size_give_the_same() -> None:
    for seed in range(5):
        rng, at, parts = random.Random(seed), 0, PartSums([check("x", stretches(seed))])
        while at < len(DATA):
            n = rng.choice((1, 5000, 300_000))
            parts.update(memoryview(DATA)[at : at + n])
            at += n
        assert [value for _, value in parts.outcome()] == [crc(stretches(seed))]


def test_a_range_behind_the_end_has_no_sum() -> None:
    parts = PartSums([check("x", ((len(DATA) - 5, 6),), "00000000")])
    digest(MemorySource(DATA), ("md5",), budget=Budget(), also=parts)
    assert [value for _, value in parts.outcome()] == [""]


def verdict(checks: list[Check]) -> tuple[bool | None, tuple[str, ...], list[str]]:
    run = fl.Run()
    result = OpenImage(Image(MemorySource(DATA), format="x", name="x", checks=checks), (), run).verify()
    return result.ok, result.failed, [f"{f.kind} {f.what}" for f in run.findings]


def test_the_verdict() -> None:
    good, bad = check("one", ((5, 100),)), check("two", ((5, 100),), "0badf00d")
    other = Check("three", "crc32", f"{zlib.crc32(b'abc'):08x}", Span("x", 0, 1), data=MemorySource(b"abc"))
    assert verdict([good, other]) == (True, (), [])
    ok, failed, found = verdict([good, bad, other])
    assert ok is False and found == ["Corrupt checksum of two"]
    assert failed == (f"checksum of two: 0badf00d is stored, its bytes give {good.stored}",)
    assert verdict([])[0] is None
