"""The descriptor of a VMDK: key = value lines and one line an extent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, LimitExceeded, NotThisFormat
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats.vmdk import DESCRIPTOR
from forensiclib.images._blocks import root_of

__all__ = ["NO_PARENT", "Descriptor", "Extent", "announces", "parse"]

LONGEST = 4 << 20
"""Bytes. A disk of 62 TiB in files of 2 GiB has 31,744 extent lines."""
NO_PARENT = 0xFFFFFFFF
_EXTENT = re.compile(r'^(RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)")?(?:\s+(\d+))?', re.IGNORECASE)
_VALUE = re.compile(r'^([\w.\-]+)\s*=\s*"?(.*?)"?\s*$')
_ENCODING = re.compile(rb'^\s*encoding\s*=\s*"?([\w\-]+)', re.MULTILINE | re.IGNORECASE)
_CODE_PAGES = ("windows-", "cp", "gb", "big5", "shift_jis", "euc", "iso-8859", "utf-8", "koi8")


@dataclass(frozen=True, slots=True)
class Extent:
    """One extent line: ``sectors`` of 512 bytes; ``offset``, in sectors, where a flat extent begins in its file."""

    access: str
    sectors: int
    kind: str
    name: str
    offset: int


@dataclass(slots=True)
class Descriptor:
    """values   key in lower case -> text as stored; ``cid`` and ``parent_cid`` are None when they are no hexadecimal numbers."""

    values: dict[str, str] = field(default_factory=dict)
    extents: list[Extent] = field(default_factory=list)

    def _cid(self, name: str) -> int | None:
        try:
            return int(self.values.get(name, ""), 16) & 0xFFFFFFFF
        except ValueError:
            return None

    @property
    def cid(self) -> int | None:
        """Changes with the first write after every opening."""
        return self._cid("cid")

    @property
    def parent_cid(self) -> int | None:
        """The parent's, when the child was made."""
        return self._cid("parentcid")

    @property
    def has_parent(self) -> bool:
        """Whether it is a layer upon another disk."""
        return self.parent_cid not in (None, NO_PARENT) or "parentfilenamehint" in self.values

    @property
    def kind(self) -> str:
        """createType, such as "monolithicSparse"."""
        return self.values.get("createtype", "")


def announces(head: bytes) -> bool:
    """Whether the bytes begin a descriptor."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[: len(DESCRIPTOR)].lower() == DESCRIPTOR.lower()


def _text(raw: bytes) -> str:
    stated = _ENCODING.search(raw)
    name = stated[1].decode("ascii").lower() if stated else "utf-8"
    for encoding in (name, "utf-8"):
        if encoding.startswith(_CODE_PAGES):
            try:
                return raw.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    return raw.decode("latin-1")


def parse(source: ByteSource, offset: int = 0, length: int | None = None) -> Descriptor:
    """The descriptor in [offset, offset + length), up to its first zero byte.

    NotThisFormat when none begins there, Corrupt for extent lines that cannot be read, LimitExceeded for more than 4 MiB.
    """
    length = source.size - offset if length is None else min(length, source.size - offset)
    where = Span(root_of(source), offset, max(length, 0))
    if not announces(source.read_at(offset, 64)):
        raise NotThisFormat("VMDK descriptor", where, "no # Disk DescriptorFile")
    if length > LONGEST:
        raise LimitExceeded("VMDK descriptor", where, f"more than {LONGEST} bytes")
    out = Descriptor()
    for line in _text(source.read_at(offset, length).partition(b"\0")[0].removeprefix(b"\xef\xbb\xbf")).splitlines():
        line = line.strip()
        if line.startswith("#"):
            continue
        if (match := _EXTENT.match(line)) is not None:
            if len(match[2]) > 19:
                raise Corrupt("VMDK descriptor", where, f"an extent of {match[2]} sectors")
            out.extents.append(Extent(match[1].upper(), int(match[2]), match[3].upper(), match[4] or "", int((match[5] or "0")[:19])))
        elif line.upper().startswith(("RW ", "RDONLY ", "NOACCESS ")):
            raise Corrupt("VMDK descriptor", where, f"an extent line that cannot be read: {line[:80]}")
        elif (value := _VALUE.match(line)) is not None:
            out.values.setdefault(value[1].lower(), value[2])
    return out
