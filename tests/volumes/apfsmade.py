"""Containers written from the Apple File System Reference, field by field and with nothing of forensiclib: what no tool here makes
(several volumes, roles, snapshots, keybags, two devices). They hold no files."""

from __future__ import annotations

import hashlib
import hmac
import struct
import uuid
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

BLOCK = 4096
XID = 6
RECOVERY = uuid.UUID("EBC6C064-0000-11AA-AA11-00306543ECAC")
TIER2 = 0x4000000000000000 // BLOCK


def fletcher(data: bytes) -> bytes:
    """Reference, "o_cksum": Fletcher's checksum of words of 32 bits, folded so that the sums over all come out as zero."""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) % 0xFFFFFFFF
        high = (high + low) % 0xFFFFFFFF
    first = 0xFFFFFFFF - (low + high) % 0xFFFFFFFF
    return struct.pack("<II", first, 0xFFFFFFFF - (low + first) % 0xFFFFFFFF)


def signed(block: bytes) -> bytes:
    """The block with its checksum."""
    return fletcher(block[8:]) + block[8:]


def thing(kind: int, oid: int, body: bytes, subtype: int = 0, xid: int = XID, size: int = BLOCK) -> bytes:
    """An object."""
    return signed((bytes(8) + struct.pack("<QQII", oid, xid, kind, subtype) + body).ljust(size, b"\0"))


def node(
    oid: int, entries: list[tuple[bytes, bytes]], subtype: int, fixed: bool, level: int = 0, root: bool = True, kind: int = 0x40000002
) -> bytes:
    """A B-tree node with the entries in the order of the list."""
    wide, end = 4 if fixed else 8, BLOCK - 40 if root else BLOCK
    table, keys, values = b"", b"", b""
    for key, value in entries:
        at = len(values) + len(value)
        table += struct.pack("<HH", len(keys), at) if fixed else struct.pack("<HHHH", len(keys), len(key), at, len(value))
        keys += key
        values = value + values
    flags = (1 if root else 0) | (2 if level == 0 else 0) | (4 if fixed else 0)
    room = end - 56 - len(table) - len(keys) - len(values)
    head = struct.pack("<HHI8H", flags, level, len(entries), 0, len(entries) * wide, len(keys), room, 0xFFFF, 0, 0xFFFF, 0)
    body = head + table + keys + bytes(room) + values
    if root:
        sizes = (len(entries[0][0]), len(entries[0][1]) if level == 0 else 16) if fixed and entries else (16, 16) if fixed else (0, 0)
        body += struct.pack("<IIIIIIQQ", 0x10, BLOCK, *sizes, 64, 64, len(entries), 1)
    return thing(kind if root else 0x40000003, oid, body, subtype)


def xts(key: bytes, tweak: bytes, data: bytes, first: int) -> bytes:
    """AES-XTS of sectors of 512 bytes (IEEE 1619), encrypting; both keys may be the same."""
    one = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    two = Cipher(algorithms.AES(tweak), modes.ECB()).encryptor()
    out = bytearray()
    for number in range(len(data) // 512):
        mask = int.from_bytes(two.update(struct.pack("<QQ", first + number, 0)), "little")
        for at in range(number * 512, number * 512 + 512, 16):
            block = (int.from_bytes(data[at : at + 16], "little") ^ mask).to_bytes(16, "little")
            out += (int.from_bytes(one.update(block), "little") ^ mask).to_bytes(16, "little")
            mask = (mask << 1) ^ (0x87 | 1 << 128 if mask >> 127 else 0)
    return bytes(out)


def der(tag: int, value: bytes) -> bytes:
    size = len(value)
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x81, size])) + value


def wrapped(who: uuid.UUID, key: bytes, rounds: int = 0, salt: bytes = b"", method: int = 0, broken: bool = False) -> bytes:
    """A wrapped key with its HMAC."""
    inner = der(0x80, b"\0") + der(0x81, who.bytes) + der(0x82, struct.pack("<II", method, 0)) + der(0x83, key)
    if rounds:
        inner += der(0x84, rounds.to_bytes(3, "big")) + der(0x85, salt)
    blob, seed = der(0xA3, inner), b"saltsalt"
    tag = hmac.new(hashlib.sha256(b"\x01\x16\x20\x17\x15\x05" + seed).digest(), blob, "sha256").digest()
    return der(0x30, der(0x80, b"\0") + der(0x81, bytes(32) if broken else tag) + der(0x82, seed) + blob)


def keybag(kind: int, entries: list[tuple[uuid.UUID, int, bytes]], key: bytes, block: int) -> bytes:
    body = b""
    for who, tag, data in entries:
        body += who.bytes + struct.pack("<HHI", tag, len(data), 0) + data + bytes(-(len(data) + 24) % 16)
    raw = thing(kind, block, struct.pack("<HHIQ", 2, len(entries), 16 + len(body), 0) + body)
    return xts(key, key, raw, block * 8)


