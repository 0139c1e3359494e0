# Signature scan. Twin: _plain/scan.py; tables: _plain/scan_tables.py

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from forensiclib.core.errors import UsageError as _scan_usage_error


cdef extern from "scan.h":
    ctypedef struct scan_hit:
        int64_t at
        uint32_t pattern
    ctypedef struct scan_state:
        const uint8_t* data
        int64_t size, start, stop, base, max_hits, count
        scan_hit* hits
    ctypedef struct scan_make:
        const uint8_t* pool
        const uint32_t *place
        const uint32_t *length
        const uint32_t *align
        const uint32_t *phase
        uint32_t patterns, pooled
        uint8_t* blob
        int64_t size
    int scan_open(scan_state* s, const uint8_t* blob, int64_t size) nogil
    int64_t scan_run(scan_state* s, int level) nogil
    int scan_build(scan_make* m) nogil
    int scan_best_level() nogil


cdef int _scan_best = scan_best_level()

SCAN_LEVELS = ("scalar", "avx2", "avx512vbmi")[: _scan_best + 1]


def scan_compile(patterns):
    """Signatures -> the tables that ``scan`` takes, as bytes. See the plain twin for the contract."""
    cdef scan_make make
    cdef Py_ssize_t count = len(patterns), i, n, at = 0, j
    cdef int answer
    cdef uint32_t* columns
    cdef const uint8_t *want
    cdef const uint8_t *bits
    cdef uint8_t* out
    if count > 0xFFFF:
        raise _scan_usage_error(f"{count} signatures; 65535 are possible")
    pooled = 0
    checked = []
    for pattern, mask, align, phase in patterns:
        n = len(pattern)
        if not n or (mask is not None and len(mask) != n) or n > 4096:
            raise _scan_usage_error("a signature has 1 to 4096 bytes and a mask as long as itself")
        if not 1 <= align <= 0xFFFFFFFF or not 0 <= phase < align:
            raise _scan_usage_error(f"align {align}, phase {phase}")
        checked.append((bytes(pattern), None if mask is None else bytes(mask), align, phase))
        pooled += 2 * n
    pool = PyBytes_FromStringAndSize(NULL, pooled)
    out = <uint8_t*>PyBytes_AS_STRING(pool)
    columns = <uint32_t*>malloc(16 * count + 16)
    if columns == NULL:
        raise MemoryError("signature tables")
    memset(&make, 0, sizeof(make))
    try:
        for i in range(count):
            pattern, mask, align, phase = checked[i]
            n = len(pattern)
            want = <const uint8_t*>PyBytes_AS_STRING(pattern)
            columns[i], columns[count + i], columns[2 * count + i], columns[3 * count + i] = at, n, align, phase
            if mask is None:
                for j in range(n):
                    out[at + j] = want[j]
                    out[at + n + j] = 0xFF
            else:
                bits = <const uint8_t*>PyBytes_AS_STRING(mask)
                for j in range(n):
                    out[at + j] = want[j] & bits[j]
                    out[at + n + j] = bits[j]
            at += 2 * n
        make.pool = out
        make.place, make.length, make.align, make.phase = columns, columns + count, columns + 2 * count, columns + 3 * count
        make.patterns, make.pooled = count, pooled
        with nogil:
            answer = scan_build(&make)
        if answer == -1:
            raise MemoryError("signature tables")
        if answer == -2:
            raise _scan_usage_error("the tables of these signatures pass 4 GiB")
        if answer == -3:
            raise _scan_usage_error("a signature needs at least one byte that is not masked out")
        return PyBytes_FromStringAndSize(<const char*>make.blob, make.size)
    finally:
        free(columns)
        free(make.blob)


cdef int64_t _scan_into(
    scan_state* state, const unsigned char[::1] tables, const unsigned char[::1] data, Py_ssize_t start, stop, int64_t base, Py_ssize_t max_hits, level
) except -2:
    """Checks everything, runs, and leaves the hits in the state; the caller frees them."""
    cdef Py_ssize_t size = data.shape[0]
    cdef Py_ssize_t last = size if stop is None else stop
    cdef int way = _scan_best if level is None else level
    cdef int64_t following
    state.hits = NULL
    if tables.shape[0] == 0 or scan_open(state, &tables[0], tables.shape[0]) != 0:
        raise _scan_usage_error("not scan tables")
    if not 0 <= start <= last <= size or max_hits < 1 or not 0 <= base < 1 << 62:
        raise _scan_usage_error(f"range {start} to {last} of {size} bytes, base {base}, {max_hits} hits")
    if not 0 <= way <= _scan_best:
        raise _scan_usage_error(f"level {way}; there are {_scan_best + 1}")
    if size == 0:
        return last
    state.data = &data[0]
    state.size, state.start, state.stop = size, start, last
    state.base, state.max_hits = base, max_hits
    with nogil:
        following = scan_run(state, way)
    if following < 0:
        free(state.hits)
        state.hits = NULL
        raise MemoryError("signature hits")
    return following


def scan(
    const unsigned char[::1] tables not None,
    const unsigned char[::1] data not None,
    Py_ssize_t start=0,
    stop=None,
    int64_t base=0,
    Py_ssize_t max_hits=1 << 16,
    level=None,
):
    """Every place in [start, stop) where a signature begins and wholly fits. See the plain twin for the contract."""
    cdef scan_state state
    cdef int64_t i, following = _scan_into(&state, tables, data, start, stop, base, max_hits, level)
    try:
        return [(state.hits[i].at, state.hits[i].pattern) for i in range(state.count)], following
    finally:
        free(state.hits)


def scan_columns(
    const unsigned char[::1] tables not None,
    const unsigned char[::1] data not None,
    Py_ssize_t start=0,
    stop=None,
    int64_t base=0,
    Py_ssize_t max_hits=1 << 16,
    level=None,
):
    """``scan`` with its hits as two buffers. See the plain twin for the contract."""
    cdef scan_state state
    cdef int64_t i, following = _scan_into(&state, tables, data, start, stop, base, max_hits, level)
    cdef int64_t* offset
    cdef uint32_t* number
    try:
        offsets = PyBytes_FromStringAndSize(NULL, 8 * state.count)
        numbers = PyBytes_FromStringAndSize(NULL, 4 * state.count)
        offset = <int64_t*>PyBytes_AS_STRING(offsets)
        number = <uint32_t*>PyBytes_AS_STRING(numbers)
        for i in range(state.count):
            offset[i] = state.hits[i].at
            number[i] = state.hits[i].pattern
        return offsets, numbers, following
    finally:
        free(state.hits)
