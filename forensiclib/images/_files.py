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
from forensiclib.images.remote import RemotePath, RemoteSource, is_url, located

__all__ = [
    "FilePool", "PooledFile", "beside", "contained", "ends", "exists", "expand", "identity", "is_file", "named", "names_beside",
    "open_file", "size",
]  # fmt: skip

CONTAINERS = (SIGNATURE, SIGNATURE_L01, SIGNATURE_EX01, SIGNATURE_LX01, SIGNATURE_ADCRYPT)

OPEN_FILES = 64
"""Descriptors that one image holds: a set has up to 14,295 segments, a process often 1,024."""


def expand(paths: Sequence[str]) -> list[str]:
    """The caller's paths with glob patterns resolved (sorted), doubles dropped, addresses made RemotePaths (a pattern in one is its text).

    UsageError for no path at all and for a pattern that matches nothing.
    """
    out: list[str] = []
    for path in located(list(map(os.fspath, paths))):
        if is_url(path) or os.path.exists(path) or not glob.has_magic(path):
            out.append(path)
            continue
        found = sorted(glob.glob(path))
        if not found:
            raise UsageError(f"no file matches {path}")
        out += found
    if not out:
        raise UsageError("no path was given")
    return list(dict.fromkeys(out))


def exists(path: str) -> bool:
    """Whether there is a file or folder at the path."""
    return path.line.exists(path) if isinstance(path, RemotePath) else os.path.exists(path)


def is_file(path: str) -> bool:
    """Whether there is a file at the path."""
    return path.line.exists(path) if isinstance(path, RemotePath) else os.path.isfile(path)


def size(path: str) -> int:
    """Bytes of the file."""
    return path.line.source(path).size if isinstance(path, RemotePath) else os.path.getsize(path)


def ends(path: str, head: int, tail: int) -> tuple[bytes, bytes]:
    """The first ``head`` and the last ``tail`` bytes of the file or device."""
    file = open_file(path)
    return file.read_at(0, head), file.read_at(max(0, file.size - tail), tail)


def beside(path: str, text: str) -> str:
    """``text``, made from the text of ``path``, reached as ``path`` is: an address keeps what gives access."""
    return path.beside(text) if isinstance(path, RemotePath) else text


def named(path: str, name: str) -> str:
    """The file of that name in the folder of ``path``."""
    return path.named(name) if isinstance(path, RemotePath) else os.path.join(os.path.dirname(path), name)


def names_beside(path: str) -> list[str] | None:
    """Names in the folder of ``path``, sorted; None where folders cannot be listed (http)."""
    return path.line.names(path) if isinstance(path, RemotePath) else sorted(os.listdir(os.path.dirname(path) or "."))


def identity(path: str) -> str:
    """What two paths of the same file have in common."""
    return path if isinstance(path, RemotePath) else os.path.realpath(path)


def open_file(path: str) -> FileSource | RemoteSource:
    """A source whose failures are ours: UsageError for no file, Unreadable for one that the
    system does not give."""
    if isinstance(path, RemotePath):
        return path.line.source(path)
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
        self._open: OrderedDict[str, FileSource | RemoteSource] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    def get(self, path: str) -> FileSource | RemoteSource:
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
                if isinstance(held, FileSource):
                    held.close()
            self._open.clear()


class PooledFile(ByteSource):
    """One file of a pool as a source; its size is that of the moment when it was first opened."""

    __slots__ = ("_get", "path", "root", "size")

    def __init__(self, pool: FilePool, path: str) -> None:
        self._get: Callable[[str], FileSource | RemoteSource] = pool.get
        self.path, self.root = path, os.path.basename(path)
        self.size = pool.get(path).size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        return self._get(self.path).read_into(offset, memoryview(buffer)[:n]) if n else 0

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        return self._get(self.path).read_at(offset, n) if n else b""

    @property
    def distant(self) -> bool:
        """Whether hints help."""
        return isinstance(self.path, RemotePath)

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        if self.distant:
            self._get(self.path).prefetch(ranges)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span(self.root, offset, n),) if n else ()


def contained(file: ByteSource) -> bool:
    """Whether the content is a segment of an EWF set, whatever the name says: such a file is never raw."""
    return file.read_at(0, 8) in CONTAINERS
