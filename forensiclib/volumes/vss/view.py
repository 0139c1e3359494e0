"""A volume as it was: every byte out of the store that kept it, or from where it always was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from forensiclib.core.entry import Shadow
from forensiclib.core.errors import Unreadable
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.formats import vss as f
from forensiclib.volumes.vss.runs import KEPT, LOST, MOVED, Runs
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
WINDOW = 256 << 20
"""Bytes of a copy whose pieces are held at once."""


class ShadowSource(ByteSource, Shadow):
    """The volume at the time of ``chain[0]``; ``chain`` goes on with every younger copy, the youngest last.

    Blocks that are not part of the copy read as on Windows: as the volume has them, or, where the catalog says that Windows
    shows zeros there, not at all (Unreadable). ``trace`` marks both (NOT_KEPT).
    """

    __slots__ = ("_base", "_chain", "_changed", "_foreign", "_kept", "_written", "size")

    def __init__(self, base: ByteSource, chain: Sequence[Store], size: int) -> None:
        self._base, self._chain, self.size = base, tuple(chain), size
        self._changed: Ranges | None = None
        self._foreign: Ranges | None = None
        self._written: Runs | None = None
        self._kept: Runs | None = None

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, read = memoryview(buffer), self._base.read_into
        done = start = held = 0
        for what, at, length in self._found(offset, offset + n) if n else ():
            if what >= NOTHING:
                raise Unreadable("shadow copy", None, self._why(what))
            if held and at == start + held:
                held += length
                continue
            if held and read(start, view[done : done + held]) < held:
                raise Unreadable("shadow copy", None, self._why(PAST))
            done, start, held = done + held, at, length
        if held and read(start, view[done : done + held]) < held:
            raise Unreadable("shadow copy", None, self._why(PAST))
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
        begin, position = -1, 0
        for base in range(0, self.size, WINDOW):
            for what, at, length in self._found(base, min(base + WINDOW, self.size)):
                if not wanted(what, at != position):
                    if begin >= 0:
                        out.append((begin, position - begin))
                    begin = -1
                elif begin < 0:
                    begin = position
                position += length
        if begin >= 0:
            out.append((begin, position - begin))
        return tuple(out)

    def _why(self, what: int) -> str:
        name = self._chain[0].snapshot.name
        if what == NOTHING:
            return f"{name}: blocks that are not part of it, which Windows shows as zeros"
        return f"{name}: blocks whose content is lost" if what == GONE else f"{name}: blocks past the end of the volume"

    def _pieces(self, offset: int, n: int) -> list[Piece]:
        """Neighbours on the volume joined into one, what is behind its end told apart."""
        out: list[Piece] = []
        end = self._base.size
        for what, at, length in self._found(offset, offset + n):
            past = 0 if what >= NOTHING else max(0, min(length, at + length - end))
            if length > past:
                if out and out[-1][0] == what and out[-1][1] + out[-1][2] == at:
                    out[-1] = (what, out[-1][1], out[-1][2] + length)
                else:
                    out.append((what, at, length - past))
            if past:
                out.append((PAST, 0, past))
        return out

    def _found(self, start: int, end: int) -> list[Piece]:
        """[start, end) as the first copy of the chain has it, in order."""
        written, kept = self._written, self._kept
        if written is None or kept is None:
            written, kept = self._written, self._kept = self._chain[0].written, self._chain[0].kept
        out: list[Piece] = []
        for low, high, target, kind in written.cut(start, end) if len(written) else [(start, end, 0, -1)]:
            if kind >= 0:
                out.append((GONE if kind == LOST else STORED, target, high - low))
                continue
            for a, b, place, how in kept.cut(low, high):
                if how == KEPT:
                    out.append((STORED, place, b - a))
                elif how == LOST:
                    out.append((GONE, place, b - a))
                elif how == MOVED:
                    out += self._younger(place, place + b - a)
                else:
                    out += self._elsewhere(a, b)
        return out

    def _elsewhere(self, start: int, end: int) -> Iterator[Piece]:
        """What the copy's own store has nothing of, and whether it is part of the copy."""
        later = NOTHING if self._chain[0].snapshot.flags & f.ZERO_UNUSED else LATER
        for low, high, _, kind in self._chain[0].inside.cut(start, end):
            for what, at, length in self._younger(low, high):
                yield what if kind >= 0 or what == GONE else LATER if what == STORED else later, at, length

    def _younger(self, start: int, end: int) -> list[Piece]:
        """The range as the next younger copy has it, in order."""
        if len(self._chain) == 1:
            return [(SAME, start, end - start)]
        out: list[Piece] = []
        todo = [(-1, 1, start, end)]
        while todo:
            what, level, low, high = todo.pop()
            if what >= 0 or level == len(self._chain):
                out.append((what if what >= 0 else SAME, low, high - low))
                continue
            found = []
            for a, b, place, kind in self._chain[level].kept.cut(low, high):
                at, size = (a if kind < 0 else place), b - a
                found.append((-1 if kind in (-1, MOVED) else GONE if kind == LOST else STORED, level + 1, at, at + size))
            todo += reversed(found)
        return out
