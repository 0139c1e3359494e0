"""Databases of offices, programs and laboratories whose header or page chain states their length."""

from __future__ import annotations

from forensiclib.carving._read import Window
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_SAMPLED = 64
_FIELD_TYPES = frozenset(b"CDFLMNGTIYB@O+V0PQWX")
_JET_PAGES = range(1, 10)


def _measure_dbf(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 32)
    if len(raw) < 32 or not 1 <= raw[2] <= 12 or not 1 <= raw[3] <= 31:
        return None
    records, header, width = (int.from_bytes(raw[a:b], "little") for a, b in ((4, 8), (8, 10), (10, 12)))
    if header < 65 or width < 2 or raw[12:14] != b"\0\0" or raw[14] > 1 or raw[15] > 1:
        return None
    total, at, fields = 1, 32, 0
    while (mark := window.at(at, 1)) not in (b"\r", b""):
        budget.item()
        field = window.at(at, 32)
        name = field[:11].split(b"\0", 1)[0]
        if len(field) < 32 or at + 33 > header or not name or not name.isascii() or min(name) < 0x21:
            return None
        if field[11] not in _FIELD_TYPES:
            return None
        total += field[16] + (256 * field[17] if field[11] == 0x43 and raw[0] != 3 else 0)
        at, fields = at + 32, fields + 1
    if not mark or not fields or header < at + 1 or width not in (total, total - 256 * (total > width)):
        return None
    for number in {0, records // 2, records - 1} if records else set[int]():
        if window.at(header + number * width, 1) not in (b" ", b"*"):
            if header + number * width >= data.size:
                break
            return Find(header, 0.4, f"{fields} fields; record {number} has no deletion mark", complete=False)
    end = header + records * width
    end += window.at(end, 1) == b"\x1a"
    return stated(data, end, 0.95, f"{fields} fields, {records} records of {width} bytes")


def _measure_jet(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 24)
    kind = raw[4:19]
    if len(raw) < 24 or kind not in (b"Standard Jet DB", b"Standard ACE DB") or raw[20] > 6:
        return None
    size = 4096 if raw[20] else 2048
    names = ("accdb", "Access database (2007 and later)") if kind[9:12] == b"ACE" else ("mdb", "Access database (Jet)")
    pages, last = 1, 1
    while (pages + 1) * size <= data.size:
        budget.item()
        head = data.read_at(pages * size, 8)
        if head[0] in _JET_PAGES and head[1] == 1:
            last = pages + 1
        elif any(head) or any(data.read_at(pages * size, size)):
            break
        pages += 1
    if last < 3:
        return Find(min(size, data.size), 0.4, "first page, no page of a database follows", *names, complete=False)
    return Find(last * size, 0.8, f"{last} pages of {size} bytes, each of a known type; what follows is none", *names)


_BDB = {0x053162: (9, "B-tree"), 0x061561: (8, "hash"), 0x042253: (10, "queue"), 0x074582: (14, "heap")}


def _measure_bdb(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 72)
    if len(raw) < 72 or raw[8:12] != bytes(4):
        return None
    order = "little" if int.from_bytes(raw[12:16], "little") in _BDB else "big"
    magic, version, size, last = (int.from_bytes(raw[i : i + 4], order) for i in (12, 16, 20, 32))  # type: ignore[arg-type]
    if magic not in _BDB or raw[25] != _BDB[magic][0] or not 1 <= version <= 11 or size not in (512 << i for i in range(8)) or not last:
        return None
    for page in {1, *range(1, last + 1, max(1, last // _SAMPLED)), last}:
        budget.item()
        head = window.at(page * size, 26)
        empty = not any(head)
        if len(head) == 26 and not empty and (int.from_bytes(head[8:12], order) != page or head[25] > 14):  # type: ignore[arg-type]
            return Find(size, 0.4, f"metadata page; page {page} is not its own", complete=False)
    title = f"Berkeley DB, {_BDB[magic][1]}"
    if magic == 0x053162 and any(word in data.read_at(0, 256 << 10) for word in (b"\x09bestblock", b"defaultkey", b"walletdescriptor")):
        return stated(data, (last + 1) * size, 0.9, f"pages 0 to {last} of {size} bytes", "wallet", "Bitcoin wallet (Berkeley DB)")
    return stated(data, (last + 1) * size, 0.9, f"pages 0 to {last} of {size} bytes", "db", title)


def _measure_lmdb(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 152)
    if len(raw) < 152 or raw[20:24] != b"\1\0\0\0" or raw[:8] != bytes(8) or not raw[10] & 8:
        return None
    size = int.from_bytes(raw[40:44], "little")
    if size not in (512 << i for i in range(8)):
        return None
    other = data.read_at(size, 152)
    if other[16:24] != raw[16:24] or other[:8] != b"\1\0\0\0\0\0\0\0":
        return Find(size, 0.4, "first meta page, the second is not there", complete=False) if data.size > size else None
    newest = max(raw, other, key=lambda page: int.from_bytes(page[144:152], "little"))
    last = int.from_bytes(newest[136:144], "little")
    if not 1 <= last <= int.from_bytes(newest[32:40], "little") // size:
        return None
    return stated(data, (last + 1) * size, 0.9, f"two meta pages; {last} is the last page in use")


def _tagged(raw: bytes, index: int) -> int:
    """Value ``index`` of a Realm array, -1 for none."""
    width = (0, 1, 2, 4, 8, 16, 32, 64)[raw[4] & 7]
    if width < 8:
        return -1
    at = 8 + index * width // 8
    return int.from_bytes(raw[at : at + width // 8], "little")


def _measure_realm(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 24)
    if len(raw) < 24 or raw[22] or raw[23] > 1:
        return None
    slot = raw[23] & 1
    top, version = int.from_bytes(raw[8 * slot : 8 * slot + 8], "little"), raw[20 + slot]
    if not 0 < version < 64 or top % 8 or not 24 <= top < data.size:
        return None
    array = data.read_at(top, 64)
    count = int.from_bytes(array[5:8], "big")
    if len(array) < 64 or array[:4] != b"AAAA" or not 3 <= count <= 16:
        return None
    size = _tagged(array, 2)
    if size < 0 or not size & 1 or not top < size >> 1 <= 1 << 40:
        return None
    return stated(data, size >> 1, 0.9, "the top array states the size of the file")


_JOURNAL = b"\xd9\xd5\x05\xf9 \xa1c\xd7"


def _measure_journal(data: ByteSource, budget: Budget) -> Find | None:
    at, records = 0, 0
    while True:
        raw = data.read_at(at, 28)
        if len(raw) < 28 or raw[:8] != _JOURNAL:
            break
        count, nonce, pages, sector, size = (int.from_bytes(raw[i : i + 4], "big") for i in range(8, 28, 4))
        if sector not in (512 << i for i in range(8)) or size not in (512 << i for i in range(8)) or not pages <= 1 << 32:
            break
        begin, here = at + sector, 0
        while here != count:
            budget.item()
            record = data.read_at(begin + here * (size + 8), size + 8)
            total = (nonce + sum(record[4 + i] for i in range(size - 200, 0, -200))) & 0xFFFFFFFF if len(record) == size + 8 else -1
            if total != int.from_bytes(record[-4:], "big") or not any(record[:4]):
                break
            here += 1
        records += here
        end = begin + here * (size + 8)
        if count not in (0, 0xFFFFFFFF) and here < count:
            return Find(end, 0.6, f"{records} records with good checksums, the header states more", complete=False) if records else None
        at = end + -end % sector
        if data.read_at(at, 8) != _JOURNAL:
            return Find(end, 0.9, f"{records} records with good checksums, then none") if records else None
    return None


def _measure_sas(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 288)
    if len(raw) < 288:
        return None
    shift, wide = 4 * (raw[35] == 0x33), raw[32] == 0x33
    order = "little" if raw[37] == 1 else "big"
    header, page, pages = (
        int.from_bytes(raw[at + shift : at + shift + n], order)  # type: ignore[arg-type]
        for at, n in ((196, 4), (200, 4), (204, 8 if wide else 4))
    )
    if header not in (1024, 4096, 8192, 16384, 65536) or page % 256 or not 512 <= page <= 1 << 24 or not 0 < pages < 1 << 32:
        return None
    return stated(data, header + page * pages, 0.9, f"header and {pages} pages of {page} bytes")


def _measure_msf(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(32, 24)
    if len(raw) < 24:
        return None
    block, free, blocks, directory, _, table = (int.from_bytes(raw[i : i + 4], "little") for i in range(0, 24, 4))
    if block not in (512, 1024, 2048, 4096, 8192) or free not in (1, 2) or not blocks > 3 or not 0 < table < blocks:
        return None
    if not 0 < directory <= blocks * block:
        return None
    first = int.from_bytes(data.read_at(table * block, 4), "little")
    if table * block + 4 <= data.size and not 0 < first < blocks:
        return None
    return stated(data, blocks * block, 0.9, f"{blocks} blocks of {block} bytes")


def _measure_evt(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 48)
    if len(raw) < 48 or raw[44:48] != b"0\0\0\0":
        return None
    major, minor, first, end, _last, _oldest, size = (int.from_bytes(raw[i : i + 4], "little") for i in range(8, 36, 4))
    if (major, minor) != (1, 1) or size < 4096 or size % 4096 or not 48 <= first <= size or not 48 <= end <= size:
        return None
    records, at = 0, first
    while records < _SAMPLED and at + 56 <= min(size, data.size):
        budget.item()
        length = window.number(at, 4)
        if window.at(at + 4, 4) != b"LfLe" or length < 56 or window.number(at + length - 4, 4) not in (length, -1):
            break
        at, records = at + length, records + 1
    if not records and first != end and first < data.size:
        return Find(48, 0.4, "header alone: no record where it says", complete=False)
    return stated(data, size, 0.9, f"size stated by the header, the first {records} records hold")


CARVERS = (
    Carver(
        name="dbf",
        title="dBASE table",
        extension="dbf",
        mime="application/x-dbf",
        signatures=tuple(
            Signature(bytes((mark, 0, 0, 0)) + bytes(8) + b"\0\0", mask=b"\xff\x00\xf0\xe0" + bytes(7) + b"\0\xff\xff", align=512)
            for mark in (0x02, 0x03, 0x04, 0x05, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8B, 0xCB, 0xF5, 0xFB)
        ),
        measure=_measure_dbf,
        refs=("dBASE Table File Format, levels 3 to 7", "Visual FoxPro: Table File Structure"),
        gaps=(
            "only starts on a sector boundary",
            "level 7 tables (48-byte field descriptors) are refused",
            "memo files are not recognised",
        ),
    ),
    Carver(
        name="jet",
        title="Microsoft Access database",
        extension="mdb",
        mime="application/x-msaccess",
        signatures=(Signature(b"\0\1\0\0Standard Jet DB\0"), Signature(b"\0\1\0\0Standard ACE DB\0")),
        measure=_measure_jet,
        refs=("mdbtools: HACKING, page types of Jet 3 and 4",),
        gaps=("no page count is stated: pages are followed as long as their types hold", "databases whose pages are encrypted end early"),
        kinds=(
            Kind("mdb", "application/x-msaccess", "Access database (Jet)"),
            Kind("accdb", "application/x-msaccess", "Access database (2007 and later)"),
        ),
    ),
    Carver(
        name="bdb",
        title="Berkeley DB database",
        extension="db",
        mime="application/x-berkeley-db",
        signatures=tuple(Signature(magic.to_bytes(4, order), 12) for magic in _BDB for order in ("little", "big")),
        measure=_measure_bdb,
        refs=("Oracle Berkeley DB 18.1: db_page.h, metadata pages",),
        gaps=("databases made before version 4 are not recognised", "pages are sampled, not all read", "queue extents are other files"),
        kinds=(
            *(Kind("db", "application/x-berkeley-db", f"Berkeley DB, {what}") for _, what in _BDB.values()),
            Kind("wallet", "application/x-berkeley-db", "Bitcoin wallet (Berkeley DB)"),
        ),
    ),
    Carver(
        name="lmdb",
        title="LMDB database",
        extension="mdb",
        mime="application/x-lmdb",
        signatures=(Signature(b"\xde\xc0\xef\xbe\1\0\0\0", 16),),
        measure=_measure_lmdb,
        maximum=1 << 40,
        refs=("OpenLDAP: mdb.c, MDB_meta and MDB_page",),
        gaps=("32-bit and big-endian builds are refused", "pages behind the last one in use are left out"),
    ),
    Carver(
        name="realm",
        title="Realm database",
        extension="realm",
        mime="application/x-realm",
        signatures=(Signature(b"T-DB", 16),),
        measure=_measure_realm,
        refs=("realm-core: doc/algebra_of_files, SlabAlloc header",),
        gaps=("files in streaming form (compacted, never opened since) are refused", "encrypted files have no signature"),
    ),
    Carver(
        name="sqlite-journal",
        title="SQLite rollback journal",
        extension="sqlite-journal",
        mime="application/octet-stream",
        signatures=(Signature(_JOURNAL),),
        measure=_measure_journal,
        refs=("SQLite Database File Format, 3: The Rollback Journal",),
        gaps=("a journal whose header was zeroed (PERSIST) has no signature", "a super-journal name behind the records is left out"),
    ),
    Carver(
        name="sas7bdat",
        title="SAS data set",
        extension="sas7bdat",
        mime="application/x-sas-data",
        signatures=(Signature(bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11"),),
        measure=_measure_sas,
        refs=("M. Shotwell: SAS7BDAT Database Binary Format",),
        gaps=("pages are counted, not read",),
    ),
    Carver(
        name="pdb",
        title="program database (MSF 7)",
        extension="pdb",
        mime="application/x-ms-pdb",
        signatures=(Signature(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"),),
        measure=_measure_msf,
        refs=("LLVM: The MSF File Format",),
        gaps=("streams are not followed",),
    ),
    Carver(
        name="evt",
        title="Windows event log (before Vista)",
        extension="evt",
        mime="application/x-ms-evt",
        signatures=(Signature(b"0\0\0\0LfLe\1\0\0\0"),),
        measure=_measure_evt,
        maximum=2 << 30,
        refs=("Microsoft: Event Log File Format, ELF_LOGFILE_HEADER",),
        gaps=("records are sampled from the first one on",),
    ),
)
