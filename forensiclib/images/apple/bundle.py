"""Open a sparse bundle (.sparsebundle): a folder whose bands are files."""

from __future__ import annotations

import os
import plistlib
import re
from collections.abc import Sequence
from typing import Any
from xml.parsers.expat import ExpatError

from forensiclib.core.declare import ImageFormat
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import encrcdsa
from forensiclib.formats import sparseimage as f
from forensiclib.images._blocks import BlockSource, Place
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.apple.secret import Deciphered, Opened, Sealed, sealed

__all__ = ["FORMAT", "open_bundle"]

LONGEST = 1 << 20
"""Bytes of an Info.plist; hdiutil's has five entries."""
_BAND = re.compile(r"[0-9a-f]{1,15}")


def _described(file: PooledFile) -> dict[str, Any]:
    """The property list. NotThisFormat when it describes no sparse bundle."""
    raw, span = file.read_at(0, min(file.size, LONGEST)), Span(file.root, 0, file.size)
    if f.BUNDLE.encode() not in raw:
        raise NotThisFormat("sparse bundle", span, f"no {f.BUNDLE} in it")
    try:
        found = plistlib.loads(raw)
    except (plistlib.InvalidFileException, ExpatError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise Corrupt("sparse bundle", span, f"its property list: {error}") from error
    if not isinstance(found, dict) or found.get("diskimage-bundle-type") != f.BUNDLE:
        raise NotThisFormat("sparse bundle", span, "another kind of bundle")
    return found


def _number(found: dict[str, Any], name: str, span: Span) -> int:
    value = found.get(name)
    try:
        number = int(value) if isinstance(value, (int, str)) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= 1 << 60:
        raise Corrupt("sparse bundle", span, f"{name} is {str(value)[:40]!r}")
    return number


class _Bands:
    """The files of the bands, opened when they are read. A file's name is its number in hexadecimal."""

    def __init__(self, family: Family, folder: str, band: int, size: int) -> None:
        self._family, self._open = family, dict[int, PooledFile]()
        self._paths: dict[int, str] = {}
        self.sizes: dict[int, int] = {}
        budget, count, name = family.budget, -(-size // band), os.path.basename(folder)
        for entry in sorted(os.scandir(folder), key=lambda e: (len(e.name), e.name)):
            budget.item()
            regular, number = entry.is_file(follow_symlinks=False), int(entry.name, 16) if _BAND.fullmatch(entry.name) else -1
            if not regular or number < 0 or number >= count or number in self._paths:
                text = "no band of this disk: it was not read" if regular else "not a file: it was not read"
                budget.report(Finding.note("sparse bundle", text, where=entry.path))
                continue
            length = entry.stat(follow_symlinks=False).st_size
            if length > band:
                budget.report(Corrupt("sparse bundle", Span(f"{name}/{entry.name}", 0, length), f"{length} bytes in a band of {band}"))
            self._paths[number], self.sizes[number] = entry.path, min(length, band)
            family.parts[os.path.realpath(entry.path)] = (f"{name}/{entry.name}", length)

    def file(self, number: int) -> PooledFile:
        """The band's file; spans name it with its folder."""
        held = self._open.get(number)
        if held is None:
            path = self._paths[number]
            held = PooledFile(self._family.pool, path)
            held.root = f"{os.path.basename(os.path.dirname(path))}/{os.path.basename(path)}"
            self._open[number] = held
        return held


def _stored(bands: _Bands, band: int, size: int) -> BlockSource:
    """The bytes of the files; zeros where there is no file, and behind the end of one that is short."""

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, band)
        run, there = min(band - inside, size - offset), bands.sizes.get(number, 0) - inside
        return (None, 0, run) if there <= 0 else (bands.file(number), inside, min(run, there))

    return BlockSource(size, locate, "sparse bundle band")


def _plain(stored: ByteSource, bands: _Bands, band: int, size: int, keys: Opened) -> BlockSource:
    """What the blocks decrypt to; what was never written is zeros, as it is without encryption."""
    whole = -(-size // keys.block) * keys.block
    source = Deciphered(stored if whole == size else _stored(bands, band, whole), 0, size, keys)

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, band)
        run, there = min(band - inside, size - offset), -(-bands.sizes.get(number, 0) // keys.block) * keys.block - inside
        return (None, 0, run) if there <= 0 else (source, offset, min(run, there))

    return BlockSource(size, locate, "sparse bundle band")


def _seal(family: Family, folder: str) -> Sealed | None:
    path = os.path.join(folder, f.TOKEN)
    if not os.path.isfile(path) or os.path.islink(path):
        return None
    token = PooledFile(family.pool, path)
    if token.read_at(0, 8) != encrcdsa.SIGNATURE:
        return None
    return sealed(family.open(path), family.budget)


def _open(family: Family, path: str) -> Image:
    file, folder = PooledFile(family.pool, path), os.path.dirname(os.path.abspath(path))
    found, span = _described(file), Span(file.root, 0, file.size)
    family.open(path)
    band, size = _number(found, "band-size", span), _number(found, "size", span)
    if not 512 <= band <= 1 << 40:
        raise Corrupt("sparse bundle", span, f"bands of {band} bytes")
    if not os.path.isdir(where := os.path.join(folder, f.BANDS)) or os.path.islink(where):
        raise Truncated("sparse bundle", span, f"no folder {f.BANDS} beside {file.root}")
    facts = {name: str(found[name])[:200] for name in sorted(found) if isinstance(found[name], (int, str))}
    seal = _seal(family, folder)
    keys = seal.unlock(family.budget) if seal is not None else None
    bands = _Bands(family, where, band, size)
    facts["bands"] = f"{len(bands.sizes)} of {-(-size // band)}"
    data: BlockSource = _stored(bands, band, size)
    if seal is not None and keys is not None:
        facts |= seal.facts
        if band % keys.block:
            raise Unsupported("sparse bundle", span, f"bands of {band} bytes and encrypted blocks of {keys.block}")
        data = _plain(data, bands, band, size, keys)
    return Image(data, format="sparsebundle", name=os.path.basename(folder) or file.root, facts=facts)


def open_bundle(paths: Sequence[str], budget: Budget) -> Image:
    """The disk whose Info.plist (or its copy, Info.bckup) is the first path; the bands are those of the folder ``bands`` beside it.

    Raises NotThisFormat for another property list; Locked when it is encrypted and no key opens it; Truncated without a folder of bands;
    Corrupt for sizes that cannot be. Files that are no band of the disk, and bands that are too long, are findings. A band that is
    missing cannot be told from one that was never written: both are zeros.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="sparsebundle",
    title="Apple sparse bundle (.sparsebundle)",
    refs=("Joachim Metz, Mac OS disk image types, libmodi documentation", "Willem Hengeveld, readencrcdsa (2019): the encrypted token"),
    gaps=(
        "the format lists no bands: a lost one reads as zero like one that was never written; the fact bands says how many there are",
        "of encrypted bundles none of Apple's was at hand: that blocks are numbered through all bands is not proven",
        "the format stores no checksum; links in the folder of bands are not followed",
        "the lock, mapped and history files that later versions of macOS keep beside the bands are not read",
    ),
    folder=f.INFO,
    extensions=(".plist", ".bckup"),
    open=open_bundle,
)
