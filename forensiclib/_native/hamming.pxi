# Distances between hashes. Twin: _plain/hamming.py

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from forensiclib.core.errors import UsageError as _hamming_usage_error


cdef extern from "hamming.h":
    ctypedef struct hamming_pair:
        int64_t left, right
        int32_t distance
    int popcount_fast() nogil
    void hamming_each(const uint8_t* one, const uint8_t* many, int64_t count, int64_t width, uint16_t* out, int fast) nogil
    int64_t hamming_near(const uint8_t* left, int64_t lefts, const uint8_t* right, int64_t rights, int64_t width, int most,
                         hamming_pair* out, int64_t room, int64_t* found, int fast) nogil
    void hamming_squares(const uint8_t* one, const uint8_t* many, int64_t count, int64_t width, uint32_t* out) nogil


cdef int _hamming_fast = popcount_fast()


def hamming_distances(const unsigned char[::1] one not None, const unsigned char[::1] many not None):
    """Bits that differ, one against many. See the plain twin for the contract."""
    cdef int64_t width = one.shape[0], count
    if not 1 <= width <= 4096 or many.shape[0] % width:
        raise _hamming_usage_error(f"{many.shape[0]} bytes against a hash of {width}")
    count = many.shape[0] // width
    out = bytearray(2 * count)
    if count == 0:
        return out
    cdef unsigned char[::1] view = out
    with nogil:
        hamming_each(&one[0], &many[0], count, width, <uint16_t*> &view[0], _hamming_fast)
    return out


def hamming_pairs(const unsigned char[::1] left not None, const unsigned char[::1] right not None, int64_t width, int most, int64_t room):
    """Pairs that are near, many against many. See the plain twin for the contract."""
    cdef int64_t lefts, rights, done, found = 0, i
    cdef hamming_pair* pairs
    cdef int64_t[::1] a, b
    cdef unsigned char[::1] d
    cdef uint16_t* distance
    if not 1 <= width <= 4096 or left.shape[0] % width or right.shape[0] % width:
        raise _hamming_usage_error(f"{left.shape[0]} and {right.shape[0]} bytes of hashes of {width}")
    lefts, rights = left.shape[0] // width, right.shape[0] // width
    if most < 0 or room < max(rights, 1) or room > 1 << 28:
        raise _hamming_usage_error(f"distance {most}, room for {room} pairs and rows of {rights}")
    if lefts == 0 or rights == 0:
        return array("q"), array("q"), bytearray(), lefts
    pairs = <hamming_pair*> malloc(<size_t> min(room, lefts * rights) * sizeof(hamming_pair))
    if pairs == NULL:
        raise MemoryError("pairs")
    try:
        with nogil:
            done = hamming_near(&left[0], lefts, &right[0], rights, width, most, pairs, min(room, lefts * rights), &found, _hamming_fast)
        one, two, three = array("q", bytes(8 * found)), array("q", bytes(8 * found)), bytearray(2 * found)
        if found:
            a, b, d = one, two, three
            distance = <uint16_t*> &d[0]
            for i in range(found):
                a[i] = pairs[i].left
                b[i] = pairs[i].right
                distance[i] = <uint16_t> pairs[i].distance
        return one, two, three, done
    finally:
        free(pairs)


def square_distances(const unsigned char[::1] one not None, const unsigned char[::1] many not None):
    """Squares of Euclidean distances, one against many. See the plain twin for the contract."""
    cdef int64_t width = one.shape[0], count
    if not 1 <= width <= 4096 or many.shape[0] % width:
        raise _hamming_usage_error(f"{many.shape[0]} bytes against a hash of {width}")
    count = many.shape[0] // width
    out = bytearray(4 * count)
    if count == 0:
        return out
    cdef unsigned char[::1] view = out
    with nogil:
        hamming_squares(&one[0], &many[0], count, width, <uint32_t*> &view[0])
    return out
