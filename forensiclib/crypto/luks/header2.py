"""The two headers of LUKS2: the binary part, its checksum, and the JSON, checked field by field before it is believed."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from forensiclib.core.errors import Corrupt, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.crypto._kdf import digest_size, hashed, pbkdf2
from forensiclib.crypto.luks.slots import span_of, text
from forensiclib.formats.luks import HEADER2_LAYOUT, MAGIC, MAGIC_SECOND, SECONDS

__all__ = ["Header", "find", "read_header"]

KDFS = {"pbkdf2": ("iterations",), "argon2i": ("time", "memory", "cpus"), "argon2id": ("time", "memory", "cpus")}


@dataclass(frozen=True, slots=True)
class Header:
    """One good copy.

    at, sequence   where it lies, and how new it is
    slots     name -> {"key_size", "stripes", "hash", "area", "kdf"}; those of another type (reencryption) are left out
    digests   name -> {"hash", "iterations", "salt", "digest", "keyslots"}
    segments  in order, without backups: {"type", "offset", "size" (None: to the end), and for "crypt" also "iv_tweak", "encryption",
              "sector_size", "digest", "integrity", "flags"}
    """

    at: int
    sequence: int
    uuid: str
    label: str
    subsystem: str
    slots: dict[str, dict[str, Any]]
    digests: dict[str, dict[str, Any]]
    segments: list[dict[str, Any]]
    requirements: tuple[str, ...]
    tokens: tuple[str, ...]
    unread: tuple[str, ...]
    """Key slots that are not understood, each in words."""

    def readable(self, span: Span | None) -> None:
        """Raise Unsupported for what stands between the segments and their plain bytes."""
        if not self.segments:
            raise Unsupported("LUKS2 volume", span, "no segment")
        for segment in self.segments:
            if "in-reencryption" in segment["flags"]:
                found = "its encryption was being changed when the image was made: the hot zone needs 'cryptsetup repair' first"
                raise Unsupported("LUKS2 volume", span, found)
            if segment["type"] not in ("crypt", "linear"):
                raise Unsupported("LUKS2 segment", span, f"type {segment['type'][:40]!r}")
            if segment["integrity"]:
                raise Unsupported("LUKS2 segment", span, f"integrity {segment['integrity'][:80]}: the data lies between its tags")
            if segment["type"] == "crypt" and segment["digest"] is None:
                raise Corrupt("LUKS2 segment", span, "no digest names it: its key cannot be known")

    def verifies(self, digest: str, key: bytes, budget: Budget) -> bool:
        """Whether the digest of that name is the key's."""
        d = self.digests[digest]
        return bool(pbkdf2(d["hash"], key, d["salt"], d["iterations"], len(d["digest"]), budget) == d["digest"])


def find(source: ByteSource) -> list[int]:
    """Offsets of the copies: the first at 0, the second where the first ends, or anywhere it may be when the first is lost."""
    out = []
    if source.read_at(0, 8) == MAGIC + b"\x00\x02":
        out.append(0)
    return out + [at for at in SECONDS if source.read_at(at, 8) == MAGIC_SECOND + b"\x00\x02"]


def read_header(source: ByteSource, at: int, budget: Budget) -> Header:
    """The copy at ``at``. Raises Truncated, Corrupt, Unsupported."""
    span = span_of(source, at, 4096)
    raw = source.read_at(at, HEADER2_LAYOUT.size)
    if len(raw) < HEADER2_LAYOUT.size:
        raise Truncated("LUKS2 header", span, f"{len(raw)} bytes")
    head = SimpleNamespace(**HEADER2_LAYOUT.dict(raw))
    if head.size not in SECONDS or head.offset != at or (at and at != head.size):
        raise Corrupt("LUKS2 header", span, f"{head.size:#x} bytes at {head.offset:#x}, found at {at:#x}")
    data = bytearray(source.read_at(at, budget.allocate("LUKS2 header", head.size, span)))
    if len(data) < head.size:
        raise Truncated("LUKS2 header", span, f"{len(data)} of {head.size} bytes")
    name = text(head.algorithm)
    wide = digest_size(name)
    field = HEADER2_LAYOUT.offsets["checksum"]
    data[field : field + 64] = bytes(64)
    if wide > 64 or hashed(name, bytes(data)) != head.checksum[:wide]:
        raise Corrupt("LUKS2 header", span, f"the {name} checksum does not match")
    body = bytes(data[4096:]).split(b"\0", 1)[0]
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        raise Corrupt("LUKS2 metadata", span_of(source, at + 4096, len(body)), "not JSON") from None
    try:
        return _understood(tree, at, head)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, IndexError) as error:
        words = f"{type(error).__name__} {error}"[:120]
        raise Corrupt("LUKS2 metadata", span_of(source, at + 4096, len(body)), words) from None


