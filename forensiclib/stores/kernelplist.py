"""Property lists in XML as Apple's kernels write them (OSSerialize) and as programs do: numbers also in hexadecimal, values that were
written before by reference, a dictionary without a document around it.

Apple, plist(5); XNU, libkern/c++/OSSerialize and OSUnserializeXML (the grammar).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import Any

from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget

__all__ = ["plist"]

_TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z]+)(?P<rest>[^<>]*?)(?P<empty>/?)>")
_NAMED = re.compile(r"""\b(ID|IDREF|format)\s*=\s*["']?([0-9A-Za-z]+)""")
_SKIPPED = ("plist", "xml")
_OPEN = ("dict", "array", "set")


def plist(data: bytes, budget: Budget, what: str = "property list") -> Any:
    """The first value in the bytes: dict, list, str, int, bool or bytes. Raises Corrupt, LimitExceeded."""
    text = data.decode("utf-8", "replace")
    known: dict[str, Any] = {}
    open_ones: list[tuple[str, Any, list[str], str]] = []  # name, container, the key that waits, its ID
    at = 0
    while (match := _TAG.search(text, at)) is not None:
        budget.item()
        name, rest = match["name"].lower(), dict(_NAMED.findall(match["rest"]))
        at = match.end()
        if name in _SKIPPED:
            continue
        if match["end"]:
            if not open_ones or open_ones[-1][0] != name:
                raise Corrupt(what, None, f"</{name}> at character {match.start()} ends nothing")
            _, value, _, number = open_ones.pop()
            budget.leave()
            if number:
                known[number] = value
        elif name in _OPEN:
            value = {} if name == "dict" else []
            if match["empty"]:
                _put(open_ones, value, what)
            else:
                budget.enter(what)
                _put(open_ones, value, what)
                open_ones.append((name, value, [], rest.get("ID", "")))
                continue
        else:
            inner = ""
            if not match["empty"]:
                close = text.find(f"</{match['name']}>", at)
                if close < 0:
                    raise Corrupt(what, None, f"<{name}> at character {match.start()} has no end")
                inner, at = text[at:close], close + len(match["name"]) + 3
            if name == "key":
                if not open_ones or open_ones[-1][0] != "dict":
                    raise Corrupt(what, None, f"a key outside of a dictionary at character {match.start()}")
                open_ones[-1][2][:] = [html.unescape(inner)]
                continue
            if name == "reference":
                if rest.get("IDREF", "") not in known:
                    raise Corrupt(what, None, f"a reference to what is not there at character {match.start()}")
                value = known[rest["IDREF"]]
            else:
                value = _value(name, inner, rest, what)
            if "ID" in rest:
                known[rest["ID"]] = value
            _put(open_ones, value, what)
        if not open_ones:
            return value
    raise Corrupt(what, None, "it ends before its first value does")


def _put(open_ones: list[tuple[str, Any, list[str], str]], value: Any, what: str) -> None:
    if not open_ones:
        return
    name, container, waiting, _ = open_ones[-1]
    if name != "dict":
        container.append(value)
    elif waiting:
        container.setdefault(waiting.pop(), value)
    else:
        raise Corrupt(what, None, "a value without a key in a dictionary")


def _value(name: str, inner: str, rest: dict[str, str], what: str) -> Any:
    try:
        if name == "integer":
            number = inner.strip()[:40]
            return int(number, 10 if number.lstrip("+-").isdigit() else 0)
        if name in ("true", "false"):
            return name == "true"
        if name == "data":
            packed = re.sub(r"\s+", "", inner)
            return bytes.fromhex(packed) if rest.get("format") == "hex" else base64.b64decode(packed, validate=True)
    except (ValueError, binascii.Error):
        raise Corrupt(what, None, f"a value of type {name} that is none") from None
    return html.unescape(inner)
