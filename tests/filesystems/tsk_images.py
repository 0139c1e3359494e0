"""Images made on the spot by mkfs and real drivers, with what was put in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


def need(*tools: str) -> None:
    """Skip with the tool's name when it is not there."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def blob(name: str, size: int) -> bytes:
    """Content that is different in every block of every file."""
    out = bytearray()
    while len(out) < size:
        out += hashlib.sha256(f"{name}{len(out)}".encode()).digest()
    return bytes(out[:size])


LIVE = {"a.txt": blob("a", 100), "dir/long file name.bin": blob("b", 70_000), "dir/sub/中国.dat": blob("c", 5_000), "empty": b""}
DELETED = {"dir/gone one.bin": blob("d", 120_000), "dir/GONE.TXT": blob("e", 4_321)}


def run(*words: str | Path, stdin: bytes | None = None) -> None:
    subprocess.run([str(w) for w in words], check=True, capture_output=True, input=stdin)


@contextmanager
def mounted(image: Path, where: Path, options: str = "") -> Iterator[Path]:
    """The image under a loop mount, by the kernel or (exFAT) a FUSE driver; skips where neither can."""
    where.mkdir(exist_ok=True)
    device = ""
    try:
        if "exfat" in image.name and shutil.which("mount.exfat-fuse"):
            made = subprocess.run(["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True)
            device = made.stdout.strip()
            run("mount.exfat-fuse", device, where)
        else:
            run("mount", "-o", ",".join(filter(None, ["loop", options])), image, where)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        if device:
            run("losetup", "-d", device)
        pytest.skip(f"no loop mount here: {error}")
    try:
        yield where
    finally:
        run("umount", where)
        if device:
            run("losetup", "-d", device)


def fill(root: Path) -> None:
    for path, content in (LIVE | DELETED).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        os.sync()
    for path in DELETED:
        (root / path).unlink()


def fat_image(folder: Path, bits: int) -> Path:
    """FAT by mkfs.vfat, filled by mtools: no privileges needed."""
    need("mkfs.vfat", "mcopy", "mmd", "mdel")
    image = folder / f"fat{bits}.img"
    with open(image, "wb") as file:
        file.truncate({12: 4, 16: 16, 32: 40}[bits] * MIB)
    run("mkfs.vfat", "-F", str(bits), "-n", "LABEL", *(["-s", "1"] if bits == 32 else []), image)
    for path, content in (LIVE | DELETED).items():
        for depth in range(1, path.count("/") + 1):
            subprocess.run(["mmd", "-i", str(image), "::" + "/".join(path.split("/")[:depth])], capture_output=True, input=b"s\n")
        source = folder / "content"
        source.write_bytes(content)
        run("mcopy", "-i", image, source, "::" + path)
    for path in DELETED:
        run("mdel", "-i", image, "::" + path)
    return image


def driver_image(folder: Path, kind: str) -> Path:
    """exFAT or ext by mkfs and the driver of the running kernel."""
    command = {
        "exfat": ["mkfs.exfat", "-L", "LABEL"],
        "ext2": ["mke2fs", "-q", "-t", "ext2", "-L", "LABEL"],
        "ext3": ["mke2fs", "-q", "-t", "ext3", "-L", "LABEL"],
        "ext4": ["mke2fs", "-q", "-t", "ext4", "-L", "LABEL"],
    }[kind]
    need(command[0])
    image = folder / f"{kind}.img"
    with open(image, "wb") as file:
        file.truncate(32 * MIB)
    run(*command, image)
    with mounted(image, folder / "mnt") as root:
        fill(root)
    return image
