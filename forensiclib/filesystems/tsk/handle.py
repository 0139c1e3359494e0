"""pytsk3 in this process: one handle, one lock, plain values out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytsk3

from forensiclib.core.entry import Kind
from forensiclib.core.errors import Corrupt, EvidenceError, ForensicError, LimitExceeded, NotThisFormat
from forensiclib.core.source import ByteSource
from forensiclib.filesystems.tsk.named import Attr, Info, Meta, Named

__all__ = ["TYPES", "Handle"]

T = TypeVar("T")

TYPES: dict[str, int] = {
    "fat": pytsk3.TSK_FS_TYPE_FAT_DETECT,
    "exfat": pytsk3.TSK_FS_TYPE_EXFAT,
    "ext": pytsk3.TSK_FS_TYPE_EXT_DETECT,
    "ntfs": pytsk3.TSK_FS_TYPE_NTFS,
    "hfs": pytsk3.TSK_FS_TYPE_HFS,
    "iso9660": pytsk3.TSK_FS_TYPE_ISO9660,
    "ufs": pytsk3.TSK_FS_TYPE_FFS_DETECT,
    "yaffs2": pytsk3.TSK_FS_TYPE_YAFFS2,
}
"""Room kinds to the type that The Sleuth Kit is told: it never guesses."""

META_KINDS: tuple[Kind, ...] = (
    "unknown", "file", "directory", "fifo", "device", "device", "link", "special", "socket", "special", "special", "special",
)  # fmt: skip
NAME_KINDS: tuple[Kind, ...] = (
    "unknown", "fifo", "device", "directory", "device", "file", "link", "socket", "special", "special", "special", "special",
)  # fmt: skip
NAME_ALLOCATED, META_ALLOCATED = 1, 1
NAME_VIRTUAL = (10, 11)
ATTR_RESIDENT, ATTR_ENCRYPTED, ATTR_COMPRESSED = 0x04, 0x10, 0x20
RUN_FILLER, RUN_SPARSE, RUN_ENCRYPTED = 1, 2, 4
SMALLEST_INODE, SPARE_INODES = 32, 65_536
"""A FAT slot has 32 bytes, and numbers a few virtual files behind the last sector."""
GRAIN = 512
RUNS_LIMIT = 16_000_000
"""Runs of one attribute. A 2 TB file in 128 KiB pieces has as many."""


class _Media(pytsk3.Img_Info):  # type: ignore[misc]  # pytsk3 has no types
    """A ByteSource as The Sleuth Kit reads it. An error cannot cross its C code: it is kept here and
    the read ends before the bad bytes, so that no others stand in for them. The Sleuth Kit reads
    64 KiB ahead; what lies before the damage is still good."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.problem: ForensicError | None = None
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, size: int) -> bytes:
        try:
            return self._source.read_at(offset, size)
        except ForensicError as error:
            self.problem = error
            return self._before(offset, size) if isinstance(error, EvidenceError) else b""

    def _before(self, offset: int, size: int) -> bytes:
        good = bytearray()
        while len(good) < size:
            try:
                piece = self._source.read_at(offset + len(good), min(GRAIN, size - len(good)))
            except EvidenceError:
                break
            if not piece:
                break
            good += piece
        return bytes(good)

    def get_size(self) -> int:
        return self._source.size

    def close(self) -> None:
        pass


