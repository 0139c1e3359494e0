"""The only importer of construct: fixed layouts, bounded texts, one way to parse, one way to compile.

Definitions state the published size; ``layout`` turns a fixed definition into a struct.Struct for
loops (0.5 us a record against construct's 19).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import construct as cs

from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.source import ByteSource

__all__ = [
    "Array", "Bytes", "Const", "Layout", "Padding", "Struct", "audit", "i16", "i32", "i64", "layout", "parse",
    "u8", "u16", "u16be", "u32", "u32be", "u64", "u64be",
]  # fmt: skip

u8, u16, u32, u64 = cs.Int8ul, cs.Int16ul, cs.Int32ul, cs.Int64ul
i16, i32, i64 = cs.Int16sl, cs.Int32sl, cs.Int64sl
u16be, u32be, u64be = cs.Int16ub, cs.Int32ub, cs.Int64ub
Bytes, Const, Padding = cs.Bytes, cs.Const, cs.Padding

_UNBOUNDED = (cs.GreedyRange, cs.RepeatUntil, cs.NullTerminated, type(cs.GreedyBytes))


def Struct(size: int, /, **fields: cs.Construct[Any, Any]) -> cs.Struct[Any, Any]:
    """A definition of exactly ``size`` bytes, the published number; ValueError at import when the
    fields do not add up to it."""
    made = cs.Struct(*(name / kind for name, kind in fields.items()))
    if made.sizeof() != size:
        raise ValueError(f"fields add up to {made.sizeof()} bytes, the specification says {size}")
    return made


def Array(count: int, kind: cs.Construct[Any, Any]) -> cs.Construct[Any, Any]:
    """A fixed number of elements."""
    if not 0 <= count <= 1 << 20:
        raise ValueError(f"array of {count}")
    return cs.Array(count, kind)


def audit(definition: cs.Construct[Any, Any], name: str = "") -> None:
    """Walk a definition and reject nodes without a bound: GreedyRange and its like hide damage (five
    records with a bad third parse to two and no error)."""
    if isinstance(definition, _UNBOUNDED) or definition is cs.GreedyBytes:
        raise ValueError(f"{name}: unbounded {type(definition).__name__}")
    for sub in (*getattr(definition, "subcons", ()), getattr(definition, "subcon", None)):
        if isinstance(sub, cs.Construct):
            audit(sub, f"{name}.{sub.name or '?'}")


def parse(definition: cs.Construct[Any, Any], source: ByteSource, offset: int, what: str) -> Any:
    """One structure at ``offset``; its fields are attributes of the result.

    Raises Truncated when the source ends inside it, Corrupt when a constant is not there.
    """
    size = definition.sizeof()
    raw = source.read_at(offset, size)
    if len(raw) < size:
        raise Truncated(what, _span(source, offset, len(raw)), f"{len(raw)} of {size} bytes")
    try:
        return definition.parse(raw)
    except cs.ConstructError as error:
        raise Corrupt(what, _span(source, offset, size), str(error).splitlines()[-1]) from error


def _span(source: ByteSource, offset: int, n: int) -> Any:
    spans = source.trace(offset, n)
    return spans[0] if spans else None


@dataclass(frozen=True, slots=True)
class Layout:
    """A fixed definition compiled to a struct.Struct: names and offsets beside it.

    ``layout.unpack(buffer, at)`` gives a tuple in the order of ``names``; ``layout.dict`` a dict.
    """

    names: tuple[str, ...]
    packed: struct.Struct
    offsets: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.packed.size

    def unpack(self, buffer: bytes | bytearray | memoryview, at: int = 0) -> tuple[Any, ...]:
        """The fields at ``at``; struct.error when the buffer is too short: check it before."""
        return self.packed.unpack_from(buffer, at)

    def dict(self, buffer: bytes | bytearray | memoryview, at: int = 0) -> dict[str, Any]:
        """Name to value."""
        return dict(zip(self.names, self.packed.unpack_from(buffer, at), strict=True))


def layout(definition: cs.Struct[Any, Any]) -> Layout:
    """Compile a definition made of fixed integers, byte strings, constants and padding.

    Bytes and constants come out as bytes, integers as int. ValueError for anything else.
    """
    order: str | None = None
    code, names, offsets, at = "", [], {}, 0
    for sub in definition.subcons:
        inner = sub.subcon if isinstance(sub, cs.Renamed) else sub
        size = inner.sizeof()
        if isinstance(inner, cs.FormatField):
            mark = inner.fmtstr[0]
            if size > 1:
                if order not in (None, mark):
                    raise ValueError("mixed byte order")
                order = mark
            piece = inner.fmtstr[1:]
        elif isinstance(inner, cs.Padded):
            code += f"{size}x"
            at += size
            continue
        elif isinstance(inner, (cs.Bytes, cs.Const)):
            piece = f"{size}s"
        else:
            raise ValueError(f"{sub.name}: {type(inner).__name__} has no fixed code")
        if not sub.name:
            raise ValueError("every field needs a name")
        names.append(sub.name)
        offsets[sub.name] = at
        code += piece
        at += size
    return Layout(tuple(names), struct.Struct((order or "<") + code), offsets)
