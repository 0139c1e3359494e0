"""Errors, cut by whose fault they are: the caller's, the host's, or the evidence's."""

from __future__ import annotations

from forensiclib.core.span import Span

__all__ = [
    "Cancelled",
    "Corrupt",
    "EvidenceError",
    "ForensicError",
    "LimitExceeded",
    "Locked",
    "MissingSupport",
    "NotThisFormat",
    "SourceLost",
    "Truncated",
    "Unreadable",
    "Unsupported",
    "UsageError",
]


class ForensicError(Exception):
    """Base of every error that forensiclib raises on purpose."""


class UsageError(ForensicError, ValueError):
    """The caller's fault: a wrong argument, an unknown name, a combination that makes no sense."""


class Cancelled(ForensicError):
    """The caller's wish: the cancel check of a Budget said yes."""


class MissingSupport(ForensicError, ImportError):
    """An optional dependency is absent; the message says what to install."""


class SourceLost(ForensicError):
    """No fault of the evidence: where it is read from does not give it, or has another object there now. It ends the job: were
    it damage, what a network could not bring would be read as zeros.

    ``what`` names the source, ``span`` what was asked for, ``found`` what happened.
    """

    def __init__(self, what: str, span: Span | None = None, found: str = "") -> None:
        super().__init__(what, span, found)
        self.what, self.span, self.found = what, span, found

    def __str__(self) -> str:
        return f"{self.what}{f' at {self.span}' if self.span is not None else ''}: {self.found}"


class EvidenceError(ForensicError):
    """The bytes' fault.

    ``what`` names the structure ("EWF chunk table"), ``span`` where it lies (None when no bytes
    can be named), ``found`` what was there instead of what was expected.
    """

    def __init__(self, what: str, span: Span | None = None, found: str = "") -> None:
        super().__init__(what, span, found)
        self.what = what
        self.span = span
        self.found = found

    def __str__(self) -> str:
        where = f" at {self.span}" if self.span is not None else ""
        found = f": {self.found}" if self.found else ""
        return f"{self.what}{where}{found}"


class NotThisFormat(EvidenceError):
    """The signature or the first invariants of the format are absent."""


class Truncated(EvidenceError):
    """The structure continues past the end of what is there."""


class Corrupt(EvidenceError):
    """The bytes contradict themselves or a checksum stored with them."""


class Unsupported(EvidenceError):
    """Well-formed, but a variant that this version does not read."""


class Unreadable(EvidenceError):
    """The medium or the acquisition says that these bytes could not be read."""


class Locked(EvidenceError):
    """Encrypted, and no key that was given opens it."""


class LimitExceeded(EvidenceError):
    """Reading on would cross a bound in Limits; ``found`` says which and by how much."""
