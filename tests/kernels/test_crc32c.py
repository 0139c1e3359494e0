"""CRC-32C: published vectors, and compiled == plain at every level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib import _digests_py as plain
from forensiclib.kernels import CRC32C_LEVELS, crc32c

# RFC 3720, B.4, and the check value of the CRC catalogue.
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "value"), VECTORS)
@pytest.mark.parametrize("level", CRC32C_LEVELS)
def test_published_vectors(data: bytes, value: int, level: str) -> None:
    assert crc32c(data, 0, level) == plain.crc32c(data) == value


@given(st.binary(max_size=300), st.integers(0, 300))
def test_compiled_equals_plain_in_any_two_parts(data: bytes, cut: int) -> None:
    for level in CRC32C_LEVELS:
        assert crc32c(data[cut:], crc32c(data[:cut], 0, level), level) == plain.crc32c(data)


def test_a_level_that_is_not_there_is_refused() -> None:
    for run in (crc32c, plain.crc32c):
        with pytest.raises(ValueError, match="no level"):
            run(b"", 0, "none")
