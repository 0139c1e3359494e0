# Content-defined chunking by a gear hash. Twin: _plain/gear.py

from libc.stdint cimport int64_t, uint8_t, uint64_t

from forensiclib.core.errors import UsageError as _gear_usage_error


cdef extern from *:
    """
    #ifndef FORENSICLIB_GEAR_H
    #define FORENSICLIB_GEAR_H
    #include <stdint.h>
    /* The first end in [at, stop), or stop. The sum goes to *sum. */
    static int64_t gear_left(const uint8_t *p, int64_t at, int64_t stop, const uint64_t *gear, uint64_t mask, uint64_t *sum) {
        uint64_t h = *sum;
        for (; at + 4 <= stop; at += 4) {
            uint64_t a = (h << 1) + gear[p[at]], b = (a << 1) + gear[p[at + 1]], c = (b << 1) + gear[p[at + 2]];
            h = (c << 1) + gear[p[at + 3]];
            if (!(a & mask)) { *sum = a; return at; }
            if (!(b & mask)) { *sum = b; return at + 1; }
            if (!(c & mask)) { *sum = c; return at + 2; }
            if (!(h & mask)) { *sum = h; return at + 3; }
        }
        for (; at < stop; at++) {
            h = (h << 1) + gear[p[at]];
            if (!(h & mask)) break;
        }
        *sum = h;
        return at;
    }
    static int64_t gear_right(const uint8_t *p, int64_t at, int64_t stop, const uint64_t *gear, uint64_t mask, uint64_t *sum) {
        uint64_t h = *sum;
        for (; at < stop; at++) {
            h = (h >> 1) + gear[p[at]];
            if (!(h & mask)) break;
        }
        *sum = h;
        return at;
    }
    #endif
    """
    int64_t gear_left(const uint8_t* p, int64_t at, int64_t stop, const uint64_t* gear, uint64_t mask, uint64_t* sum) nogil
    int64_t gear_right(const uint8_t* p, int64_t at, int64_t stop, const uint64_t* gear, uint64_t mask, uint64_t* sum) nogil


def gear_cuts(
    const unsigned char[::1] data not None,
    const uint64_t[::1] gear not None,
    int64_t minimum,
    int64_t centre,
    int64_t maximum,
    uint64_t strict,
    uint64_t loose,
    bint right=False,
    int64_t taken=0,
    uint64_t rolled=0,
):
    """Where the chunks end. See the plain twin for the contract."""
    cdef int64_t size = data.shape[0], at = 0, stop, end, room = 0
    cdef const uint8_t* p
    cdef int64_t[::1] ends
    cdef uint64_t total = rolled
    if gear.shape[0] != 256 or not 1 <= minimum <= centre <= maximum or not 0 <= taken < maximum:
        raise _gear_usage_error(f"{gear.shape[0]} numbers, sizes {minimum}, {centre}, {maximum}, {taken} bytes taken")
    if size == 0:
        return array("q"), taken, rolled
    # One end for each least size, and one more for the chunk that was begun before.
    found = array("q", bytes(8 * (size // minimum + 2)))
    ends = found
    p = &data[0]
    with nogil:
        while at < size:
            if taken < minimum:             # never an end, and no part of the sum
                stop = min(size - at, minimum - taken)
                at += stop
                taken += stop
                total = 0
                if at == size and taken < maximum:
                    break
            if taken < centre:
                stop = at + min(size - at, centre - taken)
                end = gear_right(p, at, stop, &gear[0], strict, &total) if right else gear_left(p, at, stop, &gear[0], strict, &total)
                taken += end - at
                at = end
                if end < stop:
                    taken += 1
                    at += 1
                    ends[room] = at
                    room += 1
                    taken = 0
                    total = 0
                    continue
                if at == size and taken < maximum:
                    break
            if taken < maximum:
                stop = at + min(size - at, maximum - taken)
                end = gear_right(p, at, stop, &gear[0], loose, &total) if right else gear_left(p, at, stop, &gear[0], loose, &total)
                taken += end - at
                at = end
                if end < stop:
                    taken += 1
                    at += 1
                elif taken < maximum:
                    break                   # the data ends inside the chunk
            ends[room] = at
            room += 1
            taken = 0
            total = 0
    ends = None  # an array that lends its buffer keeps its size
    del found[room:]
    return found, taken, total
