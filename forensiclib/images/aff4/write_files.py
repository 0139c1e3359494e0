"""Write a tree of files as an AFF4-L volume."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from contextlib import suppress

from forensiclib.core.entry import Entry, FileSystem, Image, Stream
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, fill_bad
from forensiclib.core.writing import WriteOptions, Written
from forensiclib.formats.aff4 import MAP_ENTRY, PATTERNS, SCHEMA
from forensiclib.images._writing import OutputFile, joined, sample_of
from forensiclib.images.aff4 import compose
from forensiclib.images.aff4.bevies import DATA, Bevies, Members, Packer
from forensiclib.images.aff4.compose import Said
from forensiclib.images.aff4.logical import TIMES
from forensiclib.images.aff4.symbolic import repeated
from forensiclib.kernels import SUM_KINDS, crc32, sum_begin, sum_finish, sum_update

__all__ = ["write_files"]

BLOCK = 1 << 20
"""Bytes read at once; a file of no more is one member of the volume, a larger one a chunked stream."""
BEVY = 64 << 20
_RESERVED = ("information.turtle", "version.txt", "container.description")
_ESCAPED = frozenset('"%<>\\^`{|}')


def _fragment(path: str) -> str:
    """A path as a part of a name, escaped as pyaff4 escapes it."""
    return "".join(f"%{ord(c):02x}" if c <= " " or c in _ESCAPED or c == "\x7f" else c for c in path)


class _Files:
    """One volume while it is written."""

    def __init__(self, image: Image, tree: FileSystem, path: str, options: WriteOptions, budget: Budget, seed: bytes) -> None:
        self.image, self.tree, self.path, self.options, self.budget, self.seed = image, tree, path, options, budget, seed
        self.volume = compose.urn(seed, "volume")
        self.chunk = options.chunk_sectors * options.sector_size
        self.pack = Packer("none" if options.compression == "empty-block" else options.compression, self.chunk, symbols=False)
        self.members, self.subjects = Members(), list[tuple[str, Said]]()
        self.taken: set[str] = set()
        self.task = compose.urn(seed, "image")
        self.more = compose.statements(options, self.volume, self.task, seed)

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        self.members.file = OutputFile(self.path)
        self.members.add("container.description", self.volume.encode())
        self.members.add("version.txt", b"major=1\nminor=1\ntool=forensiclib\n")
        total, done = sum(entry.size for entry in self.tree.walk()), 0
        device = compose.device(self.options)
        if self.more or device:
            self.subjects.append((self.task, {"a": ["LogicalAcquisitionTask"], **device, "stored": [compose.iri(self.volume)]}))
        for entry in self.tree.walk():
            self.budget.check()
            self._entry(entry)
            done += entry.size
            if progress is not None:
                progress(done, total)
        self.members.add("information.turtle", compose.turtle(self.volume, [*self.subjects, *self.more]))
        self.members.finish(self.volume)
        self.members.out.flush()

    def _entry(self, entry: Entry) -> None:
        try:
            streams = entry.streams()
        except EvidenceError as error:
            self.budget.report(error, entry.path)
            streams = ()
        if not streams:
            self._say(entry, "", self._urn(entry.path), ["Folder"] if entry.kind == "directory" else ["FileImage", "Image"], {})
        for stream in streams:
            self._content(entry, stream)

    def _urn(self, path: str) -> str:
        """A name for what has this path; one that no path has where the path is taken, or means something else in a volume."""
        made = f"{self.volume}/{_fragment(path)}"
        if path in _RESERVED or path.split("/")[0] in _RESERVED or made in self.taken or any(p in ("", ".", "..") for p in path.split("/")):
            made = compose.urn(self.seed, f"{len(self.taken)} {path}")
        self.taken.add(made)
        return made

    def _name(self, urn: str) -> str:
        """The member of a name ("/" and the path; version 1.1 does not escape names of other volumes)."""
        return urn.removeprefix(self.volume + "/").replace("%20", " ") if urn.startswith(self.volume + "/") else urn

    def _say(self, entry: Entry, stream: str, urn: str, kinds: list[str], said: dict[str, list[str]]) -> None:
        text = compose.text
        out: dict[str, list[str]] = {"a": kinds, "originalFileName": [text(entry.path + (f":{stream}" if stream else ""), "xsd:string")]}
        for name, what in TIMES.items():
            if (when := entry.times.get(what)) is not None and when.ns is not None:
                out[name] = [text(when.iso(), "xsd:dateTime")]
        if entry.state != "allocated":
            out["state"] = [text(entry.state)]
        self.subjects.append((urn, {**out, **said, "stored": [compose.iri(self.volume)]}))

    def _content(self, entry: Entry, stream: Stream) -> None:
        where = entry.path + (f":{stream.name}" if stream.name else "")
        urn = self._urn(where)
        names = tuple(self.options.algorithms)
        states = tuple(sum_begin(name) for name in names)
        bad: list[tuple[int, int]] = []
        if stream.size <= BLOCK:
            data = self._read(stream, 0, stream.size, bad, where)
            sum_update(names, states, data)
            if not bad:
                self._segment(urn, data)
                kinds: list[str] = ["FileImage", "Image", "ZipSegment"]
        if stream.size > BLOCK or bad:
            kinds = self._chunked(urn, stream, names, states if stream.size > BLOCK else (), bad, where)
        digests = {name: sum_finish(name, state).hex() for name, state in zip(names, states, strict=True)}
        hashes = [compose.text(value, f"aff4:{compose.DATATYPES[name]}") for name, value in digests.items() if name in compose.DATATYPES]
        self._say(entry, stream.name, urn, kinds, {"size": [compose.long(stream.size)], **({"hash": hashes} if hashes else {})})

    def _read(self, stream: Stream, offset: int, n: int, bad: list[tuple[int, int]], where: str, again: bool = False) -> bytes:
        """``n`` bytes; those that cannot be read as the standard's text, their sectors in ``bad``, each a finding if not ``again``."""
        try:
            data = stream.read_at(offset, n)
            if len(data) == n:
                return data
        except EvidenceError:
            pass
        out, grain = bytearray(n), self.options.sector_size
        for at in range(0, n, grain):
            lost: list[EvidenceError] = []
            take = min(grain, n - at)
            piece = fill_bad(stream, lost.append, grain).read_at(offset + at, take)
            out[at : at + len(piece)] = piece
            if lost or len(piece) < take:
                out[at : at + take] = repeated(PATTERNS["UnreadableData"], offset + at, take)
                if not bad or bad[-1][0] + bad[-1][1] != offset + at:
                    for error in [] if again else lost[:1]:
                        self.budget.report(error, where)
                bad[:] = joined([*bad, (offset + at, take)])
        return bytes(out)

    def _segment(self, urn: str, data: bytes) -> None:
        engine = zlib.compressobj(9 if self.options.compression == "best" else 6, zlib.DEFLATED, -15)
        packed = engine.compress(data) + engine.flush() if self.options.compression not in ("none", "empty-block") else data
        if len(packed) < len(data):
            self.members.add(self._name(urn), packed, method=8, crc=crc32(data, 0), size=len(data))
        else:
            self.members.add(self._name(urn), data)

    def _chunked(
        self, urn: str, stream: Stream, names: tuple[str, ...], states: tuple[bytearray, ...], bad: list[tuple[int, int]], where: str
    ) -> list[str]:
        """A chunked stream of the file's own name; where something cannot be read, of another, and a map that says so."""
        count, size = max(1, BEVY // self.chunk), stream.size
        inner = compose.urn(self.seed, f"stream {urn}")
        bevies = Bevies(self.members, inner, self.chunk, count, self._name(inner))
        step = max(self.chunk, BLOCK // self.chunk * self.chunk)
        bad.clear()
        for at in range(0, size, step):
            self.budget.check()
            data = self._read(stream, at, min(step, size - at), bad, where, not states)
            if states:
                sum_update(names, states, data)
            view = memoryview(data)
            for low in range(0, len(data), self.chunk):
                _, kind, stored, digest = self.pack(view[low : low + self.chunk])
                assert kind == DATA
                bevies.add(stored, digest)
        bevies.close()
        points, at = bytearray(), 0
        for start, n in bad:
            if at < start:
                points += MAP_ENTRY.packed.pack(at, start - at, at, 0)
            points += MAP_ENTRY.packed.pack(start, n, start, 1)
            at = start + n
        if at < size:
            points += MAP_ENTRY.packed.pack(at, size - at, at, 0)
        self.members.add(f"{self._name(urn)}/map", bytes(points))
        self.members.add(f"{self._name(urn)}/idx", f"{inner}\n{SCHEMA}UnreadableData\n".encode())
        self.subjects += bevies.said(self.pack.method, self.volume, urn)
        return ["FileImage", "Image", "Map"]


def write_files(
    image: Image, tree: FileSystem, path: str, options: WriteOptions, budget: Budget, progress: Callable[[int, int], None] | None = None
) -> Written:
    """The tree as one volume of AFF4-L; ``digests`` are those of the volume's own bytes, which are the media of logical evidence.

    What of a file cannot be read is aff4:UnreadableData in its map, and the text that the standard defines for it in its
    digests. A volume that is not finished is removed.
    """
    unknown = [name for name in options.algorithms if name not in SUM_KINDS]
    if unknown or not options.algorithms:
        raise UsageError(f"no algorithm {', '.join(unknown) or 'given'}; there are {', '.join(SUM_KINDS)}")
    seed = hashlib.sha256(repr((sorted(options.facts.items()), options.acquired, options.system)).encode() + sample_of(image)).digest()
    job = _Files(image, tree, path, options, budget, seed)
    whole = False
    try:
        job.run(progress)
        whole = True
    finally:
        if job.members.file is not None:
            job.members.file.close()
            if not whole:
                with suppress(OSError):
                    os.unlink(path)
    states = tuple(sum_begin(name) for name in options.algorithms)
    made, at = FileSource(path), 0
    try:
        while piece := made.read_at(at, BLOCK):
            sum_update(tuple(options.algorithms), states, piece)
            at += len(piece)
    finally:
        made.close()
    digests = {name: sum_finish(name, state).hex() for name, state in zip(options.algorithms, states, strict=True)}
    return Written((path,), at, digests, digests)
