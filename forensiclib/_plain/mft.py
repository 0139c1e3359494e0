"""Twin of _native/mft.pxi: NTFS file records to rows of names, attributes and runs."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable

__all__ = [
    "MFT_ATTRIBUTE", "MFT_NAME", "MFT_PROBLEM", "MFT_PROBLEMS", "MFT_RECORD", "mft_owners", "mft_scan",
]  # fmt: skip

MFT_RECORD = struct.Struct("<Q4QQ3I3HBB16sIIHHHHI")
"""base, born, modified, changed, accessed, usn, flags, security, reparse tag, sequence, links, record flags,
status (0 empty, 1 good, 2 torn and used in part, 3 unusable), has (1 standard information, 2 attribute list,
4 incomplete, 8 object id, 16 reparse point), object id, first name, first attribute, names, attributes,
offset of the update sequence, 0, 0."""
MFT_NAME = struct.Struct("<Q4QQQIIHHBBH")
"""parent reference, born, modified, changed, accessed, size, text offset, flags, record, sequence, text length,
namespace, known (0: the reference is lost), offset in the record. Sequence is 0 for names of file records."""
MFT_ATTRIBUTE = struct.Struct("<Q4qQIIIIHHBBH")
"""name offset, first VCN, VCN after the last, size, valid size, first run, record, type, runs, offset (of the content
when resident), name length, flags, non-resident, compression unit, state (1: bad runs or sizes)."""
MFT_PROBLEM = struct.Struct("<QII")
"""record (or offset), code, detail."""
MFT_PROBLEMS = {
    1: ("Corrupt", "file record: BAAD signature"),
    2: ("Corrupt", "file record: bad signature"),
    3: ("Corrupt", "file record: header contradicts itself"),
    4: ("Corrupt", "file record: torn sector; attributes from there on are not used"),
    5: ("Corrupt", "file record: attribute chain breaks"),
    6: ("Corrupt", "attribute: run list or sizes are bad"),
    7: ("Corrupt", "attribute: too short for its type"),
    8: ("Corrupt", "index record: bad signature"),
    9: ("Corrupt", "index record: torn sector; entries from there on are not used"),
    20: ("Corrupt", "directory: it is its own ancestor"),
    21: ("Corrupt", "extension record: its base record is gone"),
    22: ("Corrupt", "stream: its first runs are missing"),
    23: ("Corrupt", "stream: runs are missing in the middle"),
    24: ("LimitExceeded", "path: too long"),
    25: ("LimitExceeded", "file: more attributes than an attribute list can name"),
}
"""Code to (error class, what)."""

REFERENCE = (1 << 48) - 1
UNKNOWN = 0xFFFFFFFF
MAX_VALUE = 1 << 62

_HEADER = struct.Struct("<4sHHQHHHHII Q".replace(" ", ""))
_FN = struct.Struct("<Q4QQQIIBB")


def _fix(record: bytearray, at: int, size: int) -> tuple[int, int]:
    """Undo the update sequence of one record in place: (usable bytes, -1), or (0, 3) when the header
    cannot be right. Usable bytes end at the first torn sector after the first one; a mismatch is told
    by the second value, the sector's number."""
    offset, count = struct.unpack_from("<HH", record, at + 4)
    if count != size // 512 + 1 or offset < 40 or offset & 1 or offset + 2 * count > min(size, 510):
        return 0, 3
    usn, usable, torn = record[at + offset : at + offset + 2], size, -1
    for sector in range(count - 1):
        end = at + (sector + 1) * 512
        if record[end - 2 : end] != usn:
            if torn < 0:
                torn = sector
                if sector:
                    usable = sector * 512
            continue
        fixed = at + offset + 2 + 2 * sector
        record[end - 2 : end] = record[fixed : fixed + 2]
    return usable, torn


