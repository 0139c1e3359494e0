"""LUKS version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.crypto._kdf import argon2, pbkdf2
from forensiclib.crypto._sectors import SectorSource, cipher_layer
from forensiclib.crypto.luks.header2 import Header, find, read_header
from forensiclib.crypto.luks.slots import key_material, merged, secrets, span_of
from forensiclib.formats.luks import MAGIC, MAGIC_SECOND, SECONDS

__all__ = ["ENCRYPTION", "Luks2Lock", "open_luks2"]


class Luks2Lock(Lock):
    """A LUKS2 volume. ``data`` is where the segments lie: the volume itself, or the device that a detached header belongs to."""

    format = "luks2"
    needs = ("password", "key file")

    def __init__(self, source: ByteSource, data: ByteSource | None, header: Header) -> None:
        self._source, self._data, self._header = source, data, header
        ciphers = dict.fromkeys(s["encryption"] for s in header.segments if s["type"] == "crypt")
        facts = {
            "cipher": ", ".join(ciphers), "uuid": header.uuid, "label": header.label, "subsystem": header.subsystem,
            "sector_size": ", ".join(dict.fromkeys(str(s["sector_size"]) for s in header.segments if s["type"] == "crypt")),
            "key_slots": ", ".join(f"{k} ({_kdf_words(v)})" for k, v in header.slots.items()) or "none",
            "tokens": ", ".join(header.tokens), "requirements": ", ".join(header.requirements),
        }  # fmt: skip
        self.facts: Mapping[str, str] = {k: v for k, v in facts.items() if v}

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The segments in order. Raises Locked when no key opens any slot; Unsupported for a conversion that was under way at the
        moment of the image, and for integrity tags."""
        self._header.readable(span_of(self._source, 0, 4096))
        wanted = {s["digest"] for s in self._header.segments if s["type"] == "crypt"}
        found: dict[str, bytes] = {}
        told: set[tuple[str, str]] = set()
        for secret in secrets(keys):
            for name, slot in self._header.slots.items():
                digests = [d for d in wanted - set(found) if name in self._header.digests[d]["keyslots"]]
                if not digests:
                    continue
                budget.check()
                try:
                    key = self._open_slot(slot, secret, budget)
                    for digest in digests:
                        if self._header.verifies(digest, key, budget):
                            found[digest] = key
                except EvidenceError as error:
                    if (name, error.what) not in told:
                        told.add((name, error.what))
                        budget.report(error, f"key slot {name}")
        if wanted - set(found):
            tried = f"; {len(told)} could not be tried" if told else ""
            found_words = f"no key opens any of {len(self._header.slots)} key slots{tried}"
            if found:
                found_words = "the keys open a part of the volume only (it is being converted from one key to another)"
            raise Locked("LUKS volume", span_of(self._source, 0, 4096), found_words)
        return self._plain(found)

    def _open_slot(self, slot: dict[str, Any], secret: bytes, budget: Budget) -> bytes:
        kdf, area, size = slot["kdf"], slot["area"], slot["key_size"]
        wide = area["key_size"]
        if kdf["type"] == "pbkdf2":
            derived = pbkdf2(kdf["hash"], secret, kdf["salt"], kdf["iterations"], wide, budget)
        else:
            derived = argon2(kdf["type"], secret, kdf["salt"], kdf["time"], kdf["memory"], kdf["cpus"], wide, budget)
        stripes = slot["stripes"]
        material = key_material(self._source, area["offset"], size * stripes, area["encryption"], derived)
        return merged(slot["hash"], material, size, stripes)

    def _plain(self, keys: dict[str, bytes]) -> ByteSource:
        data = self._source if self._data is None else self._data
        parts: list[ByteSource] = []
        for segment in self._header.segments:
            start = segment["offset"]
            if start >= data.size:
                found = f"a segment begins at {start:#x}, the volume ends at {data.size:#x}: a detached header or a backup of one"
                raise Truncated("LUKS payload", span_of(self._source, 0, 4096), found)
            size = data.size - start if segment["size"] is None else segment["size"]
            if start + size > data.size:
                size = data.size - start
            if segment["type"] == "linear":
                parts.append(data.slice(start, size))
                continue
            layer = cipher_layer(segment["encryption"], keys[segment["digest"]], segment["sector_size"], segment["iv_tweak"])
            parts.append(SectorSource(data, start, size, [layer], self.format))
        return parts[0] if len(parts) == 1 else ConcatSource(parts)


def _kdf_words(slot: dict[str, Any]) -> str:
    kdf = slot["kdf"]
    if kdf["type"] == "pbkdf2":
        return f"PBKDF2 {kdf['hash']}, {kdf['iterations']:,} rounds"
    return f"{kdf['type']}, {kdf['time']} passes over {kdf['memory']:,} KiB"


def probe(source: ByteSource) -> bool:
    """Whether a LUKS2 header begins here, or its second copy lies where it must."""
    head = source.read_at(0, 8)
    if head == MAGIC + b"\x00\x02":
        return True
    return head[:6] != MAGIC and any(source.read_at(at, 8) == MAGIC_SECOND + b"\x00\x02" for at in SECONDS)


def open_luks2(source: ByteSource, budget: Budget, data: ByteSource | None = None) -> Luks2Lock:
    """The lock of a LUKS2 volume, from the copy of the header with the highest sequence number whose checksum holds; what is wrong with the
    other is a finding. ``data`` is the device when ``source`` is a detached header.

    Raises NotThisFormat, Truncated, Corrupt.
    """
    if not probe(source):
        raise NotThisFormat("LUKS2 header", span_of(source, 0, 8), "no magic")
    problems: list[EvidenceError] = []
    copies = []
    for at in find(source):
        try:
            copies.append(read_header(source, at, budget))
        except (Corrupt, Truncated, Unsupported) as error:
            problems.append(error)
    if not copies:
        raise problems[0] if problems else Corrupt("LUKS2 header", span_of(source, 0, 4096), "neither copy")
    for problem in problems:
        budget.report(problem)
    if len(copies) == 1:
        budget.report(Finding.note("LUKS2 header", "one copy of two is good", span=span_of(source, copies[0].at, 4096)))
    best = max(copies, key=lambda h: h.sequence)
    if any(h.sequence != best.sequence for h in copies):
        words = ", ".join(f"{h.sequence} at {h.at:#x}" for h in copies)
        budget.report(
            Finding.note("LUKS2 header", f"the copies differ in age ({words}): the newer is used", span=span_of(source, best.at, 4096))
        )
    for words in best.unread:
        budget.report(Unsupported("LUKS2 key slot", span_of(source, best.at + 4096, 4096), words))
    return Luks2Lock(source, data, best)


ENCRYPTION = Encryption(
    name="luks2",
    title="LUKS version 2 (Linux)",
    refs=("LUKS2 On-Disk Format Specification 1.1.4", "RFC 9106 (Argon2)", "RFC 8018 (PBKDF2)"),
    gaps=(
        "integrity tags (dm-integrity) and authenticated modes; hardware encryption (OPAL)",
        "a conversion that was interrupted inside its hot zone",
        "tokens (TPM, FIDO2, smart card, keyring) are listed, not used",
        "a detached header opens by itself only through open_luks2(header, budget, data=device)",
    ),
    order=20,
    probe=probe,
    open=open_luks2,
)
