"""Rules about the tests: every room has one, every room is fuzzed, every test asserts."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from forensiclib.catalog import FLOORS, load
from forensiclib.core.declare import Carver, Declaration, Extractor, Files

TESTS = Path(__file__).resolve().parents[1]
MODULES = sorted(TESTS.rglob("test_*.py"))
ASSERTING = re.compile(r"\bassert\b|pytest\.raises|Contract\b|rows_or_evidence_error|\bexact\(|\bcuts\(|\bcheck\w*\(|\bagree\w*\(")


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def module_of(declaration: Declaration) -> str:
    """Where the declaration's function is defined: ``floor.room``, without the package."""
    names = ("measure", "rows", "open", "volumes", "unlock", "check", "decode", "write")
    function = next(f for f in (getattr(declaration, n, None) for n in names) if f is not None)
    return str(getattr(function, "func", function).__module__).removeprefix("forensiclib.")


def mentions(declaration: Declaration, folder: Path) -> bool:
    """Whether a test there names the declaration, imports its module, or asks the catalogue for all of its kind."""
    module = module_of(declaration)
    parts = module.split(".")
    wanted = (
        rf"forensiclib\.{re.escape('.'.join(parts[:-1]))}(\.{parts[-1]}\b| import [^\n]*\b{parts[-1]}\b)",
        rf"[\"']{re.escape(declaration.name)}[\"']",
        *((r"\.carvers\b",) if isinstance(declaration, Carver) else ()),
        *((rf"forensiclib\.{re.escape('.'.join(parts[:-1]))}\b",) if len(parts) > 2 and parts[-1] == parts[-2] else ()),
    )
    tests = [p for p in folder.rglob("*.py") if "house" not in p.parts]
    return any(re.search(pattern, text_of(p)) for p in tests for pattern in wanted)


def label(declaration: Declaration) -> str:
    return f"{type(declaration).__name__}:{declaration.name}"


@pytest.mark.parametrize("declaration", list(load()), ids=label)
def test_every_declaration_is_tested(declaration):
    assert module_of(declaration).split(".")[0] in FLOORS
    assert mentions(declaration, TESTS)


@pytest.mark.parametrize("declaration", list(load()), ids=label)
def test_every_room_is_fuzzed(declaration):
    if isinstance(declaration, Extractor) and not isinstance(declaration.source, Files):
        pytest.skip("gets keys or events: its store is fuzzed")
    assert mentions(declaration, TESTS / "fuzz")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(TESTS).as_posix())
def test_every_test_asserts(path):
    """By itself, or through a helper of its module or folder that does."""
    tree = ast.parse(text_of(path))
    functions = {n.name: ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    asserting = {name for name, body in functions.items() if ASSERTING.search(body)}
    tests = {n for n in functions if n.startswith("test_")}
    classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and any("Contract" in ast.unparse(b) for b in n.bases)]
    assert tests or classes, "no test"
    silent = {t for t in tests - asserting if not any(re.search(rf"\b{name}\(", functions[t]) for name in asserting)}
    assert not silent, silent
