"""One raw file or block device: the bytes are the media."""

from __future__ import annotations

from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat
from forensiclib.core.entry import Image
from forensiclib.core.errors import NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.images._files import FilePool, PooledFile, contained, expand

__all__ = ["FORMAT", "open_raw"]


def open_raw(paths: Sequence[str], budget: Budget) -> Image:
    """The file or device at the one path.

    NotThisFormat when several were given or when the content is an EWF segment; UsageError when
    there is no such file, Unreadable when the system does not open it.
    """
    found = expand(paths)
    if len(found) != 1:
        raise NotThisFormat("raw image", None, f"{len(found)} files")
    pool = FilePool()
    file = PooledFile(pool, found[0])
    if contained(file):
        pool.close()
        raise NotThisFormat("raw image", Span(file.root, 0, 8), "the signature of an EWF segment")
    if file.size == 0:
        budget.report(Finding.note("raw image", "an empty file", where=file.root))
    return Image(file, format="raw", name=file.root, parts=((file.root, file.size),), close_with=(pool.close,))


FORMAT = ImageFormat(
    name="raw",
    title="Raw image (dd) or block device",
    refs=("the media's own bytes, no container",),
    gaps=("the sector size is not stored and is taken to be 512", "no hash is stored: nothing to verify against"),
    extensions=(".dd", ".raw", ".img", ".bin", ".iso", ".dmp"),
    catch_all=True,
    open=open_raw,
)
