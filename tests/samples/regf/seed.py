"""An empty hive, for hivexsh to fill: base block, one hive bin, root key, security."""

import struct
import sys

ROOT, SECURITY, FREE = 0x20, 0x80, 0x120


def cell(content: bytes, size: int) -> bytes:
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


head = struct.pack("<2sHQII", b"nk", 0x2C, 130_000_000_000_000_000, 0, 0xFFFFFFFF)
body = struct.pack("<IIIIIIIIIIIIIHH", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, SECURITY, 0xFFFFFFFF, 0, 0, 0, 0, 0, 4, 0)
root = cell(head + body + b"ROOT", SECURITY - ROOT)
admins = bytes.fromhex("01020000000000052000000020020000")
descriptor = struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 36, 0, 52) + admins + admins + struct.pack("<BBHHH", 2, 0, 8, 0, 0)
security = cell(struct.pack("<2sHIIII", b"sk", 0, SECURITY, SECURITY, 1, len(descriptor)) + descriptor, FREE - SECURITY)
bins = struct.pack("<4sIIQQI", b"hbin", 0, 4096, 0, 0, 0) + root + security
bins += struct.pack("<i", 4096 - len(bins))
base = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 130_000_000_000_000_000, 1, 5, 0, 1, ROOT, 4096, 1).ljust(508, b"\0")
check = 0
for (word,) in struct.iter_unpack("<I", base):
    check ^= word
with open(sys.argv[1], "wb") as out:
    out.write((base + struct.pack("<I", check)).ljust(4096, b"\0") + bins.ljust(4096, b"\0"))
