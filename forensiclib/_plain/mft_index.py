"""Twin of _native/mft_index.pxi: names that directories still hold, and what overwrote deleted files."""

from __future__ import annotations

import heapq
import struct

from forensiclib._plain.mft import MFT_ATTRIBUTE, MFT_NAME, MFT_PROBLEM, MFT_RECORD, REFERENCE, Told, _fix, lost_names, same_sequence

__all__ = ["index_names", "mft_lost", "mft_ranges", "mft_verdicts"]

LIVE = (1 << 64) - 1


def mft_ranges(attributes: bytes | bytearray | memoryview, runs: bytes | bytearray | memoryview, kind: int, cluster: int) -> bytes:
    """The clusters of all non-resident attributes of type ``kind``: int64 triples (row of the attribute, volume
    offset, bytes), holes left out."""
    out = bytearray()
    for n, attribute in enumerate(MFT_ATTRIBUTE.iter_unpack(attributes)):
        if attribute[7] == kind and attribute[12]:
            for i in range(attribute[5], attribute[5] + attribute[8]):
                start, length = struct.unpack_from("<qq", runs, i * 16)
                if start >= 0:
                    out += struct.pack("<qqq", n, start * cluster, length * cluster)
    return bytes(out)


def index_names(
    block: bytearray | memoryview,
    size: int,
    total: int,
    base: int,
    records: bytes | bytearray | memoryview,
    names: bytes | bytearray | memoryview,
    text: bytes | bytearray | memoryview,
    owners: bytes | bytearray | memoryview,
) -> tuple[bytes, bytes, bytes]:
    """Directory index blocks of ``size`` bytes each to MFT_NAME rows, their text (offsets from ``base``) and
    MFT_PROBLEM rows (block number in this buffer). The update sequences are undone in ``block``. Names that the base
    record has itself are left out: see mft_lost for the rest."""
    if size < 512 or size % 512 or size > 65536:
        raise ValueError("index record size")
    if len(owners) < len(records) // MFT_RECORD.size * 4:
        raise ValueError("owners")
    told = _told(records, names, text, owners)
    found, words, problems = bytearray(), bytearray(), bytearray()
    work = bytearray(block)
    for index in range(len(work) // size):
        at = index * size
        if work[at : at + 4] != b"INDX":
            if any(work[at : at + size]):
                problems += MFT_PROBLEM.pack(index, 8, 0)
            continue
        usable, torn = _fix(work, at, size)
        if not usable:
            problems += MFT_PROBLEM.pack(index, 8, 0)
            continue
        if torn >= 0:
            problems += MFT_PROBLEM.pack(index, 9, torn)
        lost_names(work, at + 40, at + usable, total, found, words, told, base)
    block[:] = work
    return bytes(found), bytes(words), bytes(problems)


def _told(
    records: bytes | bytearray | memoryview,
    names: bytes | bytearray | memoryview,
    text: bytes | bytearray | memoryview,
    owners: bytes | bytearray | memoryview,
) -> Told:
    rows, named = list(MFT_RECORD.iter_unpack(records)), list(MFT_NAME.iter_unpack(names))
    owner = struct.unpack_from(f"<{len(rows)}I", owners)

    def told(reference: int, parent: int, word: bytes) -> bool:
        number, sequence = reference & REFERENCE, reference >> 48
        if number >= len(rows) or owner[number] != number or not same_sequence(sequence, rows[number][9], rows[number][11] & 1):
            return False
        first, count = rows[number][15], rows[number][17]
        return any(n[0] == parent and text[n[6] : n[6] + n[10]] == word for n in named[first : first + count])

    return told


def mft_lost(
    records: bytes | bytearray | memoryview,
    names: bytes | bytearray | memoryview,
    text: bytes | bytearray | memoryview,
    owners: bytes | bytearray | memoryview,
    lost: bytes | bytearray | memoryview,
    lost_text: bytes | bytearray | memoryview,
) -> bytes:
    """The rows of ``lost`` that say something no file record says, each once: a name whose record has the
    same parent and name is known; one whose reference is lost is known when any record has them."""
    rows = list(MFT_RECORD.iter_unpack(records))
    owner = struct.unpack(f"<{len(rows)}I", owners)
    known: dict[tuple[int, bytes], list[int]] = {}
    for name in MFT_NAME.iter_unpack(names):
        known.setdefault((name[0], bytes(text[name[6] : name[6] + name[10]])), []).append(owner[name[8]])
    seen: set[tuple[object, ...]] = set()
    out = bytearray()
    for name in MFT_NAME.iter_unpack(lost):
        word = bytes(lost_text[name[6] : name[6] + name[10]])
        same = known.get((name[0], word))
        if same is not None and (not name[12] or any(i == name[8] and same_sequence(name[9], rows[i][9], rows[i][11] & 1) for i in same)):
            continue
        key = (*name[:6], *name[7:10], *name[11:13], word)
        if key in seen:
            continue
        seen.add(key)
        out += MFT_NAME.pack(*name)
    return bytes(out)


def _clear(bitmap: bytes | bytearray | memoryview, start: int, end: int) -> int:
    """Clear bits of [start, end); bits past the bitmap count as set."""
    end = min(end, len(bitmap) * 8)
    return sum(1 for bit in range(start, end) if not bitmap[bit >> 3] >> (bit & 7) & 1)


def mft_verdicts(
    records: bytes | bytearray | memoryview,
    attributes: bytes | bytearray | memoryview,
    runs: bytes | bytearray | memoryview,
    owners: bytes | bytearray | memoryview,
    bitmap: bytes | bytearray | memoryview,
) -> bytes:
    """One byte a record, for those not in use: 1 intact, 2 partly overwritten, 3 overwritten; 0 for the rest.

    A cluster is lost when ``bitmap`` has it, when a record in use names it, or when a deleted record that
    was born or changed later (then: of a higher number) names it.
    """
    rows = list(MFT_RECORD.iter_unpack(records))
    owner = struct.unpack(f"<{len(rows)}I", owners)
    segments: list[tuple[int, int, int, int]] = []
    for attribute in MFT_ATTRIBUTE.iter_unpack(attributes):
        if not attribute[12]:
            continue
        who = owner[attribute[6]]
        live = rows[who][11] & 1
        key = LIVE if live else min(max(rows[who][1], rows[who][3]), LIVE - 1)
        for i in range(attribute[5], attribute[5] + attribute[8]):
            start, length = struct.unpack_from("<qq", runs, i * 16)
            if start >= 0 and not (live and not _clear(bitmap, start, start + length)):
                segments.append((start, start + length, key, who))
    total, won = [0] * len(rows), [0] * len(rows)
    for start, end, _key, who in segments:
        total[who] += end - start
    segments.sort()
    heap: list[tuple[int, int, int]] = []  # (-key, -record, end)
    i, pos = 0, 0
    while i < len(segments) or heap:
        if not heap:
            pos = segments[i][0]
        while i < len(segments) and segments[i][0] <= pos:
            heapq.heappush(heap, (-segments[i][2], -segments[i][3], segments[i][1]))
            i += 1
        while heap and heap[0][2] <= pos:
            heapq.heappop(heap)
        if heap:
            after = min(heap[0][2], segments[i][0]) if i < len(segments) else heap[0][2]
            won[-heap[0][1]] += _clear(bitmap, pos, after)
            pos = after
    out = bytearray(len(rows))
    for n, row in enumerate(rows):
        if row[12] in (1, 2) and not row[11] & 1:
            out[n] = 1 if won[n] == total[n] else 2 if won[n] else 3
    return bytes(out)
