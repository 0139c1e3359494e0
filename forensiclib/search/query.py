"""What to look for, as one value that any process can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from forensiclib.core.declare import TextPattern
from forensiclib.core.errors import UsageError
from forensiclib.core.span import Span
from forensiclib.search.encodings import STANDARD, UNICODE, named
from forensiclib.search.folding import Equality
from forensiclib.search.literal import Words, compile_words
from forensiclib.search.regex import Engine, Expressions, compile_expressions

__all__ = ["Hit", "Kind", "Query", "Term", "prepared"]

Kind = Literal["word", "regex", "pattern", "yara"]


@dataclass(frozen=True, slots=True)
class Term:
    """One thing looked for: its kind, and the name that its hits carry."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One find in a stream.

    offset, length   bytes of the stream; spans   the image bytes behind them
    value     the text as it stands there; normal   in one spelling (of a pattern), else ""
    confidence, valid   as the pattern's check says; 1.0 and True for what was looked for literally
    before, after   text around it in the same encoding; what is no text there is "."
    via       decodings that the stream came out of, outermost first: ("gzip@4096",)
    detail    of a YARA rule: its tags, meta and strings as JSON; of a hit in a region that is not whole, why
    group     the coarser value of a pattern
    reach     offset behind the encoded bytes of the outermost decoding; 0 without one
    """

    offset: int
    length: int
    term: int
    kind: Kind
    name: str
    encoding: str
    value: str
    normal: str = ""
    confidence: float = 1.0
    valid: bool = True
    before: str = ""
    after: str = ""
    spans: tuple[Span, ...] = ()
    via: tuple[str, ...] = ()
    detail: str = ""
    group: str = ""
    reach: int = 0

    @property
    def path(self) -> str:
        """Where it is as bulk_extractor writes it: 4096-GZIP-56 is offset 56 of what the gzip stream at 4096 holds."""
        parts = [(offset, name.upper()) for name, _, offset in (step.rpartition("@") for step in self.via)]
        return "-".join([*(f"{offset}-{name}" for offset, name in parts), str(self.offset)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for. Terms are numbered words first, then expressions, patterns and the YARA rules.

    words        literal text; ``ignore_case``, ``form`` (see folding.Equality) and ``whole_word`` say what is equal
    expressions  regular expressions (see expression.py); ``ignore_case`` and ``whole_word`` hold for them too
    patterns     declared kinds of text
    encodings    of words; expressions and patterns are looked for in the Unicode ones among them, expressions also in
                 code pages when they have characters beyond ASCII
    rules        compiled YARA rules (yara.compile_rules), b"" for none
    context      bytes shown before and after a hit
    engine       of expressions: "hyperscan", "python", or "auto", the first if it is installed; the hits are the same
    """

    words: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    patterns: tuple[TextPattern, ...] = ()
    rules: bytes = b""
    ignore_case: bool = False
    whole_word: bool = False
    form: Literal["none", "canonical", "compatibility"] = "canonical"
    encodings: tuple[str, ...] = STANDARD
    context: int = 40
    engine: Engine = "auto"

    def with_options(self, *, ignore_case: bool, whole_word: bool) -> Query:
        """The same terms, compared so."""
        return replace(self, ignore_case=ignore_case, whole_word=whole_word)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Words, expressions, patterns, in the order of their numbers."""
        found = [Term("word", w) for w in self.words] + [Term("regex", e) for e in self.expressions]
        return (*found, *(Term("pattern", p.name) for p in self.patterns))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query compiled. ``margin``: bytes that a match may reach over the end of the block that it begins in."""

    query: Query
    terms: tuple[Term, ...]
    words: Words | None
    expressions: Expressions | None
    encodings: tuple[str, ...]
    margin: int

    def unwritten(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """(term, encodings that cannot write it, where it was therefore not looked for)."""
        out = [(self.query.words[n], missing) for n, missing in (self.words.unwritten if self.words else ())]
        first = len(self.query.words)
        return out + [(self.terms[first + n].name, missing) for n, missing in (self.expressions.unwritten if self.expressions else ())]


@lru_cache(maxsize=4)
def prepared(query: Query) -> Prepared:
    """The query compiled, once for each process. Raises UsageError for terms that cannot be searched for."""
    names = tuple(dict.fromkeys(map(named, query.encodings)))
    if query.context < 0 or query.context > 4096:
        raise UsageError(f"{query.context} bytes of context; 0 to 4096 can be shown")
    if not (query.words or query.expressions or query.patterns or query.rules):
        raise UsageError("nothing to search for")
    words = None
    if query.words:
        words = compile_words(query.words, names, Equality(query.ignore_case, query.form), query.whole_word)
    forms = [(e, query.ignore_case) for e in query.expressions] + [(p.expression, p.ignore_case) for p in query.patterns]
    wide = names if any(not e.isascii() for e in query.expressions) else tuple(n for n in names if n in UNICODE) or names
    expressions = compile_expressions(forms, wide, query.engine) if forms else None
    reach = max(8192, 4 * max(map(len, query.words), default=0), (expressions.reach if expressions else 0) + 64)
    return Prepared(query, query.terms, words, expressions, wide, -(-reach // 4096) * 4096)
