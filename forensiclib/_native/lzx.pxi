# LZX (cabinet files, CHM, WIM, compressed NTFS files). Twin: _plain/lzx.py

from libc.stdint cimport int32_t as lzx_i32, uint16_t as lzx_u16, uint32_t as lzx_u32, uint64_t as lzx_u64
from libc.stdlib cimport calloc as lzx_calloc, free as lzx_free
from libc.string cimport memset as lzx_memset


cdef struct _LzxCode:
    # A canonical code: the first 11 bits tell most symbols at once, the limits of each length the others.
    lzx_u16 fast[2048]  # symbol, 0xFFFF for codes that are longer
    lzx_u16 order[656]  # symbols by code
    lzx_u32 limit[17]  # first code, aligned to 16 bits, behind those of this length
    int first[17]  # of each length: its place in order
    bint used


cdef struct _Lzx:
    const unsigned char* src
    Py_ssize_t have, at  # at: the next word to take
    lzx_u64 word
    int bits, missing
    unsigned char main[656]  # code lengths, kept from block to block
    unsigned char lengths[249]
    unsigned char aligned[8]
    _LzxCode main_code, length_code, aligned_code, pre_code


cdef inline void _lzx_fill(_Lzx* s) noexcept nogil:
    # At least 32 bits, zeros behind the end; those are counted.
    while s.bits <= 32:
        s.word <<= 16
        if s.at + 2 <= s.have:
            s.word |= s.src[s.at] | (s.src[s.at + 1] << 8)
            s.at += 2
        else:
            s.missing += 16
        s.bits += 16


cdef inline lzx_u32 _lzx_take(_Lzx* s, int count) noexcept nogil:
    # 0 to 32 bits
    cdef lzx_u32 value
    _lzx_fill(s)
    s.bits -= count
    value = <lzx_u32>((s.word >> s.bits) & ((<lzx_u64>1 << count) - 1))
    return value


cdef inline bint _lzx_over(_Lzx* s) noexcept nogil:
    return s.bits < s.missing


cdef bint _lzx_build(const unsigned char* lengths, int count, _LzxCode* code) noexcept nogil:
    # False unless the lengths make a whole code; all zero is a code that is not used.
    cdef int numbers[18]
    cdef int bits, symbol, at = 0
    cdef lzx_u32 next = 0, k, run
    for bits in range(18):
        numbers[bits] = 0
    for symbol in range(count):
        numbers[lengths[symbol]] += 1
    code.used = numbers[0] < count
    for bits in range(1, 17):
        next += <lzx_u32>numbers[bits] << (16 - bits)
        code.limit[bits] = next
        code.first[bits] = at
        at += numbers[bits]
        numbers[bits] = code.first[bits]
    if not code.used:
        return True
    if next != 65536:
        return False
    for symbol in range(count):
        if lengths[symbol]:
            code.order[numbers[lengths[symbol]]] = <lzx_u16>symbol
            numbers[lengths[symbol]] += 1
    next = 0
    for bits in range(1, 12):
        run = <lzx_u32>1 << (11 - bits)
        for at in range(code.first[bits], code.first[bits + 1]):
            for k in range(run):
                code.fast[next + k] = code.order[at]
            next += run
    for k in range(next, 2048):
        code.fast[k] = 0xFFFF
    return True


cdef inline int _lzx_symbol(_Lzx* s, const _LzxCode* code, const unsigned char* lengths) noexcept nogil:
    # -1 for a code that is not used
    cdef lzx_u32 peek, low
    cdef int symbol, bits
    _lzx_fill(s)
    peek = <lzx_u32>((s.word >> (s.bits - 16)) & 0xFFFF)
    if not code.used:
        return -1
    symbol = code.fast[peek >> 5]
    if symbol == 0xFFFF:
        bits = 12
        while peek >= code.limit[bits]:
            bits += 1
        low = code.limit[bits - 1]
        symbol = code.order[code.first[bits] + <int>((peek - low) >> (16 - bits))]
    s.bits -= lengths[symbol]
    return symbol


