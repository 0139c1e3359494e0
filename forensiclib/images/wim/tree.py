"""The files of an image: the directory entries of its metadata resource."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from forensiclib.core.entry import Entry, Stream
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Truncated, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import ConcatSource
from forensiclib.core.span import Span
from forensiclib.core.text import utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats.ntfs import MOUNT_POINT, SYMLINK
from forensiclib.formats.wim import COMPRESSED, DIRECTORY, DIRENTRY, NO_SECURITY, REPARSE_POINT, STREAM, UNIX_DATA
from forensiclib.images._tree import shown
from forensiclib.images.wim.resources import Kind, Resource, opened

__all__ = ["ImageTree"]

NONE = bytes(20)
_LINK, _MOUNT = 0xA000000C, 0xA0000003
_POINT = 1 << 14
"""[MS-FSCC]: reparse data is at most 16 KiB."""
Find = Callable[[bytes], "Resource | None"]


@dataclass(frozen=True, slots=True)
class _Named:
    """One stream of an entry: its name and hash."""

    name: str
    sha1: bytes


class ImageTree:
    """The entries of image ``number``: ``raw`` is its metadata resource, ``span`` where that lies, ``find`` gives a resource by SHA-1.

    used   the SHA-1 of every content that an entry names
    """

    def __init__(self, number: int, raw: bytes, span: Span, find: Find, kind: Kind, budget: Budget) -> None:
        self.number, self.raw, self.span, self.find, self.kind, self.budget = number, raw, span, find, kind, budget
        self.entries: list[Entry] = []
        self.used: set[bytes] = set()
        self._groups: dict[int, list[int]] = {}
        self._starts: set[int] = set()

    def _id(self, at: int) -> int:
        return self.number << 40 | at

    def read(self, name: str) -> list[Entry]:
        """All entries below a folder for the image; damage is a finding."""
        if len(self.raw) < 8:
            raise Truncated("WIM metadata", self.span, f"{len(self.raw)} bytes")
        security = int.from_bytes(self.raw[:4], "little")
        at = max(8, security + 7 & ~7)
        top, root = f"{self.number}", self._id(0)
        self.entries.append(
            Entry(root, 0, None, name.encode(), top, top, "directory", "allocated", 0, attributes={"flags": DIRECTORY, "image": name})
        )
        first = self._entry(at, root, top)
        if first is None:
            raise Corrupt("WIM metadata", self.span, f"no root at {at}")
        self._below(first[2], root, top)
        self._links()
        return self.entries

    def _below(self, first: int, parent: int, above: str) -> None:
        todo, seen = [(first, parent, above)], set[int]()
        while todo:
            at, parent, above = todo.pop()
            if not at:
                continue
            if at in seen or above.count("/") >= self.budget.limits.depth:
                error, why = (Corrupt, "was read before") if at in seen else (LimitExceeded, "is too deep")
                self.budget.report(error("WIM directory", self.span, f"the one at {at} ({above[:80]}) {why}"))
                continue
            seen.add(at)
            inner: list[tuple[int, int, str]] = []
            while True:
                self.budget.item()
                if at in self._starts:
                    self.budget.report(Corrupt("WIM directory", self.span, f"the entry at {at} is in two directories"))
                    break
                try:
                    made = self._entry(at, parent, above)
                except EvidenceError as error:
                    self.budget.report(error, above)
                    break
                if made is None:
                    break
                length, entry, below, link = made
                self._starts.add(at)
                if link:
                    self._groups.setdefault(link, []).append(len(self.entries))
                self.entries.append(entry)
                if below and entry.kind == "directory":
                    inner.append((below, entry.id, entry.path))
                at += length
            todo += reversed(inner)

    def _entry(self, at: int, parent: int, above: str) -> tuple[int, Entry, int, int] | None:
        """(bytes with all its streams, the entry, where its directory begins, its group of hard links); None at the end of a directory."""
        raw, size = self.raw, len(self.raw)
        if not 0 <= at <= size - 8:
            raise Truncated("WIM directory", self.span, f"an entry at {at} of {size} bytes")
        length = int.from_bytes(raw[at : at + 8], "little")
        if length <= 8:
            return None
        if length < DIRENTRY.size or at + length > size:
            raise Corrupt("WIM directory", self.span, f"an entry of {length} bytes at {at} of {size}")
        head = DIRENTRY.dict(raw, at)
        names = at + DIRENTRY.size
        name_end = names + head["name_length"]
        short = name_end + 2 * bool(head["name_length"])
        end = short + head["short_length"] + 2 * bool(head["short_length"])
        if short + head["short_length"] > at + length:
            raise Corrupt("WIM directory", self.span, f"the names of the entry at {at} reach out of it")
        raw_name = raw[names:name_end]
        name = utf16(raw_name)
        streams, total = self._streams(at, length, head)
        attributes: dict[str, object] = {"flags": head["attributes"]}
        if head["short_length"]:
            attributes["short_name"] = utf16(raw[short : short + head["short_length"]])
        if head["security_id"] != NO_SECURITY:
            attributes["security_id"] = head["security_id"]
        attributes |= self._tagged(end, at + length)
        path = f"{above}/{shown(name)}" if name else above
        directory = bool(head["attributes"] & DIRECTORY)
        tag = head["link"] & 0xFFFFFFFF if head["attributes"] & REPARSE_POINT else 0
        self.used |= {stream.sha1 for stream in streams}
        if streams and streams[0].sha1 != NONE and not directory and not tag:
            attributes["sha1"] = streams[0].sha1.hex()
        target = ""
        if tag:
            attributes["reparse_tag"] = tag
            target = self._target(tag, streams)
        main = self.find(streams[0].sha1) if streams and not tag else None
        entry = Entry(
            id=self._id(at), sequence=0, parent=parent, raw_name=raw_name, name=name, path=path,
            kind="link" if tag in (_LINK, _MOUNT) else "directory" if directory else "file", state="allocated",
            size=main.place.original if main is not None else 0, attributes=attributes, link_target=target,
            times={k: Timestamp.filetime(head[k]) for k in ("born", "accessed", "modified") if head[k]},
            opener=partial(self._open, streams, tag, directory),
        )  # fmt: skip
        return total, entry, head["subdirectory"], 0 if tag else head["link"]

    def _streams(self, at: int, length: int, head: dict[str, int | bytes]) -> tuple[tuple[_Named, ...], int]:
        """(the streams, the content first, of a reparse point its data; bytes of the entry with all of them)"""
        raw, place = self.raw, at + (length + 7 & ~7)
        own = head["sha1"]
        assert isinstance(own, bytes)
        found: list[_Named] = []
        count = head["streams"]
        assert isinstance(count, int)
        for _ in range(count):
            self.budget.item()
            if place + STREAM.size > len(raw):
                raise Truncated("WIM directory", self.span, f"a stream at {place} of {len(raw)} bytes")
            size, _, sha1, name = STREAM.unpack(raw, place)
            if size < STREAM.size + name or place + size > len(raw):
                raise Corrupt("WIM directory", self.span, f"a stream of {size} bytes at {place} of {len(raw)}")
            found.append(_Named(utf16(raw[place + STREAM.size : place + STREAM.size + name]), sha1))
            place += size + 7 & ~7
        unnamed = [s for s in found if not s.name]
        main = _Named("", own) if own != NONE or not unnamed else unnamed[0]
        return (main, *(s for s in found if s is not main)), place - at

    def _tagged(self, at: int, end: int) -> dict[str, object]:
        """Owner and mode, as wimlib keeps them."""
        at = at + 7 & ~7
        while at + 8 <= end:
            tag, size = int.from_bytes(self.raw[at : at + 4], "little"), int.from_bytes(self.raw[at + 4 : at + 8], "little")
            if size > end - at - 8:
                break
            if tag == UNIX_DATA and size >= 16:
                values = (int.from_bytes(self.raw[at + 8 + 4 * i : at + 12 + 4 * i], "little") for i in range(4))
                return dict(zip(("uid", "gid", "mode", "rdev"), values, strict=True))
            at += 8 + (size + 7 & ~7)
        return {}

    def _target(self, tag: int, streams: Sequence[_Named]) -> str:
        """Where a symbolic link or mount point leads, as stored."""
        shape = SYMLINK if tag == _LINK else MOUNT_POINT
        found = self.find(streams[0].sha1) if streams else None
        if tag not in (_LINK, _MOUNT) or found is None or found.place.original > _POINT:
            return ""
        try:
            data = opened(found, self.kind).read_at(0, _POINT)
        except EvidenceError as error:
            self.budget.report(error)
            return ""
        if len(data) < shape.sizeof():
            return ""
        fields = shape.parse(data[: shape.sizeof()])
        start = shape.sizeof() + fields.substitute_at
        return utf16(data[start : start + fields.substitute_length]).removeprefix("\\??\\")

    def _open(self, streams: Sequence[_Named], tag: int, directory: bool) -> Sequence[Stream]:
        """The contents. Unreadable for one whose hash is in no table."""
        out = []
        for number, stream in enumerate(streams):
            kind = "raw" if tag and number == 0 else "alternate" if stream.name else "data"
            name = "reparse" if kind == "raw" else stream.name
            if stream.sha1 == NONE:
                if number == 0 and not tag and not directory:
                    out.append(Stream(ConcatSource(())))
                elif stream.name:
                    out.append(Stream(ConcatSource(()), name=name, kind=kind))
                continue
            found = self.find(stream.sha1)
            if found is None:
                raise Unreadable("WIM stream", self.span, f"no resource has the SHA-1 {stream.sha1.hex()}: it is in another file")
            out.append(Stream(opened(found, self.kind), name=name, kind=kind, compressed=bool(found.place.flags & COMPRESSED)))
        return out

    def _links(self) -> None:
        """Entries of one group are one file: they get one id, and count each other."""
        for members in self._groups.values():
            first = self.entries[members[0]]
            for i in members:
                entry = self.entries[i]
                if entry.attributes.get("sha1") == first.attributes.get("sha1"):
                    self.entries[i] = replace(entry, id=first.id, links=len(members))
