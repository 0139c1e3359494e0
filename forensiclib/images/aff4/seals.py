"""The digests that a volume stores of its parts, and what they are of: tables, streams, the block map hash over all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

from forensiclib.core.entry import Seal
from forensiclib.core.errors import Truncated, Unsupported
from forensiclib.core.source import ByteSource, ConcatSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.formats.aff4 import BLOCK_HASHES
from forensiclib.images.aff4.chunks import ImageStream
from forensiclib.images.aff4.container import Container, local
from forensiclib.images.aff4.logical import files_of, path_of
from forensiclib.images.aff4.maps import MapStream
from forensiclib.images.aff4.turtle import Literal

__all__ = ["disk_seals", "file_seals"]

BLOCKMAP = {"blockmaphashsha512": "sha512", "blockmaphashsha256": "sha256"}
_TABLES = (("mapPointHash", "map points", ("map",)), ("mapIdxHash", "map targets", ("idx",)), ("mapPathHash", "map path", ("mapPath",)))


def _need(container: Container, *urns: str) -> ByteSource:
    found = container.segment(*urns)
    if found is None:
        raise Truncated("AFF4 segment", Span(container.volumes[0].root, 0, 0), f"{urns[0][:120]} is in no volume")
    return found


def _whole_map(container: Container, urn: str) -> ByteSource:
    parts = [_need(container, f"{urn}/map"), _need(container, f"{urn}/idx")]
    path = container.segment(f"{urn}/mapPath")
    return ConcatSource(parts if path is None else [*parts, path])


def _indexes(stream: ImageStream) -> ByteSource:
    """All indexes of a stream, one behind the other."""
    return ConcatSource([stream.bevy(n)[1] for n in range(-(-stream.chunks // stream.shape.count))])


def _block_hashes(stream: ImageStream, algorithm: str) -> ByteSource:
    parts = [stream.block_hashes(n, algorithm) for n in range(-(-stream.chunks // stream.shape.count))]
    if any(part is None for part in parts):
        raise Truncated("AFF4 block hashes", None, f"{stream.urn[:120]}: {algorithm} of bevy {parts.index(None)} are not there")
    return ConcatSource([part for part in parts if part is not None])


def _digest(source: ByteSource, algorithm: str) -> bytes:
    made, at = hashlib.new(algorithm, usedforsecurity=False), 0
    while piece := source.read_at(at, 1 << 20):
        made.update(piece)
        at += len(piece)
    return made.digest()


def _stored_block_hashes(container: Container, urn: str) -> dict[str, dict[str, str]]:
    """Algorithm of the blocks -> algorithm of the whole -> hex."""
    out: dict[str, dict[str, str]] = {}
    for name in BLOCK_HASHES:
        if found := container.hashes(f"{urn}/blockhash.{name}", "hash"):
            out[name] = found
    for name, value in container.hashes(urn, "blockHashesHash").items():
        out.setdefault(name, {name: value})  # before the standard: blocks and whole by the same algorithm
    return {name: out[name] for name in BLOCK_HASHES if name in out}


def _block_map(container: Container, urn: str, stream: ImageStream) -> ByteSource:
    """What the block map hash is of: the digests of the block hashes, the shortest first, and those of the tables."""
    out = b""
    for name, stored in _stored_block_hashes(container, stream.urn).items():
        for algorithm in stored:
            out += _digest(_block_hashes(stream, name), algorithm)
    for name, _, segments in _TABLES:
        for algorithm in container.hashes(urn, name):
            out += _digest(_need(container, *(f"{urn}/{segment}" for segment in segments)), algorithm)
    return MemorySource(out)


def _own_stream(container: Container, urn: str) -> ImageStream:
    """The one chunked stream that lies in the same volume as the map. Unsupported when it is not one."""
    data = container.stream(urn)
    found = [data.target(n) for n in data.used()] if isinstance(data, MapStream) else [data]
    streams = {made.urn: made for made in found if isinstance(made, ImageStream)}
    if len(streams) > 1:
        here = container.member(f"{urn}/map")
        streams = {n: s for n, s in streams.items() if here and (bevy := container.member(f"{n}/00000000")) and bevy[0] is here[0]}
    if len(streams) != 1:
        raise Unsupported("AFF4 block map hash", Span(container.volumes[0].root, 0, 0), f"a map of {len(streams)} streams of its volume")
    return next(iter(streams.values()))


def _maps_seal(container: Container, maps: Sequence[str], algorithm: str) -> ByteSource:
    """What the block map hash of an image is of: that of its map, or of several maps (a striped image) their hashes in the order of
    the maps' names, as Evimetry has it."""
    parts = [_block_map(container, urn, _own_stream(container, urn)) for urn in sorted(maps)]
    return parts[0] if len(parts) == 1 else MemorySource(b"".join(_digest(part, algorithm) for part in parts))


def disk_seals(container: Container, image: str, streams: Sequence[str]) -> Iterator[Seal]:
    """All that is stored of a disk image beside the digests of its media."""
    maps = [urn for urn in streams if isinstance(container.stream(urn), MapStream)]
    for value in container.values(image, "hash"):
        if isinstance(value, Literal) and (algorithm := BLOCKMAP.get(local(value.kind).lower())):
            yield Seal("block map", {algorithm: value.text.strip().lower()}, partial(_maps_seal, container, maps, algorithm))
    for urn in maps:
        label = f" of {urn}" if len(maps) > 1 else ""
        for name, title, segments in _TABLES:
            if stored := container.hashes(urn, name):
                yield Seal(title + label, stored, partial(_need, container, *(f"{urn}/{segment}" for segment in segments)))
        if stored := container.hashes(urn, "mapHash"):
            yield Seal("map" + label, stored, partial(_whole_map, container, urn))
        # Before the standard a map has the block map hash under the name that streams have for theirs.
        if stored := container.hashes(urn, "blockMapHash") or container.hashes(urn, "blockHashesHash"):
            yield Seal("block map of the map" + label, stored, partial(_maps_seal, container, [urn], ""))
    yield from _stream_seals(container, maps or streams)


def _stream_seals(container: Container, named: Sequence[str]) -> Iterator[Seal]:
    found: dict[str, ImageStream] = {}
    for urn in named:
        data = container.stream(urn)
        for made in [data.target(n) for n in data.used()] if isinstance(data, MapStream) else [data]:
            if isinstance(made, ImageStream):
                found[made.urn] = made
    for urn, stream in found.items():
        label = f" of {urn}" if len(found) > 1 else ""
        for name, stored in _stored_block_hashes(container, urn).items():
            yield Seal(f"block hashes {name}{label}", stored, partial(_block_hashes, stream, name))
        if stored := container.hashes(urn, "imageStreamIndexHash"):
            yield Seal("bevy indexes" + label, stored, partial(_indexes, stream))
        if stored := container.hashes(urn, "hash"):
            yield Seal("stream" + label, stored, stream.thorough)


def file_seals(container: Container) -> Iterator[Seal]:
    """The digests of every file of logical evidence."""
    for urn in files_of(container):
        if stored := container.hashes(urn, "hash"):
            yield Seal(path_of(container, urn), stored, partial(container.stream, urn), listed=False)
