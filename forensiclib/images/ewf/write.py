"""Write an EWF-E01 set in the manner of EnCase 6 and 7."""

from __future__ import annotations

import base64
import hashlib
import os
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from forensiclib.core.declare import ImageWriter
from forensiclib.core.errors import Corrupt, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.writing import COMPRESSIONS, WriteOptions, Written
from forensiclib.formats.ewf import DIGEST, ERROR2_ENTRY, ERROR2_HEADER, HASH, SECTION, SESSION_ENTRY, SESSION_HEADER, TABLE_HEADER, VOLUME
from forensiclib.images._writing import STATE, OutputFile, Sink, run_pass, sample_of
from forensiclib.images.ewf import compose
from forensiclib.images.ewf.segments import extension
from forensiclib.kernels import adler32, pack

__all__ = ["WRITER", "write_ewf"]

SEGMENT = 1500 << 20
"""Bytes of a segment where the caller does not say: below 2 GiB, as file systems and tools of every age take it."""
LEAST = 1 << 20
SECTOR_COUNTS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
"""Sectors a chunk that the tools know."""
ENTRIES = 65_534
"""Entries of a table: the limit of EnCase 6 and 7 ("Table header")."""
REACH = 1 << 31
"""Bytes of a sectors section: an entry has 31 bits."""
SEGMENTS = 14_971
""".E01 to .ZZZ"""
BLOCK = 1 << 20
_ENGINE_LEVELS = {"empty-block": 9, "fast": 1, "best": 9}


