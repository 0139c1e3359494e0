# PBKDF2's inner loop for many chains at once. Twin: _plain/stretch.py

from libc.stdint cimport int64_t, uint8_t

from forensiclib._plain.stretch import STRETCH_HASHES
from forensiclib._plain.stretch import stretch_checks as _stretch_checks


cdef extern from "stretch.h":
    int stretch_best_level() nogil
    void stretch_run(int kind, const uint8_t* key, uint8_t* chains, int64_t count, int64_t rounds, int level) nogil


cdef int _stretch_best = stretch_best_level()
STRETCH_LEVELS = ("portable", "avx2", "avx512")[: _stretch_best + 1]
_stretch_kinds = {"sha1": 0, "sha256": 1, "ripemd160": 2, "blake2s": 3, "sha512": 4, "whirlpool": 5, "streebog512": 6}


def stretch(name, key, unsigned char[::1] chains not None, rounds, level=None):
    """More rounds of PBKDF2 for each chain, in place. See the plain twin for the contract."""
    _stretch_checks(name, key, chains, rounds)
    cdef int way = _stretch_best if level is None else level
    if not 0 <= way <= _stretch_best:
        raise ValueError(f"level {way}; there are {_stretch_best + 1}")
    size, block = STRETCH_HASHES[name]
    cdef int kind = _stretch_kinds[name]
    cdef int64_t count = chains.shape[0] // (2 * size), times = rounds
    cdef bytes padded = bytes(key).ljust(block, b"\0")
    cdef const unsigned char[::1] pad = padded
    if count:
        with nogil:
            stretch_run(kind, &pad[0], &chains[0], count, times, way)
