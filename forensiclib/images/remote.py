"""Evidence from afar: an object behind any address that fsspec knows, as a source.

Blocks are cached in bounded memory, neighbours that are missing come in one request, reading in order reads ahead. The object's version is
pinned when it is opened: bytes of another version are never handed out. Credentials of an address are kept apart from its text.

Options of a protocol (keys, endpoints, headers) come from fsspec's own configuration: ``FSSPEC_S3_ENDPOINT_URL`` and the like in the
environment, JSON files in ``~/.config/fsspec``, ``fsspec.config.conf`` in the process. They are not copied into anything.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from forensiclib.core.errors import Cancelled, SourceLost, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.images._carriers import Carrier, Trouble, Version, carrier

__all__ = ["Line", "RemotePath", "RemoteSource", "Traffic", "is_url", "located"]

T = TypeVar("T")
BLOCK = 64 << 10
"""Bytes of one block of the cache. Listing the NTFS volume of benchmarks/bench_remote.py in an E01 set read, of the set, with blocks of
32, 64, 128 and 256 KiB, 2.7, 3.7, 5.8 and 9.6 % in 452, 384, 348 and 318 requests."""
MEMORY = 64 << 20
"""Bytes of blocks that one image holds, all of its segments together."""
REQUEST = 4 << 20
"""The longest range of one request, and how far reading in order reads ahead."""
WINDOW = 16 << 20
"""Of a long read, what is fetched at once, in ranges of REQUEST side by side."""
SIDE_BY_SIDE = 8
"""Requests of one read that are under way at a time."""
STREAMS = 16
"""Places that are read in order at the same time and remembered."""
ATTEMPTS = 6
PATIENCE = 60.0
"""Seconds after which a range is not asked for again; ATTEMPTS bounds the number."""
TIMEOUT = 60.0
"""Seconds for the answer to one request."""
TIMEOUT_DOWN = 5.0
"""The same once the server was given up."""
POLL = 0.2
"""Seconds between two looks at ``cancelled``."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://", re.ASCII)
_WITH_QUERY = ("http", "https", "s3", "s3a")
"""Protocols where "?" ends the path."""


def is_url(path: str) -> bool:
    """Whether this is an address and no path of this machine (a drive has one letter)."""
    return _URL.match(path) is not None


@dataclass(slots=True)
class Traffic:
    """What reading has cost. requests   ranges asked for, tries again among them;  bytes   that came;  retries   tries again
    seconds   spent on requests, side by side added up;  hits   blocks that the cache had"""

    requests: int = 0
    bytes: int = 0
    retries: int = 0
    seconds: float = 0.0
    hits: int = 0

    def row(self) -> dict[str, Any]:
        """Flat form with stable names."""
        return {
            "requests": self.requests, "bytes": self.bytes, "retries": self.retries, "seconds": round(self.seconds, 3),
            "cache_hits": self.hits,
        }  # fmt: skip


class RemotePath(str):
    """An address without what is secret in it: its text has neither user and password nor the query, ``url`` has all. ``line`` is shared
    by the files of one image. Paths made from its text by cutting and joining lose the secrets; ``beside`` makes one that keeps them."""

    line: Line
    _secret: tuple[str, str]

    def __new__(cls, text: str, secret: tuple[str, str], line: Line) -> RemotePath:
        made = super().__new__(cls, text)
        made._secret, made.line = secret, line
        return made

    @classmethod
    def of(cls, url: str, line: Line | None = None) -> RemotePath:
        """The path of an address as the user writes it. UsageError for addresses inside of addresses."""
        if isinstance(url, cls):
            return url
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()
        if "::" in url:
            raise UsageError(f"{scheme}: an address inside another (::) has no ranges of its own; name the outer object")
        query = ""
        if scheme in _WITH_QUERY:
            rest = rest.partition("#")[0] if scheme.startswith("http") else rest
            rest, mark, asked = rest.partition("?")
            query = mark + asked
        user, at, host = rest.partition("/")[0].rpartition("@")
        text = f"{scheme}://{rest[len(user) + len(at) :]}"
        if not host or text.endswith("/") or (scheme.startswith("http") and "/" not in rest):
            raise UsageError(f"{scheme}: the address names no file")
        return cls(text, (user + at, query), line or Line())

    @property
    def scheme(self) -> str:
        """The protocol."""
        return self.partition("://")[0]

    @property
    def name(self) -> str:
        """The last part: the root of its spans, and what messages say."""
        return self.rpartition("/")[2]

    @property
    def url(self) -> str:
        """The whole address, secrets included: for the library below and for nobody else."""
        scheme, _, rest = self.partition("://")
        return f"{scheme}://{self._secret[0]}{rest}{self._secret[1]}"

    def beside(self, text: str) -> RemotePath:
        """Another file, reached as this one is: the whole text of its address."""
        return RemotePath(text, self._secret, self.line)

    def named(self, name: str) -> RemotePath:
        """A file of that name in the same folder; nothing in the name leads elsewhere."""
        return self.beside(self.rpartition("/")[0] + "/" + (quote(name, safe="") if self.scheme.startswith("http") else name))

    def __eq__(self, other: object) -> bool:
        return self.url == other.url if isinstance(other, RemotePath) else False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[type[RemotePath], tuple[str, tuple[str, str], Line]]:
        return RemotePath, (str(self), self._secret, self.line)


