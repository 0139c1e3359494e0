"""Feature files as bulk_extractor writes them: one for each kind of text, and how often each value was found."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from forensiclib.api.searching import Found
from forensiclib.core.errors import UsageError
from forensiclib.search.histogram import Histogram

__all__ = ["FeatureFiles"]

_LEVELS = {"email group": "email_domain", "url group": "url_services", "url search": "url_searches"}
_FILES = 500


class FeatureFiles:
    """NAME.txt (path, feature, context: columns between tabs) and NAME_histogram.txt in ``folder``; a context manager.

    The path counts from the start of the image, through what was decoded (4096-GZIP-56); a hit in a name or in bytes of no image
    has the path of its stream. What is no printable text stands as \\ooo, a backslash as \\134.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> FeatureFiles:
        self.folder.mkdir()
        return self

    def add(self, found: Found) -> None:
        """Take one."""
        hit = found.hit
        out = self._file(_name(hit.name if hit.kind == "pattern" else "find"))
        place = found.forensic_path or _plain(f"{found.where} {hit.offset}")
        out.write(f"{place}\t{_plain(hit.normal or hit.value)}\t{_plain(hit.before + hit.value + hit.after)}\n")

    def counted(self, histogram: Histogram) -> None:
        """Write the histograms."""
        for count in histogram.rows():
            name = _LEVELS.get(f"{count.term} {count.level}", count.term if count.level == "value" else f"{count.term}_{count.level}")
            self._file(f"{_name(name)}_histogram").write(f"n={count.count}\t{_plain(count.value)}\n")

    def _file(self, name: str) -> TextIO:
        if name not in self._files:
            if len(self._files) >= _FILES:
                raise UsageError(f"more than {_FILES} kinds of features; write hits to a file instead")
            out = self._stack.enter_context((self.folder / f"{name}.txt").open("w", encoding="utf-8", newline="\n"))
            out.write("# UTF-8; path, feature and context between tabs\n" if not name.endswith("_histogram") else "# UTF-8\n")
            self._files[name] = out
        return self._files[name]

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:60]


def _plain(text: str) -> str:
    text = text.replace("\\", "\\134")
    return "".join(c if c.isprintable() else "".join(f"\\{b:03o}" for b in c.encode("utf-8", "surrogatepass")) for c in text)
