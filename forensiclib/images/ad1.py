"""Open an AD1 image: a tree of files, each packed by itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Entry, Image, Stream
from forensiclib.core.errors import Corrupt, LimitExceeded, NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ChunkedSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp
from forensiclib.formats.ad1 import ATTRIBUTE, FOLDER, IMAGE_HEADER, ITEM, LOGICAL, SEGMENT_HEADER, SIGNATURE
from forensiclib.images._files import FilePool, PooledFile, beside, exists, expand
from forensiclib.images._tree import TreeFileSystem, shown
from forensiclib.kernels import inflate

__all__ = ["FORMAT", "open_ad1"]

_NUMBERED = re.compile(r"(.*\.ad)(\d+)", re.DOTALL | re.IGNORECASE)
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)")
_TEXTS = {0x5001: "md5", 0x5002: "sha1", 0x2001: "mode", 0x2002: "uid", 0x2003: "gid", 0xC001: "inode"}
_TIMES = {0x07: "accessed", 0x08: "time_8", 0x09: "time_9", 0xC003: "time_c003"}
"""8, 9 and C003 are creation, modification and change where somebody compared them on Linux; no second source says so."""
NAME, VALUE, ATTRIBUTES = 65_535, 1 << 20, 4096


class _Reader:
    """The items of the bodies of all segments put one behind the other."""

    def __init__(self, body: ByteSource, root: str, chunk: int, budget: Budget) -> None:
        self.body, self.root, self.chunk, self.budget = body, root, chunk, budget
        self.entries: list[Entry] = []
        self.seen: set[int] = set()

    def span(self, at: int, n: int) -> Span:
        return Span(self.root, at, n)

    def take(self, what: str, at: int, n: int) -> bytes:
        raw = self.body.read_at(at, n)
        if len(raw) < n:
            raise Truncated(f"AD1 {what}", self.span(at, len(raw)), f"{len(raw)} of {n} bytes")
        return raw

    def walk(self, first: int) -> None:
        """Every item below and beside ``first``, in the order of a listing; what is damaged is a finding."""
        todo = [(first, 0, "")]
        while todo:
            at, parent, above = todo.pop()
            if at == 0:
                continue
            self.budget.item()
            if at in self.seen:
                self.budget.report(Corrupt("AD1 item", self.span(at, ITEM.size), "it was listed before: a loop"))
                continue
            self.seen.add(at)
            try:
                follows, child, entry = self.item(at, parent, above)
            except (Corrupt, Truncated, LimitExceeded) as error:
                self.budget.report(error)
                continue
            self.entries.append(entry)
            todo.append((follows, parent, above))
            if entry.path.count("/") >= self.budget.limits.depth:
                self.budget.report(LimitExceeded("AD1 item", self.span(at, ITEM.size), f"deeper than {self.budget.limits.depth}"))
            else:
                todo.append((child, entry.id, entry.path))

    def item(self, at: int, parent: int, above: str) -> tuple[int, int, Entry]:
        follows, child, metadata, chunks, size, kind, length = ITEM.unpack(self.take("item", at, ITEM.size))
        if length > NAME:
            raise Corrupt("AD1 item", self.span(at, ITEM.size), f"a name of {length} bytes")
        raw = self.take("item name", at + ITEM.size, length)
        name = raw.decode("utf-8", "replace")
        facts, times = self.attributes(metadata)
        mode = str(facts.get("mode", ""))
        folder = kind == FOLDER or mode.startswith("d")
        entry = Entry(
            id=at, sequence=0, parent=parent, raw_name=raw, name=name, path=f"{above}/{shown(name)}" if above else shown(name),
            kind="directory" if folder else "file", state="allocated", size=0 if folder else size, times=times,
            attributes={"flags": 0, "item_type": kind, **facts}, opener=None if folder else partial(self.streams, at, chunks, size),
        )  # fmt: skip
        return follows, child, entry

    def attributes(self, at: int) -> tuple[dict[str, object], dict[str, Timestamp]]:
        facts: dict[str, object] = {}
        times: dict[str, Timestamp] = {}
        seen: set[int] = set()
        try:
            while at and at not in seen and len(seen) < ATTRIBUTES:
                seen.add(at)
                self.budget.item()
                follows, category, key, length = ATTRIBUTE.unpack(self.take("attribute", at, ATTRIBUTE.size))
                if length > VALUE:
                    raise Corrupt("AD1 attribute", self.span(at, ATTRIBUTE.size), f"a value of {length} bytes")
                text = self.take("attribute", at + ATTRIBUTE.size, length).rstrip(b"\0").decode("utf-8", "replace")
                if key in _TIMES and (when := _time(text)) is not None:
                    times[_TIMES[key]] = when
                else:
                    facts[_TEXTS.get(key, f"attribute_{category:x}_{key:x}")] = text.lower() if key in (0x5001, 0x5002) else text
                at = follows
        except (Corrupt, Truncated) as error:
            self.budget.report(error)
        return facts, times

    def streams(self, at: int, chunks: int, size: int) -> Sequence[Stream]:
        """The content. Raises Corrupt or Truncated for a list of chunks that does not fit the size."""
        if size == 0:
            return (Stream(ConcatSource(())),)
        count = int.from_bytes(self.take("chunk list", chunks, 8), "little")
        if count != -(-size // self.chunk):
            raise Corrupt("AD1 chunk list", self.span(chunks, 8), f"{count} chunks, {size} bytes need {-(-size // self.chunk)}")
        raw = self.take("chunk list", chunks + 8, self.budget.allocate("AD1 chunk list", 8 * (count + 1), self.span(chunks, 8)))

        def place(index: int) -> tuple[int, int]:
            start, end = (int.from_bytes(raw[8 * i : 8 * i + 8], "little") for i in (index, index + 1))
            return start, end - start

        def decode(index: int) -> bytes:
            start, length = place(index)
            want = min(self.chunk, size - index * self.chunk)
            span = self.span(start, max(0, length))
            if not 0 < length <= 2 * self.chunk + 64:
                raise Corrupt("AD1 chunk", span, f"chunk {index} of the item at {at} has {length} bytes")
            packed = self.take("chunk", start, length)
            try:
                out = bytes(inflate(packed, self.chunk))
            except ValueError as error:
                if length == want and packed[:1] != b"\x78":
                    return packed  # stored as it is
                raise Corrupt("AD1 chunk", span, f"chunk {index} of the item at {at}: {error}") from error
            if len(out) < want:
                raise Corrupt("AD1 chunk", span, f"chunk {index} of the item at {at}: {len(out)} of {want} bytes")
            return out[:want]

        def origin(index: int) -> tuple[Span, ...]:
            start, length = place(index)
            return (Span(self.root, start, max(0, length), ("deflate",), False),)

        return (Stream(ChunkedSource(size, self.chunk, decode, origin, keep=8), compressed=True),)


def _time(text: str) -> Timestamp | None:
    match = _STAMP.match(text)
    try:
        seconds = int(datetime(*map(int, match.groups()), tzinfo=UTC).timestamp()) if match else None  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    return None if seconds is None else Timestamp(seconds, "ad1", seconds * 1_000_000_000, "utc", 1_000_000_000)


def _segments(pool: FilePool, paths: list[str], budget: Budget) -> list[tuple[PooledFile, int]]:
    """(file, bytes of its header) in order; Truncated for a segment that is not there."""
    match = _NUMBERED.fullmatch(paths[0])
    found: dict[int, tuple[PooledFile, int]] = {}
    wanted, number, queue = 1, 1, list(paths)
    while queue:
        budget.item()
        file = PooledFile(pool, queue.pop(0))
        raw = file.read_at(0, SEGMENT_HEADER.size)
        span = Span(file.root, 0, len(raw))
        if raw[:16] != SIGNATURE:
            kind = Corrupt if found else NotThisFormat
            raise kind("AD1 segment header", span, "no ADSEGMENTEDFILE signature")
        if len(raw) < SEGMENT_HEADER.size:
            raise Truncated("AD1 segment header", span, f"{len(raw)} of {SEGMENT_HEADER.size} bytes")
        _, _, index, count, _, header = SEGMENT_HEADER.unpack(raw)
        if not SEGMENT_HEADER.size <= header <= min(65_536, file.size) or not 0 < index <= max(1, count) or count > 100_000:
            raise Corrupt("AD1 segment header", span, f"segment {index} of {count}, a header of {header} bytes")
        if found.setdefault(index, (file, header))[0] is not file:
            raise Corrupt("AD1 segment header", span, f"segment {index} is there twice")
        wanted = max(wanted, count)
        if len(paths) == 1 and match and not queue:
            while number <= wanted and (number in found or not exists(beside(paths[0], f"{match[1]}{number}"))):
                number += 1
            if number <= wanted:
                queue.append(beside(paths[0], f"{match[1]}{number}"))
                number += 1
    if missing := next((n for n in range(1, wanted + 1) if n not in found), 0):
        raise Truncated("AD1 segment", Span(os.path.basename(paths[0]), 24, 8), f"segment {missing} of {wanted} is missing")
    return [found[n] for n in sorted(found)]


def open_ad1(paths: Sequence[str], budget: Budget) -> Image:
    """The files that the set lists. The media are the bodies of its segments one behind the other: spans count in them.

    Raises NotThisFormat by the signature; Unsupported for a version that nobody described; Truncated for a segment that
    is missing; Corrupt for a header that is not one. Damaged items are findings.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        files = _segments(pool, expand(paths), budget)
        name = files[0][0].root
        body = ConcatSource([file.slice(header) for file, header in files], name)
        raw = body.read_at(0, IMAGE_HEADER.size)
        span = Span(name, 0, len(raw))
        if len(raw) < IMAGE_HEADER.size:
            raise Truncated("AD1 image header", span, f"{len(raw)} of {IMAGE_HEADER.size} bytes")
        signature, version, _, chunk, _, first = IMAGE_HEADER.unpack(raw)
        if signature != LOGICAL:
            raise Corrupt("AD1 image header", span, "no ADLOGICALIMAGE signature")
        if version not in (3, 4):
            raise Unsupported("AD1 image header", span, f"version {version}; 3 and 4 are known")
        if chunk == 0:
            raise Corrupt("AD1 image header", span, "chunks of no bytes")
        reader = _Reader(body, name, budget.allocate("AD1 chunk", chunk, span), budget)
        reader.walk(first)
        stack.pop_all()
    return Image(
        body, format="ad1", name=name, facts={"version": str(version), "chunk_size": str(chunk), "items": str(len(reader.entries))},
        parts=tuple((file.root, file.size) for file, _ in files), close_with=(pool.close,), tree=TreeFileSystem("logical", reader.entries),
    )  # fmt: skip


FORMAT = ImageFormat(
    name="ad1",
    title="AccessData logical image (AD1), custom content of FTK Imager",
    refs=(
        'T. Mairi, "Dissecting the AD1 File Format", tmairi.github.io',
        'al3ks1s, "Adventures, part 1", al3ks1s.fr',
    ),
    gaps=(
        "the vendor publishes no specification; read by what others found, without a sample of FTK Imager at hand",
        "times 8, 9 and C003 (creation, modification, change: which is which is not certain) keep their numbers as names",
        "attributes without a known meaning keep their numbers as names; the image's own attributes and footers are not read",
        "MD5 and SHA-1 of each file are shown, not checked while it is read",
        "password-protected images (ADCRYPT) are recognised and refused",
    ),
    signatures=(Signature(SIGNATURE),),
    extensions=(".ad1",),
    open=open_ad1,
)
