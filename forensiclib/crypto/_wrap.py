"""Keys wrapped in keys (RFC 3394), and passwords as Apple's systems take them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from forensiclib.core.keys import Keys

__all__ = ["spellings", "unwrapped"]


def unwrapped(key: bytes, wrapped: bytes) -> bytes | None:
    """The key in ``wrapped``; None when its check value does not hold, so that ``key`` is not the one. Lengths that no key has: None."""
    if len(key) not in (16, 24, 32) or len(wrapped) % 8 or not 24 <= len(wrapped) <= 72:
        return None
    try:
        return aes_key_unwrap(key, wrapped)
    except InvalidUnwrap:
        return None


def spellings(keys: Keys) -> Iterator[bytes]:
    """Each password and recovery key in UTF-8 as it was given, then in the normal forms that a keyboard may have made of it, and a
    recovery key in capitals and groups of four with dashes, which is what keys are made from; each once."""
    seen: set[bytes] = set()
    for text in (*keys.passwords, *keys.recovery, *map(_grouped, keys.recovery)):
        for form in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
            secret = form.encode("utf-8", "surrogatepass")
            if secret not in seen:
                seen.add(secret)
                yield secret


def _grouped(text: str) -> str:
    bare = "".join(c for c in text.upper() if c.isalnum())
    return "-".join(bare[i : i + 4] for i in range(0, len(bare), 4))
