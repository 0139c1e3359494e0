"""Digests of a whole source: read, decompressed and hashed side by side."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal, Protocol

from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span, merge
from forensiclib.hashing.fuzzy import Ssdeep, Tlsh
from forensiclib.hashing.partial import ALGORITHMS, Digests, Partial, checked
from forensiclib.kernels import WHICH, sum_begin, sum_finish, sum_update

__all__ = ["ALGORITHMS", "BLOCK", "GRAIN", "Digests", "Partial", "Sums", "digest", "new_sums"]

BLOCK = 1 << 20
"""Bytes read and hashed at a time: the kernels and inflate release the GIL, and a core's cache holds it."""
GRAIN = 4096
"""Bytes of the smallest range that is called unreadable."""
WINDOW = 16
"""Blocks in memory at once, read ahead of the slowest digest."""


class Sums(Protocol):
    """Several digests of the same bytes."""

    def update(self, data: memoryview, /) -> object:
        """The bytes that follow."""

    def values(self) -> dict[str, str]:
        """Algorithm -> lower-case hex."""


class _States:
    """Sums with kernels: those that can go in one pass do."""

    __slots__ = ("_names", "_states")

    def __init__(self, states: dict[str, bytearray]) -> None:
        self._names, self._states = tuple(states), tuple(states.values())

    def update(self, data: memoryview) -> None:
        sum_update(self._names, self._states, data)

    def values(self) -> dict[str, str]:
        return {name: sum_finish(name, state).hex() for name, state in zip(self._names, self._states, strict=True)}


class _Hashlib:
    """Sums of hashlib: for names that no kernel has, and for all without compiled kernels, whose twins are the slower ones."""

    __slots__ = ("_sums",)

    def __init__(self, names: Sequence[str]) -> None:
        self._sums = {n: hashlib.new(n.replace("-", "_"), usedforsecurity=False) for n in names}

    def update(self, data: memoryview) -> None:
        for made in self._sums.values():
            made.update(data)

    def values(self) -> dict[str, str]:
        return {name: made.hexdigest() for name, made in self._sums.items()}


_FUZZY: dict[str, Callable[[], Ssdeep | Tlsh]] = {"ssdeep": Ssdeep, "tlsh": Tlsh}


class _Fuzzy:
    """Similarity digests, each a pass of its own."""

    __slots__ = ("_sums",)

    def __init__(self, names: Sequence[str]) -> None:
        self._sums = {n: _FUZZY[n]() for n in names}

    def update(self, data: memoryview) -> None:
        for made in self._sums.values():
            made.update(data)

    def values(self) -> dict[str, str]:
        return {name: made.hexdigest() for name, made in self._sums.items()}


class _Several:
    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Sums]) -> None:
        self._parts = parts

    def update(self, data: memoryview) -> None:
        for part in self._parts:
            part.update(data)

    def values(self) -> dict[str, str]:
        return {name: value for part in self._parts for name, value in part.values().items()}


def _named(algorithms: Sequence[str]) -> tuple[str, ...]:
    """The names, each once; UsageError when there is none or one that is no algorithm."""
    others = {n for n in hashlib.algorithms_guaranteed if not n.startswith("shake")} - set(ALGORITHMS)
    unknown = [name for name in algorithms if name not in ALGORITHMS and name not in _FUZZY and name not in others]
    if unknown or not algorithms:
        there = ", ".join((*ALGORITHMS, *_FUZZY, *sorted(others)))
        raise UsageError(f"no algorithm {', '.join(unknown) or 'given'}; there are {there}")
    return tuple(dict.fromkeys(algorithms))


def new_sums(algorithms: Sequence[str]) -> Sums:
    """New sums of these algorithms: names in ALGORITHMS, ssdeep and tlsh, or hashlib's of a fixed length. UsageError for another."""
    _named(algorithms)
    kernel = [n for n in algorithms if n in ALGORITHMS and (WHICH == "compiled" or n in ("blake3", "crc32"))]
    fuzzy = [n for n in algorithms if n in _FUZZY]
    rest = [n for n in algorithms if n not in kernel and n not in fuzzy]
    parts: list[Sums] = [_States({name: sum_begin(name) for name in kernel})] if kernel else []
    parts += [_Hashlib(rest)] if rest else []
    parts += [_Fuzzy(fuzzy)] if fuzzy else []
    return parts[0] if len(parts) == 1 else _Several(parts)


_STITCHED = frozenset({"md5", "sha1", "sha256"})
"""One pass over these costs no more than the slowest of them (benchmarks/bench_digest.py)."""


def _groups(partial: Partial | None, names: tuple[str, ...], threads: int) -> dict[str, Sums]:
    """What one worker does at a time: everything for one thread, else each pass by itself."""
    together = [tuple(n for n in names if n in _STITCHED or threads == 1)] if WHICH == "compiled" or partial is not None else []
    apart = [(n,) for n in names if not any(n in group for group in together)]
    out: dict[str, Sums] = {}
    for group in [*together, *apart]:
        if group:
            made: Sums = new_sums(group) if partial is None else _States({n: partial.states[n] for n in group})
            out["+".join(group)] = made
    return out


