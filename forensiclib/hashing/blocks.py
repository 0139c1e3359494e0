"""Digests of every block of a source, with entropy and a verdict on each, as columns."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal

from forensiclib import kernels
from forensiclib.core.batch import Batch, Column
from forensiclib.core.errors import EvidenceError, Unreadable, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.hashing.digest import GRAIN

__all__ = ["BLOCK_ALGORITHMS", "PIECE", "block_hashes", "block_rows"]

BLOCK_ALGORITHMS = {"md5": 16, "sha1": 20, "sha256": 32}
"""Name -> bytes of a digest."""
PIECE = 3 << 18
"""Bytes read and hashed at a time: a core's second cache holds them, and blocks of 512 bytes to 16 KiB fill the widest lanes."""
LANES = 16
"""Larger blocks are read so many at a time, as long as that is no more than WIDE bytes."""
WIDE = 16 << 20

_Problems = list[tuple[int, EvidenceError]]


@dataclass(frozen=True, slots=True)
class _Job:
    """What one piece needs to know; the same for all of them."""

    source: ByteSource
    size: int
    algorithm: str
    entropy: bool
    k_entropy: bool
    verdict: bool
    fill: bool
    zeros: bytes
    """As many as a piece has, and two grains."""
    spare: list[bytearray]
    """Buffers of that size that no piece uses now: taking memory anew costs as much as hashing into it."""

    def piece(self, start: int, n: int) -> tuple[Batch, _Problems]:
        """The rows of [start, start+n), and what could not be read."""
        if self._sparse(start, n):
            return self._batch(start, n, None, {}), []
        # Whole grains, whatever the sizes: so the same grains are unreadable for any size of pieces.
        low = start - start % GRAIN
        high = min(-(-(start + n) // GRAIN) * GRAIN, self.source.size)
        try:
            room = self.spare.pop()
        except IndexError:
            room = bytearray(len(self.zeros))
        with memoryview(room) as whole, whole[: high - low] as view:
            made = self._read(view, low, start, n)
        self.spare.append(room)
        return made

    def _read(self, buffer: memoryview, low: int, start: int, n: int) -> tuple[Batch, _Problems]:
        """Fill ``buffer`` with what begins at ``low``; the rows of [start, start+n) in it."""
        bad: dict[int, int] = {}
        problems: _Problems = []
        try:
            self._take(low, buffer)
        except EvidenceError:
            if not self.fill:
                raise
            problems = self._grains(low, buffer, start, n, bad)
        data = buffer[start - low : start - low + n]
        # Much of a disk is empty, and comparing takes a tenth of the time of hashing.
        empty = not bad and not buffer[0] and not buffer[-1] and self.zeros.startswith(buffer)
        return self._batch(start, n, None if empty else data, bad), problems

    def _take(self, offset: int, view: memoryview) -> None:
        """All of it: what an earlier piece left in the buffer is never hashed again."""
        if self.source.read_into(offset, view) != len(view):
            raise Unreadable("source", None, f"fewer bytes than its size promises, at {offset}")

    def _sparse(self, start: int, n: int) -> bool:
        """Whether the source knows that all of it is zero and nowhere."""
        try:
            spans = self.source.trace(start, n)
        except EvidenceError:
            return False
        return bool(spans) and all(not span.root and span.via == ("zero",) for span in spans) and sum(span.length for span in spans) == n

    def _grains(self, low: int, view: memoryview, start: int, n: int, bad: dict[int, int]) -> _Problems:
        """Read grain by grain; what cannot be read becomes zero and is counted for its blocks."""
        problems: _Problems = []
        for at in range(0, len(view), GRAIN):
            grain = view[at : at + GRAIN]
            try:
                self._take(low + at, grain)
            except EvidenceError as error:
                grain[:] = bytes(len(grain))
                problems.append((low + at, error))
                first, last = max(low + at, start), min(low + at + len(grain), start + n)
                while first < last:
                    block = (first - start) // self.size
                    take = min(last, start + (block + 1) * self.size) - first
                    bad[block] = bad.get(block, 0) + take
                    first += take
        return problems

    def _batch(self, start: int, n: int, data: memoryview | None, bad: dict[int, int]) -> Batch:
        """Columns of one piece; ``data`` None is all zero."""
        count, rest, width = -(-n // self.size), n % self.size, BLOCK_ALGORITHMS[self.algorithm]
        wanted = (self.entropy, self.k_entropy, self.verdict)
        if data is None:
            zeros = bytes(min(n, self.size))
            digests = kernels.block_digests(zeros, self.size, self.algorithm) * (n // self.size or 1)
            if rest and count > 1:
                digests += kernels.block_digests(zeros[:rest], self.size, self.algorithm)
            # No entropy, the first verdict, no period: all are zero too.
            measures = bytearray(8 * count), bytearray(2 * count), bytearray(count), bytearray(4 * count)
        else:
            digests = kernels.block_digests(data, self.size, self.algorithm)
            measures = bytearray(), bytearray(), bytearray(), bytearray()
            if any(wanted):
                measures = kernels.block_measures(data, self.size, *wanted)
        lengths = array("I", [self.size]) * count
        if rest:
            lengths[-1] = rest
        missing = array("I", bytes(4 * count))
        for block, bytes_ in bad.items():
            missing[block] = bytes_
        columns = [
            Column("offset", "int64", array("q", range(start, start + n, self.size))),
            Column("length", "uint32", lengths),
            Column("digest", "binary", digests, array("q", range(0, count * width + 1, width))),
            Column("unreadable", "uint32", missing),
        ]
        if self.entropy:
            columns.append(Column("entropy", "float64", measures[0]))
        if self.k_entropy:
            columns.append(Column("k_entropy", "uint16", measures[1]))
        if self.verdict:
            columns.append(Column("verdict", "enum", measures[2], categories=kernels.BLOCK_VERDICTS))
            columns.append(Column("period", "uint32", measures[3]))
        return Batch(count, tuple(columns), {"algorithm": self.algorithm, "block_size": str(self.size)})


def block_hashes(
    source: ByteSource,
    size: int = 4096,
    algorithm: str = "md5",
    *,
    budget: Budget,
    entropy: bool = False,
    k_entropy: bool = False,
    verdict: bool = True,
    executor: Executor | None = None,
    threads: int = 1,
    piece: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_bad: Literal["raise", "fill"] = "raise",
) -> Iterator[Batch]:
    """The digest of every block of ``source`` in order, as Batches of about ``piece`` bytes of it each (PIECE, more for large blocks).

    size        bytes of a block, a multiple of 64, at most 64 MiB; the last block may be shorter
    algorithm   one of BLOCK_ALGORITHMS
    threads     1 works on the caller's thread; more are taken from ``executor`` (threads, not processes), or from a pool that lives
                for this call. The rows are the same for any number of threads and any ``piece``.
    progress    called as (bytes done, bytes in all) on the caller's thread
    on_bad      "raise": the first unreadable range raises its EvidenceError behind the batches before it; "fill": unreadable grains
                of 4 KiB are hashed as zero, reported to ``budget`` and counted in ``unreadable``

    Columns: offset (bytes) and length of the block; digest; unreadable (bytes of it that were hashed as zero: such a digest is not that
    of the evidence); and where asked for: entropy (bits a byte), k_entropy (hashdb's), verdict and period (kernels.block_measures).

    Raises UsageError for what cannot be asked, Cancelled and LimitExceeded from ``budget``.
    """
    if algorithm not in BLOCK_ALGORITHMS:
        raise UsageError(f"no block digest {algorithm!r}; there are {', '.join(BLOCK_ALGORITHMS)}")
    if size < 64 or size % 64 or size > 1 << 26:
        raise UsageError(f"blocks of {size} bytes: a multiple of 64, 64 MiB at most")
    if piece is None:
        piece = max(PIECE, min(LANES * size, WIDE))
    if threads < 1 or piece < 1 or on_bad not in ("raise", "fill"):
        raise UsageError(f"threads={threads}, piece={piece}, on_bad={on_bad!r}")
    step = max(1, piece // size) * size
    zeros = bytes(min(step, source.size) + 2 * GRAIN)
    job = _Job(source, size, algorithm, entropy, k_entropy, verdict, on_bad == "fill", zeros, [])
    return _batches(job, step, budget, executor, threads, progress)


def _batches(
    job: _Job, step: int, budget: Budget, executor: Executor | None, threads: int, progress: Callable[[int, int], None] | None
) -> Iterator[Batch]:
    total, said = job.source.size, set[tuple[str, Span | None, str]]()
    budget.check()
    for batch, problems in _results(job, step, executor, threads):
        for _, error in problems:
            key = (error.what, error.span, error.found)
            if key not in said:
                said.add(key)
                budget.report(error)
        if progress is not None:
            last = len(batch) - 1
            progress(batch.column("offset").getter()(last) + batch.column("length").getter()(last), total)
        yield batch
        budget.check()


def _results(job: _Job, step: int, executor: Executor | None, threads: int) -> Iterator[tuple[Batch, _Problems]]:
    """Pieces in order; with threads, a bounded number of them ahead of the caller."""
    total = job.source.size
    pieces = ((start, min(step, total - start)) for start in range(0, total, step))
    if threads == 1 and executor is None:
        for start, n in pieces:
            yield job.piece(start, n)
        return
    pool = executor or ThreadPoolExecutor(threads, "blocks")
    ahead: deque[Future[tuple[Batch, _Problems]]] = deque()
    try:
        for start, n in pieces:
            ahead.append(pool.submit(job.piece, start, n))
            if len(ahead) >= 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        wait([future for future in ahead if not future.cancel()])
        if executor is None:
            pool.shutdown()


def block_rows(batches: Iterator[Batch]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each block as a row for JSON (digest in hex, ``period`` only where it repeats) and as a line of text."""
    for batch in batches:
        for row in batch.rows():
            row["digest"] = row["digest"].hex()
            period, missing = row.pop("period", 0), row["unreadable"]
            notes = [f"{period} bytes"] if period else []
            notes += [f"{missing} bytes unreadable"] if missing else []
            said = f" ({', '.join(notes)})" if notes else ""
            text = f"{row['offset']:>14}  {row['digest']}  {row.get('verdict', '')}{said}".rstrip()
            yield row | ({"period": period} if period else {}), text
