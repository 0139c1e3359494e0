"""Hits on a terminal."""

from __future__ import annotations

from dataclasses import asdict

from forensiclib.api.hitfiles import HitFiles
from forensiclib.api.searching import Found
from forensiclib.cli._shared import clean, emit

TOP = 20
"""Values of each term that a terminal is shown."""


def show(found: Found, json: bool) -> None:
    """One line: where, offset, encoding, the hit in its context, and what speaks against it."""
    hit = found.hit
    doubt = "  (checksum wrong)" if not hit.valid else "  (weak)" if hit.confidence < 0.5 else ""
    name = "" if hit.kind == "word" else f"{hit.name}: "
    text = f"{found.where} {hit.offset} {hit.encoding or '-'}  {name}{hit.before}[{hit.value}]{hit.after}{doubt}"
    emit(found.row(), clean(text), json)


def summary(out: HitFiles, json: bool) -> None:
    """The histogram, if it was asked for and is in no file, and how many hits there were."""
    if out.counting and not out.written:
        for count in out.histogram.rows(0 if json else TOP):
            label = count.term if count.level == "value" else f"{count.term} ({count.level})"
            emit(asdict(count), f"{count.count:>10,}  {clean(label):<20} {clean(count.value)}  first: {clean(count.where)}", json)
    if json:
        return
    if out.histogram.dropped:
        print(f"{out.histogram.dropped:,} hits of further values are not in the histogram")
    print(f"{out.count:,} hit(s)" + (f" written to {clean(out.to)}" if out.to else ""))
