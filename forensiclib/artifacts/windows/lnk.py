"""Shortcuts: what they point to, and on which volume and machine it was."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.core.declare import Extractor, Files, Found, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.stores.shelllink import LINK_FIELDS, link_values, read_link

MAGIC = b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
"""Header size and class identifier ([MS-SHLLINK] 2.1): links are found under any name."""


def rows(found: Found, budget: Budget) -> Iterator[Row]:
    """One row for each link."""
    link = read_link(found.stream, budget)
    yield Row(link_values(link), 0, link.length)


EXTRACTOR = Extractor(
    name="windows.lnk",
    title="Shortcuts: target, its times, volume, network share and machine",
    platform="Windows 95 to 11",
    source=Files("**/*.lnk", signatures=(Signature(MAGIC),)),
    fields=LINK_FIELDS,
    refs=("[MS-SHLLINK]", "libfwsi: Windows Shell Item format", "[MS-PROPSTORE]"),
    gaps=("ANSI texts are read as code page 1252", "Web shortcuts (.url) are not read"),
    rows=rows,
)
