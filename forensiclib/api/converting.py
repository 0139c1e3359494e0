"""From any opened image to a container of another kind, read back when it is done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from forensiclib.api.opening import OpenImage, Verification, open_image
from forensiclib.api.run import Run
from forensiclib.core.declare import ImageWriter
from forensiclib.core.errors import UsageError
from forensiclib.core.writing import WriteOptions, Written

__all__ = ["KEPT", "Converted", "convert", "options_like", "writer_for"]

KEPT = ("case_number", "evidence_number", "examiner_name", "unique_description", "notes", "model", "serial_number", "device_label")
"""Header values that a conversion carries over."""


@dataclass(frozen=True, slots=True)
class Converted:
    """written    what the writer made
    verification  of the set as it was read back; None when that was not asked for
    ok            False when what was read back is not what was written
    """

    written: Written
    verification: Verification | None

    @property
    def ok(self) -> bool:
        """Whether the set reads back as it was written, as far as that was looked at."""
        if self.verification is None:
            return True
        computed = self.verification.computed
        return self.verification.ok is not False and all(computed.get(name) == value for name, value in self.written.digests.items())


def writer_for(run: Run, path: str, format: str | None = None) -> ImageWriter:
    """The writer of that name, or the one that the path's extension names. UsageError when there is none."""
    writers = run.catalog.writers
    suffix = os.path.splitext(path)[1].lower()
    for writer in writers:
        if writer.name == format or (format is None and suffix in writer.extensions):
            return writer
    there = ", ".join(f"{w.name} ({' '.join(w.extensions)})" for w in writers)
    raise UsageError(f"nothing writes {format or suffix or path!r}; there are {there}")


def _time(text: str) -> datetime | None:
    """A date of an EWF header: seconds since 1970, or year, month, day, hour, minute and second of an unknown zone."""
    parts = text.split()
    try:
        if len(parts) == 1:
            return datetime.fromtimestamp(int(parts[0]), UTC)
        return datetime(*map(int, parts)) if len(parts) == 6 else None  # type: ignore[arg-type]
    except (ValueError, OverflowError, OSError):
        return None


def options_like(image: OpenImage, options: WriteOptions, facts: Mapping[str, str] | None = None) -> WriteOptions:
    """``options`` with what the maker of ``image`` said of it (KEPT, the two times, the media type) where they say
    nothing themselves; values that have a line end or a tab lose it to a space."""
    found = {name: " ".join(image.facts[name].split()) for name in KEPT if image.facts.get(name, "").strip()}
    kind = image.facts.get("media_type", options.media_type)
    return replace(
        options,
        facts={**found, **options.facts, **(facts or {})},
        acquired=options.acquired or _time(image.facts.get("acquired_date", "")),
        system=options.system or _time(image.facts.get("system_date", "")),
        media_type=kind if kind in ("removable", "fixed", "optical", "memory") else options.media_type,
    )


def convert(
    run: Run,
    image: OpenImage,
    to: str,
    options: WriteOptions | None = None,
    *,
    format: str | None = None,
    verify: bool = True,
    resume: bool = False,
) -> Converted:
    """Write all of the image to ``to`` and, with ``verify``, read the result back and compare every digest.

    options  those of the writer; None keeps sector size and header values of the image
    format   name of a writer; None chooses by the extension of ``to``
    resume   go on where a call that was stopped left off
    What cannot be read is written as zero, a finding, and where the format has a place, told in the set. Raises
    UsageError for a file that is there, OSError when the host fails; the state to go on from stays in ``to``.resume.
    """
    writer = writer_for(run, to, format)
    if options is None:
        options = WriteOptions(sector_size=image.sector_size)
        options = options if writer.name == "raw" else options_like(image, options)
    written = writer.write(
        image, to, options, run.budget(writer.name, os.path.basename(to)), threads=run.threads,
        progress=lambda done, total: run.progress("convert", done, total),
        known_bad=[(span.start, span.length) for span in image.bad_sectors], resume=resume,
    )  # fmt: skip
    if not verify:
        return Converted(written, None)
    reader = {f.name for f in run.catalog.images} & {writer.name} if len(written.paths) == 1 else set()
    with open_image(list(written.paths), run=run, format=reader.pop() if reader else None) as again:
        return Converted(written, again.verify(tuple(written.digests)))
