"""Members and bevies of a volume while it is written."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field

from forensiclib.core.errors import UsageError
from forensiclib.formats.aff4 import INDEX_ENTRY, LZ4, STORED, ZLIB
from forensiclib.images._writing import OutputFile
from forensiclib.images.aff4 import compose
from forensiclib.images.aff4.compose import Said, Stored
from forensiclib.kernels import crc32, pack, sum_begin, sum_finish, sum_update

__all__ = ["BLOCK_HASH", "DATA", "METHODS", "Bevies", "Members", "Packer"]

BLOCK_HASH = "sha256"
DATA = -1
"""What a chunk is all of, when it is not all of one byte."""
METHODS: dict[str, tuple[str, int]] = {
    "none": (STORED[0], 0), "empty-block": (STORED[0], 0), "fast": (LZ4, 0), "lz4": (LZ4, 0), "best": (ZLIB, 9), "deflate": (ZLIB, 6),
}  # fmt: skip
"""Name of a compression -> its IRI, the level of deflate."""


class Packer:
    """Chunks as they are stored: (media bytes, the byte they are all of or DATA, stored, its hash). ``symbols``: whether chunks of
    one byte are told from others."""

    def __init__(self, compression: str, chunk: int, *, symbols: bool = True) -> None:
        self.method, self.level = METHODS[compression]
        self.chunk, self.whole = chunk, compression == "none" or not symbols
        self._same = {value: bytes([value]) * chunk for value in (0, 255)}

    def __call__(self, data: memoryview) -> tuple[int, int, bytes, bytes]:
        n, first = len(data), data[0]
        if not self.whole and first == data[-1] == data[n // 2]:
            same = self._same.get(first)
            if bytes(data) == (same[:n] if same is not None else bytes([first]) * n):
                return n, first, b"", b""
        plain = bytes(data) if n == self.chunk else bytes(data) + bytes(self.chunk - n)
        digest = hashlib.new(BLOCK_HASH, plain, usedforsecurity=False).digest()
        stored: bytes | bytearray = plain
        if self.level:
            stored = pack(plain, self.level)
        elif self.method == LZ4:
            import lz4.block

            stored = lz4.block.compress(plain, store_size=False)
        # "Compression": what saves less than 16 bytes is stored plain.
        return n, DATA, bytes(stored) if len(stored) < self.chunk - 16 else plain, digest


@dataclass(slots=True)
class Members:
    """What was written of a volume so far, in order; ``file`` is open while it is."""

    file: OutputFile | None = None
    done: list[Stored] = field(default_factory=list)

    @property
    def out(self) -> OutputFile:
        """The open file."""
        assert self.file is not None
        return self.file

    def add(self, name: str, data: bytes, *, method: int = 0, crc: int | None = None, size: int | None = None) -> None:
        """A whole member: stored as it is, or deflated (method 8) from ``size`` bytes with that CRC."""
        size = len(data) if size is None else size
        if max(len(data), size) >= 0xFFFFFFFF:
            raise UsageError(f"{name} would have {len(data)} bytes: larger chunks make it smaller")
        made = Stored(name, method, crc32(data, 0) if crc is None else crc, len(data), size, self.out.at)
        self.out.write(compose.local_header(name, method, made.crc, len(data), size) + data)
        self.done.append(made)

    def finish(self, volume: str) -> None:
        """The directory and the end of the volume."""
        start = self.out.at
        for member in self.done:
            self.out.write(compose.central(member))
        self.out.write(compose.directory_end(len(self.done), self.out.at - start, start, volume))


class Bevies:
    """One chunked stream: bevies of ``count`` chunks, their indexes and block hashes.

    chunks   that were put so far; sealed   the sum of their block hashes
    """

    def __init__(self, members: Members, stream: str, chunk: int, count: int, name: str = "") -> None:
        """``name`` of the stream in the volume; without it what the standard makes of ``stream``."""
        self.members, self.stream, self.chunk, self.count = members, stream, chunk, count
        self.name = name or compose.member_name(stream)
        self.chunks = 0
        self.header, self.crc = -1, 0  # of the open bevy
        self.index, self.hashes = array("I"), bytearray()
        self.sealed = sum_begin("sha512")

    def add(self, stored: bytes, digest: bytes) -> None:
        """The next chunk."""
        if self.header < 0:
            self.header, self.crc = self.members.out.at, 0
            self.index, self.hashes = array("I"), bytearray()
            self.members.out.write(compose.local_header(self._name(self.chunks)))  # its size is known when it ends
        self.index.append(len(stored))
        self.hashes += digest
        self.crc = crc32(stored, self.crc)
        self.members.out.write(stored)
        self.chunks += 1
        if len(self.index) == self.count:
            self.close()

    def _name(self, chunk: int) -> str:
        return f"{self.name}/{chunk // self.count:08d}"

    def close(self) -> None:
        """End the open bevy, if there is one."""
        if self.header < 0:
            return
        name, size = self._name(self.chunks - 1), sum(self.index)
        self.members.out.patch(self.header, compose.local_header(name, 0, self.crc, size, size))
        self.members.done.append(Stored(name, 0, self.crc, size, size, self.header))
        at, entries = 0, bytearray()
        for length in self.index:
            entries += INDEX_ENTRY.packed.pack(at, length)
            at += length
        self.members.add(f"{name}.index", bytes(entries))
        self.members.add(f"{name}.blockHash.{BLOCK_HASH}", bytes(self.hashes))
        sum_update(("sha512",), (self.sealed,), self.hashes)
        self.header = -1

    def said(self, method: str, volume: str, target: str) -> list[tuple[str, Said]]:
        """The statements about the stream and its block hashes."""
        text, iri = compose.text, compose.iri
        stream: Said = {
            "a": ["ImageStream"],
            "chunkSize": [text(str(self.chunk), "xsd:int")],
            "chunksInSegment": [text(str(self.count), "xsd:int")],
            "compressionMethod": [iri(method)],
            "size": [compose.long(self.chunks * self.chunk)],
            "stored": [iri(volume)],
            "target": [iri(target)],
            "version": [text("1", "xsd:int")],
        }
        seal: Said = {"a": ["BlockHashes"], "hash": [text(self.digest().hex(), "aff4:SHA512")]}
        return [(self.stream, stream), (f"{self.stream}/blockhash.{BLOCK_HASH}", seal)]

    def digest(self) -> bytes:
        """SHA-512 of all block hashes of the bevies that were closed."""
        return sum_finish("sha512", bytearray(self.sealed))
