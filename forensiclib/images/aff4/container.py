"""What the volumes together say, and the streams they hold: maps, chunked streams, members, repeated bytes."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence

from forensiclib.core.errors import Corrupt, LimitExceeded, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats.aff4 import DATATYPES, NAMESPACES, PATTERNS, RDF_TYPE
from forensiclib.images.aff4.chunks import ImageStream, Shape
from forensiclib.images.aff4.maps import MapStream, load_map
from forensiclib.images.aff4.symbolic import Repeated
from forensiclib.images.aff4.turtle import Literal, Term, triples
from forensiclib.images.aff4.zipvolume import ZipVolume

__all__ = ["Container", "local", "read_volume", "symbolic"]

DEPTH = 16
"""Maps of maps. A map of a disk has chunked streams below it, a striped one no more."""
_SLICE = re.compile(r"(.+)\[0x([0-9a-fA-F]{1,16}):0x([0-9a-fA-F]{1,16})\]")
_SYMBOL = re.compile(r"(?:SymbolicStream)?([0-9A-Fa-f]{2})(?:Device)?")


def local(iri: str) -> str:
    """A name without its namespace, when it is one of ours; else all of it."""
    for space in NAMESPACES:
        if iri.startswith(space):
            return iri[len(space) :]
    return iri


def read_volume(volume: ZipVolume, budget: Budget) -> dict[str, dict[str, list[Term]]]:
    """subject -> local name of the predicate -> objects, in the order of the text. What is no Turtle is a finding, and what
    stands before it holds. Corrupt when there are no metadata at all."""
    graph: dict[str, dict[str, list[Term]]] = {}
    if "information.turtle" not in volume.members:
        raise Corrupt("AFF4 volume", Span(volume.root, 0, volume.file.size), "no information.turtle")
    names, chunk = ["information.turtle"], 0
    if "information.turtle/directives" in volume.members:
        # pyaff4 appends: the prefixes, and each job's statements.
        names = ["information.turtle/directives"]
        while f"information.turtle/{chunk:08d}" in volume.members:
            names.append(f"information.turtle/{chunk:08d}")
            chunk += 1
    known: dict[str, str] = {RDF_TYPE: "a"}
    text = "\n".join(volume.read(name, budget.limits.allocation).decode("utf-8", "replace") for name in names)
    try:
        for subject, predicate, value in triples(text.lstrip("\ufeff"), f"{volume.root}:{names[0]}", budget):
            name = known.get(predicate) or known.setdefault(predicate, local(predicate))
            found = graph.setdefault(subject, {}).setdefault(name, [])
            if value not in found:
                found.append(value)
    except (Corrupt, Unsupported, LimitExceeded) as error:
        if isinstance(error, LimitExceeded) and error.what != "AFF4 metadata":
            raise
        budget.report(error)
    return graph


class Container:
    """Volumes and what they say. Any thread may ask for streams.

    graph  the statements of all volumes as one; tools   what wrote them, as version.txt has it
    """

    def __init__(self, volumes: Sequence[ZipVolume], graphs: Sequence[dict[str, dict[str, list[Term]]]], budget: Budget) -> None:
        self.volumes, self.budget = tuple(volumes), budget
        self.graph: dict[str, dict[str, list[Term]]] = {}
        if len(graphs) == 1:
            self.graph = graphs[0]
        for graph in graphs if len(graphs) > 1 else ():
            for subject, said in graph.items():
                mine = self.graph.setdefault(subject, {})
                for name, values in said.items():
                    kept = mine.setdefault(name, [])
                    kept += [value for value in values if value not in kept]
        texts = [v.read("version.txt", 65_536).decode("utf-8", "replace") for v in volumes if "version.txt" in v.members]
        self.versions = [dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line) for text in texts]
        self.tools = {version.get("tool", "") for version in self.versions}
        self._streams: dict[str, ByteSource] = {}
        self._lock = threading.RLock()

    # what is said

    def kinds(self, urn: str) -> set[str]:
        """Local names of its types."""
        return {local(str(value)) for value in self.graph.get(urn, {}).get("a", ()) if isinstance(value, str)}

    def values(self, urn: str, *names: str) -> list[Term]:
        """All that is said under any of these names, in their order."""
        said = self.graph.get(urn, {})
        return [value for name in names for value in said.get(name, ())]

    def text(self, urn: str, *names: str) -> str:
        """The first value as text; "" for none."""
        for value in self.values(urn, *names):
            return value.text if isinstance(value, Literal) else value
        return ""

    def number(self, urn: str, *names: str) -> int | None:
        """The one value as a number; None for none. Corrupt for two different ones, and for what is no number."""
        found = set()
        for value in self.values(urn, *names):
            text = value.text.strip() if isinstance(value, Literal) else value
            if not (text.isascii() and text.isdigit()) or len(text) > 20:
                raise self.wrong(urn, f"{names[0]} is {text[:40]!r}")
            found.add(int(text))
        if len(found) > 1:
            raise self.wrong(urn, f"{names[0]} is {' and '.join(map(str, sorted(found)[:4]))}")
        return found.pop() if found else None

    def hashes(self, urn: str, *names: str) -> dict[str, str]:
        """Algorithm -> hex of the hashes that are stored under these names, those of a known datatype."""
        out: dict[str, str] = {}
        for value in self.values(urn, *names):
            if isinstance(value, Literal) and (kind := DATATYPES.get(local(value.kind).lower())):
                out.setdefault(kind, value.text.strip().lower())
        return out

    def wrong(self, urn: str, found: str) -> Corrupt:
        """The error of a stream that is described in a way that cannot be."""
        return Corrupt("AFF4 stream", Span(self.volumes[0].root, 0, 0), f"{urn[:120]}: {found}")

    # the streams

    def member(self, urn: str) -> tuple[ZipVolume, str] | None:
        """The volume and the name of the member that holds this."""
        for volume in self.volumes:
            if (name := volume.find(urn)) is not None:
                return volume, name
        return None

    def segment(self, *urns: str) -> ByteSource | None:
        """The member of the first of these names that is there."""
        for urn in urns:
            if (found := self.member(urn)) is not None:
                return found[0].open(found[1])
        return None

    def read(self, urn: str) -> bytes | None:
        """All of a small member, its CRC checked; None when it is not there."""
        found = self.member(urn)
        return found[0].read(found[1], self.budget.limits.allocation) if found is not None else None

    def stream(self, urn: str, above: tuple[str, ...] = ()) -> ByteSource:
        """The bytes of a stream, a map, a member, an image, a repeated text, or a part of one of them.

        Raises Truncated for what is in no volume, Corrupt for a map of itself, Unsupported for encryption.
        """
        with self._lock:
            if (held := self._streams.get(urn)) is not None:
                return held  # it is whole: what it is made of was opened before it was kept
            if urn in above:
                raise self.wrong(urn, "a stream made of itself")
            if len(above) >= DEPTH:
                raise LimitExceeded(
                    "AFF4 stream", Span(self.volumes[0].root, 0, 0), f"{urn[:120]}: more than {DEPTH} streams one in the other"
                )
            made = self._made(urn, (*above, urn))
            if not _SLICE.fullmatch(urn):  # a deduplicated file has thousands of them
                self._streams[urn] = made
            return made

    def _made(self, urn: str, above: tuple[str, ...]) -> ByteSource:
        if (symbol := symbolic(urn)) is not None:
            return symbol
        if (part := _SLICE.fullmatch(urn)) is not None and urn not in self.graph:
            start, length = int(part[2], 16), int(part[3], 16)
            whole = self.stream(part[1], above)
            if start + length > whole.size:
                raise self.wrong(urn, f"a part behind the end of the stream, at {whole.size}")
            return whole.slice(start, length)
        kinds = self.kinds(urn)
        if kinds & {"EncryptedStream", "RandomAccessImageStream"}:
            raise Unsupported("AFF4 stream", Span(self.volumes[0].root, 0, 0), f"{urn[:120]}: encrypted")
        if kinds & {"Map", "map"}:
            return self._map(urn, above)
        if (kinds & {"ImageStream", "stream", "image"} and self.number(urn, "size") is not None) or self._bevies(urn):
            return self._chunked(urn)
        if (found := self.segment(urn)) is not None:
            return found
        for value in self.values(urn, "dataStream"):
            return self.stream(value.text if isinstance(value, Literal) else value, above)
        raise self.missing(urn)

    def missing(self, urn: str) -> Truncated:
        """The error of a stream that no volume has; says which volume it should be in."""
        where = [v for v in self.values(urn, "stored") if isinstance(v, str) and all(v != volume.urn for volume in self.volumes)]
        said = f", stored in {where[0]}: put that volume beside this one or list it" if where else ""
        return Truncated("AFF4 stream", Span(self.volumes[0].root, 0, 0), f"{urn[:120]} is in no volume{said}")

    def _bevies(self, urn: str) -> bool:
        return any(self.member(f"{urn}/00000000{end}") is not None for end in (".index", "/index"))

    def _map(self, urn: str, above: tuple[str, ...]) -> MapStream:
        points, index = self.read(f"{urn}/map"), self.read(f"{urn}/idx")
        size = self.number(urn, "size")
        if size == 0:
            points, index = points or b"", index or b""  # pyaff4 writes none of them for an empty file
        if points is None or index is None:
            raise self.missing(urn)
        gap = self.text(urn, "mapGapDefaultStream") or "http://aff4.org/Schema#Zero"
        targets = index.decode("utf-8", "replace").splitlines()
        made = load_map(points, targets, size, gap, lambda name: self.stream(name, above), self.volumes[0].root, self.budget)
        # All at once: a stream that is missing is said now and not in the middle of a job, and no map can come back to itself.
        for number in made.used():
            made.target(number)
        return made

    def _chunked(self, urn: str) -> ImageStream:
        size = self.number(urn, "size")
        chunk = self.number(urn, "chunkSize", "chunk_size")
        count = self.number(urn, "chunksInSegment", "chunks_in_segment", "chunks_per_segment")
        if size is None or (size and self.member(f"{urn}/00000000") is None):
            raise self.missing(urn)
        # What is not said is what pyaff4 takes it to be.
        chunk, count = 32_768 if chunk is None else chunk, 1024 if count is None else count
        # A bevy's index and its longest block hashes are taken at once.
        most = self.budget.limits.allocation
        if not 0 < chunk <= most // 4 or not 0 < min(count, -(-size // chunk) or 1) <= most // 64 or size >= 1 << 63:
            raise self.wrong(urn, f"{count} chunks of {chunk} bytes a bevy, {size} bytes")
        method = self.text(urn, "compressionMethod", "CompressionMethod", "compression")
        return ImageStream(urn, Shape(size, chunk, count, method), self.segment, self.volumes[0].root)

    def of_kind(self, *kinds: str) -> Iterator[str]:
        """Subjects of one of these types, in the order of the volumes."""
        wanted = set(kinds)
        return (urn for urn in self.graph if wanted & self.kinds(urn))


def symbolic(urn: str) -> Repeated | None:
    """The stream that a name of the standard, or of Evimetry before it, stands for."""
    name = local(urn)
    if name == urn:
        return None
    if name == "Zero":
        return Repeated(b"\0", "zero")
    if name in PATTERNS:
        return Repeated(PATTERNS[name], "unknown" if name == "UnknownData" else "unreadable")
    if (match := _SYMBOL.fullmatch(name)) is not None:
        value = bytes.fromhex(match[1])
        return Repeated(value, "repeat" if value != b"\0" else "zero")
    return None
