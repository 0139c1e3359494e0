# Signature scan. Twin: _plain/scan.py; tables: _plain/scan_tables.py

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free

from forensiclib._plain.scan_tables import scan_compile
from forensiclib.core.errors import UsageError as _scan_usage_error


cdef extern from "scan.h":
    ctypedef struct scan_hit:
        int64_t at
        uint32_t pattern
    ctypedef struct scan_state:
        const uint8_t* data
        int64_t size, start, stop, base, max_hits, count
        scan_hit* hits
    int scan_open(scan_state* s, const uint8_t* blob, int64_t size) nogil
    int64_t scan_run(scan_state* s, int level) nogil
    int scan_best_level() nogil


cdef int _scan_best = scan_best_level()

SCAN_LEVELS = ("scalar", "ssse3", "avx2", "avx512vbmi")[: _scan_best + 1]


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
    cdef Py_ssize_t size = data.shape[0]
    cdef int64_t i, following
    cdef Py_ssize_t last = size if stop is None else stop
    cdef int way = _scan_best if level is None else level
    if tables.shape[0] == 0 or scan_open(&state, &tables[0], tables.shape[0]) != 0:
        raise _scan_usage_error("not scan tables")
    if not 0 <= start <= last <= size or max_hits < 1 or base < 0:
        raise _scan_usage_error(f"range {start} to {last} of {size} bytes, base {base}, {max_hits} hits")
    if not 0 <= way <= _scan_best:
        raise _scan_usage_error(f"level {way}; there are {_scan_best + 1}")
    if size == 0:
        return [], last
    state.data = &data[0]
    state.size, state.start, state.stop = size, start, last
    state.base, state.max_hits = base, max_hits
    with nogil:
        following = scan_run(&state, way)
    try:
        if following < 0:
            raise MemoryError("signature hits")
        return [(state.hits[i].at, state.hits[i].pattern) for i in range(state.count)], following
    finally:
        free(state.hits)
