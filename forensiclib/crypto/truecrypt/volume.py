"""TrueCrypt and VeraCrypt volumes: containers and partitions. Nothing announces one; only a key that opens its header shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock, Volume
from forensiclib.core.errors import EvidenceError, Locked, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.crypto._looks import looks_random
from forensiclib.crypto._sectors import SectorSource
from forensiclib.crypto.truecrypt.derive import derivations, secrets
from forensiclib.crypto.truecrypt.header import Head, Opened, opened
from forensiclib.formats.truecrypt import BACKUP, BACKUP_HIDDEN, FLAG_IN_PLACE, HEADER_SIZE, HIDDEN, OLD_HIDDEN, UNIT

__all__ = ["ENCRYPTION", "TrueCryptLock", "area", "open_truecrypt"]

NORMAL, INNER, OLD, COPY, INNER_COPY = (
    "volume",
    "hidden volume",
    "hidden volume (old place)",
    "backup of the volume",
    "backup of the hidden volume",
)
_BOTH = {NORMAL: (NORMAL, COPY), INNER: (INNER, INNER_COPY, OLD)}
_TRIES = (("TrueCrypt", (NORMAL, INNER, OLD, COPY, INNER_COPY)), ("VeraCrypt", (NORMAL, INNER)), ("VeraCrypt", (COPY, INNER_COPY)))
"""Whose way of derivation is tried on which headers: the quick ones first, then the likely places."""
SMALLEST = 16 << 10
"""Bytes: TrueCrypt 1.0 made nothing smaller."""


def heads(source: ByteSource) -> list[Head]:
    """The places of headers whose bytes may be one: the volume's, the hidden volume's, the two copies at the end, the old place."""
    places = (
        (NORMAL, 0), (INNER, HIDDEN), (COPY, source.size - BACKUP), (INNER_COPY, source.size - BACKUP_HIDDEN),
        (OLD, source.size - OLD_HIDDEN),
    )  # fmt: skip
    out, seen = [], set[int]()
    for role, at in places:
        if at < 0 or at in seen or source.size < SMALLEST:
            continue
        try:
            data = source.read_at(at, HEADER_SIZE)
        except EvidenceError:
            continue  # the other copy may be whole
        if looks_random(data):
            seen.add(at)
            out.append(Head(role, at, data, _span(source, at)))
    return out


def _span(source: ByteSource, at: int) -> Span | None:
    spans = source.trace(at, HEADER_SIZE)
    return spans[0] if spans else None


def area(found: Opened, size: int, budget: Budget) -> tuple[int, int, int]:
    """(start, bytes, number of the first unit) of the encrypted data in a volume of ``size`` bytes. Raises Truncated."""
    f, role = found.fields, found.head.role
    if f.version >= 4:
        start, length, first = f.start, f.size, f.start // UNIT
        if f.flags & FLAG_IN_PLACE and f.size < f.volume_size:
            words = f"encryption in place had reached {f.size:,} of {f.volume_size:,} bytes: only these are given"
            budget.report(Finding.note("volume header", words, span=found.head.span))
    elif role == OLD:
        start, length, first = size - OLD_HIDDEN - f.hidden_size, f.hidden_size, 0
    else:
        start, length, first = HEADER_SIZE, size - HEADER_SIZE, 0
    if f.version < 4:  # XTS counts from the start of the volume, LRW from the data, CBC from the sector before it
        first = {"xts": start // UNIT, "lrw": 0, "cbc": 1}[found.scheme.mode]
    if start < 0 or start % UNIT or start >= size:
        raise Truncated("encrypted volume", found.head.span, f"its data begins at {start:,}, the image has {size:,} bytes")
    if start + length > size:
        words = f"its data ends at {start + length:,}, the image at {size:,}"
        budget.report(Truncated("encrypted volume", found.head.span, words))
    return start, min(length, size - start), first


class TrueCryptLock(Lock):
    """What may be such a volume. ``facts`` are empty until a key opened it; ``others`` has the hidden volume when both were opened."""

    format = "veracrypt"
    needs = ("password", "key file", "PIM")

    def __init__(self, source: ByteSource, found: Sequence[Head]) -> None:
        self._source, self._heads = source, tuple(found)
        self.facts: Mapping[str, str] = {}

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The volume; the hidden one when only that opens. Raises Locked when no key opens any header."""
        found: dict[str, Opened] = {}
        used = set[int]()
        ways = derivations(keys.pims, system=False)
        for secret in secrets(keys):
            if secret.password in used:
                continue  # it opened the other volume
            left = [h for h in self._heads if not any(r in found for roles in _BOTH.values() if h.role in roles for r in roles)]
            new: dict[str, Opened] = {}
            for brand, roles in _TRIES:
                asked = [h for h in left if h.role in roles]
                if asked and not new:
                    new = opened(asked, secret, [w for w in ways if w.brand == brand], budget)
            if new:
                used.add(secret.password)
                found |= new
                ways = [w for w in ways if w.brand in {o.way.brand for o in new.values()}]
        outer = next((found[r] for r in _BOTH[NORMAL] if r in found), None)
        inner = next((found[r] for r in _BOTH[INNER] if r in found), None)
        best = outer or inner
        if best is None:
            raise Locked("encrypted volume", _span(self._source, 0), "no key opens any header that TrueCrypt or VeraCrypt may have written")
        self.facts = best.facts
        plain = self._plain(best, budget)
        if outer is not None and inner is not None:
            hidden = self._plain(inner, budget)
            self.others = (Volume(hidden, index=1, start=-1, scheme=self.format, kind="hidden volume"),)
            words = f"a hidden volume of {hidden.size:,} bytes lies in its free space: what is there is the other volume's"
            budget.report(Finding.note("encrypted volume", words, span=inner.head.span))
        for one in (outer, inner):
            if one is not None and one.head.role in (COPY, INNER_COPY):
                words = f"opened by the {one.head.role}, at {one.head.at:,}: the first header is damaged, or has another password"
                budget.report(Finding.note("volume header", words, span=one.head.span))
        return plain

    def _plain(self, found: Opened, budget: Budget) -> ByteSource:
        start, size, first = area(found, self._source.size, budget)
        return SectorSource(self._source, start, size, found.scheme.layers(found.keys, first), self.format)


