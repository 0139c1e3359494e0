"""Columns with a schema: plain buffers that Arrow readers take without a copy."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any

from forensiclib.core.errors import MissingSupport, UsageError
from forensiclib.core.time import Timestamp

__all__ = ["Batch", "Column", "batch_of"]

Buffer = bytes | bytearray | memoryview | array  # type: ignore[type-arg]

FIXED: dict[str, Any] = {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float64": "d", "timestamp": "q",
}  # fmt: skip
"""Fixed-width types and their array codes. timestamp is int64 ns since 1970, UTC."""
TYPES = (*FIXED, "bool", "utf8", "binary", "list_int64", "enum")
"""bool: one byte a value. utf8, binary: int64 offsets and bytes. list_int64: int64 offsets and
int64 values. enum: uint8 codes into ``categories``; Arrow readers see utf8."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: buffers as the type in TYPES says, little-endian, contiguous.

    offsets   length+1 int64 values for utf8, binary, list_int64
    validity  Arrow bitmap, least significant bit first; None when nothing is null
    """

    name: str
    type: str
    data: Buffer
    offsets: Buffer | None = None
    validity: Buffer | None = None
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise UsageError(f"column {self.name}: no type {self.type!r}")

    def valid(self, i: int) -> bool:
        """Whether value i is not null."""
        return self.validity is None or bool(memoryview(self.validity).cast("B")[i >> 3] >> (i & 7) & 1)

    def getter(self) -> Callable[[int], Any]:
        """A function from row number to Python value (None for null); str for utf8 and enum."""
        data = memoryview(self.data).cast("B") if len(self.data) else memoryview(b"")
        get: Callable[[int], Any]
        if self.type in FIXED:
            get = data.cast(FIXED[self.type]).__getitem__
        elif self.type == "bool":
            get = lambda i: data[i] != 0  # noqa: E731
        elif self.type == "enum":
            get = lambda i: self.categories[data[i]]  # noqa: E731
        else:
            assert self.offsets is not None
            offsets = memoryview(self.offsets).cast("B").cast("q")
            if self.type == "list_int64":
                values = data.cast("q")
                get = lambda i: values[offsets[i] : offsets[i + 1]].tolist()  # noqa: E731
            elif self.type == "utf8":
                get = lambda i: str(data[offsets[i] : offsets[i + 1]], "utf-8")  # noqa: E731
            else:
                get = lambda i: bytes(data[offsets[i] : offsets[i + 1]])  # noqa: E731
        return get if self.validity is None else lambda i: get(i) if self.valid(i) else None


@dataclass(frozen=True, slots=True)
class Batch:
    """``length`` rows of named columns.

    Implements the Arrow PyCapsule interface (``__arrow_c_array__``, ``__arrow_c_stream__``), so
    ``pyarrow.record_batch(b)``, ``polars.from_arrow(b)`` and duckdb read it directly; those
    calls need nanoarrow and raise MissingSupport without it.
    """

    length: int
    columns: tuple[Column, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.length

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; UsageError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"no column {name!r}; there are {', '.join(self.names)}")

    def list(self, name: str) -> list[Any]:
        """All values of one column as Python objects."""
        get = self.column(name).getter()
        return [get(i) for i in range(self.length)]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows as dicts. Slow by nature: for tests, JSON lines and small tables."""
        getters = [(c.name, c.getter()) for c in self.columns]
        for i in range(self.length):
            yield {name: get(i) for name, get in getters}

    def with_columns(self, *extra: Column) -> Batch:
        """The same rows with columns added, or replaced where the name exists."""
        new = {c.name: c for c in extra}
        kept = [new.pop(c.name, c) for c in self.columns]
        return Batch(self.length, (*kept, *new.values()), self.metadata)

    def take(self, rows: Sequence[int]) -> Batch:
        """These rows alone, in this order."""
        return Batch(len(rows), tuple(_taken(c, rows) for c in self.columns), self.metadata)

    def __arrow_c_schema__(self) -> object:
        return self._arrow().__arrow_c_array__()[0]

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        pair: tuple[object, object] = self._arrow().__arrow_c_array__()
        return pair

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        na = _nanoarrow()
        array_ = self._arrow()
        return na.CArrayStream.from_c_arrays([array_], array_.schema).__arrow_c_stream__()

    def _arrow(self) -> Any:
        na = _nanoarrow()
        children = [_to_nanoarrow(na, c, self.length) for c in self.columns]
        schema = na.struct({c.name: child.schema for c, child in zip(self.columns, children, strict=True)})
        return na.c_array_from_buffers(schema, self.length, [None], children=children)


