# Apple Data Compression (UDIF images). Twin: _plain/adc.py


cdef Py_ssize_t _adc(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t at = 0, made = 0, length, back, wide, k
    cdef unsigned int code
    while made < room:
        bad[0] = at
        if at >= have:
            return made
        code = src[at]
        if code & 0x80:
            length = (code & 0x7F) + 1
            if length > have - at - 1 or length > room - made:
                return made
            for k in range(length):
                out[made + k] = src[at + 1 + k]
            made += length
            at += 1 + length
            continue
        wide = 3 if code & 0x40 else 2
        if wide > have - at:
            return made
        if code & 0x40:
            length = (code & 0x3F) + 4
            back = ((src[at + 1] << 8) | src[at + 2]) + 1
        else:
            length = (code >> 2) + 3
            back = (((code & 3) << 8) | src[at + 1]) + 1
        if back > made or length > room - made:
            return made
        for k in range(length):
            out[made + k] = out[made + k - back]
        made += length
        at += wide
    bad[0] = -1
    return made


def adc(const unsigned char[::1] data not None, Py_ssize_t size):
    """Apple Data Compression of exactly ``size`` bytes. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = -1
    if size == 0:
        return b"", -1
    if have == 0:
        return b"", 0
    out = bytearray(size)
    cdef unsigned char[::1] view = out
    with nogil:
        made = _adc(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad
