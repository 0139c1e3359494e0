"""File systems with known content, made by their own tools and drivers: never by code of this library."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from forensiclib.core.errors import MissingSupport, UsageError

__all__ = ["KINDS", "EPOCH", "File", "Kind", "make_volume", "tool"]

EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z: the modification time of files that do not say their own."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume.

    path      "/"-separated, without a leading "/"; content   its bytes
    streams   alternate streams by name (NTFS)
    deleted   removed again, through the driver, after everything was written
    slack     bytes written behind the content and cut off again, so that they stay behind its end (NTFS)
    modified  seconds since 1970, UTC
    """

    path: str
    content: bytes = b""
    streams: Mapping[str, bytes] = field(default_factory=dict)
    deleted: bool = False
    slack: bytes = b""
    modified: int = EPOCH


@dataclass(frozen=True, slots=True)
class Kind:
    """A file system that can be made: partition types, and the function that makes it in a file."""

    mbr_type: int
    gpt_type: str
    make: Callable[[Path, str, int, Sequence[File]], None]


def tool(name: str, package: str) -> str:
    """The program's path; MissingSupport names the Debian package that has it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        raise MissingSupport(f"{name} is not installed: apt install {package}")
    return found


def run(*command: str | os.PathLike[str], env: Mapping[str, str] | None = None, text: str = "", banner: str | None = None) -> str:
    """Run a tool to its end; RuntimeError with its own words when it fails.

    banner   for tools that say what went wrong and exit with 0: anything on stderr fails, but for lines that begin so
    """
    made = subprocess.run(
        [os.fspath(c) for c in command], input=text, capture_output=True, text=True, check=False, errors="replace",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})},
    )  # fmt: skip
    complained = banner is not None and any(not line.startswith(banner) for line in made.stderr.splitlines())
    if made.returncode != 0 or complained:
        raise RuntimeError(f"{command[0]} failed ({made.returncode}): {(made.stderr or made.stdout).strip()[-500:]}")
    return made.stdout


def _only(kind: str, files: Sequence[File], *, streams: bool = False, slack: bool = False) -> None:
    for file in files:
        if (file.streams and not streams) or (file.slack and not slack):
            raise UsageError(f"{file.path}: alternate streams and slack cannot be made on {kind}")


def _write(file: File, folder: Path) -> Path:
    """The file below ``folder``, with its directories, streams, slack and time."""
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.content + file.slack)
    if file.slack:
        os.sync()
        os.truncate(target, len(file.content))
    for name, content in file.streams.items():
        os.setxattr(target, f"user.{name}", content)
    os.utime(target, (file.modified, file.modified))
    return target


def _fat(bits: int) -> Callable[[Path, str, int, Sequence[File]], None]:
    def make(image: Path, label: str, cluster: int, files: Sequence[File]) -> None:
        _only("FAT", files)
        sectors = ["-s", str(cluster // 512)] if cluster else []
        run(tool("mkfs.vfat", "dosfstools"), "--invariant", "-F", str(bits), *sectors, "-n", label.upper()[:11] or "NO NAME", image)
        mcopy, mmd, mdel = (tool(name, "mtools") for name in ("mcopy", "mmd", "mdel"))
        env = {"MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": str(EPOCH)}
        made: set[str] = set()
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                parts = file.path.split("/")
                for depth in range(1, len(parts)):
                    directory = "::/" + "/".join(parts[:depth])
                    if directory not in made:
                        run(mmd, "-i", image, directory, env=env)
                        made.add(directory)
                source = _write(File("content", file.content, modified=file.modified), Path(folder))
                run(mcopy, "-m", "-o", "-i", image, source, "::/" + file.path, env=env)
            for file in files:
                if file.deleted:
                    run(mdel, "-i", image, "::/" + file.path, env=env)

    return make


@contextmanager
def _mounted(*command: str | os.PathLike[str]) -> Iterator[Path]:
    """The volume that ``command`` mounts on the path appended to it."""
    if os.name != "posix" or os.geteuid() != 0:
        raise MissingSupport("mounting needs root")
    with tempfile.TemporaryDirectory() as folder:
        run(*command, folder)
        try:
            yield Path(folder)
        finally:
            os.sync()
            run(tool("umount", "mount"), folder)


@contextmanager
def _loop(image: Path) -> Iterator[str]:
    """A loop device over ``image``, for drivers that take no file."""
    losetup = tool("losetup", "mount")
    if os.geteuid() != 0:
        raise MissingSupport("loop devices need root")
    device = run(losetup, "-f", "--show", image).strip()
    try:
        yield device
    finally:
        run(losetup, "-d", device)


def _fill(folder: Path, files: Sequence[File]) -> None:
    for file in files:
        _write(file, folder)
    os.sync()
    for file in files:
        if file.deleted:
            (folder / file.path).unlink()


def _ntfs(image: Path, label: str, cluster: int, files: Sequence[File]) -> None:
    size = ["-c", str(cluster)] if cluster else []
    run(tool("mkfs.ntfs", "ntfs-3g"), "-q", "-F", "-Q", *size, "-L", label, image)
    plain = all("/" not in f.path and not f.deleted and not f.slack for f in files)
    if os.geteuid() == 0 and os.path.exists("/dev/fuse"):
        with _mounted(tool("ntfs-3g", "ntfs-3g"), "-o", "streams_interface=xattr,norecover", image) as folder:
            _fill(folder, files)
    elif plain:
        _ntfscp(image, files)
    else:
        raise MissingSupport("directories, deletions and slack on NTFS need root and /dev/fuse for ntfs-3g")


def _ntfscp(image: Path, files: Sequence[File]) -> None:
    """Files of the root directory, without mounting; their times are those of the copy."""
    ntfscp = tool("ntfscp", "ntfs-3g")
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            for name, content in {"": file.content, **file.streams}.items():
                source = _write(File("content", content), Path(folder))
                run(ntfscp, "-q", "-f", *(["-N", name] if name else []), image, source, file.path)


def _exfat(image: Path, label: str, cluster: int, files: Sequence[File]) -> None:
    _only("exFAT", files)
    size = ["-c", str(cluster)] if cluster else []
    run(tool("mkfs.exfat", "exfatprogs"), *size, "-L", label, image)
    if not files:
        return
    if "exfat" in Path("/proc/filesystems").read_text():
        with _mounted(tool("mount", "mount"), "-o", "loop", "-t", "exfat", image) as folder:
            _fill(folder, files)
        return
    mount = tool("mount.exfat-fuse", "exfat-fuse")
    with _loop(image) as device, _mounted(mount, device) as folder:
        _fill(folder, files)


def _ext(version: int) -> Callable[[Path, str, int, Sequence[File]], None]:
    def make(image: Path, label: str, cluster: int, files: Sequence[File]) -> None:
        _only(f"ext{version}", files)
        if any(c in file.path for file in files for c in '"\n'):
            raise UsageError("names with quotes or line breaks cannot be given to debugfs")
        mkfs, debugfs = tool(f"mkfs.ext{version}", "e2fsprogs"), tool("debugfs", "e2fsprogs")
        env = {"E2FSPROGS_FAKE_TIME": str(EPOCH)}
        serial = str(uuid.uuid5(uuid.NAMESPACE_URL, label))
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                _write(file, Path(folder))
            size = ["-b", str(cluster)] if cluster else []
            run(
                mkfs, "-q", "-F", *size, "-L", label, "-U", serial, "-E", f"hash_seed={serial},root_owner=0:0",
                "-d", folder, image, env=env,
            )  # fmt: skip
        # mkfs takes times of the copies that it was given, and those are the time of day.
        names = {file.path for file in files}
        folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(name.count("/") + 1)}
        stamps = [(path, field) for path in sorted(names | folders) for field in ("atime", "ctime")]
        stamps += [(path, "mtime") for path in sorted(folders | {""})]
        commands = [f'sif "/{path}" {field} @{EPOCH}' for path, field in stamps]
        # debugfs marks the inode and frees its blocks as ext2 did; the kernel's ext4 also empties the extent tree.
        commands += [f'rm "/{file.path}"' for file in files if file.deleted]
        run(debugfs, "-w", "-f", "-", image, env=env, text="\n".join(commands) + "\n", banner="debugfs ")

    return make


_BASIC, _LINUX = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "0fc63daf-8483-4772-8e79-3d69d8477de4"
KINDS: Mapping[str, Kind] = {
    "fat12": Kind(0x01, _BASIC, _fat(12)),
    "fat16": Kind(0x06, _BASIC, _fat(16)),
    "fat32": Kind(0x0C, _BASIC, _fat(32)),
    "exfat": Kind(0x07, _BASIC, _exfat),
    "ntfs": Kind(0x07, _BASIC, _ntfs),
    "ext2": Kind(0x83, _LINUX, _ext(2)),
    "ext3": Kind(0x83, _LINUX, _ext(3)),
    "ext4": Kind(0x83, _LINUX, _ext(4)),
}
"""What make_volume can make. NTFS and exFAT take the time of day into the image; the others are the same each time."""


def make_volume(image: Path, kind: str, size: int, files: Sequence[File], *, label: str = "", cluster: int = 0) -> None:
    """Make ``image``, a file of ``size`` bytes with a file system and ``files`` in it.

    cluster  bytes of a cluster or block, 0 for the tool's choice

    Raises MissingSupport (a tool, root or /dev/fuse is absent), UsageError (an unknown kind, or what it cannot
    hold), RuntimeError (a tool failed, in its own words).
    """
    if kind not in KINDS:
        raise UsageError(f"no file system {kind!r}; there are {', '.join(KINDS)}")
    with open(image, "wb") as out:
        out.truncate(size)
    KINDS[kind].make(image, label, cluster, files)
