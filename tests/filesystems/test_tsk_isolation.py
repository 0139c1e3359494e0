"""The isolated variant: same answers, and a dead, stopped or late process is an EvidenceError."""

from __future__ import annotations

import gzip
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.filesystems.tsk.isolate import IsolatedReader
from forensiclib.filesystems.tsk.rooms import open_tsk

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "tsk"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def sample(name: str) -> MemorySource:
    return MemorySource(gzip.decompress((SAMPLES / f"{name}.img.gz").read_bytes()), name)


@pytest.mark.parametrize(("name", "kind"), [("fat12", "fat"), ("ext2", "ext"), ("ext4", "ext"), ("exfat", "exfat")])
def test_isolated_and_not_say_the_same(name: str, kind: str) -> None:
    inside = open_tsk(sample(name), Budget(), kind)
    outside = open_tsk(sample(name), Budget(), kind, isolate=True)
    assert list(inside.walk()) == list(outside.walk())
    for one, other in zip(inside.walk(), outside.walk(), strict=True):
        assert [s.read_at(0, s.size) for s in one.streams()] == [s.read_at(0, s.size) for s in other.streams()]
    assert inside.unallocated() == outside.unallocated()
    outside.close()


def test_a_crash_names_its_signal_and_the_next_question_is_answered() -> None:
    reader = IsolatedReader(sample("fat12"), "fat", 30)
    root = reader.info.root
    before = reader.names(root)
    assert reader._child is not None
    os.kill(reader._child.pid, signal.SIGSEGV)
    reader._child.wait()
    with pytest.raises(Corrupt, match="SIGSEGV"):
        reader.names(root)
    assert reader.names(root) == before
    reader.close()


def test_a_crash_while_walking_is_a_finding() -> None:
    budget = Budget()
    fs = open_tsk(sample("fat12"), budget, "fat", isolate=True)
    walk = fs.walk()
    next(walk)
    reader = fs._reader
    assert isinstance(reader, IsolatedReader) and reader._child is not None
    os.kill(reader._child.pid, signal.SIGABRT)
    reader._child.wait()
    rest = [e.path for e in walk]
    assert "a.txt" in rest
    assert any("SIGABRT" in f.found for f in budget.findings)
    fs.close()


def test_a_process_that_hangs_is_ended_in_time() -> None:
    reader = IsolatedReader(sample("fat12"), "fat", 1.0)
    assert reader._child is not None
    os.kill(reader._child.pid, signal.SIGSTOP)
    with pytest.raises(LimitExceeded, match="no answer in"):
        reader.names(reader.info.root)
    reader.close()


def test_no_process_stays() -> None:
    reader = IsolatedReader(sample("ext2"), "ext", 30)
    child = reader._child
    assert child is not None
    reader.close()
    assert child.poll() is not None
    before = threading.active_count()
    del reader
    assert threading.active_count() <= before


class _Bad(ByteSource):
    """The sample with an unreadable range, as an image with a damaged chunk."""

    def __init__(self, base: ByteSource, low: int, high: int) -> None:
        self._base, self._low, self._high, self.size = base, low, high, base.size

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        if offset < self._high and offset + len(buffer) > self._low:
            raise Unreadable("chunk", Span("bad", self._low, self._high - self._low), "checksum")
        return self._base.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._base.trace(offset, n)


@pytest.mark.parametrize("isolate", [False, True])
def test_an_unreadable_range_does_not_vanish_in_the_c_code(isolate: bool) -> None:
    base = sample("ext2")
    entry = open_tsk(base, Budget(), "ext").get("dir")
    start = entry.open().runs[0][0]
    assert start is not None
    budget = Budget()
    fs = open_tsk(_Bad(base, start, start + 1024), budget, "ext", isolate=isolate)
    try:
        list(fs.walk())
    except EvidenceError as error:
        assert isinstance(error, Unreadable)
    else:
        assert any("checksum" in f.found for f in budget.findings), budget.findings
    fs.close()
