"""File trees that an image brings itself: logical evidence, where the media are the contents of files."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.core.entry import Entry, FileSystem
from forensiclib.core.errors import Unreadable, UsageError
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span

__all__ = ["RepeatSource", "TreeFileSystem", "shown"]


def shown(name: str) -> str:
    """A name as a part of a path: what would cut it in two is shown as U+2215 (the name itself keeps it)."""
    return name.replace("/", "\u2215")


class RepeatSource(ByteSource):
    """``size`` times the one byte at ``offset`` of ``base``."""

    __slots__ = ("_base", "_offset", "size")

    def __init__(self, base: ByteSource, offset: int, size: int) -> None:
        self._base, self._offset, self.size = base, offset, size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        if n and not (byte := self._base.read_at(self._offset, 1)):
            raise Unreadable("extent", None, f"{self._offset:#x} lies past the end of the media ({self._base.size:#x})")
        if n:
            memoryview(buffer)[:n] = byte * n
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        if clip(offset, n, self.size) == 0:
            return ()
        return tuple(Span(s.root, s.start, s.length, (*s.via, "repeat"), False) for s in self._base.trace(self._offset, 1))


class TreeFileSystem(FileSystem):
    """Entries that were read when the image was opened, in the order of the evidence. Nothing is unallocated in it."""

    case_sensitive = False

    def __init__(self, format: str, entries: list[Entry], label: str = "") -> None:
        self.format, self.label, self._entries = format, label, tuple(entries)
        self._paths: dict[str, int] = {}
        self._folded: dict[str, int] = {}
        self._ids: dict[int, int] = {}
        for i, entry in enumerate(entries):
            self._ids.setdefault(entry.id, i)
            if entry.state == "allocated":
                self._paths.setdefault(entry.path, i)
                self._folded.setdefault(entry.path.casefold(), i)

    def walk(self, deleted: bool = True) -> Iterator[Entry]:
        return (entry for entry in self._entries if deleted or entry.state == "allocated")

    def get(self, path: str) -> Entry:
        path = path.strip("/")
        found = self._paths.get(path, self._folded.get(path.casefold()))
        if found is None:
            raise UsageError(f"{path}: no such entry")
        return self._entries[found]

    def entry(self, id: int, sequence: int | None = None) -> Entry:
        if id not in self._ids or sequence not in (None, 0):
            raise UsageError(f"no entry {id}")
        return self._entries[self._ids[id]]

    def unallocated(self) -> tuple[tuple[int, int], ...]:
        return ()