cdef bint _lzx_lengths(_Lzx* s, unsigned char* lengths, int begin, int end) noexcept nogil:
    # Code lengths as differences to those of the block before, themselves Huffman coded.
    cdef unsigned char pre[20]
    cdef int k, symbol, run, at = begin
    for k in range(20):
        pre[k] = <unsigned char>_lzx_take(s, 4)
    if not _lzx_build(pre, 20, &s.pre_code):
        return False
    while at < end:
        symbol = _lzx_symbol(s, &s.pre_code, pre)
        if symbol < 0 or _lzx_over(s):
            return False
        if symbol < 17:
            lengths[at] = <unsigned char>((lengths[at] + 17 - symbol) % 17)
            at += 1
            continue
        if symbol == 19:
            run = 4 + <int>_lzx_take(s, 1)
            symbol = _lzx_symbol(s, &s.pre_code, pre)
            if symbol < 0 or symbol > 16 or run > end - at:
                return False
            symbol = (lengths[at] + 17 - symbol) % 17
        else:
            run = 4 + <int>_lzx_take(s, 4) if symbol == 17 else 20 + <int>_lzx_take(s, 5)
            if run > end - at:
                return False
            symbol = 0
        for k in range(run):
            lengths[at + k] = <unsigned char>symbol
        at += run
    return True


cdef inline void _lzx_align(_Lzx* s) noexcept nogil:
    s.bits -= s.bits & 15


cdef Py_ssize_t _lzx_e8(unsigned char* out, Py_ssize_t begin, Py_ssize_t size, Py_ssize_t made, lzx_i32 limit) noexcept nogil:
    # Absolute targets of x86 calls become relative again; ``begin`` is the frame's place in the whole, ``made`` of its
    # ``size`` bytes are there. Returns how many of those are good: a target that was cut off cannot be.
    cdef Py_ssize_t at = 0
    cdef lzx_i32 place, value
    while at < size - 10 and at < made:
        if out[at] != 0xE8:
            at += 1
            continue
        if at + 5 > made:
            return at + 1
        place = <lzx_i32>(begin + at)
        value = <lzx_i32>(out[at + 1] | (out[at + 2] << 8) | (out[at + 3] << 16) | (<lzx_u32>out[at + 4] << 24))
        if -place <= value < limit:
            value = value - place if value >= 0 else value + limit
            out[at + 1] = <unsigned char>(<lzx_u32>value & 0xFF)
            out[at + 2] = <unsigned char>((<lzx_u32>value >> 8) & 0xFF)
            out[at + 3] = <unsigned char>((<lzx_u32>value >> 16) & 0xFF)
            out[at + 4] = <unsigned char>((<lzx_u32>value >> 24) & 0xFF)
        at += 5
    return made


