# LZO1X. Twin: _plain/lzo.py


cdef inline Py_ssize_t _lzo_long(const unsigned char* src, Py_ssize_t have, Py_ssize_t* at, Py_ssize_t base) noexcept nogil:
    # base + 255 for every zero + the first byte that is none; -1 past the end.
    while at[0] < have:
        at[0] += 1
        if src[at[0] - 1]:
            return base + src[at[0] - 1]
        base += 255
    return -1


cdef Py_ssize_t _lzo1x(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t at = 0, made = 0, start, literals, length, back, k
    cdef unsigned int code, pair
    cdef int state = 0
    if have and src[0] > 17:
        literals = src[0] - 17
        bad[0] = 0
        if literals > have - 1 or literals > room:
            return 0
        for k in range(literals):
            out[k] = src[1 + k]
        made = literals
        at = 1 + literals
        state = <int>literals if literals < 4 else 4
    while True:
        start = at
        bad[0] = start
        if at >= have:
            return made
        code = src[at]
        at += 1
        if code < 16 and state == 0:
            literals = code + 3 if code else _lzo_long(src, have, &at, 18)
            if literals < 0 or literals > have - at or literals > room - made:
                return made
            for k in range(literals):
                out[made + k] = src[at + k]
            made += literals
            at += literals
            state = 4
            continue
        if code < 16 or code >= 64:
            if at >= have:
                return made
            back = (<Py_ssize_t>src[at] << 2) + ((code >> 2) & 3)
            at += 1
            literals = code & 3
            if code >= 64:
                back = (<Py_ssize_t>src[at - 1] << 3) + ((code >> 2) & 7) + 1
                length = (code >> 5) + 1
            elif state == 4:
                back += 2049
                length = 3
            else:
                back += 1
                length = 2
        else:
            if code >= 32:
                length = (code & 31) + 2 if code & 31 else _lzo_long(src, have, &at, 33)
            else:
                length = (code & 7) + 2 if code & 7 else _lzo_long(src, have, &at, 9)
            if length < 0 or have - at < 2:
                return made
            pair = src[at] | (src[at + 1] << 8)
            at += 2
            literals = pair & 3
            if code >= 32:
                back = (pair >> 2) + 1
            else:
                back = 16384 + (<Py_ssize_t>(code & 8) << 11) + (pair >> 2)
                if back == 16384:
                    bad[0] = -1 if made == room else start
                    return made
        if back > made or length > room - made or literals > room - made - length or literals > have - at:
            return made
        for k in range(length):
            out[made + k] = out[made + k - back]
        made += length
        for k in range(literals):
            out[made + k] = src[at + k]
        made += literals
        at += literals
        state = <int>literals


def lzo1x(const unsigned char[::1] data not None, Py_ssize_t size):
    """LZO1X of at most ``size`` bytes. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = -1
    if have == 0:
        return b"", 0
    out = bytearray(size + 1)
    cdef unsigned char[::1] view = out
    with nogil:
        made = _lzo1x(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad
