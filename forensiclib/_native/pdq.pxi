# Hashes of pictures. Twin: _plain/pdq.py

from libc.stdint cimport int64_t, uint8_t, uint64_t

from forensiclib._plain.pdq import COSINES as _pdq_cosines, PHASH_COSINES as _phash_cosines
from forensiclib.core.errors import UsageError as _pdq_usage_error


cdef extern from "pdq.h":
    int pdq_run(const uint8_t* pixels, int64_t rows, int64_t columns, int channels, const float* cosines, uint8_t* hash, int* quality) nogil
    uint64_t pdq_phash(const uint8_t* pixels, const double* cosines) nogil


def pdq_hash(const unsigned char[::1] pixels not None, int64_t rows, int64_t columns, int channels=3):
    """PDQ of a picture. See the plain twin for the contract."""
    cdef const float[::1] cosines = _pdq_cosines
    cdef uint8_t out[32]
    cdef int quality = 0, failed
    if channels not in (1, 3) or not 1 <= rows <= 1 << 30 or not 1 <= columns <= 1 << 30 or pixels.shape[0] != rows * columns * channels:
        raise _pdq_usage_error(f"{pixels.shape[0]} bytes for {rows} x {columns} pixels of {channels}")
    if rows < 5 or columns < 5:
        return bytes(32), 0
    with nogil:
        failed = pdq_run(&pixels[0], rows, columns, channels, &cosines[0], out, &quality)
    if failed:
        raise MemoryError("picture")
    return (<char*> out)[:32], quality


def picture_dct(const unsigned char[::1] pixels not None):
    """The 64 bits of a 32 x 32 picture. See the plain twin for the contract."""
    cdef const double[::1] cosines = _phash_cosines
    cdef uint64_t made
    if pixels.shape[0] != 1024:
        raise _pdq_usage_error(f"{pixels.shape[0]} bytes; 32 x 32 are 1024")
    with nogil:
        made = pdq_phash(&pixels[0], &cosines[0])
    return int(made).to_bytes(8, "big")
