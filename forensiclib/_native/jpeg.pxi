# JPEG sequential Huffman scan. Twin: _plain/jpeg.py

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from forensiclib.core.errors import UsageError as _jpeg_usage_error

cdef enum:
    JPEG_DONE = 0
    JPEG_MORE = 1
    JPEG_BAD = 2
    JPEG_MARKER = 3

cdef struct jpeg_table:
    uint16_t fast[512]      # length << 8 | symbol for codes of up to 9 bits, 0 for none
    int32_t first[17]       # first code of each length
    int32_t count[17]
    int32_t index[17]
    uint8_t symbols[256]

cdef struct jpeg_bits:
    const uint8_t* data
    int64_t size, at
    uint64_t held           # loaded bytes; the ``count`` lowest bits are not yet taken
    int count
    int stop


cdef void _jpeg_table(jpeg_table* t, const uint8_t* raw) noexcept nogil:
    cdef int length, i, code = 0, at = 0, fill
    memset(t, 0, sizeof(jpeg_table))
    memcpy(t.symbols, raw + 16, 256)
    for length in range(1, 17):
        t.first[length] = code
        t.index[length] = at
        for i in range(raw[length - 1]):
            if at < 256 and code < (1 << length):
                t.count[length] += 1
                if length <= 9:
                    for fill in range(1 << (9 - length)):
                        t.fast[(code << (9 - length)) | fill] = <uint16_t>((length << 8) | t.symbols[at])
            code += 1
            at += 1
        code <<= 1


cdef inline int _jpeg_load(jpeg_bits* b) noexcept nogil:
    # one more byte; 0 when there is none, and why in stop
    cdef uint8_t byte
    if b.at >= b.size or (b.data[b.at] == 0xFF and b.at + 1 >= b.size):
        b.stop = JPEG_MORE
        return 0
    byte = b.data[b.at]
    if byte == 0xFF:
        if b.data[b.at + 1]:
            b.stop = JPEG_MARKER
            return 0
        b.at += 1
    b.at += 1
    b.held = (b.held << 8) | byte
    b.count += 8
    return 1


cdef inline void _jpeg_refill(jpeg_bits* b) noexcept nogil:
    # seven bytes at most, so that the byte in use stays in ``held`` and everything can be given back
    cdef uint8_t byte
    while b.count <= 48 and b.at < b.size:
        byte = b.data[b.at]
        if byte == 0xFF:
            if b.at + 1 >= b.size or b.data[b.at + 1]:
                return
            b.at += 1
        b.at += 1
        b.held = (b.held << 8) | byte
        b.count += 8


cdef inline int _jpeg_number(jpeg_bits* b, int size) noexcept nogil:
    while b.count < size:
        if not _jpeg_load(b):
            return -1
    b.count -= size
    return <int>((b.held >> b.count) & ((<uint64_t>1 << size) - 1))


cdef int _jpeg_long(jpeg_bits* b, const jpeg_table* t) noexcept nogil:
    # bit by bit: codes that the fast table does not hold, and the last ones before data ends
    cdef int length = 0, code = 0
    for length in range(1, 17):
        if b.count == 0 and not _jpeg_load(b):
            return -1
        b.count -= 1
        code = (code << 1) | <int>((b.held >> b.count) & 1)
        if code >= t.first[length] and code - t.first[length] < t.count[length]:
            return t.symbols[t.index[length] + code - t.first[length]]
    b.stop = JPEG_BAD
    return -1


cdef inline int _jpeg_symbol(jpeg_bits* b, const jpeg_table* t) noexcept nogil:
    cdef uint16_t hit
    if b.count < 32:
        _jpeg_refill(b)
    if b.count >= 9:
        hit = t.fast[(b.held >> (b.count - 9)) & 511]
        if hit:
            b.count -= hit >> 8
            return hit & 255
    return _jpeg_long(b, t)


