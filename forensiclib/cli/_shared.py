"""What every command uses: printing rows, the progress bar, pools, exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import wraps
from multiprocessing import active_children, forkserver, get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import Annotated, Any, NoReturn, cast

import typer

from forensiclib.api.opening import Engine
from forensiclib.api.run import Run, Shadows
from forensiclib.core.errors import Cancelled, EvidenceError, MissingSupport, SourceLost, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.text import escape
from forensiclib.images.remote import Traffic
from forensiclib.tables.jsonl import line

EvidenceArg = Annotated[list[str], typer.Argument(metavar="EVIDENCE", help="Image: the first segment is enough, or list them all.")]
OneEvidence = Annotated[str, typer.Argument(metavar="EVIDENCE", help="Image; the first segment of a set is enough.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, one object a row.")]
JobsOpt = Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Workers. The results are the same for any number.")]
EngineOpt = Annotated[str, typer.Option("--engine", metavar="NAME", help="native, or tsk (The Sleuth Kit) for a second opinion.")]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit with 4 when anything was reported.")]
WithOpt = Annotated[
    list[str] | None, typer.Option("--with", metavar="IMAGE", help="Another disk of the same array or volume group; may be repeated.")
]

NO_KEYS = Keys()
USAGE, UNREADABLE, CHECK_FAILED, CANCELLED = 2, 3, 4, 130
JOBS = ("verify", "recover", "carve", "convert", "examine")
"""Commands that are more than their output: when its reader goes away they were not finished."""


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every expected error as one line on standard error and its exit code."""

    @wraps(command)
    def call(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader (head, less) went away: nothing more can be said there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if command.__module__.rpartition(".")[2] in JOBS:
                _fail("the reader of the output went away before the job was done", CANCELLED)
        except (UsageError, MissingSupport) as error:
            _fail(str(error), USAGE)
        except (EvidenceError, SourceLost) as error:
            _fail(f"{type(error).__name__}: {error}", UNREADABLE)
        except BrokenExecutor:
            _fail("a worker process died (killed, or out of memory); --jobs 1 works without any", UNREADABLE)
        except OSError as error:
            _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", UNREADABLE)
        except (Cancelled, KeyboardInterrupt):
            _fail("cancelled", CANCELLED)

    return call


def _fail(message: str, code: int) -> NoReturn:
    print(f"forensiclib: {clean(message)}", file=sys.stderr)
    raise typer.Exit(code)


def engine_named(name: str) -> Engine:
    """The engine of that name; UsageError when there is none."""
    if name == "native":
        return "native"
    if name == "tsk":
        return "tsk"
    raise UsageError(f"no engine {name!r}; there are native, tsk")


def shadows_named(name: str) -> Shadows:
    """The shadow copies that jobs look into; UsageError for an unknown word."""
    if name in ("none", "kept", "deleted"):
        return cast(Shadows, name)
    raise UsageError(f"no shadow copies {name!r}; there are none, kept, deleted")


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
    """One result on standard output; an empty text is not printed."""
    if as_json or text:
        sys.stdout.write((line(row) if as_json else text) + "\n")


def traffic(cost: Traffic | None, as_json: bool) -> None:
    """What reading a remote image has cost; nothing for one that is not."""
    if cost is not None:
        row = cost.row()
        emit({"row": "traffic", **row}, "read from afar: " + ", ".join(f"{n.replace('_', ' ')} {v:,}" for n, v in row.items()), as_json)


def clean(text: object) -> str:
    """Evidence text for a terminal: nothing in it can move the cursor or hide."""
    return escape(str(text))


def _workers() -> BaseContext:
    """How processes begin: out of one that loads every room while this one does; where there is no such way, each anew."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["forensiclib.cli._preload"])
    forkserver.ensure_running()
    return context


@contextmanager
def running(jobs: int = 1, keys: Keys = NO_KEYS, strict: bool = False, shown: int | None = None, shadows: str = "none") -> Iterator[Run]:
    """A Run with a pool of ``jobs`` workers, a progress bar on a terminal's standard error, and the
    findings (at most ``shown``) printed at the end."""
    stop = _Stop()
    context = _workers() if jobs > 1 else None
    run = Run(threads=jobs, cancelled=stop, keys=keys, isolate=True, shadows=shadows_named(shadows))
    previous = signal.signal(signal.SIGINT, stop.handle)
    pool: Executor | None = None
    bar = _bar() if sys.stderr.isatty() else None
    try:
        if jobs > 1:
            run.executor = pool = ProcessPoolExecutor(
                jobs, mp_context=context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
            )
        if bar is not None:
            run.progress = bar.show
        yield run
    finally:
        if bar is not None:
            bar.close()
        if pool is not None:
            if stop.asked:
                for worker in active_children():  # a worker may be in the middle of a large file
                    worker.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
        signal.signal(signal.SIGINT, previous)
        report(run.findings[:shown], len(run.findings[len(run.findings) if shown is None else shown :]) + run.dropped)
    if strict and (run.findings or run.dropped):
        raise typer.Exit(CHECK_FAILED)


def report(findings: list[Finding], dropped: int = 0) -> None:
    """Findings on standard error, one line each."""
    for finding in findings:
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
