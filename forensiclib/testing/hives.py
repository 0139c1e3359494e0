"""Registry hives with known keys, written by hivexsh (Debian libhivex-bin) into an empty hive."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path

from forensiclib.core.errors import UsageError
from forensiclib.testing.makefs import run, tool

__all__ = ["REG_BINARY", "REG_DWORD", "REG_EXPAND_SZ", "REG_SZ", "hive"]

REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD = 1, 2, 3, 4


def _empty(filetime: int) -> bytes:
    """A hive of one key: base block, one bin of 4,096 bytes with the root key and its security ("Windows registry file
    format specification", Suhanov)."""
    root_at, security_at = 0x20, 0x80
    # SYSTEM owns it; no access lists.
    sid = bytes.fromhex("010100000000000512000000")
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 20, 32, 0, 0) + sid + sid
    name = b"ROOT"
    root = struct.pack(
        "<2sHQIIIIIIIIIIIIIIIHH", b"nk", 0x2C, filetime, 0, 0xFFFFFFFF, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, security_at,
        0xFFFFFFFF, 0, 0, 0, 0, 0, len(name), 0,
    ) + name  # fmt: skip
    security = struct.pack("<2sHIIII", b"sk", 0, security_at, security_at, 1, len(descriptor)) + descriptor
    cells = bytearray(4096)
    cells[:32] = struct.pack("<4sIIQQI", b"hbin", 0, 4096, 0, filetime, 0)
    security_end = (security_at + 4 + len(security) + 7) // 8 * 8
    for at, end, body in ((root_at, security_at, root), (security_at, security_end, security)):
        cells[at : at + 4] = struct.pack("<i", at - end)
        cells[at + 4 : at + 4 + len(body)] = body
    cells[security_end : security_end + 4] = struct.pack("<i", 4096 - security_end)
    base = bytearray(4096)
    base[:48] = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, filetime, 1, 3, 0, 1, root_at, 4096, 1)[:48]
    checksum = 0
    for (word,) in struct.iter_unpack("<I", base[:508]):
        checksum ^= word
    base[508:512] = struct.pack("<I", checksum or 1)
    return bytes(base + cells)


def hive(keys: Mapping[str, Mapping[str, tuple[int, bytes]]], filetime: int) -> bytes:
    """A hive with ``keys``: path ("\\\\"-separated, parents are made) -> value name ("" is the default) -> (type, data).

    ``filetime`` is the time of the root; hivexsh gives the other keys the time of day. Raises MissingSupport
    without hivexsh, UsageError for a name with a line break.
    """
    commands: list[str] = []
    made: set[str] = set()
    for path, values in keys.items():
        parts = path.split("\\")
        if any("\n" in text for text in (path, *values)):
            raise UsageError("registry names have no line breaks")
        for depth, part in enumerate(parts):
            parent = "\\".join(parts[:depth])
            here = "\\".join(parts[: depth + 1])
            if here not in made:
                commands += [f"cd \\{parent}", f"add {part}"]
                made.add(here)
        commands += [f"cd \\{path}", f"setval {len(values)}"]
        for name, (kind, data) in values.items():
            commands += [name or "@", f"hex:{kind}:{data.hex(',')}"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "hive"
        target.write_bytes(_empty(filetime))
        run(tool("hivexsh", "libhivex-bin"), "-w", target, text="\n".join([*commands, "commit", "exit", ""]))
        return target.read_bytes()
