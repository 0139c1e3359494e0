"""YARA over streams against yara-x itself; conditions against Python's own operators; histograms."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib.core.errors import UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.search import yara
from forensiclib.search.histogram import Histogram
from forensiclib.search.logic import parse

RULES = """
rule words : one two { meta: level = 3 strings: $a = "needle" ascii wide nocase $b = { 4E 65 ?? 64 } condition: any of them }
rule size { condition: filesize > 100 }
rule both { strings: $x = "alpha" $y = "omega" condition: $x and $y }
"""


def rules_of(data: bytes, budget: Budget | None = None):
    return list(yara.scan_rules(MemorySource(data), yara.compile_rules({"t": RULES}), 7, budget or Budget()))


def test_rules_say_what_yara_says():
    yara_x = pytest.importorskip("yara_x")
    data = b"..Needle.." + "NEEDLE".encode("utf-16-le") + b"alpha" + bytes(100) + b"omega"
    want = {
        r.identifier: {(m.offset, m.length) for p in r.patterns for m in p.matches} for r in yara_x.compile(RULES).scan(data).matching_rules
    }
    got = {h.normal: {(s["offset"], s["length"]) for s in json.loads(h.detail)["strings"]} for h in rules_of(data)}
    assert got == want and set(got) == {"words", "size", "both"}
    (words,) = [h for h in rules_of(data) if h.normal == "words"]
    detail = json.loads(words.detail)
    assert detail["tags"] == ["one", "two"] and detail["meta"] == {"level": 3} and words.term == 7 and words.name == "t:words"
    assert detail["strings"][0]["spans"] == [["memory", 2, 4]] and words.offset == 2


def test_windows_of_long_streams(monkeypatch):
    pytest.importorskip("yara_x")
    monkeypatch.setattr(yara, "WHOLE", 1 << 16)
    monkeypatch.setattr(yara, "OVERLAP", 1 << 10)
    data = bytearray(3 << 16)
    for at in (10, (1 << 16) - 3, (2 << 16) + 5):
        data[at : at + 6] = b"needle"
    strings = [[s["offset"] for s in json.loads(h.detail)["strings"]] for h in rules_of(bytes(data)) if h.normal == "words"]
    assert strings == [[10, (1 << 16) - 3], [(2 << 16) + 5]]  # one hit a window


def test_many_matches_are_capped_aloud():
    pytest.importorskip("yara_x")
    budget = Budget()
    rules_of(b"needle" * 1200, budget)
    assert [f.kind for f in budget.findings] == ["LimitExceeded"]


def test_rules_that_are_wrong():
    pytest.importorskip("yara_x")
    with pytest.raises(UsageError, match="foo"):
        yara.compile_rules({"t": "rule a { condition: foo }"})
    with pytest.raises(UsageError):
        yara.compile_rules({"t": 'include "/etc/passwd"'})


EXPRESSIONS = st.recursive(
    st.sampled_from(("a", "b", "c")),
    lambda inner: st.one_of(
        inner.map(lambda x: f"NOT ({x})"),
        st.tuples(inner, st.sampled_from(("AND", "OR")), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_conditions_are_pythons(text):
    condition = parse(text)
    for values in itertools.product((False, True), repeat=3):
        names = dict(zip("abc", values))
        want = eval(text.replace("AND", "and").replace("OR", "or").replace("NOT", "not"), {}, names)  # noqa: S307
        assert condition.holds({i for i, term in enumerate(condition.terms) if names[term]}) == want


def test_precedence_and_quotes():
    condition = parse('a OR b AND NOT "two words"')
    assert condition.terms == ("a", "b", "two words")
    assert condition.holds({0, 2}) and condition.holds({1}) and not condition.holds({1, 2})
    assert parse('"AND"').terms == ("AND",)


@pytest.mark.parametrize("text", ["", "a AND", "(a", "a)", "a b", "AND a", '"a', "NOT", "(" * 200 + "a" + ")" * 200])
def test_conditions_that_are_none(text):
    with pytest.raises(UsageError):
        parse(text)


def test_histogram_orders_by_count():
    counts = Histogram()
    for value, group in (("x@a.org", "a.org"), ("y@b.org", "b.org"), ("x@a.org", "a.org"), ("z@a.org", "a.org")):
        counts.add("email", value, group, f"1:/{value}", 5)
    assert [(c.level, c.value, c.count, c.where) for c in counts.rows()] == [
        ("group", "a.org", 3, "1:/x@a.org"), ("group", "b.org", 1, "1:/y@b.org"),
        ("value", "x@a.org", 2, "1:/x@a.org"), ("value", "y@b.org", 1, "1:/y@b.org"), ("value", "z@a.org", 1, "1:/z@a.org"),
    ]  # fmt: skip
    assert [c.value for c in counts.rows(1)] == ["a.org", "x@a.org"]