@dataclass
class Vol:
    """What a volume shall be. ``password`` and ``recovery`` make it an encrypted one; ``short``: with keys of 128 bits."""

    name: str
    role: int = 0
    password: str = ""
    recovery: str = ""
    short: bool = False
    broken: bool = False
    snapshots: tuple[str, ...] = ()
    content: bytes = b""
    far: bytes = b""
    id: uuid.UUID = field(default_factory=lambda: uuid.UUID(int=0))


@dataclass
class Made:
    """A container: its devices, and (first, count) of the blocks that are free."""

    devices: list[bytearray]
    free: list[tuple[int, int]]
    id: uuid.UUID
    volumes: list[Vol]


def container(volumes: list[Vol], blocks: int = 160, fusion: int = 0, software: bool = True, level: int = 0, cab: bool = False) -> Made:
    """A container of 4096-byte blocks at transaction XID, with one older checkpoint. ``fusion``: blocks of a second device;
    ``level`` 1: the container's object map has two levels; ``cab``: the space manager has a block of addresses between."""
    data = bytearray(blocks * BLOCK)
    second = bytearray(fusion * BLOCK)
    me = uuid.uuid5(uuid.NAMESPACE_DNS, "container" + ",".join(v.name for v in volumes))
    used = set(range(30))

    def put(number: int, raw: bytes) -> None:
        assert len(raw) % BLOCK == 0
        if number >= TIER2:
            at = (number - TIER2) * BLOCK
            second[at : at + len(raw)] = raw
            return
        data[number * BLOCK : number * BLOCK + len(raw)] = raw
        used.update(range(number, number + len(raw) // BLOCK))

    mapping, bags = [], []
    for number, vol in enumerate(volumes):
        vol.id = uuid.uuid5(me, vol.name)
        mapping.append((1026 + number, _volume(put, vol, 30 + number * 20, 1026 + number, bags, 19 + number, blocks, fusion)))
    if any(v.password or v.recovery for v in volumes):
        put(18, keybag(0x6B657973, bags, me.bytes, 18))
    omap = [(struct.pack("<QQ", oid, XID - 1), struct.pack("<IIQ", 0, BLOCK, at)) for oid, at in mapping]
    put(15, thing(0x4000000B, 15, struct.pack("<IIIIQQQQQ", 1, 0, 0x40000002, 0x40000002, 16, 0, 0, 0, 0)))
    if level:
        put(16, node(16, [(omap[0][0], struct.pack("<Q", 17))], 0xB, True, 1))
        put(17, node(17, omap, 0xB, True, root=False))
    else:
        put(16, node(16, omap, 0xB, True))
    bits = bytearray(BLOCK)
    for number in used:
        bits[number >> 3] |= 1 << (number & 7)
    put(14, bytes(bits))
    put(13, thing(0x40000007, 13, struct.pack("<II", 0, 1) + struct.pack("<QQIIQ", XID, 0, blocks, blocks - len(used), 14)))
    device = struct.pack("<QQIIQI12x", blocks, 1, 1, int(cab), blocks - len(used), 400)
    other, places = bytes(48), struct.pack("<Q", 27 if cab else 13)
    if cab:
        put(27, thing(0x40000006, 27, struct.pack("<IIQ", 0, 1, 13)))
    if fusion:
        put(28, thing(0x40000007, 28, struct.pack("<II", 0, 1) + struct.pack("<QQIIQ", XID, TIER2, fusion, fusion - 2, 29)))
        put(29, b"\x03".ljust(BLOCK, b"\0"))  # two blocks in use
        other, places = struct.pack("<QQIIQI12x", fusion, 1, 1, 0, fusion - 2, 408), places + struct.pack("<Q", 28)
    body = struct.pack("<IIII", BLOCK, 32768, 126, 507) + device + other
    put(9, thing(0x80000005, 1024, (body.ljust(400 - 32, b"\0") + places), xid=XID))
    for xid, at in ((XID - 1, 1), (XID, 3)):
        item = struct.pack("<IIIIQQQ", 0x80000005, 0, BLOCK, 0, 0, 1024, 9)
        put(at, thing(0x4000000C, at, struct.pack("<II", 1, 1) + item, xid=xid))
        raw = _superblock(me, volumes, blocks + fusion, xid, at - 1, bool(fusion), software)
        put(at + 1, raw)
    put(0, raw)
    if fusion:
        second[:BLOCK] = signed(raw[:1295] + bytes([raw[1295] | 1]) + raw[1296:])
    free, at = [], 0
    for number in sorted(used):
        if number > at:
            free.append((at, number - at))
        at = number + 1
    if at < blocks:
        free.append((at, blocks - at))
    return Made([data, second] if fusion else [data], free, me, volumes)


def _superblock(me: uuid.UUID, volumes: list[Vol], blocks: int, xid: int, index: int, fusion: bool, software: bool) -> bytes:
    body = b"NXSB" + struct.pack("<IQQQQ", BLOCK, blocks, 0, 0, 0x102 if fusion else 2) + me.bytes
    body += struct.pack("<QQIIQQ6I", 2000, xid + 1, 8, 4, 1, 9, 4, 1, index, 2, 0, 1)
    body += struct.pack("<QQQII", 1024, 15, 0, 0, 100)
    body += b"".join(struct.pack("<Q", 1026 + n if n < len(volumes) else 0) for n in range(100)) + bytes(256 + 24)
    body += struct.pack("<QQ", 4 if software else 0, 0) + (uuid.uuid5(me, "set").bytes[:15] + b"\0" if fusion else bytes(16))
    secret = any(v.password or v.recovery for v in volumes)
    body += struct.pack("<QQ", 18 if secret else 0, 1 if secret else 0)
    return thing(0x80000001, 1, body, xid=xid)


def _apsb(vol: Vol, oid: int, at: int, xid: int, allocated: int, index: int, extents: int) -> bytes:
    secret = bool(vol.password or vol.recovery)
    body = (
        b"APSB"
        + struct.pack("<IQQQqQQQ", index, 2, 0, 1, 0, 0, 0, allocated)
        + struct.pack("<HHIIIHH", 5, 0, 0, 6 if secret else 0, 0, 1, 0)
    )
    body += struct.pack("<IIIQQQQQQ", 2, 0x40000002, 0x40000002, at + 1, 1100, extents, at + 5, 0, 0)
    body += struct.pack("<QQQQQQQQ", 20, 0, 1, 0, 0, len(vol.snapshots), 0, 0) + vol.id.bytes
    body += struct.pack("<qQ", 1_600_000_000_000_000_000, 8 if secret else 1) + b"tests".ljust(32, b"\0") + struct.pack("<qQ", 1, 1)
    body += bytes(384) + vol.name.encode().ljust(256, b"\0") + struct.pack("<IHH", 3, vol.role, 0)
    return thing(0xD if xid == XID else 0x4000000D, oid, body, xid=xid)


def _volume(put, vol: Vol, at: int, oid: int, bags, bag: int, blocks: int, fusion: int) -> int:
    """Write a volume from block ``at`` on: superblock, object map, its tree, root node, extents, snapshots, content; then snapshots."""
    key = hashlib.sha256(vol.name.encode()).digest()
    first, second = key[:16], key[16:]
    if vol.short:
        second = hashlib.sha256(first + vol.id.bytes).digest()[:16]
    secret = bool(vol.password or vol.recovery)

    def hidden(raw: bytes, number: int) -> bytes:
        return xts(first, second, raw, number * 8) if secret else raw

    put(at + 1, thing(0x4000000B, at + 1, struct.pack("<IIIIQQQQQ", 0, len(vol.snapshots), 0x40000002, 0x40000002, at + 2, 0, 0, 0, 0)))
    put(at + 2, node(at + 2, [(struct.pack("<QQ", 1100, 2), struct.pack("<IIQ", 4 if secret else 0, BLOCK, at + 3))], 0xB, True))
    put(at + 3, hidden(node(1100, [], 0xE, False, kind=2), at + 3))
    own = [(at + 6, vol.content)] if vol.content else []
    if vol.far:
        own.append((TIER2 + 1, vol.far))
    for number, raw in own:
        put(number, hidden(raw.ljust(BLOCK, b"\0"), number))
    put(at + 4, node(at + 4, [(struct.pack("<Q", n | 2 << 60), struct.pack("<QQI", 1 | 1 << 60, 20, 1)) for n, _ in own], 0xF, False))
    listed = []
    for number, name in enumerate(vol.snapshots):
        place = at + 8 + number * 3
        put(place + 2, hidden(f"content of {name}".encode().ljust(BLOCK, b"\0"), place + 2))
        put(place + 1, node(place + 1, [(struct.pack("<Q", place + 2 | 2 << 60), struct.pack("<QQI", 1 | 1 << 60, 20, 1))], 0xF, False))
        put(place, _apsb(vol, oid, at, 3 + number, 0, 0, place + 1))
        value = struct.pack("<QQQQQII", place + 1, place, 1_600_000_000_123_456_789 + number, 0, 0, 0x40000002, 0)
        listed.append((struct.pack("<Q", 3 + number | 1 << 60), value + struct.pack("<H", len(name) + 1) + name.encode() + b"\0"))
    put(at + 5, node(at + 5, listed, 0x10, False))
    put(at, _apsb(vol, oid, at, XID, 5 + len(own) + 2 * len(vol.snapshots), oid - 1026, at + 4))
    if secret:
        size, method = (16, 2) if vol.short else (32, 0)
        kek = hashlib.sha256(key).digest()[:size]
        records = []
        for who, text in ((vol.id, vol.password), (RECOVERY, vol.recovery)):
            if text:
                derived = hashlib.pbkdf2_hmac("sha256", text.encode(), vol.id.bytes, 1000, size)
                record = wrapped(who, aes_key_wrap(derived, kek).ljust(40, b"\0"), 1000, vol.id.bytes, method, vol.broken)
                records.append((who, 3, record))
        records.append((vol.id, 4, b"a hint"))
        put(bag, keybag(0x72656373, records, vol.id.bytes, bag))
        bags.append((vol.id, 2, wrapped(vol.id, aes_key_wrap(kek, key[:size]).ljust(40, b"\0"), 0, b"", method)))
        bags.append((vol.id, 3, struct.pack("<QQ", bag, 1)))
    return at
