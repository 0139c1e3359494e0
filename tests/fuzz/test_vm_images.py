"""Mutated virtual disks: bytes or EvidenceError, within limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.core.declare import ImageFormat
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.images import parallels, vdi, vhd
from forensiclib.images.qcow import qcow
from forensiclib.images.vhdx import vhdx
from forensiclib.images.vmdk import vmdk
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images import disks
from tests.images.disks import MIB, content, qemu

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def _small(tmp_path: Path, kind: str, options: str = "", packed: bool = False) -> Path:
    """A disk of 128 KiB with some text."""
    (tmp_path / "m.raw").write_bytes(content(5, 512 << 10)[: 128 << 10])
    out = tmp_path / "disk.img"
    qemu("convert", "-f", "raw", *(["-c"] if packed else []), "-O", kind, *(["-o", options] if options else []), tmp_path / "m.raw", out)
    return out


def _vhd_child(tmp_path: Path) -> Path:
    base = disks.made(tmp_path, "vpc-dynamic", content())
    disks.vhd_child(base, tmp_path / "child.vhd", {3: b"x" * 512})
    return tmp_path / "child.vhd"


def _vhdx_child(tmp_path: Path) -> Path:
    base = disks.made(tmp_path, "vhdx-1M", content())
    disks.vhdx_child(base, tmp_path / "child.vhdx", {3: b"x" * 512})
    return tmp_path / "child.vhdx"


def _vhdx_log(tmp_path: Path) -> Path:
    path = disks.made(tmp_path, "vhdx-1M", content())
    disks.vhdx_log(path, [[(4 * MIB, b"\1" * 4096)], [(5 * MIB, 8192)]])
    return path


def _snapshots(tmp_path: Path) -> Path:
    path = _small(tmp_path, "qcow2", "cluster_size=512")
    qemu("snapshot", "-c", "one", path)
    return path


def _hdd(tmp_path: Path) -> Path:
    _small(tmp_path, "parallels", "cluster_size=4K").rename(tmp_path / "a.hds")
    guid, none = "{5fbaabe3-6958-40ff-92a7-860e329aab41}", "{00000000-0000-0000-0000-000000000000}"
    disks.hdd(tmp_path, [(guid, none, "Compressed", "a.hds")], 256)
    return tmp_path / "DiskDescriptor.xml"


def _cowd(tmp_path: Path) -> Path:
    disks.cowd(tmp_path, content()[: 64 << 10])
    return tmp_path / "esx-delta.vmdk"


def _se(tmp_path: Path) -> Path:
    disks.se_sparse(tmp_path, content()[: 64 << 10])
    return tmp_path / "se-sesparse.vmdk"


TARGETS: dict[str, tuple[ImageFormat, Callable[[Path], Path]]] = {
    "vmdk sparse": (vmdk.FORMAT, lambda p: _small(p, "vmdk")),
    "vmdk stream": (vmdk.FORMAT, lambda p: _small(p, "vmdk", "subformat=streamOptimized")),
    "vmdk descriptor": (vmdk.FORMAT, lambda p: disks.made(p, "vmdk-twoGbMaxExtentSparse", content()[: 64 << 10])),
    "vmdk cowd": (vmdk.FORMAT, _cowd),
    "vmdk se-sparse": (vmdk.FORMAT, _se),
    "vhd dynamic": (vhd.FORMAT, lambda p: _small(p, "vpc")),
    "vhd differencing": (vhd.FORMAT, _vhd_child),
    "vhdx": (vhdx.FORMAT, lambda p: _small(p, "vhdx", "block_size=1M")),
    "vhdx differencing": (vhdx.FORMAT, _vhdx_child),
    "vhdx log": (vhdx.FORMAT, _vhdx_log),
    "qcow 1": (qcow.FORMAT, lambda p: _small(p, "qcow")),
    "qcow2": (qcow.FORMAT, lambda p: _small(p, "qcow2", "cluster_size=4K")),
    "qcow2 deflate": (qcow.FORMAT, lambda p: _small(p, "qcow2", "cluster_size=4K", packed=True)),
    "qcow2 zstd": (qcow.FORMAT, lambda p: _small(p, "qcow2", "cluster_size=4K,compression_type=zstd", packed=True)),
    "qcow2 extended": (qcow.FORMAT, lambda p: _small(p, "qcow2", "extended_l2=on,cluster_size=16K")),
    "qcow2 snapshots": (qcow.FORMAT, _snapshots),
    "vdi": (vdi.FORMAT, lambda p: _small(p, "vdi")),
    "parallels": (parallels.FORMAT, lambda p: _small(p, "parallels", "cluster_size=4K")),
    "parallels descriptor": (parallels.FORMAT, _hdd),
}
# Where the structures lie: mutations are made there, the rest of the file stays as it is.
SPANS = {"vhdx": [(0x10000, 0x800), (0x20000, 0x800), (0x30000, 0x100), (0x200000, 0x200), (0x210000, 0x100), (0x300000, 0x40)],
         "vhdx differencing": [(0x10000, 0x100), (0x30000, 0x100), (0x200000, 0x200), (0x210000, 0x200), (0x300000, 0x40), (0x500000, 0x200)],
         "vhdx log": [(0x20000, 0x100), (0x100000, 0x3000)]}  # fmt: skip


def _seal(raw: bytearray) -> None:
    """With checksums that match, so that what lies behind them is reached."""
    for at, n in ((0x10000, 4096), (0x20000, 4096), (0x30000, 0x10000), (0x40000, 0x10000)):
        if raw[at : at + 4] in (b"head", b"regi"):
            disks.seal(raw, at, n)
    for at in range(MIB, MIB + 0x3000, 4096):
        length = int.from_bytes(raw[at + 8 : at + 12], "little")
        if raw[at : at + 4] == b"loge" and 64 <= length <= MIB:
            disks.seal(raw, at, length)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
def test_a_mutated_disk_gives_bytes_or_evidence_errors(name: str, tmp_path: Path) -> None:
    room, make = TARGETS[name]
    path = make(tmp_path)
    sample = path.read_bytes()
    spans = SPANS.get(name) or [(0, min(len(sample), 8192)), (max(0, len(sample) - 1024), 1024)]
    joined = b"".join(sample[at : at + n] for at, n in spans)

    def placed(data: bytes, number: int) -> bytes:
        if len(data) < len(joined):
            return sample[: len(data)]
        raw, done = bytearray(sample), 0
        for at, n in spans:
            n = min(n, len(sample) - at)
            raw[at : at + n] = data[done : done + n]
            done += n
        if name.startswith("vhdx") and number % 4:
            _seal(raw)
        return bytes(raw)

    numbers = iter(range(COUNT))

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(placed(data, next(numbers)))
        image = room.open([str(path)], budget)
        try:
            for source in (image, *(s.data for s in image.snapshots)):
                for at in (0, 4096, 1 << 16, max(0, source.size - 5000)):
                    try:
                        assert len(source.read_at(at, 20_000)) == max(0, min(20_000, source.size - at))
                        source.trace(at, 20_000)
                    except EvidenceError:
                        continue
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(joined, COUNT)) == COUNT
