"""ZIP carving against archives that zipfile, 7-Zip and office programs wrote."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

TEXT = b"".join(b"line %d of a text that compresses\n" % i for i in range(2000))
NOISE = random.Random(3).randbytes(30_000)
ORIGINALS = Path("/usr/share/forensics-samples/original-files")


class Pipe(io.RawIOBase):
    """A file that cannot seek: zipfile then writes data descriptors."""

    def __init__(self) -> None:
        self.made = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.made += bytes(data)
        return len(bytes(data))


def archive(
    members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"", zip64: bool = False, pipe: bool = False
) -> bytes:
    out = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else method
            with made.open(info, "w", force_zip64=zip64) as member:
                member.write(content)
        made.comment = comment
    return bytes(out.made) if isinstance(out, Pipe) else out.getvalue()


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_every_way_zipfile_writes(exact, cuts, method: int, pipe: bool, zip64: bool) -> None:
    made = archive({"a.txt": TEXT, "noise.bin": NOISE, "empty": b"", "d/e.txt": TEXT * 3}, method, zip64=zip64, pipe=pipe)
    found = exact("zip", made)
    assert found.confidence == 1.0
    assert found.extension == ""
    cuts("zip", made)


def test_a_comment_belongs_to_the_file(exact) -> None:
    exact("zip", archive({"a": TEXT}, comment=b"a comment\r\nwith PK in it " * 30))
    exact("zip", archive({"a": TEXT}, comment=b"aff4://685e15cc-d0fb-4dbc-ba47-48117fc77044\0"))


def test_a_comment_that_is_no_text_is_left_out(measure) -> None:
    made = archive({"a": TEXT})
    found = measure("zip", made[:-2] + b"\x00\x10" + NOISE)
    assert found is not None and not found.complete and found.length == len(made)


@pytest.mark.parametrize("pipe", [False, True])
def test_inner_archives_belong_to_the_outer(exact, pipe: bool) -> None:
    inner = archive({"in.txt": TEXT, "b": NOISE}, pipe=pipe)
    exact("zip", archive({"inner.zip": inner, "again.zip": inner, "after.txt": TEXT}, zipfile.ZIP_STORED, pipe=pipe))


KINDS = {
    "docx": {"[Content_Types].xml": TEXT, "word/document.xml": TEXT},
    "docm": {"[Content_Types].xml": TEXT, "word/document.xml": TEXT, "word/vbaProject.bin": NOISE},
    "xlsx": {"[Content_Types].xml": TEXT, "xl/workbook.xml": TEXT},
    "pptx": {"[Content_Types].xml": TEXT, "ppt/presentation.xml": TEXT},
    "odt": {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": TEXT},
    "ods": {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": TEXT},
    "odp": {"mimetype": b"application/vnd.oasis.opendocument.presentation", "content.xml": TEXT},
    "odg": {"mimetype": b"application/vnd.oasis.opendocument.graphics", "content.xml": TEXT},
    "epub": {"mimetype": b"application/epub+zip", "META-INF/container.xml": TEXT},
    "apk": {"AndroidManifest.xml": NOISE, "classes.dex": NOISE, "META-INF/MANIFEST.MF": TEXT},
    "jar": {"META-INF/MANIFEST.MF": TEXT, "A.class": NOISE},
    "xps": {"[Content_Types].xml": TEXT, "FixedDocSeq.fdseq": TEXT},
    "kmz": {"doc.kml": TEXT},
    "ipa": {"Payload/A.app/Info.plist": TEXT},
    "": {"word/document.xml": TEXT},
}


@pytest.mark.parametrize("extension", KINDS)
def test_the_kind_comes_from_the_content(exact, extension: str) -> None:
    assert exact("zip", archive(KINDS[extension])).extension == extension


def test_an_apk_signing_block_is_no_gap(exact) -> None:
    made = archive(KINDS["apk"])
    at = made.index(b"PK\1\2")
    pairs = struct.pack("<QI", 4 + len(NOISE), 0x7109871A) + NOISE
    size = len(pairs) + 24
    block = struct.pack("<Q", size) + pairs + struct.pack("<Q", size) + b"APK Sig Block 42"
    end = made.rindex(b"PK\5\6")
    moved = made[:at] + block + made[at:end] + made[end : end + 16] + struct.pack("<I", at + len(block)) + made[end + 20 :]
    assert exact("zip", moved).extension == "apk"


def test_the_members_before_a_cut_come_back(measure) -> None:
    made = archive({"a": TEXT, "b": NOISE, "c": TEXT})
    third = made.index(b"PK\3\4", made.index(b"PK\3\4", 4) + 4)
    found = measure("zip", made[: third + 40] + NOISE)
    assert found is not None and not found.complete and found.length == third
    one = measure("zip", made[: made.index(b"PK\3\4", 4)] + NOISE)
    assert one is not None and not one.complete and one.length == made.index(b"PK\3\4", 4)


def test_a_later_member_alone_is_not_the_archive(measure) -> None:
    made = archive({"a": TEXT, "b": NOISE, "c": TEXT})
    found = measure("zip", made[made.index(b"PK\3\4", 4) :] + NOISE)
    assert found is not None and not found.complete


def test_members_behind_a_stub(measure) -> None:
    stub = b"#!/bin/sh\nexec java -jar $0\n"
    out = io.BytesIO(stub)
    out.seek(0, 2)
    with zipfile.ZipFile(out, "a") as made:
        made.writestr("a.txt", TEXT)
    found = measure("zip", out.getvalue()[len(stub) :] + NOISE)
    assert found is not None and found.complete and found.length == len(out.getvalue()) - len(stub)


@pytest.mark.parametrize("options", [["-mm=Copy"], ["-mm=Deflate64"], ["-psecret", "-mem=AES256"], ["-psecret"]])
def test_archives_of_7zip(exact, tmp_path: Path, options: list[str]) -> None:
    if shutil.which("7z") is None:
        pytest.skip("7z is not installed")
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "b.bin").write_bytes(NOISE)
    subprocess.run(["7z", "a", "-bd", "-tzip", *options, "out.zip", "a.txt", "b.bin"], cwd=tmp_path, check=True, capture_output=True)
    exact("zip", (tmp_path / "out.zip").read_bytes())


@pytest.mark.parametrize(
    ("name", "extension"),
    [("text1/a-text.docx", "docx"), ("text1/a-text.odt", "odt"), ("text2/d-text.docx", "docx"), ("text2/d-text.odt", "odt")],
)
def test_office_documents(exact, cuts, name: str, extension: str) -> None:
    path = ORIGINALS / name
    if not path.exists():
        pytest.skip("forensics-samples-files is not installed")
    assert exact("zip", path.read_bytes()).extension == extension
    cuts("zip", path.read_bytes())
