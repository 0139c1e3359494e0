# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled loops over bytes. One idea a file in _native/; the plain twins are in _plain/."""

include "_native/lznt1.pxi"
include "_native/scan.pxi"
include "_native/xpress.pxi"
include "_native/jpeg.pxi"
include "_native/marvin.pxi"
