# Snappy blocks. Twin: _plain/snappy.py

cdef extern from "snappy.h" nogil:
    const Py_ssize_t SNAPPY_SLACK
    Py_ssize_t snappy_block(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad)


def snappy(const unsigned char[::1] data not None, Py_ssize_t size):
    """A Snappy block of at most ``size`` bytes. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = 0
    if have == 0:
        return b"", 0
    out = bytearray(size + SNAPPY_SLACK)
    cdef unsigned char[::1] view = out
    with nogil:
        made = snappy_block(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad
