"""Files behind an image: named by the caller, opened once, a bounded number of them at a time."""

from __future__ import annotations

import glob
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from forensiclib.core.errors import Unreadable, UsageError
from forensiclib.core.source import ByteSource, FileSource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.formats.ewf import SIGNATURE, SIGNATURE_ADCRYPT, SIGNATURE_EX01, SIGNATURE_L01, SIGNATURE_LX01

__all__ = ["FilePool", "PooledFile", "contained", "expand", "open_file"]

CONTAINERS = (SIGNATURE, SIGNATURE_L01, SIGNATURE_EX01, SIGNATURE_LX01, SIGNATURE_ADCRYPT)

OPEN_FILES = 64
"""Descriptors that one image holds: a set has up to 14,295 segments, a process often 1,024."""


def expand(paths: Sequence[str]) -> list[str]:
    """The caller's paths with glob patterns resolved (sorted) and doubles dropped.

    UsageError for no path at all and for a pattern that matches nothing.
    """
    out: list[str] = []
    for path in map(os.fspath, paths):
        if os.path.exists(path) or not glob.has_magic(path):
            out.append(path)
            continue
        found = sorted(glob.glob(path))
        if not found:
            raise UsageError(f"no file matches {path}")
        out += found
    if not out:
        raise UsageError("no path was given")
    return list(dict.fromkeys(out))


def open_file(path: str) -> FileSource:
    """A FileSource whose failures are ours: UsageError for no file, Unreadable for one that the
    system does not give."""
    if os.path.isdir(path):
        raise UsageError(f"{path} is a directory")
    try:
        return FileSource(path)
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {path}") from error
    except OSError as error:
        raise Unreadable("file", Span(os.path.basename(path), 0, 0), error.strerror or str(error)) from error


class FilePool:
    """Opens files on demand and keeps the ``keep`` latest. Thread-safe: a reader holds its own
    reference, so a file that leaves the pool closes when its last read is over."""

    def __init__(self, keep: int = OPEN_FILES) -> None:
        self._keep = keep
        self._open: OrderedDict[str, FileSource] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    def get(self, path: str) -> FileSource:
        """The open file at ``path``."""
        with self._lock:
            if (held := self._open.get(path)) is not None:
                self._open.move_to_end(path)
                return held
            if self._closed:
                raise Unreadable("file", Span(os.path.basename(path), 0, 0), "the image was closed")
            made = self._open[path] = open_file(path)
            while len(self._open) > self._keep:
                self._open.popitem(last=False)
            return made

    def close(self) -> None:
        """Close what is open; later reads raise Unreadable."""
        with self._lock:
            self._closed = True
            for held in self._open.values():
                held.close()
            self._open.clear()


class PooledFile(ByteSource):
    """One file of a pool as a source; its size is that of the moment when it was first opened."""

    __slots__ = ("_get", "path", "root", "size")

    def __init__(self, pool: FilePool, path: str) -> None:
        self._get: Callable[[str], FileSource] = pool.get
        self.path, self.root = path, os.path.basename(path)
        self.size = pool.get(path).size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        return self._get(self.path).read_into(offset, memoryview(buffer)[:n]) if n else 0

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        return self._get(self.path).read_at(offset, n) if n else b""

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span(self.root, offset, n),) if n else ()


def contained(file: ByteSource) -> bool:
    """Whether the content is a segment of an EWF set, whatever the name says: such a file is never raw."""
    return file.read_at(0, 8) in CONTAINERS
