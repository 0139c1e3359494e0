"""Open an Android sparse image, in one file or in parts that belong over each other (super.img_sparsechunk.0 ...)."""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Check, Image
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unreadable, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.formats import androidsparse as f
from forensiclib.images._blocks import BlockSource, Place, read_exactly
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile, expand

__all__ = ["FORMAT", "open_sparse"]

_PART = re.compile(r"(?P<stem>.*sparsechunk.*?)(?P<number>\d+)(?P<end>(\.img)?)", re.IGNORECASE | re.DOTALL)
_POLYNOMIAL = 0xEDB88320


def _product(a: int, b: int) -> int:
    """Of two polynomials modulo that of CRC-32, the highest power in the lowest bit."""
    out, bit = 0, 1 << 31
    while bit:
        if a & bit:
            out ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
        bit >>= 1
    return out


def _behind(whole: int, before: int, length: int) -> int:
    """CRC-32 of the last ``length`` bytes, of ``whole`` bytes that have one and the bytes before them that have the other."""
    power, step, n = 1 << 31, 1 << 30, 8 * length
    while n:
        power = _product(power, step) if n & 1 else power
        step, n = _product(step, step), n >> 1
    return whole ^ _product(before, power)


class _Filled(ByteSource):
    """The fill chunks of one part, at the disk's offsets; ``value`` of each is four bytes."""

    __slots__ = ("_part", "size")

    def __init__(self, part: _Part) -> None:
        self._part, self.size = part, part.size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n, part = clip(offset, len(buffer), self.size), self._part
        view, done = memoryview(buffer), 0
        while done < n:
            i = part.find(offset + done)
            take, phase = min(n - done, part.end[i] - offset - done), (offset + done) & 3
            value = part.values[i]
            view[done : done + take] = (value * (take // 4 + 2))[phase : phase + take]
            done += take
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        last, part = offset + clip(offset, n, self.size), self._part
        out: list[Span] = []
        while offset < last:
            i = part.find(offset)
            out.append(Span(part.file.root, part.at[i], 4, ("fill",), False))
            offset = part.end[i]
        return merge(out)


class _Part:
    """One file: its chunks in order, as columns. ``end`` of each on the disk, ``at`` where its data lies.

    size   bytes of the disk that the header states; reached   where the chunks end
    crcs   (offset on the disk, CRC-32 of all before it, where that stands)
    """

    def __init__(self, file: PooledFile, budget: Budget) -> None:
        self.file = file
        if file.read_at(0, 4) != f.SIGNATURE:
            raise NotThisFormat("Android sparse image", Span(file.root, 0, 4), "no signature")
        head = f.HEADER.dict(read_exactly(file, 0, f.HEADER.size, "Android sparse header"))
        span = Span(file.root, 0, f.HEADER.size)
        if head["major"] != 1:
            raise Unsupported("Android sparse header", span, f"version {head['major']}.{head['minor']}")
        self.block, self.blocks, self.checksum, self.count = head["block"], head["blocks"], head["checksum"], head["chunks"]
        if head["header_size"] < f.HEADER.size or head["chunk_size"] < f.CHUNK.size or not self.block or self.block % 4:
            text = f"headers of {head['header_size']} and {head['chunk_size']} bytes, blocks of {self.block}"
            raise Corrupt("Android sparse header", span, text)
        self.size, self.version = self.blocks * self.block, f"{head['major']}.{head['minor']}"
        self.start, self.end, self.at, self.kind = array("Q"), array("Q"), array("Q"), array("H")
        self.values: dict[int, bytes] = {}
        self.crcs: list[tuple[int, int, int]] = []
        self.reached = 0
        self._walk(head["header_size"], head["chunk_size"], budget)
        self.filled = _Filled(self)

    def _walk(self, at: int, wide: int, budget: Budget) -> None:
        """The chunks up to the first that cannot be; that one and what it hides is a finding."""
        file = self.file
        for number in range(self.count):
            budget.item()
            raw = file.read_at(min(at, file.size), wide + 4)
            span = Span(file.root, at, wide)
            if len(raw) < wide:
                budget.report(Truncated("Android sparse image", span, f"{number} of {self.count} chunks are there"))
                return
            kind, _reserved, blocks, total = f.CHUNK.unpack(raw)
            length = blocks * self.block
            body = {f.RAW: length, f.FILL: 4, f.DONT_CARE: 0, f.CRC32: 4}.get(kind)
            if body is None:
                budget.report(Unsupported("Android sparse chunk", span, f"chunk {number} of type {kind:#x}; what follows cannot be read"))
                return
            if total != wide + body or self.reached + length > self.size or (kind == f.CRC32 and blocks) or len(raw) < wide + min(body, 4):
                text = f"chunk {number}: type {kind:#x}, {blocks} blocks, {total} bytes; what follows cannot be read"
                budget.report(Corrupt("Android sparse chunk", span, text))
                return
            if kind == f.CRC32:
                self.crcs.append((self.reached, int.from_bytes(raw[wide : wide + 4], "little"), at))
            elif length:
                if kind == f.FILL:
                    self.values[len(self.start)] = raw[wide : wide + 4]
                self.start.append(self.reached)
                self.end.append(self.reached + length)
                self.at.append(at + wide)
                self.kind.append(kind)
                if kind == f.RAW and at + total > file.size:
                    found = f"chunk {number}: {total} bytes at {at} in a file of {file.size}"
                    budget.report(Truncated("Android sparse chunk", Span(file.root, at, file.size - at), found))
            self.reached += length
            at += total
        if self.reached < self.size:
            found = f"its chunks end at block {self.reached // self.block} of {self.blocks}; what follows cannot be read"
            budget.report(Truncated("Android sparse image", Span(file.root, at, 0), found))
        elif at < file.size:
            budget.report(
                Finding.note(
                    "Android sparse image", f"{file.size - at} bytes stand behind its last chunk", file.root, Span(file.root, at, 0)
                )
            )

    def find(self, offset: int) -> int:
        """The chunk that holds the byte, which is below ``reached``."""
        return bisect_right(self.start, offset) - 1

    def place(self, offset: int) -> Place | None:
        """Where the byte lies; None where this part does not care. Unreadable behind the last chunk."""
        if offset >= self.reached:
            raise Unreadable(
                "Android sparse image", Span(self.file.root, self.file.size, 0), f"offset {offset} of the disk lies in no chunk"
            )
        i = self.find(offset)
        run, kind = self.end[i] - offset, self.kind[i]
        if kind == f.DONT_CARE:
            return None
        return (self.file, self.at[i] + offset - self.start[i], run) if kind == f.RAW else (self.filled, offset, run)

    def carefree(self, offset: int) -> int:
        """Where the chunk that holds the byte ends."""
        return self.end[self.find(offset)]


def _covered(parts: Sequence[_Part]) -> tuple[int, int]:
    """(bytes of the disk that some part states, or that no chunk holds; bytes stated more than once)"""
    held = sorted((a, b) for part in parts for a, b, kind in zip(part.start, part.end, part.kind) if kind != f.DONT_CARE)
    reached = covered = total = 0
    for start, end in [*held, *((part.reached, part.size) for part in parts if len(parts) == 1)]:
        covered += max(0, end - max(start, reached))
        total += end - start
        reached = max(reached, end)
    return covered, total - covered


def _media(parts: Sequence[_Part], size: int) -> BlockSource:
    """The parts over each other, the last on top; what none of them cares for is zero."""
    above = tuple(reversed(parts))

    def locate(offset: int) -> Place:
        end = size
        for part in above:
            if offset >= part.size:
                continue
            found = part.place(offset)
            if found is not None:
                return found[0], found[1], min(found[2], end - offset)
            end = min(end, part.carefree(offset))
        return None, 0, end - offset

    return BlockSource(size, locate, "Android sparse chunk")


def _checks(part: _Part, alone: bool) -> list[Check]:
    """Each CRC chunk states the sum of all before it; what is computed is that since the last one. ``alone``: the part is the media."""
    media, places, at, before = _media([part], part.size), list[tuple[str, str, Span, int, int]](), 0, 0
    for offset, stated, where in part.crcs:
        if offset > at:
            own = f"{_behind(stated, before, offset - at):08x}"
            places.append((f"bytes {at} to {offset}", own, Span(part.file.root, where, 16), at, offset - at))
        at, before = offset, stated
    if part.checksum and part.size:
        places.append(("whole image", f"{part.checksum:08x}", Span(part.file.root, 24, 4), 0, part.size))
    if alone:
        return [Check(what, "crc32", stored, span, ((start, n),)) for what, stored, span, start, n in places]
    return [Check(what, "crc32", stored, span, data=media.slice(start, n)) for what, stored, span, start, n in places]


def _number(path: str) -> tuple[str, str, int] | None:
    match = _PART.fullmatch(os.path.basename(path))
    return (match["stem"], match["end"], int(match["number"])) if match and len(match["number"]) < 10 else None


def _set_of(family: Family, path: str) -> list[str]:
    """The parts in the order of their numbers: those that the caller lists, else those beside the path. Truncated when one is missing."""
    listed = list(family.listed)
    own = _number(path)
    if len(listed) == 1 and own is not None:
        folder = os.path.dirname(path)
        beside = [os.path.join(folder, n) for n in sorted(os.listdir(folder or "."))]
        listed = [p for p in beside if (n := _number(p)) is not None and n[:2] == own[:2] and os.path.isfile(p) and not os.path.islink(p)]
        listed = listed if path in listed else [path, *listed]
    numbers = {p: n[2] for p in listed if (n := _number(p)) is not None}
    if len(numbers) < len(listed) or len(set(numbers.values())) < len(listed):
        return listed
    listed.sort(key=numbers.__getitem__)
    there = set(numbers.values())
    missing = [n for n in range(min(0, *there) if 0 in there else 1, max(there)) if n not in there] if len(listed) > 1 else []
    if missing:
        text = f"part {missing[0]} is missing" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        raise Truncated("Android sparse image", Span(os.path.basename(path), 0, 0), f"{text}: put it beside the others or list them all")
    return listed


def _open(family: Family, path: str) -> Image:
    file = PooledFile(family.pool, path)
    if file.read_at(0, 4) != f.SIGNATURE:
        raise NotThisFormat("Android sparse image", Span(file.root, 0, 4), "no signature")
    budget = family.budget
    parts = [_Part(family.open(p), budget) for p in _set_of(family, path)]
    size = max(part.size for part in parts)
    if len({part.block for part in parts}) > 1 or len({part.size for part in parts}) > 1:
        found = ", ".join(f"{part.file.root}: {part.blocks} blocks of {part.block}" for part in parts)
        budget.report(Corrupt("Android sparse image", Span(file.root, 0, f.HEADER.size), f"the parts differ: {found[:500]}"))
    media = _media(parts, size)
    first = parts[0]
    facts = {
        "version": first.version, "block_size": str(first.block), "blocks": str(first.blocks), "parts": str(len(parts)),
        "chunks": ", ".join(f"{name} {sum(part.kind.count(kind) for part in parts)}" for kind, name in
                            ((f.RAW, "raw"), (f.FILL, "fill"), (f.DONT_CARE, "don't care"))),
    }  # fmt: skip
    stored, twice = _covered(parts)
    facts["not_stored"] = str(size - stored)
    span = Span(file.root, 0, f.HEADER.size)
    if size > stored:
        text = f"{size - stored} bytes are in chunks of type don't care: what they held was not stored, and they read as zero"
        budget.report(Finding.note("Android sparse image", text, path, span))
    if twice:
        budget.report(Finding.note("Android sparse image", f"{twice} bytes are in more than one part: the last one counts", path, span))
    checks = [check for part in parts for check in _checks(part, len(parts) == 1)]
    return Image(media, format="androidsparse", name=first.file.root, facts=facts, checks=checks)


def open_sparse(paths: Sequence[str], budget: Budget) -> Image:
    """The disk in the one file, or in the parts that the caller lists or that are numbered beside it (..._sparsechunk.0 ...).

    Raises NotThisFormat by the signature, Truncated when a part is missing, Corrupt for a header that cannot be. A chunk that cannot be
    hides all behind it: a finding, and reading there raises Unreadable. So are bytes of type don't care a finding: nobody knows them.
    """
    return opened(expand(paths), budget, _open)


FORMAT = ImageFormat(
    name="androidsparse",
    title="Android sparse image",
    refs=("Android Open Source Project, system/core/libsparse/sparse_format.h and simg2img",),
    gaps=(
        "chunks of type don't care were not stored: they read as zero, as every driver gives them, and a finding says how many bytes",
        "parts are put over each other as fastboot writes them, later ones on top; where the last ones are lost, nothing tells",
        "parts are found by the numbers in ..._sparsechunk.0 ...; list those that have other names",
        "images without checksum chunks (all that img2simg writes) have nothing to verify; gzip around the image is not taken off",
        "a super partition inside is raw: its logical partitions are not listed",
    ),
    signatures=(Signature(f.SIGNATURE),),
    extensions=(".simg",),
    open=open_sparse,
)
