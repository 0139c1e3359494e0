"""YARA rules, by yara-x, over streams: whole where they are small enough, else in windows that overlap."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from forensiclib.core.errors import LimitExceeded, MissingSupport, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.search.query import Hit

__all__ = ["OVERLAP", "WHOLE", "compile_rules", "scan_rules"]

WHOLE = 64 << 20
"""Bytes of a stream that is given to the rules in one piece; longer ones are given in windows of this size."""
OVERLAP = 1 << 20
"""Bytes that a window reaches into the next: what a rule combines over a longer distance is not seen together."""
SECONDS = 120
MATCHES = 1000
"""Matches kept of each string of a rule in one piece."""


def _yara() -> Any:
    try:
        import yara_x
    except ImportError as error:
        raise MissingSupport("YARA rules need yara-x: pip install 'forensiclib[search]'") from error
    return yara_x


def compile_rules(sources: Mapping[str, str]) -> bytes:
    """Rules (text by a name that messages show) in the form that travels to workers. UsageError in the compiler's words."""
    yara = _yara()
    compiler = yara.Compiler(includes_enabled=False)
    for name, text in sources.items():
        compiler.new_namespace(name)
        try:
            compiler.add_source(text, origin=name)
        except yara.CompileError as error:
            raise UsageError(f"{name}: {error}") from error
    out = io.BytesIO()
    compiler.build().serialize_into(out)
    return out.getvalue()


@lru_cache(maxsize=2)
def _scanner(rules: bytes) -> Any:
    yara = _yara()
    scanner = yara.Scanner(yara.Rules.deserialize_from(io.BytesIO(rules)))
    scanner.set_timeout(SECONDS)
    scanner.max_matches_per_pattern(MATCHES)
    return scanner


def scan_rules(source: ByteSource, rules: bytes, number: int, budget: Budget, start: int = 0, stop: int | None = None) -> Iterator[Hit]:
    """One hit for each rule that holds for the stream, or for a window of it; ``detail`` is JSON: tags, meta, and the strings
    with offset, length and spans. A rule without strings that matched has the offset of the piece and length 0.

    start, stop   the part to scan, at most WHOLE bytes: a whole stream, or one of the windows that begin at its multiples
    """
    stop = source.size if stop is None else min(stop, source.size)
    for at in range(start, stop, WHOLE):
        end = min(at + WHOLE, stop)
        data = fill_bad(source, budget.report).read_at(at, min(end + OVERLAP, source.size) - at)
        budget.check()
        try:
            found = _scanner(rules).scan(data)
        except _yara().TimeoutError:
            span = next(iter(source.trace(at, 1)), None)
            budget.report(LimitExceeded("YARA rules", span, f"{len(data)} bytes at {at} took more than {SECONDS} s and were given up"))
            continue
        except _yara().ScanError as error:
            budget.report(Finding("Unsupported", "YARA rules", str(error)))
            continue
        hits = [hit for rule in found.matching_rules if (hit := _hit(source, rule, number, at, end, budget)) is not None]
        yield from sorted(hits, key=lambda hit: (hit.offset, hit.name))


def _hit(source: ByteSource, rule: Any, number: int, at: int, end: int, budget: Budget) -> Hit | None:
    strings = []
    for pattern in rule.patterns:
        matches = [(at + m.offset, m.length) for m in pattern.matches]
        if len(matches) >= MATCHES:
            where = f"{rule.identifier} {pattern.identifier}"
            budget.report(LimitExceeded("YARA matches", None, f"{where}: only the first {MATCHES} at {at} and behind are kept"))
        strings += [(offset, length, pattern.identifier) for offset, length in matches]
    if strings and all(offset >= end for offset, _, _ in strings):
        return None  # all of it lies in the next window
    strings.sort()
    rows = [
        {"id": name, "offset": offset, "length": length, "spans": [[s.root, s.start, s.length] for s in source.trace(offset, length)]}
        for offset, length, name in strings
    ]
    meta = {key: value if not isinstance(value, bytes) else value.hex() for key, value in rule.metadata}
    detail = json.dumps({"tags": list(rule.tags), "meta": meta, "strings": rows}, ensure_ascii=True)
    offset, length = (strings[0][0], strings[0][1]) if strings else (at, 0)
    text = ", ".join(dict.fromkeys(name for _, _, name in strings))
    spans = source.trace(offset, max(length, 1))
    name = f"{rule.namespace}:{rule.identifier}" if rule.namespace != "default" else rule.identifier
    return Hit(offset, length, number, "yara", name, "", text, rule.identifier, spans=spans, detail=detail)
