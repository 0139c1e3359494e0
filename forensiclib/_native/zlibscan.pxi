# Where a zlib stream may begin. Twin: _plain/zlibscan.py

from libc.stdint cimport int64_t, uint8_t

from forensiclib.core.errors import UsageError as _zlib_usage_error


cdef extern from "zlibscan.h":
    int64_t zlib_scan(const uint8_t* data, int64_t size, int64_t start, int64_t stop, int64_t* found, int64_t room, int64_t* next) nogil


def zlib_starts(const unsigned char[::1] data not None, Py_ssize_t start=0, stop=None):
    """Offsets in [start, stop) where a zlib stream may begin. See the plain twin for the contract."""
    cdef Py_ssize_t size = data.shape[0], last = size if stop is None else stop
    cdef int64_t found[256]
    cdef int64_t count, at = start, following = 0, i
    if not 0 <= start <= last <= size:
        raise _zlib_usage_error(f"range {start} to {last} of {size} bytes")
    out = []
    if size == 0:
        return out
    while at >= 0:
        with nogil:
            count = zlib_scan(&data[0], size, at, last, found, 256, &following)
        for i in range(count):
            out.append(found[i])
        at = following
    return out
