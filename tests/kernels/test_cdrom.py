"""CD-ROM sectors: the published check value, and compiled == plain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib import _digests_py as plain
from forensiclib.kernels import cd_edc, cd_sectors

SYNC = b"\0" + b"\xff" * 10 + b"\0"


def test_published_check_value() -> None:
    """CRC-32/CD-ROM-EDC of G. Cook's catalogue of parametrised CRC algorithms."""
    assert cd_edc(b"123456789") == plain.cd_edc(b"123456789") == 0x6EC2EDC4
    assert cd_edc(b"") == 0 == cd_edc(bytes(2064))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_compiled_equals_plain_in_any_two_parts(data: bytes, cut: int) -> None:
    assert cd_edc(data[cut:], cd_edc(data[:cut])) == plain.cd_edc(data) == plain.cd_edc(data[cut:], plain.cd_edc(data[:cut]))


def sector(mode: int, sub: bytes, fill: int, good: bool, stride: int) -> bytes:
    """A sector with its EDC, or one that is one bit off it."""
    raw = bytearray(bytes([fill]) * 2352)
    raw[:16] = SYNC + bytes((0, 2, 0, mode))
    start, end = (0, 2064) if mode == 1 else (16, 2348 if sub[2] & 0x20 else 2072)
    if mode == 2:
        raw[16:24] = sub * 2
    raw[end : end + 4] = (plain.cd_edc(raw[start:end]) ^ (not good)).to_bytes(4, "little")
    return bytes(raw)[16:] if stride == 2336 else bytes(raw).ljust(stride, b"\x5a")


@given(st.sampled_from((1, 2)), st.binary(min_size=4, max_size=4), st.integers(0, 255), st.booleans(), st.sampled_from((2336, 2352, 2448)))
def test_kinds_of_sectors(mode: int, sub: bytes, fill: int, good: bool, stride: int) -> None:
    mode = 2 if stride == 2336 else mode
    raw = sector(mode, sub, fill, good, stride)
    want = {1: 0, 2: 4 if sub[2] & 0x20 else 2}[mode] + (not good)
    assert cd_sectors(raw * 2 + raw[:100], stride) == plain.cd_sectors(raw * 2 + raw[:100], stride) == bytes([want] * 2)


@given(st.binary(min_size=24, max_size=24), st.sampled_from((2336, 2352)))
def test_any_head_is_judged_the_same(head: bytes, stride: int) -> None:
    for start in (b"", SYNC):
        raw = (start + head).ljust(stride, b"\0")
        assert cd_sectors(raw, stride) == plain.cd_sectors(raw, stride)
    for mode, want in ((0, 7), (3, 9)):
        raw = (SYNC + bytes((0, 2, 0, mode))).ljust(2352, b"\0")
        assert cd_sectors(raw, 2352) == plain.cd_sectors(raw, 2352) == bytes([want])
    assert cd_sectors(bytes(2352), 2352) == plain.cd_sectors(bytes(2352), 2352) == b"\x08"
    no_edc = bytes((0, 0, 0x20, 0)) * 2 + b"x" * 2324 + bytes(4)
    assert cd_sectors(no_edc, 2336) == plain.cd_sectors(no_edc, 2336) == b"\x04"


@pytest.mark.parametrize("stride", [0, 2048, 2351, 5000])
def test_other_strides_are_the_callers_fault(stride: int) -> None:
    for run in (cd_sectors, plain.cd_sectors):
        with pytest.raises(ValueError, match="sectors of"):
            run(b"", stride)
