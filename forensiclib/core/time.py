"""Time stamps: the raw value kept, UTC nanoseconds where they are known, the zone said."""

from __future__ import annotations

import datetime as _dt
from dataclasses import dataclass
from typing import Literal

__all__ = ["FILETIME_EPOCH", "Timestamp", "Zone"]

Zone = Literal["utc", "local", "unknown"]
FILETIME_EPOCH = 116_444_736_000_000_000
"""100 ns ticks from 1601-01-01 to 1970-01-01 ([MS-DTYP] 2.3.3)."""
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Timestamp:
    """One instant as the evidence has it.

    raw         the stored number, unchanged
    kind        its encoding: "filetime", "unix", "fat", "systemtime", "webkit", "mac" ...
    ns          nanoseconds since 1970-01-01, counted as if the clock were UTC; None when unset
                (raw 0 for kinds where 0 means "never") or not a date
    zone        "utc", or "local"/"unknown": then ns is the wall clock, not an instant
    resolution  ns between two neighbouring values that the format can store
    """

    raw: int
    kind: str
    ns: int | None
    zone: Zone = "utc"
    resolution: int = 1

    @classmethod
    def filetime(cls, raw: int, zone: Zone = "utc") -> Timestamp:
        """FILETIME: 100 ns ticks since 1601; 0 is "not set"."""
        return cls(raw, "filetime", (raw - FILETIME_EPOCH) * 100 if raw else None, zone, 100)

    @classmethod
    def unix(cls, seconds: int, nanoseconds: int = 0, zone: Zone = "utc") -> Timestamp:
        """Seconds since 1970 and nanoseconds; 0 seconds is "not set" for file systems."""
        return cls(
            seconds,
            "unix",
            seconds * 1_000_000_000 + nanoseconds if seconds or nanoseconds else None,
            zone,
            1 if nanoseconds else 1_000_000_000,
        )

    @classmethod
    def fat(cls, date: int, time: int = 0, tenths: int = 0) -> Timestamp:
        """MS-DOS date and time words: local wall clock, 2 s steps; ``tenths`` is the 10 ms count
        of creation times (0-199). raw is date << 16 | time."""
        raw = date << 16 | time
        year, month, day = 1980 + (date >> 9), date >> 5 & 15, date & 31
        hour, minute, second = time >> 11, time >> 5 & 63, (time & 31) * 2
        try:
            when = _dt.datetime(year, month, day, hour, minute, second, tzinfo=_dt.UTC)
        except ValueError:
            return cls(raw, "fat", None, "local", 2_000_000_000)
        ns = int(when.timestamp()) * 1_000_000_000 + tenths * 10_000_000
        return cls(raw, "fat", ns, "local", 10_000_000 if tenths else 2_000_000_000)

    @property
    def int64(self) -> int | None:
        """ns where it fits a signed 64-bit column (1677 to 2262), else None."""
        return self.ns if self.ns is not None and -_INT64 <= self.ns < _INT64 else None

    def iso(self) -> str:
        """ISO 8601 with the format's own digits; "Z" only when the zone is UTC; "" when unset.

        Works for every year that a 64-bit FILETIME can say.
        """
        if self.ns is None:
            return ""
        seconds, fraction = divmod(self.ns, 1_000_000_000)
        days, rest = divmod(seconds, 86_400)
        # 400-year cycles of 146,097 days keep datetime inside its range.
        cycles, day = divmod(days + 719_162, 146_097)
        date = _dt.date.fromordinal(day + 1)
        digits = f".{fraction:09d}".rstrip("0") if fraction else ""
        if self.resolution == 100 and fraction:
            digits = f".{fraction // 100:07d}"
        return (
            f"{date.year + 400 * cycles:04d}-{date.month:02d}-{date.day:02d}T{rest // 3600:02d}:"
            f"{rest // 60 % 60:02d}:{rest % 60:02d}{digits}{'Z' if self.zone == 'utc' else ''}"
        )

    def __str__(self) -> str:
        return self.iso()
