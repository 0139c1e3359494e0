"""Twin of _native/mft_listing.pxi: file records to the columns of a listing with full paths."""

from __future__ import annotations

import struct
from array import array

from forensiclib._plain.mft import MFT_ATTRIBUTE, MFT_NAME, MFT_PROBLEM, MFT_RECORD, REFERENCE, same_sequence

__all__ = ["MFT_COLUMNS", "mft_listing"]

MFT_COLUMNS: dict[str, str] = {
    "id": "Q", "sequence": "I", "parent": "q", "path": "t", "stream": "t", "kind": "B", "state": "B", "verdict": "B",
    "size": "Q", "allocated": "Q", "modified": "T", "accessed": "T", "changed": "T", "born": "T", "links": "I", "flags": "I",
    "run_start": "l", "run_length": "l", "name": "t", "ordinal": "I", "stream_kind": "B", "stream_flags": "H", "unit": "B",
    "resident": "B", "valid": "Q", "fn_modified": "T", "fn_accessed": "T", "fn_changed": "T", "fn_born": "T", "dos_name": "t",
    "namespace": "B", "parent_sequence": "I", "record_flags": "I", "usn": "Q", "security": "I", "reparse": "I", "object_id": "t",
}  # fmt: skip
"""Name to array code; t is text or bytes (int64 offsets), l int64 lists (int64 offsets), T a FILETIME as int64 ns
with an Arrow validity bitmap. Codes of kind: 0 file, 1 directory, 2 link, 3 unknown; of state and verdict: as in
core; of stream_kind: 0 data, 1 alternate, 2 index, 3 ea, 4 raw, 5 none."""

Bytes = bytes | bytearray
ROOT = 5
EPOCH = 116_444_736_000_000_000
LIST_BOUND = 8192
PATH_BOUND = 98_301  # 32,767 UTF-16 units
FIX = str.maketrans({"/": "\ufffd", "\0": "\ufffd"})


class _Dirs:
    """Paths of directories, each made once."""

    def __init__(
        self, rows: list[tuple[int, ...]], names: list[list[tuple[int, ...]]], text: Bytes, bound: int, problems: bytearray
    ) -> None:
        self.rows, self.names, self.text, self.problems = rows, names, text, problems
        self.done: dict[int, tuple[str, bool, bool]] = {}
        self.bulk, self.bound = len("$OrphanFiles"), bound

    def resolve(self, reference: int) -> int:
        """The record of the directory that a reference means, or -1."""
        number, sequence = reference & REFERENCE, reference >> 48
        if number == ROOT and number < len(self.rows):
            return ROOT
        if number >= len(self.rows):
            return -1
        row = self.rows[number]
        if row[12] not in (1, 2) or row[0] or not row[11] & 2 or not same_sequence(sequence, row[9], row[11] & 1):
            return -1
        return number

    def place(self, number: int) -> tuple[str, bool, bool]:
        """(path, broken: some ancestor is not there, dead: it or an ancestor is not in use)."""
        chain: list[int] = []
        on_chain: set[int] = set()
        while number not in self.done:
            if number == ROOT:
                self.done[ROOT] = ("", False, False)
                break
            if number < 0:
                break
            if number in on_chain:
                self.problems += MFT_PROBLEM.pack(number, 20, 0)
                number = -1
                break
            chain.append(number)
            on_chain.add(number)
            name = main_name(self.names[number])
            number = self.resolve(name[0]) if name is not None else -1
        above = self.done[number] if number >= 0 else ("$OrphanFiles", True, False)
        for number in reversed(chain):
            name = main_name(self.names[number])
            last = f"OrphanFile-{number}" if name is None else part(self.text, name)
            path = above[0] + "/" + last if above[0] else last
            length = len(path.encode())
            if length > PATH_BOUND or self.bulk + length > self.bound:
                self.problems += MFT_PROBLEM.pack(number, 24, 0)
                above = ("$OrphanFiles", True, above[2])
                path = "$OrphanFiles/" + last
            self.bulk += len(path.encode())
            above = (path, above[1], above[2] or not self.rows[number][11] & 1)
            self.done[number] = above
        return above


def part(text: Bytes, name: tuple[int, ...]) -> str:
    """A name as a part of a path: what would split the path is replaced."""
    return text[name[6] : name[6] + name[10]].decode().translate(FIX)


