# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled digests and checksums. One idea a file in _native/; the plain twins are in _plain/."""

include "_native/marvin.pxi"
include "_native/sums.pxi"
