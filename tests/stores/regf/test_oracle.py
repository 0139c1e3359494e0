"""Every key and value of every hive against libregf and regipy, each difference explained."""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.regf.hive import Hive
from forensiclib.stores.regf.regf import open_hive

pytestmark = pytest.mark.corpus

REGIPY, ERIC, PLASO = "regipy/regipy_tests/", "registry/Registry.Test/Hives/", "plaso/"
HIVES = (
    *(PLASO + n for n in ("NTUSER-CCLEANER.DAT", "NTUSER-RunTests.DAT", "NTUSER-WIN7.DAT", "NTUSER.DAT")),
    *(PLASO + "regf/" + n for n in ("100_sub_keys.hiv", "NTUSER.DAT", "SAM", "UsrClass.dat", "corrupt_sub_key_list.hiv")),
    *(REGIPY + n + ".xz" for n in ("BCD", "NTUSER-WSL.DAT", "NTUSER.DAT", "NTUSER_BAGMRU.DAT", "NTUSER_modified.DAT")),
    *(REGIPY + n + ".xz" for n in ("NTUSER_with_winscp.DAT", "SAM", "SECURITY", "SYSTEM", "SYSTEM_2", "SYSTEM_B")),
    *(REGIPY + n + ".xz" for n in ("SYSTEM_WIN_10_1709", "UsrClass.dat", "amcache.hve", "ntuser_software_partial")),
    *(REGIPY + n + ".xz" for n in ("transactions_NTUSER.DAT",)),
    *(ERIC + n for n in ("Acronis_0x52_Usrclass.dat", "BCD", "NTUSER1.DAT", "SAM", "SAM_DUPENAME", "SAM_RootValue")),
    *(ERIC + n for n in ("SAM_hasBigEndianDWord", "SECURITY", "SECURITYNoRoot", "UsrClassDeletedBags.dat")),
)
DAMAGED = {PLASO + "regf/corrupt_sub_key_list.hiv", ERIC + "SECURITY"} | {
    REGIPY + n + ".xz"
    for n in (
        "NTUSER_BAGMRU.DAT", "NTUSER_with_winscp.DAT", "SECURITY", "SYSTEM_2", "SYSTEM_B", "SYSTEM_WIN_10_1709", "UsrClass.dat",
        "amcache.hve", "transactions_NTUSER.DAT",
    )
}  # fmt: skip
"""One broken subkey list; the others were acquired dirty, without their logs."""
Listing = list[tuple[str, int, str, list[tuple[str, int, bytes]]]]


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def opened(path: Path, budget: Budget | None = None) -> Hive:
    return open_hive(MemorySource(unpacked(path)), {}, budget or Budget())


def ours(hive: Hive) -> list[Any]:
    """The listing; the last of each value is the 4-byte data field of its record."""
    field = lambda v: hive.cells.data[v.at + 12 : v.at + 16]  # noqa: E731
    return [
        (key.path, key.last_written.raw, key.class_name, [(v.name, v.kind.number, v.data, field(v)) for v in key.values()])
        for key in hive.walk()
    ]


def libregf(data: bytes) -> Listing:
    pyregf = pytest.importorskip("pyregf", reason="libregf-python is not installed")
    file = pyregf.file()
    file.open_file_object(io.BytesIO(data))

    def below(key: Any, path: str) -> Iterator[Any]:
        values = [key.get_value(i) for i in range(key.number_of_values)]
        found = [(v.name or "", v.type, v.data or b"") for v in values]
        yield path, key.get_last_written_time_as_integer(), key.class_name or "", found
        for i in range(key.number_of_sub_keys):
            try:
                child = key.get_sub_key(i)
            except OSError:
                continue  # what it cannot read must be a finding here: see the test
            yield from below(child, f"{path}\\{child.name}" if path else child.name or "")

    return list(below(file.get_root_key(), ""))


def explained(kind: int, mine: bytes, field: bytes, theirs: bytes) -> bool:
    """Two habits of libregf.

    Data of 1 to 3 bytes inside the value record: it gives the end of the 4-byte field instead of its start (in
    NTUSER_with_winscp.DAT the signature of bzip2, "BZh", comes out as "Zh" and a NUL).
    Text types: it ends the data behind the first NUL, where the value states more bytes; text of one byte gets two.
    """
    if mine == theirs or (0 < len(mine) < 4 and theirs == field[4 - len(mine) :]):
        return True
    return kind in (1, 2, 6) and theirs[-2:] == b"\0\0" and (mine.startswith(theirs) or mine == b"\0" == theirs[1:])


