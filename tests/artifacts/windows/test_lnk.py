"""Shell links against liblnk, shell items against libfwsi, and one link made by pylnk3."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensiclib.artifacts.windows.lnk import EXTRACTOR, rows
from forensiclib.core.declare import Found
from forensiclib.core.errors import NotThisFormat, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.formats.lnk import HEADER
from forensiclib.stores.shelllink import STORE, Link, read_link
from forensiclib.testing.contracts import ExtractorContract

HERE = Path(__file__).resolve().parent.parent.parent
SAMPLE = HERE / "samples" / "lnk" / "holiday.lnk"


def links(corpus: Path) -> list[Path]:
    signature = STORE.signatures[0]
    return [p for p in sorted(corpus.rglob("*")) if p.is_file() and signature.matches(head(p))]


def head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(76)


def read(data: bytes) -> tuple[dict[str, Any], Budget]:
    budget = Budget()
    (row,) = rows(Found(MemorySource(data), "a.lnk"), budget)
    return dict(row.values), budget


def same(ours: object, theirs: object) -> bool:
    """Absent and empty are one; a lone surrogate reads as U+FFFD here."""
    if isinstance(theirs, str):
        theirs = theirs.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return (ours or None) == (theirs or None)


class TestContract(ExtractorContract):
    extractor = EXTRACTOR

    def targets(self) -> Iterator[object]:
        yield Found(FileSource(SAMPLE), SAMPLE.name)


def test_a_link_made_by_pylnk3() -> None:
    values, budget = read(SAMPLE.read_bytes())
    assert values["target"] == "C:\\Users\\alice\\Pictures\\holiday.jpg"
    assert values["name"] == "Holiday" and values["size"] == 10243
    assert values["modified"].iso() == "2025-12-30T00:00:00Z"
    items = json.loads(values["items"])
    assert [i["kind"] for i in items] == ["root", "volume", "directory", "directory", "directory", "file"]
    assert items[-1]["long_name"] == "holiday.jpg" and items[-1]["size"] == 10243
    assert not budget.findings


@pytest.mark.corpus
def test_equals_liblnk(corpus: Path) -> None:
    pylnk = pytest.importorskip("pylnk", reason="liblnk-python is not installed")
    files = links(corpus)
    assert len(files) >= 80
    for path in files:
        values, budget = read(path.read_bytes())
        assert not budget.findings, (path.name, budget.findings)
        peer = pylnk.file()
        peer.open(str(path))
        serial = values["drive_serial"]
        pairs = {
            "created": (values["created"].raw, peer.get_file_creation_time_as_integer()),
            "accessed": (values["accessed"].raw, peer.get_file_access_time_as_integer()),
            "modified": (values["modified"].raw, peer.get_file_modification_time_as_integer()),
            "size": (values["size"], peer.file_size),
            "attributes": (values["attributes"], peer.file_attribute_flags),
            "drive_serial": (int(serial, 16) if serial else None, peer.drive_serial_number),
            # [MS-SHLLINK] 2.1 says signed; the peer gives the same bits unsigned.
            "icon_index": (values["icon_index"] & 0xFFFFFFFF, peer.icon_index),
        }
        names = {
            "name": "description", "relative_path": "relative_path", "working_directory": "working_directory",
            "arguments": "command_line_arguments", "icon_location": "icon_location", "local_path": "local_path",
            "environment": "environment_variables_location", "network_path": "network_path", "volume_label": "volume_label",
            "machine_id": "machine_identifier", "droid_volume": "droid_volume_identifier", "droid_file": "droid_file_identifier",
            "droid_birth_volume": "birth_droid_volume_identifier", "droid_birth_file": "birth_droid_file_identifier",
        }  # fmt: skip
        pairs |= {ours: (values[ours], getattr(peer, theirs)) for ours, theirs in names.items()}
        for field, (ours, theirs) in pairs.items():
            assert same(ours, theirs), (path.name, field, ours, theirs)


@pytest.mark.corpus
def test_shell_items_equal_libfwsi(corpus: Path) -> None:
    pyfwsi = pytest.importorskip("pyfwsi", reason="libfwsi-python is not installed")
    compared = 0
    for path in links(corpus):
        data = path.read_bytes()
        link = read_link(MemorySource(data), Budget())
        if not link.items:
            continue
        start = HEADER.sizeof() + 2
        peers = pyfwsi.item_list()
        peers.copy_from_byte_stream(data[start : start + int.from_bytes(data[start - 2 : start], "little")])
        for peer, item in zip(peers.items, link.items, strict=True):
            for ours, theirs in item_pairs(peer, item):
                assert same(ours, theirs), (path.name, item.row(), theirs)
            compared += 1
    assert compared >= 250


def item_pairs(peer: Any, item: Any) -> Iterator[tuple[object, object]]:
    def fat(time: Any) -> int:
        """Our raw is date << 16 | time, the peer's the bytes as they stand."""
        return time.raw >> 16 | (time.raw & 0xFFFF) << 16

    kind = type(peer).__name__
    if kind == "volume":
        yield item.text if item.kind == "volume" else None, peer.name
    elif kind == "root_folder":
        yield item.facts["guid"], peer.shell_folder_identifier
    elif kind == "network_location":
        yield item.text, peer.location
    elif kind == "users_property_view":
        yield item.kind, "property view"
    elif kind == "file_entry":
        yield item.facts["short_name"], peer.name
        yield item.facts["size"], peer.file_size
        yield item.facts["attributes"], peer.file_attribute_flags
        yield fat(item.times["modified"]), peer.get_modification_time_as_integer()
        for block in peer.extension_blocks:
            if type(block).__name__ == "file_entry_extension":
                yield item.facts["long_name"], block.long_name
                yield item.facts.get("localized_name"), block.localized_name
                yield fat(item.times["created"]), block.get_creation_time_as_integer()
                yield fat(item.times["accessed"]), block.get_access_time_as_integer()
                reference = item.facts["record"] | item.facts["sequence"] << 48 if "record" in item.facts else None
                yield reference, block.file_reference


@pytest.mark.corpus
def test_shell_item_times_are_utc(corpus: Path) -> None:
    """The same instant stands in the header as a FILETIME, in UTC, and in the last item as a DOS time."""
    compared = 0
    for path in links(corpus):
        link = read_link(FileSource(path), Budget())
        if not link.items or link.items[-1].kind != "file" or not link.header.modified:
            continue
        item = link.items[-1].times["modified"]
        header = (link.header.modified - 116_444_736_000_000_000) * 100
        if item.ns is not None:
            assert abs(item.ns - header) <= 2_000_000_000 and item.zone == "utc", path.name
            compared += 1
    assert compared >= 30


@pytest.mark.corpus
def test_published_values(corpus: Path) -> None:
    """Stated in plaso's tests/parsers/winlnk.py."""
    values, _ = read((corpus / "plaso" / "example.lnk").read_bytes())
    assert values["created"].iso() == "2009-07-13T23:29:02.8491310Z"
    assert values["modified"].iso() == "2009-07-14T01:39:18.2200000Z"
    assert values["environment"] == values["icon_location"] == "%windir%\\system32\\migwiz\\migwiz.exe"
    assert (values["size"], values["attributes"]) == (544768, 0x20)
    assert values["droid_file"] == "846ee3bb-7039-11de-9d20-001d09fa5a1c"
    assert values["mac_address"] == "00:1d:09:fa:5a:1c"
    assert values["droid_time"].iso()[:26] == "2009-07-14T05:45:20.500012"
    values, _ = read((corpus / "plaso" / "NeroInfoTool.lnk").read_bytes())
    path = "C:\\Program Files (x86)\\Nero\\Nero 9\\Nero InfoTool\\InfoTool.exe"
    assert values["target"] == values["local_path"] == path
    assert (values["drive_type"], values["drive_serial"], values["volume_label"]) == ("fixed", "70ecfa33", "OS")
    assert (values["size"], values["arguments"]) == (4635160, "-ScParameter=30002  ")
    assert (values["record"], values["sequence"]) == (81349, 1)
    assert json.loads(values["items"])[-1]["modified"] == "2009-06-05T20:13:20Z"


