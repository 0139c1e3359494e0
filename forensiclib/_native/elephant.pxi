# The diffuser of BitLocker. Twin: _plain/elephant.py

from libc.stdint cimport int64_t, uint8_t


cdef extern from "elephant.h":
    void elephant_run(uint8_t* data, int64_t size, int64_t unit, const uint8_t* keys) nogil


def elephant_decrypt(unsigned char[::1] data not None, unit, const unsigned char[::1] keys not None):
    """Undo the diffuser and the sector keys in place. See the plain twin for the contract."""
    cdef int64_t size = data.shape[0], grain = unit
    if grain < 32 or grain % 32 or grain > 4096 or size % grain or keys.shape[0] != size // grain * 32:
        raise ValueError(f"{size} bytes in sectors of {unit}, keys of {keys.shape[0]}")
    if size:
        with nogil:
            elephant_run(&data[0], size, grain, &keys[0])
