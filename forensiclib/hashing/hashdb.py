"""The JSON lines in which hashdb 3.1 imports and exports block hashes (https://github.com/NPS-DEEP/hashdb/wiki)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from forensiclib.core.batch import Batch
from forensiclib.core.errors import Corrupt, UsageError
from forensiclib.core.limits import Budget
from forensiclib.hashing.blockset import BlockSet

__all__ = ["HashdbBlock", "HashdbSource", "block_set", "hashdb_lines", "hashdb_of", "read_hashdb"]

LINE = 64 << 20
"""Characters of the longest line that is parsed: a block in a million files takes 40 MB."""


@dataclass(frozen=True, slots=True)
class HashdbSource:
    """A file whose blocks are known. names  (repository, file name) pairs; the counts are of blocks."""

    file_hash: bytes
    filesize: int
    file_type: str = ""
    zero_count: int = 0
    nonprobative_count: int = 0
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HashdbBlock:
    """A block. k_entropy  1000 times the entropy of its 16-bit symbols; label  why it proves nothing, "" if it may;
    sources  (file hash, how often it is in that file) pairs."""

    block_hash: bytes
    k_entropy: int = 0
    label: str = ""
    sources: tuple[tuple[bytes, int], ...] = ()


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value


def _hash(value: Any) -> bytes:
    digest = bytes.fromhex(value)
    if not 8 <= len(digest) <= 64 or len(value) != 2 * len(digest):
        raise ValueError(f"{str(value)[:40]!r} is no digest")
    return digest


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{str(value)[:40]!r} is no text")
    return value


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    if type(value) is not list or len(value) % 2:
        raise ValueError("no flat list of pairs")
    return zip(value[::2], value[1::2], strict=True)


def _parse(row: Any) -> HashdbSource | HashdbBlock:
    if type(row) is not dict:
        raise ValueError("no object")
    if "block_hash" in row:
        sources = tuple((_hash(a), _count(b)) for a, b in _pairs(row.get("source_sub_counts", [])))
        return HashdbBlock(_hash(row["block_hash"]), _count(row.get("k_entropy", 0)), _text(row.get("block_label", "")), sources)
    names = tuple((_text(a), _text(b)) for a, b in _pairs(row.get("name_pairs", [])))
    zeros, labelled = _count(row.get("zero_count", 0)), _count(row.get("nonprobative_count", 0))
    return HashdbSource(_hash(row["file_hash"]), _count(row.get("filesize", 0)), _text(row.get("file_type", "")), zeros, labelled, names)


def read_hashdb(lines: Iterable[str], *, budget: Budget) -> Iterator[HashdbSource | HashdbBlock]:
    """The sources and blocks of an export, in order. Comments and empty lines are skipped; a line that is neither is reported
    to ``budget`` as Corrupt with its number, and reading goes on."""
    for number, line in enumerate(lines, 1):
        if not number & 1023:
            budget.check()
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if len(line) > LINE:
                raise ValueError(f"{len(line)} characters")
            yield _parse(json.loads(line))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            budget.report(
                Corrupt("hashdb line", None, f"line {number}: {error if isinstance(error, ValueError) else type(error).__name__}")
            )


def hashdb_lines(items: Iterable[HashdbSource | HashdbBlock]) -> Iterator[str]:
    """One line each, without its end, as hashdb imports them."""
    for item in items:
        row: dict[str, Any]
        if isinstance(item, HashdbSource):
            row = {
                "file_hash": item.file_hash.hex(), "filesize": item.filesize, "file_type": item.file_type, "zero_count": item.zero_count,
                "nonprobative_count": item.nonprobative_count, "name_pairs": [text for pair in item.names for text in pair],
            }  # fmt: skip
        else:
            row = {
                "block_hash": item.block_hash.hex(), "k_entropy": item.k_entropy, "block_label": item.label,
                "source_sub_counts": [part for digest, count in item.sources for part in (digest.hex(), count)],
            }  # fmt: skip
        yield json.dumps(row, separators=(",", ":"))


def hashdb_of(batches: Iterable[Batch], source: HashdbSource) -> Iterator[HashdbSource | HashdbBlock]:
    """The blocks of one file (block_hashes with k_entropy) as hashdb has them: first ``source`` with its counts, then each digest once.

    Zero blocks, and blocks that were not read whole, are not listed; the former are counted. A block that is not distinctive has its
    verdict as label. All digests of the file are held in memory until the end.
    """
    blocks: dict[bytes, list[Any]] = {}
    zeros = labelled = 0
    for batch in batches:
        if "k_entropy" not in batch.names or "verdict" not in batch.names:
            raise UsageError("hashdb needs k_entropy and verdict")
        for row in batch.rows():
            if row["unreadable"]:
                continue
            if row["verdict"] == "zero":
                zeros += 1
                continue
            label = "" if row["verdict"] == "distinctive" else row["verdict"]
            labelled += bool(label)
            blocks.setdefault(row["digest"], [row["k_entropy"], label, 0])[2] += 1
    yield HashdbSource(source.file_hash, source.filesize, source.file_type, zeros, labelled, source.names)
    for digest, (k_entropy, label, count) in blocks.items():
        yield HashdbBlock(digest, k_entropy, label, ((source.file_hash, count),))


def block_set(items: Iterable[HashdbSource | HashdbBlock], size: int = 512, *, labelled: bool = False) -> BlockSet:
    """The MD5 block hashes of an export as a BlockSet over blocks of ``size`` bytes (the export does not say it); those with a label
    only if ``labelled``. UsageError for hashes of another length."""
    return BlockSet((i.block_hash for i in items if isinstance(i, HashdbBlock) and (labelled or not i.label)), "md5", size)
