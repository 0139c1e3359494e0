"""Every image of the corpus, opened, beside an independent reader: the rows of docs/containers.md.

    FORENSICLIB_CORPUS=../shared/corpus python -m tests.images.containers > docs/containers.md

Segments and parents stand in the row of the file that is opened. What an independent reader gives is computed, not stated, unless the
row says "stated": then it is the sum that the image or its publisher states. Rows of encrypted volumes are of the plain volume.
"""

from __future__ import annotations

import configparser
import hashlib
import itertools
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import forensiclib as fl
from forensiclib.api.opening import OpenImage
from forensiclib.core.errors import EvidenceError
from forensiclib.core.keys import Keys
from forensiclib.core.source import ByteSource

Reader = Callable[[tuple[Path, ...], OpenImage], str]


@dataclass(frozen=True)
class Row:
    """One image. ``opened``: its format, or the error that refuses it; ``same``: whether ``reader`` gave the same bytes."""

    path: str
    opened: str
    size: int
    sha256: str
    reader: str
    same: bool

    def line(self) -> str:
        """Of the table."""
        verdict = "**differs**" if not self.same else "the same" if self.sha256 else "refused, rightly"
        size = f"{self.size:,}" if self.size else ""
        return f"| `{self.path}` | {self.opened} | {size} | {self.sha256[:16]} | {self.reader} | {verdict} |"


def sha256_of(source: ByteSource) -> str:
    sums, at = hashlib.sha256(), 0
    while piece := source.read_at(at, 8 << 20):
        sums.update(piece)
        at += len(piece)
    return sums.hexdigest()


def run(*words: str | Path) -> None:
    subprocess.run([str(w) for w in words], check=True, capture_output=True, timeout=300)


def file_sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def by_tool(*words: str) -> Reader:
    """A program that writes raw bytes: "{in}" and "{out}" stand for the paths."""

    def read(paths: tuple[Path, ...], image: OpenImage) -> str:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out")
            run(*(str(paths[0]) if w == "{in}" else str(out) if w == "{out}" else w for w in words))
            made = out if out.exists() else Path(folder, "out.raw")
            return file_sum(made)

    return read


def by_pyewf(paths: tuple[Path, ...], image: OpenImage) -> str:
    import pyewf

    handle, sums = pyewf.handle(), hashlib.sha256()
    handle.open(pyewf.glob(str(paths[0])))
    while piece := handle.read(8 << 20):
        sums.update(piece)
    handle.close()
    return sums.hexdigest()


def by_pyvhdi(paths: tuple[Path, ...], image: OpenImage) -> str:
    """A VHD with the parents that stand beside it."""
    import pyvhdi

    files = []
    names = [paths[0].name, *str(image.facts.get("chain", "")).split(" <- ")[1:]]
    for name in names:
        files.append(pyvhdi.file())
        files[-1].open(str(paths[0].parent / name))
    for child, parent in itertools.pairwise(files):
        child.set_parent(parent)
    return hashlib.sha256(files[0].read_buffer(files[0].get_media_size())).hexdigest()


def by_itself(paths: tuple[Path, ...], image: OpenImage) -> str:
    """Raw: the files one behind the other."""
    sums = hashlib.sha256()
    for path in paths:
        sums.update(path.read_bytes())
    return sums.hexdigest()


STATED_SHA1 = {
    "Base-Linear.aff4": "7d3d27f667f95f7ec5b9d32121622c0f4b60b48d",
    "Base-Linear-AllHashes.aff4": "7d3d27f667f95f7ec5b9d32121622c0f4b60b48d",
    "Base-Allocated.aff4": "e8650e89b262cf0b4b73c025312488d5a6317a26",
    "Base-Linear_1.aff4": "7d3d27f667f95f7ec5b9d32121622c0f4b60b48d",
    "zeros_128s.Ex01": hashlib.sha1(bytes(65536)).hexdigest(),
    "zeros_128s_compressed.Ex01": hashlib.sha1(bytes(65536)).hexdigest(),
}
"""Of the media: as the tests of pyaff4 state them, and of what the names of the others say."""


def by_statement(paths: tuple[Path, ...], image: OpenImage) -> str:
    """Its SHA-256 when the SHA-1 is the stated one and all that the image itself states of its parts holds."""
    data = image.data.read_at(0, image.data.size)
    good = hashlib.sha1(data).hexdigest() == STATED_SHA1[paths[0].name] and image.verify().ok
    return hashlib.sha256(data).hexdigest() if good else ""


QEMU = ("qemu-img convert", by_tool("qemu-img", "convert", "-O", "raw", "{in}", "{out}"))
EWF = ("libewf", by_pyewf)
VHDI = ("libvhdi", by_pyvhdi)
RAW = ("the file", by_itself)
STATED = ("stated SHA-1, and the image's own digests", by_statement)
DMG = ("qemu-img convert -f dmg", by_tool("qemu-img", "convert", "-f", "dmg", "-O", "raw", "{in}", "{out}"))

