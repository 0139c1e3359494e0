"""Sets of digests: compiled == twin == Python's own sets."""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import blockset as plain
from forensiclib.core.errors import UsageError


def rows(rng: random.Random, width: int, count: int) -> list[bytes]:
    # few first bytes: shares of any size, and equal rows
    heads = [rng.randbytes(rng.choice((0, 1, 2, 4, 7))) for _ in range(rng.randrange(1, 9))]
    out = [(h := rng.choice(heads)) + rng.randbytes(width - len(h)) for _ in range(count)]
    return out + rng.choices(out, k=count // 3) if out else out


@given(seed=st.integers(0, 1 << 32), width=st.sampled_from((8, 16, 20, 32, 64)), count=st.integers(0, 2000))
@settings(max_examples=80, deadline=None)
def test_compiled_equals_the_twin_and_sets(seed: int, width: int, count: int) -> None:
    rng = random.Random(seed)
    known = rows(rng, width, count)
    table = kernels.digest_sort(b"".join(known), width)
    assert table == plain.digest_sort(b"".join(known), width) == b"".join(sorted(set(known)))
    index = kernels.digest_index(table, width)
    assert index == plain.digest_index(table, width)
    queries = rng.choices(known, k=50) + rows(rng, width, 50) if known else rows(rng, width, 50)
    queries += [bytes(width), b"\xff" * width]
    asked = b"".join(queries)
    found = kernels.digest_find(table, index, width, asked)
    assert found == plain.digest_find(table, index, width, asked)
    for query, row in zip(queries, array("i", found), strict=True):
        assert (row >= 0) == (query in set(known))
        assert row < 0 or table[row * width : (row + 1) * width] == query


def test_a_wrong_index_reads_nothing_else() -> None:
    rng = random.Random(1)
    table = kernels.digest_sort(rng.randbytes(16 * 500), 16)
    size = len(kernels.digest_index(table, 16))
    for index in (b"\xff" * size, bytes(size), rng.randbytes(size)):
        found = array("i", kernels.digest_find(table, index, 16, table))
        assert all(row in (-1, at) for at, row in enumerate(found))


def test_what_cannot_be_asked() -> None:
    for room in (kernels, plain):
        for data, width in ((b"x" * 7, 7), (b"x" * 65, 65), (b"x" * 17, 16)):
            with pytest.raises(UsageError):
                room.digest_sort(data, width)
        with pytest.raises(UsageError):
            room.digest_find(b"x" * 16, b"", 16, b"")
        with pytest.raises(UsageError):
            room.digest_find(b"", room.digest_index(b"", 16), 16, b"x")
