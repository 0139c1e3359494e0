# LZVN (Apple). Twin: _plain/lzvn.py


cdef Py_ssize_t _lzvn(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t at = 0, made = 0, literals, length, back = 0, wide, k
    cdef unsigned int code, pair
    while made < room:
        bad[0] = at
        if at >= have:
            return made
        code = src[at]
        literals = code >> 6
        length = ((code >> 3) & 7) + 3
        wide = 1
        if code >= 0xF0:
            literals = 0
            if code == 0xF0:
                if have - at < 2:
                    return made
                length = src[at + 1] + 16
                wide = 2
            else:
                length = code & 15
        elif code >= 0xE0:
            length = 0
            if code == 0xE0:
                if have - at < 2:
                    return made
                literals = src[at + 1] + 16
                wide = 2
            else:
                literals = code & 15
        elif 0xA0 <= code < 0xC0:
            if have - at < 3:
                return made
            pair = src[at + 1] | (src[at + 2] << 8)
            literals = (code >> 3) & 3
            length = (((code & 7) << 2) | (pair & 3)) + 3
            back = pair >> 2
            wide = 3
        elif 0x70 <= code < 0x80 or 0xD0 <= code < 0xE0:
            return made
        elif code & 7 == 7:
            if have - at < 3:
                return made
            back = src[at + 1] | (src[at + 2] << 8)
            wide = 3
        elif code & 7 == 6:
            if code < 0x40:
                if code == 0x0E or code == 0x16:
                    at += 1
                    continue
                return made  # 0x06 ends the stream before the size is reached; the others are not defined
        else:
            if have - at < 2:
                return made
            back = ((code & 7) << 8) | src[at + 1]
            wide = 2
        if literals > have - at - wide or literals + length > room - made:
            return made
        if length and (back == 0 or back > made + literals):
            return made
        for k in range(literals):
            out[made + k] = src[at + wide + k]
        made += literals
        for k in range(length):
            out[made + k] = out[made + k - back]
        made += length
        at += wide + literals
    bad[0] = -1
    return made


def lzvn(const unsigned char[::1] data not None, Py_ssize_t size):
    """LZVN of exactly ``size`` bytes. See the plain twin for the contract."""
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
        made = _lzvn(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad
