"""A partition of a pool, composed of the facts that two public readers agree in (formats/spaces.py). No disk that Windows wrote was
at hand, so this says what the room does with such bytes, not that Windows writes them."""

from __future__ import annotations

import struct
import uuid

import pytest

import forensiclib as fl
from forensiclib.core.errors import NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.volumes.storagespaces import FORMAT, probe
from tests.volumes.arrays import volume

POOL, OTHER = uuid.UUID("6b4c0d7e-55f1-4a55-9a3e-6f4c1f0e9a01"), uuid.UUID("11111111-2222-4333-8444-555555555555")
DISKS = [uuid.UUID(f"aaaaaaaa-0000-4000-8000-00000000000{i}") for i in range(3)]
SPACE = uuid.UUID("bbbbbbbb-0000-4000-8000-00000000000b")


def text(value: str) -> bytes:
    raw = value.encode("utf-16-be")
    return struct.pack(">H", len(raw) // 2) + raw


def record(kind: int, body: bytes) -> bytes:
    return struct.pack(">B3xI", kind, len(body)) + body


def member(disk: int, place: int, pool: uuid.UUID = POOL, old: bool = False) -> bytes:
    """``place`` of the GUIDs in units of 16 bytes: 1 before Windows 10, 2 since; ``old`` spaces without a serial number."""
    head = bytearray(struct.pack(">8sHHI", b"SPACEDB ", place, 4096, 0).ljust(4096, b"\0"))
    head[16 * place : 16 * place + 32] = pool.bytes_le + DISKS[disk].bytes_le
    records = [record(1, b"\1\1\1\5" + pool.bytes_le + text("Pool Größe") + text(""))]
    records += [record(2, bytes([1, i + 1, 1, 9]) + DISKS[i].bytes_le + text(f"PhysicalDisk{i}") + text("") + bytes(8)) for i in range(3)]
    records += [record(3, (b"\1\4" if old else b"\1\4\1\7") + SPACE.bytes_le + text("Photographs of a holiday") + text("x") + bytes(20))]
    records += [record(4, bytes(24))] * 5
    entries = b""
    for number, raw in enumerate(records, 8):
        pieces = [raw[k : k + 48].ljust(48, b"\0") for k in range(0, len(raw), 48)]
        for i, piece in enumerate(pieces):
            entries += struct.pack(">4sIIHH", b"SDBB", len(entries) // 64 + 8, number, i, len(pieces)) + piece
    change = bytearray(struct.pack(">8sHHI", b"SDBC    ", place, 512, 0).ljust(512, b"\0"))
    change[16 * place : 16 * place + 16] = pool.bytes_le
    struct.pack_into(">II", change, 16 * place + 20, 8, len(entries) // 64 + 8)
    return bytes(head + change + entries + bytes(8192))


@pytest.mark.parametrize(("place", "old"), [(1, True), (2, False)])
def test_a_pool_is_named_with_its_disks_and_spaces_and_not_read(place, old):
    budget = Budget()
    data = [member(i, place, old=old) for i in range(2)]
    assert all(probe(MemorySource(d)) for d in data)
    with pytest.raises(Unsupported) as error:
        FORMAT.open([volume(d, i) for i, d in enumerate(data)], budget)
    for words in ("Pool Gr\\xf6\\xdfe", str(POOL), "Photographs of a holiday", str(SPACE), "5 slabs"):
        assert words in error.value.found.replace("ö", "\\xf6").replace("ß", "\\xdf")
    said = [f"{f.kind} {f.found}" for f in budget.findings]
    assert f"Unreadable disk 'PhysicalDisk2' ({DISKS[2]}) is not there" in said
    assert sum("PhysicalDisk" in s and s.startswith("Note") for s in said) == 2


def test_two_pools_are_two_findings():
    budget = Budget()
    with pytest.raises(Unsupported):
        FORMAT.open([volume(member(0, 2), 0), volume(member(1, 2, OTHER), 1)], budget)
    assert sum(f.kind == "Unsupported" for f in budget.findings) == 1


def test_a_damaged_database_still_names_the_pool():
    budget = Budget()
    data = bytearray(member(0, 2))
    data[4096:4608] = bytes(512)
    with pytest.raises(Unsupported) as error:
        FORMAT.open([volume(bytes(data), 0)], budget)
    assert str(POOL) in error.value.found and "unknown names" in error.value.found
    assert any(f.kind == "Corrupt" for f in budget.findings)


def test_the_partition_stays_a_volume_that_was_not_examined(tmp_path):
    path = tmp_path / "pool.dd"
    path.write_bytes(member(0, 2))
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        (found,) = image.volumes()
        assert not found.member_of
        with pytest.raises(Unsupported):
            found.filesystem()
    assert any(f.kind == "Unsupported" and f.what == "Storage Spaces" for f in run.findings)


def test_what_is_no_member():
    for data in (b"", bytes(8192), b"SPACEDB " + b"\xff" * 100, b"SPACEDB "):
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())
