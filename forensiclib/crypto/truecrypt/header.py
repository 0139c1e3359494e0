"""Volume headers: which key opens which, and what an opened one says."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp
from forensiclib.crypto.truecrypt.derive import Derivation, Secret, tried
from forensiclib.crypto.truecrypt.schemes import LEGACY, MODERN, Scheme
from forensiclib.formats.truecrypt import FLAG_IN_PLACE, HEADER_LAYOUT, HEADER_SIZE, KEYS_AT, MAGICS, SALT

__all__ = ["Head", "Opened", "opened"]

_FIRST = 16
"""Bytes decrypted of a try: they hold the magic."""


@dataclass(frozen=True, slots=True)
class Head:
    """512 bytes that may be a header: what it would be, where it lies."""

    role: str
    at: int
    data: bytes = field(repr=False)
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A header that a key opened. ``fields``: formats.truecrypt.HEADER; ``keys``: the material that the volume is encrypted with."""

    head: Head
    way: Derivation
    scheme: Scheme
    fields: Any = field(repr=False)

    @property
    def keys(self) -> bytes:
        """Of the volume, in the scheme's layout."""
        return bytes(self.fields.keys)

    @property
    def facts(self) -> Mapping[str, str]:
        """What may be shown; neither rounds nor memory, which would tell a PIM."""
        f, brand = self.fields, MAGICS[self.fields.magic]
        out = {
            "volume_format": f"{brand}, header version {f.version}, program {f.program >> 8:x}.{f.program & 255:x} or later",
            "cipher": self.scheme.title, "hash": self.way.title, "header": f"{self.head.role} at {self.head.at}",
        }  # fmt: skip
        if f.version >= 5 and f.sector_size:
            out["sector_size"] = str(f.sector_size)
        if f.version < 4 and f.volume_created:
            out["volume_created"] = Timestamp.filetime(f.volume_created).iso()
            out["header_created"] = Timestamp.filetime(f.header_created).iso()
        if f.version >= 4 and f.flags & FLAG_IN_PLACE:
            out["encrypted"] = "in place"
        return out


def opened(heads: Sequence[Head], secret: Secret, ways: Sequence[Derivation], budget: Budget) -> dict[str, Opened]:
    """The headers that one secret opens, by role; the first way that opens any ends it. A damaged one is a finding."""
    out: dict[str, Opened] = {}

    def check(way: Derivation, number: int, key: bytes) -> bool:
        head = heads[number]
        for scheme in (*MODERN, *LEGACY) if way.brand == "TrueCrypt" else MODERN:
            if scheme.size > len(key) or head.role in out:
                continue
            if scheme.header(head.data[SALT:], key, _FIRST)[:4] not in MAGICS:
                continue
            plain = scheme.header(head.data[SALT:], key, HEADER_SIZE - SALT)
            fields = SimpleNamespace(**HEADER_LAYOUT.dict(plain))
            if zlib.crc32(fields.keys) != fields.keys_crc:
                continue  # four bytes of chance
            if fields.version >= 4 and zlib.crc32(plain[: KEYS_AT - 4]) != fields.crc:
                budget.report(Corrupt("volume header", head.span, f"the {head.role} header's CRC-32 does not match: not used"))
                continue
            out[head.role] = Opened(head, way, scheme, fields)
        return head.role in out

    tried(ways, secret, [head.data for head in heads], check, budget)
    return out
