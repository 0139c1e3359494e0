"""Makes an NTFS volume with many small files in nested directories, with mkfs.ntfs and the ntfs-3g driver.

    python benchmarks/make_ntfs.py FILE [COUNT]

Needs root, ntfs-3g and FUSE. The image is sparse, 1.5 GiB; COUNT defaults to 150,000 files.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

DIRECTORY = 100
"""Files in each directory."""


def make(image: Path, count: int) -> None:
    """Format ``image``, fill it, delete every fiftieth file."""
    with image.open("wb") as file:
        file.truncate(1536 << 20)
    subprocess.run(["mkfs.ntfs", "-Q", "-F", "-q", "-L", "many", str(image)], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["ntfs-3g", "-o", "big_writes,noatime", str(image), folder], check=True)
        try:
            for block in range(0, count, DIRECTORY):
                number = block // DIRECTORY
                place = Path(folder, f"level one {number // 400}", f"level two {number // 20}", f"directory {number}")
                place.mkdir(parents=True)
                for n in range(block, min(count, block + DIRECTORY)):
                    (place / f"a small file number {n}.txt").write_bytes(b"x" * (n % 1500))
            for n in range(0, count, 50):
                number = n // DIRECTORY
                Path(
                    folder, f"level one {number // 400}", f"level two {number // 20}", f"directory {number}", f"a small file number {n}.txt"
                ).unlink()
        finally:
            subprocess.run(["umount", folder], check=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 150_000)
