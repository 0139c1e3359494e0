# LZXPRESS: plain LZ77 and LZ77 + Huffman, [MS-XCA] 2.1 to 2.4. Twin: _plain/xpress.py

from libc.stdint cimport uint16_t as xp_u16, uint64_t as xp_u64


cdef inline Py_ssize_t _xp_long(const unsigned char* src, Py_ssize_t have, Py_ssize_t* at) noexcept nogil:
    # A u16 length, or the u32 behind it where that is 0; -1 past the end.
    cdef Py_ssize_t value
    if at[0] + 2 > have:
        return -1
    value = src[at[0]] | (src[at[0] + 1] << 8)
    at[0] += 2
    if value:
        return value
    if at[0] + 4 > have:
        return -1
    value = src[at[0]] | (src[at[0] + 1] << 8) | (src[at[0] + 2] << 16) | (<Py_ssize_t>src[at[0] + 3] << 24)
    at[0] += 4
    return value


cdef inline bint _xp_copy(unsigned char* out, Py_ssize_t* made, Py_ssize_t room, Py_ssize_t back, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t k, to = made[0]
    if back > to or length > room - to:
        return False
    for k in range(length):
        out[to + k] = out[to + k - back]
    made[0] = to + length
    return True


cdef Py_ssize_t _xp_plain(const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t at = 0, made = 0, token, length, back, half = 0
    cdef unsigned int flags = 0, left = 0, pair
    while made < room:
        if left == 0:
            if at + 4 > have:
                bad[0] = at
                return made
            flags = src[at] | (src[at + 1] << 8) | (src[at + 2] << 16) | (<unsigned int>src[at + 3] << 24)
            left = 32
            at += 4
        left -= 1
        token = at
        bad[0] = token
        if not ((flags >> left) & 1):
            if at >= have:
                return made
            out[made] = src[at]
            made += 1
            at += 1
            continue
        if at + 2 > have:
            return made
        pair = src[at] | (src[at + 1] << 8)
        at += 2
        length = pair & 7
        back = (pair >> 3) + 1
        if length == 7:
            if half:
                length = src[half] >> 4
                half = 0
            else:
                if at >= have:
                    return made
                length = src[at] & 15
                half = at
                at += 1
            if length == 15:
                if at >= have:
                    return made
                length = src[at]
                at += 1
                if length == 255:
                    length = _xp_long(src, have, &at)
                    if length < 22:
                        return made
                    length -= 22
                length += 15
            length += 7
        if not _xp_copy(out, &made, room, back, length + 3):
            return made
    bad[0] = -1
    return made


cdef bint _xp_table(const unsigned char* lengths, xp_u16* table) noexcept nogil:
    # 15 bits -> symbol << 4 | code length; False unless the code lengths fill it exactly.
    cdef Py_ssize_t at = 0, run, k
    cdef unsigned int bits, symbol
    for bits in range(1, 16):
        run = <Py_ssize_t>1 << (15 - bits)
        for symbol in range(512):
            if ((lengths[symbol >> 1] >> (4 * (symbol & 1))) & 15) == bits:
                if at + run > 32768:
                    return False
                for k in range(run):
                    table[at + k] = <xp_u16>((symbol << 4) | bits)
                at += run
    return at == 32768


cdef struct _XpBits:
    Py_ssize_t at
    xp_u64 word
    int have
    int missing


cdef inline void _xp_refill(const unsigned char* src, Py_ssize_t have, _XpBits* bits) noexcept nogil:
    bits.word <<= 16
    if bits.at + 2 > have:
        bits.missing += 16
        bits.at = have  # half a word is no length byte either
    else:
        bits.word |= src[bits.at] | (src[bits.at + 1] << 8)
        bits.at += 2
    bits.have += 16


cdef inline bint _xp_take(const unsigned char* src, Py_ssize_t have, _XpBits* bits, int count) noexcept nogil:
    # False when bits that the stream does not have were consumed.
    cdef bint good
    bits.have -= count
    bits.word &= (<xp_u64>1 << bits.have) - 1
    good = bits.have >= bits.missing
    if bits.have < 16:
        _xp_refill(src, have, bits)
    return good


cdef Py_ssize_t _xp_huffman(
    const unsigned char* src, Py_ssize_t have, unsigned char* out, Py_ssize_t room, xp_u16* table, Py_ssize_t* bad
) noexcept nogil:
    cdef Py_ssize_t at = 0, made = 0, end, length, back
    cdef unsigned int entry, symbol
    cdef int offset_bits
    cdef _XpBits bits
    while made < room:
        bad[0] = at
        if at + 256 > have or not _xp_table(src + at, table):
            return made
        bits.at = at + 256
        bits.word = 0
        bits.have = 0
        bits.missing = 0
        _xp_refill(src, have, &bits)
        _xp_refill(src, have, &bits)
        end = made + 65536 if room - made > 65536 else room
        while made < end:
            entry = table[bits.word >> (bits.have - 15)]
            symbol = entry >> 4
            if not _xp_take(src, have, &bits, entry & 15):
                bad[0] = bits.at
                return made
            if symbol < 256:
                out[made] = <unsigned char>symbol
                made += 1
                continue
            length = symbol & 15
            offset_bits = (symbol - 256) >> 4
            if length == 15:
                bad[0] = bits.at
                if bits.at >= have:
                    return made
                length = src[bits.at]
                bits.at += 1
                if length == 255:
                    bad[0] = bits.at
                    length = _xp_long(src, have, &bits.at)
                    if length < 15:
                        return made
                    length -= 15
                length += 15
            back = (<Py_ssize_t>1 << offset_bits) + <Py_ssize_t>(bits.word >> (bits.have - offset_bits))
            if not _xp_take(src, have, &bits, offset_bits) or not _xp_copy(out, &made, room, back, length + 3):
                bad[0] = bits.at
                return made
        at = bits.at
    bad[0] = -1
    return made


def lzxpress(const unsigned char[::1] data not None, Py_ssize_t size):
    """Plain LZ77 ([MS-XCA] 2.3, 2.4) whose original has ``size`` bytes. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = -1
    if size == 0:
        return b"", -1
    if have == 0:
        return b"", 0
    out = bytearray(size)
    cdef unsigned char[::1] view = out
    with nogil:
        made = _xp_plain(&data[0], have, &view[0], size, &bad)
    return bytes(memoryview(out)[:made]), bad


def lzxpress_huffman(const unsigned char[::1] data not None, Py_ssize_t size):
    """LZ77 + Huffman ([MS-XCA] 2.1, 2.2) whose original has ``size`` bytes. See the plain twin for the contract."""
    if size < 0:
        raise ValueError("negative size")
    cdef Py_ssize_t have = data.shape[0], made = 0, bad = -1
    if size == 0:
        return b"", -1
    if have == 0:
        return b"", 0
    out, codes = bytearray(size), bytearray(65536)
    cdef unsigned char[::1] view = out
    cdef unsigned char[::1] table = codes
    with nogil:
        made = _xp_huffman(&data[0], have, &view[0], size, <xp_u16*>&table[0], &bad)
    return bytes(memoryview(out)[:made]), bad
