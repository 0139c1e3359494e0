# Sectors of CD-ROMs. Twin: _plain/cdrom.py

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

cdef extern from "cdrom.h" nogil:
    void cd_prepare()
    uint32_t cd_run(uint32_t crc, const unsigned char *data, size_t n)
    void cd_kinds(const unsigned char *data, size_t count, size_t stride, unsigned char *out)

cd_prepare()


def cd_edc(const unsigned char[::1] data not None, unsigned int value=0):
    """Error detection code of CD-ROM sectors. See the plain twin for the contract."""
    cdef uint32_t crc = <uint32_t> value
    cdef size_t n = <size_t> data.shape[0]
    if n:
        with nogil:
            crc = cd_run(crc, &data[0], n)
    return crc


def cd_sectors(const unsigned char[::1] data not None, Py_ssize_t stride):
    """What each sector is. See the plain twin for the contract."""
    if stride != 2336 and not 2352 <= stride <= 4096:
        raise ValueError(f"sectors of {stride} bytes")
    cdef Py_ssize_t count = data.shape[0] // stride
    out = bytearray(count)
    cdef unsigned char[::1] view = out
    if count:
        with nogil:
            cd_kinds(&data[0], <size_t> count, <size_t> stride, &view[0])
    return bytes(out)
