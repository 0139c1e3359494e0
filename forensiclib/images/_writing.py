"""The pass behind every writer: read, hash and pack side by side, write in order, stop and go on."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from forensiclib.core.errors import EvidenceError, Truncated, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.writing import WriteOptions, Written
from forensiclib.kernels import INFLATE, SUM_KINDS, sum_begin, sum_finish, sum_update

__all__ = ["STATE", "OutputFile", "Sink", "joined", "run_pass", "sample_of"]

STATE = ".resume"
"""What is put behind the path of a set for the file that says how to go on."""
CHECKPOINT = 4 << 30
"""Bytes of media after which the state is saved though nothing happened: what a power cut costs at most."""
_FORMAT, _VERSION = "forensiclib write state", 1


class OutputFile:
    """A file that is written front to back, with patches behind. It never replaces one that is there.

    at   where the next byte goes
    """

    def __init__(self, path: str, *, go_on: int | None = None, ours: Callable[[bytes], bool] | None = None) -> None:
        """``go_on`` cuts a file that is there to so many bytes; ``ours`` says of the first 64 bytes of one whether it may
        be replaced. UsageError for any other file that is there."""
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self.path, self.at = path, go_on or 0
        try:
            self._fd = os.open(path, flags if go_on is not None else flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError as error:
            if ours is None or not self._replaces(path, ours):
                raise UsageError(f"{path} is there already, and nothing is overwritten") from error
            self._fd = os.open(path, flags)
        if go_on is not None and os.fstat(self._fd).st_size < go_on:
            self.close()
            raise UsageError(f"{path} is shorter than the {go_on} bytes that were written when the job was stopped")
        os.ftruncate(self._fd, self.at)
        os.lseek(self._fd, self.at, os.SEEK_SET)

    @staticmethod
    def _replaces(path: str, ours: Callable[[bytes], bool]) -> bool:
        with open(path, "rb") as file:
            return ours(file.read(64))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """All of it, or OSError."""
        view = memoryview(data)
        while view:
            done = self._call(os.write, self._fd, view)
            self.at += done
            view = view[done:]

    def patch(self, offset: int, data: bytes) -> None:
        """Bytes that were written before as something else."""
        os.lseek(self._fd, offset, os.SEEK_SET)
        if self._call(os.write, self._fd, data) != len(data):
            raise OSError(5, "a short write", self.path)
        os.lseek(self._fd, self.at, os.SEEK_SET)

    def flush(self) -> None:
        """Wait until the bytes are on the disk; a closed file's are."""
        if self._fd >= 0:
            self._call(os.fsync, self._fd)

    def close(self) -> None:
        """Give the descriptor back; once is enough."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _call(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except OSError as error:
            error.filename = self.path
            raise


class Sink(ABC):
    """One set while it is written.

    name    of its declaration; block   bytes of media that ``encode`` gets at once, the last time fewer
    paths   its files so far
    fills   what cannot be read has a text of its own in the format: it is written, and hashed, instead of zeros, and instead of
            what the source has where it says itself that it was never read
    """

    name: str
    block: int
    paths: list[str]
    fills: bool = False

    def filler(self, offset: int, n: int) -> bytes:
        """What stands for ``n`` unreadable bytes from ``offset`` of the media."""
        return bytes(n)

    @abstractmethod
    def encode(self, data: memoryview) -> Any:
        """What ``put`` takes of these bytes; called on any thread, keeps nothing of ``data`` that changes later."""

    @abstractmethod
    def put(self, encoded: Any, bad: int) -> None:
        """The next bytes of the set; ``bad`` ranges are known to be unreadable so far."""

    @abstractmethod
    def finish(self, digests: dict[str, str], bad: Sequence[tuple[int, int]]) -> None:
        """The end of the set."""

    @abstractmethod
    def mark(self) -> Any:
        """Where it stands; cheap, taken before every block."""

    @abstractmethod
    def state(self, mark: Any) -> dict[str, Any]:
        """The mark as JSON, for ``restore``."""

    @abstractmethod
    def start(self) -> None:
        """Create the first file."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Open the files again and cut off what was written behind the mark."""

    @abstractmethod
    def flush(self) -> None:
        """Wait until what was put is on the disk."""

    @abstractmethod
    def close(self) -> None:
        """Close the files, whole or not."""


@dataclass(slots=True)
class _Block:
    """One stretch of media: ``size`` bytes of the source and zeros behind them up to ``len(view)``."""

    view: memoryview
    size: int
    problems: list[tuple[int, int, EvidenceError]]
    encoded: Any
    own: bytes | None = None  # of the source, where what is written is not the same


def joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(start, length) ranges in order, those that touch made one."""
    out: list[tuple[int, int]] = []
    for start, length in sorted(ranges):
        if out and start <= out[-1][0] + out[-1][1]:
            first = out[-1][0]
            out[-1] = (first, max(out[-1][1], start + length - first))
        elif length:
            out.append((start, length))
    return out


def sample_of(source: ByteSource) -> bytes:
    """A digest of the size and of both ends of a source: enough to tell two sources, cheap enough to take twice."""
    made = hashlib.sha256(b"%d" % source.size)
    for start in (0, max(0, source.size - (1 << 16))):
        try:
            made.update(source.read_at(start, 1 << 16))
        except EvidenceError:
            made.update(b"unreadable")
    return made.digest()


class _Pass:
    def __init__(self, source: ByteSource, sink: Sink, options: WriteOptions, budget: Budget, known: Sequence[tuple[int, int]]) -> None:
        unknown = [name for name in options.algorithms if name not in SUM_KINDS]
        if unknown or not options.algorithms:
            raise UsageError(f"no algorithm {', '.join(unknown) or 'given'}; there are {', '.join(SUM_KINDS)}")
        self.source, self.sink, self.options, self.budget = source, sink, options, budget
        self.known = joined([(s, min(n, source.size - s)) for s, n in known if s < source.size])
        self.states = {name: sum_begin(name) for name in dict.fromkeys(options.algorithms)}
        self.bad: list[tuple[int, int]] = []
        self.offset = 0
        self.plain: dict[str, bytearray] | None = None  # the sums before the padding
        self.free: list[bytearray] = []
        self.said: set[tuple[str, Span | None, str]] = set()
        self.held: tuple[int, dict[str, bytearray], int, Any, dict[str, bytearray]] | None = None
        # The sums of the source's own bytes, where the format fills in what was never read.
        self.own = {name: sum_begin(name) for name in self.states} if sink.fills and self.known else {}

    @property
    def padding(self) -> int:
        return -self.source.size % self.options.sector_size

    def read(self, offset: int) -> _Block:
        """One block, read and packed; any thread."""
        size = min(self.sink.block, self.source.size - offset)
        try:
            buffer = self.free.pop()
        except IndexError:
            buffer = bytearray(self.sink.block)
        view = memoryview(buffer)[:size]
        problems: list[tuple[int, int, EvidenceError]] = []
        try:
            self._fill(offset, view)
        except EvidenceError:
            problems = self._salvage(offset, view)
        own = self._filled(offset, view) if self.own else None
        whole = size + (self.padding if offset + size == self.source.size else 0)
        buffer[size:whole] = bytes(whole - size)
        view = memoryview(buffer)[:whole]
        return _Block(view, size, problems, self.sink.encode(view), own)

    def _filled(self, offset: int, view: memoryview) -> bytes | None:
        """Put the filler where the source says that it was never read; what stood there before, all of the block, or None."""
        touched = [(max(s, offset), min(s + n, offset + len(view))) for s, n in self.known if s < offset + len(view) and offset < s + n]
        own = bytes(view) if touched else None
        for low, high in touched:
            view[low - offset : high - offset] = self.sink.filler(low, high - low)
        return own

    def _fill(self, offset: int, view: memoryview) -> None:
        if (got := self.source.read_into(offset, view)) < len(view):
            raise Truncated("source", Span("", offset + got, len(view) - got), f"{got} of {len(view)} bytes")

    def _salvage(self, offset: int, view: memoryview) -> list[tuple[int, int, EvidenceError]]:
        """Grain by grain; what cannot be read is zero."""
        grain, done, bad = self.options.sector_size * self.options.error_granularity, 0, []
        while done < len(view):
            take = min(len(view) - done, grain - (offset + done) % grain)
            try:
                self._fill(offset + done, view[done : done + take])
            except EvidenceError as error:
                view[done : done + take] = self.sink.filler(offset + done, take)
                bad.append((offset + done, take, error))
            done += take
        return bad

    def take(self, block: _Block) -> None:
        """Hash and write one block; in order, on the caller's thread."""
        self.hold()
        names, states = tuple(self.states), tuple(self.states.values())
        sum_update(names, states, block.view[: block.size])
        if self.own:
            sum_update(tuple(self.own), tuple(self.own.values()), block.view[: block.size] if block.own is None else block.own)
        if len(block.view) > block.size:
            self.plain = {name: bytearray(state) for name, state in self.states.items()}
            sum_update(names, states, block.view[block.size :])
        for start, length, error in block.problems:
            if self.bad and self.bad[-1][0] + self.bad[-1][1] == start:
                self.bad[-1] = (self.bad[-1][0], self.bad[-1][1] + length)
            else:
                self.bad.append((start, length))
            key = (error.what, error.span, error.found)
            if key not in self.said:
                self.said.add(key)
                self.budget.report(error)
        self.sink.put(block.encoded, len(self.bad) + len(self.known))
        self.offset += block.size
        buffer = block.view.obj
        if isinstance(buffer, bytearray):
            self.free.append(buffer)

    def hold(self) -> None:
        """Remember where everything stands: what a failure falls back to."""
        states, own = ({n: bytearray(s) for n, s in sums.items()} for sums in (self.states, self.own))
        self.held = (self.offset, states, len(self.bad), self.sink.mark(), own)

    def print(self) -> str:
        """What must be the same for a job that goes on."""
        chosen = {f.name: repr(getattr(self.options, f.name)) for f in fields(self.options) if f.name != "facts"}
        body = [self.sink.name, self.sink.block, INFLATE, sorted(self.options.facts.items()), chosen, self.known]
        return hashlib.sha256(json.dumps(body).encode() + sample_of(self.source)).hexdigest()

    def save(self, path: str, print: str) -> None:
        """The state as of the last ``hold``."""
        if self.held is None:
            return
        offset, states, bad, mark, own = self.held
        body = {
            "format": _FORMAT, "version": _VERSION, "job": print, "offset": offset, "bad": self.bad[:bad],
            "states": {name: base64.b64encode(state).decode() for name, state in states.items()}, "sink": self.sink.state(mark),
            "own": {name: base64.b64encode(state).decode() for name, state in own.items()},
        }  # fmt: skip
        whole = json.dumps(body | {"check": _check(body)})
        with open(path + "~", "w", encoding="ascii") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + "~", path)

    def load(self, path: str, print: str) -> None:
        """Go on from the state there. UsageError when there is none, it is damaged or of another job."""
        try:
            with open(path, encoding="ascii") as file:
                body = json.load(file)
        except FileNotFoundError as error:
            raise UsageError(f"{path}: no such file; there is no stopped job to go on with") from error
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: not the state of a stopped job: {error}") from error
        if not isinstance(body, dict) or body.get("format") != _FORMAT or body.get("version") != _VERSION:
            raise UsageError(f"{path}: not the state of a stopped job, or of another version")
        if body.pop("check", None) != _check(body):
            raise UsageError(f"{path}: damaged, its check does not match")
        if body["job"] != print:
            raise UsageError(f"{path}: the state of another job: the source or the options are not the same")
        self.offset = body["offset"]
        self.bad = [(start, length) for start, length in body["bad"]]
        self.states = {name: bytearray(base64.b64decode(state)) for name, state in body["states"].items()}
        self.own = {name: bytearray(base64.b64decode(state)) for name, state in body["own"].items()}
        self.sink.restore(body["sink"])