REFUSED = {
    "dfvfs/hfsplus.hdd": ("Truncated", "its one disk file is not in the corpus"),
    "dfvfs/fat-differential.vhd": ("Truncated", "its parent is not in the corpus"),
}
"""What cannot be opened truthfully: with which error, and why that is right."""
CASES: tuple[tuple[tuple[str, ...], tuple[str, Reader]], ...] = (
    *(((f"dfvfs/{n}",), EWF) for n in ("ext2.E01", "ext2.split.E01")),
    (("dfvfs/ext2.splitraw.000", "dfvfs/ext2.splitraw.001"), RAW),
    *(((f"dfvfs/{n}",), QEMU) for n in ("ext2.qcow2", "windows_volume.qcow2", "ext2.vhd", "ext2.vmdk")),
    *(((f"dfvfs/{n}",), VHDI) for n in ("image.vhd", "image-differential.vhd", "fat-differential.vhd")),
    *(((f"dfvfs/{n}",), RAW) for n in ("apfs.raw", "hfsplus.raw", "bogus.001", "ímynd.dd")),
    (("dfvfs/hfsplus.hdd",), QEMU),
    (("dfvfs/hfsplus_zlib.dmg",), DMG),
    (("ewf/multiseg_v1.E01",), EWF),
    *(((f"ewf/{n}",), STATED) for n in ("zeros_128s.Ex01", "zeros_128s_compressed.Ex01")),
    *(((f"plaso/{n}",), EWF) for n in ("image.E01", "image-split.E01")),
    *(((f"plaso/{n}",), QEMU) for n in ("image.qcow2", "image.vmdk", "vsstest.qcow2")),
    *(((f"plaso/{n}",), DMG) for n in ("hfsplus_zlib.dmg", "spotlight.10.13.dmg", "spotlight.12.dmg")),
    *(((f"plaso/{n}",), RAW) for n in ("iso9660.raw", "syslog_image.dd", "ímynd.dd")),
    *(((f"referenceimages/AFF4Std/{n}",), STATED) for n in ("Base-Allocated.aff4", "Base-Linear.aff4", "Base-Linear-AllHashes.aff4")),
    (("referenceimages/AFF4Std/Striped/Base-Linear_1.aff4", "referenceimages/AFF4Std/Striped/Base-Linear_2.aff4"), STATED),
    (("sleuthkit/image.E01",), EWF),
    *(((f"sleuthkit/{n}",), RAW) for n in ("image.dd", "image.iso")),
    (("sleuthkit/image.qcow",), QEMU),
)


def one(corpus: Path, names: tuple[str, ...], reader: tuple[str, Reader]) -> Row:
    paths = tuple(corpus / name for name in names)
    try:
        with fl.open_image(paths if len(paths) > 1 else paths[0]) as image:
            got = sha256_of(image.data)
            return Row(names[0], image.format, image.data.size, got, reader[0], reader[1](paths, image) == got)
    except EvidenceError as error:
        expected, why = REFUSED.get(names[0], ("", reader[0]))
        return Row(names[0], type(error).__name__, 0, "", why, type(error).__name__ == expected)


def unlocked(path: Path, keys: Keys) -> tuple[int, str]:
    """Bytes and SHA-256 of the volume that the keys open; 0 and "" when it is refused."""
    job = fl.Run(keys=keys)
    with fl.open_image(path, run=job) as image:
        (volume,) = image.volumes()
        refused = volume.locked or any(f.kind == "Unsupported" for f in job.findings)
        return (0, "") if refused else (volume.size, sha256_of(volume))


def bitlocker(corpus: Path, folder: Path) -> Iterator[Row]:
    """The volumes that Windows made for cryptsetup's tests, whose plain sums their list states."""
    with tarfile.open(corpus / "cryptsetup/bitlk-images.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    config = configparser.RawConfigParser()
    (listing,) = folder.rglob("images.conf")
    config.read(listing, encoding="utf-8")
    for path in sorted(listing.parent.glob("*.img")):
        if path.stem not in config:
            continue
        facts = config[path.stem]
        files = [p.read_bytes() for p in listing.parent.glob("*.BEK")] if "startup" in path.stem and not facts["PW"] else []
        keys = Keys(facts["PW"] or (), keyfile=files) if files or facts["PW"] else Keys(recovery=facts["RP"] or ())
        size, got = unlocked(path, keys)
        kind, stated = "bitlocker" if got else "Unsupported", facts["SHA256SUM"]
        reader = "stated by cryptsetup" if stated else "cryptsetup does not open it either"
        yield Row(f"cryptsetup/bitlk-images/{path.name}", kind, size, got, reader, got == stated)


def rows(corpus: Path) -> Iterator[Row]:
    """All of them."""
    for names, reader in CASES:
        yield one(corpus, names, reader)
    with tempfile.TemporaryDirectory() as folder:
        yield from bitlocker(corpus, Path(folder))


def page(made: Iterable[Row]) -> str:
    """docs/containers.md."""
    lines = [
        "# Containers of the corpus, beside independent readers",
        "",
        "Made by `python -m tests.images.containers`; `tests/images/test_containers.py` makes it again and compares. The first 16 digits of the SHA-256"
        " are of the media, or of the plain volume of an encrypted one.",
        "",
        "| file | opened as | bytes | SHA-256 | compared with | |",
        "|---|---|---:|---|---|---|",
        *(row.line() for row in made),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(rows(Path(os.environ["FORENSICLIB_CORPUS"]))))
