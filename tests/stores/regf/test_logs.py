"""Transaction logs: what regipy's public tests state, what Windows hashes protect, and that nothing is corrupted."""

from __future__ import annotations

import io
import lzma
import struct
from pathlib import Path

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.regf.hive import Hive
from forensiclib.stores.regf.regf import open_hive

pytestmark = pytest.mark.corpus

SETS = {
    "ntuser": ("transactions_NTUSER.DAT", {".log1": "transactions_ntuser.dat.log1", ".log2": "transactions_ntuser.dat.log2"}),
    "system": ("SYSTEM_B", {".log1": "SYSTEM_B.LOG1", ".log2": "SYSTEM_B.LOG2"}),
    "usrclass": ("UsrClass.dat", {".log1": "UsrClass.dat.LOG1", ".log2": "UsrClass.dat.LOG2"}),
}


def unpacked(corpus: Path, name: str) -> bytes:
    return lzma.decompress((corpus / "regipy/regipy_tests" / f"{name}.xz").read_bytes())


def opened(corpus: Path, name: str, budget: Budget) -> Hive:
    hive, logs = SETS[name]
    companions = {k: MemorySource(unpacked(corpus, v), f"log{k}") for k, v in logs.items()}
    return open_hive(MemorySource(unpacked(corpus, hive), "hive"), companions, budget)


@pytest.mark.parametrize(("name", "pages"), [("ntuser", 132), ("system", 315), ("usrclass", 158)])
def test_pages(corpus: Path, name: str, pages: int) -> None:
    """Dirty pages as regipy's own tests state them."""
    hive = opened(corpus, name, Budget())
    assert hive.replay is not None and hive.replay.pages == pages


@pytest.mark.parametrize("name", SETS)
def test_the_replayed_bytes_are_regipys(corpus: Path, name: str, tmp_path: Path) -> None:
    """regipy applies the second log it is given before the first, whatever their sequence numbers: given LOG1 and
    LOG2 in that order it lets older pages overwrite newer ones in two of these sets. Here it gets them so that the
    entries come in order, and for the NTUSER set without the second log, which is older than the hive."""
    recovery = pytest.importorskip("regipy.recovery", reason="regipy is not installed")
    hive_name, logs = SETS[name]
    for part in (hive_name, *logs.values()):
        (tmp_path / part).write_bytes(unpacked(corpus, part))
    order = [str(tmp_path / logs[k]) for k in ((".log1",) if name == "ntuser" else (".log2", ".log1"))]
    out, _ = recovery.apply_transaction_logs(str(tmp_path / hive_name), *order, restored_hive_path=str(tmp_path / "out"))
    mine = opened(corpus, name, Budget()).cells.data
    # regipy writes new sequence numbers into the base block; here the base block stays as it is.
    assert mine[4096:] == Path(out).read_bytes()[4096:]


def paths(hive: Hive) -> dict[str, int]:
    """libregf's listing. It believes the size in the base block, which log entries overrule."""
    pyregf = pytest.importorskip("pyregf", reason="libregf-python is not installed")
    data = bytearray(hive.cells.data)
    data[40:44] = struct.pack("<I", hive.base.bins_size)
    data[508:512] = checksum(data)
    file = pyregf.file()
    file.open_file_object(io.BytesIO(bytes(data)))
    out, stack = {}, [(file.get_root_key(), "")]
    while stack:
        key, path = stack.pop()
        out[path] = key.get_last_written_time_as_integer()
        children = [key.get_sub_key(i) for i in range(key.number_of_sub_keys)]
        stack += [(child, f"{path}\\{child.name}" if path else child.name) for child in children]
    return out


@pytest.mark.parametrize("name", SETS)
def test_changes_are_what_libregf_sees_in_the_two_views(corpus: Path, name: str) -> None:
    hive = opened(corpus, name, Budget())
    before, after = paths(hive.stored), paths(hive)
    found = {kind: {c.path for c in hive.changes() if c.kind == kind} for kind in ("new", "removed", "changed")}
    assert found["new"] == set(after) - set(before)
    assert found["removed"] == set(before) - set(after)
    assert {p for p in set(before) & set(after) if before[p] != after[p]} <= found["changed"]
    if name == "ntuser":  # regipy's tests state 527 differing subkeys, new and removed together
        assert len(found["new"] | found["removed"]) == 527


@pytest.mark.parametrize("name", SETS)
def test_both_views(corpus: Path, name: str) -> None:
    hive = opened(corpus, name, Budget())
    stored = unpacked(corpus, SETS[name][0])
    assert hive.stored is not hive and hive.stored.cells.data == stored
    alone = open_hive(MemorySource(stored), {}, Budget())
    assert [k.path for k in alone.walk()] == [k.path for k in hive.stored.walk()]
    assert hive.kind == hive.stored.kind == {"ntuser": "NTUSER", "system": "SYSTEM", "usrclass": "USRCLASS"}[name]


def test_a_replayed_value_is_traced_to_the_log(corpus: Path) -> None:
    hive = opened(corpus, "usrclass", Budget())
    new = next(c.after for c in hive.changes() if c.kind == "new" and c.after is not None)
    row = new.row()
    assert row.source is not None
    spans = row.source.trace(row.at, row.length)
    assert {span.root for span in spans} <= {"log.log1", "log.log2"} and sum(span.length for span in spans) == row.length
    logs = {f"log{k}": unpacked(corpus, v) for k, v in SETS["usrclass"][1].items()}
    assert b"".join(logs[s.root][s.start : s.end] for s in spans)[4:6] == b"nk"


