"""search: where a word, an expression, a kind of text or a rule stands."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.hitfiles import HitFiles
from forensiclib.api.searching import DEFAULT, search
from forensiclib.cli._hits import show, summary
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._query import DecodeOpt, DepthOpt, decoder_of, listed, query_of
from forensiclib.cli._shared import NO_KEYS, EngineOpt, JobsOpt, JsonOpt, OneEvidence, StrictOpt, engine_named, running
from forensiclib.core.keys import Keys

NAME = "search"
Names = list[str] | None


def command(
    evidence: OneEvidence,
    terms: Annotated[Names, typer.Argument(metavar="[TERM]...", help="What to look for.")] = None,
    regex: Annotated[bool, typer.Option("--regex", "-E", help="Terms are regular expressions.")] = False,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="In upper and lower case, of any script.")] = False,
    whole_word: Annotated[bool, typer.Option("--whole-word", "-w", help="Not inside of longer words.")] = False,
    words: Annotated[Names, typer.Option("--words", metavar="FILE", help="Terms, one a line (UTF-8); may be repeated.")] = None,
    condition: Annotated[str, typer.Option("--condition", metavar="TEXT", help="Files with: 'a AND (b OR NOT \"c d\")'.")] = "",
    patterns: Annotated[Names, typer.Option("--patterns", metavar="NAMES", help="Kinds of text, with commas, or all.")] = None,
    yara: Annotated[Names, typer.Option("--yara", metavar="FILE", help="YARA rules; may be repeated.")] = None,
    encodings: Annotated[str, typer.Option("--encodings", metavar="NAMES", help="With commas; 'unicode' is UTF-8 and UTF-16.")] = "",
    form: Annotated[str, typer.Option("--form", metavar="NAME", help="canonical, compatibility (ligatures) or none.")] = "canonical",
    where: Annotated[str, typer.Option("--where", metavar="PLACES", help="With commas, of these and raw.")] = ",".join(DEFAULT),
    to: Annotated[str, typer.Option("--to", metavar="FILE|DIR", help="New .jsonl, .csv or .parquet file, or a folder.")] = "",
    histogram: Annotated[bool, typer.Option("--histogram", help="How often each value was found, instead of the hits.")] = False,
    maximum: Annotated[int, typer.Option("--maximum", min=1, metavar="N", help="Hits kept of each term.")] = 100_000,
    decode: DecodeOpt = "",
    depth: DepthOpt = 4,
    jobs: JobsOpt = 1, engine: EngineOpt = "native",
    json: JsonOpt = False, strict: StrictOpt = False,
    keys: Keys = NO_KEYS, shadows: ShadowsOpt = "none",
) -> None:  # fmt: skip
    """Search files, slack, free space and names; each hit says where it is, in which encoding, and which bytes it is."""
    chosen = engine_named(engine)
    with running(jobs, keys, strict, shadows=shadows) as run:
        query, wanted = query_of(run, terms or [], words or [], condition, regex, patterns or [], yara or [], encodings, form)
        query = query.with_options(ignore_case=ignore_case, whole_word=whole_word)
        decoder = decoder_of(run, decode, query.words)
        places = listed(where)
        with open_image(evidence, run=run) as image, HitFiles(to, histogram) as out:
            for found in search(
                run, image, query, where=places, condition=wanted, engine=chosen, decoder=decoder, depth=depth, maximum=maximum
            ):
                out.add(found)
                if not (out.written or histogram):
                    show(found, json)
        summary(out, json)
