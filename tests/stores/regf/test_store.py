"""The registry store: paths and patterns, kinds, security, types, recovery, damage, threads."""

from __future__ import annotations

import lzma
import re
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib.core.errors import LimitExceeded, NotThisFormat, Truncated, Unreadable, UsageError
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.stores.regf import patterns
from forensiclib.stores.regf.hive import Hive
from forensiclib.stores.regf.keys import Key, Value
from forensiclib.stores.regf.regf import FORMAT, open_hive
from forensiclib.stores.regf.values import decode, value_type

REGIPY, ERIC = "regipy/regipy_tests/", "registry/Registry.Test/Hives/"


def opened(path: Path, budget: Budget | None = None) -> Hive:
    data = path.read_bytes()
    return open_hive(MemorySource(lzma.decompress(data) if path.suffix == ".xz" else data), {}, budget or Budget())


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("", "", True),
        ("**", "", True),
        ("**", r"a\b\c", True),
        (r"a\*", r"A\b", True),
        (r"a\*", r"a\b\c", False),
        (r"a\**\c", r"a\c", True),
        (r"a\**\c", r"a\b\b\c", True),
        (r"a\**\c", r"a\b\b\d", False),
        (r"*\Services\b?m", r"ControlSet001\services\BAM", True),
        (r"a\[b]", r"a\b", False),
        (r"a\[b]", r"a\[b]", True),
        (r"\a\b", r"a\b", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert patterns.matches(patterns.compile_patterns([pattern]), path) is matches


def test_no_pattern_is_the_callers_fault() -> None:
    with pytest.raises(UsageError):
        patterns.compile_patterns([])


@pytest.mark.parametrize(
    ("number", "data", "value"),
    [
        (1, "a\0hidden\0".encode("utf-16-le"), "a"),
        (7, "a\0b\0\0".encode("utf-16-le"), ["a", "b"]),
        (7, "a\0b".encode("utf-16-le"), ["a", "b"]),
        (7, "a\0\0b\0\0\0".encode("utf-16-le"), ["a", "", "b", ""]),
        (7, b"\0\0", []),
        (4, b"\1\0\0\0", 1),
        (5, b"\0\0\0\1", 1),
        (11, b"\2" + b"\0" * 7, 2),
        (4, b"\1\0", b"\1\0"),
        (3, b"\1\0", b"\1\0"),
        (0x52, b"x", b"x"),
    ],
)
def test_decoding(number: int, data: bytes, value: object) -> None:
    assert decode(number, data) == value


@given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=40))
def test_any_type_decodes(number: int, data: bytes) -> None:
    decode(number, data)
    assert value_type(number).number == number and value_type(number).name


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("plaso/NTUSER.DAT", "NTUSER"), ("plaso/regf/SAM", "SAM"), ("plaso/regf/UsrClass.dat", "USRCLASS"),
        (REGIPY + "SYSTEM.xz", "SYSTEM"), (REGIPY + "SECURITY.xz", "SECURITY"), (REGIPY + "amcache.hve.xz", "AMCACHE"),
        (REGIPY + "BCD.xz", "BCD"), (ERIC + "SECURITY", "SECURITY"), ("plaso/regf/100_sub_keys.hiv", "UNKNOWN"),
        # HKCU\\Software, exported: none of Windows' own hives.
        (REGIPY + "ntuser_software_partial.xz", "UNKNOWN"),
    ],
)  # fmt: skip
def test_kinds(corpus: Path, name: str, kind: str) -> None:
    assert opened(corpus / name).kind == kind


@pytest.mark.corpus
def test_find_is_walk_filtered(corpus: Path) -> None:
    hive = opened(corpus / "plaso/regf/SAM")
    for pattern in (r"SAM\Domains\*\Users\**", r"**\Names\*", "SAM", r"**\00000?F4"):
        compiled = patterns.compile_patterns([pattern])
        found = [k.path for k in hive.find([pattern])]
        assert found == [k.path for k in hive.walk() if patterns.matches(compiled, k.path)]
        assert found


@pytest.mark.corpus
def test_the_current_control_set(corpus: Path) -> None:
    hive = opened(corpus / (REGIPY + "SYSTEM.xz"))
    select = hive.key("Select")
    assert select is not None
    value = select.value("current")
    assert value is not None and value.decoded == 1
    key = hive.key(r"CurrentControlSet\Control\ComputerName\ComputerName")
    assert key is not None and key.path == r"ControlSet001\Control\ComputerName\ComputerName"
    assert [k.path for k in hive.find(r"currentcontrolset\Control\ComputerName\*")] == [
        f"ControlSet001\\Control\\ComputerName\\{k.name}" for k in hive.find(r"ControlSet001\Control\ComputerName\*")
    ]
    assert hive.key("no\\such\\key") is None


@pytest.mark.corpus
def test_owners(corpus: Path) -> None:
    """Keys of a user's hive belong to the user, SYSTEM, Administrators or TrustedInstaller."""
    hive = opened(corpus / "plaso/NTUSER.DAT")
    owners = {key.security.owner for key in hive.walk() if key.security}
    assert owners == {"S-1-5-32-544"} or any(o and o.startswith("S-1-5-21-") for o in owners)


