"""Runs of bytes of a class: regular expressions as the definition, and compiled against plain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.core.errors import UsageError

AB = bytes(b in b"ab" for b in range(256))


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_runs_by_hand(module) -> None:
    data = b"ab.aaaa..bbb.abababab"
    assert module.byte_runs(data, AB, 3) == [(3, 7), (9, 12), (13, 21)]
    assert module.byte_runs(data, AB, 3, 4) == [(9, 12), (13, 21)]  # the first begins before
    assert module.byte_runs(data, AB, 3, 0, 10) == [(3, 7), (9, 12)]
    wide = b"." + "abba".encode("utf-16-le") + b"." + "aaaa".encode("utf-16-le") + b"x"
    assert module.byte_runs(wide, AB, 4, 0, None, 2) == [(1, 9), (10, 18)]
    assert module.byte_runs(b"", AB, 1) == [] and module.byte_runs(data, bytes(256), 1) == []
    for wrong in ((AB, 0), (AB[:9], 1)):
        with pytest.raises(UsageError):
            module.byte_runs(data, *wrong)


@given(
    st.lists(st.sampled_from([b"a", b"b", b"a\0", b"b\0a\0", b".", b"\0", b"aaaaaaaa"])).map(b"".join),
    st.integers(1, 9),
    st.integers(0, 20),
)
@settings(max_examples=500, deadline=None)
def test_compiled_equals_plain_and_re(data: bytes, minimum: int, start: int) -> None:
    start = min(start, len(data))
    for stride in (1, 2):
        for stop in (len(data), (start + len(data)) // 2):
            assert kernels.byte_runs(data, AB, minimum, start, stop, stride) == plain.byte_runs(data, AB, minimum, start, stop, stride)
    assert kernels.byte_runs(data, AB, minimum) == [m.span() for m in re.finditer(b"[ab]{%d,}" % minimum, data)]


def test_many_runs_in_one_call() -> None:
    assert kernels.byte_runs(b"aab." * 2000, AB, 3) == [(4 * i, 4 * i + 3) for i in range(2000)]
