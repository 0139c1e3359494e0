"""An open hive: its keys, live and deleted, as stored and with its transaction logs replayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from forensiclib.core.batch import Batch
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.regf import BINS
from forensiclib.stores.regf import patterns as _patterns
from forensiclib.stores.regf.base import Base
from forensiclib.stores.regf.cells import Cells
from forensiclib.stores.regf.deleted import Live, Recovered, recover
from forensiclib.stores.regf.keys import Key, Value
from forensiclib.stores.regf.kinds import hive_kind
from forensiclib.stores.regf.logs import Replay
from forensiclib.stores.regf.table import NOTHING, Walked, damage, table, walked

__all__ = ["Change", "Hive"]

_CURRENT = "currentcontrolset"


@dataclass(frozen=True, slots=True)
class Change:
    """A key that the transaction logs change.

    kind     "new", "removed" or "changed" (its last written time or any of its values)
    before   as stored; after   replayed; None where it is not there
    """

    path: str
    kind: Literal["new", "removed", "changed"]
    before: Key | None
    after: Key | None


class Hive:
    """One view of a hive; thread-safe. Damage met on the way goes to the budget it was opened with.

    base      the base block; kind   see kinds.hive_kind; root   None when it cannot be read
    source    where at and length of keys and values count: the replayed overlay, or ``handed``,
              the source that was opened, or ``part``: hive bins without their hive, at their offsets
    stored    the hive as stored; the same object when no log was replayed
    replay    what the logs gave, None for none
    """

    def __init__(
        self,
        handed: ByteSource,
        base: Base,
        budget: Budget,
        stored: Hive | None = None,
        replay: Replay | None = None,
        part: ByteSource | None = None,
    ) -> None:
        self.handed, self.base, self.budget, self.replay = handed, base, budget, replay
        self.stored: Hive = self if stored is None else stored
        self.source = part if part is not None else handed if replay is None else replay.source
        self._reported: set[tuple[str, str]] = set()
        self._walked: Walked | None = None
        self._recovered: Recovered | None = None
        self.cells = Cells(self.source, self.report, part is not None, self.source.size - handed.size - BINS if part is not None else 0)
        self._check_bins()
        self.root = self._root()
        self.kind = self._kind()

    def report(self, error: EvidenceError) -> None:
        """Hand damage to the budget, the same damage once."""
        mark = (error.what, error.found)
        if mark not in self._reported:
            self._reported.add(mark)
            self.budget.report(error)

    def _check_bins(self) -> None:
        """Damage inside the stated size; what lies behind it is remnants and need not be hive bins."""
        at = 0
        for found in self.cells.bins():
            if not isinstance(found, EvidenceError):
                at = sum(found)
            elif at < self.base.bins_size:
                self.report(found)
        if self.cells.size < self.base.bins_size:
            text = f"{self.cells.size:#x} of {self.base.bins_size:#x} bytes of hive bins"
            self.report(Corrupt("registry hive", None, text))

    def _root(self) -> Key | None:
        if self.cells.part:
            return None
        try:
            return Key(self, self.cells.key(self.base.root), "")
        except EvidenceError as error:
            self.report(error)
            return None

    def _kind(self) -> str:
        children = list(self.root.subkeys()) if self.root else []
        below = [k.name for k in children[0].subkeys()] if len(children) == 1 else []
        return hive_kind([k.name for k in children], below, self.base.file_name)

    def key(self, path: str) -> Key | None:
        """The live key at a "\\\\"-separated path below the root, case-insensitive; None for none.
        CurrentControlSet is understood."""
        found: Key | None = self.root
        for name in self._resolved(path).split("\\") if path else ():
            found = found.subkey(name) if found else None
        return found

    def find(self, patterns: Sequence[str] | str, deleted: bool = False) -> Iterator[Key]:
        """Keys whose path below the root matches any pattern, parents first.

        Patterns: "\\\\" between parts, * and ? within one part, ** for any number of parts,
        case-insensitive; CurrentControlSet stands for what Select\\\\Current says. With
        ``deleted`` the deleted ones follow, see deleted().
        """
        given = [patterns] if isinstance(patterns, str) else patterns
        compiled = _patterns.compile_patterns([self._resolved(p) for p in given])
        yield from self._descend(compiled)
        if deleted:
            yield from (k for k in self.deleted() if isinstance(k, Key) and _patterns.matches(compiled, k.path))

    def walk(self) -> Iterator[Key]:
        """Every live key, parents first."""
        return self.find("**")

    def _resolved(self, path: str) -> str:
        first, mark, rest = path.strip("\\").partition("\\")
        if first.lower() != _CURRENT or self.kind != "SYSTEM":
            return path
        select = self.root.subkey("Select") if self.root else None
        value = select.value("Current") if select else None
        number = value.decoded if value else None
        if isinstance(number, int):
            return f"ControlSet{number:03d}{mark}{rest}"
        self.report(Corrupt("Select\\Current", None, "not there: every control set is taken for the current one"))
        return f"ControlSet*{mark}{rest}"

    def _descend(self, compiled: _patterns.Patterns) -> Iterator[Key]:
        if self.root is None:
            return
        seen: set[int] = set()
        stack = [(iter([self.root]), _patterns.start(compiled))]
        while stack:
            keys, state = stack[-1]
            key = next(keys, None)
            if key is None:
                stack.pop()
                continue
            self.budget.item()
            here = state if len(stack) == 1 else _patterns.advance(compiled, state, key.name)
            if not here:
                continue
            if key.node.offset in seen:
                text = f"listed twice, again as {key.path}"
                self.report(Corrupt("key", self.cells.span(key.node.offset, key.length), text))
                continue
            seen.add(key.node.offset)
            if _patterns.done(compiled, here):
                yield key
            if len(stack) > self.budget.limits.depth:
                text = f"deeper than {self.budget.limits.depth} levels"
                self.report(LimitExceeded("keys", self.cells.span(key.node.offset, key.length), text))
                continue
            stack.append((key.subkeys(), here))

    def walked(self) -> Walked:
        """The live tree as numbers, by compiled code (kernels.regf_walk)."""
        if self._walked is None:
            found = walked(self.cells, self.base.root, self.budget) if self.root or not self.cells.part else NOTHING
            for error in damage(self.cells, found):
                self.report(error)
            self._walked = found
        return self._walked

    def table(self) -> Batch:
        """Every live value: path (of its key), name, type (number), size (stated), data (null when none
        is to be had), last_written (of its key), key_at, value_at, data_at (offsets in ``source``, -1
        for none), state. LimitExceeded when the paths or the data outgrow Limits.allocation."""
        return table(self.cells, self.walked(), self.budget)

    def _recover(self) -> Recovered:
        if self._recovered is None:
            found = self.walked()
            paths: list[str] = []
            keys: dict[int, tuple[str, int]] = {}
            for row in range(0, len(found.keys), 4):
                node, parent = self.cells.key(found.keys[row]), found.keys[row + 1]
                path = "" if parent < 0 else f"{paths[parent]}\\{node.name}" if paths[parent] else node.name
                paths.append(path)
                keys[node.offset] = (path, node.last_written)
            used = iter(found.used)
            live = Live(keys, sorted(zip(used, used, strict=True)))
            self._recovered = recover(self, live, self.budget)
        return self._recovered

    def deleted(self) -> Iterator[Key | Value]:
        """What was deleted and can be believed: keys (their values in values()), then values of live keys
        (their key in ``key``), then, when there are any, one key of path "?" that holds the values of
        which no key is known."""
        found = self._recover()
        yield from found.keys
        for values in found.values.values():
            yield from values
        if found.lost is not None:
            yield found.lost

    def recovered_values(self, key: Key) -> tuple[Value, ...]:
        """Deleted values of a live key."""
        return tuple(self._recover().values.get(key.node.offset, ()))

    def changes(self) -> Iterator[Change]:
        """Keys that differ between the stored and the replayed view, in the order of the replayed tree, then
        those that the logs remove."""
        if self.stored is self:
            return
        before = _by_path(self.stored)
        after = _by_path(self)
        for path, key in after.items():
            old = before.get(path)
            if old is None:
                yield Change(key.path, "new", None, key)
            elif _print(old) != _print(key):
                yield Change(key.path, "changed", old, key)
        for path, key in before.items():
            if path not in after:
                yield Change(key.path, "removed", key, None)


def _by_path(hive: Hive) -> dict[tuple[str, int], Key]:
    """Keys by lower-case path and, for names that stand twice under one parent, which of them."""
    out: dict[tuple[str, int], Key] = {}
    for key in hive.walk():
        number, path = 0, key.path.lower()
        while (path, number) in out:
            number += 1
        out[path, number] = key
    return out


def _print(key: Key) -> tuple[int, list[tuple[str, int, bytes]]]:
    return key.node.last_written, sorted((v.name, v.kind.number, v.data) for v in key.values())
