# RTIME (JFFS2). Twin: _plain/rtime.py


cdef Py_ssize_t _rtime(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t last[256]
    cdef Py_ssize_t at = 0, made = 0, source, repeat, k
    cdef unsigned char value
    for k in range(256):
        last[k] = 0
    while made < room:
        bad[0] = at
        if have - at < 2:
            return made
        value = src[at]
        repeat = src[at + 1]
        if repeat > room - made - 1:
            return made
        out[made] = value
        made += 1
        source = last[value]
        last[value] = made
        for k in range(repeat):
            out[made + k] = out[source + k]  # may run into what it writes
        made += repeat
        at += 2
    bad[0] = -1
    return made


def rtime(const unsigned char[::1] data not None, Py_ssize_t size):
    """RTIME of exactly ``size`` bytes. See the plain twin for the contract."""
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
        made = _rtime(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad
