"""Twin of _native/blockhash.pxi."""

from __future__ import annotations

import hashlib

from forensiclib.core.errors import UsageError

__all__ = ["BLOCK_LEVELS", "block_digests"]

BLOCK_LEVELS: tuple[str, ...] = ("scalar",)
"""Names of the instruction sets that block_digests can be told to use here, slowest first."""

_ALGORITHMS = ("md5", "sha1", "sha256")


def block_digests(data: bytes | bytearray | memoryview, size: int, algorithm: str = "md5", level: str | None = None) -> bytearray:
    """The digest of every block of ``size`` bytes, one behind the other; the last block may be shorter.

    size       a multiple of 64, at most 64 MiB
    algorithm  md5 (RFC 1321), sha1 or sha256 (FIPS 180-4)
    level      one of BLOCK_LEVELS; None is the fastest here. The bytes are the same. sha-ni has no md5: vector then.

    Raises UsageError for anything else.
    """
    if algorithm not in _ALGORITHMS:
        raise UsageError(f"no block digest {algorithm!r}; there are {', '.join(_ALGORITHMS)}")
    if size < 64 or size % 64 or size > 1 << 26:
        raise UsageError(f"blocks of {size} bytes: a multiple of 64, 64 MiB at most")
    if level is not None and level not in BLOCK_LEVELS:
        raise UsageError(f"no level {level!r}; there are {', '.join(BLOCK_LEVELS)}")
    view = memoryview(data)
    digests = (hashlib.new(algorithm, view[at : at + size], usedforsecurity=False).digest() for at in range(0, len(view), size))
    return bytearray(b"".join(digests))
