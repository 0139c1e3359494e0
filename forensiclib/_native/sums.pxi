# Digests with a state that can be saved. Twin: _plain/sums.py; engines: sums_*.h

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from forensiclib._plain.sums import SUM_KINDS
from forensiclib.core.errors import UsageError as _sums_usage_error


cdef extern from "sums_engine.h":
    int sums_best_level() nogil
    int sums_has_sha() nogil
    void crc32_prepare() nogil
    size_t sum_state_size(int kind) nogil
    void _sum_begin "sum_begin"(int kind, uint8_t* state) nogil
    void _sum_finish "sum_finish"(int kind, const uint8_t* state, uint8_t* digest) nogil
    void sums_update(int n, const int* kinds, uint8_t** states, const uint8_t* data, size_t size, int level, int sha) nogil


cdef int _sums_best = sums_best_level()
cdef int _sums_sha = sums_has_sha()
crc32_prepare()

SUM_LEVELS = ("scalar", "sse", "avx2", "avx512")[: _sums_best + 1]
SUM_SHA = bool(_sums_sha)

cdef dict _sum_number = {name: number for number, name in enumerate(SUM_KINDS)}
cdef enum:
    SUMS_MOST = 32


cdef int _sum_kind(name) except -1:
    number = _sum_number.get(name)
    if number is None:
        raise _sums_usage_error(f"no digest {name!r}; there are {', '.join(SUM_KINDS)}")
    return number


cdef int _sum_fits(int kind, const unsigned char[::1] state) except -1:
    if <size_t> state.shape[0] != sum_state_size(kind):
        raise _sums_usage_error(f"a state of {SUM_KINDS[kind]} has {sum_state_size(kind)} bytes, not {state.shape[0]}")
    return 0


def sum_begin(name):
    """The state of a digest that has seen nothing. See the plain twin for the contract."""
    cdef int kind = _sum_kind(name)
    cdef bytearray state = bytearray(sum_state_size(kind))
    cdef unsigned char[::1] view = state
    _sum_begin(kind, &view[0])
    return state


def sum_update(names, states, const unsigned char[::1] data not None, level=None):
    """Take ``data`` into every state, in place. See the plain twin for the contract."""
    cdef int kinds[SUMS_MOST]
    cdef uint8_t* places[SUMS_MOST]
    cdef unsigned char[::1] view
    cdef int n = len(names), i, way = _sums_best if level is None else level
    cdef size_t size = data.shape[0]
    if n != len(states) or n > SUMS_MOST:
        raise _sums_usage_error(f"{n} digests, {len(states)} states; at most {SUMS_MOST} at once")
    if not 0 <= way <= _sums_best:
        raise _sums_usage_error(f"level {way}; there are {_sums_best + 1}")
    held = []
    for i in range(n):
        kinds[i] = _sum_kind(names[i])
        view = states[i]
        _sum_fits(kinds[i], view)
        places[i] = &view[0]
        held.append(view)  # no state may be resized or freed below
    if size == 0:
        return
    with nogil:
        sums_update(n, kinds, places, &data[0], size, way, _sums_sha and way == _sums_best)


def sum_finish(name, const unsigned char[::1] state not None):
    """The digest of what a state has seen. See the plain twin for the contract."""
    cdef int kind = _sum_kind(name)
    cdef uint8_t out[64]
    _sum_fits(kind, state)
    _sum_finish(kind, &state[0], out)
    return bytes(out[: {0: 16, 1: 20, 2: 28, 3: 32, 4: 48, 5: 64, 6: 28, 7: 32, 8: 48, 9: 64, 10: 64, 11: 32, 12: 4}[kind]])
