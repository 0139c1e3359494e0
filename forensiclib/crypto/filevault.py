"""FileVault 2: logical volumes of CoreStorage whose key a password, a recovery key or the keys of their users give."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock, beneath
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Unsupported
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.core.text import escape
from forensiclib.crypto._kdf import pbkdf2
from forensiclib.crypto._sectors import Layer, SectorSource
from forensiclib.crypto._wrap import spellings, unwrapped
from forensiclib.formats import corestorage as fmt
from forensiclib.formats._dsl import parse
from forensiclib.stores.corestorage import LogicalVolume
from forensiclib.stores.kernelplist import plist

__all__ = ["ENCRYPTION", "FileVaultLock", "open_filevault", "root_context"]

_SECTOR = 512
_MOST = 16 << 20
"""Bytes of an EncryptedRoot.plist.wipekey; real ones, with pictures of the users, have a million."""
_PLAIN = ((1024, b"H+"), (1024, b"HX"), (32, b"NXSB"), (510, b"\x55\xaa"), (0, b"LABELONE"))
"""Starts of what a logical volume holds when it is not encrypted."""


def root_context(data: bytes, volumes: tuple[UUID, ...], budget: Budget) -> dict[str, Any] | None:
    """The encryption context in an EncryptedRoot.plist.wipekey, as it lies on the recovery partition or decrypted; None for other bytes."""
    if len(data) > _MOST or len(data) < 64:
        return None
    for plain in _plain(data, volumes):
        if b"CryptoUsers" in plain:
            try:
                found = plist(plain, budget, "EncryptedRoot.plist.wipekey")
            except EvidenceError:
                continue
            if isinstance(found, dict):
                return found
    return None


def _plain(data: bytes, volumes: tuple[UUID, ...]) -> Iterator[bytes]:
    """The bytes themselves, then decrypted with each physical volume's UUID: AES-XTS, the whole file one unit."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    yield data
    for uuid in volumes:
        cipher = Cipher(algorithms.AES(uuid.bytes + bytes(16)), modes.XTS(bytes(16))).decryptor()
        yield cipher.update(data) + cipher.finalize()


