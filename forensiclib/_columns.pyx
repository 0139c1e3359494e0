# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled loops over fixed records into column buffers. One idea a file in _native/; twins in _plain/."""

include "_native/bits.pxi"
include "_native/evtx.pxi"