@dataclass(slots=True)
class _Block:
    """One stretch of the source on its way through."""

    number: int
    data: memoryview
    problems: list[tuple[int, int, EvidenceError]]
    waiting: set[str]


def _fill(source: ByteSource, start: int, view: memoryview) -> list[tuple[int, int, EvidenceError]]:
    """Read grain by grain; what cannot be read becomes zero and is returned as (offset, bytes, error)."""
    bad, done = [], 0
    while done < len(view):
        take = min(len(view) - done, GRAIN - (start + done) % GRAIN)
        try:
            source.read_into(start + done, view[done : done + take])
        except EvidenceError as error:
            view[done : done + take] = bytes(take)
            bad.append((start + done, take, error))
        done += take
    return bad


class _Pipeline:
    """What every thread shares. Each worker takes the most urgent step that is possible: the group of
    digests that is furthest behind, else the next read."""

    def __init__(self, source: ByteSource, sums: dict[str, Sums], window: int, fill: bool, begin: int) -> None:
        self.source, self.sums, self.fill, self.begin = source, sums, fill, begin
        self.first = begin // BLOCK
        self.count = -(-source.size // BLOCK)
        self.window = window
        self.lock = threading.Condition()
        self.blocks: dict[int, _Block] = {}
        self.next_read = self.first
        self.reading = 0
        self.turn = dict.fromkeys(sums, self.first)  # the block that each group of digests needs next
        self.busy: set[str] = set()
        self.free: list[memoryview] = []
        self.problems: list[tuple[int, int, EvidenceError]] = []
        self.failed: tuple[int, EvidenceError] | None = None
        self.stopped = False

    @property
    def finished(self) -> int:
        """Blocks that every digest has seen."""
        return min(self.turn.values())

    def place(self, number: int) -> tuple[int, int]:
        """Where block ``number`` begins and ends. Blocks keep their places whatever offset is gone on from."""
        return max(self.begin, number * BLOCK), min((number + 1) * BLOCK, self.source.size)

    def over(self) -> bool:
        """Whether no step is left to take."""
        if self.stopped or self.finished >= self.count:
            return True
        return self.failed is not None and self.reading == 0

    def _next(self) -> tuple[str, _Block] | None:
        """The next step: a group and a block, or "" and a block to read. The lock is held."""
        if self.failed is None:
            for name in sorted(self.turn, key=lambda n: self.turn[n]):
                block = self.blocks.get(self.turn[name])
                if block is not None and name not in self.busy:
                    self.busy.add(name)
                    return name, block
        limit = self.count if self.failed is None else self.failed[0]
        if self.next_read < min(limit, self.finished + self.window):
            number = self.next_read
            self.next_read += 1
            self.reading += 1
            view = self.free.pop() if self.free else memoryview(bytearray(BLOCK))
            start, end = self.place(number)
            return "", _Block(number, view[: end - start] if end - start < BLOCK else view, [], set(self.sums))
        return None

    def work(self) -> None:
        """A worker: steps until there are none."""
        while True:
            with self.lock:
                while (step := None if self.over() else self._next()) is None:
                    if self.over():
                        self.lock.notify_all()
                        return
                    self.lock.wait()
            self.step(*step)

    def step(self, name: str, block: _Block) -> None:
        """One read or one update, without the lock; then its outcome, with it."""
        problem: EvidenceError | None = None
        clean = False
        try:
            if name:
                self.sums[name].update(block.data)
            else:
                self._read(block)
            clean = True
        except EvidenceError as error:
            problem = error
        finally:
            with self.lock:
                # Anything else leaves through the worker's future; the others must not wait for it.
                self.stopped = self.stopped or not (clean or problem)
                self._done(name, block, problem)

    def _read(self, block: _Block) -> None:
        start, _ = self.place(block.number)
        try:
            self.source.read_into(start, block.data)
        except EvidenceError:
            if not self.fill:
                raise
            block.problems = _fill(self.source, start, block.data)

    def _done(self, name: str, block: _Block, problem: EvidenceError | None) -> None:
        if name:
            self.busy.discard(name)
            self.turn[name] += 1
            block.waiting.discard(name)
            if not block.waiting:
                del self.blocks[block.number]
                if len(block.data) == BLOCK:
                    self.free.append(block.data)
        else:
            self.reading -= 1
            self.problems += block.problems
            if problem is None:
                self.blocks[block.number] = block
            elif self.failed is None or block.number < self.failed[0]:
                self.failed = (block.number, problem)
        self.lock.notify_all()

    def settle(self, partial: Partial) -> None:
        """After the workers have ended: bring every sum to where the furthest one stands, and ``partial`` with them."""
        seen = {name: int.from_bytes(state[:8], "little") for name, state in partial.states.items()}
        partial.offset = max(seen.values())
        for name, at in seen.items():
            while at < partial.offset:
                block = self.blocks.get(at // BLOCK)
                if block is None:  # a KeyboardInterrupt between the update and its outcome
                    start, end = self.place(at // BLOCK)
                    block = _Block(at // BLOCK, memoryview(bytearray(end - start)), [], set())
                    self._read(block)
                sum_update((name,), (partial.states[name],), block.data)
                at += len(block.data)
        self.problems = [p for p in self.problems if p[0] < partial.offset]


def _inline(pipe: _Pipeline, budget: Budget, progress: Callable[[int, int], None] | None) -> None:
    while pipe.finished < pipe.count and pipe.failed is None:
        budget.check()
        done = pipe.finished
        with pipe.lock:
            step = pipe._next()
        assert step is not None
        pipe.step(*step)
        if progress is not None and pipe.finished > done:
            progress(min(pipe.finished * BLOCK, pipe.source.size), pipe.source.size)


def _threaded(pipe: _Pipeline, executor: Executor, threads: int, budget: Budget, progress: Callable[[int, int], None] | None) -> None:
    workers = [executor.submit(pipe.work) for _ in range(threads)]
    try:
        said = 0
        while True:
            with pipe.lock:
                if not pipe.over():
                    pipe.lock.wait(0.05)
                over, done = pipe.over(), pipe.finished
            budget.check()
            if progress is not None and done > said:
                progress(min(done * BLOCK, pipe.source.size), pipe.source.size)
                said = done
            if over:
                break
    finally:
        with pipe.lock:
            pipe.stopped = True
            pipe.lock.notify_all()
        running = [worker for worker in workers if not worker.cancel()]
        wait(running)
        for worker in running:
            worker.result()


def digest(
    source: ByteSource,
    algorithms: Sequence[str] = ("md5", "sha1"),
    *,
    budget: Budget,
    executor: Executor | None = None,
    threads: int = 1,
    window: int = WINDOW,
    progress: Callable[[int, int], None] | None = None,
    on_bad: Literal["raise", "fill"] = "raise",
    partial: Partial | None = None,
    also: Sums | None = None,
) -> Digests:
    """The digests of all of ``source``; the same for any number of threads.

    algorithms  names in ALGORITHMS (MD5, SHA-1 and SHA-256 go in one pass), ssdeep, tlsh, or hashlib's; with ``partial``
                those in ALGORITHMS only
    threads     1 works on the caller's thread; more are taken from ``executor`` (threads, not
                processes), or from a pool that lives for this call
    window      blocks of 1 MiB in memory at once
    progress    called as (bytes done, bytes in all) on the caller's thread
    on_bad      "raise": the first unreadable range raises its EvidenceError; "fill": unreadable
                grains of 4 KiB are hashed as zero, reported to ``budget`` and listed in ``bad``
    partial     sums to go on with from their offset; however the call ends (cancelled, unreadable,
                done), they stand where the work stopped and can be saved
    also        gets every byte in order as well, unreadable ones as zero; it gives no value of its own

    Raises UsageError for an unknown algorithm and for a partial of others or of another size, Cancelled
    and LimitExceeded from ``budget.check()``.
    """
    names = _named(algorithms) if partial is None else checked(algorithms)
    if threads < 1 or window < 1 or on_bad not in ("raise", "fill"):
        raise UsageError(f"threads={threads}, window={window}, on_bad={on_bad!r}")
    if partial is not None:
        _fits(partial, names, source.size)
    sums = _groups(partial, names, threads)
    if also is not None:
        sums["also"] = also
    pipe = _Pipeline(source, sums, window, on_bad == "fill", partial.offset if partial is not None else 0)
    budget.check()
    try:
        if threads == 1 and executor is None:
            _inline(pipe, budget, progress)
        elif executor is not None:
            _threaded(pipe, executor, threads, budget, progress)
        else:
            with ThreadPoolExecutor(threads, "digest") as pool:
                _threaded(pipe, pool, threads, budget, progress)
    finally:
        if partial is not None:
            pipe.settle(partial)
            partial.bad = list(merge([*partial.bad, *_bad(pipe, budget)]))
    if pipe.failed is not None:
        raise pipe.failed[1]
    values = {name: value for made in sums.values() for name, value in made.values().items()}
    return Digests({name: values[name] for name in names}, source.size, _bad(pipe, budget) if partial is None else tuple(partial.bad))


def _fits(partial: Partial, names: tuple[str, ...], size: int) -> None:
    """Whether these sums can go on over a source of this size."""
    if set(partial.algorithms) != set(names):
        raise UsageError(f"the saved digests are {', '.join(partial.algorithms)}, not {', '.join(names)}")
    if partial.size not in (None, size) or partial.offset > size:
        raise UsageError(f"the saved digests are of {partial.size or partial.offset} bytes, the source has {size}")
    partial.size = size


def _bad(pipe: _Pipeline, budget: Budget) -> tuple[Span, ...]:
    """The unreadable ranges in order; each error (a chunk's grains share one) reported once."""
    spans: list[Span] = []
    said: set[tuple[str, Span | None, str]] = set()
    for start, length, error in sorted(pipe.problems, key=lambda p: p[0]):
        spans += pipe.source.trace(start, length)
        key = (error.what, error.span, error.found)
        if key not in said:
            said.add(key)
            budget.report(error)
    return merge(spans)
