"""Run: everything that a job needs and that is nobody's global."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from forensiclib.catalog import Catalog, load
from forensiclib.core.errors import Cancelled
from forensiclib.core.finding import Finding, Ledger
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.record import Record

if TYPE_CHECKING:  # these modules need Run
    from forensiclib.api.carving import CarvedFile
    from forensiclib.api.opening import OpenImage
    from forensiclib.api.recovering import Recovered

__all__ = ["Progress", "Run", "Shadows"]

Progress = Callable[[str, int, int], None]
"""(what is going on, done, total), called on the caller's thread. total 0 is "not known"."""
Shadows = Literal["none", "kept", "deleted"]
T = TypeVar("T")
POLL = 0.2
"""Seconds between two looks at ``cancelled`` while a worker is busy."""


def _silent(what: str, done: int, total: int) -> None:
    """The default: nobody watches."""


@dataclass(slots=True)
class Run:
    """How a job runs: passed in, never global.

    executor   any concurrent.futures.Executor; None runs inline. Work units are picklable and
               reopen the image, so processes and threads both serve.
    threads    threads that digests and scans may start on their own; 1 starts none
    progress   see Progress;  cancelled   asked often; True raises Cancelled
    limits     bounds for every room;  keys   secrets for locked volumes
    shadows    "none", or which shadow copies jobs look into, at what is not the same on their volume now: "kept" are those that
               volumes have, "deleted" also what is left of others, for which whole volumes are read at opening
    isolate    run engines made of foreign C in a child process, so that a crash is a Finding
    findings, ledger   filled as the job goes
    """

    executor: Executor | None = None
    threads: int = 1
    progress: Progress = _silent
    cancelled: Callable[[], bool] | None = None
    limits: Limits = field(default_factory=Limits)
    keys: Keys = field(default_factory=Keys)
    isolate: bool = False
    shadows: Shadows = "none"
    catalog: Catalog = field(default_factory=load)
    findings: list[Finding] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    dropped: int = 0
    _told: set[Finding] = field(default_factory=set, repr=False)

    def report(self, finding: Finding) -> None:
        """Keep a finding, the same one once; beyond ``limits.findings`` they are counted in ``dropped``."""
        if finding in self._told:
            return
        if len(self.findings) < self.limits.findings:
            self._told.add(finding)
            self.findings.append(finding)
        else:
            self.dropped += 1

    def budget(self, room: str, where: str = "") -> Budget:
        """A fresh Budget whose findings land here, with ``where`` before what the room says of the place, and
        the room's name where it left it out."""

        def report(finding: Finding) -> None:
            place = f"{where}: {finding.where}" if where and finding.where and finding.where != where else finding.where or where
            self.report(replace(finding, where=place, room=finding.room or room))

        return Budget(self.limits, self.cancelled, report, room, self.keys, threads=self.threads, progress=self.progress)

    def check(self) -> None:
        """Raise Cancelled when the caller wants to stop."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("cancelled by the caller")

    def map(self, call: Callable[[Any], T], units: Iterable[Any], window: int = 64) -> Iterator[T]:
        """Results in submission order, at most ``window`` units in flight; inline without executor."""
        if self.executor is None:
            for unit in units:
                self.check()
                yield call(unit)
            return
        waiting = iter(units)
        flying = [self.executor.submit(call, unit) for unit in islice(waiting, window)]
        try:
            while flying:
                self.check()
                result = self._result(flying.pop(0))
                flying += [self.executor.submit(call, unit) for unit in islice(waiting, 1)]
                yield result
        finally:
            for future in flying:
                future.cancel()

    def _result(self, future: Future[T]) -> T:
        while self.cancelled is not None and not future.done():
            self.check()  # a unit may be one large file: the wish to stop does not wait for its end
            wait((future,), timeout=POLL)
        return future.result()

    def extract(self, image: OpenImage, *patterns: str, keys: Keys | None = None) -> Iterator[Record]:
        """Records of the extractors that the patterns name ("windows.*"; none is all); see
        forensiclib.api.extracting.extract."""
        from forensiclib.api.extracting import extract

        return extract(self, image, patterns, keys=keys)

    def recover(self, image: OpenImage, to: str, *, keys: Keys | None = None) -> Iterator[Recovered]:
        """Write deleted files; see forensiclib.api.recovering.recover."""
        from forensiclib.api.recovering import recover

        return recover(self, image, to, keys=keys)

    def carve(self, image: OpenImage, to: str | None = None, *, everything: bool = False, keys: Keys | None = None) -> Iterator[CarvedFile]:
        """Files by their own structure; see forensiclib.api.carving.carve."""
        from forensiclib.api.carving import carve

        return carve(self, image, to=to, everything=everything, keys=keys)
