"""Virtual disks against the bytes that went in, and against qemu-img's reading of them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import EvidenceError, Locked, UsageError
from forensiclib.core.source import ByteSource
from forensiclib.core.span import total
from forensiclib.testing.contracts import SourceContract
from tests.images import disks
from tests.images.disks import MIB, SIZE, as_raw, content, qemu

FORMAT = {"vmdk": "vmdk", "vpc": "vhd", "vhdx": "vhdx", "qcow": "qcow", "qcow2": "qcow", "vdi": "vdi", "parallels": "parallels"}


def opened(path: Path, *more: Path, **options: str) -> tuple[fl.OpenImage, list[str]]:
    """The image, and what its findings say."""
    run = fl.Run()
    image = fl.open_image([path, *more], run=run, **options)
    return image, [f"{f.kind} {f.what}: {f.found}" for f in run.findings]


def whole(path: Path, *more: Path, **options: str) -> bytes:
    """All of a disk that opens without a finding."""
    image, found = opened(path, *more, **options)
    assert not found
    with image:
        return image.read_at(0, image.size)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    held: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in held:
            held[name] = disks.made(tmp_path_factory.mktemp(name), name, content())
        return held[name]

    return make


@pytest.mark.parametrize("name", disks.QEMU)
def test_every_format_of_qemu_reads_as_what_went_in(made: Callable[[str], Path], name: str) -> None:
    path = made(name)
    image, found = opened(path)
    with image:
        assert not found
        assert image.format == FORMAT[disks.QEMU[name][0]]
        assert image.read_at(0, image.size) == content()
        assert image.facts and image.parts
        assert image.volumes()[0].trace(0, 512) == image.trace(0, 512)


class _Disk(SourceContract):
    name = ""

    @pytest.fixture(autouse=True)
    def _prepare(self, made: Callable[[str], Path]) -> None:
        self.path = made(self.name)

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.path)[0], content()

    def root(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.path.parent.iterdir() if p.is_file()}


class TestVmdkSparse(_Disk):
    name = "vmdk-monolithicSparse"


class TestVmdkSplit(_Disk):
    name = "vmdk-twoGbMaxExtentSparse"


class TestVmdkFlat(_Disk):
    name = "vmdk-monolithicFlat"


class TestVmdkStream(_Disk):
    name = "vmdk-streamOptimized"


class TestVhdFixed(_Disk):
    name = "vpc-fixed"


class TestVhdDynamic(_Disk):
    name = "vpc-dynamic"


class TestVhdx(_Disk):
    name = "vhdx-1M"


class TestQcow1(_Disk):
    name = "qcow-1"


class TestQcow2(_Disk):
    name = "qcow2-1.1"


class TestQcow2SmallClusters(_Disk):
    name = "qcow2-512"


class TestQcow2Extended(_Disk):
    name = "qcow2-extended"


class TestQcow2DataFile(_Disk):
    name = "qcow2-data-file"


class TestQcow2Zstd(_Disk):
    name = "qcow2-zstd"


class TestVdi(_Disk):
    name = "vdi-dynamic"


class TestParallels(_Disk):
    name = "parallels-64K"


GOLDEN = {
    # Offsets by `qemu-img map --output=json` where it gives them, for the first allocated stretch of the media.
    "vmdk-monolithicSparse": "disk.vmdk",
    "vmdk-twoGbMaxExtentSparse": "disk-s001.vmdk",
    "qcow2-1.1": "disk.qcow2",
    "qcow2-data-file": "data.ext",
    "vdi-dynamic": "disk.vdi",
    "parallels-64K": "disk.hds",
    "vpc-dynamic": "disk.vhd",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_spans_are_those_of_qemu_map(made: Callable[[str], Path], name: str) -> None:
    """Every stretch that qemu maps to an offset of a file lies there for us, and what it calls zero and not there has no bytes."""
    path = made(name)
    image = opened(path)[0]
    compared = 0
    for row in json.loads(qemu("map", "--output=json", path, cwd=path.parent)):
        spans = image.trace(row["start"], row["length"])
        assert total(spans) == row["length"]
        if row["data"] and "offset" in row:
            assert [(s.root, s.start, s.length, s.via) for s in spans] == [(GOLDEN[name], row["offset"], row["length"], ())]
            compared += 1
        elif row["zero"] and not row.get("present", True):
            assert all(s.via == ("zero",) and not s.root for s in spans)
    assert compared


@pytest.mark.parametrize(("name", "via"), [("vmdk-streamOptimized", "deflate"), ("qcow2-deflate", "deflate"), ("qcow2-zstd", "zstd")])
def test_compressed_blocks_trace_to_their_stored_bytes(made: Callable[[str], Path], name: str, via: str) -> None:
    spans = [s for s in opened(made(name))[0].trace(0, SIZE) if s.root]
    packed = [s for s in spans if s.via]
    assert packed and all(s.via == (via,) and not s.exact for s in packed)
    assert all(s.exact for s in spans if not s.via)  # a cluster that does not shrink is stored as it is


@pytest.mark.parametrize("backing", ["raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi", "parallels", "qcow"])
def test_a_chain_of_backing_files(tmp_path: Path, backing: str) -> None:
    base = tmp_path / "base.img"
    (tmp_path / "m.raw").write_bytes(content())
    extra = ["-o", "force_size=on"] if backing == "vpc" else []
    qemu("convert", "-f", "raw", "-O", backing, *extra, tmp_path / "m.raw", base)
    qemu("create", "-f", "qcow2", "-b", "base.img", "-F", backing, tmp_path / "mid.qcow2", str(SIZE + MIB), cwd=tmp_path)
    qemu("create", "-f", "qcow2", "-o", "extended_l2=on", "-b", "mid.qcow2", "-F", "qcow2", tmp_path / "top.qcow2", cwd=tmp_path)
    _write(tmp_path / "mid.qcow2", "write -P 0x41 70000 300", "write -z 1M 128k")
    _write(tmp_path / "top.qcow2", "write -P 0x42 2100000 9000", "write -z 2M 4k", "discard 3M 64k", "write -P 0x43 4300000 10")
    assert whole(tmp_path / "top.qcow2") == as_raw(tmp_path / "top.qcow2")
    image = opened(tmp_path / "top.qcow2")[0]
    assert image.facts["chain"] == "top.qcow2 <- mid.qcow2 <- base.img"
    assert len(image.parts) == 3


def _write(path: Path, *commands: str) -> None:
    if shutil.which("qemu-io") is None:
        pytest.skip("qemu-io (Debian: qemu-utils) is not installed")
    arguments = [x for c in commands for x in ("-c", c)]
    subprocess.run(["qemu-io", *arguments, str(path)], check=True, capture_output=True, timeout=60)


def test_a_chain_of_vmdk_and_its_cid(tmp_path: Path) -> None:
    (tmp_path / "m.raw").write_bytes(content())
    qemu("convert", "-f", "raw", "-O", "vmdk", tmp_path / "m.raw", tmp_path / "base.vmdk")
    qemu("create", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", "child.vmdk", cwd=tmp_path)
    _write(tmp_path / "child.vmdk", "write -P 0x41 70000 300")
    assert whole(tmp_path / "child.vmdk") == as_raw(tmp_path / "child.vmdk")
    raw = (tmp_path / "base.vmdk").read_bytes()
    at = raw.index(b"CID=") + 4
    (tmp_path / "base.vmdk").write_bytes(raw[:at] + b"0badcafe" + raw[at + 8 :])
    _, found = opened(tmp_path / "child.vmdk")
    assert len(found) == 1 and "0badcafe" in found[0]


def test_internal_snapshots(tmp_path: Path) -> None:
    path = tmp_path / "snap.qcow2"
    qemu("create", "-f", "qcow2", path, str(SIZE))
    states = []
    for i, name in enumerate(("before", "between", "after")):
        _write(path, f"write -P {65 + i} {i * 100_000} 70000")
        states.append(as_raw(path))
        qemu("snapshot", "-c", name, path)
    _write(path, "write -P 99 0 1M")
    image, found = opened(path)
    assert not found
    assert [s.name for s in image.snapshots] == ["before", "between", "after"]
    assert image.read_at(0, SIZE) == as_raw(path)
    for i, name in enumerate(("before", "between", "after")):
        assert whole(path, snapshot=name) == whole(path, snapshot=str(i + 1)) == states[i] == as_raw(path, "-l", name)
    assert all(s.time is not None and s.time.iso().startswith("20") for s in image.snapshots)
    with pytest.raises(UsageError, match="before"):
        opened(path, snapshot="nothing")


@pytest.mark.parametrize(
    ("kind", "options"),
    [("qcow2", "encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s"), ("qcow2", "encrypt.format=aes,encrypt.key-secret=s")],
)
def test_an_encrypted_disk_is_locked(tmp_path: Path, kind: str, options: str) -> None:
    path = tmp_path / "locked.qcow2"
    qemu("create", "--object", "secret,id=s,data=password", "-f", kind, "-o", options, path, str(SIZE))
    with pytest.raises(Locked, match="LUKS|AES"):
        opened(path)


# ---- what qemu-img does not write


def test_a_differencing_vhd_upon_its_parent(tmp_path: Path) -> None:
    base = disks.made(tmp_path, "vpc-dynamic", content())
    changes = {0: b"A" * 512, 7: b"B" * 512, **dict.fromkeys(range(8, 16), b"C" * 512), 4100: b"D" * 512}
    disks.vhd_child(base, tmp_path / "child.vhd", changes)
    disks.vhd_child(tmp_path / "child.vhd", tmp_path / "grandchild.vhd", {8: b"E" * 512})
    want = bytearray(content())
    for sector, value in (changes | {8: b"E" * 512}).items():
        want[sector * 512 : sector * 512 + 512] = value
    got = whole(tmp_path / "grandchild.vhd")
    assert got == want
    assert opened(tmp_path / "grandchild.vhd")[0].trace(7 * 512, 1024)[0].root == "child.vhd"


def test_a_differencing_vhd_is_read_as_libvhdi_reads_it(tmp_path: Path) -> None:
    """In whole bytes of the sector bitmap: behind a set bit libvhdi takes the rest of the byte as set, too."""
    pyvhdi = pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")
    base = disks.made(tmp_path, "vpc-dynamic", content())
    changes = {s: bytes([65 + s % 26]) * 512 for s in (*range(8, 16), *range(64, 96), *range(4096, 4104), *range(8184, 8192))}
    disks.vhd_child(base, tmp_path / "child.vhd", changes)
    child, parent = pyvhdi.file(), pyvhdi.file()
    child.open(str(tmp_path / "child.vhd"))
    parent.open(str(base))
    child.set_parent(parent)
    assert child.read_buffer_at_offset(SIZE, 0) == whole(tmp_path / "child.vhd")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (b"W2ru", "..\\far\\away\\disk.vhd".encode("utf-16-le")),
        (b"W2ku", "C:\\vm\\disk.vhd".encode("utf-16-le")),
        (b"Wi2r", b".\\disk.vhd"),
        (b"Wi2k", b"C:\\vm\\disk.vhd"),
        (b"MacX", b"file://localhost/Volumes/My%20Disk/disk.vhd"),
    ],
)
def test_every_parent_locator_leads_beside_the_child(tmp_path: Path, code: bytes, text: bytes) -> None:
    base = disks.made(tmp_path, "vpc-dynamic", content())
    disks.vhd_child(base, tmp_path / "child.vhd", {1: b"x" * 512}, {code: text}, "elsewhere.vhd")
    assert whole(tmp_path / "child.vhd")[1024:] == content()[1024:]


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_differencing_vhdx_upon_its_parent(tmp_path: Path, sector: int) -> None:
    base = disks.made(tmp_path, "vhdx-1M", content())
    changes = {0: b"A" * sector, 9: b"B" * sector, SIZE // sector - 1: b"C" * sector}
    disks.vhdx_child(base, tmp_path / "child.vhdx", changes, sector=sector)
    want = bytearray(content())
    for number, value in changes.items():
        want[number * sector : (number + 1) * sector] = value
    image, found = opened(tmp_path / "child.vhdx")
    assert not found and image.sector_size == sector
    assert image.read_at(0, SIZE) == want
    if sector == 512:
        pyvhdi = pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")
        child, parent = pyvhdi.file(), pyvhdi.file()
        child.open(str(tmp_path / "child.vhdx"))
        parent.open(str(base))
        child.set_parent(parent)
        assert child.read_buffer_at_offset(SIZE, 0) == want


@pytest.mark.parametrize("at", [0, MIB - 12288, MIB - 16384, MIB - 8192])
def test_a_vhdx_log_is_replayed(tmp_path: Path, at: int) -> None:
    """Over the first block's data: three entries, later ones winning, some wrapping around the end of the log. qemu-img agrees while they do not
    wrap; then it replays the last entry alone, against 2.3.2: the tail that an entry names is the first of the sequence."""
    path = disks.made(tmp_path, "vhdx-1M", content())
    place = opened(path)[0].trace(0, 512)[0].start
    first, second = bytes([1]) * 4096, bytes(range(256)) * 16
    disks.vhdx_log(
        path, [[(place, first), (place + 8192, first)], [(place + 4096, 4096)], [(place + 8192, second), (place + 65536, second)]], at=at
    )
    before = path.read_bytes()
    image, found = opened(path)
    want = first + bytes(4096) + second + content()[12288:65536] + second + content()[69632:]
    assert image.read_at(0, SIZE) == want
    assert image.facts["log_entries_applied"] == "3" and len(found) == 1 and "3 entries" in found[0]
    assert path.read_bytes() == before
    assert image.trace(0, 4096)[0].via == ("vhdx-log",)
    if not at:
        qemu("check", "-r", "all", path)
        assert as_raw(path) == want


@pytest.mark.parametrize("grain", [1, 8])
def test_esx_sparse(tmp_path: Path, grain: int) -> None:
    path = disks.cowd(tmp_path, content(), grain=grain)
    assert whole(path) == content() == as_raw(path)
    assert whole(tmp_path / "esx-delta.vmdk") == content()  # its descriptor is found beside it


def test_se_sparse(tmp_path: Path) -> None:
    path = disks.se_sparse(tmp_path, content())
    assert whole(path) == content() == as_raw(path)


def test_extents_of_every_kind_in_one_disk(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"x" * 1024 + content(2, MIB))
    qemu("create", "-f", "vmdk", tmp_path / "b.vmdk", "1M")
    disks.descriptor(tmp_path / "all.vmdk", "custom", ['RW 2048 FLAT "a.raw" 2', "RW 16 ZERO", 'RDONLY 2048 SPARSE "b.vmdk"'])
    assert whole(tmp_path / "all.vmdk") == content(2, MIB) + bytes(16 * 512) + bytes(MIB)


def test_a_differencing_vdi_finds_its_parent_by_uuid(tmp_path: Path) -> None:
    base = disks.made(tmp_path, "vdi-dynamic", content())
    shutil.move(base, tmp_path / "renamed.vdi")
    disks.vdi_child(tmp_path / "renamed.vdi", tmp_path / "child.vdi", {1: b"changed"}, zeroed=(2,))
    want = content()[:MIB] + b"changed".ljust(MIB, b"\0") + bytes(MIB) + content()[3 * MIB :]
    assert whole(tmp_path / "child.vdi") == want


def test_a_parallels_folder_with_snapshots(tmp_path: Path) -> None:
    folder = tmp_path / "disk.hdd"
    folder.mkdir()
    base, child = "{11111111-0000-0000-0000-000000000000}", "{5fbaabe3-6958-40ff-92a7-860e329aab41}"
    none = "{00000000-0000-0000-0000-000000000000}"
    shutil.move(disks.made(tmp_path, "parallels-64K", content()), folder / "base.hds")
    qemu("create", "-f", "parallels", "-o", "cluster_size=64K", folder / "top.hds", str(SIZE))
    _write(folder / "top.hds", "write -P 0x41 64k 64k")
    disks.hdd(folder, [(base, none, "Compressed", "base.hds"), (child, base, "Compressed", "top.hds")], SIZE // 512)
    want = content()[:65536] + b"A" * 65536 + content()[131072:]
    image, found = opened(folder)
    assert not found and image.name == "disk.hdd" and image.facts["chain"] == f"{child} <- {base}"
    assert image.read_at(0, SIZE) == want
    assert whole(folder / "top.hds") == want and whole(folder / "DiskDescriptor.xml") == want
    assert [s.id for s in image.snapshots] == [base] and whole(folder, snapshot=base) == content()
    (folder / "plain.hds").write_bytes(content(3))
    disks.hdd(folder, [(child, none, "Plain", "plain.hds")], SIZE // 512)
    assert whole(folder) == content(3)


def test_a_folder_that_is_no_image_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"DiskDescriptor\.xml"):
        opened(tmp_path)


# ---- other readers


LIBYAL = [
    ("pyvmdk", "vmdk-monolithicSparse"), ("pyvmdk", "vmdk-twoGbMaxExtentSparse"), ("pyvmdk", "vmdk-streamOptimized"), ("pyvhdi", "vpc-dynamic"),
    ("pyvhdi", "vpc-fixed"), ("pyvhdi", "vhdx-1M"), ("pyqcow", "qcow-1"), ("pyqcow", "qcow2-0.10"), ("pyqcow", "qcow2-1.1"),
]  # fmt: skip
# Not qcow2-deflate: libqcow 20260703 reads zeros from compressed clusters that qemu-img and the media prove otherwise.


@pytest.mark.parametrize(("module", "name"), LIBYAL)
def test_libyal_reads_the_same(made: Callable[[str], Path], module: str, name: str) -> None:
    library = pytest.importorskip(module, reason=f"{module} (lib{module[2:]}-python) is not installed")
    handle = library.handle() if module == "pyvmdk" else library.file()
    handle.open(str(made(name)))
    if module == "pyvmdk":
        handle.open_extent_data_files()
    assert handle.read_buffer_at_offset(SIZE, 0) == whole(made(name))


# ---- real evidence


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    ["dfvfs/ext2.qcow2", "dfvfs/ext2.vhd", "dfvfs/ext2.vmdk", "dfvfs/windows_volume.qcow2", "plaso/image.qcow2", "plaso/image.vmdk",
     "plaso/vsstest.qcow2", "sleuthkit/image.qcow", "sleuthkit/image.vhd"],
)  # fmt: skip
def test_the_corpus_reads_as_qemu_reads_it(corpus: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "as.raw"
    qemu("convert", "-O", "raw", corpus / name, path)
    image, found = opened(corpus / name)
    assert not found and image.size == path.stat().st_size
    with path.open("rb") as file:
        want = hashlib.file_digest(file, "sha1").hexdigest()
    assert image.verify(["sha1"]).computed["sha1"] == want


@pytest.mark.corpus
def test_checksums_that_do_not_match_are_findings_and_the_parent_is_found(corpus: Path) -> None:
    image, found = opened(corpus / "dfvfs/image-differential.vhd")
    assert image.facts["parent_id"] == "d49c5c80-350a-4a89-898a-5ad6d10f6578" and image.facts["chain"].endswith("<- image.vhd")
    assert len([f for f in found if "checksum" in f]) == 5


@pytest.mark.corpus
def test_a_child_without_its_parent_says_which(corpus: Path) -> None:
    with pytest.raises(EvidenceError, match=r"fat-parent\.vhd.*5fa21a55-f394-aa4d-9958-1951a67d5540"):
        opened(corpus / "dfvfs/fat-differential.vhd")
    with pytest.raises(EvidenceError, match=r"hfsplus\.hdd\.0\."):
        opened(corpus / "dfvfs/hfsplus.hdd")
