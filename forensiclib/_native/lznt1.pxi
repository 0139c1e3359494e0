# LZNT1, [MS-XCA] 2.5. Twin: _plain/lznt1.py

from libc.string cimport memcpy


cdef Py_ssize_t _lznt1(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    # ``out`` has 4096 bytes of slack behind ``room``: a chunk is decoded whole, then clipped.
    cdef Py_ssize_t at = 0, made = 0, base, end, pos, length, back, k
    cdef unsigned int header, flags, token, bit, shift
    bad[0] = -1
    while at + 2 <= have and made < room:
        header = src[at] | (src[at + 1] << 8)
        if header == 0:
            break
        end = at + 3 + (header & 0xFFF)
        base = made
        if end > have or ((header >> 12) & 7) != 3:
            bad[0] = at
            return made
        pos = at + 2
        if not (header & 0x8000):
            memcpy(out + made, src + pos, end - pos)
            made += end - pos
            pos = end
        while pos < end:
            flags = src[pos]
            pos += 1
            for bit in range(8):
                if pos >= end:
                    break
                if not ((flags >> bit) & 1):
                    if made - base >= 4096:
                        bad[0] = at
                        return base
                    out[made] = src[pos]
                    made += 1
                    pos += 1
                    continue
                if pos + 2 > end or made == base:
                    bad[0] = at
                    return base
                token = src[pos] | (src[pos + 1] << 8)
                pos += 2
                shift = 12
                while made - base - 1 >= (<Py_ssize_t>1 << (16 - shift)):
                    shift -= 1
                length = (token & ((1 << shift) - 1)) + 3
                back = (token >> shift) + 1
                if back > made - base or made - base + length > 4096:
                    bad[0] = at
                    return base
                for k in range(length):
                    out[made] = out[made - back]
                    made += 1
        at = end
    return made if made < room else room


def lznt1(const unsigned char[::1] data not None, Py_ssize_t size):
    """LZNT1 ([MS-XCA] 2.5): up to ``size`` bytes of output. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = -1
    if have == 0 or size == 0:
        return b"", -1
    out = bytearray(size + 4096)
    cdef unsigned char[::1] view = out
    with nogil:
        made = _lznt1(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad
