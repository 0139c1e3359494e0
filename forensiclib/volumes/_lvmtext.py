"""The text in which LVM2 writes down a volume group: sections, numbers, strings, lists. lvm.conf(5), SYNTAX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget

__all__ = ["Section", "group_of", "integer", "parsed", "sections", "texts"]

Section = dict[str, Any]
"""Name -> int, str, list of these, or another Section; in the order of the text."""

_TOKEN = re.compile(r'\s+|\#[^\n]*|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z0-9_.+\-]+)|(?P<mark>[{}\[\]=,])', re.S)
DEPTH = 16


def _tokens(text: str, budget: Budget) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Corrupt("LVM metadata", None, f"character {text[at]!r} at {at}")
        at = match.end()
        if match.lastgroup:
            budget.item()
            yield match.lastgroup, match[0]


def parsed(text: str, budget: Budget) -> Section:
    """The whole text; Corrupt, with the place, when it breaks a rule."""
    root: Section = {}
    stack, name = [root], None
    tokens = _tokens(text, budget)
    for kind, token in tokens:
        if kind == "word" and name is None:
            name = token
        elif token == "{" and name is not None and len(stack) < DEPTH:
            inner: Section = {}
            stack[-1][name] = inner
            stack.append(inner)
            name = None
        elif token == "}" and name is None and len(stack) > 1:
            stack.pop()
        elif token == "=" and name is not None:
            stack[-1][name] = _value(tokens)
            name = None
        else:
            raise Corrupt("LVM metadata", None, f"{token!r} out of place")
    if len(stack) > 1 or name is not None:
        raise Corrupt("LVM metadata", None, "it breaks off")
    return root


def _value(tokens: Iterator[tuple[str, str]]) -> Any:
    kind, token = next(tokens, ("", ""))
    if token != "[":
        return _scalar(kind, token)
    out: list[int | str] = []
    for kind, token in tokens:
        if token == "]":
            return out
        if token != ",":
            out.append(_scalar(kind, token))
    raise Corrupt("LVM metadata", None, "a list breaks off")


def _scalar(kind: str, token: str) -> Any:
    if kind == "text":
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.S)
    if kind == "word":
        return int(token) if re.fullmatch(r"-?[0-9]{1,19}", token) else token
    raise Corrupt("LVM metadata", None, f"{token!r} for a value")


def group_of(root: Section) -> tuple[str, Section] | None:
    """(name, section) of the volume group in a text."""
    return next(((name, value) for name, value in root.items() if isinstance(value, dict) and isinstance(value.get("seqno"), int)), None)


def integer(section: Section, name: str, *, least: int = 0, default: int | None = None) -> int:
    """A number of a section; Corrupt when it is none or too small."""
    value = section.get(name, default)
    if not isinstance(value, int) or value < least:
        raise Corrupt("LVM metadata", None, f"{name} = {value!r}")
    return value


def texts(section: Section, name: str) -> list[Any]:
    """A list of a section; empty when it is none."""
    value = section.get(name)
    return value if isinstance(value, list) else []


def sections(section: Section, name: str | None = None) -> dict[str, Section]:
    """The sections inside (of the one called ``name``), by name."""
    inner = section if name is None else section.get(name)
    return {key: value for key, value in inner.items() if isinstance(value, dict)} if isinstance(inner, dict) else {}