@pytest.mark.corpus
def test_deleted_bags(corpus: Path) -> None:
    """Registry Explorer's library recovers this key with this value of 281 bytes from this hive."""
    hive = opened(corpus / (ERIC + "UsrClassDeletedBags.dat"))
    bags = r"Local Settings\Software\Microsoft\Windows\Shell\BagMRU"
    found = {k.path: k for k in hive.deleted() if isinstance(k, Key)}
    assert {bags + "\\1", bags + r"\1\0", bags + r"\1\0\0", bags + r"\1\0\0\0"} <= set(found)
    key = found[bags + r"\1\0\0"]
    value = next(v for v in key.values() if v.name == "0")
    assert len(value.data) == 281 and value.verdict == "intact" and value.state == key.state == "deleted"
    assert {k.path for k in hive.find(bags + r"\1\**", deleted=True)} == {p for p in found if p.startswith(bags + "\\1")}


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/NTUSER-WIN7.DAT", ERIC + "SAM", ERIC + "BCD", REGIPY + "UsrClass.dat.xz", REGIPY + "SAM.xz"])
def test_live_records_are_never_recovered(corpus: Path, name: str) -> None:
    hive = opened(corpus / name)
    live = {k.at for k in hive.walk()} | {v.at for k in hive.walk() for v in k.values()}
    recovered = list(hive.deleted())
    keys = [k for k in recovered if isinstance(k, Key)]
    values = [v for v in recovered if isinstance(v, Value)] + [v for k in keys for v in k.values()]
    assert values
    assert not live & ({k.at for k in keys if not k.lost} | {v.at for v in values})
    assert len(values) == len({v.at for v in values})
    data = hive.cells.data
    assert all(data[v.at + 4 : v.at + 6] == b"vk" for v in values)
    assert all(v.state in ("deleted", "orphan") and v.verdict and v.found_in for v in values)


@pytest.mark.corpus
def test_a_key_cut_out_of_its_list_is_found_again(corpus: Path) -> None:
    """Take an entry out of a subkey list, as a damaged list does: the subtree comes back with its path."""
    data = bytearray((corpus / "plaso/regf/100_sub_keys.hiv").read_bytes())
    whole = open_hive(MemorySource(bytes(data)), {}, Budget())
    assert whole.root is not None
    victim = list(whole.root.subkeys())[50]
    entry = (victim.node.offset).to_bytes(4, "little")
    at = data.index(entry, 4096 + whole.root.node.subkey_list)
    data[at : at + 4] = b"\xff\xff\xff\xff"
    budget = Budget()
    hive = open_hive(MemorySource(bytes(data)), {}, budget)
    assert len(list(hive.walk())) == 100 and budget.findings
    found = [k for k in hive.deleted() if isinstance(k, Key)]
    assert [(k.path, k.state, k.found_in) for k in found] == [(victim.path, "orphan", "unreferenced cell")]
    assert [(v.name, v.data) for v in found[0].values()] == [(v.name, v.data) for v in victim.values()]