def main_name(names: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The first name that is not a DOS one, else the first."""
    return next((n for n in names if n[11] != 2), names[0] if names else None)


def long_names(names: list[tuple[int, ...]]) -> list[tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Names with their DOS twin; DOS names without one stand for themselves; one None for no name."""
    out: list[tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = []
    for name in names:
        if name[11] == 2 and any(n[11] == 1 and n[0] == name[0] for n in names):
            continue
        mate = None
        if name[11] == 1 and next(n for n in names if n[11] == 1 and n[0] == name[0]) is name:
            mate = next((n for n in names if n[11] == 2 and n[0] == name[0]), None)
        out.append((name, mate))
    return out or [(None, None)]


def heads_of(attributes: list[tuple[int, ...]], text: Bytes, is_dir: bool) -> list[tuple[int, str, list[tuple[int, ...]]]]:
    """Streams of one file, the main one first: (stream_kind, name, pieces in VCN order)."""
    heads: list[tuple[int, bytes, list[tuple[int, ...]]]] = []
    for attribute in attributes:
        kind, name = attribute[7], bytes(text[attribute[0] : attribute[0] + attribute[10]])
        if kind not in (0x80, 0x90, 0xA0, 0xE0, 0x100):
            continue
        for n, (other, other_name, pieces) in enumerate(heads):
            if other_name != name:
                continue
            if (other, kind) == (0xA0, 0x90):
                break
            if (other, kind) == (0x90, 0xA0):
                heads[n] = (kind, name, [attribute])
                break
            if other == kind and attribute[12] and pieces[0][12] and pieces[0][1] != attribute[1]:
                pieces.append(attribute)
                break
        else:
            heads.append((kind, name, [attribute]))
    out: list[tuple[int, str, list[tuple[int, ...]]]] = []
    main = -1
    for kind, name, pieces in heads:
        shown = name.decode()
        if kind == 0x80:
            code = 1 if name else 0
        elif kind in (0x90, 0xA0):
            code = 2
            if is_dir and name == b"$I30":
                shown = ""
        else:
            code = 3 if kind == 0xE0 else 4
            shown = shown or ("$EA" if kind == 0xE0 else "$LOGGED_UTILITY_STREAM")
        if code in (0, 2) and shown == "" and (main < 0 or (code == 2 and out[main][0] == 0)):
            main = len(out)
        out.append((code, shown, sorted(pieces, key=lambda p: p[1])))
    if main > 0:
        out.insert(0, out.pop(main))
    return out


def pieces_at(extents: list[tuple[int, int]], at: int, length: int) -> list[tuple[int, int]]:
    """Volume ranges of [at, at+length) of the $MFT."""
    out = []
    for start, size in extents:
        if length <= 0:
            break
        if at < size:
            take = min(size - at, length)
            out.append((start + at, take))
            at, length = at + take, length - take
        at = max(0, at - size)
    return out


def resident_runs(extents: list[tuple[int, int]], record: int, size: int, fixups: int, at: int, length: int) -> list[tuple[int, int]]:
    """Volume ranges of resident content: the last two bytes of each sector stand in the update sequence."""
    out: list[tuple[int, int]] = []
    base, end = record * size, at + length
    while at < end:
        sector = at // 512
        tail = sector * 512 + 510
        if at < tail:
            take, where = min(end, tail) - at, at
        else:
            take, where = min(end, tail + 2) - at, fixups + 2 + 2 * sector + (at - tail)
        out += pieces_at(extents, base + where, take)
        at += take
    return out


def mft_listing(
    records: Bytes, names: Bytes, attributes: Bytes, runs: Bytes, text: Bytes, owners: Bytes, verdicts: Bytes,
    lost: Bytes, lost_text: Bytes, extents: Bytes, size: int, cluster: int, max_rows: int, max_bytes: int,
) -> tuple[int, dict[str, tuple[bytes, bytes]], bytes]:  # fmt: skip
    """Rows of the listing: one for each name and stream of each file, by record number; lost names last.

    records ... text   from mft_scan, joined; owners, verdicts, lost   from their functions
    extents            int64 pairs (volume offset, bytes) of the $MFT; size   bytes of a record
    Returns (rows, {column: (values, offsets or validity)}, MFT_PROBLEM rows). ValueError when more than max_rows rows or
    max_bytes bytes of paths or run lists would be made.
    """
    rows = list(MFT_RECORD.iter_unpack(records))
    all_names, all_attributes = list(MFT_NAME.iter_unpack(names)), list(MFT_ATTRIBUTE.iter_unpack(attributes))
    owner = struct.unpack(f"<{len(rows)}I", owners)
    where = [tuple(pair) for pair in struct.iter_unpack("<qq", extents)]
    problems = bytearray()
    grouped: list[list[tuple[int, ...]]] = [[] for _ in rows]
    pieces: list[list[tuple[int, ...]]] = [[] for _ in rows]
    incomplete = [bool(row[13] & 4) for row in rows]
    for pass_ in (0, 1):  # the base record's first, then its extensions'
        for n, row in enumerate(rows):
            if (owner[n] != n) == bool(pass_):
                grouped[owner[n]] += all_names[row[15] : row[15] + row[17]]
                pieces[owner[n]] += all_attributes[row[16] : row[16] + row[18]]
                incomplete[owner[n]] |= bool(row[13] & 4)
    dirs = _Dirs(rows, grouped, text, max_bytes, problems)
    out = _Columns()

    for n, row in enumerate(rows):
        if row[12] not in (1, 2) or owner[n] != n:
            continue
        stray, in_use = row[0] != 0, row[11] & 1
        if stray:
            problems += MFT_PROBLEM.pack(n, 21, 0)
        if not grouped[n] and not pieces[n] and not row[13] & 1:
            continue
        if len(pieces[n]) > LIST_BOUND or len(grouped[n]) > LIST_BOUND:
            problems += MFT_PROBLEM.pack(n, 25, 0)
        is_dir = bool(row[11] & 2)
        streams = [
            _assemble(n, head, runs, cluster, where, size, rows, problems) for head in heads_of(pieces[n][:LIST_BOUND], text, is_dir)
        ]
        kind = 3 if stray else 2 if row[8] in (0xA000000C, 0xA0000003) else 1 if is_dir else 0
        for name, mate in long_names(grouped[n][:LIST_BOUND]):
            parent, state = -1, 2
            if name is None:
                shown, path = f"OrphanFile-{n}", f"$OrphanFiles/OrphanFile-{n}"
            elif n == ROOT:
                shown, path, parent, state = text[name[6] : name[6] + name[10]].decode(), "", ROOT, 0 if in_use else 1
            else:
                shown = text[name[6] : name[6] + name[10]].decode()
                parent = dirs.resolve(name[0])
                above, broken, dead = dirs.place(parent)
                path = (above + "/" if above else "") + part(text, name)
                state = 2 if broken or (in_use and dead) else 0 if in_use else 1
                if stray and state == 0:
                    state = 2
            verdict = 0 if state == 0 else 1 if in_use else verdicts[n]
            if verdict and (incomplete[n] or any(s[-1] for s in streams)):
                verdict = 4
            fn = (name[2], name[4], name[3], name[1]) if name is not None else (0, 0, 0, 0)
            si = (row[2], row[4], row[3], row[1])
            flags = row[6] if row[13] & 1 else name[7] if name is not None else 0
            common = {
                "id": n, "sequence": row[9], "parent": parent, "path": path, "kind": kind, "state": state, "verdict": verdict,
                "links": row[10], "flags": flags, "name": shown, "namespace": name[11] if name is not None else 0,
                "parent_sequence": name[0] >> 48 if name is not None else 0, "record_flags": row[11] | (row[12] == 2) << 16,
                "usn": row[5], "security": row[7], "reparse": row[8], "object_id": row[14] if row[13] & 8 else b"",
                "dos_name": text[mate[6] : mate[6] + mate[10]] if mate is not None else b"",
            }  # fmt: skip
            for ordinal, (code, label, real, valid, allocated, attribute_flags, unit, resident, starts, lengths, _) in enumerate(
                streams or [(5, "", 0, 0, 0, 0, 0, 0, [], [], False)]
            ):
                out.add(common, si, fn)
                out.rest(
                    stream=label, size=real, allocated=allocated, run_start=starts, run_length=lengths, ordinal=ordinal, stream_kind=code,
                    stream_flags=attribute_flags, unit=unit, resident=resident, valid=valid,
                )  # fmt: skip
                if out.rows > max_rows or dirs.bulk + out.bulk > max_bytes:
                    raise ValueError("listing")
    for name in MFT_NAME.iter_unpack(lost):
        parent = dirs.resolve(name[0])
        above, _, _ = dirs.place(parent)
        shown = lost_text[name[6] : name[6] + name[10]].decode()
        out.add(
            {
                "id": name[8] if name[12] else REFERENCE, "sequence": name[9], "parent": parent,
                "path": (above + "/" if above else "") + part(lost_text, name), "kind": 1 if name[7] & 0x10000000 else 0, "state": 6,
                "verdict": 4, "links": 0, "flags": name[7], "name": shown, "namespace": name[11], "parent_sequence": name[0] >> 48,
                "record_flags": 0, "usn": 0, "security": 0, "reparse": 0, "object_id": b"", "dos_name": b"",
            },
            (name[2], name[4], name[3], name[1]),
            (0, 0, 0, 0),
        )  # fmt: skip
        out.rest(
            stream="",
            size=name[5],
            allocated=0,
            run_start=[],
            run_length=[],
            ordinal=0,
            stream_kind=5,
            stream_flags=0,
            unit=0,
            resident=0,
            valid=0,
        )
        if out.rows > max_rows or dirs.bulk + out.bulk > max_bytes:
            raise ValueError("listing")
    return out.rows, out.done(), bytes(problems)


def _assemble(
    n: int,
    head: tuple[int, str, list[tuple[int, ...]]],
    runs: Bytes,
    cluster: int,
    where: list[tuple[int, ...]],
    size: int,
    rows: list[tuple[int, ...]],
    problems: bytearray,
) -> tuple[int, str, int, int, int, int, int, int, list[int], list[int], bool]:
    code, label, pieces = head
    first = pieces[0]
    starts: list[int] = []
    lengths: list[int] = []
    if not first[12]:
        for start, length in resident_runs(where, first[6], size, rows[first[6]][19], first[9], first[3]):  # type: ignore[arg-type]
            starts.append(start)
            lengths.append(length)
        return code, label, first[3], first[4], 0, first[11], 0, 1, starts, lengths, False
    bad, expected, allocated = False, first[1], 0
    if first[1]:
        problems += MFT_PROBLEM.pack(n, 22, 0)
        bad = True
    for piece in pieces:
        if piece[1] != expected:
            problems += MFT_PROBLEM.pack(n, 23, 0)
            bad = True
            break
        for i in range(piece[5], piece[5] + piece[8]):
            lcn, length = struct.unpack_from("<qq", runs, i * 16)
            starts.append(lcn * cluster if lcn >= 0 else -1)
            lengths.append(length * cluster)
            allocated += length * cluster if lcn >= 0 else 0
        expected = piece[2]
        if piece[14]:
            bad = True
            break
    real, valid = (sum(lengths), sum(lengths)) if first[1] else (first[3], first[4])
    return code, label, real, valid, allocated, first[11], first[13], 0, starts, lengths, bad


class _Columns:
    def __init__(self) -> None:
        self.rows = self.bulk = 0
        self.values: dict[str, bytearray] = {name: bytearray() for name in MFT_COLUMNS}
        self.offsets = {name: array("q", [0]) for name, code in MFT_COLUMNS.items() if code in "tl"}
        self.valid: dict[str, list[bool]] = {name: [] for name, code in MFT_COLUMNS.items() if code == "T"}

    def put(self, name: str, value: object) -> None:
        code, data = MFT_COLUMNS[name], self.values[name]
        if code == "t":
            data += value if isinstance(value, bytes) else str(value).encode()
            self.offsets[name].append(len(data))
        elif code == "l":
            assert isinstance(value, list)
            data += struct.pack(f"<{len(value)}q", *value)
            self.offsets[name].append(len(data) // 8)
        elif code == "T":
            assert isinstance(value, int)
            ns = (value - EPOCH) * 100
            good = value != 0 and -(1 << 63) <= ns < 1 << 63
            data += struct.pack("<q", ns if good else 0)
            self.valid[name].append(good)
        else:
            data += struct.pack("<" + code, value)

    def add(self, common: dict[str, object], si: tuple[int, ...], fn: tuple[int, ...]) -> None:
        self.rows += 1
        for name, value in common.items():
            self.put(name, value)
        for name, value in zip(("modified", "accessed", "changed", "born"), si, strict=True):
            self.put(name, value)
            self.put("fn_" + name, fn[("modified", "accessed", "changed", "born").index(name)])

    def rest(self, **values: object) -> None:
        for name, value in values.items():
            self.put(name, value)
        self.bulk = len(self.values["path"]) + 2 * len(self.values["run_start"])

    def done(self) -> dict[str, tuple[bytes, bytes]]:
        out = {}
        for name, code in MFT_COLUMNS.items():
            beside = b""
            if code in "tl":
                beside = self.offsets[name].tobytes()
            elif code == "T" and not all(self.valid[name]):
                bits = bytearray((self.rows + 7) // 8)
                for i, good in enumerate(self.valid[name]):
                    bits[i >> 3] |= good << (i & 7)
                beside = bytes(bits)
            out[name] = (bytes(self.values[name]), beside)
        return out
