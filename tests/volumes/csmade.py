"""CoreStorage groups written from libfvde's description of the format, with nothing of forensiclib: several physical volumes, several
segments, keys. Blocks of 4096 bytes."""

from __future__ import annotations

import base64
import hashlib
import struct
import uuid
import zlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

BLOCK = 4096
AREA = 8
AREAS = (1, 9, -17, -9)
META = (17, 57)
"""Blocks of each area, where they begin, and where both copies of the encrypted metadata do (40 blocks each)."""
META_BLOCKS = 40
FREE = 97
"""First block that is not metadata."""
KEY = bytes(range(16))


def weak(data: bytes, seed: int = 0xFFFFFFFF) -> int:
    """CRC-32C, not inverted."""
    for byte in data:
        seed ^= byte
        for _ in range(8):
            seed = seed >> 1 ^ (0x82F63B78 if seed & 1 else 0)
    return seed


def signed(raw: bytes) -> bytes:
    return struct.pack("<II", weak(raw[8:]), 0xFFFFFFFF) + raw[8:]


def xts(key: bytes, tweak: bytes, data: bytes, number: int) -> bytes:
    cipher = Cipher(algorithms.AES(key + tweak), modes.XTS(struct.pack("<QQ", number, 0))).encryptor()
    return cipher.update(data) + cipher.finalize()


def item(kind: int, oid: int, transaction: int, body: bytes, number: int) -> bytes:
    head = bytes(8) + struct.pack("<HHIQQQQIIQ", 1, kind, 7, transaction, oid, number, oid, 8192, 0, 0)
    return signed((head + body).ljust(8192, b"\0"))


def xml(value: object, ids: list[int] | None = None) -> str:
    """OSSerialize's form: numbers in hexadecimal, every value with an ID."""
    ids = ids if ids is not None else [-1]
    ids[0] += 1
    mark = f'ID="{ids[0]}"'
    if isinstance(value, dict):
        return f"<dict {mark}>" + "".join(f"<key>{k}</key>{xml(v, ids)}" for k, v in value.items()) + "</dict>"
    if isinstance(value, list):
        return f"<array {mark}>" + "".join(xml(v, ids) for v in value) + "</array>"
    if isinstance(value, int):
        return f'<integer size="64" {mark}>{value:#x}</integer>'
    if isinstance(value, bytes):
        return f"<data {mark}>{base64.b64encode(value).decode()}</data>"
    return f"<string {mark}>{value}</string>"


@dataclass
class Lv:
    """A logical volume: (physical volume, first block, blocks) of its segments. ``place``: "metadata" or "file" (the keys are in neither
    the metadata but in a wipekey file), "" for a plain one."""

    name: str
    segments: list[tuple[int, int, int]]
    content: bytes = b""
    password: str = ""
    recovery: str = ""
    place: str = "metadata"
    status: str = "Complete"
    packed: bool = False
    base: int = 0
    hole: int = 0

    @property
    def blocks(self) -> int:
        return sum(n for *_, n in self.segments) + self.hole

    @property
    def id(self) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, self.name)

    @property
    def family(self) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_URL, self.name)

    @property
    def secret(self) -> bool:
        return bool(self.password or self.recovery)

    @property
    def key(self) -> bytes:
        return hashlib.sha256(self.name.encode()).digest()[:16]

    def context(self) -> dict[str, object]:
        """The encryption context."""
        users, kek = [], hashlib.sha256(self.key).digest()[:16]
        for number, text in enumerate((self.password, self.recovery)):
            if text:
                salt = bytes([number]) * 16
                derived = hashlib.pbkdf2_hmac("sha256", text.encode(), salt, 1000 + number, 16)
                raw = struct.pack("<II16sII24s", 3, 16, salt, 16, 24, aes_key_wrap(derived, kek))
                raw = raw.ljust(168, b"\0") + struct.pack("<I", 1000 + number)
                users.append(
                    {"PassphraseWrappedKEKStruct": raw.ljust(284, b"\0"), "PassphraseHint": f"hint {number}", "UserFullName": "A <b>"[:1]}
                )
        keys = [{"BlockAlgorithm": "None", "KEKWrappedVolumeKeyStruct": b""}]
        if self.secret:
            raw = struct.pack("<II24s", 2, 24, aes_key_wrap(kek, self.key)).ljust(256, b"\0")
            keys.append({"BlockAlgorithm": "AES-XTS", "KEKWrappedVolumeKeyStruct": raw})
        return {"CryptoUsers": users, "WrappedVolumeKeys": keys, "ConversionInfo": {"ConversionStatus": self.status, "TargetContext": 1}}


