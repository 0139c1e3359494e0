"""APFS encryption: keybags, from a password to the volume's key, and the proof that it opens the file system tree."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock, beneath
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.text import escape
from forensiclib.crypto._kdf import pbkdf2
from forensiclib.crypto._sectors import Layer, SectorSource
from forensiclib.crypto._wrap import spellings, unwrapped
from forensiclib.formats import apfs
from forensiclib.formats._dsl import parse
from forensiclib.kernels import sectors_decrypt
from forensiclib.stores.apfs.container import Container
from forensiclib.stores.apfs.objects import sealed
from forensiclib.stores.apfs.volume import ApfsVolume

__all__ = ["ENCRYPTION", "ApfsLock", "Wrapped", "open_apfs", "read_keybag", "wrapped_key"]

_SECTOR = 512
_CONTAINER_BAG, _VOLUME_BAG = 0x6B657973, 0x72656373
_KEY, _RECORDS, _HINT = 2, 3, 4
_BAG_BLOCKS = 16
_HMAC_KEY = bytes.fromhex("011620171505")
"""Begins what the key of a wrapped key's HMAC is the SHA-256 of; the record's salt follows."""
_SHORT = 2
"""Bit of a method: keys of 128 bits, as FileVault 2 had them; the second one is made of the first and an identifier."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key of a keybag. ``uuid``: whose (formats.apfs.KEY_USERS); ``rounds`` 0: it is wrapped in a key, not a password."""

    uuid: UUID
    inner: bytes
    method: int
    key: bytes = field(repr=False)
    rounds: int = 0
    salt: bytes = b""

    @property
    def holder(self) -> str:
        """In words."""
        return apfs.KEY_USERS.get(str(self.uuid), f"user {self.uuid}")