def probe(source: ByteSource) -> bool:
    """Whether the bytes at any place of a header may be one."""
    return bool(heads(source))


def open_truecrypt(source: ByteSource, budget: Budget) -> TrueCryptLock:
    """The lock of what may be a volume. Raises NotThisFormat where no place of a header has bytes that may be one."""
    found = heads(source)
    if not found:
        raise NotThisFormat("encrypted volume", None, "no place of a header holds what could be one")
    return TrueCryptLock(source, found)


ENCRYPTION = Encryption(
    name="veracrypt",
    title="TrueCrypt and VeraCrypt volumes, hidden volumes too",
    refs=(
        "TrueCrypt User's Guide 7.1a, Volume Format Specification, Encryption Scheme, Keyfiles",
        "VeraCrypt documentation: VeraCrypt Volume Format Specification; Header Key Derivation, Salt, and Iteration Count; PIM; Keyfiles",
        "RFC 8018 (PBKDF2)", "RFC 9106 (Argon2)", "IEEE 1619-2007 (XTS)", "RFC 3713 (Camellia)", "RFC 7801 (Kuznyechik)",
        "RFC 6986 (Streebog)", "ISO/IEC 10118-3 (Whirlpool)",
    ),
    gaps=(
        "nothing tells such a volume from random bytes: only a key shows it, and without keys it is not asked",
        "hidden operating systems; keys on smart cards and TPMs; LRW with Blowfish, CAST5 and Triple DES (TrueCrypt 4.1 to 4.3)",
        "encryption in place that was interrupted: the part that was still plain is left out",
    ),
    order=90,
    unmarked=True,
    probe=probe,
    open=open_truecrypt,
)  # fmt: skip
