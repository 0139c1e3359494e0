# Hashes that OpenSSL has not, or no longer has. Twin: _plain/oldhash.py

from libc.stdint cimport int64_t, uint8_t


cdef extern from "oldhash.h":
    void oldhash_init()
    int old_size(int kind) nogil
    void old_hash(int kind, const uint8_t* p, int64_t n, uint8_t* out) nogil
    void old_derive(int kind, const uint8_t* secret, int64_t have, uint8_t* salt, int64_t salted, int64_t rounds, uint8_t* out, int64_t size) nogil


oldhash_init()
_old_kinds = {"whirlpool": 0, "ripemd160": 1, "streebog512": 2}


def old_digest(name, const unsigned char[::1] data not None):
    """The digest of that name. See the plain twin for the contract."""
    if name not in _old_kinds:
        raise ValueError(f"no hash {name!r}")
    cdef int kind = _old_kinds[name]
    cdef int64_t size = data.shape[0]
    out = bytearray(old_size(kind))
    cdef unsigned char[::1] view = out
    with nogil:
        old_hash(kind, &data[0] if size else NULL, size, &view[0])
    return bytes(out)


def old_pbkdf2(name, const unsigned char[::1] secret not None, const unsigned char[::1] salt not None, rounds, size):
    """PBKDF2-HMAC over one of these hashes. See the plain twin for the contract."""
    if name not in _old_kinds:
        raise ValueError(f"no hash {name!r}")
    if rounds < 1 or not 0 < size <= 1 << 20:
        raise ValueError(f"{rounds} rounds for {size} bytes")
    cdef int kind = _old_kinds[name]
    cdef int64_t have = secret.shape[0], salted = salt.shape[0], times = rounds, length = size
    out, room = bytearray(length), bytearray(salt) + bytearray(4)
    cdef unsigned char[::1] view = out
    cdef unsigned char[::1] work = room
    with nogil:
        old_derive(kind, &secret[0] if have else NULL, have, &work[0], salted, times, &view[0], length)
    return bytes(out)