@pytest.mark.parametrize("name", HIVES)
def test_every_key_and_value_is_libregfs(corpus: Path, name: str) -> None:
    budget = Budget()
    mine, theirs = ours(opened(corpus / name, budget)), libregf(unpacked(corpus / name))
    assert [(k[0], k[1], k[2], [v[:2] for v in k[3]]) for k in mine] == [(k[0], k[1], k[2], [v[:2] for v in k[3]]) for k in theirs]
    pairs = [(a, b) for k, l in zip(mine, theirs, strict=True) for a, b in zip(k[3], l[3], strict=True)]
    assert bool(budget.findings) == (name in DAMAGED)
    assert [(a, b) for a, b in pairs if not explained(*a[1:], b[2])] == []


@pytest.mark.parametrize("name", [h for h in HIVES if "SYSTEM" not in h or "SYSTEM_2" in h])
def test_the_table_is_the_walk(corpus: Path, name: str) -> None:
    """Two decoders of one hive: compiled code on numbers, and objects."""
    hive = opened(corpus / name)
    walked = [
        (k.path, v.name, v.kind.number, v.size, v.data, k.last_written.int64, k.at, v.at, -1 if v.data_at is None else v.data_at)
        for k in hive.walk()
        for v in k.values()
    ]
    table = hive.table()
    columns = [table.list(n) for n in ("path", "name", "type", "size", "data", "last_written", "key_at", "value_at", "data_at")]
    big = [i for i, row in enumerate(walked) if len(row[4]) > 16344]
    rows = list(zip(*columns, strict=True))
    # A Big data record stands before its segments: data_at of the table is the record's, of the walk the first segment's.
    assert [r for i, r in enumerate(rows) if i not in big] == [w for i, w in enumerate(walked) if i not in big]
    assert [rows[i][:8] for i in big] == [walked[i][:8] for i in big]


def regipy_keys(path: Path) -> dict[str, int]:
    registry = pytest.importorskip("regipy.registry", reason="regipy is not installed")
    hive = registry.RegistryHive(str(path))
    return {k.path.lstrip("\\"): k.values_count for k in hive.recurse_subkeys(fetch_values=False)}


@pytest.mark.parametrize("name", ["SAMBadHBinHeader", "SAN(OTHER)"])
def test_what_libregf_refuses_is_read(corpus: Path, name: str) -> None:
    """One bad hive bin signature, one bad checksum: regipy reads these two, and so are they read here, each with a
    finding; libregf loses 67 of 68 keys of the one and refuses the other."""
    budget = Budget()
    hive = opened(corpus / ERIC / name, budget)
    theirs = regipy_keys(corpus / ERIC / name)
    mine = {k.path: len(list(k.values())) for k in hive.walk()}
    assert set(theirs) <= set(mine) and len(mine) == 68
    assert budget.findings


def test_counts_that_others_state(corpus: Path) -> None:
    """regipy's own tests: 1,812 keys in this NTUSER.DAT; 16-bit emojis as a key name; a DEVPROP value."""
    assert len(list(opened(corpus / REGIPY / "NTUSER.DAT.xz").walk())) == 1812
    international = opened(corpus / REGIPY / "transactions_NTUSER.DAT.xz").key(r"Control Panel\International")
    assert international is not None
    assert [k.name for k in international.subkeys()] == ["Geo", "User Profile", "User Profile System Backup", "🌎🌏🌍"]
    key = opened(corpus / REGIPY / "SYSTEM_2.xz").key(
        r"ControlSet001\Enum\ACPI\ACPI0003\0\Properties\{83da6326-97a6-4088-9453-a1923f573b29}\0003"
    )
    assert key is not None
    value = key.value("")
    assert value is not None and value.kind.number & 0xFFFF == 18
    assert value.data.decode("utf-16-le").rstrip("\0") == r"cmbatt.inf:db04a16c09a7808a:AcAdapter_Inst:6.3.9600.16384:ACPI\ACPI0003"


def test_big_data(corpus: Path) -> None:
    """Registry Explorer's library states 52,526 bytes for this value."""
    key = opened(corpus / ERIC / "UsrClassDeletedBags.dat").key(r"Local Settings\Software\Microsoft\Windows\CurrentVersion\TrayNotify")
    assert key is not None
    value = key.value("PastIconsStream")
    assert value is not None and len(value.data) == 52526
