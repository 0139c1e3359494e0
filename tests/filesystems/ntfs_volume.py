"""Makes an NTFS volume with mkfs.ntfs and ntfs-3g that has one of everything, and says what is in it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NEEDED = ("mkfs.ntfs", "ntfs-3g", "umount")


def need_drivers() -> None:
    """Skip, with the reason, where the drivers cannot run."""
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("mounting needs root and /dev/fuse")


def mount(image: Path, folder: str) -> None:
    """Mount with streams as name:stream, compression allowed."""
    options = "streams_interface=windows,compression,windows_names,big_writes"
    subprocess.run(["ntfs-3g", "-o", options, str(image), folder], check=True)


def unmount(folder: str) -> None:
    """Unmount, everything written."""
    subprocess.run(["umount", folder], check=True)


def attribute_types(image: Path, at: int) -> list[int]:
    """Types of the attributes of the file record at a volume offset, off the image itself."""
    with image.open("rb") as file:
        file.seek(at)
        raw = file.read(1024)
    assert raw[:4] == b"FILE"
    out, pos = [], int.from_bytes(raw[20:22], "little")
    while (kind := int.from_bytes(raw[pos : pos + 4], "little")) != 0xFFFFFFFF:
        out.append(kind)
        pos += int.from_bytes(raw[pos + 4 : pos + 8], "little")
    return out


def format_volume(image: Path, size: int, *options: str) -> None:
    """mkfs.ntfs on a file."""
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ntfs", "-Q", "-F", "-q", *options, str(image)], check=True, capture_output=True)


def rich(image: Path, size: int = 48 << 20, cluster: int = 4096) -> dict[str, str]:
    """Fill a volume; {path or path:stream: MD5} of what is allocated at the end, deleted files as "-path"."""
    rng = random.Random(3)
    format_volume(image, size, "-L", "Rich", "-c", str(cluster))
    truth: dict[str, str] = {}

    def put(folder: str, path: str, data: bytes) -> None:
        place = Path(folder, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        truth[path] = hashlib.md5(data).hexdigest()

    with tempfile.TemporaryDirectory() as folder:
        mount(image, folder)
        try:
            put(folder, "plain/small.txt", b"resident")
            put(folder, "plain/empty", b"")
            put(folder, "plain/700 bytes", rng.randbytes(700))
            put(folder, "plain/large.bin", rng.randbytes(300_001))
            put(folder, "unicode/Ελληνικά — 中文 \U0001d4b3.txt", b"names")
            put(folder, "unicode/" + "long " * 40 + ".txt", b"long name")
            for n in range(40):
                put(folder, f"streams/many.txt:stream {n}", rng.randbytes(50 + 40 * n))
            put(folder, "streams/many.txt", b"main")
            put(folder, "links/one", rng.randbytes(5000))
            for n in range(60):
                os.link(Path(folder, "links/one"), Path(folder, f"links/a hard link with a rather long name {n}"))
                truth[f"links/a hard link with a rather long name {n}"] = truth["links/one"]
            sparse = Path(folder, "sparse.bin")
            with sparse.open("wb") as file:
                file.seek(1 << 20)
                file.write(b"end")
            truth["sparse.bin"] = hashlib.md5(bytes(1 << 20) + b"end").hexdigest()
            packed = Path(folder, "packed")
            packed.mkdir()
            os.setxattr(packed, "system.ntfs_attrib_be", (0x800).to_bytes(4, "big"))
            put(folder, "packed/text.txt", b"".join(b"line %d of a text that packs\n" % n for n in range(9000)))
            put(folder, "packed/noise.bin", rng.randbytes(150_000))
            put(folder, "packed/mixed.bin", rng.randbytes(70_000) + bytes(200_000) + b"tail" * 9000)
            put(folder, "packed/last unit.bin", b"0123456789" * 7001)
            # a hole before every cluster: so many runs that the run list leaves the base record
            for name in ("fragments-a", "fragments-b"):
                pieces = [bytes(cluster) + rng.randbytes(cluster) for _ in range(400)]
                with Path(folder, name).open("wb", buffering=0) as file:
                    for number, piece in enumerate(pieces):
                        file.seek((2 * number + 1) * cluster)
                        file.write(piece[cluster:])
                truth[name] = hashlib.md5(b"".join(pieces)).hexdigest()
            for n in range(300):
                put(folder, f"crowd/file {n:04d} in a crowded directory.txt", b"%d" % n)
            put(folder, "gone/deep/er/lost.bin", rng.randbytes(40_000))
            put(folder, "gone/deep/note.txt", b"resident and gone")
            put(folder, "gone/big.bin", rng.randbytes(900_000))
        finally:
            unmount(folder)
        mount(image, folder)
        try:
            for n in range(0, 300, 3):
                path = f"crowd/file {n:04d} in a crowded directory.txt"
                Path(folder, path).unlink()
                truth["-" + path] = truth.pop(path)
            shutil.rmtree(Path(folder, "gone"))
            for path in ("gone/deep/er/lost.bin", "gone/deep/note.txt", "gone/big.bin"):
                truth["-" + path] = truth.pop(path)
        finally:
            unmount(folder)
    return truth


def fragmented(image: Path, size: int = 24 << 20) -> dict[str, bytes]:
    """A full volume, every other file deleted, then small files until it is full again: the $MFT grows into the holes,
    and its run list leaves record 0. {path: content}."""
    format_volume(image, size)
    truth: dict[str, bytes] = {}

    def fill(folder: str, name: str, tail: bytes) -> None:
        for n in range(100_000):
            path = Path(folder, f"{name} {n:05d}")
            try:
                path.write_bytes(b"%d" % n + tail)
            except OSError:
                path.unlink(missing_ok=True)
                return
            truth[path.name] = b"%d" % n + tail

    with tempfile.TemporaryDirectory() as folder:
        mount(image, folder)
        try:
            fill(folder, "cluster", b"z" * 4000)
            for name in list(truth)[::2]:
                Path(folder, name).unlink()
                del truth[name]
            fill(folder, "small", b"")
        finally:
            unmount(folder)
    return truth
