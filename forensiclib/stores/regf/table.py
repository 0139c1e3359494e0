"""The compiled walk: the live tree as numbers, and all values as one Batch."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.batch import Batch, Column
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.kernels import pack_bits, regf_columns, regf_walk
from forensiclib.stores.regf.cells import Cells

__all__ = ["NOTHING", "Walked", "damage", "table", "walked"]

_PROBLEMS = (
    "", "cell outside the hive", "too short", "wrong signature", "its cell is marked free", "used twice", "nested too deep",
    "more or fewer entries than stated", "name runs past its cell", "data missing", "not acquired", "cell runs past the hive",
)  # fmt: skip
_THINGS = ("key", "subkey list", "value list", "value", "value data", "key security", "class name")


@dataclass(frozen=True, slots=True)
class Walked:
    """The tables of the kernel (kernels.regf_walk)."""

    keys: array[int]
    values: array[int]
    used: array[int]
    damage: array[int]


NOTHING = Walked(array("I"), array("I"), array("I"), array("I"))
"""A tree of no keys: hive bins without their hive."""


def walked(cells: Cells, root: int, budget: Budget) -> Walked:
    """Every live key and value by offset; LimitExceeded past Limits.items list entries."""
    bad = array("q", [edge for pair in cells.bad for edge in pair]).tobytes()
    keys, values, used, hurt, items = regf_walk(cells.data, root, bad, budget.limits.items)
    if items > budget.limits.items:
        raise LimitExceeded("registry keys and values", None, f"more than {budget.limits.items}")
    return Walked(keys, values, used, hurt)


def damage(cells: Cells, found: Walked) -> Iterator[EvidenceError]:
    """What the walk met, in words."""
    rows = iter(found.damage)
    for code, what, offset in zip(rows, rows, rows, strict=True):
        span = cells.span(offset, 8)
        yield Corrupt(_THINGS[what], span, f"{_PROBLEMS[code]}, at {offset:#x}")


def table(cells: Cells, found: Walked, budget: Budget) -> Batch:
    """One row a live value, see Hive.table()."""
    room = budget.limits.allocation
    made = regf_columns(cells.data, found.keys, found.values, room, room)
    if made is None:
        raise LimitExceeded("registry values", None, f"more than {room} bytes of paths or data")
    length = len(found.values) // 6
    valid = {name: pack_bits(bytes(made[f"{name}_valid"])) for name in ("data", "last_written")}
    columns = (
        Column("path", "utf8", made["path"], made["path_offsets"]),
        Column("name", "utf8", made["name"], made["name_offsets"]),
        Column("type", "uint32", made["type"]),
        Column("size", "uint32", made["size"]),
        Column("data", "binary", made["data"], made["data_offsets"], valid["data"]),
        Column("last_written", "timestamp", made["last_written"], None, valid["last_written"]),
        Column("key_at", "int64", made["key_at"]),
        Column("value_at", "int64", made["value_at"]),
        Column("data_at", "int64", made["data_at"]),
        Column("state", "enum", bytes(length), categories=("allocated",)),
    )
    return Batch(length, columns)
