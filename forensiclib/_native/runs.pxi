# Runs of bytes of one class. Twin: _plain/runs.py

from libc.stdint cimport int64_t, uint8_t

from forensiclib.core.errors import UsageError as _runs_usage_error


cdef int64_t _runs(const uint8_t* data, int64_t size, const uint8_t* wanted, int64_t minimum, int64_t start, int64_t stop, int stride,
                   int64_t* found, int64_t room, int64_t* following) noexcept nogil:
    # A run of ``minimum`` bytes covers one of every ``minimum`` places: look there, and only then to both sides.
    cdef int64_t at = start, last, low, end, count = 0, reach = (minimum - 1) * stride, units = (size - start) // stride
    last = start + units * stride
    while at + reach < last and at < stop:
        end = at + reach
        low = end
        while low >= at and wanted[data[low]] and (stride == 1 or data[low + 1] == 0):
            low -= stride
        if low >= at:
            at = low + stride
            continue
        end += stride
        while end < last and wanted[data[end]] and (stride == 1 or data[end + 1] == 0):
            end += stride
        if at > start or start < stride or not (wanted[data[at - stride]] and (stride == 1 or data[at - stride + 1] == 0)):
            found[2 * count] = at
            found[2 * count + 1] = end
            count += 1
            if count == room:
                following[0] = end
                return count
        at = end
    following[0] = -1
    return count


def byte_runs(const unsigned char[::1] data not None, const unsigned char[::1] wanted not None, Py_ssize_t minimum, Py_ssize_t start=0,
              stop=None, int stride=1):
    """Runs of bytes of one class that begin in [start, stop). See the plain twin for the contract."""
    cdef Py_ssize_t size = data.shape[0], last = size if stop is None else stop
    cdef int64_t found[512]
    cdef int64_t count, at, i, following = 0
    cdef int phase
    if not 0 <= start <= last <= size or minimum < 1 or stride not in (1, 2) or wanted.shape[0] != 256:
        raise _runs_usage_error(f"range {start} to {last} of {size} bytes, minimum {minimum}, stride {stride}")
    out = []
    for phase in range(stride):
        at = start + phase
        if at >= last:
            break
        while at >= 0:
            with nogil:
                count = _runs(&data[0], size, &wanted[0], minimum, at, last, stride, found, 256, &following)
            for i in range(count):
                out.append((found[2 * i], found[2 * i + 1]))
            at = following
    out.sort()
    return out