class _Packer:
    """Chunks as they are stored: packed, or plain with their Adler-32."""

    def __init__(self, compression: str, chunk: int) -> None:
        self.level, self.chunk = _ENGINE_LEVELS.get(compression, 0), chunk
        self.only_empty = compression == "empty-block"
        self._same: dict[int, tuple[bytes, bytes]] = {}  # byte -> a chunk of nothing else, plain and packed

    def __call__(self, data: memoryview) -> tuple[bytes, bool]:
        if not self.level:
            return _plain(data), False
        if data[0] == data[-1] == data[len(data) // 2] and len(data) == self.chunk:
            plain, packed = self._same.get(data[0]) or self._learn(data[0])
            if data.obj is not None and bytes(data) == plain:
                return packed, True
        if self.only_empty:
            return _plain(data), False
        made = pack(data, self.level)
        return (bytes(made), True) if len(made) < len(data) else (_plain(data), False)

    def _learn(self, value: int) -> tuple[bytes, bytes]:
        plain = bytes([value]) * self.chunk
        made = self._same[value] = (plain, bytes(pack(plain, self.level)))
        return made


def _plain(data: memoryview) -> bytes:
    return bytes(data) + adler32(data).to_bytes(4, "little")


class _Set(Sink):
    """The segments of one set; ``_at`` counts in the file that is open, what waits in ``_waiting`` included."""

    name = "ewf"

    def __init__(self, path: str, options: WriteOptions, size: int, identifier: bytes) -> None:
        self.options, self.limit = options, options.segment_size or SEGMENT
        self.chunk = options.chunk_sectors * options.sector_size
        self.block = max(self.chunk, BLOCK // self.chunk * self.chunk)
        self.pack = _Packer(options.compression, self.chunk)
        self.stem, self.first = os.path.splitext(path)
        self.headers, self.volume = compose.headers(options), compose.volume(options, size, identifier)
        self.paths: list[str] = []
        self._file: OutputFile | None = None
        self._at = 0
        self._waiting: list[bytes] = []
        self._section = -1  # where the open sectors section begins
        self._entries = array("I")
        self._bad = 0

    # what the pass asks

    def encode(self, data: memoryview) -> list[tuple[bytes, bool]]:
        return [self.pack(data[at : at + self.chunk]) for at in range(0, len(data), self.chunk)]

    def put(self, encoded: list[tuple[bytes, bool]], bad: int) -> None:
        self._bad = bad
        for stored, packed in encoded:
            if not self._room(len(stored)):
                self._close_section()
                if self._at + SECTION.size + len(stored) + self._behind(1) > self.limit:
                    self._next_segment()
                self._open_section()
            self._entries.append(self._at - self._section | (REACH if packed else 0))
            self._add(stored)
        self._drain()

    def finish(self, digests: dict[str, str], bad: Sequence[tuple[int, int]]) -> None:
        self._close_section()
        if len(self.paths) == 1:
            self._add(compose.section("data", self._at, self.volume))
        if self.options.sessions:
            self._add(compose.section("session", self._at, compose.session_body(self.options.sessions)))
        if ranges := _sectors(bad, self.options.sector_size):
            self._add(compose.section("error2", self._at, compose.error2_body(ranges)))
        if "sha1" in digests:
            self._add(compose.section("digest", self._at, compose.digest_body(digests.get("md5", "00" * 16), digests["sha1"])))
        if "md5" in digests:
            self._add(compose.section("hash", self._at, compose.hash_body(digests["md5"])))
        self._add(compose.end("done", self._at))
        self._drain()

    def start(self) -> None:
        self._new_segment(None)
        for kind, body in (*self.headers, ("volume", self.volume)):
            self._add(compose.section(kind, self._at, body))
        self._open_section()
        self._drain()

    def mark(self) -> tuple[int, int, int, array[int], int]:
        return len(self.paths), self._at, self._section, self._entries, len(self._entries)

    def state(self, mark: tuple[int, int, int, array[int], int]) -> dict[str, Any]:
        segments, at, section, entries, count = mark
        listed = ",".join(map(str, entries[:count])).encode()
        return {"segments": segments, "at": at, "section": section, "entries": base64.b85encode(listed).decode()}

    def restore(self, state: dict[str, Any]) -> None:
        self.paths = [self._path(number) for number in range(1, state["segments"] + 1)]
        try:
            self._file = OutputFile(self.paths[-1], go_on=state["at"])
        except FileNotFoundError as error:
            raise UsageError(f"{self.paths[-1]}: no such file; the set that was stopped is not whole") from error
        self._at, self._section = state["at"], state["section"]
        listed = base64.b85decode(state["entries"]).decode()
        self._entries = array("I", map(int, listed.split(","))) if listed else array("I")
        self._resumed = True

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    # the parts

    _resumed = False

    def _path(self, number: int) -> str:
        return self.stem + extension(self.first, number)

    def _new_segment(self, ours: Callable[[bytes], bool] | None) -> None:
        path = self._path(len(self.paths) + 1)
        self._file = OutputFile(path, ours=ours)
        self.paths.append(path)
        self._at = 0
        self._add(compose.file_header(len(self.paths)))

    def _next_segment(self) -> None:
        self._add(compose.end("next", self._at))
        self._drain()
        assert self._file is not None
        self._file.flush()
        self._file.close()
        head = compose.file_header(len(self.paths) + 1)
        # A segment that the stopped job began after its state was saved is the only file that may be replaced.
        self._new_segment((lambda found: found == b"" or found.startswith(head)) if self._resumed else None)
        self._add(compose.section("data", self._at, self.volume))

    def _open_section(self) -> None:
        self._section, self._entries = self._at, array("I")
        self._add(bytes(SECTION.size))  # its size is known when it ends

    def _close_section(self) -> None:
        self._drain()
        assert self._file is not None
        self._file.patch(self._section, compose.descriptor("sectors", self._section, self._at - self._section))
        body = compose.table(self._entries, self._section)
        for kind in ("table", "table2"):
            self._add(compose.section(kind, self._at, body))
        self._drain()

    def _room(self, length: int) -> bool:
        """Whether another chunk of ``length`` bytes fits in this sectors section."""
        count, ahead = len(self._entries), self._at + length
        return count == 0 or (count < ENTRIES and ahead - self._section < REACH and ahead + self._behind(count + 1) <= self.limit)

    def _behind(self, entries: int) -> int:
        """Bytes that must still follow in the segment, should it be the last."""
        tables = 2 * (SECTION.size + TABLE_HEADER.size + 4 * entries + 4)
        errors = SECTION.size + ERROR2_HEADER.size + ERROR2_ENTRY.size * self._bad + 4
        sessions = SECTION.size + SESSION_HEADER.size + SESSION_ENTRY.size * len(self.options.sessions) + 4
        return tables + errors + sessions + 4 * SECTION.size + VOLUME.size + DIGEST.size + HASH.size

    def _add(self, data: bytes) -> None:
        self._waiting.append(data)
        self._at += len(data)

    def _drain(self) -> None:
        assert self._file is not None
        waiting, self._waiting = self._waiting, []
        self._file.write(b"".join(waiting))


def _sectors(bad: Sequence[tuple[int, int]], sector: int) -> list[tuple[int, int]]:
    """Bytes to whole sectors, as far as error2 can say: 32 bits."""
    out = [(start // sector, -(-(start + n) // sector) - start // sector) for start, n in bad]
    return [(start, count) for start, count in out if start + count < 1 << 32]


def _checked(source: ByteSource, path: str, options: WriteOptions) -> int:
    """Bytes of media; UsageError for what the format cannot take."""
    size = source.size + -source.size % max(1, options.sector_size)
    if options.compression not in COMPRESSIONS:
        raise UsageError(f"no compression {options.compression!r}; there are {', '.join(COMPRESSIONS)}")
    if options.chunk_sectors not in SECTOR_COUNTS:
        raise UsageError(f"{options.chunk_sectors} sectors a chunk; there are {', '.join(map(str, SECTOR_COUNTS))}")
    if options.sector_size not in (512, 1024, 2048, 4096):
        raise UsageError(f"sectors of {options.sector_size} bytes; there are 512, 1024, 2048, 4096")
    if not 1 <= options.error_granularity <= options.chunk_sectors:
        raise UsageError(f"an error granularity of {options.error_granularity} sectors; it is 1 to {options.chunk_sectors}")
    if any(kind not in ("data", "audio") or not 0 <= start < 1 << 32 for start, kind in options.sessions):
        raise UsageError("a session is its first sector and data or audio")
    if options.identifier is not None and len(options.identifier) != 16:
        raise UsageError(f"a set identifier has 16 bytes, not {len(options.identifier)}")
    chunk, limit = options.chunk_sectors * options.sector_size, options.segment_size or SEGMENT
    if limit < max(LEAST, 2 * chunk + 65536):
        raise UsageError(f"segments of {limit} bytes; {max(LEAST, 2 * chunk + 65536)} are the least with chunks of {chunk}")
    if size == 0:
        raise UsageError("the source is empty: EWF holds no media without sectors")
    suffix = os.path.splitext(path)[1]
    if suffix not in (".E01", ".e01"):
        raise UsageError(f"{path}: the first segment is named .E01")
    # Stored plain a chunk has 4 bytes more, and 8 in the tables.
    if (size + 12 * -(-size // chunk)) // (limit - 65536) + 1 > SEGMENTS:
        raise UsageError(f"{size} bytes in segments of {limit} may be more than the {SEGMENTS} that have a name: larger segments")
    return size


def _identifier(source: ByteSource, options: WriteOptions) -> bytes:
    """16 bytes that other media or other words do not have, in the form of a random GUID (version 4)."""
    if options.identifier is not None:
        return options.identifier
    made = bytearray(hashlib.sha256(b"".join(body for _, body in compose.headers(options)) + sample_of(source)).digest()[:16])
    made[7], made[8] = made[7] & 0x0F | 0x40, made[8] & 0x3F | 0x80
    return bytes(made)


def write_ewf(
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
    """The set .E01 .E02 ...; see ``WriteCall``. MD5 and SHA-1 are stored where they are among the algorithms."""
    size = _checked(source, path, options)
    sink = _Set(path, options, size, _identifier(source, options))
    made = run_pass(
        source, sink, options, budget, state=path + STATE, threads=threads, progress=progress, known_bad=known_bad, resume=resume
    )  # fmt: skip
    if len(_sectors(made.bad, options.sector_size)) < len(made.bad):
        lost = next(start for start, n in made.bad if (start + n) // options.sector_size >= (1 << 32) - 1)
        budget.report(Corrupt("EWF error2 section", Span("", lost, 0), "bad ranges behind sector 2^32 have no place in the format"))
    return made


WRITER = ImageWriter(
    name="ewf",
    title="Expert Witness Compression Format (E01), as EnCase 6 and 7 write it",
    refs=(
        'Joachim Metz, "Expert Witness Compression Format (EWF)", libewf documentation: The sections, '
        "Segment file extensions, Error2 section",
    ),
    gaps=(
        "EWF2 (Ex01), EWF-X (xheader, xhash) and the forms of EnCase 1 to 5, FTK Imager and SMART are not written",
        "no digest but MD5 and SHA-1 has a place in the format; others are computed and told",
        "header2 holds every character, the older header Windows-1252 only",
        "unreadable sectors from number 2^32 on have no place in the format; they are findings",
        "a job goes on only with the compressor (libdeflate or zlib) that it began with",
    ),
    extensions=(".e01",),
    write=write_ewf,
)
