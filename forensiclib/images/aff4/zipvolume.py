"""One ZIP volume: its members by name, each a source. Only what AFF4 uses: no encryption, stored or deflated, one disk."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.formats.zip import CENTRAL, END, END64, LOCAL, LOCATOR64
from forensiclib.images._blocks import read_exactly, root_of
from forensiclib.kernels import crc32

__all__ = ["InflatedSource", "Member", "ZipVolume"]

FAR = 0xFFFFFFFF
"""A 32-bit field whose value stands in the ZIP64 extra field."""
UNIT = 1 << 20
"""Bytes of a deflated member that are held as one."""
UNITS, PLACES = 4, 128
"""Units of one member in memory; places where inflating can go on, some 50 KiB of memory each."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the volume, as the central directory has it; ``header`` is where its local header begins."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    header: int


class InflatedSource(ByteSource):
    """A deflated member, read anywhere. Its end is given only when the CRC of the whole matches; what is no longer than a unit
    is checked before any of it is given."""

    __slots__ = ("_at", "_base", "_crc", "_engine", "_lock", "_made", "_member", "_places", "_step", "_units", "size")

    def __init__(self, base: ByteSource, member: Member) -> None:
        self._base, self._member, self.size = base, member, member.size
        self._lock = threading.Lock()
        self._units: OrderedDict[int, bytes] = OrderedDict()
        self._step = max(1, -(-self.size // UNIT) // PLACES)
        self._places: dict[int, tuple[Any, int]] = {}  # unit -> (engine, input taken), before it
        self._crc, self._made = 0, 0  # of the units that were inflated once, in order

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        if clip(offset, n, self.size) == 0:
            return ()
        return tuple(s.through("deflate") for s in self._base.trace(0, self._base.size))

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            number, inside = divmod(offset + done, UNIT)
            with self._lock:
                data = self._unit(number)
            piece = data[inside : inside + n - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def _unit(self, number: int) -> bytes:
        if (held := self._units.get(number)) is not None:
            self._units.move_to_end(number)
            return held
        start = max((place for place in self._places if place <= number), default=0)
        engine, at = self._places[start] if start in self._places else (zlib.decompressobj(-15), 0)
        engine = engine.copy()
        data = b""
        for unit in range(start, number + 1):
            if unit % self._step == 0 and unit not in self._places:
                self._places[unit] = (engine.copy(), at)
            data, at = self._inflate(engine, at, min(UNIT, self.size - unit * UNIT))
            if unit == self._made:
                self._crc, self._made = crc32(data, self._crc), unit + 1
        if (number + 1) * UNIT >= self.size and self._crc != self._member.crc:
            raise self._wrong(Corrupt, "its CRC does not match")
        self._units[number] = data
        while len(self._units) > UNITS:
            self._units.popitem(last=False)
        return data

    def _inflate(self, engine: Any, at: int, want: int) -> tuple[bytes, int]:
        """The next ``want`` bytes, and how much of the input was taken."""
        out = bytearray()
        try:
            while len(out) < want and not engine.eof:
                fed = engine.unconsumed_tail
                if not fed:
                    fed = self._base.read_at(at, 1 << 16)
                    at += len(fed)
                    if not fed:
                        break
                out += engine.decompress(fed, want - len(out))
        except zlib.error as error:
            raise self._wrong(Corrupt, str(error)) from error
        if len(out) < want:
            raise self._wrong(Truncated, f"inflates to fewer than its {self.size} bytes")
        return bytes(out), at

    def _wrong(self, kind: type[EvidenceError], why: str) -> EvidenceError:
        spans = self._base.trace(0, self._base.size)
        return kind("AFF4 member", spans[0] if spans else None, f"{self._member.name[:80]}: {why}")


class ZipVolume:
    """A volume whose directory was read.

    urn      of the volume: container.description, else the comment; root   name of the file
    members  name -> Member; where a name is there twice, the later one
    """

    def __init__(self, file: ByteSource, budget: Budget) -> None:
        """Raises NotThisFormat for what is no ZIP, Truncated and Corrupt for a directory that cannot be read."""
        self.file, self.root, self._budget = file, root_of(file), budget
        if file.read_at(0, 2) != b"PK":
            raise NotThisFormat("AFF4 volume", Span(self.root, 0, 4), "no ZIP")
        self.comment = b""
        self.members: dict[str, Member] = {}
        self._plain: dict[str, list[str]] = {}
        self._directory()
        for name in self.members:
            self._plain.setdefault(_slashed(unquote(name)), []).append(name)
        self.urn = self._urn()

    # the directory

    def _directory(self) -> None:
        size = self.file.size
        tail = self.file.read_at(max(0, size - 65_557), 65_557)
        at = len(tail)
        while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
            if at + END.size <= len(tail) and at + END.size + END.unpack(tail, at)[7] <= len(tail):
                break
        if at < 0:
            raise Truncated("AFF4 volume", Span(self.root, size, 0), "no end of a ZIP directory: the volume was not closed, or is cut")
        end = END.dict(tail, at)
        self.comment = tail[at + END.size : at + END.size + end["comment_length"]]
        where = size - len(tail) + at
        count, length, start = end["entries"], end["directory_size"], end["directory_offset"]
        locator = self.file.read_at(max(0, where - LOCATOR64.size), LOCATOR64.size)
        if where >= LOCATOR64.size and locator[:4] == b"PK\x06\x07":
            place = LOCATOR64.dict(locator)["end64_offset"]
            raw = read_exactly(self.file, place, END64.size, "AFF4 volume") if place < size else b""
            if raw[:4] != b"PK\x06\x06":
                raise Corrupt("AFF4 volume", Span(self.root, place, END64.size), "no ZIP64 end record where the locator says")
            far = END64.dict(raw)
            count, length, start = far["entries"], far["directory_size"], far["directory_offset"]
        span = Span(self.root, start, length)
        if start + length > where:
            raise Corrupt("AFF4 volume", span, f"the directory reaches over the end record at {where}")
        raw = read_exactly(self.file, start, self._budget.allocate("AFF4 volume directory", length, span), "AFF4 volume directory")
        self._entries(raw, start, count)

    def _entries(self, raw: bytes, start: int, count: int) -> None:
        at = seen = 0
        while at + CENTRAL.size <= len(raw) and raw[at : at + 4] == b"PK\x01\x02":
            self._budget.item()
            made = CENTRAL.dict(raw, at)
            n, e = made["name_length"], made["extra_length"]
            name = raw[at + CENTRAL.size : at + CENTRAL.size + n]
            extra = raw[at + CENTRAL.size + n : at + CENTRAL.size + n + e]
            packed, size, header = _far(extra, made["packed"], made["unpacked"], made["offset"])
            try:
                text = name.decode("utf-8")  # macOS writes UTF-8 without the flag
            except UnicodeDecodeError:
                text = name.decode("cp437")
            span = Span(self.root, start + at, CENTRAL.size + n + e)
            if max(packed, size, header) >= 1 << 63 or header + packed > self.file.size:
                self._budget.report(Corrupt("AFF4 volume directory", span, f"{text[:80]}: {packed} bytes at {header} of {self.file.size}"))
            else:
                if text in self.members:
                    self._budget.report(
                        Finding.note("AFF4 volume directory", f"{text[:80]} is there twice; the later one counts", span=span)
                    )
                self.members[text] = Member(text, made["method"], made["flags"], made["crc"], packed, size, header)
            at += CENTRAL.size + n + e + made["comment_length"]
            seen += 1
        if at != len(raw) or seen != count:
            found = f"{seen} of {count} entries can be read, {at} of {len(raw)} bytes"
            self._budget.report(Corrupt("AFF4 volume directory", Span(self.root, start, len(raw)), found))

    def _urn(self) -> str:
        if "container.description" in self.members:
            text = self.read("container.description", 4096).decode("utf-8", "replace").strip("\0 \r\n\t")
            if text:
                return text
        return self.comment.split(b"\0")[0].decode("utf-8", "replace").strip()

    # the members

    def open(self, name: str) -> ByteSource:
        """The content of the member of exactly that name. Raises Unsupported, Corrupt, Truncated."""
        member = self.members[name]
        span = Span(self.root, member.header, LOCAL.size)
        if member.flags & 1 or member.method not in (0, 8):
            how = "encrypted" if member.flags & 1 else f"compression method {member.method}"
            raise Unsupported("AFF4 member", span, f"{name[:80]}: {how}")
        raw = read_exactly(self.file, member.header, LOCAL.size, "AFF4 member")
        if raw[:4] != b"PK\x03\x04":
            raise Corrupt("AFF4 member", span, f"{name[:80]}: no local header")
        local = LOCAL.dict(raw)
        start = member.header + LOCAL.size + local["name_length"] + local["extra_length"]
        if start + member.packed > self.file.size:
            raise Truncated("AFF4 member", Span(self.root, start, member.packed), f"{name[:80]}: the file ends at {self.file.size}")
        stored = self.file.slice(start, member.packed)
        if member.method == 0:
            if member.size != member.packed:
                raise Corrupt("AFF4 member", span, f"{name[:80]}: stored, but {member.packed} and {member.size} bytes")
            return stored
        if member.size > member.packed * self._budget.limits.ratio + 64:
            raise Corrupt("AFF4 member", span, f"{name[:80]}: {member.packed} bytes cannot inflate to {member.size}")
        return InflatedSource(stored, member)

    def read(self, name: str, most: int) -> bytes:
        """All of a member of at most ``most`` bytes, its CRC checked. LimitExceeded, Corrupt."""
        member = self.members[name]
        span = Span(self.root, member.header, 0)
        if member.size > most:
            raise LimitExceeded("AFF4 member", span, f"{name[:80]}: {member.size} bytes, {most} allowed")
        self._budget.allocate("AFF4 member", member.size, span)
        data = self.open(name).read_at(0, member.size)
        if crc32(data, 0) != member.crc:
            raise Corrupt("AFF4 member", Span(self.root, member.header, member.packed), f"{name[:80]}: its CRC does not match")
        return data

    def find(self, urn: str) -> str | None:
        """The name of the member that holds the stream ``urn`` ("URI to path mapping"); None when there is none.

        Raises Corrupt when two could be meant.
        """
        inner = urn[len(self.urn) :] if self.urn and urn.startswith(self.urn + "/") else urn
        for name in (inner, inner.lstrip("/"), inner.replace("aff4://", "aff4%3A%2F%2F", 1)):
            if name in self.members:
                return name
        # Escaped as the standard has it, or with less of it: makers differ in what they escape, and whether the name was before.
        for key in (_slashed(inner), _slashed(unquote(inner))):
            found = self._plain.get(key, [])
            if len(found) > 1:
                raise Corrupt("AFF4 volume", Span(self.root, 0, 0), f"{len(found)} members could be {urn[:120]}")
            if found:
                return found[0]
        return None


def _slashed(name: str) -> str:
    """A name with the slashes of the standard: none before it, and no backslash."""
    return name.replace("\\", "/").lstrip("/")


def _far(extra: bytes, packed: int, size: int, header: int) -> tuple[int, int, int]:
    """(packed, size, header) with what stands in the ZIP64 extra field (APPNOTE 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            values = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body) - 7, 8)]
            size = values.pop(0) if size == FAR and values else size
            packed = values.pop(0) if packed == FAR and values else packed
            header = values.pop(0) if header == FAR and values else header
            break
        at += 4 + length
    return packed, size, header
