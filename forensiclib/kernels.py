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
from forensiclib._plain.sums import SUM_KINDS as SUM_KINDS

_PURE = os.environ.get("FORENSICLIB_PURE") == "1"

try:
    if _PURE:
        raise ModuleNotFoundError("FORENSICLIB_PURE=1")
    from forensiclib._codecs import SECTOR_LEVELS as SECTOR_LEVELS
    from forensiclib._codecs import adc as adc
    from forensiclib._codecs import byte_runs as byte_runs
    from forensiclib._codecs import elephant_decrypt as elephant_decrypt
    from forensiclib._codecs import gf256_sum as gf256_sum
    from forensiclib._codecs import lzfse as lzfse
    from forensiclib._codecs import lznt1 as lznt1
    from forensiclib._codecs import lzo1x as lzo1x
    from forensiclib._codecs import lzvn as lzvn
    from forensiclib._codecs import lzx as lzx
    from forensiclib._codecs import lzxpress as lzxpress
    from forensiclib._codecs import lzxpress_huffman as lzxpress_huffman
    from forensiclib._codecs import rtime as rtime
    from forensiclib._codecs import sectors_decrypt as sectors_decrypt
    from forensiclib._codecs import snappy as snappy
    from forensiclib._codecs import zlib_starts as zlib_starts
    from forensiclib._columns import block_runs as block_runs
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
    from forensiclib._digests import BLOCK_LEVELS as BLOCK_LEVELS
    from forensiclib._digests import BLOCK_VERDICTS as BLOCK_VERDICTS
    from forensiclib._digests import CRC32C_LEVELS as CRC32C_LEVELS
    from forensiclib._digests import CTPH_LEVELS as CTPH_LEVELS
    from forensiclib._digests import STRETCH_LEVELS as STRETCH_LEVELS
    from forensiclib._digests import SUM_LEVELS as SUM_LEVELS
    from forensiclib._digests import SUM_SHA as SUM_SHA
    from forensiclib._digests import TLSH_LEVELS as TLSH_LEVELS
    from forensiclib._digests import block_digests as block_digests
    from forensiclib._digests import block_measures as block_measures
    from forensiclib._digests import cd_edc as cd_edc
    from forensiclib._digests import cd_sectors as cd_sectors
    from forensiclib._digests import crc32c as crc32c
    from forensiclib._digests import ctph_digest as ctph_digest
    from forensiclib._digests import ctph_record as ctph_record
    from forensiclib._digests import ctph_scores as ctph_scores
    from forensiclib._digests import ctph_state as ctph_state
    from forensiclib._digests import ctph_update as ctph_update
    from forensiclib._digests import digest_find as digest_find
    from forensiclib._digests import digest_index as digest_index
    from forensiclib._digests import digest_sort as digest_sort
    from forensiclib._digests import gear_cuts as gear_cuts
    from forensiclib._digests import hamming_distances as hamming_distances
    from forensiclib._digests import hamming_pairs as hamming_pairs
    from forensiclib._digests import marvin32 as marvin32
    from forensiclib._digests import old_digest as old_digest
    from forensiclib._digests import old_pbkdf2 as old_pbkdf2
    from forensiclib._digests import pdq_hash as pdq_hash
    from forensiclib._digests import picture_dct as picture_dct
    from forensiclib._digests import square_distances as square_distances
    from forensiclib._digests import stretch as stretch
    from forensiclib._digests import sum_begin as sum_begin
    from forensiclib._digests import sum_finish as sum_finish
    from forensiclib._digests import sum_update as sum_update
    from forensiclib._digests import tlsh_digest as tlsh_digest
    from forensiclib._digests import tlsh_distances as tlsh_distances
    from forensiclib._digests import tlsh_state as tlsh_state
    from forensiclib._digests import tlsh_update as tlsh_update
    from forensiclib._speedups import SCAN_LEVELS as SCAN_LEVELS
    from forensiclib._speedups import gif_codes as gif_codes
    from forensiclib._speedups import jpeg_progressive as jpeg_progressive
    from forensiclib._speedups import jpeg_scan as jpeg_scan
    from forensiclib._speedups import scan as scan
    from forensiclib._speedups import scan_columns as scan_columns
    from forensiclib._speedups import scan_compile as scan_compile

    WHICH = "compiled"