class Handle:
    """Reader over pytsk3. Its objects are not thread-safe: every call takes the lock and hands out
    plain values."""

    def __init__(self, source: ByteSource, kind: str) -> None:
        """NotThisFormat when The Sleuth Kit does not open it."""
        self._lock = threading.RLock()
        self._media = _Media(source)
        self._kind = kind
        self._fs: Any = self._open(kind)
        info = self._fs.info
        serial = bytes(int(b) for b in info.fs_id)[: info.fs_id_used]
        self._block = int(info.block_size)
        self.info = Info(
            self._block, int(info.block_count), int(info.root_inum), int(info.first_inum), int(info.last_inum), serial[::-1].hex()
        )

    def _open(self, kind: str) -> Any:
        types = (TYPES[kind], pytsk3.TSK_FS_TYPE_FAT32) if kind == "fat" else (TYPES[kind],)
        for position, number in enumerate(types, 1):
            try:
                return self._call("open", partial(pytsk3.FS_Info, self._media, 0, number))
            except Corrupt as error:  # FAT32 with too few clusters is opened only when it is named
                if position == len(types):
                    raise NotThisFormat(f"{kind} for The Sleuth Kit", None, error.found) from error
        raise NotThisFormat(kind)

    def _call(self, what: str, function: Callable[[], T]) -> T:
        with self._lock:
            self._media.problem = None
            try:
                result = function()
            except (OSError, ValueError, KeyError, AttributeError, OverflowError) as error:
                if self._media.problem is not None:
                    raise self._media.problem from error
                raise Corrupt(f"The Sleuth Kit, {what}", None, _said(error)) from error
            if isinstance(self._media.problem, ForensicError) and not isinstance(self._media.problem, EvidenceError):
                raise self._media.problem
            return result

    def names(self, inode: int) -> list[Named]:
        """See Reader."""
        return self._call(f"directory {inode}", lambda: self._list(inode))

    def _list(self, inode: int) -> list[Named]:
        self._bound(inode)
        directory = self._fs.open_dir(inode=inode)
        out: list[Named] = []
        position = 0
        while position < directory.size:
            position += 1
            try:
                file = next(directory)
            except StopIteration:
                break
            except OSError as error:
                if self._media.problem is not None:
                    raise
                out.append(Named(b"", b"", 0, 0, "unknown", False, False, broken=_said(error)))
                break
            name = file.info.name
            if name is None or name.name in (b".", b".."):
                continue
            out.append(self._named(file, name))
        if self._media.problem is not None:
            out.append(Named(b"", b"", 0, 0, "unknown", False, False, broken=f"read with damage: {self._media.problem}"))
        return out

    def _bound(self, inode: int) -> None:
        """Refuse what would keep The Sleuth Kit busy for ever: a directory larger than the volume, an
        orphan hunt through more inodes than the volume has room for."""
        size = self._media.get_size()
        meta = self._fs.open_meta(inode=inode).info.meta
        if meta is not None and int(meta.size) > size:
            raise Corrupt("directory", None, f"inode {inode}: {int(meta.size)} bytes on a volume of {size}")
        if inode == self.info.last_inode and inode != self.info.root and inode > size // SMALLEST_INODE + SPARE_INODES:
            raise Corrupt("orphans", None, f"{inode} inodes on a volume of {size} bytes")

    def meta(self, inode: int) -> Named:
        """See Reader."""
        return self._call(f"inode {inode}", lambda: self._named(self._fs.open_meta(inode=inode), None))

    def _named(self, file: Any, name: Any) -> Named:
        meta = file.info.meta
        if meta is None and name is not None and int(name.meta_addr):
            file = self._deleted_meta(name) or file
            meta = file.info.meta
        kind: Kind = "unknown"
        if meta is not None and int(meta.type):
            kind = _kind(META_KINDS, int(meta.type))
        elif name is not None:
            kind = _kind(NAME_KINDS, int(name.type))
        attrs: tuple[Attr, ...] = ()
        broken = ""
        if meta is not None:
            try:
                attrs = tuple(self._attr(a) for a in file)
            except (OSError, ValueError) as error:
                broken = _said(error)
                if self._media.problem is not None:
                    broken = str(self._media.problem)
        return Named(
            raw=bytes(name.name or b"") if name is not None else b"",
            short=bytes(name.shrt_name or b"") if name is not None else b"",
            addr=int(name.meta_addr) if name is not None else int(meta.addr) if meta is not None else 0,
            seq=int(name.meta_seq) if name is not None else int(meta.seq) if meta is not None else 0,
            kind=kind,
            live=bool(int(name.flags) & NAME_ALLOCATED) if name is not None else bool(meta and int(meta.flags) & META_ALLOCATED),
            virtual=name is not None and int(name.type) in NAME_VIRTUAL,
            meta=None if meta is None else _meta(meta),
            attrs=attrs,
            broken=broken,
        )

    def _deleted_meta(self, name: Any) -> Any:
        """The record of a deleted NTFS name. Its sequence number went up by one at the deletion, and The
        Sleuth Kit withholds a record whose number is not the name's; None when it serves another file."""
        if int(name.flags) & NAME_ALLOCATED or not int(name.meta_seq):
            return None
        try:
            file = self._fs.open_meta(inode=int(name.meta_addr))
        except OSError:
            return None
        meta = file.info.meta
        if meta is None or int(meta.flags) & META_ALLOCATED:
            return None
        return file if (int(meta.seq) - int(name.meta_seq)) & 0xFFFF <= 1 else None

    def _attr(self, attribute: Any) -> Attr:
        info = attribute.info
        flags = int(info.flags)
        runs: list[tuple[int | None, int]] = []
        plain = not flags & (ATTR_RESIDENT | ATTR_ENCRYPTED | ATTR_COMPRESSED)
        at = 0
        if not flags & ATTR_RESIDENT:
            for run in attribute:
                if len(runs) >= RUNS_LIMIT:
                    raise LimitExceeded("runs of an attribute", None, f"more than {RUNS_LIMIT}")
                kind, length = int(run.flags), int(run.len)
                if kind & (RUN_FILLER | RUN_ENCRYPTED) or int(run.offset) != at:
                    plain = False
                runs.append((None if kind & (RUN_SPARSE | RUN_FILLER) else int(run.addr) * self._block, length * self._block))
                at += length
        name = info.name
        text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name or "")
        return Attr(int(info.type), int(info.id), text, int(info.size), flags, tuple(runs), plain)

    def read(self, inode: int, type: int, id: int, offset: int, n: int) -> bytes:
        """See Reader."""

        def work() -> bytes:
            return bytes(self._fs.open_meta(inode=inode).read_random(offset, n, type, id))

        return self._call(f"content of inode {inode}", work)

    def close(self) -> None:
        """Nothing to give back: the source belongs to the caller."""


def _kind(table: tuple[Kind, ...], number: int) -> Kind:
    return table[number] if number < len(table) else "unknown"


def _meta(meta: Any) -> Meta:
    link = meta.link
    text = link.decode("utf-8", "backslashreplace") if isinstance(link, bytes) else str(link or "")
    return Meta(
        int(meta.size), int(meta.flags), int(meta.mode), int(meta.uid), int(meta.gid), int(meta.nlink), text,
        (int(meta.mtime), int(meta.mtime_nano)), (int(meta.atime), int(meta.atime_nano)),
        (int(meta.ctime), int(meta.ctime_nano)), (int(meta.crtime), int(meta.crtime_nano)),
    )  # fmt: skip


def _said(error: BaseException) -> str:
    """The Sleuth Kit's own words, without the place in its source."""
    text = str(error)
    return text.rpartition(") ")[2] if text.count("(tsk3.cpp") else text