def _der(data: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Tag -> (value, the element with tag and length) of elements one behind the other. Raises ValueError for a length that cannot be."""
    out: dict[int, tuple[bytes, bytes]] = {}
    at = 0
    while at + 2 <= len(data):
        start, tag, size = at, data[at], data[at + 1]
        at += 2
        if tag == 0 and size == 0:
            break
        if size & 0x80:
            wide = size & 0x7F
            if not 0 < wide <= 4 or at + wide > len(data):
                raise ValueError(f"a length of {wide} bytes")
            size = int.from_bytes(data[at : at + wide], "big")
            at += wide
        if at + size > len(data):
            raise ValueError(f"{size} bytes at {at} of {len(data)}")
        out.setdefault(tag, (data[at : at + size], data[start : at + size]))
        at += size
    return out


def wrapped_key(uuid: UUID, data: bytes) -> Wrapped:
    """The wrapped key in an entry's data. Raises ValueError when it is none, or its HMAC does not hold."""
    names = apfs.ATTRIBUTES
    none = (b"", b"")
    outer = _der(_der(data).get(0x30, none)[0])
    blob, whole = outer.get(names["blob"], none)
    inner = {tag: value for tag, (value, _) in _der(blob).items()}
    if not {names["method"], names["key"]} <= set(inner) or len(inner.get(names["uuid"], b"")) != 16:
        raise ValueError("not a wrapped key")
    key = hashlib.sha256(_HMAC_KEY + outer.get(names["salt"], none)[0]).digest()
    if not hmac.compare_digest(hmac.digest(key, whole, "sha256"), outer.get(names["hmac"], none)[0]):
        raise ValueError("its HMAC does not hold")
    rounds = int.from_bytes(inner.get(names["rounds"], b""), "big")
    method = int.from_bytes(inner[names["method"]][:4], "little")
    return Wrapped(uuid, inner[names["uuid"]], method, inner[names["key"]], rounds, inner.get(names["pbkdf2"], b""))


def read_keybag(container: Container, block: int, count: int, key: bytes, kind: int) -> list[tuple[UUID, int, bytes]]:
    """(whose, tag, data) of the entries of the keybag in ``count`` blocks, which a UUID encrypts.

    Raises Corrupt when the checksum does not hold after decryption, Unsupported for a version not known, LimitExceeded, Truncated.
    """
    what, blocks = "APFS keybag", container.blocks
    span = blocks.span(block, 1)
    if not 0 < count <= _BAG_BLOCKS:
        raise Corrupt(what, span, f"{count} blocks")
    raw = bytearray(blocks.read(block, what, count))
    sectors_decrypt("aes", "xts", key, key, raw, _SECTOR, block * blocks.size // _SECTOR)
    if not sealed(raw) or struct.unpack_from("<I", raw, 24)[0] != kind:
        raise Corrupt(what, span, "no checksum holds after decryption with its UUID: damaged, or encrypted by hardware")
    head = parse(apfs.KEYBAG, MemorySource(bytes(raw)), 32, what)
    if head.version != 2:
        raise Unsupported(what, span, f"version {head.version}")
    out: list[tuple[UUID, int, bytes]] = []
    at, end = 48, min(32 + head.size, len(raw))
    for _ in range(head.count):
        if at + apfs.KEYBAG_ENTRY_LAYOUT.size > end:
            raise Corrupt(what, span, f"{head.count} entries in {head.size} bytes")
        uuid, tag, size = apfs.KEYBAG_ENTRY_LAYOUT.unpack(raw, at)
        start = at + apfs.KEYBAG_ENTRY_LAYOUT.size
        if start + size > len(raw):
            raise Corrupt(what, span, f"an entry of {size} bytes at {at}")
        out.append((UUID(bytes=bytes(uuid)), tag, bytes(raw[start : start + size])))
        at = -(-(start + size) // 16) * 16
    return out


@dataclass(slots=True)
class _Bag:
    """What the keybags have for a volume: its own wrapped key, those of people, their hint; or that hardware keeps them."""

    volume: Wrapped | None = None
    people: list[Wrapped] = field(default_factory=list)
    hint: str = ""
    hardware: bool = False


def _bag(volume: ApfsVolume, budget: Budget) -> _Bag:
    """The keys of a volume. What cannot be read is reported, or means hardware."""
    container, head, out = volume.container, volume.container.head, _Bag()
    try:
        if not head.keybag:
            raise Corrupt("APFS keybag", container.blocks.span(container.current.block), "the container has none")
        entries = read_keybag(container, head.keybag, head.keybag_blocks, container.uuid, _CONTAINER_BAG)
        mine = [(tag, data) for uuid, tag, data in entries if uuid == volume.uuid]
        for data in [data for tag, data in mine if tag == _KEY]:
            out.volume = wrapped_key(volume.uuid, data)
        places = [data for tag, data in mine if tag == _RECORDS and len(data) >= 16]
        if not places:
            raise Corrupt("APFS keybag", container.blocks.span(head.keybag), f"no keys of volume {volume.uuid}")
        block, count = struct.unpack_from("<2Q", places[0])
        _people(out, read_keybag(container, block, count, volume.uuid.bytes, _VOLUME_BAG), volume, block, budget)
    except (EvidenceError, ValueError) as error:
        out.hardware = not head.flags & 4
        if not out.hardware:
            damage = Corrupt("APFS keybag", container.blocks.span(head.keybag), str(error))
            budget.report(error if isinstance(error, EvidenceError) else damage, volume.name)
    return out


def _people(out: _Bag, entries: list[tuple[UUID, int, bytes]], volume: ApfsVolume, block: int, budget: Budget) -> None:
    for uuid, tag, data in entries:
        if tag == _HINT:
            out.hint = escape(data.decode("utf-8", "replace"))
        elif tag == _RECORDS:
            try:
                out.people.append(wrapped_key(uuid, data))
            except ValueError as error:
                text = f"key of {apfs.KEY_USERS.get(str(uuid), f'user {uuid}')}: {error}"
                budget.report(Corrupt("APFS keybag", volume.container.blocks.span(block), text), volume.name)


class ApfsLock(Lock):
    """An encrypted APFS volume, or a snapshot of one."""

    format = "apfs"

    def __init__(self, volume: ApfsVolume, budget: Budget) -> None:
        self._volume = volume
        if "keybag" not in volume.family:
            volume.family["keybag"] = _bag(volume, budget)
        bag: _Bag = volume.family["keybag"]
        self._bag = bag
        holders = [k.holder for k in bag.people]
        self.needs: tuple[str, ...] = ("password", "recovery key") if "personal recovery key" in holders else ("password",)
        if bag.hardware:
            self.needs = ("machine itself, whose chip holds the keys",)
        self.facts: Mapping[str, str] = {
            "cipher": "AES-XTS 128", "uuid": str(volume.uuid), "keys": ", ".join(holders), "hint": bag.hint,
            "derivation": ", ".join(sorted({f"PBKDF2-SHA256, {k.rounds} rounds" for k in bag.people})),
        }  # fmt: skip

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The volume with its key (see stores.apfs.volume.ApfsVolume), once the root of its file system tree has proven it.

        Raises Locked; Corrupt when the key that was unwrapped does not open the tree.
        """
        volume = self._volume
        where = volume.container.blocks.span(volume.block)
        if self._bag.hardware:
            raise Locked("APFS volume", where, "its keys are kept by hardware (T2, Apple silicon): no password opens an image of it")
        if keys not in volume.family:  # once for the volume and all its snapshots
            volume.family[keys] = self._key(keys, budget)
        key = volume.family[keys]
        if key is None:
            found = f"no key opens it; its keys: {self.facts['keys'] or 'none that could be read'}"
            raise Locked("APFS volume", where, found)
        first, second = key
        base = volume.container.blocks.source
        layer = Layer("aes", "xts", first, second, _SECTOR)
        source = volume.opened(lambda number: SectorSource(base, 0, base.size, [layer], self.format, number))
        source.node(volume.head.root_oid)  # Corrupt when the key is not the one
        if volume.omap.flags & 0xE:
            text = "encryption, decryption or a change of keys is under way: blocks of files not yet reached decrypt to noise"
            budget.report(Finding.note("APFS volume", text, volume.name, where))
        return source

    def _key(self, keys: Keys, budget: Budget) -> tuple[bytes, bytes] | None:
        """Both halves of the volume's key."""
        wrapped = self._bag.volume
        if wrapped is None:
            return None
        for secret in spellings(keys):
            for person in self._bag.people:
                if not person.rounds:
                    continue
                size = 16 if person.method & _SHORT else 32
                kek = unwrapped(pbkdf2("sha256", secret, person.salt, person.rounds, size, budget), person.key[: size + 8])
                vek = unwrapped(kek, wrapped.key[: (16 if wrapped.method & _SHORT else 32) + 8]) if kek is not None else None
                if vek is None:
                    continue
                if len(vek) == 16:
                    return vek, hashlib.sha256(vek + wrapped.inner).digest()[:16]
                return vek[:16], vek[16:]
        return None


def probe(source: ByteSource) -> bool:
    """Whether it is an APFS volume that is encrypted, and no key was given yet."""
    volume = beneath(source, ApfsVolume)
    return volume is not None and volume.encrypted and volume.opener is None


def open_apfs(source: ByteSource, budget: Budget) -> ApfsLock:
    """The lock of such a volume. Raises NotThisFormat; damage in the keybags is a finding, and nothing opens it then."""
    volume = beneath(source, ApfsVolume)
    if volume is None or not volume.encrypted:
        raise NotThisFormat("APFS volume", None, "not one, or not encrypted")
    return ApfsLock(volume, budget)


ENCRYPTION = Encryption(
    name="apfs",
    title="APFS encryption (FileVault on APFS)",
    refs=(
        "Apple, Apple File System Reference, 2020-06-22: Encryption",
        "J. Metz, Apple File System (APFS) format (libfsapfs): Key bag",
        "RFC 3394; RFC 8018; IEEE 1619",
    ),
    gaps=(
        "keys that hardware keeps (T2, Apple silicon, iOS): said so, no password opens an image",
        "institutional recovery keys and those in iCloud, which are wrapped for a certificate",
        "until files are read, their blocks are decrypted under their own numbers: a file that was moved since may want another",
        "keys of 128 bits (volumes that were converted from FileVault 2) were tested with keybags that the tests wrote",
        "personal recovery keys were tested with keybags that the tests wrote; they differ from passwords in nothing but the record",
    ),
    order=5,
    probe=probe,
    open=open_apfs,
)
