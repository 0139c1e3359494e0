"""The case folder: plain files that other tools read, and an audit trail whose lines chain."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import forensiclib
from forensiclib import kernels
from forensiclib.core.entry import FILES_SCHEMA
from forensiclib.core.errors import UsageError
from forensiclib.tables.jsonl import line

__all__ = ["CARVED_SCHEMA", "FILES", "FINDINGS_SCHEMA", "Audit", "CaseFolder"]

FN_TIMES = tuple((f"fn_{t}", "timestamp") for t in ("modified", "accessed", "changed", "born"))
FILES: tuple[tuple[str, str], ...] = (
    ("volume", "utf8"), *FILES_SCHEMA, *FN_TIMES,
    ("md5", "utf8"), ("sha1", "utf8"), ("sha256", "utf8"), ("recovered", "utf8"), ("replaced", "int64"),
)  # fmt: skip
"""files.parquet. recovered: the file below recovered/ that holds the content of a deleted entry.
replaced: bytes of it that read as zero because another file owns them now."""
CARVED_SCHEMA: tuple[tuple[str, str], ...] = (
    ("volume", "utf8"), ("start", "int64"), ("length", "int64"), ("run_start", "list_int64"), ("run_length", "list_int64"),
    ("type", "utf8"), ("title", "utf8"), ("extension", "utf8"),
    ("confidence", "float64"), ("complete", "bool"), ("reason", "utf8"), ("md5", "utf8"), ("sha1", "utf8"), ("sha256", "utf8"),
    ("carved", "utf8"), ("same_as", "utf8"),
)  # fmt: skip
"""carved.parquet. start: byte offset in the image. run_start, run_length: the image ranges of the content, in its order;
more than one when the file system's own lists joined them. same_as: "VOLUME:/path" of the listed file with the same
content, or "carved/..." of an earlier find with it; such a find is not written again."""
FINDINGS_SCHEMA: tuple[tuple[str, str], ...] = (
    ("kind", "utf8"), ("what", "utf8"), ("found", "utf8"), ("where", "utf8"), ("room", "utf8"), ("root", "utf8"),
    ("start", "int64"), ("length", "int64"), ("via", "utf8"),
)  # fmt: skip


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
    """A new, empty folder and the paths in it. UsageError when something is there already: a case is
    never written over."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UsageError(f"{self.path}: exists and is not an empty folder; name a new one")
        self.artifacts, self.carved, self.recovered = (self.path / n for n in ("artifacts", "carved", "recovered"))
        for folder in (self.artifacts, self.carved, self.recovered):
            folder.mkdir(parents=True, exist_ok=True)
        self.audit = Audit(self.path / "audit.jsonl")

    def file(self, name: str) -> Path:
        """A path in the folder."""
        return self.path / name

    def json(self, name: str, value: Any) -> None:
        """Write a JSON file, indented, keys as given."""
        self.file(name).write_text(json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


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
