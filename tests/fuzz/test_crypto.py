"""Damaged headers of encrypted volumes: bytes, Locked or another EvidenceError, in bounded time."""

from __future__ import annotations

import os
import struct

from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import MemorySource
from forensiclib.crypto.bitlocker import bitlocker
from forensiclib.crypto.luks import luks1, luks2
from forensiclib.formats import fve
from forensiclib.formats.luks import HEADER1_LAYOUT, MAGIC, SLOT_ACTIVE
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
KEYS = Keys("password", recovery="042647-302313-590458-071500-554323-116567-412181-516978", keyfile=b"key")


def luks1_sample() -> bytes:
    head = struct.pack(">6sH32s32s32sII20s32sI40s", MAGIC, 1, b"aes", b"xts-plain64", b"sha256", 8, 64, b"d" * 20, b"s" * 32, 2, b"uuid")
    slots = struct.pack(">II32sII", SLOT_ACTIVE, 2, b"x" * 32, 2, 20) + struct.pack(">II32sII", 0xDEAD, 0, b"", 0, 0) * 7
    assert len(head) == HEADER1_LAYOUT.size
    return (head + slots).ljust(8 * 512, b"\x55") + bytes(4096)


def luks2_sample() -> bytes:
    import hashlib
    import json

    slot = {"type": "luks2", "key_size": 64, "af": {"type": "luks1", "stripes": 4, "hash": "sha256"},
            "area": {"type": "raw", "offset": "32768", "size": "4096", "encryption": "aes-xts-plain64", "key_size": 64},
            "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": 2, "salt": "c2FsdA=="}}  # fmt: skip
    tree = {"keyslots": {"0": slot}, "tokens": {}, "config": {"json_size": "12288", "keyslots_size": "4096"},
            "segments": {"0": {"type": "crypt", "offset": "36864", "size": "dynamic", "iv_tweak": "0", "encryption": "aes-xts-plain64", "sector_size": 512}},
            "digests": {"0": {"type": "pbkdf2", "keyslots": ["0"], "segments": ["0"], "hash": "sha256", "iterations": 2, "salt": "c2FsdA==", "digest": "ZGlnZXN0"}},
            }  # fmt: skip
    head = struct.pack(">6sHQQ48s32s64s40s48sQ184s64s", MAGIC, 2, 0x4000, 3, b"label", b"sha256", b"salt", b"uuid", b"", 0, b"", b"")
    data = head.ljust(4096, b"\0") + json.dumps(tree).encode().ljust(0x3000, b"\0")
    digest = hashlib.sha256(data).digest()
    return (data[:448] + digest + data[480:]).ljust(40960, b"\0")


def resigned(data: bytes) -> bytes:
    """The same with its checksum made right, so that the JSON is reached."""
    import hashlib

    data = data[:448].ljust(448, b"\0") + bytes(64) + data[512:]
    return data[:448] + hashlib.sha256(data[:0x4000]).digest() + data[480:]


def trial(room):
    def run(data: bytes, budget: Budget) -> None:
        budget = Budget(Limits(seconds=20, derivation=1 << 20), report_to=budget.report)
        source = MemorySource(data)
        if room.probe(source):
            plain = room.open(source, budget).unlock(KEYS, budget)
            plain.read_at(0, 4096)

    return run


def test_luks1():
    assert rows_or_evidence_error(trial(luks1.ENCRYPTION), mutations(luks1_sample(), COUNT)) == COUNT


def test_luks2():
    sample = luks2_sample()
    assert rows_or_evidence_error(trial(luks2.ENCRYPTION), mutations(sample, COUNT)) == COUNT
    assert rows_or_evidence_error(trial(luks2.ENCRYPTION), map(resigned, mutations(sample[:0x4000], COUNT))) == COUNT


