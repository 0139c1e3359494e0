"""Sums that have not seen everything yet: saved, carried elsewhere, gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forensiclib.core.errors import UsageError
from forensiclib.core.span import Span
from forensiclib.kernels import SUM_KINDS, sum_begin, sum_finish, sum_update

__all__ = ["ALGORITHMS", "Digests", "Partial", "checked"]

ALGORITHMS: tuple[str, ...] = SUM_KINDS
"""Names of digests. blake2b is the 64-byte form, blake3 the unkeyed 32-byte one; crc32 that of zlib and ISO 3309."""
_FORMAT, _VERSION = "forensiclib partial digests", 1


@dataclass(frozen=True, slots=True)
class Digests:
    """values  algorithm -> lower-case hex; size  bytes hashed; bad  unreadable ranges that were hashed as zero."""

    values: Mapping[str, str]
    size: int
    bad: tuple[Span, ...] = ()

    def __getitem__(self, algorithm: str) -> str:
        return self.values[algorithm]


def checked(algorithms: Sequence[str]) -> tuple[str, ...]:
    """The names, each once; UsageError when there is none or one that is no algorithm."""
    unknown = [name for name in algorithms if name not in ALGORITHMS]
    if unknown or not algorithms:
        raise UsageError(f"no algorithm {', '.join(unknown) or 'given'}; there are {', '.join(ALGORITHMS)}")
    return tuple(dict.fromkeys(algorithms))


@dataclass(slots=True)
class Partial:
    """The sums of the first ``offset`` bytes of something.

    offset   bytes seen by every sum
    size     bytes of the whole, where it is known: a source of another size cannot go on with it
    bad      unreadable ranges among them, hashed as zero
    states   algorithm -> the state of its kernel (``kernels.sum_begin``)
    """

    states: dict[str, bytearray]
    offset: int = 0
    size: int | None = None
    bad: list[Span] = field(default_factory=list)

    @classmethod
    def begin(cls, algorithms: Sequence[str]) -> Partial:
        """Sums that have seen nothing. UsageError for an unknown algorithm."""
        return cls({name: sum_begin(name) for name in checked(algorithms)})

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names of the sums."""
        return tuple(self.states)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """The bytes that follow."""
        sum_update(tuple(self.states), tuple(self.states.values()), data)
        self.offset += len(data)

    def digests(self) -> Digests:
        """The digests of what was seen so far; the sums may go on."""
        values = {name: sum_finish(name, state).hex() for name, state in self.states.items()}
        return Digests(values, self.offset, tuple(self.bad))

    def save(self) -> bytes:
        """JSON in UTF-8 that ``load`` takes, on any machine and for any later version that knows version 1."""
        body = {
            "format": _FORMAT,
            "version": _VERSION,
            "offset": self.offset,
            "size": self.size,
            "states": {name: bytes(state).hex() for name, state in self.states.items()},
            "bad": [[s.root, s.start, s.length, list(s.via), s.exact] for s in self.bad],
        }
        return json.dumps({**body, "check": _check(body)}, ensure_ascii=True).encode()

    @classmethod
    def load(cls, saved: bytes | str) -> Partial:
        """What ``save`` gave. UsageError when it is not that, is of a newer version, or was damaged on the way."""
        try:
            body = json.loads(saved)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not saved digests: {error}") from error
        if not isinstance(body, dict) or body.get("format") != _FORMAT:
            raise UsageError("not saved digests: another format")
        if body.get("version") != _VERSION:
            raise UsageError(f"saved digests of version {body.get('version')!r}; this is version {_VERSION}")
        if body.pop("check", None) != _check(body):
            raise UsageError("saved digests are damaged: their check does not match")
        try:
            states = {str(name): bytearray.fromhex(state) for name, state in body["states"].items()}
            bad = [Span(str(root), int(start), int(length), tuple(via), bool(exact)) for root, start, length, via, exact in body["bad"]]
            offset, size = body["offset"], body["size"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"saved digests are damaged: {error}") from error
        if type(offset) is not int or not (size is None or type(size) is int) or not 0 <= offset <= (offset if size is None else size):
            raise UsageError(f"saved digests are damaged: {offset!r} bytes of {size!r}")
        checked(tuple(states))
        for name, state in states.items():
            sum_finish(name, state)  # refuses a state of another length
            if int.from_bytes(state[:8], "little") != offset:
                raise UsageError(f"saved digests are damaged: {name} has not seen {offset} bytes")
        return cls(states, offset, size, bad)


def _check(body: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
