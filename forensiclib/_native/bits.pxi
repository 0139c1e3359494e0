# Arrow validity bitmaps.


def pack_bits(const unsigned char[::1] flags not None):
    """One byte a value (0 or not) -> Arrow bitmap, least significant bit first."""
    cdef Py_ssize_t n = flags.shape[0], i
    out = bytearray((n + 7) // 8)
    cdef unsigned char[::1] bits
    if n == 0:
        return out
    bits = out
    with nogil:
        for i in range(n):
            if flags[i]:
                bits[i >> 3] |= <unsigned char>(1 << (i & 7))
    return out
