"""AND, OR and NOT of terms: which files a search is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from forensiclib.core.errors import UsageError

__all__ = ["Condition", "parse"]

_TOKEN = re.compile(r'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+))')
_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition over terms; ``terms`` in the order in which they were named. ``program`` is it in postfix form: the number of
    a term, or an operator."""

    terms: tuple[str, ...]
    program: tuple[int | str, ...]

    def holds(self, found: Collection[int]) -> bool:
        """Whether it holds where exactly these terms (by number) stand."""
        stack: list[bool] = []
        for step in self.program:
            if isinstance(step, int):
                stack.append(step in found)
            elif step == "NOT":
                stack.append(not stack.pop())
            else:
                right, left = stack.pop(), stack.pop()
                stack.append((left and right) if step == "AND" else (left or right))
        return stack[0]


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at = text, list[tuple[str, str]](), 0
        self.terms: list[str] = []
        self.program: list[int | str] = []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise UsageError(f"{text!r}: not understood from {text[place:]!r} on; a quote that does not end?")
            place = match.end()
            if match[1] or match[2]:
                self.tokens.append((match[1] or match[2], ""))
            elif match[3] is not None:
                self.tokens.append(("term", re.sub(r"\\(.)", r"\1", match[3])))
            elif match[4].upper() in ("AND", "OR", "NOT") and match[4].isupper():
                self.tokens.append((match[4], ""))
            else:
                self.tokens.append(("term", match[4]))

    def next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def two(self, operator: str, operand: Callable[[int], None], depth: int) -> None:
        operand(depth)
        while self.next() == operator:
            self.at += 1
            operand(depth)
            self.program.append(operator)

    def any(self, depth: int) -> None:
        self.two("OR", self.every, depth)

    def every(self, depth: int) -> None:
        self.two("AND", self.single, depth)

    def single(self, depth: int) -> None:
        kind = self.next()
        if depth > _DEPTH:
            raise UsageError(f"{self.text!r}: nested deeper than {_DEPTH}")
        self.at += 1
        if kind == "NOT":
            self.single(depth + 1)
            self.program.append("NOT")
        elif kind == "(":
            self.any(depth + 1)
            if self.next() != ")":
                raise UsageError(f"{self.text!r}: a bracket is not closed")
            self.at += 1
        elif kind == "term":
            term = self.tokens[self.at - 1][1]
            if term not in self.terms:
                self.terms.append(term)
            self.program.append(self.terms.index(term))
        else:
            raise UsageError(f"{self.text!r}: a term is missing{f' before {kind}' if kind else ' at the end'}")


def parse(text: str) -> Condition:
    """``alpha AND ("two words" OR NOT beta)``: operators in capitals, NOT before AND before OR; terms with spaces, brackets or
    the name of an operator in double quotes. UsageError says what is wrong."""
    parser = _Parser(text)
    parser.any(0)
    if parser.next():
        raise UsageError(f"{text!r}: an operator is missing before {parser.tokens[parser.at][1] or parser.next()!r}")
    return Condition(tuple(parser.terms), tuple(parser.program))
