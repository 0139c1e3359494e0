"""Disks whose system TrueCrypt or VeraCrypt encrypted: the partition table is plain, the header ends the first track."""

from __future__ import annotations

from collections.abc import Mapping

from forensiclib.core.declare import Encryption
from forensiclib.core.entry import Lock
from forensiclib.core.errors import Locked, NotThisFormat, Truncated
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.crypto._looks import looks_random
from forensiclib.crypto._sectors import SectorSource
from forensiclib.crypto.truecrypt.derive import derivations, secrets
from forensiclib.crypto.truecrypt.header import Head, opened
from forensiclib.formats.truecrypt import BOOT_LOADERS, BOOT_SECTOR, HEADER_SIZE, UNIT

__all__ = ["ENCRYPTION", "SystemLock", "open_system"]

_AT = BOOT_SECTOR * 512


class SystemLock(Lock):
    """A disk whose system may be encrypted; ``facts`` say which boot loader it has, and once it was opened how it is encrypted."""

    format = "veracrypt-system"
    needs = ("password", "PIM")

    def __init__(self, disk: ByteSource, head: Head, loader: str) -> None:
        self._disk, self._head, self._loader = disk, head, loader
        self.facts: Mapping[str, str] = {"boot_loader": loader} if loader else {}

    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The whole disk, the encrypted area decrypted, everything else as it is. Raises Locked."""
        ways = derivations(keys.pims, system=True)
        for secret in secrets(keys):
            found = opened([self._head], secret, ways, budget).get(self._head.role)
            if found is not None:
                break
        else:
            told = f"it has the {self._loader}: " if self._loader else ""
            raise Locked("encrypted system", self._head.span, f"{told}no key opens its header")
        f = found.fields
        start, end = f.start, f.start + f.size
        if f.version < 4 or start % UNIT or f.size % UNIT or start >= self._disk.size:
            words = f"the encrypted area begins at {start:,} with {f.size:,} bytes, the disk has {self._disk.size:,}"
            raise Truncated("encrypted system", self._head.span, words)
        if end > self._disk.size:
            words = f"the encrypted area ends at {end:,}, the disk at {self._disk.size:,}"
            budget.report(Truncated("encrypted system", self._head.span, words))
            end = self._disk.size
        self.facts = {**self.facts, **found.facts, "encrypted_area": f"{f.size:,} bytes at {start:,}"}
        layers = found.scheme.layers(found.keys, start // UNIT)
        parts: list[ByteSource] = [SectorSource(self._disk, start, end - start, layers, self.format)]
        if start:
            parts.insert(0, self._disk.slice(0, start))
        covered = start + parts[-1].size
        if covered < self._disk.size:
            parts.append(self._disk.slice(covered, self._disk.size - covered))
        return ConcatSource(parts)


def _loader(disk: ByteSource) -> str:
    first = disk.read_at(0, 512)
    return next((text.decode() for text in BOOT_LOADERS if text in first), "")


def probe(source: ByteSource) -> bool:
    """Whether the last sector of the first track may be a header."""
    return looks_random(source.read_at(_AT, HEADER_SIZE))


def open_system(source: ByteSource, budget: Budget) -> SystemLock:
    """The lock of a disk. Raises NotThisFormat where the header's sector holds something else."""
    data = source.read_at(_AT, HEADER_SIZE)
    if not looks_random(data):
        raise NotThisFormat("encrypted system", None, "the header's sector holds no random bytes")
    spans: tuple[Span, ...] = source.trace(_AT, HEADER_SIZE)
    return SystemLock(source, Head("system", _AT, data, spans[0] if spans else None), _loader(source))


ENCRYPTION = Encryption(
    name="veracrypt-system",
    title="Disks whose system TrueCrypt or VeraCrypt encrypted",
    refs=(
        "TrueCrypt User's Guide 7.1a, System Encryption, Encryption Scheme",
        "VeraCrypt documentation: Encryption Scheme; Header Key Derivation, Salt, and Iteration Count; PIM",
    ),
    gaps=(
        "hidden operating systems",
        "an image of the partition alone: the header lies on the disk, outside of it",
        "a header that only a rescue disk still has",
        "disks with sectors of 4,096 bytes were not tried",
    ),
    order=90,
    unmarked=True,
    disk=True,
    probe=probe,
    open=open_system,
)