def wipekey(lv: Lv, physical: uuid.UUID) -> bytes:
    """EncryptedRoot.plist.wipekey."""
    text = f'<?xml version="1.0"?>\n<!DOCTYPE plist PUBLIC "x" "y">\n<plist version="1.0">{xml(lv.context())}</plist>'.encode()
    return xts(physical.bytes, bytes(16), text + b"\n" * (-len(text) % 16), 0)


def pv_id(index: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_X500, f"pv{index}")


GROUP = uuid.uuid5(uuid.NAMESPACE_X500, "group")


def group(volumes: list[Lv], sizes: tuple[int, ...] = (400,), *, gone: tuple[Lv, ...] = (), names: bool = True) -> list[bytearray]:
    """The physical volumes of a group. ``gone``: logical volumes of an older transaction; ``names``: whether the label lists the members."""
    out = [bytearray(size * BLOCK) for size in sizes]
    items: list[bytes] = []

    def add(kind: int, oid: int, transaction: int, body: bytes) -> None:
        items.append(item(kind, oid, transaction, body, len(items)))

    oid = 0x10
    families = b"".join(struct.pack("<QQ", 0x10 + 8 * n, 0) for n in range(len(volumes)))
    add(0x105, 8, 2, struct.pack("<II", len(volumes), 0) + families)
    for transaction, lv in [*((1, g) for g in gone), *((2, v) for v in volumes)]:
        family, place, own, base = oid, oid + 1, oid + 2, oid + 3
        if transaction == 2:
            oid += 8
        about: dict[str, object] = {"com.apple.corestorage.lvf.uuid": str(lv.family).upper(), "com.apple.corestorage.lvf.sequence": 2}
        if lv.place == "file":
            items.append((b"LVFwiped" + item(0x19, family, transaction, b"", len(items))[8:64]).ljust(8192, b"\0"))
        else:
            about["com.apple.corestorage.lvf.encryption.context"] = lv.context()
            text = xml(about).encode()
            unpacked = len(text)
            text = zlib.compress(text) if lv.packed else text
            first = 100 if lv.packed else 7000  # a packed one goes on in a further block
            head = bytes(32) + struct.pack("<QIIII", base + 1 if lv.packed else 0, len(text), unpacked, 0x3B0, len(text[:first]))
            add(0x19, family, transaction, head.ljust(0x3B0 - 64, b"\0") + text[:first])
            if lv.packed:
                add(0x24, base + 1, transaction, struct.pack("<QII", 0, len(text[first:]), 0) + text[first:])
        entries, at = b"", 0
        for index, block, blocks in lv.segments:
            entries += (
                struct.pack("<QQIIII", 0, at, blocks, 0x400000, 0, 0) + (block - lv.base).to_bytes(6, "little") + struct.pack("<H", index)
            )
            at += blocks + (lv.hole if not at else 0)
        text = xml({
            "com.apple.corestorage.lv.familyUUID": str(lv.family).upper(), "com.apple.corestorage.lv.groupUUID": str(GROUP).upper(),
            "com.apple.corestorage.lv.sequence": 2, "com.apple.corestorage.lv.version": 0x10000,
            "com.apple.corestorage.lv.contenthint": "Apple_HFS", "com.apple.corestorage.lv.name": lv.name,
            "com.apple.corestorage.lv.size": lv.blocks * BLOCK, "com.apple.corestorage.lv.uuid": str(lv.id).upper(),
        }).encode()  # fmt: skip
        head = struct.pack("<QQQQQQQIIII", family, place, 0, 0, 9, 0, base if lv.base else 0, len(text), len(text), 0xB8, len(text))
        add(0x1A, own, transaction, head.ljust(0xB8 - 64, b"\0") + text)
        if lv.base:
            add(
                0x505,
                base,
                transaction,
                struct.pack("<IIQ", 1, 0, 1000) + lv.base.to_bytes(6, "little") + struct.pack("<H", lv.segments[0][0]),
            )
        add(0x305, place, transaction, struct.pack("<II", len(lv.segments), 0) + entries)
        if transaction == 2:
            _content(out, lv)
    secret = b"".join(xts(KEY, pv_id(0).bytes, raw, number) for number, raw in enumerate(items))
    assert len(secret) <= META_BLOCKS * BLOCK
    for index, device in enumerate(out):
        _physical(device, index, len(sizes), names)
    for start in META:
        out[0][start * BLOCK : start * BLOCK + len(secret)] = secret
    return out


