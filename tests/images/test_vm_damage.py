"""Virtual disks that are damaged, incomplete or hostile: the right error or finding, and no wrong byte where a checksum exists."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, NotThisFormat, Truncated
from forensiclib.images._family import base_name
from tests.images import disks
from tests.images.disks import MIB, SIZE, content, qemu
from tests.images.test_vm_disks import opened, whole


def _flip(path: Path, at: int, bits: int = 1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= bits
    path.write_bytes(raw)


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


# ---- VMDK


def test_a_damaged_grain_directory_gives_way_to_its_backup(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-monolithicSparse", content())
    at = int.from_bytes(path.read_bytes()[56:64], "little") * 512
    _flip(path, at + 2, 0x7F)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content()
    assert len(found) == 1 and "the backup is used" in found[0]


def test_a_damaged_grain_table_gives_way_to_its_backup(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-monolithicSparse", content())
    raw = path.read_bytes()
    directory = int.from_bytes(raw[56:64], "little") * 512
    table = int.from_bytes(raw[directory : directory + 4], "little") * 512
    _flip(path, table + 7, 0x40)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and len(found) == 1 and "the backup is used" in found[0]
    _flip(path, table + 7, 0x40)
    _flip(path, table + 4 * 3, 0xFF)  # plausible, and not what the backup says
    _, found = opened(path)
    assert len(found) == 1 and "table 0" in found[0]


def test_an_unclean_disk_is_a_finding(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-monolithicSparse", content())
    _flip(path, 72)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and "not closed" in found[0]


def test_a_stream_without_its_end_is_read_by_its_markers(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-streamOptimized", content())
    raw = bytearray(path.read_bytes())
    # As VMware writes streams: the directory is named by a footer at the end only.
    footer = bytearray(raw[:512])
    raw[56:64] = b"\xff" * 8
    marker = struct.pack("<QII", 1, 0, 3).ljust(512, b"\0")
    path.write_bytes(bytes(raw).ljust(-(-len(raw) // 512) * 512, b"\0") + marker + bytes(footer) + bytes(512))
    assert whole(path) == content()
    grains = [s for s in opened(path)[0].trace(0, SIZE) if s.root]
    _cut(path, grains[-1].start + 100)
    image, found = opened(path)
    assert "markers" in image.run.findings[0].where or "footer" in found[0]
    last = len(content().rstrip(b"\0"))
    good = (last - 1) // 65536 * 65536
    assert image.read_at(0, good) == content()[:good]
    with pytest.raises(Truncated, match="breaks off"):
        image.read_at(good, 65536)


def test_a_flipped_bit_in_a_compressed_grain_is_never_returned(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-streamOptimized", content())
    span = next(s for s in opened(path)[0].trace(0, SIZE) if s.root)
    _flip(path, span.start + span.length // 2)
    with pytest.raises(Corrupt, match="grain"):
        opened(path)[0].read_at(0, SIZE)
    _flip(path, span.start + span.length // 2)
    _flip(path, span.start - 12)  # its sector number
    with pytest.raises(Corrupt, match="marker"):
        opened(path)[0].read_at(0, SIZE)


def test_a_missing_extent_is_named(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-twoGbMaxExtentSparse", content())
    (tmp_path / "disk-s001.vmdk").rename(tmp_path / "elsewhere.vmdk")
    with pytest.raises(Truncated, match=r"disk-s001\.vmdk"):
        opened(path)


def test_an_extent_without_its_descriptor_says_so(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vmdk-twoGbMaxExtentSparse", content())
    assert whole(tmp_path / "disk-s001.vmdk") == content()
    path.unlink()
    image, found = opened(tmp_path / "disk-s001.vmdk")
    assert image.read_at(0, SIZE) == content() and "descriptor" in found[0]


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "..\\secret.raw", "C:secret.raw", "sub/../../secret.raw", "..", ""])
def test_a_hostile_extent_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.raw").write_bytes(b"secret" * 1000)
    folder = tmp_path / "evidence"
    folder.mkdir()
    path = disks.descriptor(folder / "x.vmdk", "monolithicFlat", [f'RW 8 FLAT "{name}" 0'])
    with pytest.raises(Truncated, match="is not beside"):
        opened(path)
    os.symlink(tmp_path / "secret.raw", folder / "secret.raw")
    os.symlink("/etc/passwd", folder / "passwd")
    with pytest.raises(Truncated, match="is not beside"):
        opened(path)


def test_only_the_last_part_of_a_stated_path_counts() -> None:
    paths = {"a/b.vmdk": "b.vmdk", "C:\\x\\b.vmdk": "b.vmdk", "C:b": "b", "..": "", "a/..": "", "x\0": "x", "a\0b": "", " b ": "b"}
    assert {p: base_name(p) for p in paths} == paths


# ---- parents


def test_a_parent_elsewhere_is_opened_by_listing_both(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir(), away.mkdir()
    base = disks.made(away, "vpc-dynamic", content())
    disks.vhd_child(base, home / "child.vhd", {3: b"x" * 512})
    with pytest.raises(EvidenceError, match=r"disk\.vhd.*list both paths"):
        opened(home / "child.vhd")
    want = content()[:1536] + b"x" * 512 + content()[2048:]
    assert whole(home / "child.vhd", base) == want
    renamed = base.rename(away / "other-name.vhd")
    assert whole(home / "child.vhd", renamed) == want


def test_a_parent_of_another_identity_is_refused(tmp_path: Path) -> None:
    base = disks.made(tmp_path, "vpc-dynamic", content())
    disks.vhd_child(base, tmp_path / "child.vhd", {3: b"x" * 512})
    base.unlink()
    disks.made(tmp_path, "vpc-dynamic", content(9))
    with pytest.raises(Corrupt, match="the child wants"):
        opened(tmp_path / "child.vhd")
    base = disks.made(tmp_path, "vhdx-1M", content())
    disks.vhdx_child(base, tmp_path / "child.vhdx", {3: b"x" * 512})
    disks.made(tmp_path, "vhdx-1M", content(9))
    with pytest.raises(Corrupt, match="the child wants"):
        opened(tmp_path / "child.vhdx")
    base.unlink()
    with pytest.raises(Truncated, match=r"disk\.vhdx.*data write GUID"):
        opened(tmp_path / "child.vhdx")
    base = disks.made(tmp_path, "vdi-dynamic", content())
    disks.vdi_child(base, tmp_path / "child.vdi", {1: b"x"})
    _flip(base, 410)  # the UUID of its last modification
    assert "was changed since" in opened(tmp_path / "child.vdi")[1][0]
    base.unlink()
    with pytest.raises(Truncated, match="the disk with the UUID"):
        opened(tmp_path / "child.vdi")


def test_a_disk_upon_itself_and_a_chain_without_end(tmp_path: Path) -> None:
    qemu("create", "-f", "qcow2", "a.qcow2", "1M", cwd=tmp_path)
    qemu("create", "-f", "qcow2", "-u", "-b", "a.qcow2", "-F", "qcow2", "b.qcow2", "1M", cwd=tmp_path)
    qemu("rebase", "-u", "-b", "b.qcow2", "-F", "qcow2", "a.qcow2", cwd=tmp_path)
    with pytest.raises(Corrupt, match="comes back to itself"):
        opened(tmp_path / "a.qcow2")
    raw = (tmp_path / "b.qcow2").read_bytes()
    for i in range(140):
        (tmp_path / f"{i:03d}.qc").write_bytes(raw.replace(b"a.qcow2", b"%03d.qc\0" % (i + 1), 1))
    patched = bytearray((tmp_path / "000.qc").read_bytes())
    assert struct.unpack_from(">I", patched, 16)[0] == 7
    for i in range(140):
        patched = bytearray((tmp_path / f"{i:03d}.qc").read_bytes())
        struct.pack_into(">I", patched, 16, 6)
        (tmp_path / f"{i:03d}.qc").write_bytes(patched)
    with pytest.raises(LimitExceeded, match="layers"):
        opened(tmp_path / "000.qc")


def test_a_listed_file_that_is_no_part_is_a_note(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vdi-dynamic", content())
    (tmp_path / "other.txt").write_text("x")
    assert "was not read" in opened(path, tmp_path / "other.txt")[1][0]


# ---- VHD and VHDX


def test_a_vhd_lives_without_one_of_its_footers(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vpc-dynamic", content())
    whole_file = path.read_bytes()
    _flip(path, len(whole_file) - 512 + 50)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and len(found) == 1 and "checksum" in found[0]
    path.write_bytes(whole_file)
    _flip(path, 50)
    assert len(opened(path)[1]) == 1
    _cut(path, len(whole_file) - 512)
    path.write_bytes(whole_file[:-512])
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and "cut short" in found[0]


def test_a_fixed_vhd_is_known_by_its_end_whatever_its_name(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vpc-fixed", content()).rename(tmp_path / "disk.bin")
    image, found = opened(path)
    assert image.format == "vhd" and not found and image.size == SIZE
    raw = path.read_bytes()
    path.write_bytes(raw[:MIB] + raw[-512:])
    image, found = opened(path)
    assert "footer says" in found[0] and image.read_at(0, MIB) == content()[:MIB]
    with pytest.raises(Truncated):
        image.read_at(MIB - 512, 1024)


def test_a_vhdx_lives_without_one_of_each_pair(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vhdx-1M", content())
    for at in (0x10000, 0x30000):
        _flip(path, at + 20)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and len(found) == 2
    _flip(path, 0x20000 + 20)
    with pytest.raises(Corrupt, match="headers"):
        opened(path)


def test_a_vhdx_log_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "vhdx-1M", content())
    place = opened(path)[0].trace(0, 512)[0].start
    raw = path.read_bytes()
    disks.vhdx_log(path, [[(place, b"\1" * 4096)]])
    changed = path.read_bytes()
    at = next(i for i in range(0, len(raw), 4096) if raw[i : i + 4096] != changed[i : i + 4096] and changed[i : i + 4] == b"loge")
    _flip(path, at + 5000)
    with pytest.raises(Corrupt, match="VHDX log"):
        opened(path)


# ---- QCOW


def test_a_damaged_compressed_cluster_is_corrupt_and_marks_are_findings(tmp_path: Path) -> None:
    path = disks.made(tmp_path, "qcow2-zstd", content())
    span = next(s for s in opened(path)[0].trace(0, SIZE) if s.via == ("zstd",))
    _flip(path, span.start, 0xFF)
    with pytest.raises(EvidenceError, match="cluster"):
        opened(path)[0].read_at(0, SIZE)
    path = disks.made(tmp_path, "qcow2-1.1", content())
    _flip(path, 79, 3)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content()
    assert len(found) == 2 and "corrupt" in found[0] and "not closed" in found[1]
    _flip(path, 78, 0x80)
    with pytest.raises(EvidenceError, match="must be understood"):
        opened(path)


def test_a_backing_file_without_a_format_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(content())
    qemu("create", "-f", "qcow2", "-u", "-b", "base.raw", "-F", "raw", "top.qcow2", str(SIZE), cwd=tmp_path)
    path = tmp_path / "top.qcow2"
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\xe2\x79\x2a\xca")
    raw[at : at + 4] = b"\x12\x34\x56\x78"
    path.write_bytes(raw)
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and len(found) == 1 and "read as raw" in found[0]
    (tmp_path / "base.raw").unlink()
    with pytest.raises(Truncated, match=r"base\.raw"):
        opened(path)


# ---- all of them


@pytest.mark.parametrize("name", [n for n in disks.QEMU if "lat" not in n and "data-file" not in n])
def test_a_disk_that_breaks_off_gives_its_bytes_or_an_error(tmp_path: Path, name: str) -> None:
    """Cut anywhere: what is read is right, or the reading raises. A block that lies behind the cut is never zero."""
    path = disks.made(tmp_path, name, content())
    if name == "vmdk-twoGbMaxExtentSparse":
        path = tmp_path / "disk-s001.vmdk"
    size, truth, failed = path.stat().st_size, content(), 0
    for part in (0.97, 0.8, 0.5, 0.25):
        _cut(path, int(size * part) & ~1)
        try:
            image, _ = opened(path, format=opened_format(name))
        except EvidenceError:
            failed += 1
            continue
        for at in range(0, min(SIZE, image.size), 65536):
            try:
                assert image.read_at(at, 65536) == truth[at : at + 65536]
            except EvidenceError:
                failed += 1
    assert failed


def opened_format(name: str) -> str:
    """Insist on the format, so that a VHD without its only footer is not read as raw."""
    return {"vpc": "vhd", "qcow2": "qcow"}.get(disks.QEMU[name][0], disks.QEMU[name][0])


def test_a_failure_says_what_was_tried(tmp_path: Path) -> None:
    path = tmp_path / "x.vhdx"
    path.write_bytes(b"nothing" * 100)
    with pytest.raises(NotThisFormat, match="vhdxfile"):
        fl.open_image(path, format="vhdx")
    image, found = opened(path)
    assert image.format == "raw" and len(found) == 1 and "vhdxfile" in found[0]
