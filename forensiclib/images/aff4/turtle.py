"""The statements of information.turtle: a strict reader of Turtle, as far as metadata of images need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, LimitExceeded, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.aff4 import RDF_TYPE

__all__ = ["Literal", "Term", "triples"]


@dataclass(frozen=True, slots=True)
class Literal:
    """A text and its datatype ("" for none; a language tag is left out)."""

    text: str
    kind: str = ""


Term = str | Literal
"""An IRI, a blank node ("_:name"), or a literal."""

NESTED = 32
"""Nested blank nodes. Images have none; serialisers may write a few."""
_LOCAL = r"(?:[\w:%-]|\\.|\.(?=[\w:%\\.-]))*"
_TOKEN = re.compile(
    r"""(?>[ \t\r\n]+|\#[^\n\r]*)*+
    (?:(?P<iri><[^<>\r\n]*>)
    |(?P<text>\"\"\"(?:[^"\\]|\\.|"(?!""))*\"\"\"|'''(?:[^'\\]|\\.|'(?!''))*'''|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
    |(?P<at>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
    |(?P<kind>\^\^)
    |(?P<blank>_:\w[\w.-]*)
    |(?P<name>(?:[^\W\d_][\w.-]*)?:"""
    + _LOCAL
    + r""")
    |(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[A-Za-z]+)
    |(?P<mark>[;,.\[\]()])
    |(?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"(?>[ \t\r\n]+|\#[^\n\r]*)*+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SHORT = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_XSD = "http://www.w3.org/2001/XMLSchema#"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class _Reader:
    def __init__(self, text: str, root: str, budget: Budget) -> None:
        self.text, self.root, self.budget = text, root, budget
        self.prefixes: dict[str, str] = {}
        self.names: dict[str, str] = {}  # resolved
        self.base = ""
        self.at = self.end = 0  # of the token in hand
        self.kind, self.value = "", ""
        self.blanks = 0
        self.advance()

    def wrong(self, found: str) -> Corrupt:
        line = self.text.count("\n", 0, self.at) + 1
        return Corrupt("AFF4 metadata", Span(self.root, self.at, max(1, self.end - self.at)), f"line {line}: {found}")

    def advance(self) -> None:
        """Take the next token; kind "" at the end."""
        found = _TOKEN.match(self.text, self.end)
        if found is None:
            self.at = _SPACE.match(self.text, self.end).end()  # type: ignore[union-attr]  # it matches nothing, too
            self.end = self.at + 1
            raise self.wrong(f"{self.text[self.at : self.at + 20]!r} is no Turtle")
        kind = found.lastgroup or "end"
        self.at, self.end = found.span(kind)
        self.kind, self.value = ("", "") if kind == "end" else (kind, found[kind])

    def expect(self, value: str) -> None:
        if self.kind != "mark" or self.value != value:
            raise self.wrong(f"{self.value[:20]!r} where {value!r} was expected")
        self.advance()

    def unescaped(self, text: str, wanted: bool = True) -> str:
        """Numeric escapes, and with ``wanted`` the short ones; without it another backslash stays (AXIOM writes such IRIs)."""
        if "\\" not in text:
            return text

        def one(match: re.Match[str]) -> str:
            digits, short = match[1] or match[2], match[3]
            if digits:
                code = int(digits, 16)
                if code > 0x10FFFF:
                    raise self.wrong(f"no character {digits}")
                return chr(code)
            if not wanted:
                return match[0]
            if short not in _SHORT:
                raise self.wrong(f"no escape \\{short}")
            return _SHORT[short]

        return _ESCAPE.sub(one, text)

    def iri(self) -> str:
        """The IRI in hand."""
        if self.kind == "iri":
            made = self.unescaped(self.value[1:-1], wanted=False)
            if not _ABSOLUTE.match(made):
                made = self.base + made
        elif self.kind == "name":
            made = self.names.get(self.value, "")
            if not made:
                prefix, _, local = self.value.partition(":")
                if prefix not in self.prefixes:
                    raise self.wrong(f"the prefix {prefix!r} was not declared")
                made = self.names[self.value] = self.prefixes[prefix] + re.sub(r"\\(.)", r"\1", local)
        else:
            raise self.wrong(f"{self.value[:20]!r} where a name was expected")
        self.advance()
        return made

    def directive(self) -> None:
        sparql, word = self.kind == "word", self.value.lower().lstrip("@")
        self.advance()
        if word == "prefix":
            if self.kind != "name" or not self.value.endswith(":"):
                raise self.wrong(f"{self.value[:20]!r} where a prefix was expected")
            name = self.value[:-1]
            self.advance()
            if self.kind != "iri":
                raise self.wrong(f"{self.value[:20]!r} where an IRI was expected")
            self.prefixes[name] = self.iri()
            self.names.clear()
        elif word == "base":
            self.base = self.iri()
        else:
            raise self.wrong(f"no directive {word!r}")
        if not sparql:
            self.expect(".")

    def literal(self) -> Literal:
        if self.kind == "number":
            kind = "double" if "e" in self.value.lower() else "decimal" if "." in self.value else "integer"
            made = Literal(self.value, _XSD + kind)
            self.advance()
            return made
        cut = 3 if self.value[:3] in ('"""', "'''") and len(self.value) >= 6 else 1
        text = self.unescaped(self.value[cut:-cut])
        self.advance()
        if self.kind == "kind":
            self.advance()
            return Literal(text, self.iri())
        if self.kind == "at":
            self.advance()
        return Literal(text)

    def term(self, depth: int) -> Iterator[tuple[str, str, Term] | Term]:
        """What stands in hand as an object: the statements inside of it, then itself."""
        if self.kind in ("iri", "name"):
            yield self.iri()
        elif self.kind in ("text", "number"):
            yield self.literal()
        elif self.kind == "blank":
            name = self.value
            self.advance()
            yield name
        elif self.kind == "word" and self.value in ("true", "false"):
            made = Literal(self.value, _XSD + "boolean")
            self.advance()
            yield made
        elif self.kind == "mark" and self.value == "[":
            if depth >= NESTED:
                raise LimitExceeded("AFF4 metadata", Span(self.root, self.at, 1), f"blank nodes deeper than {NESTED}")
            self.advance()
            self.blanks += 1
            name = f"_:[{self.blanks}]"  # no label that was written looks so
            if not (self.kind == "mark" and self.value == "]"):
                yield from self.predicates(name, depth + 1)
            self.expect("]")
            yield name
        elif self.kind == "mark" and self.value == "(":
            raise Unsupported("AFF4 metadata", Span(self.root, self.at, 1), "a collection")
        else:
            raise self.wrong(f"{self.value[:20]!r} where a value was expected")

    def predicates(self, subject: str, depth: int) -> Iterator[tuple[str, str, Term]]:
        while True:
            if self.kind == "word" and self.value == "a":
                predicate = RDF_TYPE
                self.advance()
            else:
                predicate = self.iri()
            while True:
                for found in self.term(depth):
                    if isinstance(found, tuple):
                        yield found
                    else:
                        self.budget.item()
                        yield subject, predicate, found
                if not (self.kind == "mark" and self.value == ","):
                    break
                self.advance()
            if not (self.kind == "mark" and self.value == ";"):
                return
            while self.kind == "mark" and self.value == ";":
                self.advance()
            if self.kind == "mark" and self.value in (".", "]"):
                return

    def statements(self) -> Iterator[tuple[str, str, Term]]:
        while self.kind:
            if self.kind == "at" or (self.kind == "word" and self.value.upper() in ("PREFIX", "BASE")):
                self.directive()
                continue
            nested = self.kind == "mark" and self.value == "["
            for found in self.term(0) if nested or self.kind == "blank" else [self.iri()]:
                if isinstance(found, tuple):
                    yield found
                elif not (nested and self.kind == "mark" and self.value == "."):
                    yield from self.predicates(str(found), 0)
            self.expect(".")


def triples(text: str, root: str, budget: Budget) -> Iterator[tuple[str, str, Term]]:
    """(subject, predicate, object) in the order of the text; prefixes and the base resolved, ``a`` written out.

    ``root`` names the text in spans, whose offsets count characters. Raises Corrupt at the first thing that is no Turtle, Unsupported for
    a collection, LimitExceeded; what came before holds.
    Source: W3C, RDF 1.1 Turtle.
    """
    yield from _Reader(text, root, budget).statements()
