"""From passwords to keys: digests, PBKDF2 and Argon2 by the names that headers use, each bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from forensiclib.core.errors import LimitExceeded, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.kernels import old_digest, old_pbkdf2, stretch

__all__ = ["argon2", "digest_size", "hashed", "pbkdf2", "pbkdf2_many"]

ROUNDS = 100_000_000
"""Rounds of PBKDF2 in one derivation: half a minute. The largest that cryptsetup's benchmark ever asked on a fast machine is a tenth."""
SLICE = 20_000
"""Rounds between two looks at the budget: some hundredths of a second."""
WORK = 64 << 30
"""Argon2's memory times its passes, bytes: half a minute of one core. cryptsetup asks for 4 GiB, VeraCrypt for 2."""

_OLD = {"whirlpool": "whirlpool", "wp512": "whirlpool", "ripemd160": "ripemd160", "streebog512": "streebog512", "stribog512": "streebog512"}
_SIZES = {"whirlpool": 64, "ripemd160": 20, "streebog512": 64}
_PLAIN = {"sha1", "sha224", "sha256", "sha384", "sha512", "blake2s", "blake2b", "sha3_256", "sha3_512"}
_NAMES = {"sha3-256": "sha3_256", "sha3-512": "sha3_512", "blake2s-256": "blake2s", "blake2b-512": "blake2b"}


@cache
def _name(name: str) -> tuple[str, bool]:
    low = name.lower()
    if low in _OLD:
        return _OLD[low], True
    low = _NAMES.get(low, low)
    if low in _PLAIN:
        return low, False
    raise Unsupported("hash", None, f"{name[:40]!r} is not known")


def digest_size(name: str) -> int:
    """Bytes of that digest. Raises Unsupported."""
    known, old = _name(name)
    return _SIZES[known] if old else hashlib.new(known).digest_size


def hashed(name: str, data: bytes) -> bytes:
    """The digest of that name ("sha256", "whirlpool", "wp256" ...). Raises Unsupported."""
    if name.lower() in ("wp256", "wp384"):  # Whirlpool, cut
        return old_digest("whirlpool", data)[: int(name[2:]) // 8]
    known, old = _name(name)
    return old_digest(known, data) if old else hashlib.new(known, data).digest()


def pbkdf2(name: str, secret: bytes, salt: bytes, rounds: int, size: int, budget: Budget) -> bytes:
    """PBKDF2-HMAC (RFC 8018). Raises Unsupported for the hash, LimitExceeded for the rounds."""
    budget.check()
    known, old = _name(name)
    blocks = -(-size // digest_size(name))
    if not 0 < rounds * blocks <= ROUNDS:
        raise LimitExceeded("PBKDF2", None, f"the header asks for {rounds:,} rounds of {name[:40]}; {ROUNDS:,} allowed")
    if old:
        return old_pbkdf2(known, secret, salt, rounds, size)
    return hashlib.pbkdf2_hmac(known, secret, salt, rounds, size)


def pbkdf2_many(
    name: str, secret: bytes, salts: Sequence[bytes], rounds: int, blocks: range, budget: Budget, tick: Callable[[], None] = lambda: None
) -> list[bytes]:
    """PBKDF2-HMAC of one secret over several salts side by side: of each derived key the digest-sized blocks of those numbers, from 0.

    ``tick`` is called, and the budget asked, many times a second. Raises as pbkdf2 does.
    """
    known, old = _name(name)
    if not 0 < rounds <= ROUNDS:
        raise LimitExceeded("PBKDF2", None, f"more than {ROUNDS:,} rounds of {name[:40]}")  # how many may be a secret
    wide = digest_size(name)
    derive = old_pbkdf2 if old else hashlib.pbkdf2_hmac
    chains = bytearray()
    for salt in salts:
        once = derive(known, secret, salt, 1, wide * blocks.stop)
        for i in blocks:
            chains += 2 * once[wide * i : wide * i + wide]
    block = 128 if known == "sha512" else 64
    key = hashed(name, secret) if len(secret) > block else secret
    step = SLICE if not old or known == "ripemd160" else SLICE // 8 // max(1, len(salts) * len(blocks)) + 1
    left = rounds - 1
    while left:
        budget.check()
        tick()
        stretch(known, key, chains, min(step, left))
        left -= min(step, left)
    sums = b"".join(chains[i + wide : i + 2 * wide] for i in range(0, len(chains), 2 * wide))
    size = wide * len(blocks)
    return [sums[size * i : size * i + size] for i in range(len(salts))]


def argon2(kind: str, secret: bytes, salt: bytes, passes: int, kib: int, lanes: int, size: int, budget: Budget) -> bytes:
    """Argon2i, Argon2d or Argon2id version 1.3 (RFC 9106). Raises LimitExceeded naming the memory that the header asks for."""
    from cryptography.hazmat.primitives.kdf import argon2 as engine

    budget.check()
    kinds: dict[str, Any] = {"argon2i": engine.Argon2i, "argon2id": engine.Argon2id, "argon2d": engine.Argon2d}
    if kind not in kinds:
        raise Unsupported("key derivation", None, f"{kind[:40]!r} is not known")
    if kib << 10 > budget.limits.derivation or kib < 8:
        allowed = budget.limits.derivation
        raise LimitExceeded("Argon2", None, f"the header asks for {kib:,} KiB of memory; {allowed >> 10:,} KiB allowed (Limits.derivation)")
    if not 0 < passes * (kib << 10) <= WORK or not 0 < lanes <= 64 or len(salt) < 8:
        raise LimitExceeded("Argon2", None, f"the header asks for {passes:,} passes over {kib:,} KiB in {lanes} lanes")
    try:
        return bytes(kinds[kind](salt=salt, length=size, iterations=passes, lanes=lanes, memory_cost=kib).derive(secret))
    except (ValueError, MemoryError):
        raise LimitExceeded("Argon2", None, f"{kib:,} KiB, {passes} passes, {lanes} lanes: refused") from None
