"""Write raw media: one file, or numbered parts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from forensiclib.core.declare import ImageWriter
from forensiclib.core.errors import UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.writing import WriteOptions, Written
from forensiclib.images._writing import STATE, OutputFile, Sink, run_pass

__all__ = ["WRITER", "write_raw"]

BLOCK = 1 << 20
_NUMBERED = re.compile(r"(.*\.)(0*1)", re.DOTALL)


class _Parts(Sink):
    name = "raw"
    block = BLOCK

    def __init__(self, path: str, limit: int | None) -> None:
        self.path, self.limit = path, limit
        self.paths: list[str] = []
        self._file: OutputFile | None = None
        self._resumed = False

    def encode(self, data: memoryview) -> bytes:
        return bytes(data)

    def put(self, encoded: bytes, bad: int) -> None:
        view = memoryview(encoded)
        while view:
            assert self._file is not None
            room = len(view) if self.limit is None else self.limit - self._file.at
            if room == 0:
                self._file.flush()
                self._file.close()
                self._open(len(self.paths) + 1, None)
                continue
            self._file.write(view[:room])
            view = view[room:]

    def finish(self, digests: dict[str, str], bad: Sequence[tuple[int, int]]) -> None:
        """Nothing follows the media."""

    def start(self) -> None:
        self._open(1, None)

    def mark(self) -> tuple[int, int]:
        assert self._file is not None
        return len(self.paths), self._file.at

    def state(self, mark: tuple[int, int]) -> dict[str, Any]:
        return {"parts": mark[0], "at": mark[1]}

    def restore(self, state: dict[str, Any]) -> None:
        self.paths = [self._path(number) for number in range(1, state["parts"])]
        self._resumed = True
        try:
            self._open(state["parts"], state["at"])
        except FileNotFoundError as error:
            raise UsageError(f"{error.filename}: no such file; the set that was stopped is not whole") from error

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _path(self, number: int) -> str:
        if self.limit is None:
            return self.path
        match = _NUMBERED.fullmatch(self.path)
        stem, width = (match[1], len(match[2])) if match else (self.path + ".", 3)
        return f"{stem}{number:0{width}d}"

    def _open(self, number: int, go_on: int | None) -> None:
        # After a power cut a part may be there that the saved state does not know: it is replaced, and only when going on.
        self._file = OutputFile(self._path(number), go_on=go_on, ours=(lambda found: True) if self._resumed else None)
        self.paths.append(self._file.path)


def write_raw(
    source: ByteSource,
    path: str,
    options: WriteOptions,
    budget: Budget,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    known_bad: Sequence[tuple[int, int]] = (),
    resume: bool = False,
) -> Written:
    """The media and nothing else: one file, or with ``segment_size`` parts .001 .002 ...; see ``WriteCall``.

    Nothing is padded. What the header of another format would say (facts, times, identifier) is refused.
    """
    said = [name for name in ("facts", "acquired", "system", "sessions", "identifier") if getattr(options, name)]
    if said:
        raise UsageError(f"raw media have no place for {', '.join(said)}")
    if options.segment_size is not None and options.segment_size < 1 << 16:
        raise UsageError(f"parts of {options.segment_size} bytes; {1 << 16} are the least")
    if options.error_granularity < 1 or options.sector_size < 1:
        raise UsageError(f"error_granularity={options.error_granularity}, sector_size={options.sector_size}")
    grain = options.error_granularity * options.sector_size
    plain = replace(options, sector_size=1, error_granularity=grain, compression="none")
    sink = _Parts(path, options.segment_size)
    if os.path.isdir(path):
        raise UsageError(f"{path}: a directory")
    return run_pass(
        source, sink, plain, budget, state=path + STATE, threads=threads, progress=progress, known_bad=known_bad, resume=resume
    )  # fmt: skip


WRITER = ImageWriter(
    name="raw",
    title="Raw image (dd), whole or in numbered parts",
    refs=("the media's own bytes, no container",),
    gaps=(
        "neither digests, nor words about the case, nor what could not be read has a place in the file",
        "zeros are written, not left as holes",
    ),
    extensions=(".dd", ".raw", ".img", ".bin", ".001"),
    write=write_raw,
)
