"""One page of numbers that bound every parser, and the Budget that counts them down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from forensiclib.core.errors import Cancelled, EvidenceError, LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.span import Span

__all__ = ["Budget", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound, each with its reason. All are per room call unless they say otherwise."""

    items: int = 200_000_000
    """Records out of one room. The largest real $MFT seen has 60 million records."""
    allocation: int = 256 << 20
    """Bytes taken at once because the evidence said so. The largest legitimate single structure
    (an EWF chunk table for a 64 TiB disk in one segment) stays below; a kiosk has 4 GiB."""
    derivation: int = 1 << 30
    """Memory of one derivation of a key (Argon2), which the header states and only a key from the caller starts: what
    cryptsetup asks for by default on a machine with 2 GiB or more."""
    output: int = 64 << 40
    """Bytes produced by decompression in one call: no disk in a lab is larger."""
    ratio: int = 1100
    """Output/input of one decompression. Deflate cannot exceed 1032:1."""
    depth: int = 512
    """Nested levels (directories, keys, containers). Windows stops at 512 registry levels."""
    chain: int = 64_000_000
    """Links in one chain (clusters, sections, cells) before it counts as a loop."""
    name: int = 32_767
    """UTF-16 units in one name or path: the longest that Windows accepts."""
    seconds: float | None = None
    """Wall time for the call; None is no limit."""
    findings: int = 100_000
    """Findings kept one by one; further ones are counted, and the count is itself a finding."""


def _silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(slots=True)
class Budget:
    """What is left of the Limits, the cancel check, the place where damage is reported, and the secrets for containers.

    One Budget serves one call of one room on one thread. ``threads``: how many the room may start for what takes seconds;
    ``progress(what, done, total)`` is told on the caller's.
    """

    limits: Limits = field(default_factory=Limits)
    cancelled: Callable[[], bool] | None = None
    report_to: Callable[[Finding], None] | None = None
    room: str = ""
    keys: Keys = field(default_factory=Keys, repr=False)
    findings: list[Finding] = field(default_factory=list)
    dropped: int = 0
    threads: int = 1
    progress: Callable[[str, int, int], None] = _silent
    _items: int = 0
    _output: int = 0
    _depth: int = 0
    _deadline: float | None = None

    def __post_init__(self) -> None:
        if self.limits.seconds is not None:
            self._deadline = time.monotonic() + self.limits.seconds

    def check(self) -> None:
        """Raise Cancelled or LimitExceeded(time) when it is time to stop; call it in every loop."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(self.room or "cancelled")
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise LimitExceeded("time", None, f"more than {self.limits.seconds} s")

    def item(self, count: int = 1) -> None:
        """Count records; checks cancel and time every 1,024 of them."""
        before = self._items
        self._items += count
        if self._items > self.limits.items:
            raise LimitExceeded("records", None, f"more than {self.limits.items}")
        if before >> 10 != self._items >> 10:
            self.check()

    def allocate(self, what: str, size: int, span: Span | None = None) -> int:
        """Check a length that the evidence stated before memory is taken for it; returns it."""
        if size < 0 or size > self.limits.allocation:
            raise LimitExceeded(what, span, f"{size} bytes asked, {self.limits.allocation} allowed")
        return size

    def produce(self, what: str, made: int, taken: int, span: Span | None = None) -> None:
        """Count decompressed output against the ratio and the total."""
        self._output += made
        if self._output > self.limits.output:
            raise LimitExceeded(what, span, f"more than {self.limits.output} bytes produced")
        if made > 65_536 and made > taken * self.limits.ratio:
            raise LimitExceeded(what, span, f"{taken} bytes grew to {made}")

    def enter(self, what: str, span: Span | None = None) -> None:
        """Go one level deeper; pair with leave()."""
        if self._depth >= self.limits.depth:
            raise LimitExceeded(what, span, f"deeper than {self.limits.depth} levels")
        self._depth += 1

    def leave(self) -> None:
        """Come back one level."""
        self._depth -= 1

    def report(self, problem: EvidenceError | Finding, where: str = "") -> None:
        """Keep a problem as a Finding; iteration goes on after it."""
        finding = problem if isinstance(problem, Finding) else Finding.of(problem, where=where, room=self.room)
        if self.report_to is not None:
            self.report_to(finding)
        elif len(self.findings) < self.limits.findings:
            self.findings.append(finding)
        else:
            self.dropped += 1
