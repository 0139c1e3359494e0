"""Similarity of contents: ssdeep (context triggered piecewise hashing) and TLSH, digests and comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from forensiclib import kernels
from forensiclib.core.errors import Truncated, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["NO_SSDEEP", "NO_TLSH", "Ssdeep", "Tlsh", "ssdeep", "ssdeep_score", "ssdeep_scores", "tlsh", "tlsh_distance", "tlsh_distances"]

BLOCK = 1 << 20
"""Bytes read at a time."""
SSDEEP_MOST = 64 * (3 << 30)
"""The largest file that ssdeep has a digest for: 64 pieces of its largest block size, 192 GiB."""
NO_SSDEEP = "too large"
"""Stands in for the digest of a larger file."""
NO_TLSH = "TNULL"
"""Stands in for a digest, as TLSH's own tools print it: under 50 bytes, over 4 GiB, or too little variety."""
MANY = 1 << 16
"""Digests compared between two checks of the budget."""


class _Sum(Protocol):
    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class Ssdeep:
    """The digest that the program ssdeep prints, of bytes that come piece by piece: one pass, 2.2 KiB of memory, any block size.

    Kornblum, "Identifying almost identical files using context triggered piecewise hashing" (DFRWS
    2006). The GIL is released while bytes are taken.
    """

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = kernels.ctph_state()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take more bytes."""
        kernels.ctph_update(self._state, data)

    def hexdigest(self) -> str:
        """``blocksize:text:text`` (no hex, but what stands where a digest stands), or NO_SSDEEP over 192 GiB."""
        if int.from_bytes(self._state[:8], "little") > SSDEEP_MOST:
            return NO_SSDEEP
        return str(kernels.ctph_digest(self._state), "ascii")


class Tlsh:
    """The TLSH digest, version T1 with 128 buckets and one byte of checksum, of bytes that come piece by piece.

    Oliver, Cheng, Chen, "TLSH, a locality sensitive hash" (CTC 2013). 1 KiB of memory; the GIL is
    released while bytes are taken.
    """

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = kernels.tlsh_state()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take more bytes."""
        kernels.tlsh_update(self._state, data)

    def hexdigest(self) -> str:
        """``T1`` and 70 upper-case hex digits, or NO_TLSH where TLSH gives none."""
        made = kernels.tlsh_digest(self._state)
        return f"T1{made.hex().upper()}" if made else NO_TLSH


_Made = TypeVar("_Made", bound=_Sum)


def _fed(made: _Made, source: ByteSource, budget: Budget) -> _Made:
    view = memoryview(bytearray(min(BLOCK, source.size)))
    at = 0
    while at < source.size:
        budget.check()
        got = source.read_into(at, view[: min(BLOCK, source.size - at)])
        if not got:
            raise Truncated("source", None, f"nothing at {at} of {source.size}")
        made.update(view[:got])
        at += got
    return made


def ssdeep(source: ByteSource, *, budget: Budget) -> str:
    """The ssdeep digest of a whole source, read a mebibyte at a time.

    Raises the source's EvidenceError where it cannot be read, Cancelled and LimitExceeded from the budget.
    """
    return _fed(Ssdeep(), source, budget).hexdigest()


def tlsh(source: ByteSource, *, budget: Budget) -> str:
    """The TLSH digest of a whole source, NO_TLSH where there is none; errors as for ssdeep()."""
    return _fed(Tlsh(), source, budget).hexdigest()


_DIGEST = re.compile(r"(\d{1,11}):([A-Za-z0-9+/]{0,64}):([A-Za-z0-9+/]{0,64})(?:,.*)?", re.DOTALL)
_RUN = re.compile(r"(.)\1{3,}")


def _record(digest: str) -> bytes:
    found = _DIGEST.fullmatch(digest)
    level = (int(found[1]) // 3).bit_length() - 1 if found else -1
    if found is None or level < 0 or 3 << level != int(found[1]) or level > 30:
        raise UsageError(f"{digest[:200]!r} is no ssdeep digest")
    # Runs say little: only three characters of each are compared.
    texts = [_RUN.sub(r"\1\1\1", found[part]).encode() for part in (2, 3)]
    return kernels.ctph_record(level, *texts)


def ssdeep_score(one: str, other: str) -> int:
    """How alike two ssdeep digests are, 0 to 100, as the program ssdeep says.

    0 is also the answer where the block sizes are neither equal nor one the double of the other. A
    file name behind a comma is ignored. Raises UsageError for what is no digest.
    """
    return kernels.ctph_scores(_record(one), _record(other))[0]


def ssdeep_scores(one: str, many: Sequence[str], *, budget: Budget) -> bytearray:
    """ssdeep_score() of one digest against each of many: one byte each, in their order."""
    mine, out = _record(one), bytearray()
    for at in range(0, len(many), MANY):
        budget.check()
        out += kernels.ctph_scores(mine, b"".join([_record(digest) for digest in many[at : at + MANY]]))
    return out


_TLSH = re.compile(r"(?:T1)?([0-9A-Fa-f]{70})")


def _raw(digest: str) -> bytes:
    found = _TLSH.fullmatch(digest)
    if found is None:
        raise UsageError(f"{digest[:200]!r} is no TLSH digest of 128 buckets")
    return bytes.fromhex(found[1])


def tlsh_distance(one: str, other: str, *, length: bool = True) -> int:
    """How far apart two TLSH digests are: 0 is alike, and under about 100 is worth a look.

    length    whether the length of the file counts (``diff`` of TLSH's own tools; ``diffxlen`` where not)

    The prefix T1 may be missing. Raises UsageError for what is no digest, NO_TLSH included.
    """
    return int(memoryview(kernels.tlsh_distances(_raw(one), _raw(other), length)).cast("H")[0])


def tlsh_distances(one: str, many: Sequence[str], *, budget: Budget, length: bool = True) -> memoryview:
    """tlsh_distance() of one digest from each of many: uint16, in their order."""
    mine, out = _raw(one), bytearray()
    for at in range(0, len(many), MANY):
        budget.check()
        out += kernels.tlsh_distances(mine, b"".join([_raw(digest) for digest in many[at : at + MANY]]), length)
    return memoryview(out).cast("H")