def _entries(context: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = context.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _kek(entry: dict[str, Any]) -> Any | None:
    """The PassphraseWrappedKEKStruct of a user; None for a user without one."""
    raw = entry.get("PassphraseWrappedKEKStruct")
    if not isinstance(raw, bytes) or len(raw) < fmt.PASSPHRASE_KEK.sizeof():
        return None
    found = parse(fmt.PASSPHRASE_KEK, MemorySource(raw), 0, "FileVault key")
    return found if (found.salt_size, found.key_size) == (16, 24) else None


def _wrapped(context: dict[str, Any]) -> list[bytes]:
    """The wrapped volume keys, those of AES-XTS."""
    out = []
    for entry in _entries(context, "WrappedVolumeKeys"):
        raw = entry.get("KEKWrappedVolumeKeyStruct")
        if entry.get("BlockAlgorithm") == "AES-XTS" and isinstance(raw, bytes) and len(raw) >= fmt.WRAPPED_KEY.sizeof():
            found = parse(fmt.WRAPPED_KEY, MemorySource(raw), 0, "FileVault key")
            if found.key_size == 24:
                out.append(found.key)
    return out


class FileVaultLock(Lock):
    """An encrypted logical volume."""

    format = "filevault"

    def __init__(self, volume: LogicalVolume) -> None:
        self._volume = volume
        described = volume.described
        context = described.context or {}
        users = [entry for entry in _entries(context, "CryptoUsers") if _kek(entry) is not None]
        self._status = _status(context)
        hints = [str(u["PassphraseHint"]) for u in users if u.get("PassphraseHint")]
        names = [str(u["UserFullName"]) for u in users if u.get("UserFullName")]
        self.needs = ("password", "recovery key")
        if not context:
            self.needs = ("password or recovery key, with EncryptedRoot.plist.wipekey of the recovery partition as key file",)
        rounds = sorted({f"PBKDF2-SHA256, {kek.rounds} rounds" for u in users if (kek := _kek(u)) is not None})
        self.facts: Mapping[str, str] = {
            "cipher": "AES-XTS 128", "uuid": described.uuid, "family": described.family, "keys": str(len(users)),
            "users": escape(", ".join(names)), "hint": escape(", ".join(hints)), "derivation": ", ".join(rounds),
            "conversion": escape(self._status),
        }  # fmt: skip

    def _where(self) -> Span | None:
        spans = self._volume.trace(0, min(512, self._volume.size))
        return spans[0] if spans else None

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The logical volume in plain. Raises Locked; Unsupported while the volume is being encrypted or decrypted."""
        volume = self._volume
        contexts = [volume.described.context] if volume.described.context else []
        contexts += [found for data in keys.keyfiles if (found := root_context(data, volume.physical, budget)) is not None]
        for context in contexts:
            if (key := self._key(context, keys, budget)) is None:
                continue
            if _status(context) in ("Converting", "Pending"):
                text = f"conversion {_status(context).lower()}: which parts are encrypted is not read"
                raise Unsupported("FileVault volume", self._where(), text)
            family = self._family()
            tweak = hashlib.sha256(key + family.bytes).digest()[:16]
            return SectorSource(volume, 0, volume.size, [Layer("aes", "xts", key, tweak, _SECTOR)], self.format)
        if not contexts:
            text = "its keys are on the recovery partition: give EncryptedRoot.plist.wipekey as key file, and a password"
            raise Locked("FileVault volume", self._where(), text)
        raise Locked("FileVault volume", self._where(), f"no key opens it; it has {self.facts['keys']} passwords")

    def _family(self) -> UUID:
        try:
            return UUID(self._volume.described.family)
        except ValueError:
            raise Corrupt("FileVault volume", self._where(), f"family {self._volume.described.family[:40]!r} is no UUID") from None

    def _key(self, context: dict[str, Any], keys: Keys, budget: Budget) -> bytes | None:
        """The volume's key: a password opens a user's, that opens it."""
        wrapped = _wrapped(context)
        users = [kek for entry in _entries(context, "CryptoUsers") if (kek := _kek(entry)) is not None]
        for secret in spellings(keys):
            for user in users:
                opened = unwrapped(pbkdf2("sha256", secret, user.salt, user.rounds, 16, budget), user.key)
                for key in wrapped if opened is not None else ():
                    if (volume := unwrapped(opened or b"", key)) is not None:
                        return volume
        return None


def _status(context: dict[str, Any]) -> str:
    info = context.get("ConversionInfo")
    return str(info.get("ConversionStatus", "")) if isinstance(info, dict) else ""


def probe(source: ByteSource) -> bool:
    """Whether it is a logical volume that has a key; where its family says nothing, one that does not begin like a plain one."""
    volume = beneath(source, LogicalVolume)
    if volume is None:
        return False
    if volume.described.context is not None:
        return bool(_wrapped(volume.described.context))
    try:
        return not any(volume.read_at(at, len(mark)) == mark for at, mark in _PLAIN)
    except EvidenceError:
        return True


def open_filevault(source: ByteSource, budget: Budget) -> FileVaultLock:
    """The lock of such a volume. Raises NotThisFormat."""
    volume = beneath(source, LogicalVolume)
    if volume is None:
        raise NotThisFormat("FileVault volume", None, "not a CoreStorage logical volume")
    return FileVaultLock(volume)


ENCRYPTION = Encryption(
    name="filevault",
    title="FileVault 2 on CoreStorage",
    refs=(
        "O. Choudary, J. Metz, FileVault Drive Encryption (FVDE) (libfvde)",
        "O. Choudary, F. Groebert, J. Metz, Infiltrate the Vault, 2012",
        "RFC 3394; RFC 8018; IEEE 1619",
    ),
    gaps=(
        "volumes whose encryption or decryption has not ended",
        "the keys of a start volume lie on another partition (EncryptedRoot.plist.wipekey): that file is a key file, it is not looked for; "
        "tested with a file that the tests wrote",
        "institutional recovery keys and those in iCloud",
    ),
    order=5,
    probe=probe,
    open=open_filevault,
)
