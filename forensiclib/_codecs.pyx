# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled decompressors. One idea a file in _native/; the plain twins are in _plain/."""

include "_native/adc.pxi"
include "_native/elephant.pxi"
include "_native/lznt1.pxi"
include "_native/lzo.pxi"
include "_native/lzvn.pxi"
include "_native/lzx.pxi"
include "_native/rtime.pxi"
include "_native/sectors.pxi"
include "_native/xpress.pxi"
