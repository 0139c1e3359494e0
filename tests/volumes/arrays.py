"""The committed groups and arrays: members in memory, and what the kernel that wrote them said of their content."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "volumes"
INDEX: dict[str, dict[str, Any]] = {kind: json.loads((SAMPLES / kind / "index.json").read_text()) for kind in ("ddf", "imsm", "lvm", "md")}


def members(kind: str, name: str) -> list[bytes]:
    """The bytes of every member."""
    return list(_members(kind, name))


@lru_cache(maxsize=1)
def _members(kind: str, name: str) -> list[bytes]:
    raw = lzma.decompress((SAMPLES / kind / f"{name}.xz").read_bytes())
    out, at = [], 0
    if "pieces" in INDEX[kind][name]:
        whole = [bytearray(size) for size in INDEX[kind][name]["members"]]
        for number, start, length in INDEX[kind][name]["pieces"]:
            whole[number][start : start + length] = raw[at : at + length]
            at += length
        assert at == len(raw)
        return [bytes(member) for member in whole]
    for size in INDEX[kind][name]["members"]:
        out.append(raw[at : at + size])
        at += size
    assert at == len(raw)
    return out


def volume(data: bytes | ByteSource, number: int) -> Volume:
    source = data if isinstance(data, ByteSource) else MemorySource(data, f"member{number}")
    return Volume(source, index=0, start=0, scheme="none")


def opened(layer: VolumeLayer, data: Sequence[bytes], without: Sequence[int] = ()) -> tuple[list[Volume], list[str]]:
    """The volumes that the layer makes of members (all but those), and its findings as text."""
    budget = Budget()
    made = layer.open([volume(d, i) for i, d in enumerate(data) if i not in without], budget)
    return made, [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


def sha256(source: ByteSource) -> str:
    return hashlib.sha256(source.read_at(0, source.size)).hexdigest()
