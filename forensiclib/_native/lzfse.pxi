# LZFSE (Apple). Twin: _plain/lzfse.py

from libc.stdint cimport int64_t as lzfse_i64, uint32_t as lzfse_word
from libc.stdlib cimport free as lzfse_free, malloc as lzfse_malloc
from libc.string cimport memcpy as lzfse_memcpy


cdef extern from "lzfse.h" nogil:
    ctypedef struct lzfse_work:
        pass
    ctypedef struct lzfse_head:
        lzfse_i64 raw
        lzfse_i64 literal_bytes
        lzfse_i64 match_bytes
    lzfse_word lzfse_u32(const unsigned char* p)
    lzfse_i64 lzfse_header(lzfse_work* work, lzfse_head* head, const unsigned char* p, lzfse_i64 have)
    lzfse_i64 lzfse_block(lzfse_work* work, const lzfse_head* head, const unsigned char* start, unsigned char* out, lzfse_i64 made, lzfse_i64 room)


cdef Py_ssize_t _lzfse(lzfse_work* work, const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t at = 0, made = 0, left, inner = -1, part
    cdef lzfse_i64 raw, size, body, now
    cdef unsigned char kind
    cdef lzfse_head head
    while made < room:
        bad[0] = at
        left = have - at
        if left < 8 or src[at] != 0x62 or src[at + 1] != 0x76 or src[at + 2] != 0x78:
            return made
        kind = src[at + 3]
        raw = lzfse_u32(src + at + 4)
        if kind == 0x2D:
            if raw > left - 8 or raw > room - made:
                return made
            lzfse_memcpy(out + made, src + at + 8, raw)
            made += raw
            at += 8 + raw
        elif kind == 0x6E:
            if left < 12:
                return made
            body = lzfse_u32(src + at + 8)
            if body > left - 12 or raw > room - made:
                return made
            part = _lzvn(src + at + 12, body, out + made, raw, &inner)
            if part != raw:
                return made
            made += raw
            at += 12 + body
        elif kind == 0x31 or kind == 0x32:
            size = lzfse_header(work, &head, src + at, left)
            if size == 0:
                return made
            now = lzfse_block(work, &head, src + at + size, out, made, room)
            if now < 0:
                return made
            made = now
            at += size + head.literal_bytes + head.match_bytes
        else:
            return made
    bad[0] = -1
    return made


def lzfse(const unsigned char[::1] data not None, Py_ssize_t size):
    """LZFSE of exactly ``size`` bytes. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = -1
    if size == 0:
        return b"", -1
    if have == 0:
        return b"", 0
    out = bytearray(size)
    cdef unsigned char[::1] view = out
    cdef lzfse_work* work = <lzfse_work*>lzfse_malloc(sizeof(lzfse_work))
    if work == NULL:
        raise MemoryError
    with nogil:
        made = _lzfse(work, &data[0], have, &view[0], size, &bad)
        lzfse_free(work)
    return bytes(memoryview(out)[:made]), bad
