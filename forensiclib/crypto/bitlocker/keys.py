"""From what a person has to the volume master key: passwords, recovery keys, startup keys, clear keys."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.crypto.bitlocker.metadata import Entry, Metadata, Protector, external_key

__all__ = ["opened", "recovery_bytes", "volume_master_keys"]

ROUNDS = 1 << 20
"""Of the stretching; fixed by the format."""


def recovery_bytes(text: str) -> bytes | None:
    """The 16 bytes of a recovery key of eight groups of six digits; None when a group is not a multiple of 11 below 720,896."""
    groups = re.findall(r"\d+", text)
    if len(groups) == 1 and len(groups[0]) == 48:
        groups = [groups[0][i : i + 6] for i in range(0, 48, 6)]
    if len(groups) != 8 or any(len(g) != 6 for g in groups):
        return None
    numbers = [int(g) for g in groups]
    if any(n % 11 or n >= 720896 for n in numbers):
        return None
    return struct.pack("<8H", *(n // 11 for n in numbers))


def stretched(secret: bytes, salt: bytes, budget: Budget) -> bytes:
    """The key that a million rounds make of SHA-256 of the secret and the protector's salt."""
    sha, tail, last = hashlib.sha256, secret + salt, bytes(32)
    pack = struct.Struct("<Q").pack
    for base in range(0, ROUNDS, 1 << 16):
        budget.check()
        for count in range(base, base + (1 << 16)):
            last = sha(last + tail + pack(count)).digest()
    return last


def opened(entry: Entry, key: bytes) -> bytes | None:
    """The key in an AES-CCM entry; None when its tag does not match."""
    if len(entry.data) < 28 + 12:
        return None
    nonce, tag, body = entry.data[:12], entry.data[12:28], entry.data[28:]
    try:
        plain = AESCCM(key, tag_length=16).decrypt(nonce, body + tag, None)
    except (InvalidTag, ValueError):
        return None
    return plain[12:]


def volume_master_keys(metadata: Metadata, keys: Keys, budget: Budget) -> Iterator[bytes]:
    """Each volume master key that something opens, the free ones first."""
    startup = [found for found in map(external_key, keys.keyfiles) if found is not None]
    passwords = [hashlib.sha256(hashlib.sha256(p.encode("utf-16-le", "surrogatepass")).digest()).digest() for p in keys.passwords]
    numbers = [hashlib.sha256(raw).digest() for raw in map(recovery_bytes, (*keys.recovery, *keys.passwords)) if raw is not None]
    for protector in sorted(metadata.protectors, key=lambda p: p.protection not in (0x0000, 0x0200)):
        sealed = protector.part(5)
        if sealed is None:
            continue
        for candidate in _candidates(protector, startup, passwords, numbers, budget):
            plain = opened(sealed, candidate)
            if plain is not None and len(plain) >= 32:
                yield plain[:32]
                break


def _candidates(
    protector: Protector, startup: list[tuple[str, bytes]], passwords: list[bytes], numbers: list[bytes], budget: Budget
) -> Iterator[bytes]:
    kind = protector.protection
    if kind == 0x0000:
        clear = protector.part(1)
        if clear is not None and len(clear.data) == 36:
            yield clear.data[4:]
    elif kind == 0x0200:
        for guid, key in startup:
            if guid == protector.guid:
                yield key
    elif kind in (0x0800, 0x2000):
        stretch = protector.part(3)
        if stretch is not None and len(stretch.data) >= 20:
            for secret in numbers if kind == 0x0800 else passwords:
                yield stretched(secret, stretch.data[4:20], budget)