def _taken(column: Column, rows: Sequence[int]) -> Column:
    validity = None if column.validity is None else _validity([1 if column.valid(i) else None for i in rows])
    data = memoryview(column.data).cast("B") if len(column.data) else memoryview(b"")
    if column.offsets is None:
        width = array(FIXED[column.type]).itemsize if column.type in FIXED else 1
        picked = b"".join([data[i * width : (i + 1) * width] for i in rows])
        return Column(column.name, column.type, picked, None, validity, column.categories)
    width = 8 if column.type == "list_int64" else 1
    offsets = memoryview(column.offsets).cast("B").cast("q")
    picked = b"".join([data[offsets[i] * width : offsets[i + 1] * width] for i in rows])
    ends = array("q", accumulate((offsets[i + 1] - offsets[i] for i in rows), initial=0))
    return Column(column.name, column.type, picked, ends, validity, column.categories)


def _nanoarrow() -> Any:
    try:
        import nanoarrow
    except ImportError as error:
        raise MissingSupport("Arrow export needs nanoarrow: pip install 'forensiclib[cli]'") from error
    return nanoarrow


def _bits(data: Buffer, length: int) -> bytearray:
    view = memoryview(data).cast("B")
    out = bytearray((length + 7) // 8)
    for i in range(length):
        if view[i]:
            out[i >> 3] |= 1 << (i & 7)
    return out


def _to_nanoarrow(na: Any, column: Column, length: int) -> Any:
    data, offsets = column.data, column.offsets
    if column.type == "enum":
        texts = [c.encode() for c in column.categories]
        codes = memoryview(data).cast("B")
        data, steps, at = b"".join([texts[c] for c in codes]), array("q", [0]), 0
        lengths = [len(t) for t in texts]
        for code in codes:
            at += lengths[code]
            steps.append(at)
        offsets = steps
    if column.type == "list_int64":
        child = na.c_array_from_buffers(na.int64(), len(data) // (1 if isinstance(data, array) else 8), [None, data])
        return na.c_array_from_buffers(na.large_list(na.int64()), length, [column.validity, offsets], children=[child])
    if column.type in ("utf8", "enum", "binary"):
        kind = na.large_binary() if column.type == "binary" else na.large_string()
        return na.c_array_from_buffers(kind, length, [column.validity, offsets, data])
    if column.type == "bool":
        return na.c_array_from_buffers(na.bool_(), length, [column.validity, _bits(data, length)])
    kind = na.timestamp("ns", "UTC") if column.type == "timestamp" else getattr(na, column.type)()
    return na.c_array_from_buffers(kind, length, [column.validity, data])


def _validity(values: Sequence[Any]) -> bytes | None:
    if None not in values:
        return None
    bits = "".join(["0" if v is None else "1" for v in reversed(values)])
    return int(bits, 2).to_bytes((len(values) + 7) // 8, "little")


def _column_of(name: str, kind: str, values: list[Any]) -> Column:
    if kind == "timestamp":
        values = [v.int64 if isinstance(v, Timestamp) else v for v in values]
    validity = _validity(values)
    if kind in FIXED:
        return Column(name, kind, array(FIXED[kind], values if validity is None else [v or 0 for v in values]), None, validity)
    if kind == "bool":
        return Column(name, kind, bytes(bool(v) for v in values), None, validity)
    if kind == "list_int64":
        lists = [v or () for v in values]
        offsets = array("q", accumulate(map(len, lists), initial=0))
        return Column(name, kind, array("q", chain.from_iterable(lists)), offsets, validity)
    # Lone surrogates cannot be UTF-8: they become "?"; rooms decode evidence text before it comes here.
    raw = [v if isinstance(v, bytes) else b"" if v is None else str(v).encode("utf-8", "replace") for v in values]
    return Column(name, kind, b"".join(raw), array("q", accumulate(map(len, raw), initial=0)), validity)


def batch_of(schema: Sequence[tuple[str, str]], rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, str] | None = None) -> Batch:
    """Rows (dicts) to a Batch with the (name, type) columns of ``schema``; a missing key is null.

    Timestamp objects go into timestamp columns as UTC ns; enum is not accepted here.
    """
    table = list(rows)
    columns = tuple(_column_of(name, kind, [row.get(name) for row in table]) for name, kind in schema)
    return Batch(len(table), columns, metadata or {})
