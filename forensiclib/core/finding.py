"""A problem as a row of output, and the ledger of what was and was not examined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.errors import EvidenceError
from forensiclib.core.span import Span

__all__ = ["Finding", "Ledger", "LedgerLine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an examiner must know: damage, a contradiction, a thing left out.

    kind    the error's class name ("Corrupt"), or "Note" for what is odd but not damage
    what    the structure; found   what was there; where   the layer or path in words
    room    the declaration that reported it
    """

    kind: str
    what: str
    found: str = ""
    where: str = ""
    room: str = ""
    span: Span | None = None

    @classmethod
    def of(cls, error: EvidenceError, where: str = "", room: str = "") -> Finding:
        """The finding that an error becomes."""
        return cls(type(error).__name__, error.what, error.found, where, room, error.span)

    @classmethod
    def note(cls, what: str, found: str = "", where: str = "", span: Span | None = None) -> Finding:
        """Odd, legal, and worth an examiner's look."""
        return cls("Note", what, found, where, "", span)

    def row(self) -> dict[str, Any]:
        """Flat form with stable names, for JSON lines and tables."""
        span = self.span
        return {
            "kind": self.kind,
            "what": self.what,
            "found": self.found,
            "where": self.where,
            "room": self.room,
            "root": span.root if span else None,
            "start": span.start if span else None,
            "length": span.length if span else None,
            "via": "+".join(span.via) if span else None,
        }


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One range or object and whether it was examined. ``reason`` is empty when it was."""

    what: str
    examined: bool
    size: int
    reason: str = ""
    where: str = ""


@dataclass(slots=True)
class Ledger:
    """What was and was not examined, in bytes. Empty output means empty evidence only if
    nothing here says ``examined=False``."""

    lines: list[LedgerLine] = field(default_factory=list)

    def examined(self, what: str, size: int, where: str = "") -> None:
        """Say that ``size`` bytes of ``what`` were read and interpreted."""
        self.lines.append(LedgerLine(what, True, size, "", where))

    def skipped(self, what: str, size: int, reason: str, where: str = "") -> None:
        """Say that ``size`` bytes were not, and why. A reason is not optional."""
        if not reason:
            raise ValueError("a skipped range needs a reason")
        self.lines.append(LedgerLine(what, False, size, reason, where))

    def __iter__(self) -> Iterator[LedgerLine]:
        return iter(self.lines)

    def rows(self) -> list[dict[str, Any]]:
        """Flat form with stable names."""
        return [{"what": li.what, "where": li.where, "examined": li.examined, "bytes": li.size, "reason": li.reason} for li in self.lines]
