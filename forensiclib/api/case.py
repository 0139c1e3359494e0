"""The case folder: plain files that other tools read, and an audit trail whose lines chain.

case.json is written last, in one step: a folder without it is a job that did not finish, and the last line of its
audit trail says why.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import forensiclib
from forensiclib import kernels
from forensiclib.core.entry import FILES_SCHEMA
from forensiclib.core.errors import MissingSupport, UsageError
from forensiclib.tables.jsonl import dumps, line

__all__ = ["CARVED_SCHEMA", "FILES", "FINDINGS_SCHEMA", "Audit", "CaseFolder", "new_file", "new_folder", "require_extra"]

FN_TIMES = tuple((f"fn_{t}", "timestamp") for t in ("modified", "accessed", "changed", "born"))
FILES: tuple[tuple[str, str], ...] = (
    ("volume", "utf8"), *FILES_SCHEMA, *FN_TIMES,
    ("md5", "utf8"), ("sha1", "utf8"), ("sha256", "utf8"), ("recovered", "utf8"), ("replaced", "int64"),
    ("unreadable", "int64"),
)  # fmt: skip
"""files.parquet. recovered: the file below recovered/ that holds the content of a deleted entry.
replaced: bytes of it that read as zero because another file owns them now; unreadable: bytes that read as zero
because the image cannot give them. Digests are of the content with those zeros."""
CARVED_SCHEMA: tuple[tuple[str, str], ...] = (
    ("volume", "utf8"), ("start", "int64"), ("length", "int64"), ("run_start", "list_int64"), ("run_length", "list_int64"),
    ("type", "utf8"), ("title", "utf8"), ("extension", "utf8"),
    ("confidence", "float64"), ("complete", "bool"), ("reason", "utf8"), ("md5", "utf8"), ("sha1", "utf8"), ("sha256", "utf8"),
    ("carved", "utf8"), ("same_as", "utf8"),
)  # fmt: skip
"""carved.parquet. start: byte offset in the image. run_start, run_length: the image ranges of the content, in its order;
more than one when the file system's own lists joined them; without what a rebuilt film has of elsewhere, which ``reason`` names.
same_as: "VOLUME:/path" of the listed file with the same content, or "carved/..." of an earlier find with it; such a find is not
written again."""
FINDINGS_SCHEMA: tuple[tuple[str, str], ...] = (
    ("kind", "utf8"), ("what", "utf8"), ("found", "utf8"), ("where", "utf8"), ("room", "utf8"), ("root", "utf8"),
    ("start", "int64"), ("length", "int64"), ("via", "utf8"),
)  # fmt: skip


def new_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made when it is not there. UsageError when something is in it already: results are never
    mixed with other files, and least of all written over evidence."""
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: exists and is not an empty folder; name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_file(path: str | os.PathLike[str]) -> TextIO:
    """A text file opened for writing; UsageError when it exists: nothing is ever written over."""
    try:
        return Path(path).open("x", encoding="utf-8", newline="\n")
    except FileExistsError as error:
        raise UsageError(f"{os.fspath(path)}: exists; name a new file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{os.fspath(path)}: its folder does not exist") from error


def require_extra() -> None:
    """MissingSupport before the work when the tables and the report cannot be written after it."""
    missing = [name for name in ("pyarrow", "nanoarrow", "duckdb", "jinja2", "PIL") if find_spec(name) is None]
    if missing:
        raise MissingSupport(f"a case folder needs {', '.join(missing)}: pip install 'forensiclib[cli]'")


class Audit:
    """audit.jsonl: what was done when; each line carries the SHA-256 of the line before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = "0" * 64
        self._count = 0
        path.write_bytes(b"")

    def __call__(self, event: str, **details: Any) -> None:
        """Append one line and flush it to disk."""
        self._count += 1
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        text = line({"n": self._count, "time": now, "event": event, **details, "previous": self._last})
        self._last = hashlib.sha256(text.encode()).hexdigest()
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())


class CaseFolder:
    """A new, empty folder and the paths in it; see new_folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = new_folder(path)
        self.artifacts, self.carved, self.recovered = (self.path / n for n in ("artifacts", "carved", "recovered"))
        for folder in (self.artifacts, self.carved, self.recovered):
            folder.mkdir(parents=True, exist_ok=True)
        self.audit = Audit(self.path / "audit.jsonl")

    def file(self, name: str) -> Path:
        """A path in the folder."""
        return self.path / name

    def json(self, name: str, value: Any) -> None:
        """Write a JSON file, indented, keys as given; it is there whole or not at all."""
        unfinished = self.file(name + ".unfinished")
        unfinished.write_text(dumps(value, indent=1, default=str) + "\n", encoding="utf-8", newline="\n")
        unfinished.replace(self.file(name))


def environment() -> dict[str, str]:
    """What computed the results: versions and kernels."""
    return {
        "forensiclib": forensiclib.__version__,
        "kernels": kernels.WHICH,
        "inflate": kernels.INFLATE,
        "python": platform.python_version(),
        "platform": sys.platform,
        "machine": platform.machine(),
    }
