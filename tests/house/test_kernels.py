"""Kernels come in pairs: compiled and plain, one name, one signature, one file each, one test that holds them together."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import forensiclib

ROOT = Path(forensiclib.__file__).parent
TESTS = Path(__file__).resolve().parents[1]
PAIRS = {name: f"{name}_py" for name in ("_codecs", "_columns", "_digests", "_speedups")}
DATA = {"evtx_binxml", "evtx_json", "evtx_values", "evtx_xml", "scan_tables", "sector_ciphers"}
"""Plain parts of a twin that are no twin of their own: their compiled form is a header, or they have none."""
HALVES = {"mft_grow", "mft_paths"}
"""Compiled parts of a kernel whose twin is one file."""


def imported(tree: ast.AST, module: str) -> set[str]:
    return {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == module for a in node.names}


KERNELS = ast.parse((ROOT / "kernels.py").read_text(encoding="utf-8"))
NAMES = {name: compiled for compiled in PAIRS for name in imported(KERNELS, f"forensiclib.{compiled}")}


def test_both_branches_import_the_same_names():
    for compiled, plain in PAIRS.items():
        names = imported(KERNELS, f"forensiclib.{compiled}")
        assert names
        assert names == imported(KERNELS, f"forensiclib.{plain}") - {"evtx_xml"}, "evtx_xml alone is plain by intent"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_compiled_and_plain_take_the_same_arguments(name):
    plain = getattr(importlib.import_module(f"forensiclib.{PAIRS[NAMES[name]]}"), name)
    try:
        compiled = getattr(importlib.import_module(f"forensiclib.{NAMES[name]}"), name)
    except ModuleNotFoundError:
        pytest.skip("the compiled modules are not built")
    if not callable(plain):
        assert type(compiled) is type(plain)
        return
    assert inspect.getdoc(plain), "the twin is the specification"
    arguments = [
        [(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in inspect.signature(f).parameters.values()] for f in (compiled, plain)
    ]
    assert arguments[0] == arguments[1]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_kernel_is_tested_against_its_twin(name):
    assert any(re.search(rf"\b{name}\b", p.read_text(encoding="utf-8")) for p in (TESTS / "kernels").glob("test_*.py"))


def test_native_and_plain_files_pair_up():
    native = {p.stem for p in (ROOT / "_native").glob("*.pxi")}
    plain = {p.stem for p in (ROOT / "_plain").glob("*.py")} - {"__init__"}
    assert plain - native == DATA
    assert native - plain == HALVES
    included = {
        m for pyx in ROOT.glob("_*.pyx") for m in re.findall(r'^include "_native/(\w+)\.pxi"', pyx.read_text(encoding="utf-8"), re.M)
    }
    assert included == native
