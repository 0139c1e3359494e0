"""Shadow copies: forensiclib beside libvshadow, on a volume of 16 GiB whose one store has 200,000 blocks.

    pytest benchmarks/bench_shadows.py --benchmark-only
    FORENSICLIB_BENCH_BLOCKS=1500000 pytest benchmarks/bench_shadows.py --benchmark-only

The blocks are in the order of the volume, as one long write leaves them. What is read is sparse, so it is the looking up that is timed.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from forensiclib.core.entry import Volume
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.volumes.vss.vss import FORMAT
from tests.volumes.shadows import BLOCK, CREATED, GUID, HEADER_AT, VOLUME, ntfs

COUNT = int(os.environ.get("FORENSICLIB_BENCH_BLOCKS", "200000"))
SIZE = max(16 << 30, COUNT * BLOCK * 4)


def build(path: Path) -> None:
    """Headers, a catalog of one copy, lists; the rest is a hole."""
    blocks, half, ids = SIZE // BLOCK, SIZE // BLOCK // 2, VOLUME.bytes_le
    kept = sorted(random.Random(1).sample(range(200, half), COUNT))
    with path.open("wb") as file:

        def put(at: int, data: bytes) -> None:
            file.seek(at)
            file.write(data)

        def record(at: int, kind: int, body: bytes, following: int = 0) -> None:
            put(at, (struct.pack("<16sIIQQQQ", GUID, 1, kind, 0, at, following, 0).ljust(128, b"\0") + body).ljust(BLOCK, b"\0"))

        def chain(first: int, kind: int, body: bytes, each: int) -> int:
            pieces = [body[i : i + each] for i in range(0, len(body), each)]
            for i, piece in enumerate(pieces):
                record((first + i) * BLOCK, kind, piece, (first + i + 1) * BLOCK if i + 1 < len(pieces) else 0)
            return first + len(pieces)

        file.truncate(SIZE)
        put(0, ntfs(2 << 20))
        boot = bytearray(ntfs(2 << 20)[:512])
        struct.pack_into("<Q", boot, 40, SIZE // 512 - 1)
        put(0, boot)
        put(SIZE - 512, boot)
        put(HEADER_AT, struct.pack("<16sIIQQQQQ16s16s", GUID, 1, 1, HEADER_AT, HEADER_AT, 0, half * BLOCK, 0, ids, ids).ljust(512, b"\0"))
        record((half + 1) * BLOCK, 4, bytes(100))
        area = half + 1000 + COUNT // 400
        rows = (struct.pack("<QQQII", n * BLOCK, i * BLOCK, (area + i) * BLOCK, 0x88, 0) for i, n in enumerate(kept))
        bitmap = chain(half + 2, 3, b"".join(rows), 508 * 32)
        chain(bitmap, 6, bytes(blocks // 8), BLOCK - 128)
        copy = struct.pack("<QQ16sQQQ", 2, SIZE, ids, 1, 0x40, CREATED).ljust(128, b"\0")
        places = [p * BLOCK for p in (half + 2, half + 1, 0, bitmap)]
        record(half * BLOCK, 2, copy + struct.pack("<QQ16sQQQ", 3, places[0], ids, *places[1:]).ljust(128, b"\0"))


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    path = tmp_path_factory.mktemp("shadows") / "volume.raw"
    build(path)
    yield path
    path.unlink()


def ours(path: Path):
    source = FileSource(path)
    (copy,) = FORMAT.open([Volume(source, index=0, start=0, scheme="none")], Budget())
    return copy.read_at


def theirs(path: Path):
    pyvshadow = pytest.importorskip("pyvshadow", reason="libvshadow-python is not installed")
    volume = pyvshadow.volume()
    volume.open(str(path))
    store = volume.get_store(0)
    return lambda at, n, keep=volume: store.read_buffer_at_offset(n, at)


READERS = {"forensiclib": ours, "libvshadow": theirs}


@pytest.mark.parametrize("name", READERS)
def test_opening_to_the_first_byte(benchmark, disk, name):
    benchmark.pedantic(lambda: READERS[name](disk)(0, 1), rounds=3)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("n", [4096, 1 << 20])
def test_reading(benchmark, disk, name, n):
    read, rng = READERS[name](disk), random.Random(2)
    places = [rng.randrange(0, SIZE // 2 - n) // 512 * 512 for _ in range(500)]
    total = benchmark.pedantic(lambda: sum(len(read(at, n)) for at in places), rounds=3)
    benchmark.extra_info["MB/s"] = round(total / benchmark.stats.stats.min / 1e6)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "volume.raw"
        build(target)
        for name, opened in READERS.items():
            begin = time.process_time()
            reader = opened(target)
            reader(0, 1)
            print(f"{name:<12} lists {time.process_time() - begin:7.3f} s", end="")
            for n in (4096, 1 << 20):
                rng, begin = random.Random(2), time.process_time()
                total = sum(len(reader(rng.randrange(0, SIZE // 2 - n) // 512 * 512, n)) for _ in range(500))
                print(f"   {n:>8} bytes: {total / (time.process_time() - begin) / 1e6:8.0f} MB/s", end="")
            print()