except ModuleNotFoundError as _why:  # not built; a stale or broken build is an ImportError, and leaves loudly
    from forensiclib._codecs_py import SECTOR_LEVELS as SECTOR_LEVELS
    from forensiclib._codecs_py import adc as adc
    from forensiclib._codecs_py import byte_runs as byte_runs
    from forensiclib._codecs_py import elephant_decrypt as elephant_decrypt
    from forensiclib._codecs_py import gf256_sum as gf256_sum
    from forensiclib._codecs_py import lzfse as lzfse
    from forensiclib._codecs_py import lznt1 as lznt1
    from forensiclib._codecs_py import lzo1x as lzo1x
    from forensiclib._codecs_py import lzvn as lzvn
    from forensiclib._codecs_py import lzx as lzx
    from forensiclib._codecs_py import lzxpress as lzxpress
    from forensiclib._codecs_py import lzxpress_huffman as lzxpress_huffman
    from forensiclib._codecs_py import rtime as rtime
    from forensiclib._codecs_py import sectors_decrypt as sectors_decrypt
    from forensiclib._codecs_py import snappy as snappy
    from forensiclib._codecs_py import zlib_starts as zlib_starts
    from forensiclib._columns_py import block_runs as block_runs
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
    from forensiclib._digests_py import BLOCK_LEVELS as BLOCK_LEVELS
    from forensiclib._digests_py import BLOCK_VERDICTS as BLOCK_VERDICTS
    from forensiclib._digests_py import CRC32C_LEVELS as CRC32C_LEVELS
    from forensiclib._digests_py import CTPH_LEVELS as CTPH_LEVELS
    from forensiclib._digests_py import STRETCH_LEVELS as STRETCH_LEVELS
    from forensiclib._digests_py import SUM_LEVELS as SUM_LEVELS
    from forensiclib._digests_py import SUM_SHA as SUM_SHA
    from forensiclib._digests_py import TLSH_LEVELS as TLSH_LEVELS
    from forensiclib._digests_py import block_digests as block_digests
    from forensiclib._digests_py import block_measures as block_measures
    from forensiclib._digests_py import cd_edc as cd_edc
    from forensiclib._digests_py import cd_sectors as cd_sectors
    from forensiclib._digests_py import crc32c as crc32c
    from forensiclib._digests_py import ctph_digest as ctph_digest
    from forensiclib._digests_py import ctph_record as ctph_record
    from forensiclib._digests_py import ctph_scores as ctph_scores
    from forensiclib._digests_py import ctph_state as ctph_state
    from forensiclib._digests_py import ctph_update as ctph_update
    from forensiclib._digests_py import digest_find as digest_find
    from forensiclib._digests_py import digest_index as digest_index
    from forensiclib._digests_py import digest_sort as digest_sort
    from forensiclib._digests_py import gear_cuts as gear_cuts
    from forensiclib._digests_py import hamming_distances as hamming_distances
    from forensiclib._digests_py import hamming_pairs as hamming_pairs
    from forensiclib._digests_py import marvin32 as marvin32
    from forensiclib._digests_py import old_digest as old_digest
    from forensiclib._digests_py import old_pbkdf2 as old_pbkdf2
    from forensiclib._digests_py import pdq_hash as pdq_hash
    from forensiclib._digests_py import picture_dct as picture_dct
    from forensiclib._digests_py import square_distances as square_distances
    from forensiclib._digests_py import stretch as stretch
    from forensiclib._digests_py import sum_begin as sum_begin
    from forensiclib._digests_py import sum_finish as sum_finish
    from forensiclib._digests_py import sum_update as sum_update
    from forensiclib._digests_py import tlsh_digest as tlsh_digest
    from forensiclib._digests_py import tlsh_distances as tlsh_distances
    from forensiclib._digests_py import tlsh_state as tlsh_state
    from forensiclib._digests_py import tlsh_update as tlsh_update
    from forensiclib._speedups_py import SCAN_LEVELS as SCAN_LEVELS
    from forensiclib._speedups_py import gif_codes as gif_codes
    from forensiclib._speedups_py import jpeg_progressive as jpeg_progressive
    from forensiclib._speedups_py import jpeg_scan as jpeg_scan
    from forensiclib._speedups_py import scan as scan
    from forensiclib._speedups_py import scan_columns as scan_columns
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


def pack(data: bytes | memoryview, level: int) -> bytes | bytearray:
    """A zlib stream of ``data``, at a level of 1 to 9. Which bytes it is depends on the engine (``INFLATE``)."""
    out: bytes | bytearray = zlib.compress(data, level) if INFLATE == "zlib" else _libdeflate.zlib_compress(data, level)
    return out


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
