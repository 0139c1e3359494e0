"""A volume as it was: every byte out of the store that kept it, or from where it always was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from forensiclib.core.entry import Shadow
from forensiclib.core.errors import Unreadable
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.formats import vss as f
from forensiclib.volumes.vss.runs import LOST, MOVED
from forensiclib.volumes.vss.store import Store

__all__ = ["NOT_KEPT", "UNPROVEN", "ShadowSource"]

NOT_KEPT, UNPROVEN = "not kept", "unproven"
"""In the ``via`` of spans: bytes that are not part of the copy; bytes that are the volume's own because no list that is left
says otherwise."""
STORED, SAME, LATER, NOTHING, GONE, PAST = range(6)
"""Of a piece: in a store; as on the volume; not part of the copy, so of a later time; likewise, and not to be given; in a store, but
where is not known; behind the end of the volume."""
Piece = tuple[int, int, int]
"""(what, offset on the volume, length)"""
Ranges = tuple[tuple[int, int], ...]


class ShadowSource(ByteSource, Shadow):
    """The volume at the time of ``chain[0]``; ``chain`` goes on with every younger copy, the youngest last.

    Blocks that are not part of the copy read as on Windows: as the volume has them, or, where the catalog says that Windows
    shows zeros there, not at all (Unreadable). ``trace`` marks both (NOT_KEPT).
    """

    __slots__ = ("_base", "_chain", "_changed", "_foreign", "size")

    def __init__(self, base: ByteSource, chain: Sequence[Store], size: int) -> None:
        self._base, self._chain, self.size = base, tuple(chain), size
        self._changed: Ranges | None = None
        self._foreign: Ranges | None = None

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        for what, at, length in self._pieces(offset, n) if n else ():
            if what >= NOTHING:
                raise Unreadable("shadow copy", None, self._why(what))
            self._base.read_into(at, view[done : done + length])
            done += length
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        complete = n == 0 or all(store.complete for store in self._chain)
        out: list[Span] = []
        for what, at, length in self._pieces(offset, n) if n else ():
            if what >= NOTHING:
                out.append(Span("", 0, length, (NOT_KEPT if what == NOTHING else "missing",), False))
                continue
            mark = NOT_KEPT if what == LATER else UNPROVEN if what == SAME and not complete else ""
            spans = self._base.trace(at, length)
            out += (Span(s.root, s.start, s.length, (*s.via, mark), s.exact) for s in spans) if mark else spans
        return merge(out)

    def changed(self) -> Ranges:
        if self._changed is None:
            self._changed = self._ranges(lambda what, moved: moved and what < NOTHING)
        return self._changed

    def foreign(self) -> Ranges:
        if self._foreign is None:
            self._foreign = self._ranges(lambda what, moved: what in (LATER, NOTHING))
        return self._foreign

    def _ranges(self, wanted: Callable[[int, bool], bool]) -> Ranges:
        out: list[tuple[int, int]] = []
        position = 0
        for what, at, length in self._found(0, self.size):
            if wanted(what, at != position):
                if out and sum(out[-1]) == position:
                    out[-1] = (out[-1][0], out[-1][1] + length)
                else:
                    out.append((position, length))
            position += length
        return tuple(out)

    def _why(self, what: int) -> str:
        name = self._chain[0].snapshot.name
        if what == NOTHING:
            return f"{name}: blocks that are not part of it, which Windows shows as zeros"
        return f"{name}: blocks whose content is lost" if what == GONE else f"{name}: blocks past the end of the volume"

    def _pieces(self, offset: int, n: int) -> Iterator[Piece]:
        """Neighbours on the volume joined into one, what is behind its end told apart."""
        last: Piece | None = None
        for piece in self._inside(self._found(offset, n)):
            if last is not None and last[0] == piece[0] and last[1] + last[2] == piece[1]:
                last = (last[0], last[1], last[2] + piece[2])
                continue
            if last is not None:
                yield last
            last = piece
        if last is not None:
            yield last

    def _inside(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        end = self._base.size
        for what, at, length in pieces:
            if what >= NOTHING or at + length <= end:
                yield what, at, length
                continue
            if at < end:
                yield what, at, end - at
            yield PAST, 0, min(length, at + length - end)

    def _found(self, offset: int, n: int) -> Iterator[Piece]:
        own = self._chain[0]
        zero = own.snapshot.flags & f.ZERO_UNUSED
        for start, end, target, kind in own.written.cut(offset, offset + n):
            if kind >= 0:
                yield GONE if kind == LOST else STORED, target, end - start
                continue
            for low, high, place, how in own.kept.cut(start, end):
                if how == MOVED:
                    yield from self._younger(place, place + high - low)
                elif how >= 0:
                    yield GONE if how == LOST else STORED, place, high - low
                else:
                    for a, b, _, part in own.inside.cut(low, high):
                        for piece in self._younger(a, b):
                            if part >= 0:
                                yield piece
                            elif piece[0] != SAME:
                                yield LATER if piece[0] == STORED else piece[0], *piece[1:]
                            else:
                                yield NOTHING if zero else LATER, *piece[1:]

    def _younger(self, start: int, end: int) -> Iterator[Piece]:
        """The range as the next younger copy has it, in order."""
        todo = [(-1, 1, start, end)]
        while todo:
            what, level, low, high = todo.pop()
            if what >= 0 or level == len(self._chain):
                yield what if what >= 0 else SAME, low, high - low
                continue
            found = []
            for a, b, place, kind in self._chain[level].kept.cut(low, high):
                at, size = (a if kind < 0 else place), b - a
                found.append((-1 if kind in (-1, MOVED) else GONE if kind == LOST else STORED, level + 1, at, at + size))
            todo += reversed(found)
