"""Makes small.ntfs.xz: a 2 MiB volume by mkfs.ntfs and ntfs-3g. Needs root and FUSE.

    python tests/samples/ntfs/make.py tests/samples/ntfs/small.ntfs.xz

In it: a resident and an empty file, one of 9,000 bytes, one with two alternate streams, a compressed text, a sparse
file, sixteen hard links (extension records), a crowded directory with deleted names, a deleted directory.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FILTERS = [{"id": lzma.FILTER_DELTA, "dist": 2}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
"""$UpCase counts up in 16-bit steps: the delta filter makes it small."""


def fill(root: Path) -> None:
    """All files."""
    (root / "resident.txt").write_bytes(b"resident")
    (root / "empty").write_bytes(b"")
    (root / "nine.bin").write_bytes(bytes(range(250)) * 36)
    (root / "streams.txt").write_bytes(b"main")
    (root / "streams.txt:one").write_bytes(b"first alternate")
    (root / "streams.txt:two").write_bytes(b"second " * 300)
    (root / "packed").mkdir()
    os.setxattr(root / "packed", "system.ntfs_attrib_be", (0x800).to_bytes(4, "big"))
    (root / "packed/text.txt").write_bytes(b"".join(b"line %d\n" % n for n in range(1200)))
    with (root / "sparse.bin").open("wb") as file:
        file.seek(100_000)
        file.write(b"end")
    (root / "links").mkdir()
    (root / "links/one").write_bytes(b"linked")
    for n in range(16):
        os.link(root / "links/one", root / f"links/the same file under name {n}")
    (root / "crowd").mkdir()
    for n in range(36):
        (root / f"crowd/name {n:02d}.txt").write_bytes(b"%d" % n)
    (root / "gone/below").mkdir(parents=True)
    (root / "gone/below/lost.bin").write_bytes(b"lost" * 1000)


def main(out: Path) -> None:
    """Image to ``out``."""
    with tempfile.TemporaryDirectory() as work:
        image, folder = Path(work, "image"), Path(work, "mount")
        folder.mkdir()
        image.write_bytes(bytes(2 << 20))
        subprocess.run(["mkfs.ntfs", "-Q", "-F", "-q", "-c", "512", "-L", "Small", str(image)], check=True, capture_output=True)
        for step in (fill, lambda root: [shutil.rmtree(root / "gone"), *[p.unlink() for p in sorted((root / "crowd").iterdir())[10:30]]]):
            subprocess.run(["ntfs-3g", "-o", "streams_interface=windows,compression", str(image), str(folder)], check=True)
            try:
                step(folder)
            finally:
                subprocess.run(["umount", str(folder)], check=True)
        out.write_bytes(lzma.compress(image.read_bytes(), filters=FILTERS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
