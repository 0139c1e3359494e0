"""Digests of a whole source: read, decompressed and hashed side by side."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal, Protocol

from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span, merge

__all__ = ["ALGORITHMS", "BLOCK", "GRAIN", "Digests", "digest"]

BLOCK = 1 << 20
"""Bytes read and hashed at a time: hashlib and zlib release the GIL, and a core's cache holds it."""
GRAIN = 4096
"""Bytes of the smallest range that is called unreadable."""
WINDOW = 16
"""Blocks in memory at once, read ahead of the slowest digest."""


class _Sum(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _hashlib(name: str) -> Callable[[], _Sum]:
    return lambda: hashlib.new(name, usedforsecurity=False)


ALGORITHMS: Mapping[str, Callable[[], _Sum]] = {
    "md5": _hashlib("md5"),
    "sha1": _hashlib("sha1"),
    "sha256": _hashlib("sha256"),
    "sha512": _hashlib("sha512"),
    "sha3-256": _hashlib("sha3_256"),
    "blake2b": _hashlib("blake2b"),
    "crc32": _Crc32,
}
"""Name -> a new sum. blake2b is the 64-byte form; crc32 that of zlib and ISO 3309."""


@dataclass(frozen=True, slots=True)
class Digests:
    """values  algorithm -> lower-case hex; size  bytes hashed; bad  unreadable ranges that were hashed as zero."""

    values: Mapping[str, str]
    size: int
    bad: tuple[Span, ...] = ()

    def __getitem__(self, algorithm: str) -> str:
        return self.values[algorithm]


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
    """What every thread shares. Each worker takes the most urgent step that is possible: the digest
    that is furthest behind, else the next read."""

    def __init__(self, source: ByteSource, sums: dict[str, _Sum], window: int, fill: bool) -> None:
        self.source, self.sums, self.fill = source, sums, fill
        self.count = -(-source.size // BLOCK)
        self.window = window
        self.lock = threading.Condition()
        self.blocks: dict[int, _Block] = {}
        self.next_read = 0
        self.reading = 0
        self.turn = dict.fromkeys(sums, 0)  # the block that each digest needs next
        self.busy: set[str] = set()
        self.free: list[memoryview] = []
        self.problems: list[tuple[int, int, EvidenceError]] = []
        self.failed: tuple[int, EvidenceError] | None = None
        self.stopped = False

    @property
    def finished(self) -> int:
        """Blocks that every digest has seen."""
        return min(self.turn.values())

    def over(self) -> bool:
        """Whether no step is left to take."""
        if self.stopped or self.finished == self.count:
            return True
        return self.failed is not None and self.reading == 0

    def _next(self) -> tuple[str, _Block] | None:
        """The next step: an algorithm and a block, or "" and a block to read. The lock is held."""
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
            size = min(BLOCK, self.source.size - number * BLOCK)
            return "", _Block(number, view[:size] if size < BLOCK else view, [], set(self.sums))
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
        start = block.number * BLOCK
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
) -> Digests:
    """The digests of all of ``source``; the same for any number of threads.

    algorithms  names in ALGORITHMS
    threads     1 works on the caller's thread; more are taken from ``executor`` (threads, not
                processes), or from a pool that lives for this call
    window      blocks of 1 MiB in memory at once
    progress    called as (bytes done, bytes in all) on the caller's thread
    on_bad      "raise": the first unreadable range raises its EvidenceError; "fill": unreadable
                grains of 4 KiB are hashed as zero, reported to ``budget`` and listed in ``bad``

    Raises UsageError for an unknown algorithm, Cancelled and LimitExceeded from ``budget.check()``.
    """
    unknown = [name for name in algorithms if name not in ALGORITHMS]
    if unknown or not algorithms:
        raise UsageError(f"no algorithm {', '.join(unknown) or 'given'}; there are {', '.join(ALGORITHMS)}")
    if threads < 1 or window < 1 or on_bad not in ("raise", "fill"):
        raise UsageError(f"threads={threads}, window={window}, on_bad={on_bad!r}")
    pipe = _Pipeline(source, {name: ALGORITHMS[name]() for name in algorithms}, window, on_bad == "fill")
    budget.check()
    if threads == 1 and executor is None:
        _inline(pipe, budget, progress)
    elif executor is not None:
        _threaded(pipe, executor, threads, budget, progress)
    else:
        with ThreadPoolExecutor(threads, "digest") as pool:
            _threaded(pipe, pool, threads, budget, progress)
    if pipe.failed is not None:
        raise pipe.failed[1]
    return Digests({name: made.hexdigest() for name, made in pipe.sums.items()}, source.size, _bad(pipe, budget))


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
