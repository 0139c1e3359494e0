"""ADC, LZO1X, LZVN and RTIME: what other programs packed or unpack, and compiled against plain."""

from __future__ import annotations

import base64
import plistlib
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.testing.contracts import mutations

NAMES = ("adc", "lzo1x", "lzvn", "rtime")
TEXT = Path(__file__).read_bytes()


def originals() -> dict[str, bytes]:
    rng = random.Random(4)
    mixed = b"".join(
        rng.choice(
            [
                TEXT[(s := rng.randrange(2000)) : s + rng.randrange(1, 300)],
                bytes(rng.randrange(1, 900)),
                rng.randbytes(rng.randrange(1, 60)),
            ]
        )
        for _ in range(400)
    )
    return {"three": b"abc", "text": TEXT, "zero": bytes(70_000), "random": rng.randbytes(9_000), "mixed": mixed, "long": TEXT * 9}


def adc_packed(data: bytes) -> bytes:
    """Literals and all three kinds of copies."""
    out, literals, at, seen = bytearray(), bytearray(), 0, {}
    while at < len(data):
        key = data[at : at + 3]
        before = seen.get(key)
        seen[key] = at
        size = 0
        while before is not None and len(key) == 3 and size < 67 and at + size < len(data) and data[before + size] == data[at + size]:
            size += 1
        back = at - (before or 0) - 1
        if before is None or back > 0xFFFF or size < (3 if back < 1024 else 4):
            literals.append(data[at])
            at += 1
            continue
        for k in range(0, len(literals), 128):
            out += bytes([0x7F + len(literals[k : k + 128])]) + literals[k : k + 128]
        literals.clear()
        if back < 1024 and size <= 18:
            out += bytes([size - 3 << 2 | back >> 8, back & 0xFF])
        else:
            out += bytes([0x40 | size - 4]) + back.to_bytes(2, "big")
        at += size
    for k in range(0, len(literals), 128):
        out += bytes([0x7F + len(literals[k : k + 128])]) + literals[k : k + 128]
    return bytes(out)


