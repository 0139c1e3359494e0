"""What the search command reads and writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from forensiclib.api.case import new_folder
from forensiclib.api.run import Run
from forensiclib.api.searching import HISTOGRAM_SCHEMA, HITS_SCHEMA, Found, patterns_named
from forensiclib.cli._shared import clean, emit
from forensiclib.core.errors import UsageError
from forensiclib.search.encodings import STANDARD, UNICODE
from forensiclib.search.histogram import Histogram
from forensiclib.search.logic import Condition, parse
from forensiclib.search.query import Query
from forensiclib.search.yara import compile_rules
from forensiclib.tables.rows import ENDINGS, RowFile

TOP = 20
"""Values of each term that a terminal is shown."""


def _listed(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _lines(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; convert it, for example with iconv") from error
    return [line for line in text.splitlines() if line.strip()]


def query_of(
    run: Run, terms: Sequence[str], words: Sequence[str], condition: str, regex: bool, patterns: Sequence[str], yara: Sequence[str],
    encodings: str, form: str,
) -> tuple[Query, Condition | None]:  # fmt: skip
    """The query that the options mean."""
    wanted = parse(condition) if condition else None
    every = tuple(dict.fromkeys([*(wanted.terms if wanted else ()), *terms, *(line for path in words for line in _lines(path))]))
    if not every and not patterns and not yara:
        raise UsageError("nothing to search for: give a TERM, --words, --condition, --patterns or --yara")
    if form not in ("none", "canonical", "compatibility"):
        raise UsageError(f"no form {form!r}; there are canonical, compatibility, none")
    named = tuple(n for e in _listed([encodings]) for n in (UNICODE if e == "unicode" else (e,))) or STANDARD
    rules = compile_rules({Path(p).stem: Path(p).read_text(encoding="utf-8", errors="replace") for p in yara}) if yara else b""
    chosen = patterns_named(run, _listed(patterns)) if patterns else ()
    query = Query(
        words=() if regex else every, expressions=every if regex else (), patterns=chosen, rules=rules, encodings=named,
        form=cast(Any, form),
    )  # fmt: skip
    return query, wanted


class Output:
    """Where hits go: the terminal, or files."""

    def __init__(self, to: str, histogram: bool, json: bool) -> None:
        self.to, self.histogram, self.json = to, histogram, json
        self.counts, self.count = Histogram(), 0
        self.stack = ExitStack()
        self.rows: RowFile | None = None
        self.values = ""

    def __enter__(self) -> Output:
        if self.to and self.to.endswith(ENDINGS):
            stem, ending = os.path.splitext(self.to)
            self.rows = self.stack.enter_context(RowFile(self.to, HITS_SCHEMA))
            self.values = f"{stem}.histogram{ending}" if self.histogram else ""
        elif self.to:
            if Path(self.to).suffix:
                raise UsageError(f"{self.to}: rows are written to {', '.join(ENDINGS)}, or to a folder")
            folder = new_folder(self.to)
            self.rows = self.stack.enter_context(RowFile(folder / "hits.parquet", HITS_SCHEMA))
            self.values = str(folder / "histogram.csv")
        return self

    def add(self, found: Found) -> None:
        """Show or write one."""
        hit = found.hit
        self.count += 1
        if self.histogram or self.values:
            self.counts.add(hit.name, hit.normal or hit.value, hit.group, found.where, hit.offset)
        if self.rows is not None:
            self.rows.add(found.row())
        elif not self.histogram:
            doubt = "" if hit.valid and hit.confidence >= 0.5 else f"  ({'checksum wrong' if not hit.valid else 'weak'})"
            name = "" if hit.kind == "word" else f"{hit.name}: "
            text = f"{found.where} {hit.offset} {hit.encoding or '-'}  {name}{hit.before}[{hit.value}]{hit.after}{doubt}"
            emit(found.row(), clean(text), self.json)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.stack.close()
        if kind is not None:
            return
        if self.values:
            with RowFile(self.values, HISTOGRAM_SCHEMA) as out:
                for count in self.counts.rows():
                    out.add(asdict(count))
        if self.histogram and self.rows is None:
            for count in self.counts.rows(0 if self.json else TOP):
                label = count.term if count.level == "value" else f"{count.term} ({count.level})"
                emit(asdict(count), f"{count.count:>10,}  {clean(label):<20} {clean(count.value)}  first: {clean(count.where)}", self.json)
        if self.counts.dropped and not self.json:
            print(f"{self.counts.dropped:,} hits of further values are not in the histogram")
        if not self.json:
            print(f"{self.count:,} hit(s)" + (f" written to {clean(self.to)}" if self.to else ""))
