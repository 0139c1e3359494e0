"""The ciphers and modes that a header may be encrypted with: which bytes of the derived key are whose, and the layers that undo them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.crypto._sectors import Decrypts, Layer
from forensiclib.formats.truecrypt import UNIT
from forensiclib.kernels import sectors_decrypt

__all__ = ["LEGACY", "MODERN", "Scheme"]

_KEYS = {"blowfish": 56, "cast5": 16, "des3_ede": 24}
_TITLES = {
    "aes": "AES", "serpent": "Serpent", "twofish": "Twofish", "camellia": "Camellia", "kuznyechik": "Kuznyechik",
    "blowfish": "Blowfish", "cast5": "CAST5", "des3_ede": "Triple DES",
}  # fmt: skip
_SEED = 32
"""Bytes before the keys in CBC (initial values and whitening) and LRW (the tweak's key)."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """``ciphers`` in the order of decryption, as their names are written ("AES-Twofish": AES comes off first); the keys are stored the
    other way round."""

    ciphers: tuple[str, ...]
    mode: str

    @property
    def title(self) -> str:
        """ "AES-Twofish-Serpent, XTS"."""
        return f"{'-'.join(_TITLES[c] for c in self.ciphers)}, {self.mode.upper()}"

    @property
    def size(self) -> int:
        """Bytes of key material."""
        one = sum(_KEYS.get(c, 32) for c in self.ciphers)
        return 2 * one if self.mode == "xts" else _SEED + one

    def _keys(self, material: bytes, at: int) -> Iterator[tuple[str, bytes]]:
        stored = []
        for cipher in reversed(self.ciphers):
            size = _KEYS.get(cipher, 32)
            stored.append((cipher, material[at : at + size]))
            at += size
        return reversed(stored)

    def layers(self, material: bytes, first: int = 0) -> list[Decrypts]:
        """The layers over units of 512 bytes, ``first`` being the number of the first unit."""
        if self.mode == "xts":
            pairs = zip(self._keys(material, 0), self._keys(material, self.size // 2), strict=True)
            return [Layer(cipher, "xts", key, tweak, UNIT, "plain64", first) for (cipher, key), (_, tweak) in pairs]
        seed = material[:_SEED]
        if self.mode == "lrw":
            return [Layer(cipher, "lrw", key, seed[:16], UNIT, "benbi", first) for cipher, key in self._keys(material, _SEED)]
        keys = list(self._keys(material, _SEED))
        if len({c in _KEYS for c, _ in keys}) == 1:  # blocks of one size: one chain around all of them
            return [_Cbc(tuple(keys), seed, first)]
        return [_Cbc((pair,), seed, first) for pair in keys]

    def header(self, data: bytes, material: bytes, size: int) -> bytes:
        """The first ``size`` bytes behind the salt, decrypted: one unit of its own."""
        plain = bytearray(data[:size])
        if self.mode == "cbc":
            for layer in self.layers(material):
                layer.open_header(plain)  # type: ignore[attr-defined]
            return bytes(plain)
        for layer in self.layers(material):
            if self.mode == "lrw":
                sectors_decrypt(layer.cipher, "lrw", layer.key, layer.tweak, plain, size, ivs=struct.pack(">8xQ", 1))  # type: ignore[attr-defined]
            else:
                sectors_decrypt(layer.cipher, "xts", layer.key, layer.tweak, plain, size, 0)  # type: ignore[attr-defined]
        return bytes(plain)


@dataclass(frozen=True, slots=True)
class _Cbc:
    """TrueCrypt before 4.1: cipher block chaining whose ciphertext is whitened with 8 bytes that belong to the sector."""

    keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    seed: bytes = field(repr=False)
    first: int = 0
    unit: int = UNIT

    def _chain(self, data: bytearray | memoryview, unit: int, ivs: bytes) -> None:
        size = 8 if self.keys[0][0] in _KEYS else 16
        cipher = bytes(data)
        for name, key in self.keys:
            _ecb(name, key, data)
        mask = b"".join(
            ivs[size * i : size * i + size] + cipher[unit * i : unit * i + unit - size] for i in range(len(cipher) // unit)
        )  # what each block was mixed with
        data[:] = _xor(data, mask)

    def open_header(self, data: bytearray) -> None:
        """The header's bytes, whitened with a part of the seed as it is."""
        data[:] = _xor(data, self.seed[8:16] * (len(data) // 8))
        self._chain(data, len(data), self.seed[:16])

    def decrypt(self, data: bytearray | memoryview, sector: int) -> None:
        """Whole sectors in place; ``sector`` is the number of the first."""
        size = 8 if self.keys[0][0] in _KEYS else 16
        low = int.from_bytes(self.seed, "little")
        ivs, white = bytearray(), bytearray()
        for i in range(len(data) // UNIT):
            number = (sector + self.first + i) & 0xFFFFFFFFFFFFFFFF
            value = (low ^ number * 0x0000000000000001_0000000000000001_0000000000000001_0000000000000001).to_bytes(32, "little")
            ivs += value[:size]
            sums = [zlib.crc32(value[at : at + 4]) for at in range(size, size + 16, 4)]
            white += struct.pack("<2I", sums[0] ^ sums[3], sums[1] ^ sums[2]) * (UNIT // 8)
        data[:] = _xor(data, white)
        self._chain(data, UNIT, bytes(ivs))


def _ecb(cipher: str, key: bytes, data: bytearray | memoryview) -> None:
    if cipher == "blowfish":  # TrueCrypt reads its words little-endian
        data[:] = _swapped(data)
    sectors_decrypt(cipher, "ecb", key, b"", data, 8 if cipher in _KEYS else 16)
    if cipher == "blowfish":
        data[:] = _swapped(data)


def _swapped(data: bytes | bytearray | memoryview) -> bytes:
    count = len(data) // 4
    return struct.pack(f"<{count}I", *struct.unpack(f">{count}I", data))


def _xor(a: bytes | bytearray | memoryview, b: bytes | bytearray) -> bytes:
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def _named(mode: str, *names: str) -> tuple[Scheme, ...]:
    return tuple(Scheme(tuple(name.split("-")), mode) for name in names)


_OLD = (
    "aes", "serpent", "twofish", "twofish-serpent", "aes-twofish", "serpent-aes", "aes-twofish-serpent", "serpent-twofish-aes",
)  # fmt: skip
MODERN = _named(
    "xts", *_OLD, "camellia", "kuznyechik", "kuznyechik-twofish", "kuznyechik-aes", "camellia-kuznyechik", "camellia-serpent",
    "kuznyechik-serpent-camellia",
)  # fmt: skip
"""What VeraCrypt and TrueCrypt 5 and later write."""
LEGACY = (*_named("lrw", *_OLD), *_named("cbc", *_OLD, "blowfish", "cast5", "des3_ede", "aes-blowfish", "aes-blowfish-serpent"))
"""What TrueCrypt before 5 wrote."""
