"""Windows formats against real files, and against tools where one exists."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

NOISE = random.Random(2).randbytes(80_000)
CHUNK = 65_536


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["evtx/security.evtx", "evtx/new-user-security.evtx", "evtx/system.evtx"])
def test_event_logs(exact, cuts, corpus: Path, name: str) -> None:
    content = (corpus / name).read_bytes()
    exact("evtx", content)
    used = 4096 + struct.unpack_from("<H", content, 42)[0] * CHUNK
    cuts("evtx", content[:used], blind=CHUNK)  # a chunk with foreign records still has its header


@pytest.mark.corpus
def test_a_log_whose_header_is_stale_is_counted_by_its_chunks(measure, corpus: Path) -> None:
    content = bytearray((corpus / "evtx/security.evtx").read_bytes())
    content[16:24], content[42:44] = (3).to_bytes(8, "little"), (4).to_bytes(2, "little")
    content[124:128] = zlib.crc32(content[:120]).to_bytes(4, "little")
    found = measure("evtx", bytes(content))
    assert found is not None and found.complete and found.length == len(content)


@pytest.mark.corpus
def test_chunks_without_their_file(exact, cuts, measure, corpus: Path) -> None:
    content = (corpus / "evtx/security.evtx").read_bytes()
    for i in (0, 7, 25):
        chunk = content[4096 + i * CHUNK : 4096 + (i + 1) * CHUNK]
        assert exact("evtx-chunk", chunk).confidence == 1.0
    spoiled = bytearray(chunk)
    spoiled[600] ^= 1
    found = measure("evtx-chunk", bytes(spoiled))
    assert found is not None and found.confidence < 1.0 and found.length == CHUNK
    spoiled[200] ^= 1
    assert measure("evtx-chunk", bytes(spoiled)) is None


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/winreg/Amcache.hve", "registry/Registry.Test/Hives/SECURITY", "plaso/NTUSER-WIN7.DAT"])
def test_hives(exact, cuts, measure, corpus: Path, name: str) -> None:
    content = (corpus / name).read_bytes()
    content = content[: 4096 + struct.unpack_from("<I", content, 40)[0]]
    exact("regf", content)
    cuts("regf", content, blind=4096)
    half = content[: len(content) // 8192 * 4096]
    found = measure("regf", half + NOISE)
    assert found is not None and not found.complete and found.length <= len(half)


@pytest.mark.corpus
def test_a_hive_with_one_spoiled_bin_keeps_the_rest(measure, corpus: Path) -> None:
    content = bytearray((corpus / "plaso/winreg/Amcache.hve").read_bytes())
    size = 4096 + struct.unpack_from("<I", content, 40)[0]
    at = content.index(b"hbin", 100_000)
    content[at : at + 4] = b"XXXX"
    found = measure("regf", bytes(content[:size]))
    assert found is not None and found.complete and found.length == size and found.confidence < 0.7


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/SystemIdentity.mdb", "go-ese/qmgr.db"])
def test_ese_databases(exact, cuts, corpus: Path, name: str) -> None:
    content = (corpus / name).read_bytes()
    exact("ese", content)
    cuts("ese", content, blind=len(content))  # the pages at the end may be zero: any bytes


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/Catalog1.edb", "go-ese/SRUM/SRUDB.dat"])
def test_what_lies_behind_the_owned_pages_of_a_database_is_zero(measure, corpus: Path, name: str) -> None:
    content = (corpus / name).read_bytes()
    found = measure("ese", content)
    assert found is not None and found.complete and not any(content[found.length :])


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/example.lnk", "plaso/NeroInfoTool.lnk"])
def test_shell_links(exact, cuts, corpus: Path, name: str) -> None:
    content = (corpus / name).read_bytes()
    exact("lnk", content)
    cuts("lnk", content, blind=8)


@pytest.mark.corpus
def test_prefetch(exact, cuts, corpus: Path) -> None:
    files = sorted((corpus / "prefetch").rglob("*.pf"))
    plain = [content for content in map(Path.read_bytes, files) if content[4:8] == b"SCCA"]
    assert len(plain) > 40
    for content in plain[::9]:
        exact("prefetch", content)
        cuts("prefetch", content, blind=len(content))  # the content of its parts is not looked at


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("plaso/Document.doc", "doc"),
        ("plaso/automaticDestinations-ms/1b4dd67f29cb1962.automaticDestinations-ms", "automaticDestinations-ms"),
        ("dtformats/1b4dd67f29cb1962.automaticDestinations-ms", "automaticDestinations-ms"),
    ],
)
def test_compound_files(exact, cuts, corpus: Path, name: str, extension: str) -> None:
    content = (corpus / name).read_bytes()
    assert exact("ole", content).extension == extension
    cuts("ole", content, blind=len(content))  # the content of streams is not looked at


def test_installer_packages(exact, tmp_path: Path) -> None:
    if shutil.which("msibuild") is None:
        pytest.skip("msitools is not installed")
    subprocess.run(["msibuild", "a.msi", "-s", "a title"], cwd=tmp_path, check=True, capture_output=True)
    assert exact("ole", (tmp_path / "a.msi").read_bytes()).extension == "msi"


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/wrc-test-wevt_template.dll", "registry/Registry.Test/Hives/NotAHive"])
def test_executables(exact, cuts, corpus: Path, name: str) -> None:
    content = (corpus / name).read_bytes()
    found = exact("pe", content)
    assert found.extension in ("dll", "exe")
    cuts("pe", content, blind=len(content))  # without a checksum the content of sections is not looked at


def test_programs_of_this_machine(exact, cuts) -> None:
    path = Path("/bin/ls")
    if not path.exists() or path.read_bytes()[:4] != b"\x7fELF":
        pytest.skip("/bin/ls is no ELF program")
    content = path.read_bytes()
    assert exact("elf", content).title == "ELF program"
    cuts("elf", content, blind=64)  # the last entry of the section table


def test_objects_of_the_compiler(exact, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    (tmp_path / "a.c").write_text("int f(void) { return 1; } int main(void) { return f(); }")
    for options, extension in ((["-c"], "o"), (["-shared", "-fPIC"], "so"), (["-static"], "elf"), (["-s"], "elf")):
        subprocess.run(["gcc", *options, "a.c", "-o", "out"], cwd=tmp_path, check=True, capture_output=True)
        assert exact("elf", (tmp_path / "out").read_bytes()).extension == extension


@pytest.mark.parametrize("count", [1, 3, 300, 30_000])
def test_property_lists_of_python(exact, cuts, count: int) -> None:
    import datetime
    import plistlib

    value = {
        "numbers": list(range(count)),
        "text": ["a", "ü" * 20, "x" * 400],
        "real": 1.5,
        "data": NOISE[:3000],
        "when": datetime.datetime(2020, 1, 1),
        "yes": True,
        "id": plistlib.UID(7),
    }
    content = plistlib.dumps(value, fmt=plistlib.FMT_BINARY)
    assert exact("bplist", content).confidence == 1.0
    cuts("bplist", content)
