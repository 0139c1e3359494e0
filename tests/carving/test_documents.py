"""PDF carving against documents that LibreOffice, TeX, qpdf, pypdf and Chromium wrote."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

ORIGINALS = Path("/usr/share/forensics-samples/original-files")
NAMES = ("text1/a-text.pdf", "text1/a-text-pass-A5d.pdf", "text1/a-text-pass-peanuts.pdf", "text2/d-text.pdf")
NOISE = random.Random(9).randbytes(40_000)


def original(name: str) -> bytes:
    path = ORIGINALS / name
    if not path.exists():
        pytest.skip("forensics-samples-files is not installed")
    return path.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_documents_of_libreoffice(exact, cuts, name: str) -> None:
    content = original(name)
    found = exact("pdf", content)
    assert found.confidence == 1.0
    assert found.title == ("PDF document, encrypted" if "pass" in name else "")
    cuts("pdf", content.rstrip())  # without its end of line it is still whole


QPDF = {
    "linearized": ["--linearize"],
    "linearized, object streams": ["--object-streams=generate", "--linearize"],
    "object streams": ["--object-streams=generate"],
    "plain": ["--qdf"],
    "encrypted": ["--encrypt", "a", "b", "256", "--"],
}


@pytest.mark.parametrize("way", QPDF)
def test_documents_of_qpdf(exact, cuts, tmp_path: Path, way: str) -> None:
    if shutil.which("qpdf") is None:
        pytest.skip("qpdf is not installed")
    (tmp_path / "in.pdf").write_bytes(original(NAMES[0]))
    subprocess.run(["qpdf", *QPDF[way], "in.pdf", "out.pdf"], cwd=tmp_path, check=True)
    content = (tmp_path / "out.pdf").read_bytes()
    assert exact("pdf", content).title == ("PDF document, encrypted" if way == "encrypted" else "")
    cuts("pdf", content.rstrip())  # without its end of line it is still whole


def test_a_document_inside_a_document_is_part_of_it(exact, tmp_path: Path) -> None:
    if shutil.which("qpdf") is None:
        pytest.skip("qpdf is not installed")
    (tmp_path / "in.pdf").write_bytes(original(NAMES[0]))
    (tmp_path / "attached.pdf").write_bytes(original(NAMES[3]))
    command = ["qpdf", "--stream-data=uncompress", "--add-attachment", "attached.pdf", "--", "in.pdf", "out.pdf"]
    subprocess.run(command, cwd=tmp_path, check=True)
    content = (tmp_path / "out.pdf").read_bytes()
    assert content.count(b"%PDF-") == 2
    exact("pdf", content)


@pytest.mark.parametrize("linear", [False, True])
def test_incremental_updates_belong_to_the_file(exact, measure, tmp_path: Path, linear: bool) -> None:
    pypdf = pytest.importorskip("pypdf", reason="pypdf writes the incremental updates")
    path = tmp_path / "0.pdf"
    path.write_bytes(original(NAMES[0]))
    if linear:
        if shutil.which("qpdf") is None:
            pytest.skip("qpdf is not installed")
        subprocess.run(["qpdf", "--linearize", "--replace-input", str(path)], check=True)
    sizes = [path.stat().st_size]
    for i in range(2):
        writer = pypdf.PdfWriter(str(path), incremental=True)
        writer.add_blank_page(100, 100)
        path = tmp_path / f"{i + 1}.pdf"
        writer.write(str(path))
        sizes.append(path.stat().st_size)
    content = path.read_bytes()
    assert content.count(b"%%EOF") >= 3
    exact("pdf", content)
    cut = measure("pdf", content[: sizes[1] + 200] + NOISE)  # the last update is lost: the document before it is whole
    assert cut is not None and cut.length == sizes[1]


def test_the_first_section_of_a_linearized_document_is_not_the_whole(measure, tmp_path: Path) -> None:
    if shutil.which("qpdf") is None:
        pytest.skip("qpdf is not installed")
    (tmp_path / "in.pdf").write_bytes(original(NAMES[0]))
    subprocess.run(["qpdf", "--linearize", "in.pdf", "out.pdf"], cwd=tmp_path, check=True)
    content = (tmp_path / "out.pdf").read_bytes()
    first = content.index(b"%%EOF")
    table = content.index(b"xref\n")
    pointed = content[:first].replace(b"startxref\n0\n", b"startxref\n%d\n" % table) + content[first:]  # as some writers do
    for cut in (content[:9000], pointed[:9000]):
        found = measure("pdf", cut + NOISE)
        assert found is not None and not found.complete


@pytest.mark.parametrize("end", [b"%%EOF", b"%%EOF\n", b"%%EOF\r\n", b"%%EOF\r"])
def test_one_end_of_line_belongs_to_the_file(exact, end: bytes) -> None:
    content = original(NAMES[0])
    assert content.endswith(b"%%EOF\n")
    exact("pdf", content[:-6] + end)


def test_a_document_with_a_wrong_startxref_is_found_with_less_confidence(measure) -> None:
    content = original(NAMES[0])
    at = content.rindex(b"startxref")
    wrong = content[:at] + b"startxref\n99\n%%EOF\n"
    found = measure("pdf", wrong + NOISE)
    assert found is not None and found.length == len(wrong) and found.confidence < 0.7


def test_a_second_document_is_not_swallowed_when_the_first_is_cut(measure) -> None:
    first, second = original(NAMES[0]), original(NAMES[3])
    for keep in (len(first) // 2, len(first) - 10):
        found = measure("pdf", first[:keep] + bytes(-keep % 512) + second)
        assert found is None or (not found.complete and found.length <= keep)
