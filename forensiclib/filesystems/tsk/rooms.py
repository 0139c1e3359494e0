"""The file systems that The Sleuth Kit reads, one declaration each."""

from __future__ import annotations

from collections.abc import Callable

from forensiclib.core.declare import FileSystemFormat
from forensiclib.core.errors import EvidenceError, NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.filesystems.tsk import exfat, ext, fat
from forensiclib.filesystems.tsk.ext_native import Ext
from forensiclib.filesystems.tsk.filesystem import TskFileSystem
from forensiclib.filesystems.tsk.handle import Handle
from forensiclib.filesystems.tsk.isolate import IsolatedReader
from forensiclib.filesystems.tsk.native import Native
from forensiclib.filesystems.tsk.others import Hfs, Iso, Ntfs

__all__ = ["FORMATS", "open_tsk"]

UFS_PLACES = (8192, 65536, 0, 262144)
UFS_MAGICS = frozenset(m.to_bytes(4, order) for m in (0x00011954, 0x19540119) for order in ("little", "big"))
UFS_MAGIC_AT = 1372
YAFFS_OBJECTS = range(1, 6)


def open_tsk(source: ByteSource, budget: Budget, kind: str, *, isolate: bool = False, seconds: float = 600.0) -> TskFileSystem:
    """A volume through The Sleuth Kit.

    kind      "fat", "exfat", "ext", "ntfs", "hfs", "iso9660", "ufs", "yaffs2"
    isolate   run it in a child process, so that its crash is a finding; ``seconds`` bounds one answer.
              The process lives until ``close()``.
    Raises NotThisFormat, or another EvidenceError when the volume is one and cannot be opened.
    """
    if not PROBES[kind](source):
        raise NotThisFormat(kind, None, "no superblock")
    native = _native(source, kind, budget)
    reader = IsolatedReader(source, kind, seconds) if isolate else Handle(source, kind)
    return TskFileSystem(source, kind, reader, native, budget)


def _native(source: ByteSource, kind: str, budget: Budget) -> Native:
    if kind == "ext":
        try:
            return Ext(source, budget)
        except Unsupported as error:
            budget.report(error, "tsk.ext")
            return Native()
    makers: dict[str, Callable[[ByteSource], Native]] = {
        "fat": fat.Fat, "exfat": exfat.Exfat, "iso9660": Iso, "hfs": Hfs, "ntfs": Ntfs,
    }  # fmt: skip
    return makers[kind](source) if kind in makers else Native()


def _fits(check: Callable[[ByteSource], object]) -> Callable[[ByteSource], bool]:
    def probe(source: ByteSource) -> bool:
        try:
            check(source)
        except EvidenceError:
            return False
        return True

    return probe


def _hfs(source: ByteSource) -> bool:
    head = source.read_at(1024, 64)
    if head[:4] in (b"H+\0\4", b"HX\0\5"):
        size = int.from_bytes(head[40:44], "big")
        return size >= 512 and not size & (size - 1)
    return head[:2] == b"BD" and source.read_at(1024 + 124, 2) == b"H+"


def _iso(source: ByteSource) -> bool:
    return source.read_at(32768, 7) == b"\1CD001\1"


def _ufs(source: ByteSource) -> bool:
    return any(source.read_at(at + UFS_MAGIC_AT, 4) in UFS_MAGICS for at in UFS_PLACES)


def _ntfs(source: ByteSource) -> bool:
    return source.read_at(3, 8) == b"NTFS    " and source.read_at(510, 2) == b"\x55\xaa"


def _yaffs(source: ByteSource) -> bool:
    """YAFFS2 has no superblock: the first page is an object header below the root."""
    head = source.read_at(0, 12)
    kinds = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    parents = {int.from_bytes(head[4:8], order) for order in ("little", "big")}
    return bool(kinds & set(YAFFS_OBJECTS)) and 1 in parents and head[8:10] == b"\xff\xff" and head[10:11] > b"\x20"


def _apfs(source: ByteSource) -> bool:
    size = int.from_bytes(source.read_at(36, 4), "little")
    return source.read_at(32, 4) == b"NXSB" and 4096 <= size <= 65536 and not size & (size - 1)


def _no_apfs(source: ByteSource, budget: Budget) -> TskFileSystem:
    if not _apfs(source):
        raise NotThisFormat("apfs", None, "no container superblock")
    raise Unsupported("APFS container", None, "pytsk3 opens no pools")


PROBES: dict[str, Callable[[ByteSource], bool]] = {
    "fat": _fits(fat.geometry), "exfat": _fits(exfat.boot_sector), "ext": _fits(ext.superblock), "ntfs": _ntfs, "hfs": _hfs,
    "iso9660": _iso, "ufs": _ufs, "yaffs2": _yaffs,
}  # fmt: skip

TITLES = {
    "fat": "FAT12, FAT16 and FAT32", "exfat": "exFAT", "ext": "ext2, ext3 and ext4", "ntfs": "NTFS", "hfs": "HFS+ and HFSX",
    "iso9660": "ISO 9660 with Joliet and Rock Ridge", "ufs": "UFS1 and UFS2", "yaffs2": "YAFFS2",
}  # fmt: skip
HANG = "hostile metadata can keep the C code busy or crash it: open it isolated, where that is a finding"
GAPS: dict[str, tuple[str, ...]] = {
    "fat": (
        "the first cluster of a deleted file is believed although Windows may have cleared its high half",
        "a deleted file that was fragmented comes back wrong unless its gaps were clusters that are still in use (verdict unknown)",
        "floppies without the boot signature 55 AA",
    ),
    "exfat": ("a deleted file without NoFatChain whose chain was reused is guessed as for FAT (verdict unknown)",),
    "ext": (
        "meta_bg and bigalloc volumes: no journal recovery, no verdicts",
        "content in the inode (inline_data) longer than 60 bytes",
        "extended attributes; fast-commit blocks of the journal; journals on another device",
        "deleted files whose inode is in no journal: names only; without extents, content by indirect blocks that are left",
        "without a journal, orphans are named by first blocks of deleted directories: an inode used twice may bear its older name",
        "sparse files by indirect blocks; such whose first twelve blocks do not lie before the others",
    ),
    "ntfs": ("the place of resident content",),
    "hfs": ("classic HFS; the journal",),
    "iso9660": ("UDF", "further sessions of a multisession disc"),
    "ufs": ("free ranges count metadata that no file holds",),
    "yaffs2": ("spare layouts that The Sleuth Kit does not guess", "free ranges count metadata that no file holds"),
}
REFS = ("The Sleuth Kit 4 and its documentation, https://sleuthkit.org", "Brian Carrier, File System Forensic Analysis, 2005")


def _open(kind: str, isolate: bool = False) -> Callable[[ByteSource, Budget], TskFileSystem]:
    return lambda source, budget: open_tsk(source, budget, kind, isolate=isolate)


FORMATS = (
    *(
        FileSystemFormat(
            name=f"tsk.{kind}", title=f"{TITLES[kind]} (The Sleuth Kit)", refs=REFS, gaps=(*GAPS[kind], HANG), engine="tsk",
            order=60 if kind in ("yaffs2", "fat") else 50, probe=PROBES[kind], open=_open(kind),
            isolated=_open(kind, True),
        )
        for kind in PROBES
    ),
    FileSystemFormat(
        name="tsk.apfs", title="APFS (The Sleuth Kit)", refs=(*REFS, "Apple File System Reference, 2020"), engine="tsk",
        gaps=("recognised only: the Python binding of The Sleuth Kit opens no pools",), probe=_apfs, open=_no_apfs,
    ),
)  # fmt: skip