cdef Py_ssize_t _lzx_run(_Lzx* s, unsigned char* out, Py_ssize_t room, int window, int wim, lzx_i32* e8, Py_ssize_t* bad) noexcept nogil:
    cdef Py_ssize_t made = 0, left = 0, odd = 0, stop, length, back, k
    cdef int slots, kind = 0, symbol, slot, extra
    cdef lzx_u32 r0 = 1, r1 = 1, r2 = 1, formatted, low
    slots = 2 * window if window < 20 else (42 if window == 20 else 50)
    if wim:
        e8[0] = 12000000
    elif _lzx_take(s, 1):
        formatted = _lzx_take(s, 16)
        e8[0] = <lzx_i32>((formatted << 16) | _lzx_take(s, 16))
    bad[0] = 0
    while made < room:
        if left == 0:
            if odd and s.at < s.have:
                s.at += 1  # raw bytes are padded to whole words
            bad[0] = s.at - (s.bits >> 3)
            kind = <int>_lzx_take(s, 3)
            if not wim:
                left = <Py_ssize_t>_lzx_take(s, 24)
            elif _lzx_take(s, 1):
                left = 32768
            else:
                left = <Py_ssize_t>_lzx_take(s, 16)
                if window >= 16:
                    left = (left << 8) | <Py_ssize_t>_lzx_take(s, 8)
            if left == 0 or kind < 1 or kind > 3 or _lzx_over(s):
                return made
            odd = left & 1 if kind == 3 else 0
            if kind == 3:
                # at least one bit of padding up to a whole word
                if s.bits & 15:
                    _lzx_align(s)
                else:
                    _lzx_take(s, 16)
                if _lzx_over(s):
                    return made
                s.at -= (s.bits - s.missing) >> 3
                s.bits = 0
                s.missing = 0
                s.word = 0
                if s.have - s.at < 12:
                    return made
                r0 = s.src[s.at] | (s.src[s.at + 1] << 8) | (s.src[s.at + 2] << 16) | (<lzx_u32>s.src[s.at + 3] << 24)
                r1 = s.src[s.at + 4] | (s.src[s.at + 5] << 8) | (s.src[s.at + 6] << 16) | (<lzx_u32>s.src[s.at + 7] << 24)
                r2 = s.src[s.at + 8] | (s.src[s.at + 9] << 8) | (s.src[s.at + 10] << 16) | (<lzx_u32>s.src[s.at + 11] << 24)
                s.at += 12
            else:
                if kind == 2:
                    for k in range(8):
                        s.aligned[k] = <unsigned char>_lzx_take(s, 3)
                    if not _lzx_build(s.aligned, 8, &s.aligned_code):
                        return made
                if not _lzx_lengths(s, s.main, 0, 256) or not _lzx_lengths(s, s.main, 256, 256 + 8 * slots):
                    return made
                if not _lzx_build(s.main, 256 + 8 * slots, &s.main_code):
                    return made
                if not _lzx_lengths(s, s.lengths, 0, 249) or not _lzx_build(s.lengths, 249, &s.length_code):
                    return made
        # to the end of the block, of the frame of 32 KiB, or of the output
        stop = made + left
        if not wim and stop > (made | 32767) + 1:
            stop = (made | 32767) + 1
        if stop > room:
            stop = room
        left -= stop - made
        if kind == 3:
            if s.have - s.at < stop - made:
                bad[0] = s.at
                return made
            for k in range(stop - made):
                out[made + k] = s.src[s.at + k]
            s.at += stop - made
            made = stop
        while made < stop:
            bad[0] = s.at - (s.bits >> 3)
            symbol = _lzx_symbol(s, &s.main_code, s.main)
            if symbol < 0 or _lzx_over(s):
                return made
            if symbol < 256:
                out[made] = <unsigned char>symbol
                made += 1
                continue
            slot = (symbol - 256) >> 3
            length = (symbol & 7) + 2
            if length == 9:
                symbol = _lzx_symbol(s, &s.length_code, s.lengths)
                if symbol < 0:
                    return made
                length += symbol
            if slot == 0:
                back = r0
            elif slot == 1:
                back = r1
                r1 = r0
                r0 = <lzx_u32>back
            elif slot == 2:
                back = r2
                r2 = r0
                r0 = <lzx_u32>back
            else:
                extra = 0 if slot < 4 else ((slot >> 1) - 1 if slot < 36 else 17)
                if slot < 36:
                    formatted = <lzx_u32>slot if slot < 4 else <lzx_u32>(2 | (slot & 1)) << extra
                else:
                    formatted = <lzx_u32>(slot - 34) << 17
                if kind == 2 and extra >= 3:
                    low = _lzx_take(s, extra - 3)
                    symbol = _lzx_symbol(s, &s.aligned_code, s.aligned)
                    if symbol < 0:
                        return made
                    formatted += (low << 3) + <lzx_u32>symbol
                else:
                    formatted += _lzx_take(s, extra)
                back = <Py_ssize_t>formatted - 2
                r2 = r1
                r1 = r0
                r0 = <lzx_u32>back
            # a match stays in its frame; it may go past a block only where damage says so
            if _lzx_over(s) or back < 1 or back > made or length > stop - made:
                return made
            for k in range(length):
                out[made + k] = out[made + k - back]
            made += length
        if not wim and not made & 32767 and kind != 3:
            _lzx_align(s)
    bad[0] = -1
    return made


def lzx(const unsigned char[::1] data not None, Py_ssize_t size, int window, bint wim=False):
    """LZX of exactly ``size`` bytes. See the plain twin for the contract."""
    if size < 0 or not 15 <= window <= 21:
        raise ValueError(f"size {size}, window of 2^{window}")
    cdef Py_ssize_t made = 0, bad = -1, at, frame, good
    cdef lzx_i32 e8 = 0
    cdef _Lzx* state
    if size == 0:
        return b"", -1
    if data.shape[0] == 0:
        return b"", 0
    out = bytearray(size)
    cdef unsigned char[::1] view = out
    state = <_Lzx*>lzx_calloc(1, sizeof(_Lzx))
    if state == NULL:
        raise MemoryError("LZX tables")
    with nogil:
        state.src = &data[0]
        state.have = data.shape[0]
        made = _lzx_run(state, &view[0], size, window, wim, &e8, &bad)
        frame = size if wim else 32768
        at = 0
        while e8 > 0 and at < made and at < (<Py_ssize_t>1 << 30):
            good = at + _lzx_e8(&view[at], at, min(frame, size - at), min(frame, made - at), e8)
            at += frame
            if good < made and good < at:
                made = good
    lzx_free(state)
    return bytes(memoryview(out)[:made]), bad
