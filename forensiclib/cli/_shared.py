"""What every command uses: printing rows, the progress bar, pools, exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Annotated, Any

import typer

from forensiclib.api.run import Run
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.text import escape
from forensiclib.tables.jsonl import line

EvidenceArg = Annotated[list[str], typer.Argument(metavar="EVIDENCE...", help="Image: the first segment is enough, or list them all.")]
OneEvidence = Annotated[str, typer.Argument(metavar="EVIDENCE", help="Image; the first segment of a set is enough.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, one object a row.")]
JobsOpt = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Workers. The results are the same for any number.")]
EngineOpt = Annotated[str, typer.Option("--engine", help="native, or tsk (The Sleuth Kit) for a second opinion.")]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit with 4 when anything was reported.")]
PasswordOpt = Annotated[list[str] | None, typer.Option("--password", help="Try this on locked volumes; may be repeated.")]

CHECK_FAILED = 4


class _Stop:
    """Ctrl-C asks the job to stop; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def handle(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def emit(row: Mapping[str, Any], text: str, as_json: bool) -> None:
    """One result on standard output."""
    sys.stdout.write((line(row) if as_json else text) + "\n")


def clean(text: object) -> str:
    """Evidence text for a terminal: nothing in it can move the cursor or hide."""
    return escape(str(text))


@contextmanager
def running(jobs: int = 1, passwords: list[str] | None = None, strict: bool = False) -> Iterator[Run]:
    """A Run with a pool of ``jobs`` workers, a progress bar on a terminal's standard error, and the
    findings printed at the end."""
    stop = _Stop()
    previous = signal.signal(signal.SIGINT, stop.handle)
    pool: Executor | None = None
    bar = _bar() if sys.stderr.isatty() else None
    try:
        if jobs > 1:
            pool = ProcessPoolExecutor(
                jobs, mp_context=get_context("spawn"), initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
            )
        run = Run(executor=pool, threads=jobs, cancelled=stop, keys=Keys(passwords or ()), isolate=True)
        if bar is not None:
            run.progress = bar.show
        yield run
    finally:
        if bar is not None:
            bar.close()
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
        signal.signal(signal.SIGINT, previous)
    report(run.findings, run.dropped)
    if strict and (run.findings or run.dropped):
        raise typer.Exit(CHECK_FAILED)


def report(findings: list[Finding], dropped: int = 0) -> None:
    """Findings on standard error, one line each, the same line once."""
    for finding in dict.fromkeys(findings):
        where = f" [{finding.where}]" if finding.where else ""
        span = f" at {finding.span}" if finding.span else ""
        print(clean(f"{finding.kind}: {finding.what}{span}: {finding.found}{where}"), file=sys.stderr)
    if dropped:
        print(f"and {dropped} further findings", file=sys.stderr)


class _bar:
    """A rich progress bar that follows Run.progress."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}
        self._progress.start()

    def show(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[what] = self._progress.add_task(what)
        self._progress.update(self._tasks[what], completed=done, total=total or None)

    def close(self) -> None:
        self._progress.stop()


def default_jobs() -> int:
    """Cores of this machine."""
    return os.cpu_count() or 1
