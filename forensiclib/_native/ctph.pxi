# Context triggered piecewise hashing (ssdeep). Twin: _plain/ctph.py

from libc.stdint cimport int64_t, uint8_t

from forensiclib._plain.ctph import ctph_digest, ctph_record, ctph_state
from forensiclib.core.errors import UsageError as _ctph_usage_error


cdef extern from "ctph.h":
    enum:
        CTPH_SIZE
        CTPH_RECORD
    int ctph_check(const uint8_t* state) nogil
    void ctph_run(uint8_t* state, const uint8_t* data, int64_t size, int way) nogil
    int ctph_records_ok(const uint8_t* records, int64_t count) nogil
    void ctph_compare(const uint8_t* one, const uint8_t* many, int64_t count, uint8_t* scores) nogil
    int ctph_best_level() nogil


cdef int _ctph_best = ctph_best_level()

CTPH_LEVELS = ("scalar", "avx2", "avx512vbmi")[: _ctph_best + 1]


def ctph_update(unsigned char[::1] state not None, const unsigned char[::1] data not None, level=None):
    """The bytes of ``data`` into ``state``. See the plain twin for the contract."""
    cdef int64_t size = data.shape[0]
    cdef int way = _ctph_best if level is None else level
    if not 0 <= way <= _ctph_best:
        raise _ctph_usage_error(f"level {way}; there are {_ctph_best + 1}")
    if state.shape[0] != CTPH_SIZE or ctph_check(&state[0]) != 0:
        raise _ctph_usage_error("not a state of ctph_state()")
    if size:
        with nogil:
            ctph_run(&state[0], &data[0], size, way)


def ctph_scores(const unsigned char[::1] one not None, const unsigned char[::1] many not None):
    """The score of one digest against each of many. See the plain twin for the contract."""
    cdef int64_t count = many.shape[0] // CTPH_RECORD
    cdef int sound
    if one.shape[0] != CTPH_RECORD or many.shape[0] % CTPH_RECORD:
        raise _ctph_usage_error(f"records of {one.shape[0]} and {many.shape[0]} bytes; one has {CTPH_RECORD}")
    out = bytearray(count)
    if count == 0:
        return out
    cdef unsigned char[::1] scores = out
    with nogil:
        sound = ctph_records_ok(&one[0], 1) and ctph_records_ok(&many[0], count)
        if sound:
            ctph_compare(&one[0], &many[0], count, &scores[0])
    if not sound:
        raise _ctph_usage_error("not records of ctph_record()")
    return out