def udif(blocks: list[bytes], size: int) -> bytes:
    """A UDIF image whose one partition has an ADC block (80000004) for each 512 sectors."""
    table, at, sector = b"", 0, 0
    for block in blocks:
        count = min(512, size // 512 - sector)
        table += struct.pack(">IIQQQQ", 0x80000004, 0, sector, count, at, len(block))
        at, sector = at + len(block), sector + count
    table += struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, sector, 0, at, 0)
    mish = struct.pack(">4sIQQQII24x", b"mish", 1, 0, size // 512, 0, 0x208, 0) + struct.pack(">II128x", 0, 0)
    mish += struct.pack(">I", len(blocks) + 1) + table
    names = {"resource-fork": {"blkx": [{"Attributes": "0x0050", "CFName": "whole", "Data": mish, "ID": "0", "Name": "whole"}]}}
    xml = plistlib.dumps(names)
    koly = struct.pack(">4sIIIQQQQQII16s", b"koly", 4, 512, 1, 0, 0, at, 0, 0, 1, 1, bytes(16)) + bytes(136)
    koly += struct.pack(">QQ120x", at, len(xml)) + bytes(136) + struct.pack(">IQ12x", 1, size // 512)
    return b"".join(blocks) + xml + koly.ljust(512, b"\0")


@pytest.mark.drivers
@pytest.mark.parametrize("name", ["text", "zero", "random", "mixed", "long"])
def test_adc_that_7z_reads(name: str, tmp_path: Path) -> None:
    if shutil.which("7z") is None:
        pytest.skip("7z is not installed")
    data = originals()[name]
    data = data[: len(data) // 512 * 512]
    pieces = [data[at : at + (512 << 9)] for at in range(0, len(data), 512 << 9)]
    (tmp_path / "a.dmg").write_bytes(udif([adc_packed(p) for p in pieces], len(data)))
    subprocess.run(["7z", "x", "-y", "-tdmg", f"-o{tmp_path}/out", tmp_path / "a.dmg"], check=True, stdout=subprocess.DEVNULL)
    assert next((tmp_path / "out").iterdir()).read_bytes() == data
    for piece in pieces:
        assert kernels.adc(adc_packed(piece), len(piece)) == plain.adc(adc_packed(piece), len(piece)) == (piece, -1)


def jffs2_nodes(folder: Path, compressor: str, image: Path) -> Iterator[tuple[int, bytes, int]]:
    """(compression, packed, size) of each data node that mkfs.jffs2 wrote (JFFS2, struct jffs2_raw_inode)."""
    off = [flag for name in ("zlib", "lzo", "rtime") if name != compressor for flag in ("-x", name)]
    subprocess.run(["mkfs.jffs2", "-l", "-r", folder, "-o", image, "-X", compressor, *off], check=True, capture_output=True)
    data, at = image.read_bytes(), 0
    while at + 68 <= len(data):
        magic, kind, total = struct.unpack_from("<HHI", data, at)
        if magic != 0x1985 or total < 12:
            at += 4
            continue
        if kind == 0xE002:
            packed, size, how = struct.unpack_from("<IIB", data, at + 48)
            yield how, data[at + 68 : at + 68 + packed], size
        at += total + 3 & ~3


@pytest.mark.drivers
@pytest.mark.parametrize(("compressor", "number", "kernel"), [("rtime", 2, "rtime"), ("lzo", 7, "lzo1x")])
def test_nodes_that_mkfs_jffs2_wrote(compressor: str, number: int, kernel: str, tmp_path: Path) -> None:
    if shutil.which("mkfs.jffs2") is None:
        pytest.skip("mtd-utils is not installed")
    folder, data = tmp_path / "in", originals()["mixed"] + originals()["long"] + originals()["zero"]
    folder.mkdir()
    (folder / "f").write_bytes(data)
    out, used = b"", 0
    for how, packed, size in jffs2_nodes(folder, compressor, tmp_path / "j"):
        if how == number:
            made = getattr(kernels, kernel)(packed, size)
            assert made == getattr(plain, kernel)(packed, size)
            assert made[1] == -1
            out, used = out + made[0], used + 1
        else:
            assert how in (0, 1), "stored as it is, or nothing but zeros"
            out += packed if how == 0 else bytes(size)
    assert used > 10
    assert out == data


@pytest.mark.drivers
@pytest.mark.parametrize("level", ["-1", "-3", "-9"])
@pytest.mark.parametrize("name", ["text", "zero", "mixed", "long"])
def test_blocks_that_lzop_packed(name: str, level: str, tmp_path: Path) -> None:
    if shutil.which("lzop") is None:
        pytest.skip("lzop is not installed")
    data = originals()[name]
    (tmp_path / "f").write_bytes(data)
    subprocess.run(["lzop", "-q", level, tmp_path / "f"], check=True)
    packed, out = (tmp_path / "f.lzo").read_bytes(), b""
    flags = int.from_bytes(packed[17:21], "big")  # behind the magic, three versions, method and level
    at = 33 + 1 + packed[33] + 4
    while size := int.from_bytes(packed[at : at + 4], "big"):
        have, summed = int.from_bytes(packed[at + 4 : at + 8], "big"), int.from_bytes(packed[at + 8 : at + 12], "big")
        at += 12 if flags & 1 else 8
        at += 4 if flags & 2 and have < size else 0
        piece = packed[at : at + have]
        if have < size:
            assert plain.lzo1x(piece, size) == kernels.lzo1x(piece, size)
            piece, status = kernels.lzo1x(piece, size)
            assert status == -1
        assert not flags & 1 or zlib.adler32(piece) == summed
        out, at = out + piece, at + have
    assert out == data


def lzvn_vectors() -> Iterator[tuple[bytes, bytes]]:
    lzfse = pytest.importorskip("lzfse")
    for name, data in originals().items():
        for at in range(0, len(data), 3500):
            piece = data[at : at + 3500]
            stream = lzfse.compress(piece)
            if stream[:4] == b"bvxn":
                raw, size = struct.unpack_from("<II", stream, 4)
                assert raw == len(piece), name
                yield piece, stream[12 : 12 + size]


def test_lzvn_of_the_reference_implementation() -> None:
    vectors = list(lzvn_vectors())
    assert len(vectors) > 20
    for data, packed in vectors:
        assert kernels.lzvn(packed, len(data)) == plain.lzvn(packed, len(data)) == (data, -1)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=300), size=st.integers(0, 5000))
@settings(max_examples=200, deadline=None)
def test_compiled_equals_plain_on_anything(name: str, data: bytes, size: int) -> None:
    assert getattr(kernels, name)(data, size) == getattr(plain, name)(data, size)


def samples(name: str) -> list[tuple[bytes, int]]:
    data = originals()["mixed"][:3500]
    if name == "adc":
        return [(adc_packed(data), len(data))]
    if name == "lzvn":
        return [(packed, len(made)) for made, packed in lzvn_vectors()][:6]
    if name == "lzo1x":
        return [(LZO, len(LZO_ORIGINAL))]
    return [(b"".join(bytes([c, c % 5]) for c in data), 6000)]


# The first block of "lzop -9" of LZO_ORIGINAL.
LZO_ORIGINAL = b"The quick brown fox jumps over the lazy dog. " * 40 + bytes(3000) + b"The quick brown fox jumps over the lazy dog. "
LZO = base64.b85decode("F;r+}AaQkRV{0H{a&LETAZBlPAZm4OaC0DUc4cxPbXWriY+-tNAY^Z6E+8NP000000Kl;T03ZMW000000OkMyAOHXWnE(JF43IAo000")


@pytest.mark.parametrize("name", NAMES)
def test_compiled_equals_plain_on_damage(name: str) -> None:
    for packed, size in samples(name):
        for damaged in mutations(packed, 300):
            assert getattr(kernels, name)(damaged, size) == getattr(plain, name)(damaged, size)


@pytest.mark.parametrize("name", NAMES)
def test_every_cut_keeps_what_stands_before_it(name: str) -> None:
    for packed, size in samples(name):
        whole = getattr(kernels, name)(packed, size)[0]
        for cut in range(0, len(packed), 5):
            out, status = getattr(kernels, name)(packed[:cut], size)
            assert whole.startswith(out)
            assert status >= 0 or out == whole


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_impossible_sizes(module, name: str) -> None:
    with pytest.raises(ValueError):
        getattr(module, name)(b"ab", -1)
    assert getattr(module, name)(b"", 5) == (b"", 0)