cdef int _jpeg_block(jpeg_bits* b, const jpeg_table* dc, const jpeg_table* ac, int32_t* difference) noexcept nogil:
    cdef int symbol, size, value, run, k = 1
    size = _jpeg_symbol(b, dc)
    if size < 0:
        return 0
    if size > 15:
        b.stop = JPEG_BAD
        return 0
    value = _jpeg_number(b, size)
    if value < 0:
        return 0
    difference[0] = value if size == 0 or value >> (size - 1) else value - (1 << size) + 1
    while k < 64:
        symbol = _jpeg_symbol(b, ac)
        if symbol < 0:
            return 0
        run = symbol >> 4
        size = symbol & 15
        if size == 0 and run != 15:
            if run:
                b.stop = JPEG_BAD
                return 0
            break
        k += run + 1
        if k > 64:
            b.stop = JPEG_BAD
            return 0
        if _jpeg_number(b, size) < 0:
            return 0
    return 1


cdef void _jpeg_unload(jpeg_bits* b) noexcept nogil:
    # give back whole bytes that were loaded and not used
    while b.count >= 8:
        b.count -= 8
        b.at -= 1
        if b.data[b.at] == 0 and b.at > 0 and b.data[b.at - 1] == 0xFF and ((b.held & 0xFF) == 0xFF):
            b.at -= 1
        b.held >>= 8
    b.held &= 0xFF