def _check(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def run_pass(
    source: ByteSource,
    sink: Sink,
    options: WriteOptions,
    budget: Budget,
    *,
    state: str,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    known_bad: Sequence[tuple[int, int]] = (),
    resume: bool = False,
) -> Written:
    """Write all of ``source`` to ``sink``; the same bytes for any number of threads. See ``WriteCall``.

    ``state`` is the path of the state file. A call that ends in any error but UsageError leaves it there.
    """
    if threads < 1:
        raise UsageError(f"threads={threads}")
    job = _Pass(source, sink, options, budget, known_bad)
    print = job.print()
    if not resume and os.path.exists(state):
        raise UsageError(f"{state} is there: a job was stopped here; go on with it, or remove it and its set")
    try:
        if resume:
            job.load(state, print)
        else:
            sink.start()
        whole = False
        try:
            _run(job, threads, progress, lambda: job.save(state, print))
            if not job.padding:  # else the last block is done again: the sums without the zeros are not saved
                job.hold()
            made = _finished(job, state)
            whole = True
            return made
        finally:
            # Whatever went wrong, what was written is kept and can be gone on with.
            for keep in () if whole else (sink.flush, lambda: job.save(state, print)):
                with suppress(OSError):
                    keep()
    finally:
        sink.close()


def _run(job: _Pass, threads: int, progress: Callable[[int, int], None] | None, save: Callable[[], None]) -> None:
    size, block = job.source.size, job.sink.block
    saved, files = job.offset, len(job.sink.paths)
    job.hold()
    pool = ThreadPoolExecutor(threads, "write") if threads > 1 else None
    flying: deque[Future[_Block]] = deque()
    ahead = job.offset
    try:
        while job.offset < size:
            job.budget.check()
            if pool is None:
                made = job.read(job.offset)
            else:
                while ahead < size and len(flying) < 2 * threads + 2:
                    flying.append(pool.submit(job.read, ahead))
                    ahead += block
                made = flying.popleft().result()
            job.take(made)
            if progress is not None:
                progress(job.offset, size)
            if job.offset < size and (job.offset - saved >= CHECKPOINT or len(job.sink.paths) != files):
                job.hold()
                job.sink.flush()
                save()
                saved, files = job.offset, len(job.sink.paths)
    finally:
        if pool is not None:
            for future in flying:
                future.cancel()
            wait(flying)
            pool.shutdown()


def _finished(job: _Pass, state: str) -> Written:
    digests = {name: sum_finish(name, made).hex() for name, made in job.states.items()}
    before = job.plain or job.own
    plain = {name: sum_finish(name, made).hex() for name, made in before.items()} if before else digests
    bad = joined([*job.bad, *job.known])
    if job.padding:
        found = f"{job.padding} zeros were put behind the last of {job.source.size} bytes, up to a whole sector"
        job.budget.report(Finding.note(job.sink.name, found))
    job.sink.finish(digests, bad)
    job.sink.flush()
    with suppress(FileNotFoundError):
        os.unlink(state)
    return Written(tuple(job.sink.paths), job.source.size + job.padding, digests, plain, tuple(bad), job.padding)
