r"""Key patterns: "\" between parts, * and ? within one part, ** for any number of parts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forensiclib.core.errors import UsageError

__all__ = ["State", "advance", "compile_patterns", "done", "matches", "start"]

Part = re.Pattern[str] | None
"""One part; None is **."""
Patterns = tuple[tuple[Part, ...], ...]
State = frozenset[tuple[int, int]]
"""(pattern, part) pairs that a path so far may stand before."""


def compile_patterns(patterns: Sequence[str]) -> Patterns:
    """UsageError for an empty pattern list. "" matches the root alone."""
    if not patterns:
        raise UsageError("no key pattern")
    return tuple(tuple(_part(p) for p in pattern.strip("\\").split("\\") if p) for pattern in patterns)


def _part(part: str) -> Part:
    if part == "**":
        return None
    text = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in part)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _settle(patterns: Patterns, pairs: set[tuple[int, int]]) -> State:
    # ** may also stand for nothing.
    todo = list(pairs)
    while todo:
        pattern, part = todo.pop()
        after = (pattern, part + 1)
        if part < len(patterns[pattern]) and patterns[pattern][part] is None and after not in pairs:
            pairs.add(after)
            todo.append(after)
    return frozenset(pairs)


def start(patterns: Patterns) -> State:
    """Where the root stands."""
    return _settle(patterns, {(i, 0) for i in range(len(patterns))})


def advance(patterns: Patterns, state: State, name: str) -> State:
    """Where a subkey of that name stands; empty when no path below it can match."""
    out = set()
    for pattern, part in state:
        if part == len(patterns[pattern]):
            continue
        wanted = patterns[pattern][part]
        if wanted is None:
            out.add((pattern, part))
        elif wanted.fullmatch(name):
            out.add((pattern, part + 1))
    return _settle(patterns, out)


def done(patterns: Patterns, state: State) -> bool:
    """Whether the path itself matches."""
    return any(part == len(patterns[pattern]) for pattern, part in state)


def matches(patterns: Patterns, path: str) -> bool:
    """Whether a whole path matches; "" is the root."""
    state = start(patterns)
    for name in path.split("\\") if path else ():
        state = advance(patterns, state, name)
    return done(patterns, state)
