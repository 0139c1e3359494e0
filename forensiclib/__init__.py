"""forensiclib: forensic parsing to embed.

    import forensiclib as fl

    with fl.open_image("disk.E01") as image:
        print(image.verify())
        for volume in image.volumes():
            for entry in volume.filesystem().walk(deleted=True):
                print(entry.state, entry.path, entry.size)
        for record in fl.Run().extract(image, "windows.*"):
            print(record.values, record.state, *record.spans)

Names load on first use; importing this package loads nothing third-party, starts nothing and
changes nothing. Every error it raises on purpose is a ForensicError.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "open_image": "forensiclib.api",
    "examine": "forensiclib.api",
    "Run": "forensiclib.api",
    "Keys": "forensiclib.core.keys",
    "Limits": "forensiclib.core.limits",
    "Batch": "forensiclib.core.batch",
    "ByteSource": "forensiclib.core.source",
    "Entry": "forensiclib.core.entry",
    "FileSystem": "forensiclib.core.entry",
    "Stream": "forensiclib.core.entry",
    "Finding": "forensiclib.core.finding",
    "Record": "forensiclib.core.record",
    "Span": "forensiclib.core.span",
    "Timestamp": "forensiclib.core.time",
    "as_file": "forensiclib.core.source",
    "ForensicError": "forensiclib.core.errors",
    "EvidenceError": "forensiclib.core.errors",
    "UsageError": "forensiclib.core.errors",
    "Cancelled": "forensiclib.core.errors",
    "MissingSupport": "forensiclib.core.errors",
}

__all__ = [*_WHERE, "__version__"]

if TYPE_CHECKING:
    from forensiclib.api import Run as Run
    from forensiclib.api import examine as examine
    from forensiclib.api import open_image as open_image
    from forensiclib.core.batch import Batch as Batch
    from forensiclib.core.entry import Entry as Entry
    from forensiclib.core.entry import FileSystem as FileSystem
    from forensiclib.core.entry import Stream as Stream
    from forensiclib.core.errors import Cancelled as Cancelled
    from forensiclib.core.errors import EvidenceError as EvidenceError
    from forensiclib.core.errors import ForensicError as ForensicError
    from forensiclib.core.errors import MissingSupport as MissingSupport
    from forensiclib.core.errors import UsageError as UsageError
    from forensiclib.core.finding import Finding as Finding
    from forensiclib.core.keys import Keys as Keys
    from forensiclib.core.limits import Limits as Limits
    from forensiclib.core.record import Record as Record
    from forensiclib.core.source import ByteSource as ByteSource
    from forensiclib.core.source import as_file as as_file
    from forensiclib.core.span import Span as Span
    from forensiclib.core.time import Timestamp as Timestamp


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'forensiclib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
