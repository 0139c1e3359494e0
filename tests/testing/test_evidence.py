"""Built disks, read back by The Sleuth Kit, sgdisk, ewfverify and debugfs: programs that did not make them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiclib.core.errors import MissingSupport, UsageError
from forensiclib.testing.evidence import Built, File, Plan, Raw, Truth, Volume, build
from forensiclib.testing.hives import REG_BINARY, REG_SZ, hive
from forensiclib.testing.makefs import KINDS, tool
from forensiclib.testing.partitions import ALIGN

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "evidence"
SIZES = {"fat12": (2 << 20, 0), "fat16": (4 << 20, 512), "fat32": (36 << 20, 0), "exfat": (8 << 20, 0), "ntfs": (4 << 20, 0)}


def make(plan: Plan, folder: Path) -> Built:
    try:
        return build(plan, folder)
    except MissingSupport as missing:
        pytest.skip(str(missing))


def run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def contents(image: object, start: int) -> Iterator[tuple[str, str, bool, bytes]]:
    """(path, stream, allocated, bytes) of every file with data that The Sleuth Kit sees in a volume."""
    pytsk3 = pytest.importorskip("pytsk3")
    fs = pytsk3.FS_Info(image, start)

    def walk(directory: object, at: str) -> Iterator[tuple[str, str, bool, bytes]]:
        for entry in directory:  # type: ignore[attr-defined]
            name = entry.info.name.name.decode()
            if name in (".", "..") or name == "$OrphanFiles":
                continue
            if entry.info.meta is None:  # a deleted name whose record counts one reuse more
                entry = fs.open_meta(entry.info.name.meta_addr)
            live = not int(entry.info.meta.flags) & int(pytsk3.TSK_FS_META_FLAG_UNALLOC)
            if entry.info.meta.type == pytsk3.TSK_FS_META_TYPE_DIR:
                yield from walk(entry.as_directory(), f"{at}{name}/")
                continue
            for attribute in entry:
                if attribute.info.type in (pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA, pytsk3.TSK_FS_ATTR_TYPE_DEFAULT):
                    size, stream = attribute.info.size, (attribute.info.name or b"").decode()
                    data = entry.read_random(0, size, attribute.info.type, attribute.info.id) if size else b""
                    yield at + name, stream.removeprefix("$Data"), live, data

    yield from walk(fs.open_dir("/"), "")


def digests(image: object, start: int, *, allocated: bool) -> set[tuple[str, str, str]]:
    found = contents(image, start)
    return {(p, s, hashlib.md5(d, usedforsecurity=False).hexdigest()) for p, s, live, d in found if live is allocated}


@pytest.mark.drivers
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_back(kind: str, tmp_path: Path) -> None:
    pytsk3 = pytest.importorskip("pytsk3")
    size, cluster = SIZES.get(kind, (4 << 20, 0))
    files = [
        File("a.txt", b"hello " * 300),
        File("folder/below/b.bin", bytes(range(256)) * 41),
        File("folder/gone.txt", b"deleted " * 1000, deleted=True),
        File("empty"),
    ]
    if kind == "ntfs":
        files.append(File("folder/two.txt", b"main", {"hidden": b"secret " * 200}))
    built = make(Plan((Volume(kind, size, tuple(files), "DATA", cluster),)), tmp_path)
    assert built.starts == (ALIGN,)
    image = pytsk3.Img_Info(str(built.image))
    live = {(t.path, t.stream, t.md5) for t in built.truth if t.state == "allocated"}
    assert live <= digests(image, built.starts[0], allocated=True)
    # The deleted file's bytes are still on the disk, and no allocated entry has them.
    gone = next(t for t in built.truth if t.state == "deleted")
    assert gone.md5 not in {md5 for _, _, md5 in digests(image, built.starts[0], allocated=True)}
    assert b"deleted " * 100 in built.image.read_bytes()


@pytest.mark.drivers
def test_gpt_is_valid_to_sgdisk(tmp_path: Path) -> None:
    volume = Volume("fat12", 2 << 20, (File("a", b"a"),), "A", 0)
    built = make(Plan((volume, volume, Volume("ext2", 2 << 20, (), "C"))), tmp_path)
    assert "No problems found" in run("sgdisk", "--verify", str(built.image))
    printed = run("sgdisk", "--print", str(built.image))
    assert [line.split()[1:3] for line in printed.splitlines()[-3:]] == [["2048", "6143"], ["6144", "10239"], ["10240", "14335"]]


@pytest.mark.drivers
def test_mbr_raw_slack_streams_and_acquisition(tmp_path: Path) -> None:
    files = (File("list.txt", b"bread " * 200, slack=b"SECRET SLACK " * 50), File("n.txt", b"x" * 900, {"ads": b"y" * 900}))
    plan = Plan((Volume("ntfs", 4 << 20, files, "W"),), scheme="mbr", raw=(Raw("left", 4096, b"LEFTOVER" * 64),), tail=64 << 10, e01=True)
    built = make(plan, tmp_path)
    assert built.e01 is not None
    assert "SUCCESS" in run("ewfverify", "-q", str(built.e01))
    raw = built.image.read_bytes()
    assert b"SECRET SLACK " * 40 in raw
    assert raw[(5 << 20) + 4096 :][:8] == b"LEFTOVER"
    assert "NTFS" in run("mmls", str(built.image))
    lines = (tmp_path / "disk.truth.tsv").read_text().splitlines()
    assert [tuple(line.split("\t"))[2:5] for line in lines[1:]] == [
        ("list.txt", "", "allocated"), ("list.txt", "", "slack"), ("n.txt", "", "allocated"), ("n.txt", "ads", "allocated"),
        ("left", "", "slack"),
    ]  # fmt: skip


@pytest.mark.drivers
@pytest.mark.parametrize("kind", ["fat12", "fat16", "fat32", "ext2", "ext4"])
def test_the_same_plan_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    size, cluster = SIZES.get(kind, (4 << 20, 0))
    plan = Plan((Volume(kind, size, (File("a/b.txt", b"b" * 5000), File("c", b"c", deleted=True)), "D", cluster),))
    one, two = (make(plan, tmp_path / name).image.read_bytes() for name in ("one", "two"))
    assert hashlib.sha1(one).digest() == hashlib.sha1(two).digest()


@pytest.mark.drivers
def test_a_disk_without_a_table(tmp_path: Path) -> None:
    pytsk3 = pytest.importorskip("pytsk3")
    built = make(Plan((Volume("fat12", 2 << 20, (File("a.txt", b"hello"),)),), scheme="none"), tmp_path)
    assert built.starts == (0,) and built.image.stat().st_size == 2 << 20
    found = {(path, data) for path, _, _, data in contents(pytsk3.Img_Info(str(built.image)), 0)}
    assert ("a.txt", b"hello") in found


@pytest.mark.drivers
def test_ntfs_without_mounting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytsk3 = pytest.importorskip("pytsk3")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    files = (File("a.txt", b"hello " * 400, {"hidden": b"secret"}), File("b", b"b"))
    built = make(Plan((Volume("ntfs", 4 << 20, files),), scheme="none"), tmp_path)
    live = {(t.path, t.stream, t.md5) for t in built.truth}
    assert live <= digests(pytsk3.Img_Info(str(built.image)), 0, allocated=True)
    with pytest.raises(MissingSupport, match="root"):
        build(Plan((Volume("ntfs", 4 << 20, (File("a/b", b""),)),)), tmp_path)


def test_wrong_plans_are_the_callers_fault(tmp_path: Path) -> None:
    for plan in (
        Plan((Volume("zfs", 1 << 20),)),
        Plan((Volume("fat12", 1000),)),
        Plan((Volume("fat12", 1 << 20),), scheme="apm"),
        Plan((Volume("fat12", 1 << 20), Volume("fat12", 1 << 20)), scheme="none"),
        Plan((Volume("fat12", 1 << 20),), raw=(Raw("x", 0, b"x"),)),
    ):
        with pytest.raises(UsageError):
            build(plan, tmp_path)
    with pytest.raises(MissingSupport, match="apt install some-package"):
        tool("no-such-program", "some-package")


@pytest.mark.drivers
def test_streams_cannot_be_made_on_fat(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="alternate streams"):
        build(Plan((Volume("fat12", 2 << 20, (File("a", b"", {"s": b"x"}),)),)), tmp_path)


@pytest.mark.drivers
def test_hives_read_back_with_libregf_and_regipy(tmp_path: Path) -> None:
    text = "C:\\x.exe\0".encode("utf-16-le")
    try:
        data = hive({"Software\\Run": {"Sync": (REG_SZ, text), "": (REG_BINARY, bytes(range(40)))}}, 134_116_992_000_000_000)
    except MissingSupport as missing:
        pytest.skip(str(missing))
    (tmp_path / "hive").write_bytes(data)
    pyregf = pytest.importorskip("pyregf", reason="libregf-python is not installed")
    file = pyregf.file()
    file.open(str(tmp_path / "hive"))
    key = file.get_key_by_path("\\Software\\Run")
    assert {v.name: v.data for v in key.values} == {"Sync": text, None: bytes(range(40))}
    assert not file.is_corrupted()
    registry = pytest.importorskip("regipy.registry", reason="regipy is not installed")
    values = registry.RegistryHive(str(tmp_path / "hive")).get_key("\\Software\\Run").get_values()
    assert {v.name for v in values} >= {"Sync"}


def truth_of_example() -> list[Truth]:
    rows = [line.split("\t") for line in (EXAMPLE / "example.truth.tsv").read_text().splitlines()[1:]]
    return [Truth(int(r[0]), r[1], r[2], r[3], r[4], int(r[5]), r[6], r[7]) for r in rows]


def test_the_example_is_small_and_holds_what_it_says(tmp_path: Path) -> None:
    image = EXAMPLE / "example.E01"
    assert image.stat().st_size <= 1 << 20
    pytsk3 = pytest.importorskip("pytsk3")
    run("ewfexport", "-u", "-q", "-f", "raw", "-t", str(tmp_path / "disk"), str(image))
    raw = tmp_path / "disk.raw"
    disk, truth = raw.read_bytes(), truth_of_example()
    tsk = pytsk3.Img_Info(os.fspath(raw))
    for number, start in ((1, 1 << 20), (2, 4 << 20)):
        live = {(t.path, t.stream, t.md5) for t in truth if t.volume == number and t.state == "allocated"}
        assert live <= digests(tsk, start, allocated=True)
        # Deleted ones: FAT has lost the first letter of the name.
        gone = {t.md5 for t in truth if t.volume == number and t.state == "deleted"}
        assert gone and gone <= {md5 for _, _, md5 in digests(tsk, start, allocated=False)}
    tail = disk[8 << 20 :]
    for t in truth:
        if t.volume == 0:
            assert any(hashlib.md5(tail[at : at + t.size]).hexdigest() == t.md5 for at in range(0, len(tail), 512))
    assert b"ACCOUNT 12-34-56" in disk
    assert {t.state for t in truth} == {"allocated", "deleted", "slack"}