def _runs(data: bytes | bytearray, at: int, end: int, vcns: int, clusters: int, bound: int) -> tuple[list[tuple[int, int]], bool]:
    """Mapping pairs: (cluster or -1, clusters) each, and whether all of ``vcns`` were found."""
    out: list[tuple[int, int]] = []
    lcn = seen = 0
    while at < end and data[at] and seen < vcns:
        low, high = data[at] & 15, data[at] >> 4
        if low == 0 or low > 8 or high > 8 or at + 1 + low + high > end:
            return out, False
        length = int.from_bytes(data[at + 1 : at + 1 + low], "little", signed=True)
        if length <= 0 or length > bound - seen:
            return out, False
        start = -1
        if high:
            delta = int.from_bytes(data[at + 1 + low : at + 1 + low + high], "little", signed=True)
            if not -bound <= delta <= bound:
                return out, False
            lcn += delta
            if lcn < 0 or lcn + length > clusters:
                return out, False
            start = lcn
        out.append((start, length))
        seen += length
        at += 1 + low + high
    return out, seen == vcns


Told = Callable[[int, int, bytes], bool]
"""Whether the file that a reference means has a name: (reference, parent reference, UTF-8)."""


def plausible_name(data: bytes | bytearray, at: int, end: int, records: int) -> int:
    """The length of the FILE_NAME at ``at``, or 0 when these bytes are not one."""
    if at + 68 > end:
        return 0
    parent, born, modified, changed, accessed, allocated, size, _flags, _reparse, length, space = _FN.unpack_from(data, at)
    if not 5 <= parent & REFERENCE < records or parent >> 48 == 0 or length == 0 or space > 3 or at + 66 + 2 * length > end:
        return 0
    for time in (born, modified, changed, accessed):
        if not 0x0100000000000000 < time < 0x0300000000000000:  # 1829 to 2285
            return 0
    if allocated >= MAX_VALUE or size >= MAX_VALUE or allocated & 7:
        return 0
    for unit in struct.unpack_from(f"<{length}H", data, at + 66):
        if unit < 32 or unit == 47:
            return 0
    return 66 + 2 * int(length)


def lost_names(
    data: bytes | bytearray, at: int, end: int, records: int, names: bytearray, text: bytearray, told: Told | None = None, base: int = 0
) -> None:
    """Every FILE_NAME key on an 8-byte boundary of [at, end), with the reference of the index entry
    in front of it where that is whole; without those that the base record referred to has itself, as ``told``."""
    at = (at + 7) & ~7
    while at + 68 <= end:
        size = plausible_name(data, at, end, records)
        if not size:
            at += 8
            continue
        reference, length, key = struct.unpack_from("<QHH", data, at - 16)
        known = key == size and length >= 16 + size and length & 7 == 0 and reference >> 48 and reference & REFERENCE < records
        parent, born, modified, changed, accessed, _allocated, real, flags, _reparse, _length, space = _FN.unpack_from(data, at)
        name = bytes(data[at + 66 : at + size]).decode("utf-16-le", "replace").encode()
        at = (at + size + 7) & ~7
        if known and told is not None and told(reference, parent, name):
            continue
        names += MFT_NAME.pack(
            parent, born, modified, changed, accessed, real, base + len(text), flags, reference & REFERENCE if known else UNKNOWN,
            reference >> 48 if known else 0, len(name), space, 1 if known else 0, 0,
        )  # fmt: skip
        text += name


