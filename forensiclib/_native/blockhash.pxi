# Block digests. Twin: _plain/blockhash.py

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from forensiclib.core.errors import UsageError as _block_usage_error


cdef extern from "blockhash.h":
    const int bh_words[3]
    int bh_levels() nogil
    void bh_blocks(int algorithm, const uint8_t* data, size_t length, size_t size, uint8_t* out, int level, int levels) nogil


cdef int _bh_levels = bh_levels()
_BH_ALGORITHMS = ("md5", "sha1", "sha256")
_BH_NAMES = ("scalar", "vector", "avx2", "avx512", "sha-ni")

BLOCK_LEVELS = tuple([name for number, name in enumerate(_BH_NAMES) if _bh_levels >> number & 1])


def block_digests(const unsigned char[::1] data not None, Py_ssize_t size, algorithm="md5", level=None):
    """The digest of every block, one behind the other. See the plain twin for the contract."""
    cdef Py_ssize_t length = data.shape[0]
    cdef int which, way
    cdef uint8_t* out
    if algorithm not in _BH_ALGORITHMS:
        raise _block_usage_error(f"no block digest {algorithm!r}; there are {', '.join(_BH_ALGORITHMS)}")
    if size < 64 or size % 64 or size > 1 << 26:
        raise _block_usage_error(f"blocks of {size} bytes: a multiple of 64, 64 MiB at most")
    if level is not None and level not in BLOCK_LEVELS:
        raise _block_usage_error(f"no level {level!r}; there are {', '.join(BLOCK_LEVELS)}")
    which = _BH_ALGORITHMS.index(algorithm)
    way = -1 if level is None else _BH_NAMES.index(level)
    made = bytearray((length + size - 1) // size * bh_words[which] * 4)
    if length:
        out = <uint8_t*> <char*> made
        with nogil:
            bh_blocks(which, &data[0], length, size, out, way, _bh_levels)
    return made
