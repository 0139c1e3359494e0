"""What a person sees who asks Python, or has only half of it installed."""

from __future__ import annotations

import pydoc
import subprocess
import sys
from pathlib import Path

import forensiclib

ROOT = Path(forensiclib.__file__).parent.parent


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    return subprocess.run([sys.executable, "-I", "-c", start + code, *words], capture_output=True, text=True, timeout=60)


def test_help_of_the_package_shows_the_way_in():
    text = pydoc.plain(pydoc.render_doc(forensiclib))
    assert 'with fl.open_image("disk.E01") as image:' in text and "Every error it raises on purpose is a ForensicError" in text


def test_help_of_the_first_call_says_what_it_takes_and_raises():
    text = pydoc.plain(pydoc.render_doc(forensiclib.open_image))
    assert "open_image(" in text and "Open evidence read-only." in text
    assert all(word in text for word in ("a list of segments", "UsageError", "EvidenceError"))
    assert all(word in pydoc.plain(pydoc.render_doc(forensiclib.examine)) for word in ("case.json", "findings.parquet", "ledger.json"))


BLOCK = "for name in BLOCKED: sys.modules[name] = None"


def test_without_the_extra_the_command_line_says_what_to_install():
    done = python(f"BLOCKED = {{'typer'}}\n{BLOCK}\nfrom forensiclib.cli.main import main; main()")
    assert done.returncode == 2 and done.stderr == "forensiclib: the command line needs its extra: pip install 'forensiclib[cli]'\n"


def test_without_the_extra_a_case_is_refused_before_the_work(tmp_path):
    code = f"BLOCKED = {{'duckdb', 'jinja2'}}\n{BLOCK}\nimport forensiclib as fl\ntry: fl.examine(sys.argv[1], sys.argv[2])\nexcept fl.MissingSupport as e: print(e)"
    done = python(code, str(ROOT / "examples" / "evidence" / "example.E01"), str(tmp_path / "case"))
    assert done.stdout == "a case folder needs duckdb, jinja2: pip install 'forensiclib[cli]'\n", done.stderr
    assert not (tmp_path / "case").exists()


def test_without_the_extra_evidence_is_read(tmp_path):
    code = f"BLOCKED = {{'duckdb', 'jinja2', 'typer', 'pyarrow', 'nanoarrow', 'PIL', 'rich'}}\n{BLOCK}\nimport forensiclib as fl\nprint(fl.open_image(sys.argv[1]).verify().ok)"
    done = python(code, str(ROOT / "examples" / "evidence" / "example.E01"))
    assert done.stdout == "True\n", done.stderr
