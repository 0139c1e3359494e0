"""Write a disk as an AFF4 volume: Standard v1.0, a map over one chunked stream."""

from __future__ import annotations

import base64
import hashlib
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from forensiclib.core.declare import ImageWriter
from forensiclib.core.entry import Image
from forensiclib.core.errors import UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.writing import COMPRESSIONS, WriteOptions, Written
from forensiclib.formats.aff4 import MAP_ENTRY, PATTERNS, SCHEMA
from forensiclib.images._writing import STATE, OutputFile, Sink, run_pass, sample_of
from forensiclib.images.aff4 import compose
from forensiclib.images.aff4.bevies import DATA, METHODS, Bevies, Members, Packer
from forensiclib.images.aff4.compose import Said, Stored
from forensiclib.images.aff4.symbolic import repeated
from forensiclib.images.aff4.write_files import write_files

__all__ = ["WRITER", "write_aff4"]

BEVY = 64 << 20
"""Bytes of media of one bevy: 2,048 chunks of 32 KiB, as Evimetry has it."""
BLOCK = 1 << 20
UNREADABLE = "UnreadableData"
UNREAD = 256
"""Target of what could not be read; DATA is what lies in the stream, 0 to 255 are repeated bytes."""


class _Volume(Sink):
    """One volume while it is written."""

    name = "aff4"
    fills = True

    def __init__(self, path: str, options: WriteOptions, size: int, sector: int, seed: bytes) -> None:
        self.path, self.options, self.size, self.sector, self.seed = path, options, size, sector, seed
        self.chunk = options.chunk_sectors * sector
        self.block = max(self.chunk, BLOCK // self.chunk * self.chunk)
        self.pack = Packer(options.compression, self.chunk)
        self.volume, self.image, self.map, self.stream = (compose.urn(seed, role) for role in ("volume", "image", "map", "stream"))
        if options.identifier is not None:
            digits = options.identifier.hex()
            self.volume = f"aff4://{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        self.more = compose.statements(options, self.volume, self.image, seed)
        self.paths: list[str] = []
        self._members = Members()
        self._bevies = Bevies(self._members, self.stream, self.chunk, max(1, BEVY // self.chunk))
        self._media = 0  # bytes so far
        self._runs = [array("Q"), array("Q"), array("q")]  # start, length, target

    # what the pass asks

    def filler(self, offset: int, n: int) -> bytes:
        return repeated(PATTERNS[UNREADABLE], offset, n)

    def encode(self, data: memoryview) -> list[tuple[int, int, bytes, bytes]]:
        return [self.pack(data[at : at + self.chunk]) for at in range(0, len(data), self.chunk)]

    def put(self, encoded: list[tuple[int, int, bytes, bytes]], bad: int) -> None:
        for size, value, stored, digest in encoded:
            self._run(size, value)
            if value == DATA:
                self._bevies.add(stored, digest)
            self._media += size

    def finish(self, digests: dict[str, str], bad: Sequence[tuple[int, int]]) -> None:
        self._bevies.close()
        points, index = self._map(bad)
        name = compose.member_name(self.map)
        self._members.add(f"{name}/map", points)
        self._members.add(f"{name}/idx", index)
        self._members.add("information.turtle", compose.turtle(self.volume, self._said(points, index, digests)))
        self._members.finish(self.volume)

    def start(self) -> None:
        self._members.file = OutputFile(self.path)
        self.paths.append(self.path)
        self._members.add("container.description", self.volume.encode())
        self._members.add("version.txt", b"major=1\nminor=0\ntool=forensiclib\n")

    def mark(self) -> Any:
        bevies, members = self._bevies, self._members
        tables = (bevies.index, len(bevies.index)), (bevies.hashes, len(bevies.hashes))
        last = self._runs[1][-1] if self._runs[1] else 0
        counters = (members.out.at, self._media, bevies.chunks, bevies.header, bevies.crc, len(members.done), len(self._runs[0]), last)
        return counters, tables, bytes(bevies.sealed)

    def state(self, mark: Any) -> dict[str, Any]:
        counters, ((index, entries), (hashes, length)), sealed = mark
        members, runs, last = counters[5:]
        lengths = [*self._runs[1][: runs - 1], last] if runs else []
        return {
            "counters": list(counters), "index": list(index[:entries]), "hashes": base64.b64encode(hashes[:length]).decode(),
            "sealed": base64.b64encode(sealed).decode(), "runs": [list(self._runs[0][:runs]), lengths, list(self._runs[2][:runs])],
            "members": [[m.name, m.method, m.crc, m.packed, m.size, m.header] for m in self._members.done[:members]],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        bevies = self._bevies
        at, self._media, bevies.chunks, bevies.header, bevies.crc, *_ = state["counters"]
        try:
            self._members.file = OutputFile(self.path, go_on=at)
        except FileNotFoundError as error:
            raise UsageError(f"{self.path}: no such file; the volume that was stopped is not whole") from error
        self.paths.append(self.path)
        bevies.index, bevies.hashes = array("I", state["index"]), bytearray(base64.b64decode(state["hashes"]))
        bevies.sealed = bytearray(base64.b64decode(state["sealed"]))
        self._runs = [array(code, values) for code, values in zip("QQq", state["runs"], strict=True)]
        self._members.done += [Stored(*member) for member in state["members"]]

    def flush(self) -> None:
        if self._members.file is not None:
            self._members.file.flush()

    def close(self) -> None:
        if self._members.file is not None:
            self._members.file.close()

    # the parts

    def _run(self, size: int, target: int) -> None:
        """The next bytes of the media lie there; in the stream one chunk follows the other."""
        starts, lengths, targets = self._runs
        if targets and targets[-1] == target and (target != DATA or lengths[-1] % self.chunk == 0):
            lengths[-1] += size
        else:
            starts.append(self._media)
            lengths.append(size)
            targets.append(target)

    def _map(self, bad: Sequence[tuple[int, int]]) -> tuple[bytes, bytes]:
        """The map and the names of its targets; what could not be read is UnreadableData, whatever the stream holds there."""
        points, names, numbers = bytearray(), list[str](), dict[int, int]()
        holes = iter(bad)
        hole = next(holes, None)

        def add(start: int, length: int, target: int, offset: int) -> None:
            if target not in numbers:
                numbers[target] = len(names)
                symbol = UNREADABLE if target == UNREAD else f"SymbolicStream{target:02X}" if target else "Zero"
                names.append(self.stream if target == DATA else SCHEMA + symbol)
            points.extend(MAP_ENTRY.packed.pack(start, length, offset, numbers[target]))

        placed = 0  # bytes of the stream
        for start, length, target in zip(*self._runs, strict=True):
            at, end = start, start + length
            while at < end:
                while hole is not None and hole[0] + hole[1] <= at:
                    hole = next(holes, None)
                low, high = (hole[0], hole[0] + hole[1]) if hole is not None else (end, end)
                if low <= at < high:
                    stop = min(high, end)
                    add(at, stop - at, UNREAD, at)
                else:
                    stop = min(low, end)
                    add(at, stop - at, target, placed + at - start if target == DATA else at)
                at = stop
            placed += -(-length // self.chunk) * self.chunk if target == DATA else 0
        return bytes(points), "".join(name + "\n" for name in names).encode()

    def _said(self, points: bytes, index: bytes, digests: dict[str, str]) -> list[tuple[str, Said]]:
        """The statements of the volume."""
        text, iri, long = compose.text, compose.iri, compose.long
        here = [iri(self.volume)]
        parts = [hashlib.sha512(points).digest(), hashlib.sha512(index).digest()]
        blocks = self._bevies.digest() if self._bevies.chunks else b""
        block_map = hashlib.sha512(blocks + b"".join(parts)).hexdigest()
        memory = self.options.media_type == "memory"
        kind = "MemoryImage" if memory else "DiskImage" if self.options.physical else "VolumeImage"
        linear = [text(value, f"aff4:{compose.DATATYPES[name]}") for name, value in digests.items() if name in compose.DATATYPES]
        out: list[tuple[str, Said]] = [
            (self.volume, {"a": ["ZipVolume"], "contains": [iri(u) for u in (self.image, self.map, *([self.stream] if blocks else []))],
                           "interface": ["aff4:Volume"]}),
            (self.image, {"a": [kind, "ContiguousImage", "Image"], "dataStream": [iri(self.map)], "size": [long(self.size)],
                          "blockSize": [text(str(self.sector), "xsd:int")], **compose.device(self.options),
                          "hash": [*linear, *([text(block_map, "aff4:blockMapHashSHA512")] if blocks else [])] or [], "stored": here}),
            (self.map, {"a": ["Map"], "size": [long(self.size)], "mapGapDefaultStream": ["aff4:Zero"],
                        "dependentStream": [iri(self.stream)] if blocks else [],
                        "mapPointHash": [text(parts[0].hex(), "aff4:SHA512")], "mapIdxHash": [text(parts[1].hex(), "aff4:SHA512")],
                        "mapHash": [text(hashlib.sha512(points + index).hexdigest(), "aff4:SHA512")],
                        "blockMapHash": [text(block_map, "aff4:SHA512")] if blocks else [], "stored": here, "target": [iri(self.image)]}),
        ]  # fmt: skip
        if blocks:
            out += self._bevies.said(self.pack.method, self.volume, self.map)
        return [(subject, {n: v for n, v in said.items() if v}) for subject, said in [*out, *self.more]]


def _checked(source: ByteSource, path: str, options: WriteOptions) -> None:
    """UsageError for what the format cannot take."""
    if options.compression not in METHODS:
        names = dict.fromkeys((*COMPRESSIONS, *METHODS))
        raise UsageError(f"no compression {options.compression!r}; there are {', '.join(names)}")
    if options.sector_size not in (512, 1024, 2048, 4096):
        raise UsageError(f"sectors of {options.sector_size} bytes; there are 512, 1024, 2048, 4096")
    chunk = options.chunk_sectors * options.sector_size
    if not 512 <= chunk <= 16 << 20 or chunk & (chunk - 1):
        raise UsageError(f"chunks of {chunk} bytes; there are powers of two up to 16 MiB")
    if not 1 <= options.error_granularity <= options.chunk_sectors:
        raise UsageError(f"an error granularity of {options.error_granularity} sectors; it is 1 to {options.chunk_sectors}")
    if options.segment_size is not None:
        raise UsageError("an AFF4 volume is one file: there are no segments")
    if options.sessions:
        raise UsageError("AFF4 has no place for sessions")
    if options.identifier is not None and len(options.identifier) != 16:
        raise UsageError(f"an identifier has 16 bytes, not {len(options.identifier)}")
    if options.media_type not in ("fixed", "removable", "optical", "memory"):
        raise UsageError(f"no media type {options.media_type!r}; there are fixed, removable, optical, memory")
    if source.size == 0:
        raise UsageError("the source is empty")
    if os.path.isdir(path):
        raise UsageError(f"{path}: a directory")


def write_aff4(
    source: ByteSource,
    path: str,
    options: WriteOptions,
    budget: Budget,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    known_bad: Sequence[tuple[int, int]] = (),
    resume: bool = False,
) -> Written:
    """One volume; see ``WriteCall``. ``compression``: fast and lz4 are LZ4, best and deflate zlib (levels 9 and 6); except with
    none, chunks of one repeated byte are no data but an entry of the map.

    What could not be read, now or by the source's own account, is aff4:UnreadableData: the digests of the media include the text
    that the standard defines for it, those of the source do not. Nothing is padded.

    Logical evidence (an Image with a tree) becomes a volume of AFF4-L, its digests those of the volume's own bytes; such a job
    does not go on where it was stopped.
    """
    _checked(source, path, options)
    if isinstance(source, Image) and source.tree is not None:
        if resume:
            raise UsageError("a volume of files is written in one go")
        return write_files(source, source.tree, path, options, budget, progress)
    words = repr((sorted(options.facts.items()), options.acquired, options.system, options.media_type, options.physical)).encode()
    seed = hashlib.sha256(words + sample_of(source)).digest()
    grain = options.error_granularity * options.sector_size
    plain = replace(options, sector_size=1, error_granularity=grain)
    sink = _Volume(path, options, source.size, options.sector_size, seed)
    return run_pass(
        source, sink, plain, budget, state=path + STATE, threads=threads, progress=progress, known_bad=known_bad, resume=resume
    )  # fmt: skip


WRITER = ImageWriter(
    name="aff4",
    title="Advanced Forensic Format 4 (AFF4 Standard v1.0; AFF4-L for files)",
    refs=(
        'B. Schatz, M. Cohen, "AFF4 Standard v1.0a" (github.com/aff4/Standard): Image Stream, Map, Hashing, Storage layer',
        "AFF4 Canonical Reference Images v1.0, as the form of names and of block hash segments",
    ),
    gaps=(
        "one volume: neither striped nor segmented sets; no mapPath; block hashes are SHA-256 alone",
        "Snappy is read and not written",
        "digests other than MD5, SHA-1, SHA-256, SHA-512 and BLAKE2b have no place in the format; they are computed and told",
        "files: not resumable; that one was deleted is said in a word of our own (aff4:state), which other tools do not know; of its "
        "attributes only the times are carried over",
        "a job goes on only with the compressors that it began with; a newer LZ4 library may pack otherwise",
    ),
    extensions=(".aff4",),
    write=write_aff4,
)
