"""What the options of search mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from forensiclib.api.run import Run
from forensiclib.api.searching import decoding, patterns_named
from forensiclib.core.errors import UsageError
from forensiclib.search.decode.regions import Decoding
from forensiclib.search.encodings import STANDARD, UNICODE
from forensiclib.search.folding import Form
from forensiclib.search.logic import Condition, parse
from forensiclib.search.query import Query
from forensiclib.search.yara import compile_rules

DecodeOpt = Annotated[str, typer.Option("--decode", metavar="NAMES", help="Also inside of gzip, base64, PDF ...: names, or all.")]
DepthOpt = Annotated[int, typer.Option("--depth", min=1, max=16, metavar="N", help="Levels of decoding.")]
FORMS: dict[str, Form] = {"canonical": "canonical", "compatibility": "compatibility", "none": "none"}


def listed(*texts: str) -> list[str]:
    """Parts between commas."""
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
    """The query, and the condition when there is one."""
    wanted = parse(condition) if condition else None
    every = tuple(dict.fromkeys([*(wanted.terms if wanted else ()), *terms, *(line for path in words for line in _lines(path))]))
    if not every and not patterns and not yara:
        raise UsageError("nothing to search for: give a TERM, --words, --condition, --patterns or --yara")
    if form not in FORMS:
        raise UsageError(f"no form {form!r}; there are {', '.join(FORMS)}")
    named = tuple(n for e in listed(encodings) for n in (UNICODE if e == "unicode" else (e,))) or STANDARD
    rules = compile_rules({Path(p).stem: Path(p).read_text(encoding="utf-8", errors="replace") for p in yara}) if yara else b""
    chosen = patterns_named(run, listed(*patterns)) if patterns else ()
    literal, expressions = ((), every) if regex else (every, ())
    return Query(words=literal, expressions=expressions, patterns=chosen, rules=rules, encodings=named, form=FORMS[form]), wanted


def decoder_of(run: Run, names: str, words: Sequence[str] = ()) -> Decoding | None:
    """What --decode names; None without it."""
    return decoding(run, listed(names), words) if names else None
