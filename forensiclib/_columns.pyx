# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled loops over fixed records into column buffers. One idea a file in _native/; twins in _plain/."""

include "_native/bits.pxi"
include "_native/regf.pxi"
include "_native/bitmap.pxi"
include "_native/block_runs.pxi"
include "_native/mft_grow.pxi"
include "_native/mft.pxi"
include "_native/mft_index.pxi"
include "_native/mft_paths.pxi"
include "_native/mft_listing.pxi"
include "_native/regf_columns.pxi"
include "_native/evtx.pxi"
