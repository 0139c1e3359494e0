"""What every encrypted volume ends in: a source that decrypts sector by sector, and the initial values of its sectors."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from forensiclib.core.errors import Unreadable, Unsupported
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.crypto._kdf import hashed
from forensiclib.kernels import sectors_decrypt

__all__ = ["Decrypts", "Layer", "SectorSource", "cipher_layer"]

CHUNK = 1 << 18
"""Bytes read and decrypted at a time: they are still in the cache when they are decrypted."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One cipher over sectors of ``unit`` bytes.

    key, tweak  as the kernel takes them; never shown
    iv      "plain64" "plain" "plain64be" "benbi" "null" "eboiv"; ``salt``  ESSIV's key (the initial value is encrypted with it first)
    first   added to each sector's number; numbers count in ``count`` bytes (512, or the unit)
    """

    cipher: str
    mode: str
    key: bytes = field(repr=False)
    tweak: bytes = field(repr=False)
    unit: int = 512
    iv: str = "plain64"
    first: int = 0
    count: int = 512
    salt: bytes = field(default=b"", repr=False)

    def decrypt(self, data: bytearray | memoryview, sector: int) -> None:
        """Whole sectors in place; ``sector`` is the number of the first, in units."""
        if self.cipher == "null":
            return
        if self.mode == "ecb":
            sectors_decrypt(self.cipher, "ecb", self.key, b"", data, self.unit)
            return
        step = max(1, self.unit // self.count)
        number = sector * step + self.first
        if self.iv == "eboiv":
            number, step = sector * self.unit, self.unit
        if self.iv in ("plain64", "eboiv") and not self.salt:
            sectors_decrypt(self.cipher, self.mode, self.key, self.tweak, data, self.unit, number, step)
            return
        ivs = self._values(number, step, len(data) // self.unit)
        sectors_decrypt(self.cipher, self.mode, self.key, self.tweak, data, self.unit, ivs=ivs)

    def _values(self, number: int, step: int, count: int) -> bytes:
        numbers = [(number + i * step) & 0xFFFFFFFFFFFFFFFF for i in range(count)]
        if self.iv == "null":
            return bytes(16 * count)
        if self.iv == "plain":
            return b"".join(struct.pack("<I12x", n & 0xFFFFFFFF) for n in numbers)
        if self.iv == "plain64be":
            return b"".join(struct.pack(">8xQ", n) for n in numbers)
        if self.iv == "benbi":  # big-endian count of 16-byte blocks, from 1
            return b"".join(struct.pack(">8xQ", ((n << 5) + 1) & 0xFFFFFFFFFFFFFFFF) for n in numbers)
        out = bytearray(b"".join(struct.pack("<Q8x", n) for n in numbers))
        if self.salt and out:
            sectors_decrypt(self.cipher, "ecb-encrypt", self.salt, b"", out, 16)
        return bytes(out)


class Decrypts(Protocol):
    """What a SectorSource wants of a layer."""

    @property
    def unit(self) -> int:
        """Bytes of a sector."""
        ...

    def decrypt(self, data: bytearray | memoryview, sector: int) -> None:
        """Whole sectors in place; ``sector`` is the number of the first."""


class SectorSource(ByteSource):
    """The plain bytes of ``size`` encrypted ones from ``start`` of ``base``.

    layers  in the order of decryption, all of one unit; sector 0 is the first of this source
    name    what ``via`` of its spans says. Traces are exact to the sector: each byte of one depends on the key and that sector.
    """

    __slots__ = ("_base", "_first", "_layers", "_name", "_start", "_unit", "size")

    def __init__(self, base: ByteSource, start: int, size: int, layers: Sequence[Decrypts], name: str, first: int = 0) -> None:
        self._unit = layers[0].unit
        self._base, self._start, self._layers, self._name, self._first = base, start, tuple(layers), name, first
        self.size = clip(start, size, base.size) // self._unit * self._unit

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done, unit = memoryview(buffer), 0, self._unit
        while done < n:
            at = offset + done
            skip, left = at % unit, n - done
            if skip or left < unit:
                take = min(left, unit - skip)
                sector = memoryview(bytearray(unit))
                self._fill(at - skip, sector)
                view[done : done + take] = sector[skip : skip + take]
            else:
                take = min(left - left % unit, max(CHUNK // unit, 1) * unit)
                self._fill(at, view[done : done + take])
            done += take
        return done

    def _fill(self, at: int, part: memoryview) -> None:
        got = self._base.read_into(self._start + at, part)
        if got < len(part):
            raise Unreadable("encrypted sector", Span("", 0, 0), f"{got} of {len(part)} bytes are there")
        for layer in self._layers:
            layer.decrypt(part, at // self._unit + self._first)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        if not n:
            return ()
        low, high = offset // self._unit * self._unit, -(-(offset + n) // self._unit) * self._unit
        return merge(span.through(self._name) for span in self._base.trace(self._start + low, high - low))


_MODES = ("ecb", "cbc", "xts", "lrw")
_VALUES = ("plain64", "plain", "plain64be", "benbi", "null", "eboiv")


def cipher_layer(spec: str, key: bytes, unit: int = 512, first: int = 0) -> Layer:
    """The layer that a dm-crypt specification names ("aes-xts-plain64", "aes-cbc-essiv:sha256"), sector numbers in 512 bytes.

    Raises Unsupported naming the part that is not known, or a key whose length the cipher does not take.
    """
    cipher, _, rest = spec.partition("-")
    mode, _, iv = rest.partition("-")
    if cipher in ("cipher_null", "null"):
        return Layer("null", "ecb", b"", b"", unit)
    iv, _, option = (iv or "null").partition(":")
    salt = tweak = b""
    whole = key
    if mode == "xts":
        key, tweak = key[: len(key) // 2], key[len(key) // 2 :]
    elif mode == "lrw":
        key, tweak = key[:-16], key[-16:]
    if iv == "essiv":
        iv, salt = "plain64", hashed(option, whole)
    elif iv == "eboiv":
        salt = b""
        tweak = tweak or key
    if mode not in _MODES or iv not in _VALUES:
        raise Unsupported("cipher", None, f"{spec}: mode or initial values not known")
    if mode == "cbc" and salt:
        tweak, salt = salt, b""
    layer = Layer(cipher, mode, key, tweak, unit, iv, first, salt=salt)
    try:
        layer.decrypt(bytearray(unit), 0)
    except ValueError as error:  # says lengths and names, no key
        raise Unsupported("cipher", None, f"{spec}: {error}") from None
    return layer
