"""Writing evidence: what a caller may choose, and what was made of it. Writers are ``ImageWriter`` declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["COMPRESSIONS", "WriteCall", "WriteOptions", "Written"]

COMPRESSIONS = ("none", "empty-block", "fast", "best")
"""empty-block packs only chunks whose bytes are all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """What goes into the container and how. The same options and source give the same bytes: no clock, no random number.

    facts             header values by their names in EWF: case_number, evidence_number, examiner_name, unique_description,
                      notes, model, serial_number, device_label, version, platform
    acquired, system  times that the header states; without a zone they are UTC
    compression       one of COMPRESSIONS; AFF4 also has "lz4" (what fast is there) and "deflate"
    segment_size      most bytes of one file; None is the format's default
    chunk_sectors     sectors that are packed as one
    sector_size       bytes
    media_type        "fixed", "removable", "optical", "memory"; physical   a whole device, not a volume
    sessions          (first sector, "data" or "audio") of an optical disc
    algorithms        digests that are computed in the same pass; a format stores those that it has a place for
    identifier        16 bytes that all segments carry; None derives them from what is written
    error_granularity sectors that read as zero where one of them cannot be read
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    acquired: datetime | None = None
    system: datetime | None = None
    compression: str = "fast"
    segment_size: int | None = None
    chunk_sectors: int = 64
    sector_size: int = 512
    media_type: str = "fixed"
    physical: bool = True
    sessions: tuple[tuple[int, str], ...] = ()
    algorithms: tuple[str, ...] = ("md5", "sha1", "sha256")
    identifier: bytes | None = None
    error_granularity: int = 1


@dataclass(frozen=True, slots=True)
class Written:
    """A set that was written whole.

    paths     its files in order; size   bytes of media in it
    digests   algorithm -> hex of the media as written
    source    the same of the source's own bytes: they differ where the last sector was padded, and where AFF4 has its own text for
              what the source says was never read
    bad       (start, length) in bytes of what could not be read and was written as zero (in AFF4 as its own text), or was bad
              already in the source
    padded    zeros behind the last byte of the source, up to a whole sector
    """

    paths: tuple[str, ...]
    size: int
    digests: Mapping[str, str]
    source: Mapping[str, str]
    bad: tuple[tuple[int, int], ...] = ()
    padded: int = 0


class WriteCall(Protocol):
    """Writes ``source`` as a set whose first file is ``path``.

    known_bad  (start, length) ranges that the source itself says were never read
    resume     go on with a set that was stopped: its state is in ``path`` + ".resume", which a call that does not end
               well leaves behind. The finished set is the same as one that was never stopped
    Raises UsageError for options that the format cannot take, for a file that is there already, and for a state of
    another job; OSError for what the host cannot do (a full disk); Cancelled.
    """

    def __call__(
        self,
        source: ByteSource,
        path: str,
        options: WriteOptions,
        budget: Budget,
        *,
        threads: int = 1,
        progress: Callable[[int, int], None] | None = None,
        known_bad: Sequence[tuple[int, int]] = (),
        resume: bool = False,
    ) -> Written: ...
