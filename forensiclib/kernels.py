"""Compiled or plain: the one place that chooses, and the only importer of both.

``WHICH`` says what runs, and goes into every output. ``FORENSICLIB_PURE=1`` in the environment
forces the plain twins.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from forensiclib._columns_py import evtx_xml as evtx_xml  # one record on request: it has no compiled form

_PURE = os.environ.get("FORENSICLIB_PURE") == "1"

try:
    if _PURE:
        raise ImportError("FORENSICLIB_PURE=1")
    from forensiclib._columns import evtx_chunks as evtx_chunks
    from forensiclib._columns import pack_bits as pack_bits
    from forensiclib._speedups import lznt1 as lznt1

    WHICH = "compiled"
except ImportError as _why:
    from forensiclib._columns_py import evtx_chunks as evtx_chunks
    from forensiclib._columns_py import pack_bits as pack_bits
    from forensiclib._speedups_py import lznt1 as lznt1

    WHICH = f"python ({_why})"

_decompress: Callable[[bytes | memoryview, int, int], bytes]
crc32: Callable[[bytes | bytearray | memoryview, int], int]
"""CRC-32 (ISO 3309, as in zlib) of the bytes, going on from the second argument (0 to begin)."""
_damage: type[Exception]
try:
    # isal inflates 1.6 to 2.3 times as fast as zlib (CRC-32: 6 times) and releases the GIL (docs/dependencies.md).
    import isal.isal_zlib as _isal

    _decompress, _damage, INFLATE = _isal.decompress, _isal.IsalError, "isal"
    crc32 = _isal.crc32
except ImportError:
    import zlib as _zlib

    _decompress, _damage, INFLATE = _zlib.decompress, _zlib.error, "zlib"
    crc32 = _zlib.crc32


def inflate(data: bytes | memoryview, size: int, *, raw: bool = False) -> bytes:
    """One deflate stream (zlib header and Adler-32 checked unless ``raw``) -> its bytes.

    ``size`` is the expected output; more than that is an error. Raises ValueError on damage.
    """
    try:
        out = _decompress(data, -15 if raw else 15, size)
    except _damage as error:
        raise ValueError(str(error)) from error
    if len(out) > size:
        raise ValueError(f"{len(out)} bytes where {size} were expected")
    return out
