"""The registry kernels against their twins, and Marvin32 against hashes that Windows stored."""

from __future__ import annotations

import lzma
import struct
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib import _columns_py, _digests_py
from forensiclib.kernels import marvin32, regf_columns, regf_walk

BINS = 4096
HIVES = (
    "plaso/NTUSER.DAT",
    "plaso/regf/SAM",
    "plaso/regf/corrupt_sub_key_list.hiv",
    "regipy/regipy_tests/BCD.xz",
    "regipy/regipy_tests/amcache.hve.xz",
    "regipy/regipy_tests/corrupted_system_hive.xz",
    "registry/Registry.Test/Hives/UsrClassDeletedBags.dat",
    "registry/Registry.Test/Hives/SAMBadHBinHeader",
)


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def same(data: bytes, bad: bytes = b"", items: int = 10**9, room: int = 1 << 28) -> None:
    root = int.from_bytes(data[36:40], "little")
    ours, twin = regf_walk(data, root, bad, items), _columns_py.regf_walk(data, root, bad, items)
    assert ours == twin
    fast, slow = regf_columns(data, ours[0], ours[1], room, room), _columns_py.regf_columns(data, twin[0], twin[1], room, room)
    if slow is None or fast is None:
        assert fast is slow
        return
    assert {k: bytes(v) for k, v in fast.items()} == {k: bytes(v) for k, v in slow.items()}


@pytest.mark.corpus
@pytest.mark.parametrize("name", HIVES)
def test_real_hives(corpus: Path, name: str) -> None:
    data = unpacked(corpus / name)
    same(data)
    same(data, bad=array("q", [0x5000, 0x6000, 0x9000, 0xA000]).tobytes())
    same(data, items=500)
    same(data, room=20_000)


def cell(content: bytes) -> bytes:
    size = -(-(len(content) + 4) // 8) * 8
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


def hive(name: bytes, flags: int, ticks: int, value: bytes, value_flags: int, data: bytes) -> bytes:
    """A root with one subkey of that name, with one value of that name."""
    bins = bytearray(b"hbin".ljust(32, b"\0"))
    at: dict[str, int] = {}

    def put(label: str, content: bytes) -> None:
        at[label] = len(bins)
        bins.extend(cell(content))

    def node(text: bytes, kind: int, subkeys: int, index: int, values: int, value_list: int) -> bytes:
        head = struct.pack("<2sHQIIIIIIII", b"nk", kind, ticks, 0, 0, subkeys, 0, index, 0xFFFFFFFF, values, value_list)
        return head + struct.pack("<IIIIIIIHH", 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 0, 0, 0, len(text), 0) + text

    put("data", data)
    put("vk", struct.pack("<2sHIIIHH", b"vk", len(value), len(data), at["data"], 1, value_flags, 0) + value)
    put("values", struct.pack("<I", at["vk"]))
    put("key", node(name, flags, 0, 0xFFFFFFFF, 1, at["values"]))
    put("index", struct.pack("<2sHI", b"li", 1, at["key"]))
    put("root", node(b"root", 0x2C, 1, at["index"], 0, 0xFFFFFFFF))
    base = bytearray(BINS)
    base[36:40] = struct.pack("<I", at["root"])
    return bytes(base + bins)


@given(
    name=st.binary(max_size=40),
    flags=st.sampled_from([0, 0x20]),
    ticks=st.one_of(
        st.integers(0, (1 << 64) - 1),
        st.sampled_from([0, 1, 208_678_456_368_547_758, 208_678_456_368_547_759, 24_211_231_631_952_241]),
    ),
    value=st.binary(max_size=40),
    value_flags=st.sampled_from([0, 1]),
    data=st.binary(max_size=50),
)
def test_names_times_and_data(name: bytes, flags: int, ticks: int, value: bytes, value_flags: int, data: bytes) -> None:
    made = hive(name, flags, ticks, value, value_flags, data)
    same(made)
    keys, values, *_ = regf_walk(made, int.from_bytes(made[36:40], "little"), b"", 100)
    columns = regf_columns(made, keys, values, 1 << 20, 1 << 20)
    assert columns is not None
    assert bytes(columns["path"]).decode() == (name.decode("latin-1") if flags else name[: len(name) & ~1].decode("utf-16-le", "replace"))
    assert bytes(columns["data"]) == data


@given(st.binary(max_size=200), st.integers(0, (1 << 64) - 1))
def test_marvin32_is_its_twin(data: bytes, seed: int) -> None:
    assert marvin32(data, seed) == _digests_py.marvin32(data, seed)


@pytest.mark.corpus
def test_marvin32_gives_the_hashes_that_windows_stored(corpus: Path) -> None:
    log = unpacked(corpus / "regipy/regipy_tests/SYSTEM_B.LOG2.xz")
    seed, at, checked = 0x82EF4D887A4E55C5, 512, 0
    while log[at : at + 4] == b"HvLE":
        size, hash1, hash2 = struct.unpack_from("<4xI16xQQ", log, at)
        assert _digests_py.marvin32(log[at + 40 : at + size], seed) == marvin32(log[at + 40 : at + size], seed) == hash1
        assert marvin32(log[at : at + 32], seed) == hash2
        at, checked = at + size, checked + 1
        if checked == 20:
            break
    assert checked == 20
