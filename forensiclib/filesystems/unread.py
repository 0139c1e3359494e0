"""File systems that are told by name and not read: the finding says which one, and the volume is carved whole."""

from __future__ import annotations

from collections.abc import Callable

from forensiclib.core.declare import FileSystemFormat, Signature
from forensiclib.core.entry import FileSystem
from forensiclib.core.errors import NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["FORMATS"]

GAPS = ("recognised by its signature only; no name, no time and no content is read from it",)


def _has(source: ByteSource, signature: Signature) -> bool:
    return source.read_at(signature.offset, len(signature.pattern)) == signature.pattern


def _refuse(title: str, signature: Signature) -> Callable[[ByteSource, Budget], FileSystem]:
    def opener(source: ByteSource, budget: Budget) -> FileSystem:
        if not _has(source, signature):
            raise NotThisFormat(title, None, "no signature")
        raise Unsupported("no reader", None, f"{title} is recognised, and nothing of it is read")

    return opener


def _probe(signature: Signature) -> Callable[[ByteSource], bool]:
    return lambda source: _has(source, signature)


def _format(name: str, title: str, signature: Signature, reference: str) -> FileSystemFormat:
    return FileSystemFormat(
        name=name, title=title, refs=(reference,), gaps=GAPS, order=90, probe=_probe(signature), open=_refuse(title, signature)
    )


FORMATS = (
    _format("apfs", "APFS volume", Signature(b"APSB", 32), "Apple File System Reference: apfs_superblock_t"),
    _format("btrfs", "Btrfs", Signature(b"_BHRfS_M", 0x10040), "Btrfs on-disk format: superblock at 64 KiB"),
    _format("xfs", "XFS", Signature(b"XFSB"), "XFS Algorithms & Data Structures: superblock"),
    _format("f2fs", "F2FS", Signature(b"\x10\x20\xf5\xf2", 1024), "Linux: include/linux/f2fs_fs.h, struct f2fs_super_block"),
    _format("refs", "ReFS", Signature(b"ReFS\0\0\0\0", 3), "libfsrefs: Resilient File System (ReFS), volume header"),
    _format("reiserfs", "ReiserFS", Signature(b"ReIsEr", 0x10034), "Linux: fs/reiserfs, reiserfs_super_block"),
    _format("squashfs", "SquashFS", Signature(b"hsqs"), "Linux: Documentation/filesystems/squashfs.rst"),
)