def test_a_log_that_is_too_old_is_a_finding(corpus: Path) -> None:
    budget = Budget()
    opened(corpus, "ntuser", budget)
    assert [f.what for f in budget.findings if "older" in f.found] == ["transaction log .log2"]


def test_a_damaged_entry_stops_recovery_before_it(corpus: Path) -> None:
    hive, log = unpacked(corpus, "transactions_NTUSER.DAT"), bytearray(unpacked(corpus, "transactions_ntuser.dat.log1"))
    size = int.from_bytes(log[516:520], "little")
    log[512 + size + 1000] ^= 1  # one bit of the second entry
    budget = Budget()
    opened_ = open_hive(MemorySource(hive), {".log1": MemorySource(bytes(log))}, budget)
    assert opened_.replay is not None and opened_.replay.sequences == (566,) and opened_.replay.pages == 24
    assert any("stored hash" in f.found for f in budget.findings)


def test_a_gap_between_the_logs_is_not_jumped(corpus: Path) -> None:
    hive, log2 = unpacked(corpus, "SYSTEM_B"), unpacked(corpus, "SYSTEM_B.LOG2")
    log1 = bytearray(unpacked(corpus, "SYSTEM_B.LOG1"))
    at = 512 + sum(struct.unpack_from("<I", log1, 516))
    log1[at : at + 4] = b"\0" * 4  # entries 2108 to 2110 are gone
    budget = Budget()
    replayed = open_hive(MemorySource(hive), {".log1": MemorySource(bytes(log1)), ".log2": MemorySource(log2)}, budget).replay
    assert replayed is not None and replayed.sequences == (2107,)
    assert any("after 2107" in f.found for f in budget.findings)


def test_a_clean_hive_is_left_alone(corpus: Path) -> None:
    """Windows ignores the logs of a clean hive; newer entries in them are worth a note."""
    hive = bytearray(unpacked(corpus, "UsrClass.dat"))
    hive[8:12] = hive[4:8]
    hive[508:512] = checksum(hive)
    budget = Budget()
    log = MemorySource(unpacked(corpus, "UsrClass.dat.LOG1"))
    assert open_hive(MemorySource(bytes(hive)), {".log1": log}, budget).replay is None
    assert [f.kind for f in budget.findings] == ["Note"] and "287 to 290" in budget.findings[0].found


def checksum(block: bytes | bytearray) -> bytes:
    out = 0
    for (word,) in struct.iter_unpack("<I", block[:508]):
        out ^= word
    return struct.pack("<I", out)


def old_log(hive: bytes, pages: list[int]) -> bytes:
    """An old-format log that restores 4096-byte pages, after "Old format" of the specification."""
    size = int.from_bytes(hive[40:44], "little")
    head = bytearray(hive[:512])
    head[4:8] = head[8:12] = hive[4:8]
    head[28:32] = struct.pack("<I", 1)
    head[508:512] = checksum(head)
    vector = bytearray(size // 512 // 8)
    for page in pages:
        vector[page] = 0xFF
    body = (b"DIRT" + vector).ljust(-(-(4 + len(vector)) // 512) * 512, b"\0")
    return bytes(head) + body + b"".join(hive[4096 + 4096 * p : 8192 + 4096 * p] for p in sorted(pages))


def dirtied(hive: bytes, pages: list[int]) -> bytes:
    out = bytearray(hive)
    for page in pages:
        out[4096 + 4096 * page : 8192 + 4096 * page] = b"\xee" * 4096
    out[8:12] = struct.pack("<I", int.from_bytes(hive[4:8], "little") - 1)
    out[508:512] = checksum(out)
    return bytes(out)


def test_an_old_log_mends_what_a_torn_write_left(corpus: Path) -> None:
    whole = (corpus / "plaso/NTUSER.DAT").read_bytes()
    torn, log = dirtied(whole, [0, 3, 40]), old_log(whole, [0, 3, 40])
    hive = open_hive(MemorySource(torn), {".log": MemorySource(log)}, Budget())
    assert hive.replay is not None and hive.replay.pages == 24
    assert hive.cells.data[4096:] == whole[4096:] and hive.stored.cells.data == torn


def test_an_old_log_of_another_write_is_not_applied(corpus: Path) -> None:
    whole = (corpus / "plaso/NTUSER.DAT").read_bytes()
    torn, log = dirtied(whole, [3]), bytearray(old_log(whole, [3]))
    log[12] ^= 1  # another last written time
    log[508:512] = checksum(log)
    for damaged in (bytes(log), old_log(whole, [3])[:-100], bytes(old_log(whole, [3])[:508]) + b"\0\0\0\0" + old_log(whole, [3])[512:]):
        budget = Budget()
        hive = open_hive(MemorySource(torn), {".log": MemorySource(damaged)}, budget)
        assert hive.replay is None and hive.cells.data == torn
        assert any("not applied" in f.found for f in budget.findings)


def test_a_real_old_log_of_another_hive(corpus: Path) -> None:
    """plaso's ntuser.dat.LOG belongs to no hive here: a dirty hive must not take it."""
    whole = (corpus / "plaso/NTUSER.DAT").read_bytes()
    budget = Budget()
    hive = open_hive(MemorySource(dirtied(whole, [3])), {".log": MemorySource((corpus / "plaso/ntuser.dat.LOG").read_bytes())}, budget)
    assert hive.replay is None and budget.findings