class Broken(ByteSource):
    """A source with an unreadable page."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at, self.size = MemorySource(data), at, len(data)

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        if offset < self.at + 4096 and self.at < offset + len(buffer):
            raise Unreadable("disk", Span("disk", self.at, 4096), "bad sector")
        return self.data.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self.data.trace(offset, n)


@pytest.mark.corpus
def test_an_unreadable_page_takes_only_what_stands_in_it(corpus: Path) -> None:
    data = (corpus / "plaso/NTUSER.DAT").read_bytes()
    whole = {k.path: [(v.name, v.data) for v in k.values()] for k in open_hive(MemorySource(data), {}, Budget()).walk()}
    budget = Budget()
    hive = open_hive(Broken(data, 0x20000), {}, budget)
    part = {k.path: [(v.name, v.data) for v in k.values()] for k in hive.walk()}
    assert any(f.kind == "Unreadable" for f in budget.findings)
    assert 0 < len(part) < len(whole)
    for path, values in part.items():
        assert all(v in whole[path] or v[1] == b"" for v in values)
    rows = list(hive.table().rows())
    assert [(r["path"], r["name"], r["data"] or b"") for r in rows] == [(p, *v) for p, vs in part.items() for v in vs]


@pytest.mark.corpus
def test_damage_is_said(corpus: Path) -> None:
    data = (corpus / "plaso/NTUSER.DAT").read_bytes()
    for name, damaged, words in (
        ("checksum", data[:100] + b"\xff" + data[101:], "checksum"),
        ("dirty", data[:4] + (76).to_bytes(4, "little") + data[8:], "checksum"),
        ("cut", data[:400_000], "hive bins"),
        ("bin", data[:8192] + b"xxxx" + data[8196:], "hbin"),
    ):
        budget = Budget()
        list(open_hive(MemorySource(damaged), {}, budget).walk())
        assert any(words in f"{f.what} {f.found}" or "hive bin" in f.what for f in budget.findings), name


@pytest.mark.corpus
def test_what_is_refused(corpus: Path) -> None:
    data = (corpus / "plaso/NTUSER.DAT").read_bytes()
    with pytest.raises(NotThisFormat):
        opened(corpus / (ERIC + "NotAHive"))
    with pytest.raises(NotThisFormat):
        open_hive(MemorySource((corpus / "plaso/ntuser.dat.LOG").read_bytes()), {}, Budget())
    with pytest.raises(Truncated):
        open_hive(MemorySource(data[:4100]), {}, Budget())
    with pytest.raises(LimitExceeded):
        open_hive(MemorySource(data), {}, Budget(Limits(allocation=100_000)))
    assert FORMAT.signatures[0].matches(data[:4])


@pytest.mark.corpus
def test_cycles_end(corpus: Path) -> None:
    """A subkey list that leads back to the root."""
    data = bytearray((corpus / "plaso/regf/100_sub_keys.hiv").read_bytes())
    hive = open_hive(MemorySource(bytes(data)), {}, Budget())
    assert hive.root is not None
    at = data.index((list(hive.root.subkeys())[3].node.offset).to_bytes(4, "little"), 4096 + hive.root.node.subkey_list)
    data[at : at + 4] = hive.root.node.offset.to_bytes(4, "little")
    budget = Budget()
    looped = open_hive(MemorySource(bytes(data)), {}, budget)
    assert len(list(looped.walk())) == 100
    assert any("twice" in f.found for f in budget.findings)
    assert len(looped.table()) == 99


@pytest.mark.corpus
def test_eight_threads_read_one_hive(corpus: Path) -> None:
    hive = opened(corpus / "plaso/NTUSER.DAT")
    expected = [(k.path, v.name, v.data) for k in hive.walk() for v in k.values()]
    wrong: list[int] = []

    def work(number: int) -> None:
        if [(k.path, v.name, v.data) for k in hive.walk() for v in k.values()] != expected or len(hive.table()) != len(expected):
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.corpus
def test_the_table_as_arrow(corpus: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pytest.importorskip("nanoarrow", reason="nanoarrow is not installed")
    table = opened(corpus / "plaso/NTUSER.DAT").table()
    assert pyarrow.record_batch(table).num_rows == len(table) == 5602


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["registry/Registry.Test/Hives/NTUSER1.DAT", "plaso/NTUSER.DAT"])
def test_hive_bins_without_their_hive_give_what_the_hive_gives(corpus: Path, name: str) -> None:
    """From any bin on: every key and value whose cells lie there, named as libregf's tree names them."""
    data = (corpus / name).read_bytes()
    whole = open_hive(MemorySource(data), {}, Budget())
    live = {(k.at, k.name, k.node.last_written) for k in whole.walk()}
    values = {(v.at, v.name) for k in whole.walk() for v in k.values()}
    starts = [4096, *(m.start() for m in re.finditer(rb"hbin", data) if m.start() % 4096 == 0)]
    assert len(live) > 500
    for start in (starts[0], starts[1], starts[len(starts) // 2], starts[-1]):
        stated = int.from_bytes(data[start + 4 : start + 8], "little")
        bins = open_hive(MemorySource(data[start:]), {}, Budget())
        found = [f for f in bins.find("**", deleted=True) if not f.lost]
        assert bins.kind == "UNKNOWN"
        keys = {(k.at, k.name, k.node.last_written) for k in found if k.state == "carved"}
        expected = {k for k in live if k[0] >= 4096 + stated}
        # The root names a parent that is nowhere: a key of its own kind.
        assert len(expected - keys) <= 1 and keys <= live | {
            (k.at, k.name, k.node.last_written) for k in whole.deleted() if hasattr(k, "node")
        }
        everywhere = [v for f in bins.find("**", deleted=True) for v in f.values()]
        assert {v for v in values if v[0] >= 4096 + stated} <= {(v.at, v.name) for v in everywhere}
        for key in [k for k in found if k.state == "carved"][:3]:
            row = key.row()
            assert row.source is not None and row.source.trace(row.at, 4)[0].start == row.at - 4096 - stated


@pytest.mark.corpus
def test_bins_far_behind_cost_no_more_than_those_in_front(corpus: Path) -> None:
    """One bin that says it lies at 200 MiB: nothing before it is read or searched."""
    data = (corpus / "registry/Registry.Test/Hives/NTUSER1.DAT").read_bytes()
    first = data[4096 : 4096 + int.from_bytes(data[4104:4108], "little")]
    far = first[:4] + (200 << 20).to_bytes(4, "little") + first[8:]
    began = time.process_time()
    for _ in range(20):
        hive = open_hive(MemorySource(far), {}, Budget())
        list(hive.find("**", deleted=True))
        assert list(hive.cells.bins()) == [(200 << 20, len(first))]
    assert time.process_time() - began < 2
