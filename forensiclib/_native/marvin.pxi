# Marvin32. Twin: _plain/marvin.py

from libc.stdint cimport uint32_t, uint64_t


def marvin32(const unsigned char[::1] data not None, uint64_t seed):
    """Marvin32, 64 bits. See the plain twin for the contract."""
    cdef uint32_t low = <uint32_t> (seed & 0xFFFFFFFFU), high = <uint32_t> (seed >> 32), word
    cdef Py_ssize_t n = data.shape[0], i, left
    with nogil:
        for i in range((n >> 2) + 2):
            if i < n >> 2:
                word = data[4 * i] | (data[4 * i + 1] << 8) | (data[4 * i + 2] << 16) | (<uint32_t> data[4 * i + 3] << 24)
            elif i == n >> 2:
                word = <uint32_t> 0x80 << (8 * (n & 3))
                for left in range(n & 3):
                    word |= <uint32_t> data[4 * i + left] << (8 * left)
            else:
                word = 0
            low += word
            high ^= low
            low = ((low << 20) | (low >> 12)) + high
            high = (high << 9) | (high >> 23)
            high ^= low
            low = ((low << 27) | (low >> 5)) + high
            high = (high << 19) | (high >> 13)
    return (<uint64_t> high << 32) | low
