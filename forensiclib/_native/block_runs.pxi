# Blocks that are mapped elsewhere, as runs. Twin: _plain/block_runs.py

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free as _br_free, malloc as _br_malloc, qsort as _br_qsort


cdef struct _BrItem:
    uint64_t start
    uint64_t order


cdef int _br_compare(const void* a, const void* b) noexcept nogil:
    cdef const _BrItem* x = <const _BrItem*>a
    cdef const _BrItem* y = <const _BrItem*>b
    if x.start != y.start:
        return -1 if x.start < y.start else 1
    return -1 if x.order < y.order else 1 if x.order > y.order else 0


cdef int64_t _br_join(const uint64_t* starts, const uint64_t* targets, const _BrItem* items, int64_t n, uint64_t unit,
                      uint64_t* low, uint64_t* high, uint64_t* place) noexcept nogil:
    # items: by start, then by order; NULL when the starts ascend already.
    cdef int64_t i, count = -1
    cdef uint64_t start, target, last = 0
    for i in range(n):
        if items == NULL:
            start, target = starts[i], targets[i]
        else:
            start = items[i].start
            if i + 1 < n and items[i + 1].start == start:
                continue
            target = targets[items[i].order]
        if target & 3 == 3:
            continue
        if count >= 0 and start == high[count] and target - last == unit:
            high[count] = start + unit
        else:
            count += 1
            low[count], high[count], place[count] = start, start + unit, target
        last = target
    return count + 1


def block_runs(const uint64_t[::1] starts not None, const uint64_t[::1] targets not None, uint64_t unit):
    """Runs of mapped blocks: see the plain twin."""
    cdef int64_t n = starts.shape[0], i, count
    cdef bint ascending = True
    cdef _BrItem* items = NULL
    if targets.shape[0] != n:
        raise ValueError(f"{n} starts, {targets.shape[0]} targets")
    if n == 0:
        return b"", b"", b""
    low, high, place = bytearray(8 * n), bytearray(8 * n), bytearray(8 * n)
    cdef uint64_t[::1] lows = memoryview(low).cast("Q")
    cdef uint64_t[::1] highs = memoryview(high).cast("Q")
    cdef uint64_t[::1] places = memoryview(place).cast("Q")
    with nogil:
        for i in range(1, n):
            if starts[i - 1] >= starts[i]:
                ascending = False
                break
    if not ascending:
        items = <_BrItem*>_br_malloc(n * sizeof(_BrItem))
        if items == NULL:
            raise MemoryError()
    try:
        with nogil:
            if items != NULL:
                for i in range(n):
                    items[i].start = starts[i]
                    items[i].order = i
                _br_qsort(items, n, sizeof(_BrItem), _br_compare)
            count = _br_join(&starts[0], &targets[0], items, n, unit, &lows[0], &highs[0], &places[0])
    finally:
        _br_free(items)
    return bytes(low[: 8 * count]), bytes(high[: 8 * count]), bytes(place[: 8 * count])
