"""Makes what benchmarks/bench_remote.py lists from afar: an NTFS volume of 4 GiB with files of noise, as an E01 set.

    python benchmarks/make_remote.py FOLDER [COUNT]

Needs root, ntfs-3g, FUSE and ewfacquire. COUNT defaults to 24,000 files of 0 to 80 KiB that do not compress: about a quarter of the volume
is in use, and the set is about as large as what is in use. Writes many.img (sparse) and many.E01.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

DIRECTORY = 100
"""Files in each directory."""


def make(folder: Path, count: int) -> None:
    """Format, fill, delete every fiftieth file, acquire."""
    rng = random.Random(1)
    pool = rng.randbytes(16 << 20)
    image = folder / "many.img"
    with image.open("wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["mkfs.ntfs", "-Q", "-F", "-q", "-L", "many", str(image)], check=True)
    with tempfile.TemporaryDirectory() as where:
        subprocess.run(["ntfs-3g", "-o", "big_writes,noatime", str(image), where], check=True)
        try:
            for n in range(count):
                place = Path(where, f"level one {n // (40 * DIRECTORY)}", f"directory {n // DIRECTORY}")
                if n % DIRECTORY == 0:
                    place.mkdir(parents=True)
                at = rng.randrange(len(pool) - 81_920)
                (place / f"a file number {n}.bin").write_bytes(pool[at : at + rng.randrange(81_920)])
                if n % 50 == 49:
                    (place / f"a file number {n}.bin").unlink()
        finally:
            subprocess.run(["umount", where], check=True)
    command = ["ewfacquire", "-q", "-u", "-c", "deflate:fast", "-S", "400MiB", "-t", str(folder / "many"), str(image)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 24_000)
