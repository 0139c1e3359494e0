# Sets of digests. Twin: _plain/blockset.py

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from forensiclib.core.errors import UsageError as _set_usage_error


cdef extern from "blockset.h":
    int64_t bs_sort(const uint8_t* rows, size_t n, size_t width, uint8_t* out) nogil
    void bs_index(const uint8_t* rows, size_t n, size_t width, int bits, uint32_t* index) nogil
    void bs_find(const uint8_t* rows, size_t n, size_t width, int bits, const uint32_t* index, const uint8_t* queries, size_t asked,
                 int32_t* found) nogil


cdef Py_ssize_t _bs_rows(Py_ssize_t size, Py_ssize_t width) except -1:
    if not 8 <= width <= 64 or size % width or size // width > 0x7FFFFFFF:
        raise _set_usage_error(f"{size} bytes are no rows of {width} (8 to 64 bytes, fewer than 2^31)")
    return size // width


cdef int _bs_bits(Py_ssize_t rows):
    cdef int bits = 8
    while bits < 24 and rows >> bits > 2:
        bits += 1
    return bits


def digest_sort(const unsigned char[::1] rows not None, Py_ssize_t width):
    """The rows in order, each once. See the plain twin for the contract."""
    cdef Py_ssize_t n = _bs_rows(rows.shape[0], width)
    cdef int64_t kept = 0
    cdef uint8_t* out
    made = bytearray(n * width)
    if n:
        out = <uint8_t*> <char*> made
        with nogil:
            kept = bs_sort(&rows[0], n, width, out)
        if kept < 0:
            raise MemoryError("shares of digests")
    del made[kept * width :]
    return made


def digest_index(const unsigned char[::1] rows not None, Py_ssize_t width):
    """What digest_find needs beside the sorted rows. See the plain twin for the contract."""
    cdef Py_ssize_t n = _bs_rows(rows.shape[0], width)
    cdef int bits = _bs_bits(n)
    cdef uint8_t* out
    made = bytearray(4 * ((1 << bits) + 1))
    out = <uint8_t*> <char*> made
    with nogil:
        bs_index(&rows[0] if n else NULL, n, width, bits, <uint32_t*> out)
    return made


def digest_find(const unsigned char[::1] rows not None, const unsigned char[::1] index not None, Py_ssize_t width, const unsigned char[::1] queries not None):
    """The row number of every query, -1 where there is none. See the plain twin for the contract."""
    cdef Py_ssize_t n = _bs_rows(rows.shape[0], width), asked = _bs_rows(queries.shape[0], width)
    cdef int bits = _bs_bits(n)
    cdef uint8_t* out
    if index.shape[0] != 4 * ((1 << bits) + 1):
        raise _set_usage_error("not the index of these rows")
    made = bytearray(4 * asked)
    if asked:
        out = <uint8_t*> <char*> made
        with nogil:
            bs_find(&rows[0] if n else NULL, n, width, bits, <const uint32_t*> &index[0], &queries[0], asked, <int32_t*> out)
    return made