def mft_scan(
    block: bytearray | memoryview,
    size: int,
    first: int,
    cluster: int,
    clusters: int,
    total: int,
    tables: list[bytearray],
    filled: array[int],
) -> bytes:
    """File records of ``size`` bytes each, the first being number ``first`` of ``total``, to rows.

    block               writable: the update sequences are undone in it
    cluster, clusters   bytes of a cluster, clusters of the volume
    tables, filled      records, names, attributes, runs, text, lost names, their text: MFT_RECORD, MFT_NAME, MFT_ATTRIBUTE
                        rows, int64 pairs (cluster or -1, clusters), UTF-8, MFT_NAME rows and UTF-8. Each is appended to
                        behind its ``filled`` (type code Q) bytes, which is set anew; bytes behind that mean nothing
    Returns MFT_PROBLEM rows. Lost names are candidates: directory entries behind the names, in index roots and record
    slack, the live ones among them.
    """
    if size < 512 or size % 512 or size > 65536:
        raise ValueError("record size")
    if cluster < 1 or clusters < 0 or first < 0:
        raise ValueError("negative geometry")
    bound = MAX_VALUE // cluster
    if len(tables) != 7 or len(filled) != 7:
        raise ValueError("tables")
    for table, used in zip(tables, filled, strict=True):
        if used > len(table):
            raise ValueError("table")
        del table[used:]
    records, names, attributes, runs, text, lost, lost_text = tables
    problems = bytearray()
    work = bytearray(block)
    for index in range(len(work) // size):
        number, at = first + index, index * size
        name_first = len(names) // MFT_NAME.size
        attribute_first = len(attributes) // MFT_ATTRIBUTE.size
        times, usn, flags, security, tag, has, object_id = (0, 0, 0, 0), 0, 0, 0, 0, 0, bytes(16)
        signature, status, code, detail = bytes(work[at : at + 4]), 3, 0, 0
        base = sequence = links = kind = 0
        usable, torn, fixups = 0, -1, 0
        if signature == b"FILE":
            usable, torn = _fix(work, at, size)
            _, fixups, _, _, sequence, links, attribute_at, kind, used, _, base = _HEADER.unpack_from(work, at)
            if not usable or attribute_at < 40 or attribute_at + 8 > size or attribute_at & 7:
                code = 3
            else:
                status = 1
                if torn >= 0:
                    status, code, detail, has = 2, 4, torn, 4
        elif not any(work[at : at + size]):
            status = 0
        else:
            code = 1 if signature == b"BAAD" else 2
        if code:
            problems += MFT_PROBLEM.pack(number, code, detail)
        if status in (1, 2):
            end = at + min(used, usable)
            pos, behind = at + attribute_at, 0
            while True:
                if pos + 4 <= end and work[pos : pos + 4] == b"\xff\xff\xff\xff":
                    break
                kind_, length = struct.unpack_from("<II", work, pos) if pos + 16 <= end else (0, 0)
                plain = pos + 16 <= end and not work[pos + 8]
                if length < (24 if plain else 64) or length & 7 or pos + length > end:
                    if torn < 1:
                        has |= 4
                        problems += MFT_PROBLEM.pack(number, 5, pos - at)
                    break
                stop = pos + length
                if kind_ > 0x30 and not behind:
                    behind = pos
                name_length, name_at, attribute_flags = work[pos + 9], *struct.unpack_from("<HH", work, pos + 10)
                if name_at + 2 * name_length > length:
                    name_length = 0
                content = content_size = 0
                if plain:
                    content_size, content = struct.unpack_from("<IH", work, pos + 16)
                    if content + content_size > length:
                        problems += MFT_PROBLEM.pack(number, 7, pos - at)
                        has |= 4
                        pos = stop
                        continue
                here = pos + content
                if kind_ == 0x10 and plain:
                    if content_size < 48:
                        problems += MFT_PROBLEM.pack(number, 7, pos - at)
                    else:
                        *times_, flags = struct.unpack_from("<4QI", work, here)
                        times, has = (times_[0], times_[1], times_[2], times_[3]), has | 1
                        if content_size >= 72:
                            security, _, usn = struct.unpack_from("<IQQ", work, here + 52)
                elif kind_ == 0x30 and plain:
                    length_ = work[here + 64] if content_size >= 66 else 0
                    if content_size < 66 + 2 * length_ or not length_:
                        problems += MFT_PROBLEM.pack(number, 7, pos - at)
                    else:
                        parent, *fn_times, _, real, fn_flags, fn_tag, _, space = _FN.unpack_from(work, here)
                        name = bytes(work[here + 66 : here + 66 + 2 * length_]).decode("utf-16-le", "replace").encode()
                        names += MFT_NAME.pack(
                            parent, *fn_times, real, len(text), fn_flags, number & UNKNOWN, 0, len(name), space, 1, here - at
                        )
                        text += name
                        if fn_flags & 0x400 and not tag:
                            tag = fn_tag
                elif kind_ == 0x40 and plain and content_size >= 16:
                    object_id, has = bytes(work[here : here + 16]), has | 8
                elif not (kind_ == 0x50 and plain):
                    name = bytes(work[pos + name_at : pos + name_at + 2 * name_length]).decode("utf-16-le", "replace").encode()
                    start = after = real = valid = unit = state = count = 0
                    run_first = len(runs) // 16
                    where = pos - at
                    if kind_ == 0x20:
                        has |= 2
                    elif kind_ == 0xC0:
                        has |= 16
                        if plain and content_size >= 8:
                            tag = struct.unpack_from("<I", work, here)[0]
                    if plain:
                        real = valid = content_size
                        where = here - at
                    else:
                        start, last, run_at, unit = struct.unpack_from("<qqHH", work, pos + 16)
                        after = last + 1 if -1 <= last < bound else -1
                        if start == 0:
                            real, valid = struct.unpack_from("<qq", work, pos + 48)
                            if not 0 <= real < MAX_VALUE or not 0 <= valid <= real:
                                state, real = 1, real if 0 <= real < MAX_VALUE else 0
                                valid = min(max(valid, 0), real)
                        if not 0 <= start <= after or unit > 16:
                            state, start, after, unit = 1, 0, 0, 0
                        elif after > start:
                            found, whole = _runs(work, pos + run_at, stop, after - start, clusters, bound)
                            for pair in found:
                                runs += struct.pack("<qq", *pair)
                            count = len(found)
                            state |= not whole
                        if state:
                            problems += MFT_PROBLEM.pack(number, 6, pos - at)
                    attributes += MFT_ATTRIBUTE.pack(
                        len(text), start, after, real, valid, run_first, number & UNKNOWN, kind_, count, where,
                        len(name), attribute_flags, 0 if plain else 1, unit, state,
                    )  # fmt: skip
                    text += name
                pos = stop
            if kind & 2:
                lost_names(work, (behind or pos) + 16, at + usable, total, lost, lost_text)
        records += MFT_RECORD.pack(
            base, *times, usn, flags, security, tag, sequence, links, kind, status, has, object_id,
            name_first, attribute_first,
            len(names) // MFT_NAME.size - name_first,
            len(attributes) // MFT_ATTRIBUTE.size - attribute_first,
            fixups, 0, 0,
        )  # fmt: skip
    block[:] = work
    filled[:] = array("Q", map(len, tables))
    return bytes(problems)


def same_sequence(wanted: int, sequence: int, in_use: int) -> bool:
    """Whether a reference's sequence number means this record: NTFS counts up when it frees one."""
    return wanted in (0, sequence) or (not in_use and (wanted + 1 == sequence or (wanted == 0xFFFF and sequence == 1)))


def mft_owners(records: bytes | bytearray | memoryview) -> tuple[bytes, bytes]:
    """For each record the number (uint32) of the base record that it belongs to: itself, unless it is an
    extension whose base is there, in the same state, with the sequence number that it names. And the numbers
    (uint32, ascending) of these extensions."""
    rows = list(MFT_RECORD.iter_unpack(records))
    out = list(range(len(rows)))
    for i, row in enumerate(rows):
        base, status, kind = row[0], row[12], row[11]
        if not base or status not in (1, 2):
            continue
        number = base & REFERENCE
        if number >= len(rows) or number == i:
            continue
        owner = rows[number]
        if owner[0] or owner[12] not in (1, 2) or (owner[11] ^ kind) & 1 or not same_sequence(base >> 48, owner[9], owner[11] & 1):
            continue
        out[i] = number
    others = [i for i, base in enumerate(out) if i != base]
    return struct.pack(f"<{len(out)}I", *out), struct.pack(f"<{len(others)}I", *others)
