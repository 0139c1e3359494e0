"""Rules about the house itself."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import forensiclib
from forensiclib.catalog import load
from forensiclib.core.declare import Extractor
from forensiclib.formats import _dsl

ROOT = Path(forensiclib.__file__).parent
PROJECT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for p in ROOT.rglob("*") if p.suffix in (".py", ".pyx", ".pxi", ".h") and "__pycache__" not in p.parts)
MODULES = sorted(p for p in SOURCES if p.suffix == ".py")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_importing_loads_nothing_third_party_and_starts_nothing():
    code = (
        "import sys, threading; before = set(sys.modules); import forensiclib;"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names) - {'forensiclib'};"
        "print(sorted(new), threading.active_count())"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "[] 1"


def test_the_front_door_opens_and_every_name_is_documented():
    for name in forensiclib.__all__:
        value = getattr(forensiclib, name)
        if name != "__version__":
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_stay_small(path):
    ceiling = 150 if "artifacts" in path.parts else 60 if path.parent.name == "cli" and path.name != "_shared.py" else 600
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= ceiling, f"{lines} lines: two ideas"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body, "module docstring"
    missing = []
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            missing.append(node.name)
        if isinstance(node, ast.ClassDef) and not node.bases and "testing" not in path.parts:
            missing += [
                f"{node.name}.{m.name}"
                for m in node.body
                if isinstance(m, ast.FunctionDef) and not m.name.startswith("_") and not ast.get_docstring(m)
            ]
    assert not missing, missing


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_only_the_command_line_prints_or_reads_the_environment(path):
    if "cli" in path.parts:
        pytest.skip("the command line may")
    allowed_env = {"kernels.py"}  # FORENSICLIB_PURE
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            assert path.name in allowed_env, f"line {node.lineno} reads the environment"
        if isinstance(node, ast.Import):
            assert not any(a.name == "logging" for a in node.names), f"line {node.lineno} imports logging"


def test_except_exception_stands_on_one_line():
    hits = [
        relative(p)
        for p in MODULES
        for line in p.read_text(encoding="utf-8").splitlines()
        if "except Exception" in line or "except BaseException" in line
    ]
    assert [h for h in hits if not h.startswith("testing/")] == ["api/units.py"]


def test_construct_has_one_importer():
    hits = [relative(p) for p in MODULES if "import construct" in (t := p.read_text(encoding="utf-8")) or "from construct" in t]
    assert hits == ["formats/_dsl.py"]


def test_every_module_loads():
    assert load().broken == ()


def test_every_definition_is_bounded():
    import construct

    seen = 0
    for info in pkgutil.iter_modules([str(ROOT / "formats")]):
        module = importlib.import_module(f"forensiclib.formats.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, construct.Construct) and info.name != "_dsl":
                _dsl.audit(value, f"{info.name}.{name}")
                seen += 1
    assert seen


def test_the_audit_rejects_what_hides_damage():
    import construct as cs

    for bad in (cs.GreedyRange(cs.Byte), cs.Struct("a" / cs.GreedyBytes), cs.Struct("x" / cs.Struct("s" / cs.CString("ascii")))):
        with pytest.raises(ValueError):
            _dsl.audit(bad)


@pytest.mark.parametrize("declaration", list(load()), ids=lambda d: f"{type(d).__name__}:{d.name}")
def test_declarations_are_honest(declaration):
    assert declaration.title and declaration.title[0] == declaration.title[0].strip()
    assert declaration.refs, "no reference"
    assert all(r.strip() for r in declaration.refs) and all(g.strip() for g in declaration.gaps)
    if isinstance(declaration, Extractor):
        names = [f.name for f in declaration.fields]
        assert len(set(names)) == len(names) and all(f.help.strip() for f in declaration.fields)
        assert declaration.platform


def test_titles_are_unique():
    titles = [(type(d).__name__, d.title) for d in load()]
    assert len(set(titles)) == len(titles)


def test_no_committed_sample_is_large():
    for path in (PROJECT / "tests" / "samples").rglob("*"):
        if path.is_file():
            assert path.stat().st_size <= 64 << 10, path


def test_the_package_speaks_of_itself_alone():
    """No path of a build machine, no registry, in anything shipped."""
    words = ("/work" + "/", "/opt/f" + "l", "/dat" + "a/ev", "/dat" + "a/samples")
    files = [*SOURCES, *(PROJECT / "tests").rglob("*.py"), *(PROJECT / "docs").rglob("*.md"), PROJECT / "README.md"]
    hits = [f"{p}: {w}" for p in files if p.exists() for w in words if w in p.read_text(encoding="utf-8")]
    assert not hits