def _content(out: list[bytearray], lv: Lv) -> None:
    if lv.blocks > 1 << 20:
        return
    data = lv.content.ljust(lv.blocks * BLOCK, b"\0")[: lv.blocks * BLOCK]
    if lv.secret:
        tweak = hashlib.sha256(lv.key + lv.family.bytes).digest()[:16]
        data = b"".join(xts(lv.key, tweak, data[at : at + 512], at // 512) for at in range(0, len(data), 512))
    at = 0
    for index, block, blocks in lv.segments:
        out[index][block * BLOCK : (block + blocks) * BLOCK] = data[at : at + blocks * BLOCK]
        at += (blocks + (lv.hole if not at else 0)) * BLOCK


def _physical(device: bytearray, index: int, members: int, names: bool) -> None:
    blocks = len(device) // BLOCK
    areas = [n % blocks for n in AREAS]
    head = (
        bytes(8)
        + struct.pack("<HHI", 1, 0x10, 7)
        + bytes(32)
        + struct.pack("<I", 512)
        + bytes(12)
        + struct.pack("<Q", len(device))
        + bytes(16)
    )
    head += (
        b"CS" + struct.pack("<IHII", 1, 4, BLOCK, AREA * BLOCK) + struct.pack("<8Q", *areas, 0, 0, 0, 0) + struct.pack("<II", 16, 2) + KEY
    )
    head += bytes(112) + pv_id(index).bytes + GROUP.bytes + bytes(176)
    assert len(head) == 512
    head = signed(head)
    device[:512] = head
    device[-BLOCK : -BLOCK + 512] = head
    text = xml({
        "com.apple.corestorage.label.sequence": 3, "com.apple.corestorage.lvg.uuid": str(GROUP).upper(),
        "com.apple.corestorage.lvg.name": "Group", "com.apple.corestorage.pv.uuid": str(pv_id(index)).upper(),
        "com.apple.corestorage.lvg.physicalVolumes": [str(pv_id(i)).upper() for i in range(members)],
    }).encode() if names else b""  # fmt: skip
    body = struct.pack("<II", AREA * BLOCK, 3).ljust(156, b"\0") + struct.pack("<IIII", 8192, 8192 + 48, len(text), len(text))
    body += struct.pack("<HHQQ", 0, index, blocks, 0)
    label = item(0x11, 0, 3, body, 0)
    place = struct.pack("<QQQQ", 1, META_BLOCKS, 0, 2) + b"".join(n.to_bytes(6, "little") + bytes(2) for n in META)
    for area in areas:
        device[area * BLOCK : area * BLOCK + 8192] = label
        device[area * BLOCK + 8192 : area * BLOCK + 8192 + 48 + len(text)] = place + text