def jpeg_scan(const unsigned char[::1] data not None, const unsigned char[::1] tables not None, const unsigned char[::1] blocks not None, limits, int64_t interval, state, dc=None):
    """Decode the MCUs of one sequential Huffman scan. See the plain twin for the contract."""
    cdef jpeg_table made[8]
    cdef jpeg_bits bits, mark
    cdef int32_t limit[4]
    cdef int32_t value[4]
    cdef int32_t before[4]
    cdef int32_t difference = 0
    cdef uint8_t used[8]
    cdef int64_t left, until, until_before
    cdef int restart, restart_before, status = JPEG_DONE, i, component, n = <int>blocks.shape[0]
    cdef const uint8_t* order
    cdef int32_t[::1] told
    cdef int32_t* out = NULL
    bits.at, bits.held, bits.count, left, until, restart, value[0], value[1], value[2], value[3] = state
    limit[0], limit[1], limit[2], limit[3] = limits
    if tables.shape[0] != 8 * 272 or n == 0 or n % 3 or n > 192:
        raise _jpeg_usage_error("JPEG tables or blocks")
    order = &blocks[0]
    for i in range(n):
        if order[i] > 3:
            raise _jpeg_usage_error("JPEG tables or blocks")
    memset(used, 0, sizeof(used))
    for i in range(0, n, 3):
        used[order[i + 1]] = used[4 + order[i + 2]] = 1
    if not 0 <= bits.at <= data.shape[0] or not 0 <= bits.count < 8 or bits.held > 255 or left < 0 or interval < 0 or not 0 <= restart < 8:
        raise _jpeg_usage_error("JPEG scan state")
    for i in range(4):
        if not 0 <= limit[i] <= 1 << 24 or not -(1 << 25) <= value[i] <= 1 << 25:
            raise _jpeg_usage_error("JPEG scan state")
    if dc is not None:
        told = dc
        if told.shape[0] // (n // 3) < left:
            raise _jpeg_usage_error("JPEG DC values: no room for those of every MCU")
        if told.shape[0]:
            out = &told[0]
    bits.data = &data[0] if data.shape[0] else NULL
    bits.size = data.shape[0]
    bits.stop = JPEG_DONE
    with nogil:
        for i in range(8):
            if used[i]:
                _jpeg_table(&made[i], &tables[i * 272])
        mark = bits
        until_before, restart_before = until, restart
        memcpy(before, value, sizeof(before))
        while left:
            if interval and until == 0:
                _jpeg_unload(&bits)
                mark = bits
                if bits.at + 1 >= bits.size:
                    status = JPEG_MORE
                    break
                if bits.data[bits.at] != 0xFF or bits.data[bits.at + 1] != 0xD0 + restart:
                    status = JPEG_MARKER if bits.data[bits.at] == 0xFF else JPEG_BAD
                    break
                bits.at += 2
                bits.held = 0
                bits.count = 0
                until = interval
                restart = (restart + 1) & 7
                value[0] = value[1] = value[2] = value[3] = 0
            i = 0
            while i < n:
                component = order[i]
                if not _jpeg_block(&bits, &made[order[i + 1]], &made[4 + order[i + 2]], &difference):
                    status = bits.stop
                    break
                value[component] += difference
                if value[component] > limit[component] or value[component] < -limit[component]:
                    status = JPEG_BAD
                    break
                if out != NULL:
                    out[i // 3] = value[component]
                i += 3
            if status != JPEG_DONE:
                break
            if out != NULL:
                out += n // 3
            left -= 1
            if interval:
                until -= 1
            mark = bits
            until_before, restart_before = until, restart
            memcpy(before, value, sizeof(before))
        bits = mark
        _jpeg_unload(&bits)
    return status, (bits.at, bits.held, bits.count, left, until_before, restart_before, before[0], before[1], before[2], before[3])


cdef int _jpeg_first(jpeg_bits* b, const jpeg_table* ac, int low, int high, uint64_t* mask, int64_t* run) noexcept nogil:
    # a block of an AC scan that sends coefficients for the first time
    cdef int symbol, size, zeros, extra, k = low
    if run[0]:
        run[0] -= 1
        return 1
    while k <= high:
        symbol = _jpeg_symbol(b, ac)
        if symbol < 0:
            return 0
        zeros = symbol >> 4
        size = symbol & 15
        if size == 0 and zeros < 15:
            extra = _jpeg_number(b, zeros)
            if extra < 0:
                return 0
            run[0] = (1 << zeros) - 1 + extra
            return 1
        k += zeros
        if k > high:
            b.stop = JPEG_BAD
            return 0
        if size:
            if _jpeg_number(b, size) < 0:
                return 0
            mask[0] |= <uint64_t>1 << k
        k += 1
    return 1


cdef int _jpeg_refine(jpeg_bits* b, const jpeg_table* ac, int low, int high, uint64_t* mask, int64_t* run) noexcept nogil:
    # a block of an AC scan that sends one more bit of each coefficient
    cdef int symbol, size, zeros, extra, k = low
    if run[0] == 0:
        while k <= high:
            symbol = _jpeg_symbol(b, ac)
            if symbol < 0:
                return 0
            zeros = symbol >> 4
            size = symbol & 15
            if size == 0 and zeros < 15:
                extra = _jpeg_number(b, zeros)
                if extra < 0:
                    return 0
                run[0] = (1 << zeros) + extra
                break
            if size > 1:
                b.stop = JPEG_BAD
                return 0
            if size and _jpeg_number(b, 1) < 0:
                return 0
            while k <= high:
                if mask[0] >> k & 1:
                    if _jpeg_number(b, 1) < 0:
                        return 0
                else:
                    zeros -= 1
                    if zeros < 0:
                        break
                k += 1
            if k > high:
                b.stop = JPEG_BAD
                return 0
            if size:
                mask[0] |= <uint64_t>1 << k
            k += 1
        if run[0] == 0:
            return 1
    while k <= high:
        if mask[0] >> k & 1 and _jpeg_number(b, 1) < 0:
            return 0
        k += 1
    run[0] -= 1
    return 1


def jpeg_progressive(const unsigned char[::1] data not None, const unsigned char[::1] tables not None, const unsigned char[::1] blocks not None, band, limits, int64_t interval, masks, state, dc=None):
    """Decode the MCUs of one progressive Huffman scan. See the plain twin for the contract."""
    cdef jpeg_table made[8]
    cdef jpeg_bits bits, mark
    cdef int32_t limit[4]
    cdef int32_t value[4]
    cdef int32_t before[4]
    cdef uint8_t used[8]
    cdef int32_t difference
    cdef int64_t left, until, until_before, run, run_before
    cdef int restart, restart_before, status = JPEG_DONE, i, component, size, n = <int>blocks.shape[0], low, high, was, now
    cdef uint64_t mask
    cdef uint64_t[::1] known
    cdef uint64_t* place = NULL
    cdef int32_t[::1] told
    cdef int32_t* out = NULL
    cdef const uint8_t* order
    bits.at, bits.held, bits.count, left, until, restart, run, value[0], value[1], value[2], value[3] = state
    limit[0], limit[1], limit[2], limit[3] = limits
    low, high, was, now = band
    if tables.shape[0] != 8 * 272 or n == 0 or n % 3 or n > 192:
        raise _jpeg_usage_error("JPEG tables or blocks")
    order = &blocks[0]
    for i in range(n):
        if order[i] > 3:
            raise _jpeg_usage_error("JPEG tables or blocks")
    if not 0 <= low <= high < 64 or not 0 <= was <= 13 or not 0 <= now <= 13 or (low == 0 and high) or (low and n != 3):
        raise _jpeg_usage_error("JPEG band")
    if not 0 <= bits.at <= data.shape[0] or not 0 <= bits.count < 8 or bits.held > 255 or left < 0 or interval < 0 or not 0 <= restart < 8:
        raise _jpeg_usage_error("JPEG scan state")
    if not 0 <= run <= 1 << 16:
        raise _jpeg_usage_error("JPEG scan state")
    for i in range(4):
        if not 0 <= limit[i] <= 1 << 24 or not -(1 << 25) <= value[i] <= 1 << 25:
            raise _jpeg_usage_error("JPEG scan state")
    if low:
        known = masks
        if known.shape[0] < left:
            raise _jpeg_usage_error("JPEG masks: no room for those of every block")
        if known.shape[0]:
            place = &known[0]
    if dc is not None:
        told = dc
        if told.shape[0] // (n // 3) < left:
            raise _jpeg_usage_error("JPEG DC values: no room for those of every MCU")
        if told.shape[0]:
            out = &told[0]
    memset(used, 0, sizeof(used))
    for i in range(0, n, 3):
        if low:
            used[4 + order[i + 2]] = 1
        else:
            used[order[i + 1]] = 1
    bits.data = &data[0] if data.shape[0] else NULL
    bits.size = data.shape[0]
    bits.stop = JPEG_DONE
    with nogil:
        for i in range(8):
            if used[i]:
                _jpeg_table(&made[i], &tables[i * 272])
        mark = bits
        until_before, restart_before, run_before = until, restart, run
        memcpy(before, value, sizeof(before))
        while left:
            if interval and until == 0:
                _jpeg_unload(&bits)
                mark = bits
                if run:
                    status = JPEG_BAD
                    break
                if bits.at + 1 >= bits.size:
                    status = JPEG_MORE
                    break
                if bits.data[bits.at] != 0xFF or bits.data[bits.at + 1] != 0xD0 + restart:
                    status = JPEG_MARKER if bits.data[bits.at] == 0xFF else JPEG_BAD
                    break
                bits.at += 2
                bits.held = 0
                bits.count = 0
                until = interval
                restart = (restart + 1) & 7
                value[0] = value[1] = value[2] = value[3] = 0
            if low:
                mask = place[0]
                if was == 0:
                    i = _jpeg_first(&bits, &made[4 + order[2]], low, high, &mask, &run)
                else:
                    i = _jpeg_refine(&bits, &made[4 + order[2]], low, high, &mask, &run)
                if i == 0:
                    status = bits.stop
                    break
                if run >= left or (interval and run >= until):
                    status = JPEG_BAD
                    break
                place[0] = mask
                place += 1
            else:
                i = 0
                while i < n:
                    component = order[i]
                    if was:
                        if _jpeg_number(&bits, 1) < 0:
                            status = bits.stop
                            break
                        i += 3
                        continue
                    size = _jpeg_symbol(&bits, &made[order[i + 1]])
                    if size > 15:
                        bits.stop = JPEG_BAD
                    if size < 0 or size > 15:
                        status = bits.stop
                        break
                    difference = _jpeg_number(&bits, size)
                    if difference < 0:
                        status = bits.stop
                        break
                    if size and not difference >> (size - 1):
                        difference -= (1 << size) - 1
                    value[component] += difference
                    if value[component] > limit[component] >> now or value[component] < -(limit[component] >> now):
                        status = JPEG_BAD
                        break
                    if out != NULL:
                        out[i // 3] = value[component] * (1 << now)
                    i += 3
                if status != JPEG_DONE:
                    break
                if out != NULL:
                    out += n // 3
            left -= 1
            if interval:
                until -= 1
            mark = bits
            until_before, restart_before, run_before = until, restart, run
            memcpy(before, value, sizeof(before))
        bits = mark
        _jpeg_unload(&bits)
    return status, (bits.at, bits.held, bits.count, left, until_before, restart_before, run_before, before[0], before[1], before[2], before[3])
