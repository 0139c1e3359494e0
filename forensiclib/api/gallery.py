"""Thumbnails of the pictures in a case: listed, deleted, carved. Hostile pictures cost a finding, no more."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensiclib.api.match import Listed, listed
from forensiclib.api.opening import Engine, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.units import FileRef, Place, UnitResult, run_unit
from forensiclib.core.batch import Batch
from forensiclib.core.errors import EvidenceError, MissingSupport
from forensiclib.core.finding import Finding
from forensiclib.core.source import ByteSource, FileSource, as_file

__all__ = ["GalleryUnit", "PICTURES", "gallery", "run_gallery", "thumbnail"]

PICTURES = ("jpg", "jpeg", "jpe", "jfif", "png", "gif", "bmp", "dib", "tif", "tiff", "webp")
EACH = 120
"""Thumbnails for each state: the report stays a file that a browser opens. Counts are never cut."""
SIDE = 160
PIXELS = 64_000_000
"""Larger pictures are decompression bombs or need another tool; they are counted as not shown."""


@dataclass(frozen=True, slots=True)
class GalleryUnit:
    """Pictures of one volume."""

    place: Place
    files: tuple[FileRef, ...]


def thumbnail(source: ByteSource) -> bytes:
    """A JPEG of at most SIDE pixels a side. Raises ValueError when it is no picture that decodes."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingSupport("thumbnails need pillow: pip install 'forensiclib[cli]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(as_file(source)) as picture:
                if picture.width * picture.height > PIXELS:
                    raise ValueError(f"{picture.width} x {picture.height} pixels")
                picture.draft("RGB", (SIDE * 2, SIDE * 2))
                picture.thumbnail((SIDE, SIDE))
                out = io.BytesIO()
                picture.convert("RGB").save(out, "JPEG", quality=72)
                return out.getvalue()
    except (
        OSError,
        SyntaxError,
        TypeError,
        IndexError,
        KeyError,
        OverflowError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(str(error)) from error


def run_gallery(unit: GalleryUnit) -> UnitResult:
    """Values of the result are (FileRef, JPEG bytes)."""

    def work(result: UnitResult) -> None:
        for file in unit.files:
            where = f"{unit.place.volume}:/{file.path}"
            try:
                result.values.append((file, thumbnail(unit.place.open(file))))
            except ValueError as error:
                result.findings.append(Finding.note("picture not shown", str(error)[:200], where))
            except EvidenceError as error:
                result.findings.append(Finding.of(error, where=where))

    return run_unit(unit.place, f"volume {unit.place.volume}", work)


def _chosen(table: Batch) -> tuple[list[Listed], dict[str, int]]:
    chosen: list[Listed] = []
    totals = {"allocated": 0, "deleted": 0}
    for row in listed(table):
        if row.file.stream or row.file.path.rpartition(".")[2].casefold() not in PICTURES or row.verdict == "overwritten":
            continue
        group = "allocated" if row.file.state == "allocated" else "deleted"
        totals[group] += 1
        if totals[group] <= EACH:
            chosen.append(row)
    return chosen, totals


def gallery(
    run: Run, listing: Sequence[tuple[OpenVolume, Batch]], carved: Sequence[tuple[Path, str]], engine: Engine = "native"
) -> Iterator[dict[str, Any]]:
    """{"group", "title", "jpeg"} for each picture shown, and last {"totals": ...}.

    carved   (file, title) of carved pictures
    """
    totals = {"allocated": 0, "deleted": 0, "carved": len(carved)}
    for volume, table in listing:
        rows, counts = _chosen(table)
        for name, count in counts.items():
            totals[name] += count
        files = [r.file for r in rows]
        place = Place.of(volume, engine)
        units = [GalleryUnit(place, tuple(files[i : i + 16])) for i in range(0, len(files), 16)]
        for result in run.map(run_gallery, units):
            for finding in result.findings:
                run.report(finding)
            for file, jpeg in result.values:
                group = "allocated" if file.state == "allocated" else "deleted"
                yield {"group": group, "title": f"{volume.name}:/{file.path}", "jpeg": jpeg}
    for path, title in carved[:EACH]:
        source = FileSource(path)
        try:
            yield {"group": "carved", "title": title, "jpeg": thumbnail(source)}
        except ValueError as error:
            run.report(Finding.note("picture not shown", str(error)[:200], title))
        finally:
            source.close()
    yield {"totals": totals}
