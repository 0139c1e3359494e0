"""Laws of the engine, on a toy format whose truth is known: T O Y, kind, length, nested content."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib.carving.engine import WINDOW, Carved, carve, runs
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.errors import LimitExceeded, Unreadable, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Kinds: W whole, B broken off (owns nothing), V verified to half of it only."""
    head = data.read_at(0, 6)
    length = int.from_bytes(head[4:6], "big")
    if head[:3] != b"TOY" or length < 6 or length > data.size:
        return None
    kind = head[3:4]
    if kind == b"W":
        return Find(length, 1.0, "whole")
    if kind == b"B":
        return Find(length, 0.4, "broken", complete=False)
    return Find(length, 0.4, "half", complete=False, owned=length // 2) if kind == b"V" else None


def toy(name: str = "toy", offset: int = 0, **more: object) -> Carver:
    return Carver(
        name=name, title=name, extension=name, mime="x/x", refs=(), signatures=(Signature(b"TOY", offset, **more),),  # type: ignore[arg-type]
        measure=measure, maximum=60_000,
    )  # fmt: skip


def expected(data: bytes, low: int, high: int) -> list[tuple[int, int]]:
    """The same rules, the slow way: every offset, one after the other."""
    out, covered, at = [], low, low
    while at < high:
        if at >= covered and data[at : at + 3] == b"TOY":
            find = measure(MemorySource(data[at:high]), Budget())
            if find is not None:
                out.append((at, find.length))
                mine = find.owned if find.owned is not None else find.length if find.complete else 0
                covered = max(covered, at + mine)
        at += 1
    return out


def evidence(rng: random.Random, size: int) -> bytes:
    data = bytearray(rng.choice((bytes(size), rng.randbytes(size))))
    for _ in range(rng.randrange(40)):
        at = rng.randrange(size - 6)
        data[at : at + 6] = b"TOY" + rng.choice((b"W", b"B", b"V", b"X")) + rng.choice((6, 20, 300, 5000)).to_bytes(2, "big")
    return bytes(data)


def places(finds: list[Carved]) -> list[tuple[int, int]]:
    return [(f.offset, f.length) for f in finds]


@given(st.integers(0, 1 << 32))
@settings(max_examples=120, deadline=None)
def test_any_windows_units_and_workers_give_what_the_rules_say(seed: int) -> None:
    rng = random.Random(seed)
    data = evidence(rng, rng.choice((50, 3000, 20_000)))
    ranges, at = [], 0
    while at < len(data):
        length = rng.choice((1, 100, 7000))
        if rng.random() < 0.7:
            ranges.append((at, length))
        at += length + rng.choice((0, 0, 5))
    want = [p for low, high in runs(len(data), ranges) for p in expected(data, low, high)]
    source = MemorySource(data)
    for window, unit in ((1 << 20, 1 << 20), (rng.choice((1, 2, 7, 512)), rng.choice((13, 600, 4096)))):
        assert places(list(carve(source, [toy()], ranges=ranges, window=window, unit=unit))) == want
    with ThreadPoolExecutor(3) as pool:
        assert places(list(carve(source, [toy()], ranges=ranges, unit=700, executor=pool, ahead=3))) == want


class Counting(ThreadPoolExecutor):
    """Counts what it is asked to do."""

    asked = 0

    def submit(self, *args, **kwargs):
        self.asked += 1
        return super().submit(*args, **kwargs)


def test_in_what_a_large_file_owns_no_unit_is_examined_beyond_those_under_way() -> None:
    """A tape archive of a whole disk was examined to its end by the workers while one worker alone passed over it."""
    large = 60_000
    data = b"TOYW" + large.to_bytes(2, "big") + random.Random(1).randbytes(large - 6).replace(b"TOYW", b"ABCD") + b"TOYW\0\x0a" + bytes(500)
    want = [(0, large), (large, 10)]
    with Counting(2) as pool:
        assert places(list(carve(MemorySource(data), [toy()], unit=600, executor=pool, ahead=4, block=0))) == want
        assert pool.asked <= 4 + 2


def test_a_signature_that_is_not_at_the_start() -> None:
    body = bytearray(200)
    carver = Carver(
        name="late", title="late", extension="late", mime="x/x", refs=(), signatures=(Signature(b"LATE", 100),),
        measure=lambda data, budget: Find(120, 1.0, "late"),
    )  # fmt: skip
    body[50 + 100 : 50 + 104] = b"LATE"
    body[60:64] = b"LATE"  # its file would begin before the evidence does
    body[20:26] = b"TOYW\0\x0a"
    for window, unit in ((1000, 1000), (3, 1000), (64, 40), (5, 7)):
        finds = list(carve(MemorySource(bytes(body)), [carver, toy()], window=window, unit=unit))
        assert [(f.offset, f.carver.name) for f in finds] == [(20, "toy"), (50, "late")]


def test_at_one_offset_the_complete_and_more_confident_find_wins() -> None:
    def says(find: Find | None) -> Carver:
        name = find.reason if find else "nothing"
        return Carver(
            name=name, title=name, extension=name, mime="x/x", refs=(), signatures=(Signature(b"TOY"),), measure=lambda d, b: find
        )

    carvers = [
        says(Find(90, 0.9, "incomplete", complete=False)),
        says(Find(10, 0.7, "short")),
        says(Find(20, 0.7, "long")),
        says(None),
    ]
    finds = list(carve(MemorySource(b"TOY" + bytes(200)), carvers))
    assert [f.find.reason for f in finds] == ["long"]


def test_aligned_signatures_count_only_on_sectors() -> None:
    data = bytearray(4096)
    for at in (0, 100, 512, 1000, 1024):
        data[at : at + 6] = b"TOYB\0\x06"
    assert [f.offset for f in carve(MemorySource(bytes(data)), [toy(align=512)], window=333, unit=777)] == [0, 512, 1024]


def test_known_ranges_are_left_out_and_end_files() -> None:
    assert runs(100, None, [(10, 5), (90, 50)]) == [(0, 10), (15, 90)]
    assert runs(100, [(50, 10), (0, 20), (20, 10), (95, 100)]) == [(0, 30), (50, 60), (95, 100)]
    assert runs(100, [(0, 50)], [(0, 100)]) == []
    with pytest.raises(UsageError):
        runs(100, [(-1, 5)])


class _Bad(MemorySource):
    """Bytes 1000 to 1100 cannot be read."""

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        if offset < 1100 and offset + len(buffer) > 1000:
            raise Unreadable("sector", Span("bad", 1000, 100), "medium error")
        return super().read_into(offset, buffer)

    def read_at(self, offset: int, n: int) -> bytes:
        buffer = bytearray(max(0, min(n, self.size - offset)))
        return bytes(buffer[: self.read_into(offset, buffer)])


def test_unreadable_bytes_are_a_finding_and_carving_goes_on() -> None:
    data = bytearray(20_000)
    data[9000:9006] = b"TOYW\x00\x20"
    budget = Budget()
    finds = list(carve(_Bad(bytes(data)), [toy()], budget=budget, unit=5000))
    assert places(finds) == [(9000, 32)]
    assert [f.kind for f in budget.findings] == ["Unreadable"]


def test_a_candidate_that_is_given_up_is_a_finding() -> None:
    def endless(data: ByteSource, budget: Budget) -> Find | None:
        raise LimitExceeded("toy", None, "too much")

    carver = Carver(name="t", title="t", extension="t", mime="x/x", refs=(), signatures=(Signature(b"TOY"),), measure=endless)
    budget = Budget()
    assert list(carve(MemorySource(b"..TOY..", "disk"), [carver], budget=budget)) == []
    (finding,) = budget.findings
    assert (finding.kind, finding.span) == ("LimitExceeded", Span("disk", 2, 1))


def test_progress_tells_bytes_and_the_whole() -> None:
    told: list[tuple[int, int]] = []
    list(carve(MemorySource(bytes(1000)), [toy()], ranges=[(0, 300), (500, 200)], unit=200, progress=lambda d, t: told.append((d, t))))
    assert told == [(200, 500), (300, 500), (500, 500)]


def test_candidates_that_lead_far_to_nothing_are_bounded_in_all_and_the_bound_is_a_finding() -> None:
    """Thousands of forged headers, each worth reading 2 MiB; a true file among them is told by less."""
    header, count = b"TOY!", 4000
    told: list[int] = []

    def far(data: ByteSource, budget: Budget) -> Find | None:
        if data.read_at(4, 4) == b"true":
            return Find(8, 1.0, "small")
        told.append(len(data.read_at(0, 2 << 20)))
        return None

    carver = Carver(
        name="far", title="Far", extension="far", mime="a/b", signatures=(Signature(header),), measure=far, refs=("x",), gaps=("x",)
    )
    data = MemorySource((header + bytes(60)) * count + header + b"true" + bytes(4 << 20))
    budgets = [Budget(), Budget()]
    finds = [list(carve(data, (carver,), budget=budget, window=window)) for budget, window in zip(budgets, (WINDOW, 5000), strict=True)]
    assert [places(found) for found in finds] == [[(count * 64, 8)]] * 2
    assert budgets[0].findings == budgets[1].findings
    (finding,) = budgets[0].findings
    measured = len(told) // 2
    assert 1500 < measured < 2200, "about 4 GiB"
    assert finding.found.startswith(f"{count - measured} from {measured * 64} to {(count - 1) * 64} ")
    assert finding.span is not None and finding.span.start == measured * 64
