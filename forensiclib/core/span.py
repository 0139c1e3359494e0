"""Where a value lives: byte ranges of an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Span", "merge", "total"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """``length`` bytes from ``start`` of ``root``.

    root    the image's name; offsets count in its media (what the sector numbers of other tools
            count in), not in its segment files. "" where no byte of any image backs the range.
    via     the transforms between those bytes and the value, outermost first: "lznt1", "zero" ...
    exact   False when the value came out of a transform, so that the range holds the value but
            is not the value byte for byte.
    """

    root: str
    start: int
    length: int
    via: tuple[str, ...] = ()
    exact: bool = True

    @property
    def end(self) -> int:
        """First offset after the range."""
        return self.start + self.length

    def through(self, transform: str) -> Span:
        """The same range, seen through one more transform."""
        return Span(self.root, self.start, self.length, (*self.via, transform), False)

    def __str__(self) -> str:
        via = f" via {'+'.join(self.via)}" if self.via else ""
        return f"{self.root or '(no bytes)'}[{self.start:#x}+{self.length:#x}]{via}"


def zeros(length: int) -> Span:
    """A range that reads as zero and that no byte of the image backs (sparse, past valid data)."""
    return Span("", 0, length, ("zero",), False)


def merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Join neighbours that continue each other; order is kept, lengths add up to the same."""
    out: list[Span] = []
    for span in spans:
        if span.length == 0:
            continue
        if out:
            last = out[-1]
            if last.root == span.root and last.via == span.via and last.exact == span.exact:
                if not span.root:
                    out[-1] = Span("", 0, last.length + span.length, last.via, last.exact)
                    continue
                if span.exact and last.end == span.start:
                    out[-1] = Span(last.root, last.start, last.length + span.length, last.via)
                    continue
                if not span.exact and last == span:
                    continue
        out.append(span)
    return tuple(out)


def total(spans: Iterable[Span]) -> int:
    """Sum of the lengths."""
    return sum(span.length for span in spans)
