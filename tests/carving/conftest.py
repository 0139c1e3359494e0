"""How every carver is tried: a whole file among foreign bytes must come back exact, a cut one must not pass for whole."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from forensiclib.carving import (
    archives,
    elf,
    ese,
    evtx,
    frames,
    gzip,
    ole,
    pdf,
    pe,
    plist,
    rar,
    regf,
    sevenzip,
    sqlite,
    windows,
    zip,
)
from forensiclib.core.declare import Carver, Find
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from tests.carving.rooms import NEWER

ROOMS = (archives, elf, ese, evtx, frames, gzip, ole, pdf, pe, plist, rar, regf, sevenzip, sqlite, windows, zip)
CARVERS: dict[str, Carver] = {carver.name: carver for room in (*ROOMS, *NEWER) for carver in room.CARVERS}
CONTINUED = frozenset(("gzip", "bzip2", "xz", "zstd", "lz4", "lzip", "pcap", "pcapng", "wasm", "cpio", "ar", "warc", "pem", "vobject", "json",
                       "openpgp", "ssh-public", "compress", "tracev3", "timesync", "mbox", "eml", "recent-file-cache", "info2"))  # fmt: skip
"""Formats in which a second file at the very end of the first is, by definition, part of it."""


@pytest.fixture(scope="session")
def carvers() -> dict[str, Carver]:
    """By name, the carvers that every file of the corpus is asked of."""
    return {carver.name: carver for room in ROOMS for carver in room.CARVERS}


@pytest.fixture(scope="session")
def every() -> dict[str, Carver]:
    """By name, all carvers of this folder's tests."""
    return CARVERS


Measure = Callable[[str, ByteSource | bytes], Find | None]


def _measure(name: str, data: ByteSource | bytes) -> Find | None:
    source = data if isinstance(data, ByteSource) else MemorySource(data)
    carver = CARVERS[name]
    head = source.read_at(0, 65_536)
    assert any(signature.matches(head) for signature in carver.signatures), f"{name} would never be asked"
    found = carver.measure(source, Budget())
    assert found is None or 0 < found.length <= source.size
    return found


@pytest.fixture(scope="session")
def measure() -> Measure:
    """What a carver says of bytes that begin at a candidate."""
    return _measure


@pytest.fixture(scope="session")
def exact() -> Callable[[str, bytes], Find]:
    """Among random, zero, other and same-type bytes, at even and odd offsets, the file is found with its exact length."""

    def check(name: str, content: bytes) -> Find:
        rng = random.Random(len(content))
        noise = rng.randbytes(70_000)
        gap = bytes(-len(content) % 512 or (512 if name in CONTINUED else 0))
        other = b"%PDF-1.4\n%other\n1 0 obj\n<<>>\nendobj\n" if name != "pdf" else b"PK\3\4" + noise
        tails = {"nothing": b"", "zeros": bytes(20_000), "random": noise, "another type": gap + other + noise, "its like": gap + content}
        if name not in CONTINUED:
            tails["its like, at once"] = content
        seen: set[Find] = set()
        for offset in (0, 512, 777):
            for tail, foreign in tails.items():
                disk = MemorySource(noise[:offset] + content + foreign)
                found = _measure(name, disk.slice(offset))
                assert found is not None, (name, tail)
                assert found.complete, (name, tail, found)
                assert found.length == len(content), (name, tail, found)
                seen.add(found)
        assert len({(f.extension, f.title) for f in seen}) == 1
        return seen.pop()

    return check


@pytest.fixture(scope="session")
def cuts() -> Callable[..., None]:
    """Cut anywhere, alone or before random bytes, the file never passes for whole. ``blind`` bytes at its
    end are content that its structure cannot tell from other bytes."""

    def check(name: str, content: bytes, blind: int = 0) -> None:
        rng = random.Random(5)
        noise = rng.randbytes(50_000)
        size = len(content)
        for keep in sorted({size // 10, size // 3, size // 2, size * 9 // 10, size - 1}):
            head = content[:keep]
            if not any(signature.matches(head) for signature in CARVERS[name].signatures):
                continue
            alone = _measure(name, head)
            assert alone is None or not alone.complete, (name, keep, size, alone)
            if keep < size - blind:
                before_noise = _measure(name, head + noise)
                assert before_noise is None or not before_noise.complete, (name, keep, size, before_noise)

    return check
