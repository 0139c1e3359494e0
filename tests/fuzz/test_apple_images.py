"""Mutated disk images of Apple and Android: bytes or EvidenceError, within limits."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.core.declare import ImageFormat
from forensiclib.core.errors import EvidenceError
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.images import androidsparse, diskcopy
from forensiclib.images.apple import bundle, encrypted, sparse, udif
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images import appledisks as apple
from tests.images import test_androidsparse as android
from tests.images.disks import content

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SMALL = content(5, 512 << 10)[: 128 << 10]
WORD = b"word"


def _udif(kind: str, **options: object) -> Callable[[Path], Path]:
    return lambda folder: apple.udif(folder / "disk.dmg", SMALL, kind, step=16384, **options)  # type: ignore[arg-type]


def _tables(folder: Path) -> Path:
    """With the tables in a resource fork, where a mutation reaches them: base64 hides them from it."""
    return apple.udif(folder / "disk.dmg", SMALL, "lzfse", step=16384, resources="rsrc")


def _sealed(version: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        seal, inner = apple.Seal(WORD, rounds=3), apple.udif(folder / "inner.dmg", SMALL, "zlib").read_bytes()
        return (seal.version2 if version == 2 else seal.version1)(folder / "disk.dmg", inner)

    return make


def _bundle(folder: Path) -> Path:
    return apple.sparse_bundle(folder / "x.sparsebundle", SMALL, 16384) / "Info.plist"


def _token(folder: Path) -> Path:
    seal = apple.Seal(WORD, rounds=3)
    return apple.sparse_bundle(folder / "x.sparsebundle", SMALL, 16384, seal.header(len(SMALL)), seal.encrypt) / "token"


def _android(folder: Path) -> Path:
    data = SMALL[: 4 * 4096]
    chunks = [android.chunk(android.RAW, 4, data), android.chunk(android.FILL, 3, b"abcd"), android.chunk(android.FREE, 2)]
    chunks += [android.chunk(android.CRC, 0, struct.pack("<I", zlib.crc32(data + b"abcd" * 3072 + bytes(8192))))]
    return android.written(folder / "x_sparsechunk.0", chunks, 9)


def _floppy(folder: Path) -> Path:
    from tests.images.test_diskcopy import written

    return written(folder / "disk.image", SMALL, bytes(len(SMALL) // 512 * 12))


TARGETS: dict[str, tuple[ImageFormat, Callable[[Path], Path]]] = {
    **{f"udif {kind}": (udif.FORMAT, _udif(kind)) for kind in apple.KINDS},
    "udif resource fork": (udif.FORMAT, _tables),
    "udif segments": (udif.FORMAT, lambda folder: apple.segmented(folder, SMALL, 3)[0]),
    "sparse image": (sparse.FORMAT, lambda folder: apple.sparse_image(folder / "x.sparseimage", SMALL, 16384)),
    "sparse image nodes": (sparse.FORMAT, lambda folder: apple.sparse_image(folder / "x.sparseimage", bytes([1]) * 1200 * 512, 512)),
    "encrypted 2": (encrypted.FORMAT, _sealed(2)),
    "encrypted 1": (encrypted.FORMAT, _sealed(1)),
    "bundle": (bundle.FORMAT, _bundle),
    "bundle token": (bundle.FORMAT, _token),
    "android": (androidsparse.FORMAT, _android),
    "diskcopy": (diskcopy.FORMAT, _floppy),
}

ROUNDS = {"encrypted 2": [(1028, 6)], "bundle token": [(1028, 6)], "encrypted 1": [(-1276 + 44, 2)]}
"""Where the upper bytes of the rounds of the key derivation stand."""


def _spans(name: str, sample: bytes) -> list[tuple[int, int]]:
    """Where the structures lie: mutations are made there, the rest of the file stays as it is."""
    size = len(sample)
    if name == "udif resource fork":
        begin = int.from_bytes(sample[-512 + 40 : -512 + 48], "big")
        return [(0, 512), (begin, size - 512 - begin), (size - 512, 512)]
    if name.startswith("udif"):
        return [(0, 2048), (size - 4096, 4096)]
    if name == "encrypted 1":
        return [(0, 512), (size - 1276, 1276)]
    if name == "sparse image nodes":
        return [(0, 64), (64 + 4 * 1000, 32), (4096 + 1008 * 512, 256)]
    if name == "android":
        return [(0, 60), (28 + 12 + 4 * 4096, size - 40 - 4 * 4096)]
    return [(0, min(size, 2048))]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
def test_a_mutated_image_gives_bytes_or_evidence_errors(name: str, tmp_path: Path) -> None:
    pytest.importorskip("Cryptodome", reason="pycryptodomex is not installed")
    room, make = TARGETS[name]
    path = make(tmp_path)
    sample = path.read_bytes()
    spans = _spans(name, sample)
    joined = b"".join(sample[at : at + n] for at, n in spans)
    opened = path.with_name("Info.plist") if name == "bundle token" else path

    def placed(data: bytes) -> bytes:
        if len(data) < len(joined):
            return sample[: len(data)]
        raw, done = bytearray(sample), 0
        for at, n in spans:
            raw[at : at + n] = data[done : done + n]
            done += n
        for at, width in ROUNDS.get(name, ()):
            raw[at : at + width] = bytes(width)  # up to 50 million rounds are allowed: that is half a minute each
        return bytes(raw)

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(placed(data))
        budget.keys = Keys(password=WORD.decode())
        image = room.open([str(opened)], budget)
        try:
            for source in (image, *(check.data for check in image.checks if check.data is not None)):
                for at in (0, 4096, 1 << 16, max(0, source.size - 5000)):
                    try:
                        assert len(source.read_at(at, 20_000)) == max(0, min(20_000, source.size - at))
                        source.trace(at, 20_000)
                    except EvidenceError:
                        continue
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(joined, COUNT)) == COUNT
