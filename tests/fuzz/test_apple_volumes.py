"""Damaged containers of Apple's: volumes and plain bytes, Locked or another EvidenceError, in bounded time; spans inside the image."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from forensiclib.core.entry import Volume, beneath
from forensiclib.core.errors import EvidenceError
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.crypto import apfs as apfs_keys
from forensiclib.crypto import filevault
from forensiclib.stores.apfs.volume import ApfsVolume
from forensiclib.stores.kernelplist import plist
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from forensiclib.volumes import apfs, corestorage
from tests.volumes import apfsmade, csmade

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
KEYS = Keys("password", recovery="ABCD-EFGH")


def bent(block: bytes, seed: int) -> bytes:
    """The block with damage where it holds something, its size kept."""
    used = block.rstrip(b"\0") or block[:64]
    return next(mutations(used, 1, seed)).ljust(len(block), b"\0")[: len(block)]


def look(volumes: list[Volume], roots: dict[str, int]) -> None:
    for found in volumes:
        for at in (0, max(0, found.size - 9000)):
            try:
                assert len(found.read_at(at, 9000)) == min(9000, found.size - at)
                spans = found.trace(at, 9000)
            except EvidenceError:
                continue
            assert all(not s.root or 0 <= s.start <= s.end <= roots[s.root] for s in spans)


def trial(layer, encryption):
    def run(data: bytes, budget: Budget) -> None:
        members = [Volume(MemorySource(data, "m"), index=0, start=0, scheme="none")]
        if not layer.probe(members[0]):
            return
        volumes = layer.open(members, budget)
        look(volumes, {"m": len(data)})
        for found in volumes[:8]:
            if encryption.probe(found):
                try:
                    plain = encryption.open(found, budget).unlock(KEYS, budget)
                    plain.read_at(0, 9000)
                except EvidenceError:
                    continue
            elif (inside := beneath(found, ApfsVolume)) is not None:
                try:
                    inside.node(inside.head.root_oid)
                except EvidenceError:
                    continue

    return run


def containers(count: int, again: bool) -> Iterator[bytes]:
    """Damaged APFS containers; ``again``: with checksums made right, so that what is behind them is reached."""
    made = apfsmade.container(
        [apfsmade.Vol("A", 1, snapshots=("s",), content=b"x"), apfsmade.Vol("B", 0, "password", "ABCD-EFGH", content=b"y")],
        blocks=64,
        level=1,
    )
    data, size = bytes(made.devices[0]), apfsmade.BLOCK
    used = [n for n in range(64) if any(data[n * size : (n + 1) * size]) and n not in (18, 20)]
    for seed in range(count):
        rng = random.Random(seed)
        out = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            number = rng.choice(used)
            block = bent(bytes(out[number * size : (number + 1) * size]), rng.randrange(1 << 30))
            out[number * size : (number + 1) * size] = apfsmade.signed(block) if again else block
        yield bytes(out)


def bags(count: int) -> Iterator[bytes]:
    """Containers whose keybags are damaged in plain, signed and encrypted again."""
    made = apfsmade.container([apfsmade.Vol("B", 0, "password", "ABCD-EFGH", content=b"y")], blocks=64)
    data, size = bytes(made.devices[0]), apfsmade.BLOCK
    plain = {}
    for number, key in ((18, made.id.bytes), (19, made.volumes[0].id.bytes)):
        raw = bytearray(data[number * size : (number + 1) * size])
        apfs_keys.sectors_decrypt("aes", "xts", key, key, raw, 512, number * 8)
        plain[number] = (key, bytes(raw))
    for seed in range(count):
        number = 18 + seed % 2
        key, raw = plain[number]
        block = apfsmade.signed(bent(raw, seed))
        yield data[: number * size] + apfsmade.xts(key, key, block, number * 8) + data[(number + 1) * size :]


def groups(count: int) -> Iterator[bytes]:
    """Damaged CoreStorage groups: header, label and descriptor; then metadata in plain, signed and encrypted again."""
    (device,) = csmade.group(
        [csmade.Lv("A", [(0, 100, 2), (0, 104, 2)], b"x", "password"), csmade.Lv("B", [(0, 110, 2)], packed=True)], (160,)
    )
    data = bytes(device)
    start = csmade.META[0] * csmade.BLOCK
    blocks = []
    for number in range(10):
        mode = modes.XTS(struct.pack("<QQ", number, 0))
        cipher = Cipher(algorithms.AES(csmade.KEY + csmade.pv_id(0).bytes), mode).decryptor()
        blocks.append(cipher.update(data[start + number * 8192 : start + (number + 1) * 8192]))
    second = csmade.META[1] * csmade.BLOCK
    for seed in range(count):
        rng = random.Random(seed)
        out = bytearray(data)
        if seed % 4 == 0:
            at = rng.choice((0, csmade.BLOCK))
            size = 512 if at == 0 else 8192
            block = bent(bytes(out[at : at + size]), seed)
            out[at : at + size] = csmade.signed(block)
            if rng.random() < 0.5:
                out[csmade.BLOCK + 8192 : csmade.BLOCK + 8192 + 400] = bent(
                    bytes(out[csmade.BLOCK + 8192 : csmade.BLOCK + 8192 + 400]), seed
                )
        else:
            out[second : second + 40 * csmade.BLOCK] = bytes(40 * csmade.BLOCK)
            for _ in range(rng.choice((1, 1, 2))):
                number = rng.randrange(len(blocks))
                block = csmade.signed(bent(blocks[number], rng.randrange(1 << 30)))
                out[start + number * 8192 : start + (number + 1) * 8192] = csmade.xts(csmade.KEY, csmade.pv_id(0).bytes, block, number)
        yield bytes(out)


def test_apfs():
    room = trial(apfs.FORMAT, apfs_keys.ENCRYPTION)
    assert rows_or_evidence_error(room, containers(COUNT // 2, False)) == COUNT // 2
    assert rows_or_evidence_error(room, containers(COUNT, True)) == COUNT


def test_apfs_keybags():
    room = trial(apfs.FORMAT, apfs_keys.ENCRYPTION)
    assert rows_or_evidence_error(room, bags(COUNT // 3)) == COUNT // 3


def test_corestorage():
    room = trial(corestorage.FORMAT, filevault.ENCRYPTION)
    assert rows_or_evidence_error(room, groups(COUNT // 3)) == COUNT // 3


def test_property_lists():
    lv = csmade.Lv("A", [(0, 100, 1)], b"", "password")
    sample = csmade.xml({"a": [1, {"b": b"xyz"}], "context": lv.context()}).encode()
    assert rows_or_evidence_error(lambda data, budget: plist(data, budget), mutations(sample, COUNT)) == COUNT
