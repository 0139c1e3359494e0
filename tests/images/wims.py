"""WIM files by wimlib-imagex, from folders and from NTFS volumes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.images.sets import noise

FILES = {
    "a.txt": b"hello\n",
    "dir/big.bin": b"".join(b"line %d of a text\n" % i for i in range(9000)),
    "dir/sub/noise.bin": noise(100_000, 5),
    "dir/sub/calls.bin": b"".join(b"\xe8" + (1000 + 37 * i).to_bytes(4, "little") + b"\x55\x8b\xec" for i in range(9000)),
    "empty": b"",
}


def wimlib(*arguments: str | Path, cwd: Path | None = None) -> str:
    """wimlib-imagex's output. Skips without it."""
    if shutil.which("wimlib-imagex") is None:
        pytest.skip("wimlib-imagex (Debian: wimtools) is not installed")
    done = subprocess.run(["wimlib-imagex", *map(str, arguments)], cwd=cwd, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace")


def tree(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """The files in a folder, a hard link and a symbolic link to a.txt beside them."""
    root = folder / "tree"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    os.link(root / "a.txt", root / "hard.txt")
    (root / "dir" / "link").symlink_to("../a.txt")
    return root


def captured(folder: Path, *options: str, files: dict[str, bytes] = FILES) -> Path:
    """A WIM of the tree."""
    out = folder / "made.wim"
    wimlib("capture", tree(folder, files), out, "The image", "What it is", *options)
    return out


def ntfs(folder: Path) -> Path:
    """A WIM of an NTFS volume with a file that has an alternate stream, and a security descriptor."""
    for name in ("mkntfs", "ntfscp"):
        if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None:
            pytest.skip(f"{name} (Debian: ntfs-3g) is not installed")
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    disk = folder / "ntfs.img"
    disk.write_bytes(bytes(8 << 20))
    (folder / "main").write_bytes(b"the content\n")
    (folder / "ads").write_bytes(b"what nobody looks for\n" * 100)
    subprocess.run(["mkntfs", "-q", "-F", disk], check=True, env=env, capture_output=True, timeout=60)
    subprocess.run(["ntfscp", "-q", disk, folder / "main", "file.txt"], check=True, env=env, capture_output=True, timeout=60)
    subprocess.run(["ntfscp", "-q", "-N", "hidden", disk, folder / "ads", "file.txt"], check=True, env=env, capture_output=True, timeout=60)
    wimlib("capture", disk, folder / "ntfs.wim", "--compress=xpress")
    return folder / "ntfs.wim"


def detailed(path: Path, image: int = 1) -> dict[str, dict[str, str]]:
    """What wimlib-imagex dir --detailed says of each path."""
    out: dict[str, dict[str, str]] = {}
    for block in re.split(r"^-{20,}$", wimlib("dir", path, str(image), "--detailed"), flags=re.M):
        lines = [line.strip().partition(" = ") for line in block.splitlines() if " = " in line]
        said: dict[str, str] = {}
        for key, _, value in lines:
            said.setdefault(key.strip(), value.strip())
        if "Full Path" in said:
            out[said["Full Path"].strip('"').strip("/")] = said
    return out