# [MS-SHLLINK] 3.1, "Shortcut to a File".
SPECIFICATION = bytes.fromhex("""
4C 00 00 00 01 14 02 00 00 00 00 00 C0 00 00 00 00 00 00 46 9B 00 08 00 20 00 00 00 D0 E9 EE F2
15 15 C9 01 D0 E9 EE F2 15 15 C9 01 D0 E9 EE F2 15 15 C9 01 00 00 00 00 00 00 00 00 01 00 00 00
00 00 00 00 00 00 00 00 00 00 00 00 BD 00 14 00 1F 50 E0 4F D0 20 EA 3A 69 10 A2 D8 08 00 2B 30
30 9D 19 00 2F 43 3A 5C 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 46 00 31 00 00
00 00 00 2C 39 69 A3 10 00 74 65 73 74 00 00 32 00 07 00 04 00 EF BE 2C 39 65 A3 2C 39 69 A3 26
00 00 00 03 1E 00 00 00 00 F5 1E 00 00 00 00 00 00 00 00 00 00 74 00 65 00 73 00 74 00 00 00 14
00 48 00 32 00 00 00 00 00 2C 39 69 A3 20 00 61 2E 74 78 74 00 34 00 07 00 04 00 EF BE 2C 39 69
A3 2C 39 69 A3 26 00 00 00 2D 6E 00 00 00 00 96 01 00 00 00 00 00 00 00 00 00 00 61 00 2E 00 74
00 78 00 74 00 00 00 14 00 00 00 3C 00 00 00 1C 00 00 00 01 00 00 00 1C 00 00 00 2D 00 00 00 00
00 00 00 3B 00 00 00 11 00 00 00 03 00 00 00 81 8A 7A 30 10 00 00 00 00 43 3A 5C 74 65 73 74 5C
61 2E 74 78 74 00 00 07 00 2E 00 5C 00 61 00 2E 00 74 00 78 00 74 00 07 00 43 00 3A 00 5C 00 74
00 65 00 73 00 74 00 60 00 00 00 03 00 00 A0 58 00 00 00 00 00 00 00 63 68 72 69 73 2D 78 70 73
00 00 00 00 00 00 00 40 78 C7 94 47 FA C7 46 B3 56 5C 2D C6 B6 D1 15 EC 46 CD 7B 22 7F DD 11 94
99 00 13 72 16 87 4A 40 78 C7 94 47 FA C7 46 B3 56 5C 2D C6 B6 D1 15 EC 46 CD 7B 22 7F DD 11 94
99 00 13 72 16 87 4A 00 00 00 00""")


def test_example_of_the_specification() -> None:
    values, budget = read(SPECIFICATION)
    assert values["target"] == values["local_path"] == "C:\\test\\a.txt"
    assert (values["relative_path"], values["working_directory"]) == (".\\a.txt", "C:\\test")
    assert (values["drive_type"], values["drive_serial"], values["volume_label"]) == ("fixed", "307a8a81", "")
    assert values["created"].iso()[:19] == "2008-09-12T20:27:17"
    assert values["machine_id"] == "chris-xps"
    assert values["droid_volume"] == values["droid_birth_volume"] == "94c77840-fa47-46c7-b356-5c2dc6b6d115"
    assert values["droid_file"] == values["droid_birth_file"] == "7bcd46ec-7f22-11dd-9499-00137216874a"
    assert (values["attributes"], values["show"], values["hotkey"], values["size"]) == (0x20, "normal", None, 0)
    assert not budget.findings


@pytest.mark.corpus
def test_web_addresses_in_links(corpus: Path) -> None:
    """The address stands in plain sight in the file."""
    folder = corpus / "lnk" / "Lnk.Test"
    values, _ = read((folder / "WinVista" / "Support 4.lnk").read_bytes())
    assert values["target"].endswith("http://go.microsoft.com/fwlink/?LinkId=63443")
    values, _ = read((folder / "Misc" / "native.xp.02.test").read_bytes())
    assert "hcp://system/compatctr/compatmode.htm" in values["target"]


