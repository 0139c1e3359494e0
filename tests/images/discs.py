"""Compact discs for tests: file systems by genisoimage, sectors by vcdimager, and by hand from ECMA-130."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib.kernels import cd_edc
from tests.images.disks import content

SYNC = b"\0" + b"\xff" * 10 + b"\0"
FILES = {"a.txt": b"the first session\n", "b.bin": content(9, 200_000)}


def tool(name: str, package: str) -> str:
    """The program. Skips without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (Debian: {package}) is not installed")
    return found


def iso(folder: Path, files: dict[str, bytes] = FILES, *options: str) -> bytes:
    """An ISO 9660 file system with Rock Ridge."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    for name, data in files.items():
        (tree / name).write_bytes(data)
    out = folder / "made.iso"
    command = [tool("genisoimage", "genisoimage"), "-quiet", "-R", "-V", "DISC", *options, "-o", str(out), str(tree)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return out.read_bytes()


def mode1(data: bytes, first: int = 150) -> bytes:
    """Raw sectors of mode 1 (ECMA-130, 14): sync, address, data, EDC, zeros, and the ECC left zero, which nobody here reads."""
    out = bytearray()
    for i in range(0, len(data), 2048):
        at = first + i // 2048
        time = (at // 4500, at // 75 % 60, at % 75)
        raw = SYNC + bytes(n // 10 << 4 | n % 10 for n in time) + b"\1" + data[i : i + 2048].ljust(2048, b"\0")
        out += raw + cd_edc(raw).to_bytes(4, "little") + bytes(284)
    return bytes(out)


def video_cd(folder: Path) -> Path:
    """The cue sheet of a Video CD by vcdimager: form 1 with the file system, form 2 with the film."""
    tool("vcdimager", "vcdimager")
    film = ["-f", "lavfi", "-i", "testsrc=d=1:s=352x288:r=25", "-f", "lavfi", "-i", "sine=d=1", "-target", "pal-vcd", "film.mpg"]
    subprocess.run([tool("ffmpeg", "ffmpeg"), "-v", "error", "-y", *film], check=True, cwd=folder, timeout=120)
    command = ["vcdimager", "-q", "-t", "vcd2", "-c", "video.cue", "-b", "video.bin", "film.mpg"]
    subprocess.run(command, check=True, cwd=folder, capture_output=True, timeout=60)
    return folder / "video.cue"
