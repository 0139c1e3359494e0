"""What both versions share: the anti-forensic splitter, and the candidates for a password."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from forensiclib.core.errors import Truncated
from forensiclib.core.keys import Keys
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.crypto._kdf import digest_size, hashed
from forensiclib.crypto._sectors import cipher_layer

__all__ = ["key_material", "merged", "secrets", "span_of", "text"]


def text(raw: bytes) -> str:
    """A name up to its first NUL."""
    return raw.split(b"\0", 1)[0].decode("ascii", "backslashreplace")


def span_of(source: ByteSource, at: int, n: int) -> Span | None:
    """The first span behind a range."""
    spans = source.trace(at, n) if at < source.size else ()
    return spans[0] if spans else None


def secrets(keys: Keys) -> Iterator[bytes]:
    """Each password as UTF-8, then each key file as it is."""
    for password in keys.passwords:
        yield password.encode("utf-8", "surrogateescape")
    yield from keys.keyfiles


def merged(name: str, material: bytes, size: int, stripes: int) -> bytes:
    """The key that the stripes hide (LUKS1 specification, 2.4)."""
    wide = digest_size(name)
    state = bytes(size)
    for i in range(stripes):
        state = _xor(state, material[i * size : i * size + size])
        if i < stripes - 1:
            pieces = (state[at : at + wide] for at in range(0, size, wide))
            if name in hashlib.algorithms_guaranteed:  # the loop over thousands of stripes
                state = b"".join(hashlib.new(name, struct.pack(">I", k) + p).digest()[: len(p)] for k, p in enumerate(pieces))
            else:
                state = b"".join(hashed(name, struct.pack(">I", k) + p)[: len(p)] for k, p in enumerate(pieces))
    return state


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def key_material(source: ByteSource, at: int, size: int, spec: str, key: bytes) -> bytes:
    """A slot's area, decrypted with the key that a password gave. Raises Truncated."""
    whole = -(-size // 512) * 512
    data = bytearray(source.read_at(at, whole))
    if len(data) < size:
        raise Truncated("LUKS key slot", span_of(source, at, size), f"{len(data)} of {size} bytes")
    data += bytes(whole - len(data))
    cipher_layer(spec, key).decrypt(data, 0)
    return bytes(data[:size])
