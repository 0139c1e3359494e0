"""Compiled or plain: the one place that chooses, and the only importer of both.

``WHICH`` says what runs, and goes into every output. ``FORENSICLIB_PURE=1`` in the environment
forces the plain twins.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

from forensiclib._columns_py import evtx_xml as evtx_xml  # one record on request: it has no compiled form
from forensiclib._plain.mft import MFT_ATTRIBUTE as MFT_ATTRIBUTE
from forensiclib._plain.mft import MFT_NAME as MFT_NAME
from forensiclib._plain.mft import MFT_PROBLEM as MFT_PROBLEM
from forensiclib._plain.mft import MFT_PROBLEMS as MFT_PROBLEMS
from forensiclib._plain.mft import MFT_RECORD as MFT_RECORD
from forensiclib._plain.mft_listing import MFT_COLUMNS as MFT_COLUMNS

_PURE = os.environ.get("FORENSICLIB_PURE") == "1"

try:
    if _PURE:
        raise ModuleNotFoundError("FORENSICLIB_PURE=1")
    from forensiclib._codecs import byte_runs as byte_runs
    from forensiclib._codecs import lznt1 as lznt1
    from forensiclib._codecs import lzxpress as lzxpress
    from forensiclib._codecs import lzxpress_huffman as lzxpress_huffman
    from forensiclib._codecs import zlib_starts as zlib_starts
    from forensiclib._columns import clear_runs as clear_runs
    from forensiclib._columns import evtx_chunks as evtx_chunks
    from forensiclib._columns import index_names as index_names
    from forensiclib._columns import mft_listing as mft_listing
    from forensiclib._columns import mft_lost as mft_lost
    from forensiclib._columns import mft_owners as mft_owners
    from forensiclib._columns import mft_ranges as mft_ranges
    from forensiclib._columns import mft_scan as mft_scan
    from forensiclib._columns import mft_verdicts as mft_verdicts
    from forensiclib._columns import pack_bits as pack_bits
    from forensiclib._columns import regf_columns as regf_columns
    from forensiclib._columns import regf_walk as regf_walk
    from forensiclib._digests import marvin32 as marvin32
    from forensiclib._speedups import SCAN_LEVELS as SCAN_LEVELS
    from forensiclib._speedups import jpeg_scan as jpeg_scan
    from forensiclib._speedups import scan as scan
    from forensiclib._speedups import scan_compile as scan_compile

    WHICH = "compiled"
except ModuleNotFoundError as _why:  # not built; a stale or broken build is an ImportError, and leaves loudly
    from forensiclib._codecs_py import byte_runs as byte_runs
    from forensiclib._codecs_py import lznt1 as lznt1
    from forensiclib._codecs_py import lzxpress as lzxpress
    from forensiclib._codecs_py import lzxpress_huffman as lzxpress_huffman
    from forensiclib._codecs_py import zlib_starts as zlib_starts
    from forensiclib._columns_py import clear_runs as clear_runs
    from forensiclib._columns_py import evtx_chunks as evtx_chunks
    from forensiclib._columns_py import index_names as index_names
    from forensiclib._columns_py import mft_listing as mft_listing
    from forensiclib._columns_py import mft_lost as mft_lost
    from forensiclib._columns_py import mft_owners as mft_owners
    from forensiclib._columns_py import mft_ranges as mft_ranges
    from forensiclib._columns_py import mft_scan as mft_scan
    from forensiclib._columns_py import mft_verdicts as mft_verdicts
    from forensiclib._columns_py import pack_bits as pack_bits
    from forensiclib._columns_py import regf_columns as regf_columns
    from forensiclib._columns_py import regf_walk as regf_walk
    from forensiclib._digests_py import marvin32 as marvin32
    from forensiclib._speedups_py import SCAN_LEVELS as SCAN_LEVELS
    from forensiclib._speedups_py import jpeg_scan as jpeg_scan
    from forensiclib._speedups_py import scan as scan
    from forensiclib._speedups_py import scan_compile as scan_compile

    WHICH = f"python ({_why})"

adler32: Callable[[bytes | memoryview], int]
"""Adler-32 (RFC 1950) of a buffer."""
crc32: Callable[[bytes | bytearray | memoryview, int], int]
"""CRC-32 (ISO 3309, as in zlib) of the bytes, going on from the second argument (0 to begin)."""
try:
    # libdeflate inflates 2.5 times as fast as zlib and 1.25 times as isal, and releases the GIL (docs/dependencies.md).
    import deflate as _libdeflate

    adler32, crc32, INFLATE = _libdeflate.adler32, _libdeflate.crc32, "libdeflate"
except ModuleNotFoundError:
    adler32, crc32, INFLATE = zlib.adler32, zlib.crc32, "zlib"


def inflate(data: bytes | memoryview, size: int, *, raw: bool = False) -> bytes | bytearray:
    """One deflate stream (zlib header and Adler-32 checked unless ``raw``) -> its bytes.

    ``size`` is the expected output and the memory taken for it, whatever the stream holds; more
    than that is an error, and so is a stream that breaks off. Bytes behind the stream are ignored.
    Raises ValueError on damage.
    """
    if INFLATE == "libdeflate":
        unpack = _libdeflate.deflate_decompress if raw else _libdeflate.zlib_decompress
        try:
            out: bytearray = unpack(data, max(size, 1))
        except _libdeflate.DeflateError:
            return _inflate_zlib(data, size, raw)  # says what is wrong
        if len(out) > size:
            raise ValueError(f"more than the {size} bytes that were expected")
        return out
    return _inflate_zlib(data, size, raw)


def _inflate_zlib(data: bytes | memoryview, size: int, raw: bool) -> bytes:
    engine = zlib.decompressobj(-15 if raw else 15)
    try:
        out = engine.decompress(data, max(size, 1))
        # With the output full the trailer may still be unread.
        more = b"" if engine.eof else engine.decompress(engine.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if more or len(out) > size:
        raise ValueError(f"more than the {size} bytes that were expected")
    if not engine.eof:
        raise ValueError("the stream breaks off")
    return out
