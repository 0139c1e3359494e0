"""Sets of block digests, their file, and hashdb's JSON lines."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib.core.errors import EvidenceError, Unreadable, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.span import Span
from forensiclib.hashing.blocks import block_hashes
from forensiclib.hashing.blockset import BlockSet
from forensiclib.hashing.hashdb import HashdbBlock, HashdbSource, block_set, hashdb_lines, hashdb_of, read_hashdb

NOISE = random.Random(9).randbytes(64 * 512)
FILE = NOISE[: 8 * 512] + bytes(512) + b"\x55\xaa" * 256 + NOISE[:512] + NOISE[8 * 512 : 8 * 512 + 100]


def test_membership_is_that_of_a_python_set(tmp_path: Path) -> None:
    known = {hashlib.md5(NOISE[at : at + 512]).digest() for at in range(0, 32 * 512, 512)}
    found = BlockSet(known, "md5", 512)
    assert len(found) == len(known) and sorted(known) == [found[i] for i in range(len(found))]
    asked = [hashlib.md5(NOISE[at : at + 512]).digest() for at in range(0, len(NOISE), 512)]
    assert [row >= 0 for row in found.find(b"".join(asked))] == [d in known for d in asked]
    assert all((d in found) == (d in known) for d in asked) and b"short" not in found and 7 not in found
    (batch,) = block_hashes(MemorySource(NOISE), 512, budget=Budget())
    assert found.mark(batch).list("known") == [d in known for d in asked]
    with pytest.raises(UsageError):
        found.mark(next(block_hashes(MemorySource(NOISE), 4096, budget=Budget())))
    with pytest.raises(IndexError):
        found[len(found)]


def test_only_distinctive_blocks_by_default() -> None:
    def batches():
        return block_hashes(MemorySource(FILE), 512, budget=Budget())

    cuts = [FILE[at : at + 512] for at in range(0, len(FILE), 512)]
    distinct = {hashlib.md5(c).digest() for c in cuts[:8] + cuts[11:]}
    assert {*map(BlockSet.of(batches()).__getitem__, range(9))} == distinct
    everything = BlockSet.of(batches(), verdicts=("zero", "repeating", "distinctive"))
    assert len(everything) == 11 and hashlib.md5(bytes(512)).digest() in everything
    assert (everything.algorithm, everything.size) == ("md5", 512)


class Hole(MemorySource):
    """The first 4 KiB cannot be read."""

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        if offset < 4096:
            raise Unreadable("media", Span("memory", 0, 4096), "no")
        return super().read_into(offset, buffer)


def test_blocks_that_were_not_read_whole_are_never_known() -> None:
    def batches():
        return block_hashes(Hole(NOISE), 4096, budget=Budget(), on_bad="fill", k_entropy=True)

    zero = BlockSet([hashlib.md5(bytes(4096)).digest(), hashlib.md5(NOISE[4096:8192]).digest()], "md5", 4096)
    (batch,) = batches()
    assert batch.list("digest")[0] in zero
    assert zero.mark(batch).list("known")[:3] == [False, True, False]
    assert len(BlockSet.of(batches(), verdicts=("zero", "distinctive"))) == len(batch) - 1
    source, *blocks = hashdb_of(batches(), HashdbSource(bytes(16), 1))
    assert source.zero_count == 0 and len(blocks) == len(batch) - 1


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_saved_and_loaded(tmp_path: Path, algorithm: str) -> None:
    width = hashlib.new(algorithm).digest_size
    found = BlockSet(os.urandom(width * 1000), algorithm, 4096)
    found.save(tmp_path / "set")
    first, _, rest = (tmp_path / "set").read_bytes().partition(b"\n")
    assert json.loads(first)["count"] == 1000 and rest == b"".join(sorted(found[i] for i in range(1000)))
    back = BlockSet.load(tmp_path / "set")
    assert (back.algorithm, back.size, len(back)) == (algorithm, 4096, 1000) and all(found[i] in back for i in range(1000))


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_any_file_loads_or_is_an_evidence_error(tmp_path_factory, junk: bytes, at: int, byte: int) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    BlockSet(bytes(range(160)), "md5", 512).save(path)
    good = path.read_bytes()
    bad = bytearray(good)
    bad[at % len(bad)] = byte
    for content in (junk, bytes(bad), good[:at], good + junk, b'{"format": 1}\n', b"[" * 3000, b"9" * 4000 + b"\n"):
        path.write_bytes(content)
        try:
            found = BlockSet.load(path)
        except EvidenceError:
            continue
        assert len(found) == 10 or found.size != 512


# Lines of hashdb's documented interchange format, written by hand.
EXPORT = """\
# command: export_json x.hdb
{"file_hash":"f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0","filesize":1024,"file_type":"exe","zero_count":1,"nonprobative_count":2,"name_pairs":["repo","a.exe","repo","b.exe"]}

