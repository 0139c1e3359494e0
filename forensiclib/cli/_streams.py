"""Standard streams that nothing can trip over."""

from __future__ import annotations

import os
import sys


def safe_streams() -> None:
    """Make them safe to write to: a closed one is the null device, so that no file of the job gets its number,
    and text that the terminal cannot show is escaped instead of ending the job."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace", newline="\n")
