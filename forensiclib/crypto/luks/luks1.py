"""LUKS version 1."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.crypto._kdf import pbkdf2
from forensiclib.crypto._sectors import SectorSource, cipher_layer
from forensiclib.crypto.luks.slots import key_material, merged, secrets, span_of, text
from forensiclib.formats.luks import HEADER1_LAYOUT, MAGIC, SLOT_ACTIVE, SLOT_LAYOUT, SLOTS

__all__ = ["ENCRYPTION", "Luks1Lock", "open_luks1"]


class Luks1Lock(Lock):
    """A LUKS1 volume. ``data`` is where the payload lies: the volume itself, or the device that a detached header belongs to."""

    format = "luks1"
    needs = ("password", "key file")

    def __init__(self, source: ByteSource, data: ByteSource | None, header: Any, slots: list[tuple[int, Any]]) -> None:
        self._source, self._data, self._header, self._slots = source, data, header, slots
        self._spec = f"{text(header.cipher)}-{text(header.mode)}"
        self._hash = text(header.hash)
        facts = {
            "cipher": self._spec, "hash": self._hash, "uuid": text(header.uuid), "key_bits": str(8 * header.key_bytes),
            "key_slots": ", ".join(f"{i} (PBKDF2, {slot.rounds:,} rounds)" for i, slot in slots) or "none",
        }  # fmt: skip
        self.facts: Mapping[str, str] = facts

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The payload. Raises Locked when no key opens any slot, Truncated when the header is alone."""
        problems: list[EvidenceError] = []
        for secret in secrets(keys):
            for number, slot in self._slots:
                budget.check()
                try:
                    key = self._open_slot(slot, secret, budget)
                except EvidenceError as error:
                    if error.what not in {p.what for p in problems}:
                        budget.report(error, f"key slot {number}")
                    problems.append(error)
                    continue
                if key is not None:
                    return self._payload(key)
        tried = f"; {len(problems)} could not be tried" if problems else ""
        raise Locked("LUKS volume", span_of(self._source, 0, 592), f"no key opens any of {len(self._slots)} key slots{tried}")

    def _open_slot(self, slot: Any, secret: bytes, budget: Budget) -> bytes | None:
        header = self._header
        size = header.key_bytes
        derived = pbkdf2(self._hash, secret, slot.salt, slot.rounds, size, budget)
        material = key_material(self._source, slot.offset * 512, size * slot.stripes, self._spec, derived)
        key = merged(self._hash, material, size, slot.stripes)
        return key if pbkdf2(self._hash, key, header.salt, header.rounds, 20, budget) == header.digest else None

    def _payload(self, key: bytes) -> ByteSource:
        data, start = (self._source, self._header.payload * 512) if self._data is None else (self._data, self._header.payload * 512)
        if self._data is not None and start >= self._data.size:
            start = 0
        if start >= data.size:
            found = f"the payload begins at {start:#x}, the volume ends at {data.size:#x}: a detached header or a backup of one"
            raise Truncated("LUKS payload", span_of(self._source, 0, 592), found)
        return SectorSource(data, start, data.size - start, [cipher_layer(self._spec, key)], self.format)


def probe(source: ByteSource) -> bool:
    """Whether a LUKS1 header begins here."""
    return source.read_at(0, 8) == MAGIC + b"\x00\x01"


def open_luks1(source: ByteSource, budget: Budget, data: ByteSource | None = None) -> Luks1Lock:
    """The lock of a LUKS1 volume; ``data`` is the device when ``source`` is a detached header.

    Raises NotThisFormat, Truncated, Corrupt for a header that cannot be; slots that cannot be are findings.
    """
    if not probe(source):
        raise NotThisFormat("LUKS1 header", span_of(source, 0, 8), "no magic")
    raw = source.read_at(0, HEADER1_LAYOUT.size + SLOTS * SLOT_LAYOUT.size)
    if len(raw) < HEADER1_LAYOUT.size + SLOTS * SLOT_LAYOUT.size:
        raise Truncated("LUKS1 header", span_of(source, 0, len(raw)), f"{len(raw)} bytes")
    header = SimpleNamespace(**HEADER1_LAYOUT.dict(raw))
    if not 0 < header.key_bytes <= 512 or not header.rounds:
        raise Corrupt("LUKS1 header", span_of(source, 0, 208), f"a key of {header.key_bytes} bytes, {header.rounds} rounds")
    slots = []
    for number in range(SLOTS):
        at = HEADER1_LAYOUT.size + number * SLOT_LAYOUT.size
        slot = SimpleNamespace(**SLOT_LAYOUT.dict(raw, at))
        if slot.active != SLOT_ACTIVE:
            continue
        end = slot.offset * 512 + header.key_bytes * slot.stripes
        inside = slot.offset * 512 < 592 or not 0 < slot.stripes <= 1 << 16 or end > source.size
        if inside or (data is None and header.payload and slot.offset < header.payload < end / 512):
            found = f"slot {number}: {slot.stripes} stripes at {slot.offset * 512:#x} lie over the header or the payload, or past the end"
            budget.report(Corrupt("LUKS1 key slot", span_of(source, at, 48), found))
            if inside:
                continue
        slots.append((number, slot))
    if not slots:
        budget.report(Finding.note("LUKS1 header", "no key slot is in use: only the volume key opens it", span=span_of(source, 0, 592)))
    return Luks1Lock(source, data, header, slots)


ENCRYPTION = Encryption(
    name="luks1",
    title="LUKS version 1 (Linux)",
    refs=("LUKS1 On-Disk Format Specification 1.2.3", "T. Wu and C. Fruhwirth: TKS1, anti-forensic key setup"),
    gaps=(
        "ciphers other than AES, Serpent, Twofish and Camellia; modes other than XTS, CBC, LRW and ECB; initial values lmk and random",
        "a detached header opens by itself only through open_luks1(header, budget, data=device)",
    ),
    order=20,
    probe=probe,
    open=open_luks1,
)
