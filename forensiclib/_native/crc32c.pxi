# CRC-32C. Twin: _plain/crc32c.py

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

cdef extern from "crc32c.h" nogil:
    void crc32c_prepare()
    uint32_t crc32c_run(uint32_t crc, const unsigned char *data, size_t n, int fast)
    int crc32c_fast()

crc32c_prepare()
CRC32C_LEVELS = ("plain", "sse4.2") if crc32c_fast() else ("plain",)


def crc32c(const unsigned char[::1] data not None, unsigned int value=0, str level=""):
    """CRC-32C. See the plain twin for the contract."""
    if level and level not in CRC32C_LEVELS:
        raise ValueError(f"no level {level!r} here")
    cdef int fast = level != "plain" and len(CRC32C_LEVELS) > 1
    cdef uint32_t crc = ~(<uint32_t> value)
    cdef size_t n = <size_t> data.shape[0]
    if n:
        with nogil:
            crc = crc32c_run(crc, &data[0], n, fast)
    return <uint32_t> ~crc