def text_link(*strings: str) -> bytes:
    """A link of strings only, laid out from [MS-SHLLINK] 2.1 and 2.4."""
    clsid = bytes.fromhex("0114020000000000c000000000000046")
    flags = 0x80 | sum(4 << i for i in range(len(strings)))
    fixed = struct.pack("<I16sIIQQQIiIHHII", 76, clsid, flags, 32, 0, 0, 0, 0, 0, 7, 0x0643, 0, 0, 0)
    return fixed + b"".join(struct.pack("<H", len(s)) + s.encode("utf-16-le") for s in strings)


def test_strings_hotkey_and_unset_times() -> None:
    values, budget = read(text_link("a name", ".\\rel", "C:\\work", "/x é", "icon.ico") + bytes(4))
    assert [values[k] for k in ("name", "relative_path", "working_directory", "arguments", "icon_location")] == [
        "a name", ".\\rel", "C:\\work", "/x é", "icon.ico",
    ]  # fmt: skip
    assert (values["hotkey"], values["show"], values["created"].ns) == ("Ctrl+Alt+C", "minimized", None)
    assert not budget.findings


def test_damage_gives_findings_and_the_rest() -> None:
    cut, budget = read(text_link("a name", "C:\\somewhere")[:-4])
    assert cut["name"] == "a name" and cut["relative_path"] == "C:\\somewhe"[: len(cut["relative_path"])]
    assert [f.kind for f in budget.findings] == ["Truncated"]
    block = struct.pack("<II", 0xFFFFFF, 0xA0000003) + b"evidence"
    values, budget = read(text_link("a name") + block)
    assert values["name"] == "a name" and bytes.fromhex(json.loads(values["extra"])[0]["data"]) == block
    assert [f.kind for f in budget.findings] == ["Corrupt"]


def test_a_wrong_size_does_not_hide_what_follows() -> None:
    """The specification's example with the size of its target list, then of its link info, destroyed."""
    data = bytearray(SPECIFICATION)
    data[76:78] = b"\xff\xff"
    values, budget = read(bytes(data))
    assert values["local_path"] == values["target"] == "C:\\test\\a.txt" and values["machine_id"] == "chris-xps"
    assert [f.kind for f in budget.findings] == ["Truncated"]
    at = SPECIFICATION.index(bytes.fromhex("3c0000001c00000001"))
    data = bytearray(SPECIFICATION)
    data[at : at + 4] = b"\xff\xff\0\0"
    values, budget = read(bytes(data))
    assert values["local_path"] == "C:\\test\\a.txt" and values["machine_id"] == "chris-xps"
    assert "Note" in {f.kind for f in budget.findings}


def test_data_behind_the_link_is_noted() -> None:
    data = text_link("a name") + bytes(4)
    _, budget = read(data + b"payload")
    assert [(f.kind, f.span.start, f.span.length) for f in budget.findings if f.span] == [("Note", len(data), 7)]
    alone: Link = read_link(MemorySource(data + b"payload"), Budget(), alone=False)
    assert alone.length == len(data)


def test_other_files_are_refused() -> None:
    with pytest.raises(Truncated):
        read(b"L\0\0\0")
    with pytest.raises(NotThisFormat):
        read(bytes(100))


@pytest.mark.corpus
def test_the_property_store_names_the_user(corpus: Path) -> None:
    """A security identifier in text, in a link whose maker was the administrator (RID 500)."""
    values, _ = read((corpus / "plaso" / "NeroInfoTool.lnk").read_bytes())
    properties = json.loads(values["properties"])
    assert properties["46588ae2-4cbc-4338-bbfc-139326986dce/4"] == "S-1-5-21-1649921694-3861100353-2334684395-500"


@pytest.mark.corpus
def test_no_item_is_lost(corpus: Path) -> None:
    """Items that are not understood keep their bytes."""
    for path in links(corpus):
        for item in read_link(FileSource(path), Budget()).items:
            row = item.row()
            assert item.kind not in ("unknown", "delegate") or bytes.fromhex(row["data"]) == item.data
