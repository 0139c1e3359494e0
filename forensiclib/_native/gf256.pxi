# Sums in the field of 256 elements. Twin: _plain/gf256.py

from libc.stdint cimport int64_t, uint8_t

from forensiclib.core.errors import UsageError as _gf256_usage_error


cdef extern from "gf256.h":
    int gf256_best_level() nogil
    void gf256_sum_of(const uint8_t* const* pieces, const uint8_t* factors, int64_t count, uint8_t* out, int64_t n, int level) nogil


cdef int _gf256_best = gf256_best_level()


def gf256_sum(pieces, const unsigned char[::1] factors not None, unsigned char[::1] out not None):
    """See the plain twin for the contract."""
    _gf256(pieces, factors, out, _gf256_best)


def _gf256_level(pieces, const unsigned char[::1] factors not None, unsigned char[::1] out not None, int level):
    """The same by one instruction set, for the tests: 0 portable, 1 AVX2, 2 AVX-512. False when the machine lacks it."""
    if not 0 <= level <= _gf256_best:
        return False
    _gf256(pieces, factors, out, level)
    return True


cdef _gf256(pieces, const unsigned char[::1] factors, unsigned char[::1] out, int level):
    cdef const uint8_t* at[256]
    cdef const unsigned char[::1] view
    cdef int64_t count = len(pieces), n = out.shape[0], i
    if count != factors.shape[0] or count > 256:
        raise _gf256_usage_error(f"{count} pieces, {factors.shape[0]} factors")
    held = []
    for i in range(count):
        view = pieces[i]
        if view.shape[0] != n:
            raise _gf256_usage_error(f"a piece of {view.shape[0]} bytes for a sum of {n}")
        held.append(view)
        if n:
            at[i] = &view[0]
    if n == 0:
        return
    if count == 0:
        out[:] = 0
        return
    with nogil:
        gf256_sum_of(at, &factors[0], count, &out[0], n, level)
