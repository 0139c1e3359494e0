# Runs of clear bits. Twin: _plain/bitmap.py

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy as _bm_memcpy


def clear_runs(const unsigned char[::1] bitmap not None, Py_ssize_t count):
    """Runs of clear bits among the first ``count`` bits: see the plain twin."""
    if count < 0:
        raise ValueError("negative count")
    cdef Py_ssize_t n = min(count, bitmap.shape[0] * 8), bit = 0, start = -1, runs = 0, room = 1024
    cdef uint64_t word = 0
    cdef int64_t[::1] view
    cdef const unsigned char* raw = NULL
    if n == 0:
        return b""
    raw = &bitmap[0]
    out = bytearray(room * 16)
    view = memoryview(out).cast("q")
    while bit < n:
        with nogil:
            while bit < n and runs < room:
                if (bit & 63) == 0 and bit + 64 <= n:
                    _bm_memcpy(&word, raw + (bit >> 3), 8)
                    if word == 0 or word == <uint64_t>0xFFFFFFFFFFFFFFFF:
                        if word == 0 and start < 0:
                            start = bit
                        elif word and start >= 0:
                            view[2 * runs] = start
                            view[2 * runs + 1] = bit - start
                            runs += 1
                            start = -1
                        bit += 64
                        continue
                if not ((raw[bit >> 3] >> (bit & 7)) & 1):
                    if start < 0:
                        start = bit
                elif start >= 0:
                    view[2 * runs] = start
                    view[2 * runs + 1] = bit - start
                    runs += 1
                    start = -1
                bit += 1
        if runs == room:
            bigger = bytearray(room * 32)
            bigger[: room * 16] = out
            out, room = bigger, room * 2
            view = memoryview(out).cast("q")
    if start >= 0:
        view[2 * runs] = start
        view[2 * runs + 1] = n - start
        runs += 1
    return bytes(memoryview(out)[: runs * 16])