def _understood(tree: dict[str, Any], at: int, head: Any) -> Header:
    slots, unread = {}, []
    for name, value in _ordered(tree.get("keyslots", {})):
        if value["type"] != "luks2":
            continue
        try:
            slots[name] = _slot(value)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            unread.append(f"slot {name}: {type(error).__name__} {error}"[:120])
    digests = {k: _digest(v) for k, v in _ordered(tree["digests"])}
    owner = {segment: name for name, d in digests.items() for segment in d["segments"]}
    segments = []
    for name, value in _ordered(tree["segments"]):
        segment = _segment(value, owner.get(name))
        if not any(f.startswith("backup-") for f in segment["flags"]):
            segments.append(segment)
    needs = tree.get("config", {}).get("requirements", {})
    mandatory = needs.get("mandatory", []) if isinstance(needs, dict) else []
    tokens = tuple(str(t["type"])[:60] for _, t in _ordered(tree.get("tokens", {})))
    return Header(
        at, head.sequence, text(head.uuid), text(head.label), text(head.subsystem), slots, digests, segments,
        tuple(str(m)[:60] for m in mandatory), tokens, tuple(unread),
    )  # fmt: skip


def _ordered(table: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(table.items(), key=lambda item: int(item[0]))


def _number(value: Any, low: int, high: int) -> int:
    number = int(value)
    if isinstance(value, (bool, float)) or not low <= number <= high:
        raise ValueError(f"{str(value)[:40]} is not between {low} and {high}")
    return number


def _slot(value: dict[str, Any]) -> dict[str, Any]:
    area, kdf, af = value["area"], value["kdf"], value["af"]
    if kdf["type"] not in KDFS or af["type"] != "luks1" or area["type"] != "raw":
        raise ValueError(f"key slot of {str(kdf['type'])[:40]}, {str(af['type'])[:40]}, {str(area['type'])[:40]}")
    words: dict[str, Any] = {"type": str(kdf["type"]), "salt": base64.b64decode(kdf["salt"], validate=True)}
    words |= {name: _number(kdf[name], 0, 1 << 32) for name in KDFS[kdf["type"]]}
    if kdf["type"] == "pbkdf2":
        words["hash"] = str(kdf["hash"])
    return {
        "key_size": _number(value["key_size"], 1, 512), "stripes": _number(af["stripes"], 1, 1 << 14),
        "hash": str(af["hash"]), "kdf": words,
        "area": {
            "offset": _number(area["offset"], 0, 1 << 40), "key_size": _number(area["key_size"], 1, 512),
            "encryption": str(area["encryption"]),
        },
    }  # fmt: skip


def _digest(value: dict[str, Any]) -> dict[str, Any]:
    if value["type"] != "pbkdf2":
        raise ValueError(f"digest of type {str(value['type'])[:40]}")
    digest = base64.b64decode(value["digest"], validate=True)
    if not 0 < len(digest) <= 512:
        raise ValueError(f"a digest of {len(digest)} bytes")
    return {
        "hash": str(value["hash"]), "iterations": _number(value["iterations"], 1, 1 << 32), "digest": digest,
        "salt": base64.b64decode(value["salt"], validate=True), "keyslots": [str(k) for k in value["keyslots"]],
        "segments": [str(s) for s in value["segments"]],
    }  # fmt: skip


def _segment(value: dict[str, Any], digest: str | None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": str(value["type"]), "offset": _number(value["offset"], 0, 1 << 62), "digest": digest, "integrity": "",
        "size": None if value["size"] == "dynamic" else _number(value["size"], 0, 1 << 62),
        "flags": tuple(str(f) for f in value.get("flags", [])),
    }  # fmt: skip
    if "integrity" in value:
        out["integrity"] = str(value["integrity"].get("type", "?"))
    if out["type"] == "crypt":
        out |= {"iv_tweak": _number(value.get("iv_tweak", 0), 0, 1 << 62), "encryption": str(value["encryption"])}
        out["sector_size"] = _number(value["sector_size"], 512, 4096)
        if out["sector_size"] not in (512, 1024, 2048, 4096):
            raise ValueError(f"sectors of {out['sector_size']} bytes")
    return out
