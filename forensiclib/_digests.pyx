# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled digests and checksums. One idea a file in _native/; the plain twins are in _plain/."""

from array import array

include "_native/cdrom.pxi"
include "_native/crc32c.pxi"
include "_native/ctph.pxi"
include "_native/gear.pxi"
include "_native/hamming.pxi"
include "_native/blockhash.pxi"
include "_native/blockset.pxi"
include "_native/blockverdict.pxi"
include "_native/marvin.pxi"
include "_native/oldhash.pxi"
include "_native/pdq.pxi"
include "_native/tlsh.pxi"
include "_native/sums.pxi"
include "_native/stretch.pxi"
