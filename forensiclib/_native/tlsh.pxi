# TLSH. Twin: _plain/tlsh.py

from libc.stdint cimport int64_t, uint8_t, uint16_t

from forensiclib._plain.tlsh import PEARSON as _tlsh_pearson
from forensiclib._plain.tlsh import tlsh_digest, tlsh_state
from forensiclib.core.errors import UsageError as _tlsh_usage_error


cdef extern from "tlsh.h":
    enum:
        TLSH_STATE
        TLSH_DIGEST
    int popcount_fast() nogil
    void tlsh_run(uint8_t* state, const uint8_t* data, int64_t size, const uint8_t* pearson, int level) nogil
    int tlsh_best_level() nogil
    void tlsh_compare(const uint8_t* one, const uint8_t* many, int64_t count, int length, uint16_t* out, int fast) nogil


cdef int _popcount = popcount_fast()
cdef int _tlsh_best = tlsh_best_level()

TLSH_LEVELS = ("scalar", "avx512vbmi")[: _tlsh_best + 1]


def tlsh_update(unsigned char[::1] state not None, const unsigned char[::1] data not None, level=None):
    """The bytes of ``data`` into ``state``. See the plain twin for the contract."""
    cdef int64_t size = data.shape[0]
    cdef const unsigned char[::1] pearson = _tlsh_pearson
    cdef int way = _tlsh_best if level is None else level
    if not 0 <= way <= _tlsh_best:
        raise _tlsh_usage_error(f"level {way}; there are {_tlsh_best + 1}")
    if state.shape[0] != TLSH_STATE:
        raise _tlsh_usage_error("not a state of tlsh_state()")
    if size:
        with nogil:
            tlsh_run(&state[0], &data[0], size, &pearson[0], way)


def tlsh_distances(const unsigned char[::1] one not None, const unsigned char[::1] many not None, bint length=True):
    """The distance of one digest from each of many. See the plain twin for the contract."""
    cdef int64_t count = many.shape[0] // TLSH_DIGEST
    if one.shape[0] != TLSH_DIGEST or many.shape[0] % TLSH_DIGEST:
        raise _tlsh_usage_error(f"digests of {one.shape[0]} and {many.shape[0]} bytes; one has {TLSH_DIGEST}")
    out = bytearray(2 * count)
    if count == 0:
        return out
    cdef unsigned char[::1] view = out
    with nogil:
        tlsh_compare(&one[0], &many[0], count, length, <uint16_t*> &view[0], _popcount)
    return out
