"""Encryption of Apple's disk images, both versions: from a password to a source that decrypts."""

from __future__ import annotations

import hashlib
import hmac
import struct
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Locked, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.formats import encrcdsa as f
from forensiclib.images._blocks import read_exactly, root_of
from forensiclib.kernels import sectors_decrypt

__all__ = ["Deciphered", "Opened", "Sealed", "sealed"]

ROUNDS = 100_000_000
"""Rounds of PBKDF2 in one derivation, as for volumes (crypto/_kdf.py). hdiutil measures some 250,000."""
ITEMS = 64
"""Ways to open one image: passwords and certificates."""
CHUNK = 1 << 18
"""Bytes read and decrypted at a time: they are still in the cache when they are decrypted."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The keys of an image; never shown. ``block`` bytes have one initial value, which depends on their number."""

    block: int
    aes: bytes = field(repr=False)
    hmac: bytes = field(repr=False)

    def decrypt(self, data: bytearray | memoryview, number: int) -> None:
        """Whole blocks in place; ``number`` is that of the first."""
        one, key = hmac.digest, self.hmac
        ivs = b"".join(one(key, struct.pack(">I", number + i), "sha1")[:16] for i in range(len(data) // self.block))
        sectors_decrypt("aes", "cbc", self.aes, b"", data, self.block, ivs=ivs)


class Deciphered(ByteSource):
    """The plain bytes of ``size`` encrypted ones from ``start`` of ``base``, which may hold them up to the end of the last block."""

    __slots__ = ("_base", "_keys", "_start", "size")

    def __init__(self, base: ByteSource, start: int, size: int, keys: Opened) -> None:
        self._base, self._start, self._keys, self.size = base, start, keys, size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done, block = memoryview(buffer), 0, self._keys.block
        while done < n:
            at = offset + done
            skip, left = at % block, n - done
            if skip or left < block:
                take = min(left, block - skip)
                whole = memoryview(bytearray(block))
                self._fill(at - skip, whole)
                view[done : done + take] = whole[skip : skip + take]
            else:
                take = min(left - left % block, max(CHUNK // block, 1) * block)
                self._fill(at, view[done : done + take])
            done += take
        return done

    def _fill(self, at: int, part: memoryview) -> None:
        got = self._base.read_into(self._start + at, part)
        if got < len(part):
            span = Span(root_of(self._base), self._start + at, got)
            raise Truncated("encrypted block", span, f"{got} of {len(part)} bytes are there")
        self._keys.decrypt(part, at // self._keys.block)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        if not n:
            return ()
        block = self._keys.block
        low, high = offset // block * block, -(-(offset + n) // block) * block
        return merge(s.through("aes-cbc") for s in self._base.trace(self._start + low, high - low))


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted image that was recognised, before any key.

    start, size   where the encrypted bytes begin, and how many plain ones they are; block   bytes of one
    opener        password -> the keys, None when it is not the one
    """

    start: int
    size: int
    block: int
    facts: dict[str, str]
    needs: str
    span: Span
    opener: Callable[[bytes, Budget], Opened | None]

    def unlock(self, budget: Budget) -> Opened:
        """By the passwords and key files of the run. Raises Locked, saying what would open it, when none does."""
        problems: list[EvidenceError] = []
        for secret in _secrets(budget):
            budget.check()
            try:
                keys = self.opener(secret, budget)
            except EvidenceError as error:
                problems.append(error)
                continue
            if keys is not None:
                return keys
        given = "no key that was given opens it" if budget.keys.passwords or budget.keys.keyfiles else f"give a {self.needs}"
        why = f" ({problems[0]})" if problems else ""
        raise Locked("encrypted disk image", self.span, f"{self.facts['cipher']}, {self.facts['key_derivation']}: {given}{why}")


def _secrets(budget: Budget) -> Iterator[bytes]:
    """Each password in UTF-8, as it was given and in both normal forms, then each key file as it is."""
    for password in budget.keys.passwords:
        forms = (password, unicodedata.normalize("NFC", password), unicodedata.normalize("NFD", password))
        yield from dict.fromkeys(form.encode("utf-8", "surrogateescape") for form in forms)
    yield from budget.keys.keyfiles


def _derived(secret: bytes, salt: bytes, rounds: int, size: int) -> bytes:
    if not 0 < rounds * 2 <= ROUNDS:
        raise LimitExceeded("PBKDF2", None, f"the header asks for {rounds:,} rounds; {ROUNDS // 2:,} allowed")
    return hashlib.pbkdf2_hmac("sha1", secret, salt, rounds, size)


def _unwrapped(key: bytes, iv: bytes, blob: bytes) -> bytes | None:
    """Triple DES in CBC with the padding of PKCS #7 taken off; None when that is not there."""
    data = bytearray(blob)
    sectors_decrypt("des3_ede", "cbc", key, b"", data, len(data), ivs=iv)
    count = data[-1]
    if not 0 < count <= 8 or data[-count:] != bytes([count]) * count:
        return None
    return bytes(data[:-count])


def _keys(block: int, aes: bytes, mac: bytes, bits: int) -> Opened | None:
    return Opened(block, aes, mac) if len(aes) * 8 == bits and len(mac) == 20 else None


def _blocks_ok(block: int, size: int, span: Span) -> None:
    if not 16 <= block <= 1 << 26 or block % 16 or size > 1 << 60 or -(-size // block) > 1 << 32:
        raise Corrupt("encrypted disk image", span, f"blocks of {block} bytes, {size} bytes of data")


def _cipher_ok(head: dict[str, Any], span: Span) -> None:
    if head["algorithm"] != f.AES or head["mode"] != f.CBC or head["key_bits"] not in (128, 256):
        text = f"cipher {head['algorithm']:#x} in mode {head['mode']} with a key of {head['key_bits']} bits"
        raise Unsupported("encrypted disk image", span, text)


def _version2(file: ByteSource, budget: Budget) -> Sealed:
    root = root_of(file)
    head = f.HEADER2.dict(read_exactly(file, 0, f.HEADER2.size, "encrcdsa header"))
    span = Span(root, 0, f.HEADER2.size)
    if head["version"] != 2:
        raise Unsupported("encrcdsa header", span, f"version {head['version']}")
    _cipher_ok(head, span)
    if (head["iv_algorithm"], head["iv_key_bits"]) != (f.HMAC_SHA1, 160):
        raise Unsupported("encrcdsa header", span, f"initial values by algorithm {head['iv_algorithm']:#x}")
    _blocks_ok(head["block"], head["size"], span)
    if head["items"] > ITEMS:
        raise Corrupt("encrcdsa header", span, f"{head['items']} keys")
    table = read_exactly(file, f.HEADER2.size, head["items"] * f.ITEM.size, "encrcdsa key table")
    passwords: list[tuple[dict[str, Any], bytes]] = []
    names = []
    for i in range(head["items"]):
        kind, at, size = f.ITEM.unpack(table, i * f.ITEM.size)
        names.append(f.ITEMS.get(kind, f"type {kind}"))
        if kind != f.ITEM_PASSWORD:
            continue
        raw = read_exactly(file, min(at, file.size), min(size, 4096), "encrcdsa key") if size >= f.PASSWORD.size else b""
        item = f.PASSWORD.dict(raw) if raw else {}
        where = Span(root, at, size)
        if not item or not 0 < item["blob_bytes"] <= len(raw) - f.PASSWORD.size or item["blob_bytes"] % 8 or item["salt_bytes"] > 32:
            budget.report(Corrupt("encrcdsa key", where, f"key {i}: its lengths"))
        elif (item["kdf"], item["algorithm"], item["padding"], item["mode"], item["key_bits"], item["iv_bytes"]) != (
            f.PBKDF2, f.DES3, f.PKCS7, f.CBC_PAD, 192, 8
        ):  # fmt: skip
            text = f"key {i}: derivation {item['kdf']:#x}, cipher {item['algorithm']:#x}, mode {item['mode']}"
            budget.report(Unsupported("encrcdsa key", where, text))
        else:
            passwords.append((item, raw[f.PASSWORD.size : f.PASSWORD.size + item["blob_bytes"]]))

    def opener(secret: bytes, budget: Budget) -> Opened | None:
        for item, blob in passwords:
            budget.check()
            key = _derived(secret, item["salt"][: item["salt_bytes"]], item["rounds"], 24)
            plain = _unwrapped(key, item["iv"][:8], blob)
            if plain is not None and plain.endswith(f.SUFFIX):
                cut, keys = head["key_bits"] // 8, plain[: -len(f.SUFFIX)]
                if (made := _keys(head["block"], keys[:cut], keys[cut:], head["key_bits"])) is not None:
                    return made
        return None

    rounds = ", ".join(f"{item['rounds']:,}" for item, _ in passwords)
    facts = {
        "cipher": f"AES-{head['key_bits']}-CBC", "encryption_version": "2", "encryption_block": str(head["block"]),
        "key_derivation": f"PBKDF2-HMAC-SHA1, {rounds or 'no'} rounds", "keys": ", ".join(names),
        "encryption_uuid": str(uuid.UUID(bytes=head["uuid"])),
    }  # fmt: skip
    needs = "password" if passwords else "private key of its certificate, which cannot be given yet"
    return Sealed(head["offset"], head["size"], head["block"], facts, needs, span, opener)


def _version1(file: ByteSource, budget: Budget) -> Sealed:
    root = root_of(file)
    tail = f.TRAILER1.dict(read_exactly(file, file.size - f.TRAILER1.size, f.TRAILER1.size, "cdsaencr trailer"))
    at = tail["header"]
    head = f.HEADER1.dict(read_exactly(file, min(at, file.size), f.HEADER1.size, "cdsaencr header"))
    span = Span(root, at, f.HEADER1.size)
    _cipher_ok(head, span)
    if (head["kdf"], head["wrap_algorithm"], head["hmac_algorithm"]) != (f.PBKDF2, f.DES3, f.HMAC_SHA1):
        text = f"derivation {head['kdf']:#x}, cipher of the keys {head['wrap_algorithm']:#x}, initial values by {head['hmac_algorithm']:#x}"
        raise Unsupported("cdsaencr header", span, text)
    size = at
    _blocks_ok(head["block"], size, span)
    if not all(0 < head[n] <= 256 and head[n] % 8 == 0 for n in ("key_bytes", "hmac_bytes")) or head["salt_bytes"] > 32:
        raise Corrupt("cdsaencr header", span, "lengths of its keys")

    def one(secret: bytes, blob: bytes) -> bytes | None:
        """RFC 3217, 3.2: twice, the second time from the end; then a length of 0 and the key (Apple's CMS wrapping)."""
        first = _unwrapped(secret, f.WRAP_IV, blob)
        if first is None or len(first) < 16 or len(first) % 8:
            return None
        turned = first[::-1]
        plain = _unwrapped(secret, turned[:8], turned[8:])
        return plain[4:] if plain is not None and plain[:4] == bytes(4) else None

    def opener(secret: bytes, budget: Budget) -> Opened | None:
        key = _derived(secret, head["salt"][: head["salt_bytes"]], head["rounds"], 24)
        aes, mac = one(key, head["key"][: head["key_bytes"]]), one(key, head["hmac"][: head["hmac_bytes"]])
        return _keys(head["block"], aes, mac, head["key_bits"]) if aes is not None and mac is not None else None

    budget.report(
        Finding.note("encrypted disk image", "version 1 does not say how long the disk is: its last block may be padding", root, span)
    )
    facts = {
        "cipher": f"AES-{head['key_bits']}-CBC", "encryption_version": "1", "encryption_block": str(head["block"]),
        "key_derivation": f"PBKDF2-HMAC-SHA1, {head['rounds']:,} rounds", "keys": "password",
        "encryption_uuid": str(uuid.UUID(bytes=head["uuid"])),
    }  # fmt: skip
    return Sealed(0, size, head["block"], facts, "password", span, opener)


def sealed(file: ByteSource, budget: Budget) -> Sealed:
    """The encryption of an image, by its header. NotThisFormat without one; Unsupported, Corrupt, Truncated for one that cannot be."""
    if file.read_at(0, 8) == f.SIGNATURE:
        return _version2(file, budget)
    if file.size >= f.TRAILER1.size and file.read_at(file.size - 8, 8) == f.SIGNATURE1:
        return _version1(file, budget)
    raise NotThisFormat("encrypted disk image", Span(root_of(file), 0, 8), "neither encrcdsa at the start nor cdsaencr at the end")