def bitlocker_sample() -> bytes:
    """A volume with a clear key, so that damage behind the protector is reached as well."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    def entry(kind: int, value: int, data: bytes) -> bytes:
        return struct.pack("<4H", 8 + len(data), kind, value, 1) + data

    def sealed(key: bytes, plain: bytes) -> bytes:
        out = AESCCM(key, tag_length=16).encrypt(b"n" * 12, b"h" * 12 + plain, None)
        return entry(0, 5, b"n" * 12 + out[-16:] + out[:-16])

    vmk = struct.pack("<16sQHH", b"g" * 16, 0, 0, 0) + entry(0, 1, struct.pack("<I", 0) + b"c" * 32) + sealed(b"c" * 32, b"m" * 32)
    fvek = sealed(b"m" * 32, b"f" * 32)
    body = entry(2, 8, vmk) + fvek[:2] + struct.pack("<3H", 3, 5, 1) + fvek[8:] + entry(15, 15, struct.pack("<2Q", 0x3000, 0x200))
    head = struct.pack("<4I16sIHHQ", 48 + len(body), 1, 48, 48 + len(body), b"v" * 16, 1, 0x8004, 0, 0)
    size = -(-(64 + len(head) + len(body)) // 16)
    block = struct.pack("<8s4HQ2I4Q", b"-FVE-FS-", size, 2, 4, 4, 0x40000, 0, 1, 0x1000, 0x1000, 0x1000, 0x3000)
    boot = (b"\xeb\x58\x90-FVE-FS-" + struct.pack("<HB", 512, 8)).ljust(160, b"\0") + fve.GUID + struct.pack("<3Q", 0x1000, 0x1000, 0x1000)
    return checked((boot.ljust(0x1000, b"\0") + (block + head + body).ljust(size * 16, b"\0")).ljust(0x4000, b"\0"))


def checked(data: bytes) -> bytes:
    """The same with the CRC-32 of its metadata made right."""
    import zlib

    if len(data) < 0x1040:
        return data
    end = 0x1000 + 16 * struct.unpack_from("<H", data, 0x1008)[0]
    return data[:end] + struct.pack("<HHI", 0, 0, zlib.crc32(data[0x1000:end])) + data[end + 8 :]


def test_bitlocker():
    sample = bitlocker_sample()
    lock = bitlocker.ENCRYPTION.open(MemorySource(sample), Budget())
    assert lock.unlock(Keys(), Budget()).size == len(sample)
    quick = trial(bitlocker.ENCRYPTION)
    assert rows_or_evidence_error(quick, mutations(sample, COUNT)) == COUNT
    assert rows_or_evidence_error(quick, map(checked, mutations(sample[:0x1400], COUNT))) == COUNT


def truecrypt_sample() -> bytes:
    """The data of a header that VeraCrypt could have written, and of its volume; not encrypted."""
    import random
    import zlib

    keys = random.Random(3).randbytes(256)
    head = struct.pack(">4sHHIQQQQQQII120s", b"VERA", 5, 0x10B, zlib.crc32(keys), 0, 0, 0, 4096, 131072, 4096, 0, 512, b"")
    return head + struct.pack(">I", zlib.crc32(head)) + keys


def test_truecrypt(monkeypatch):
    """Damaged headers, re-signed and encrypted again: any area, any flags, any version."""
    import random
    import zlib

    from forensiclib.crypto.truecrypt import derive, system, volume
    from forensiclib.kernels import sectors_decrypt

    quick = [derive.Derivation("TrueCrypt", "sha1", 1)]
    monkeypatch.setattr(volume, "derivations", lambda pims, system: quick)
    monkeypatch.setattr(system, "derivations", lambda pims, system: quick)
    base = random.Random(5).randbytes(131072 * 2 + 8192)
    material = quick[0].keys(b"password", [base[:64]], range(10), Budget(), lambda: None)[0]
    opened = []

    def encrypted(plain: bytes) -> bytes:
        """XTS with AES, made of the decryption: the tweaks are the kernel's own."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        engine = Cipher(algorithms.AES(material[:64]), modes.XTS(bytes(16))).encryptor()
        return engine.update(plain) + engine.finalize()

    def images():
        for plain in mutations(truecrypt_sample(), COUNT):
            plain = (plain + bytes(448))[:448]
            signed = plain[:8] + struct.pack(">I", zlib.crc32(plain[192:])) + plain[12:188]
            yield base[:64] + encrypted(signed + struct.pack(">I", zlib.crc32(signed)) + plain[192:])

    def run(head: bytes, budget: Budget) -> None:
        budget = Budget(Limits(seconds=20), report_to=budget.report)
        for room, data in ((volume.ENCRYPTION, head + base[512:]), (system.ENCRYPTION, base[:31744] + head + base[32256:65536])):
            source = MemorySource(data)
            if room.probe(source):
                plain = room.open(source, budget).unlock(Keys("password"), budget)
                opened.append(plain.read_at(0, 4096))
                plain.read_at(max(0, plain.size - 100), 4096)
                plain.trace(0, plain.size)

    probe = bytearray(encrypted(truecrypt_sample()))
    sectors_decrypt("aes", "xts", material[:32], material[32:64], probe, 448)
    assert bytes(probe) == truecrypt_sample()
    assert rows_or_evidence_error(run, images()) == COUNT
    assert len(opened) > COUNT // 10, "the damage is behind the key"
