"""Windows registry hives of Windows NT 3.5 and later."""

from __future__ import annotations

from collections.abc import Mapping

from forensiclib.core.declare import Signature, StoreFormat
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.time import Timestamp
from forensiclib.formats.regf import BINS, HIVE_BIN, NOWHERE, PAGE
from forensiclib.stores.regf.base import Base, read_base
from forensiclib.stores.regf.hive import Hive
from forensiclib.stores.regf.logs import replay

__all__ = ["FORMAT", "open_hive"]


def open_hive(source: ByteSource, companions: Mapping[str, ByteSource], budget: Budget) -> Hive:
    """The hive with its logs (".log", ".log1", ".log2") replayed where Windows would, ``stored`` being the view
    without them; or hive bins without their hive, whose keys and values are all in deleted().

    Raises NotThisFormat (a transaction log is not a hive), Truncated when there is no hive bin, Unsupported
    for versions before 1.2, LimitExceeded for a hive larger than Limits.allocation.
    """
    if source.read_at(0, 4) == b"hbin":
        return _open_bins(source, budget)
    base = read_base(source)
    if base.file_type != 0:
        raise NotThisFormat("registry hive", None, f"file type {base.file_type}: a transaction log")
    if source.size < BINS + HIVE_BIN.size:
        raise Truncated("registry hive", None, f"{source.size} bytes: no hive bin")
    if base.major != 1 or base.minor < 2:
        raise Unsupported("registry hive", None, f"version {base.major}.{base.minor}")
    budget.allocate("registry hive", source.size)
    if not base.intact:
        budget.report(Corrupt("registry base block", None, "its checksum is wrong"))
    if base.minor > 6:
        budget.report(Finding.note("registry hive", f"version 1.{base.minor}: newer than the specification"))
    replayed = replay(source, base, companions, budget)
    if base.dirty and replayed is None:
        text = f"sequence numbers {base.primary} and {base.secondary}: the last write did not complete, and no log mends it"
        budget.report(Finding.note("registry hive", text))
    stored = Hive(source, base, budget)
    return stored if replayed is None else Hive(source, replayed.base, budget, stored, replayed)


def _open_bins(source: ByteSource, budget: Budget) -> Hive:
    """Hive bins at the offsets that they state; in front of them is nothing."""
    head = HIVE_BIN.dict(source.read_at(0, HIVE_BIN.size).ljust(HIVE_BIN.size, b"\0"))
    size = budget.allocate("registry hive bins", BINS + head["offset"] + source.size)
    if head["offset"] % PAGE:
        raise NotThisFormat("registry hive bins", None, f"offset {head['offset']:#x}")
    part = ExtentSource(source, [(None, size - source.size), (0, source.size)])
    base = Base(0, 0, Timestamp.filetime(0), 1, 5, 0, NOWHERE, 0, 1, "", True)
    return Hive(source, base, budget, part=part)


FORMAT = StoreFormat(
    name="regf",
    title="Windows registry hive, with its transaction logs",
    refs=(
        "M. Suhanov, Windows registry file format specification, 2015-2018",
        "J. Metz, Windows NT Registry File (REGF) format, libregf",
        "[MS-DTYP] 2.4.6 SECURITY_DESCRIPTOR",
    ),
    gaps=(
        "versions before 1.2 (Windows NT 3.1) are refused",
        "volatile keys are in memory only and stand in no hive",
        "transacted changes (TxR .regtrans-ms and .blf files) are not applied",
        "layered keys of Windows containers are listed, not merged with the layers below",
        "hive bins without their hive at offsets beyond Limits.allocation are refused",
        "a hive larger than Limits.allocation is refused",
        "when a hive bin is damaged Windows puts an empty one in its place; here its records are read where they still hold",
    ),
    signatures=(Signature(b"regf"), Signature(b"hbin")),
    companions=(".log", ".log1", ".log2"),
    open=open_hive,
)
