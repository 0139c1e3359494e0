# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled searching: signatures, keywords and structures in bytes. One idea a file in _native/; the plain twins are in _plain/."""

include "_native/gif.pxi"
include "_native/jpeg.pxi"
include "_native/scan.pxi"
