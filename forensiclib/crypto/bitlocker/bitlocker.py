"""BitLocker: the lock and the plain volume behind it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource, ExtentSource
from forensiclib.crypto._sectors import Layer, SectorSource
from forensiclib.crypto.bitlocker.keys import opened, volume_master_keys
from forensiclib.crypto.bitlocker.metadata import Metadata, offsets, read_metadata, span_of
from forensiclib.formats.fve import METADATA_SIZE, METHODS, PROTECTORS
from forensiclib.kernels import elephant_decrypt, sectors_decrypt

__all__ = ["ENCRYPTION", "BitLockerLock", "open_bitlocker"]


@dataclass(frozen=True, slots=True)
class _Diffuser:
    """AES-CBC and the Elephant diffuser."""

    cbc: Layer
    key: bytes = field(repr=False)

    @property
    def unit(self) -> int:
        return self.cbc.unit

    def decrypt(self, data: bytearray | memoryview, sector: int) -> None:
        self.cbc.decrypt(data, sector)
        numbers = ((sector + i) * self.unit for i in range(len(data) // self.unit))
        keys = bytearray(b"".join(struct.pack("<Q8xQ7xB", n, n, 0x80) for n in numbers))
        sectors_decrypt("aes", "ecb-encrypt", self.key, b"", keys, 16)
        elephant_decrypt(data, self.unit, keys)


class BitLockerLock(Lock):
    """A BitLocker volume."""

    format = "bitlocker"

    def __init__(self, source: ByteSource, metadata: Metadata, sector: int) -> None:
        self._source, self._metadata, self._sector = source, metadata, sector
        kinds = [PROTECTORS.get(p.protection, f"protector {p.protection:#06x}") for p in metadata.protectors]
        useful = {"password": "password", "recovery key": "recovery key", "startup key": "key file"}
        self.needs = tuple(dict.fromkeys(useful[k] for k in kinds if k in useful)) or (
            "key of its TPM or smart card, which an image has not",
        )
        facts = {
            "cipher": METHODS[metadata.method][0], "guid": metadata.guid, "label": metadata.description, "protectors": ", ".join(kinds),
            "protector_ids": ", ".join(p.guid for p in metadata.protectors), "encrypted_bytes": str(metadata.encrypted),
        }  # fmt: skip
        self.facts: Mapping[str, str] = facts

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The volume as Windows shows it. A clear key (protection suspended) needs none. Raises Locked."""
        metadata, wide = self._metadata, METHODS[self._metadata.method][1]
        if metadata.key is None:
            raise Corrupt("BitLocker metadata", span_of(self._source, metadata.at, 4096), "no entry with the volume's key")
        for master in volume_master_keys(metadata, keys, budget):
            key = opened(metadata.key, master)
            if key is not None and len(key) >= (64 if metadata.method in (0x8000, 0x8001) else wide):
                return self._plain(key, wide)
            budget.report(Corrupt("BitLocker volume key", span_of(self._source, metadata.at, 4096), "an opened protector does not open it"))
        found = f"no key opens it; its protectors: {self.facts['protectors'] or 'none'}"
        raise Locked("BitLocker volume", span_of(self._source, 0, 512), found)

    def _plain(self, key: bytes, wide: int) -> ByteSource:
        metadata, source, unit = self._metadata, self._source, self._sector
        layer: Layer | _Diffuser
        if metadata.method >= 0x8004:
            layer = Layer("aes", "xts", key[: wide // 2], key[wide // 2 : wide], unit, count=unit)
        else:
            layer = Layer("aes", "cbc", key[:wide], key[:wide], unit, "eboiv")
            if metadata.method <= 0x8001:
                layer = _Diffuser(layer, key[32 : 32 + wide])
        size = source.size // unit * unit
        stop = min(metadata.encrypted, size) // unit * unit or size
        whole: ByteSource = SectorSource(source, 0, stop, [layer], self.format)
        if stop < size:  # conversion paused: the rest is as it was
            whole = ConcatSource([whole, source.slice(stop, size - stop)])
        return ExtentSource(whole, self._pieces(size))

    def _pieces(self, size: int) -> list[tuple[int | None, int]]:
        """The first sectors from where they are kept; zeros for the metadata and for where they are kept."""
        metadata = self._metadata
        kept = min(metadata.kept_size, size)
        if metadata.version == 1:
            kept = 0
        holes = [(at, METADATA_SIZE) for at in metadata.blocks] + ([(metadata.kept, kept)] if kept else [])
        out: list[tuple[int | None, int]] = [(metadata.kept, kept)] if kept else []
        at = kept
        for start, length in sorted(holes):
            start, end = max(start, at), min(start + length, size)
            if end <= start:
                continue
            out += [(at, start - at), (None, end - start)]
            at = end
        out.append((at, size - at))
        return [(start, length) for start, length in out if length > 0]


def probe(source: ByteSource) -> bool:
    """Whether the volume header is BitLocker's."""
    return offsets(source) is not None


def open_bitlocker(source: ByteSource, budget: Budget) -> BitLockerLock:
    """The lock, from the first copy of the metadata that holds; a damaged one is a finding.

    Raises NotThisFormat, Corrupt or Truncated when no copy is good, Unsupported for a volume encrypted on writing.
    """
    where = offsets(source)
    if where is None:
        raise NotThisFormat("BitLocker volume header", span_of(source, 0, 512), "neither signature nor GUID")
    places, on_writing = where
    if on_writing:
        raise Unsupported("BitLocker volume", span_of(source, 0, 512), "encrypted on writing (EOW): conversion maps are not read")
    problems: list[EvidenceError] = []
    best: Metadata | None = None
    seen = set[int]()
    queue = list(places)
    while queue and best is None:
        at = queue.pop(0)
        if at in seen or at >= source.size:
            continue
        seen.add(at)
        try:
            best = read_metadata(source, at)
        except EvidenceError as error:
            problems.append(error)
    if best is None:
        raise problems[0] if problems else Corrupt("BitLocker volume header", span_of(source, 0, 512), "no metadata where it says")
    for problem in problems:
        budget.report(problem)
    sector = struct.unpack("<H", source.read_at(11, 2))[0]
    if sector not in (512, 1024, 2048, 4096):
        raise Corrupt("BitLocker volume header", span_of(source, 0, 512), f"sectors of {sector} bytes")
    if best.encrypted < source.size // sector * sector:
        found = f"{best.encrypted:,} of {source.size:,} bytes are encrypted: the conversion had not ended"
        budget.report(Finding.note("BitLocker volume", found, span=span_of(source, best.at, 64)))
    if any(p.protection == 0 for p in best.protectors):
        budget.report(Finding.note("BitLocker volume", "protection suspended: a key lies in the clear", span=span_of(source, best.at, 64)))
    return BitLockerLock(source, best, sector)


ENCRYPTION = Encryption(
    name="bitlocker",
    title="BitLocker (Windows Vista and later, To Go)",
    refs=(
        "J. Metz: BitLocker Drive Encryption (BDE) format specification (libbde)",
        "J. Kornblum: Implementing BitLocker Drive Encryption for Forensic Analysis, 2009",
        "N. Ferguson: AES-CBC + Elephant diffuser, Microsoft, 2006",
    ),
    gaps=(
        "volumes encrypted on writing (EOW); TPM, PIN and smart card protectors, which need the hardware",
        "the SHA-256 of the validation entry is not compared (CRC-32 and the authentication of the keys are)",
        "Vista's layout (metadata version 1) was not tested with a real volume",
    ),
    order=10,
    probe=probe,
    open=open_bitlocker,
)
