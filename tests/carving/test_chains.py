"""An archive that breaks off is one find, not one for each of its members, and costs one walk."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from forensiclib.carving.engine import Carved, carve
from forensiclib.catalog import load
from forensiclib.core.source import MemorySource

MEMBERS = 1_000
"""When each member was walked to the end again, that many took a quarter of a minute."""
PICTURE = b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


def zip_of(count: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for i in range(count):
            made.writestr(f"f{i}.txt", b"text %d " % i * 3)
    return out.getvalue()


def tar_of(count: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for i in range(count):
            info = tarfile.TarInfo(f"f{i}.txt")
            info.size = 30
            made.addfile(info, io.BytesIO(bytes(30)))
    return out.getvalue()


def finds(data: bytes, kind: str) -> list[Carved]:
    return [c for c in carve(MemorySource(data), load().carvers) if c.carver.name == kind]


def broken_zips() -> dict[str, bytes]:
    whole = zip_of(MEMBERS)
    directory, first = whole.index(b"PK\1\2"), whole.index(b"PK\3\4", 1)
    return {
        "cut in a member": whole[: directory - 5],
        "cut in the directory": whole[: directory + 500],
        "first member gone": bytes(first) + whole[first:],
        "no comment": whole[:-2] + b"\4\0\0\1\2\3",
    }


@pytest.mark.parametrize("name", broken_zips())
def test_a_broken_zip_is_one_find(name: str) -> None:
    data = broken_zips()[name] + bytes(1000)
    found = finds(data, "zip")
    assert len(found) == 1
    assert not found[0].find.complete


def test_a_cut_tar_is_one_find() -> None:
    data = tar_of(MEMBERS)[: MEMBERS * 1024 - 900] + b"x" * 2000
    found = finds(data, "tar")
    assert [(c.offset, c.length, c.find.complete) for c in found] == [(0, (MEMBERS - 1) * 1024, False)]


def test_what_lies_behind_the_proven_part_is_found() -> None:
    cut = zip_of(5)
    cut = cut[: cut.index(b"PK\1\2") - 5]
    assert [c.offset for c in finds(cut + PICTURE, "gif")] == [len(cut)]
    cut = tar_of(5)[: 5 * 1024 - 700] + bytes(188)
    assert [c.offset for c in finds(cut + PICTURE, "gif")] == [len(cut)]
