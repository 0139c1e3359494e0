"""PBKDF2's inner loop (RFC 8018, 5.2) for many chains at once: the specification of _native/stretch.pxi."""

from __future__ import annotations

import hashlib

from forensiclib._plain.oldhash import old_digest

__all__ = ["STRETCH_HASHES", "STRETCH_LEVELS", "stretch", "stretch_checks"]

STRETCH_LEVELS = ("portable",)
"""Instruction sets of the compiled form, weakest first; ``level`` counts into it."""
STRETCH_HASHES = {
    "sha1": (20, 64), "sha256": (32, 64), "sha512": (64, 128), "blake2s": (32, 64), "ripemd160": (20, 64), "whirlpool": (64, 64),
    "streebog512": (64, 64),
}  # fmt: skip
"""Hash -> bytes of its digest, bytes of its block."""

Bytes = bytes | bytearray | memoryview


def stretch_checks(name: str, key: Bytes, chains: Bytes, rounds: int) -> None:
    """Raise ValueError for what does not fit. The messages hold lengths, never a key."""
    if name not in STRETCH_HASHES:
        raise ValueError(f"no hash {name!r}")
    size, block = STRETCH_HASHES[name]
    if len(key) > block:
        raise ValueError(f"a key of {len(key)} bytes: {name} takes {block} or their hash")
    if len(chains) % (2 * size) or not 0 <= rounds < 1 << 32:
        raise ValueError(f"{len(chains)} bytes of chains, {rounds} rounds")


def stretch(name: str, key: Bytes, chains: bytearray | memoryview, rounds: int, level: int | None = None) -> None:
    """More rounds of PBKDF2 for each chain, in place.

    name    of STRETCH_HASHES; key   of HMAC, at most one block (a longer one is hashed by the caller)
    chains  writable; of each chain U, the last output of HMAC, and T, the sum so far: both are U1 after the first round
    rounds  how many more; a caller that wants to stop now and then asks for a part at a time
    level   index into STRETCH_LEVELS; None is the best. Raises ValueError for lengths that do not fit.
    """
    stretch_checks(name, key, chains, rounds)
    size, block = STRETCH_HASHES[name]
    pad = bytes(key).ljust(block, b"\0")
    inner, outer = bytes(b ^ 0x36 for b in pad), bytes(b ^ 0x5C for b in pad)
    for at in range(0, len(chains), 2 * size):
        u, t = bytes(chains[at : at + size]), int.from_bytes(chains[at + size : at + 2 * size], "little")
        for _ in range(rounds):
            u = _digest(name, outer + _digest(name, inner + u))
            t ^= int.from_bytes(u, "little")
        chains[at : at + 2 * size] = u + t.to_bytes(size, "little")


def _digest(name: str, data: bytes) -> bytes:
    if name in ("ripemd160", "whirlpool", "streebog512"):
        return old_digest(name, data)
    return hashlib.new(name, data).digest()
