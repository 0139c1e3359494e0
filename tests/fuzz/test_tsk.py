"""Damaged volumes through The Sleuth Kit: entries or EvidenceError, and a crash of its C code is a finding.

The inputs run in worker processes, many in each. An input that kills its worker (a signal, or a
hang inside the C code) is then opened again isolated, as a caller would, which must end in findings
or EvidenceError. A hang in our own code is a failure.
"""

from __future__ import annotations

import faulthandler
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.filesystems.tsk.rooms import open_tsk
from forensiclib.testing.contracts import FUZZ_LIMITS, mutations

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "tsk"
KINDS = {"fat12": "fat", "exfat": "exfat", "ext2": "ext", "ext4": "ext"}
GRAIN = 512
SECONDS_EACH = 3


def load(name: str) -> bytes:
    return gzip.decompress((SAMPLES / f"{name}.img.gz").read_bytes())


def dense(sample: bytes) -> list[int]:
    """Offsets of the 512-byte pieces that hold something: damage elsewhere changes nothing."""
    return [at for at in range(0, len(sample), GRAIN) if sample[at : at + GRAIN].strip(b"\0\xff")]


def damaged(name: str, first: int, last: int) -> list[bytes]:
    """Mutations of the pieces that matter, put back in their places; number ``first`` to ``last``."""
    sample = load(name)
    places = dense(sample)
    core = b"".join(sample[at : at + GRAIN] for at in places)
    out = []
    for number, bad in enumerate(mutations(core, last)):
        if number < first:
            continue
        data = bytearray(sample)
        for i, at in enumerate(places):
            piece = bad[i * GRAIN : (i + 1) * GRAIN]
            data[at : at + len(piece)] = piece
        out.append(bytes(data[: len(sample) * len(bad) // len(core)]) if len(bad) < len(core) else bytes(data))
    return out


def examine(data: bytes, kind: str, isolate: bool = False) -> str:
    """Everything a caller does with a volume; returns how it ended."""
    budget = Budget(FUZZ_LIMITS)
    try:
        fs = open_tsk(MemorySource(data), budget, kind, isolate=isolate, seconds=SECONDS_EACH)
    except EvidenceError as error:
        return type(error).__name__
    try:
        for entry in fs.walk():
            for stream in entry.streams():
                try:
                    stream.read_at(0, 4096)
                except EvidenceError:
                    continue
        fs.unallocated()
    except EvidenceError as error:
        return type(error).__name__
    finally:
        fs.close()
    return f"{len(budget.findings)} findings"


def work(name: str, first: int, last: int) -> None:
    """The worker: one line for each input before it is examined."""
    for number, data in enumerate(damaged(name, first, last), first):
        print(number, flush=True)
        faulthandler.dump_traceback_later(SECONDS_EACH, exit=True)
        examine(data, KINDS[name])
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.timeout(3600)
def test_entries_or_evidence_error(name: str) -> None:
    first, crashed = 0, []
    while first < COUNT:
        last = min(first + 1000, COUNT)
        done = subprocess.run(
            [sys.executable, "-c", f"import runpy; runpy.run_path({__file__!r})['work']({name!r}, {first}, {last})"],
            capture_output=True, text=True, timeout=600, cwd=SAMPLES.parent.parent.parent,
        )  # fmt: skip
        if done.returncode == 0:
            first = last
            continue
        reached = int(done.stdout.split()[-1])
        hung = "Timeout" in done.stderr and "handle.py" in done.stderr.split("most recent call first")[-1].split("\n")[1]
        assert done.returncode < 0 or hung, f"input {reached}: {done.stderr[-3000:]}"
        crashed.append((reached, done.returncode))
        first = reached + 1
    for number, signal in crashed:
        end = examine(damaged(name, number, number + 1)[0], KINDS[name], isolate=True)
        assert end, f"input {number} died of signal {-signal}"
    print(f"{name}: {COUNT} inputs, {len(crashed)} crashes of The Sleuth Kit contained: {crashed[:10]}")
