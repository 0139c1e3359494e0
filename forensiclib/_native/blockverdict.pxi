# Entropy and verdicts of blocks. Twin: _plain/blockverdict.py

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from forensiclib.core.errors import UsageError as _verdict_usage_error


cdef extern from "blockverdict.h":
    enum: BV_KEPT
    void bv_fill(int64_t* table) nogil
    void bv_blocks(const int64_t* table, const uint8_t* data, size_t length, size_t size, double* entropy, uint16_t* k, uint32_t* counts,
                   uint8_t* verdict, uint32_t* period) nogil


cdef int64_t _bv_table[BV_KEPT + 1]
bv_fill(_bv_table)

BLOCK_VERDICTS = ("zero", "constant", "repeating", "whitespace", "ramp", "histogram", "low-entropy", "distinctive")


def block_measures(const unsigned char[::1] data not None, Py_ssize_t size, entropy=True, k_entropy=True, verdict=True):
    """Entropy, k_entropy, verdict and period of every block. See the plain twin for the contract."""
    cdef Py_ssize_t length = data.shape[0], count
    cdef double* bits = NULL
    cdef uint16_t* ks = NULL
    cdef uint8_t* codes = NULL
    cdef uint32_t* periods = NULL
    cdef uint32_t* counts = NULL
    if size < 64 or size % 64 or size > 1 << 26:
        raise _verdict_usage_error(f"blocks of {size} bytes: a multiple of 64, 64 MiB at most")
    count = (length + size - 1) // size
    made = bytearray(8 * count if entropy else 0), bytearray(2 * count if k_entropy else 0), bytearray(count if verdict else 0), bytearray(4 * count if verdict else 0)
    if not count:
        return made
    if entropy:
        bits = <double*> PyByteArray_AS_STRING(made[0])
    if k_entropy:
        ks = <uint16_t*> PyByteArray_AS_STRING(made[1])
        counts = <uint32_t*> calloc(65536, sizeof(uint32_t))
        if counts == NULL:
            raise MemoryError("symbol counts")
    if verdict:
        codes = <uint8_t*> PyByteArray_AS_STRING(made[2])
        periods = <uint32_t*> PyByteArray_AS_STRING(made[3])
    with nogil:
        bv_blocks(_bv_table, &data[0], length, size, bits, ks, counts, codes, periods)
    free(counts)
    return made