def located(paths: Sequence[str]) -> list[str]:
    """The paths with addresses made RemotePaths of one Line; file:// becomes a path of this machine."""
    line = next((path.line for path in paths if isinstance(path, RemotePath)), None)
    out: list[str] = []
    for path in paths:
        if isinstance(path, RemotePath) or not is_url(path):
            out.append(path)
        elif path[:7].lower() in ("file://", "local:/"):
            out.append(url2pathname(urlsplit(path).path))
        else:
            made = RemotePath.of(path, line)
            line = made.line
            out.append(made)
    return out


class Line:
    """What the files of one remote image share: options, pinned versions, the cache and its bound, counters. Pickled it keeps the options
    and the pins, so that another process reads the same versions or nothing.

    cancelled   asked while requests are under way; True raises Cancelled
    notes       (file, what an examiner must know of it)
    """

    def __init__(self, options: Mapping[str, Any] | None = None, memory: int = MEMORY, pins: Mapping[str, Version] | None = None) -> None:
        self._options, self.memory = dict(options or {}), memory
        self._pins: dict[str, Version] = dict(pins or {})
        self.cancelled: Callable[[], bool] | None = None
        self.traffic, self.notes = Traffic(), dict[str, str]()
        self._sources: dict[str, RemoteSource] = {}
        self._absent, self._denied = set[str](), set[str]()
        self._down = False
        self._lock, self._opening = threading.Lock(), threading.RLock()
        self._held: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._coming: dict[tuple[int, int], Future[bytes]] = {}

    def __reduce__(self) -> tuple[type[Line], tuple[dict[str, Any], int, dict[str, Version]]]:
        return Line, (self._options, self.memory, self._pins)

    def __repr__(self) -> str:
        return f"<Line of {len(self._sources)} files>"

    def source(self, path: RemotePath) -> RemoteSource:
        """The file at the path, the same at every call. UsageError when it is not there, SourceLost when it cannot be had."""
        with self._opening:
            url = path.url
            if url not in self._sources:
                if url in self._absent:
                    raise UsageError(f"no such file: {path.name}")
                self._sources[url] = RemoteSource(path)
            return self._sources[url]

    def exists(self, path: RemotePath) -> bool:
        """Whether the file is there. One that the server refuses is a note, and counts as not there: some say so of what does not exist."""
        with self._opening:
            try:
                self.source(path)
            except UsageError:
                if path.url not in self._absent:
                    raise
            except SourceLost as error:
                if path.url not in self._denied:
                    raise
                self._absent.add(path.url)
                self.notes[path.name] = f"{error.found}; taken as not there"
            return path.url not in self._absent

    def names(self, path: RemotePath) -> list[str] | None:
        """Names of the files beside ``path``, sorted; None where the protocol lists no folders."""
        end = self.source(path).carrier
        if not end.listable:
            return None
        folder = end.path.rpartition("/")[0]
        try:
            return sorted(str(found).rstrip("/").rpartition("/")[2] for found in end.fs.ls(folder, detail=False))
        except (OSError, NotImplementedError):
            return None

    def facts(self) -> dict[str, str]:
        """Where the first file came from and what holds it still."""
        source = next(iter(self._sources.values()), None)
        if source is None:
            return {}
        return {"remote": source.path.scheme, "remote_version": str(source.version), "remote_pinned_by": source.carrier.pin}

    def findings(self) -> list[Finding]:
        """The notes, for a report."""
        return [Finding.note("remote file", words, where=name) for name, words in self.notes.items()]

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on fsspec's loop; Cancelled as soon as the caller wishes."""
        from fsspec.asyn import get_loop

        future = asyncio.run_coroutine_threadsafe(job, get_loop())
        try:
            while not future.done():
                if self.cancelled is not None and self.cancelled():
                    raise Cancelled("cancelled while waiting for a remote file")
                wait((future,), timeout=POLL)
            return future.result()
        finally:
            future.cancel()

    async def insist(self, ask: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """One answer, asked for again while the trouble is of the kind that passes: waits double from a quarter second, with jitter. When
        a range was given up, the next are asked once and shortly until one is answered: who fills damage with zeros asks for each grain."""
        began = time.monotonic()
        for attempt in count(1):
            started, trouble = time.monotonic(), None
            self.traffic.requests += 1
            try:
                async with asyncio.timeout(TIMEOUT_DOWN if self._down else TIMEOUT):
                    data = await ask()
                self.traffic.bytes += len(data)
                self._down = False
                return data
            except TimeoutError:
                trouble = Trouble("weather", "no answer in time")
            except Trouble as error:
                trouble = error
            finally:
                self.traffic.seconds += time.monotonic() - started
            pause = max(trouble.wait, min(8.0, 0.25 * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))
            if trouble.kind != "weather":
                raise trouble
            if self._down or attempt == ATTEMPTS or time.monotonic() + pause - began > PATIENCE:
                self._down = True
                raise Trouble("weather", f"{trouble.words}; asked {attempt} times in {time.monotonic() - began:.1f} s")
            self.traffic.retries += 1
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def keep(self, key: tuple[int, int], data: bytes) -> None:
        """Into the cache; the lock is held."""
        self._bytes += len(data) - len(self._held.pop(key, b""))
        self._held[key] = data
        while self._bytes > self.memory and len(self._held) > 1:
            self._bytes -= len(self._held.popitem(last=False)[1])


def _error(trouble: Trouble, path: RemotePath, start: int = 0, length: int = 0) -> Exception:
    if trouble.kind == "missing" and not length:
        return UsageError(f"no such file: {path.name}")
    return SourceLost("remote file", Span(path.name, start, length), trouble.words)


@dataclass(slots=True)
class _Wanted:
    """Blocks of one read: in hand, to be fetched by this thread, under way for another."""

    have: dict[int, bytes] = field(default_factory=dict)
    mine: list[int] = field(default_factory=list)
    theirs: dict[int, Future[bytes]] = field(default_factory=dict)


class RemoteSource(ByteSource):
    """An object behind an address, read in blocks as they are wanted. Any thread may read.

    url        the address, or a RemotePath;  options   for fsspec's file system of the protocol, never shown
    root       the name its spans carry: the last part of the address
    version    what was pinned;  traffic   what reading has cost, all files of one image together

    UsageError when nothing is there; SourceLost for a server without ranges, one that gives other bytes than asked, and an object that
    changed since. Weather (lost connections, timeouts, 429, 5xx) is asked again ATTEMPTS times within PATIENCE.
    """

    __slots__ = ("__weakref__", "_ahead", "_lost", "_number", "carrier", "line", "path", "root", "size", "version")

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None) -> None:
        self.path = RemotePath.of(url, Line(options) if options and not isinstance(url, RemotePath) else None)
        self.line, self.root = self.path.line, self.path.name
        self.carrier: Carrier = carrier(self.path.url, self.line._options)
        self._ahead: OrderedDict[int, int] = OrderedDict()
        self._lost: Trouble | None = None
        self._number = id(self)
        pinned = self.line._pins.get(self.path.url)
        failed = None
        try:
            data = self.line.run(self.line.insist(lambda: self.carrier.open(BLOCK, pinned)))
        except Trouble as trouble:
            if trouble.kind in ("denied", "missing"):
                (self.line._denied if trouble.kind == "denied" else self.line._absent).add(self.path.url)
            failed = _error(trouble, self.path)
        if failed is not None:
            raise failed
        self.version, self.size = self.carrier.version, self.carrier.version.size
        self.line._pins[self.path.url] = self.version
        self.line._sources.setdefault(self.path.url, self)
        if not self.version.marked:
            self.line.notes[self.root] = "the server states no version (ETag, VersionId, time): only a change of size would be noticed"
        if data:
            with self.line._lock:
                self.line.keep((self._number, 0), data)

    @property
    def traffic(self) -> Traffic:
        """The counters of its Line."""
        return self.line.traffic

    def __reduce__(self) -> tuple[Callable[[RemotePath], RemoteSource], tuple[RemotePath]]:
        return _reopened, (self.path,)

    def __repr__(self) -> str:
        return f"RemoteSource({self.root}, {self.version})"

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span(self.root, offset, n),) if n else ()

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer)[:n], 0
        while done < n:
            at = offset + done
            take = min(n - done, WINDOW - at % WINDOW)
            first = at // BLOCK
            for number, block in enumerate(self._blocks(first, -(-(at + take) // BLOCK)), first):
                low = max(0, at - number * BLOCK)
                piece = memoryview(block)[low : at + take - number * BLOCK]
                view[done : done + len(piece)] = piece
                done += len(piece)
                at += len(piece)
                take -= len(piece)
        return n

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """A hint: these (start, length) will be read. What is missing comes in few requests side by side, at most half of the memory.
        What fails is left to the reading to say."""
        wanted: set[int] = set()
        room = self.line.memory // 2 // BLOCK
        for start, length in ranges:
            if n := clip(start, length, self.size):
                wanted.update(range(start // BLOCK, min(-(-(start + n) // BLOCK), start // BLOCK + room - len(wanted))))
            if len(wanted) >= room:
                break
        wanted |= {n + 1 for n in wanted if n + 2 in wanted}  # a hole of one block costs less than another request
        try:
            self._gather(self._claim(sorted(wanted)))
        except SourceLost:
            return

    def _blocks(self, first: int, stop: int) -> list[bytes]:
        wanted = self._claim(range(first, stop), first)
        self._gather(wanted)
        return [wanted.have[i] for i in range(first, stop)]

    def _claim(self, blocks: Iterable[int], first: int = -1) -> _Wanted:
        """Which of the blocks are here and which have to come; those are now this thread's to bring. With ``first`` it is one read, which
        may be part of a stream and then takes more behind it."""
        line, out = self.line, _Wanted()
        with line._lock:
            last = first
            for last in blocks:
                self._one(last, out)
            if first >= 0:
                for ahead in range(last + 1, min(last + 1 + self._follow(first, last + 1, out), -(-self.size // BLOCK))):
                    key = self._number, ahead
                    if key in line._held or key in line._coming:
                        break
                    self._one(ahead, out)
            line.traffic.hits += len(out.have)
        return out

    def _one(self, block: int, out: _Wanted) -> None:
        key = self._number, block
        if (data := self.line._held.get(key)) is not None:
            self.line._held.move_to_end(key)
            out.have[block] = data
        elif (coming := self.line._coming.get(key)) is not None:
            out.theirs[block] = coming
        else:
            self.line._coming[key] = Future()
            out.mine.append(block)

    def _follow(self, first: int, stop: int, out: _Wanted) -> int:
        """Blocks to read ahead of ``stop``: none at a new place; where the last read of a stream ended, twice as many as the last time."""
        width = self._ahead.pop(first, None)
        if width is None:
            width = self._ahead.pop(first + 1, None)
        missing = bool(out.mine) and out.mine[-1] == stop - 1
        grown = 0 if width is None else width if not missing else min(max(1, 2 * width), REQUEST // BLOCK - 1)
        self._ahead[stop] = grown
        while len(self._ahead) > STREAMS:
            self._ahead.popitem(last=False)
        return grown if missing else 0

    def _gather(self, wanted: _Wanted) -> None:
        """Bring what is this thread's, then wait for what others bring."""
        if wanted.mine:
            self._bring(wanted)
        for block, coming in wanted.theirs.items():
            while not wait((coming,), timeout=POLL).done:
                if self.line.cancelled is not None and self.line.cancelled():
                    raise Cancelled("cancelled while waiting for a remote file")
            failed = coming.exception()
            if isinstance(failed, SourceLost):
                raise type(failed)(failed.what, failed.span, failed.found)  # each thread its own
            wanted.have[block] = coming.result()

    def _bring(self, wanted: _Wanted) -> None:
        line, runs = self.line, list[tuple[int, int]]()
        for block in wanted.mine:
            start, end = block * BLOCK, min((block + 1) * BLOCK, self.size)
            if runs and runs[-1][1] == start and end - runs[-1][0] <= REQUEST:
                runs[-1] = runs[-1][0], end
            else:
                runs.append((start, end))
        failed: BaseException = Cancelled("the thread that was reading this ended")
        try:
            got = line.run(self._ranges(runs)) if self._lost is None else [self._lost] * len(runs)
            for (start, end), data in zip(runs, got):
                if isinstance(data, Trouble):
                    failed = _error(data, self.path, start, end - start)
                    self._lost = data if data.kind == "changed" else self._lost
                    continue
                for at in range(start, end, BLOCK):
                    wanted.have[at // BLOCK] = data[at - start : at - start + BLOCK]
        except Cancelled as error:
            failed = error
        finally:
            with line._lock:
                for block in wanted.mine:
                    coming = line._coming.pop((self._number, block))
                    if block in wanted.have:
                        line.keep((self._number, block), wanted.have[block])
                        coming.set_result(wanted.have[block])
                    else:
                        coming.set_exception(failed)
        if any(block not in wanted.have for block in wanted.mine):
            raise failed

    async def _ranges(self, runs: Sequence[tuple[int, int]]) -> list[bytes | Trouble]:
        gate = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(start: int, end: int) -> bytes | Trouble:
            async with gate:
                try:
                    return await self.line.insist(lambda: self.carrier.get(start, end))
                except Trouble as trouble:
                    return trouble

        return list(await asyncio.gather(*(one(start, end) for start, end in runs)))


def _reopened(path: RemotePath) -> RemoteSource:
    return path.line.source(path)
