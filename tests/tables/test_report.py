"""report.html and case.jsonld of evidence whose every text is an attack."""

from __future__ import annotations

import json
import uuid
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import HOSTILE_LABEL, HOSTILE_NAMES, HOSTILE_VALUE

for module in ("pyarrow", "duckdb", "jinja2", "PIL"):
    pytest.importorskip(module, reason="the cli extra is not installed")

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "p", "h1", "h2", "nav", "a", "div", "b", "span", "strong", "details",
    "summary", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "g", "text", "line", "i", "figure", "img", "figcaption",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "href", "id", "class", "open", "viewbox", "role", "aria-label", "x", "y", "width",
    "height", "fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "x1", "x2", "y1", "y2", "text-anchor", "style", "src",
    "alt", "loading",
}  # fmt: skip


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.policy = ""
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        self.links += [v for k, v in attrs if k in ("href", "src", "xlink:href", "action")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]

    def handle_data(self, data):
        self.text.append(data)


def examined(evidence, folder: Path) -> Path:
    import forensiclib as fl

    return fl.examine(evidence, folder).path


@pytest.fixture(scope="module")
def case(hostile, tmp_path_factory) -> Path:
    return examined(hostile, tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def page(case) -> Reader:
    reader = Reader()
    reader.feed((case / "report.html").read_text(encoding="utf-8"))
    return reader


def test_only_the_templates_own_markup_is_there(page):
    assert page.tags <= TAGS, page.tags - TAGS
    assert page.attributes <= ATTRIBUTES, page.attributes - ATTRIBUTES
    assert not any(name.startswith("on") for name in page.attributes)


def test_nothing_is_loaded(page, case):
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in page.links)
    assert page.policy.startswith("default-src 'none'") and "script" not in page.policy
    html = (case / "report.html").read_text(encoding="utf-8")
    assert "@import" not in html and "url(" not in html


def test_the_attacks_are_shown_as_text(page):
    text = "".join(page.text)
    for part in ("<script>alert(1)<\u2215script>.jpg", '"><img src=x onerror=alert(1)>.jpg', HOSTILE_LABEL, HOSTILE_VALUE):
        assert part in text, part
    assert "49" not in {t.strip() for t in page.text}


def test_no_control_or_direction_character_is_in_any_text_of_the_case(case):
    for name in ("report.html", "case.json", "case.jsonld", "ledger.json", "audit.jsonl"):
        text = (case / name).read_text(encoding="utf-8")
        assert not [c for c in text if not c.isprintable() and c != "\n"], name


def test_the_tables_keep_the_names_as_they_are(case):
    import pyarrow.parquet as pq

    paths = set(pq.read_table(case / "files.parquet", columns=["path"]).column("path").to_pylist())
    assert {n for n in HOSTILE_NAMES if "/" not in n and "\x9b" not in n} <= paths
    values = pq.read_table(case / "artifacts" / "windows.runkeys.parquet").to_pylist()
    assert [v["command"] for v in values] == [HOSTILE_VALUE]


def ids(value) -> list[str]:
    """@id of every node that is more than a reference."""
    out = []
    if isinstance(value, dict):
        if "@id" in value and len(value) > 1:
            out.append(value["@id"])
        for inner in value.values():
            out += ids(inner)
    elif isinstance(value, list):
        for inner in value:
            out += ids(inner)
    return out


def nodes(value) -> list[dict]:
    """Every object with a type that is no literal."""
    out = []
    if isinstance(value, dict):
        if "@type" in value and "@value" not in value:
            out.append(value)
        for inner in value.values():
            out += nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            out += nodes(inner)
    return out


def test_case_jsonld_has_the_shape_of_json_ld_and_is_the_same_again(example, tmp_path):
    first = examined(example, tmp_path / "first")
    graph = json.loads((first / "case.jsonld").read_text(encoding="utf-8"))
    assert set(graph) == {"@context", "@graph"}
    found = nodes(graph["@graph"])
    assert len(found) > 50 and all("@id" in n for n in found)
    names = ids(graph["@graph"])
    assert len(set(names)) == len(names)
    for name in names:
        assert name.startswith("kb:") and uuid.UUID(name[-36:]).version == 5
    prefixes = {p.partition(":")[0] for n in found for p in n if not p.startswith("@")}
    assert prefixes <= set(graph["@context"])
    used = {v["@id"] for n in found for v in n.values() if isinstance(v, dict) and set(v) == {"@id"}}
    assert used <= set(names), "every reference points to a node"
    second = examined(example, tmp_path / "second")
    assert (second / "case.jsonld").read_bytes() == (first / "case.jsonld").read_bytes()


def test_case_jsonld_of_the_attacks_is_json(case):
    graph = json.loads((case / "case.jsonld").read_text(encoding="utf-8"))
    assert len(set(ids(graph["@graph"]))) == len(ids(graph["@graph"]))