{"block_hash":"8899aabbccddeeff0011223344556677","k_entropy":7321,"block_label":"R","source_sub_counts":["f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0",2]}
{"block_hash":"000102030405060708090a0b0c0d0e0f","k_entropy":0,"block_label":"","source_sub_counts":[]}
"""


def test_hashdb_lines_come_in_and_go_out_unchanged() -> None:
    budget = Budget()
    items = list(read_hashdb(EXPORT.splitlines(), budget=budget))
    source = HashdbSource(bytes([0xF0]) * 16, 1024, "exe", 1, 2, (("repo", "a.exe"), ("repo", "b.exe")))
    first = HashdbBlock(bytes.fromhex("8899aabbccddeeff0011223344556677"), 7321, "R", ((bytes([0xF0]) * 16, 2),))
    assert items == [source, first, HashdbBlock(bytes(range(16)))] and not budget.findings
    assert list(hashdb_lines(items)) == [line for line in EXPORT.splitlines() if line.startswith("{")]
    assert bytes(range(16)) in block_set(items) and first.block_hash not in block_set(items)
    assert first.block_hash in block_set(items, labelled=True)


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "7", "null", '{"block_hash":7}', '{"block_hash":"zz"}', '{"block_hash":"00"}', '{"block_hash":"000102030405060708","k_entropy":-1}',
        '{"block_hash":"0001020304050607","k_entropy":1.5}', '{"block_hash":"0001020304050607","source_sub_counts":["00"]}',
        '{"block_hash":"0001020304050607","source_sub_counts":{}}', '{"block_hash":"0001020304050607","block_label":null}', '{"filesize":1}',
        '{"file_hash":"0001020304050607","name_pairs":[1,2]}', '{"file_hash":"00 01020304050607"}', "[" * 100_000, '{"k":' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_a_bad_line_is_reported_and_the_next_is_read(line: str) -> None:
    budget = Budget()
    items = list(read_hashdb([line, EXPORT.splitlines()[4]], budget=budget))
    assert items == [HashdbBlock(bytes(range(16)))]
    assert [f.kind for f in budget.findings] == ["Corrupt"] and "line 1" in budget.findings[0].found


def test_a_file_as_hashdb_has_it() -> None:
    file_hash = hashlib.md5(FILE).digest()
    batches = block_hashes(MemorySource(FILE), 512, budget=Budget(), k_entropy=True)
    source, *blocks = hashdb_of(batches, HashdbSource(file_hash, len(FILE), names=(("repo", "file"),)))
    assert source == HashdbSource(file_hash, len(FILE), "", 1, 1, (("repo", "file"),))
    by_hash = {b.block_hash: b for b in blocks}
    assert by_hash[hashlib.md5(NOISE[:512]).digest()].sources == ((file_hash, 2),)
    assert by_hash[hashlib.md5(b"\x55\xaa" * 256).digest()] == HashdbBlock(
        hashlib.md5(b"\x55\xaa" * 256).digest(), 0, "repeating", ((file_hash, 1),)
    )
    assert hashlib.md5(bytes(512)).digest() not in by_hash and len(blocks) == 10
    assert list(read_hashdb(hashdb_lines(blocks), budget=Budget())) == blocks
    with pytest.raises(UsageError):
        list(hashdb_of(block_hashes(MemorySource(FILE), 512, budget=Budget()), source))
