# Registry values as column buffers. Included behind regf.pxi. Twin: _plain/regf_columns.py

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy


cdef struct RegfText:
    unsigned char* at
    int64_t count
    int64_t room
    int64_t limit
    bint failed
    bint full


cdef bint regf_reserve(RegfText* text, int64_t more) noexcept nogil:
    cdef int64_t room = text.room
    cdef unsigned char* at
    if text.count + more <= room:
        return True
    while room < text.count + more:
        room = room * 2 if room else 65536
    at = <unsigned char*> realloc(text.at, room)
    if at == NULL:
        text.failed = True
        return False
    text.at = at
    text.room = room
    return True


cdef int64_t regf_encode(unsigned char* out, uint32_t c) noexcept nogil:
    if c < 0x80:
        out[0] = c
        return 1
    if c < 0x800:
        out[0] = 0xC0 | (c >> 6)
        out[1] = 0x80 | (c & 63)
        return 2
    if c < 0x10000:
        out[0] = 0xE0 | (c >> 12)
        out[1] = 0x80 | ((c >> 6) & 63)
        out[2] = 0x80 | (c & 63)
        return 3
    out[0] = 0xF0 | (c >> 18)
    out[1] = 0x80 | ((c >> 12) & 63)
    out[2] = 0x80 | ((c >> 6) & 63)
    out[3] = 0x80 | (c & 63)
    return 4


cdef bint regf_name(RegfText* text, const unsigned char* p, int64_t length, bint compressed) noexcept nogil:
    # UTF-8 takes 3 bytes for 2 of UTF-16 and 2 for 1 of Latin-1 at the most.
    cdef int64_t i = 0
    cdef uint32_t c, d
    if not regf_reserve(text, length * 2 + 4):
        return False
    if compressed:
        for i in range(length):
            text.count += regf_encode(text.at + text.count, p[i])
        return True
    while i + 2 <= length:
        c = regf_u16(p + i)
        i += 2
        if 0xD800 <= c < 0xE000:
            d = regf_u16(p + i) if i + 2 <= length else 0
            if c < 0xDC00 and 0xDC00 <= d < 0xE000:
                c = 0x10000 + ((c - 0xD800) << 10) + (d - 0xDC00)
                i += 2
            else:
                c = 0xFFFD
        text.count += regf_encode(text.at + text.count, c)
    return True


cdef bint regf_copy(RegfText* text, const unsigned char* p, int64_t n) noexcept nogil:
    if n > 0:
        if not regf_reserve(text, n):
            return False
        memcpy(text.at + text.count, p, n)
        text.count += n
    return True


cdef bint regf_data(RegfText* text, const unsigned char* hive, int64_t size, int64_t at, int64_t n, bint big) noexcept nogil:
    cdef int64_t segments, i = 0, take, where
    if not big:
        return regf_copy(text, hive + at, n)
    segments = REGF_BINS + regf_u32(hive + at + 4) + 4
    while n > 0:
        if segments + 4 * i + 4 > size:
            return False
        take = regf_least(REGF_SEGMENT, n)
        where = REGF_BINS + <int64_t> regf_u32(hive + segments + 4 * i) + 4
        if where + take > size or not regf_copy(text, hive + where, take):
            return False
        n -= take
        i += 1
    return True


cdef bint regf_paths(RegfText* text, int64_t* starts, const unsigned char* hive, const int64_t* keys, int64_t count) noexcept nogil:
    cdef int64_t i, parent, offset
    for i in range(count):
        starts[i] = text.count
        parent = keys[4 * i + 1]
        if parent < 0:
            continue
        offset = REGF_BINS + keys[4 * i]
        if keys[4 * parent + 1] >= 0:
            # The parent's row stands before, so its path is complete and cannot move while it is copied.
            if not regf_reserve(text, starts[parent + 1] - starts[parent] + 1):
                return False
            memcpy(text.at + text.count, text.at + starts[parent], starts[parent + 1] - starts[parent])
            text.count += starts[parent + 1] - starts[parent]
            text.at[text.count] = c'\\'
            text.count += 1
        if not regf_name(text, hive + offset + 80, keys[4 * i + 3], (hive[offset + 6] & 0x20) != 0):
            return False
        if text.count > text.limit:
            text.full = True
            return False
    starts[count] = text.count
    return True


cdef object regf_bytes(RegfText* text):
    return bytearray((<const char*> text.at)[:text.count]) if text.count else bytearray()


def regf_columns(const unsigned char[::1] data not None, keys, values, int64_t path_room, int64_t data_room):
    """The tables of regf_walk as column buffers. See the plain twin for the contract."""
    cdef int64_t n_keys = len(keys) // 4, n = len(values) // 6, size = data.shape[0], i, key, cell, at, there, written
    cdef int64_t[::1] key_rows, value_rows
    cdef const unsigned char* hive
    cdef const unsigned char* p
    cdef uint64_t ticks
    cdef uint32_t stated
    cdef bint good = True
    if n_keys:
        key_rows = keys
    if n:
        value_rows = values
    for i in range(n_keys):
        at, there = key_rows[4 * i], key_rows[4 * i + 3]
        if at < 0 or there < 0 or REGF_BINS + at + 80 + there > size or key_rows[4 * i + 1] >= i:
            raise ValueError("these keys are not of this hive")
    for i in range(n):
        at, there = value_rows[6 * i], value_rows[6 * i + 2]
        if at < 0 or there < 0 or REGF_BINS + at + 24 + there > size or not 0 <= value_rows[6 * i + 1] < n_keys:
            raise ValueError("these values are not of this hive")
        at, there = value_rows[6 * i + 3], value_rows[6 * i + 4]
        if there > 0 and (at < 0 or at + (8 if value_rows[6 * i + 5] else there) > size):
            raise ValueError("this data is not of this hive")
    columns = {}
    for name, code, count in (
        ("path_offsets", "q", n + 1), ("name_offsets", "q", n + 1), ("type", "I", n), ("size", "I", n),
        ("data_offsets", "q", n + 1), ("last_written", "q", n), ("key_at", "q", n), ("value_at", "q", n), ("data_at", "q", n),
    ):
        made = regf_array(code)
        made.frombytes(bytes(count * made.itemsize))
        columns[name] = made
    valid, dated = bytearray(n), bytearray(n)
    if n == 0:
        columns.update(path=bytearray(), name=bytearray(), data=bytearray(), data_valid=valid, last_written_valid=dated)
    cdef RegfText paths = RegfText(NULL, 0, 0, path_room, False, False)
    cdef RegfText path = paths, names = paths, content = paths
    cdef int64_t* starts = <int64_t*> malloc((n_keys + 1) * sizeof(int64_t))
    cdef int64_t[::1] path_offsets = columns["path_offsets"], name_offsets = columns["name_offsets"]
    cdef int64_t[::1] data_offsets = columns["data_offsets"], last_written, key_at, value_at, data_at
    cdef uint32_t[::1] types, sizes
    cdef unsigned char[::1] data_valid, written_valid
    if starts == NULL:
        raise MemoryError()
    try:
        hive = &data[0] if size else NULL
        if n_keys:
            with nogil:
                good = regf_paths(&paths, starts, hive, &key_rows[0], n_keys)
            if paths.full:
                return None
            if not good:
                raise MemoryError()
        if n == 0:
            return columns
        last_written, key_at, value_at, data_at = columns["last_written"], columns["key_at"], columns["value_at"], columns["data_at"]
        types, sizes, data_valid, written_valid = columns["type"], columns["size"], valid, dated
        with nogil:
            for i in range(n):
                key = value_rows[6 * i + 1]
                cell = REGF_BINS + value_rows[6 * i] + 4
                at, there = value_rows[6 * i + 3], value_rows[6 * i + 4]
                if path.count + starts[key + 1] - starts[key] > path_room or content.count + (there if there > 0 else 0) > data_room:
                    path.full = True
                    break
                p = hive + cell
                good = (
                    regf_copy(&path, paths.at + starts[key], starts[key + 1] - starts[key])
                    and regf_name(&names, p + 20, value_rows[6 * i + 2], (p[16] & 1) != 0)
                    and (there <= 0 or regf_data(&content, hive, size, at, there, value_rows[6 * i + 5] != 0))
                )
                if not good:
                    break
                path_offsets[i + 1] = path.count
                name_offsets[i + 1] = names.count
                data_offsets[i + 1] = content.count
                stated = regf_u32(p + 4)
                sizes[i] = stated & 0x7FFFFFFF
                types[i] = regf_u32(p + 12)
                ticks = regf_u64(hive + REGF_BINS + key_rows[4 * key] + 8)
                if ticks != 0 and ticks <= 208678456368547758ULL:
                    written = <int64_t> ticks - 116444736000000000LL
                    if written >= -92233720368547758LL:
                        last_written[i] = written * 100
                        written_valid[i] = 1
                data_valid[i] = there >= 0
                key_at[i] = REGF_BINS + key_rows[4 * key]
                value_at[i] = REGF_BINS + value_rows[6 * i]
                data_at[i] = at
        if path.full:
            return None
        if path.failed or names.failed or content.failed:
            raise MemoryError()
        if not good:
            raise ValueError("this data is not of this hive")
        columns.update(
            path=regf_bytes(&path), name=regf_bytes(&names), data=regf_bytes(&content), data_valid=valid, last_written_valid=dated
        )
        return columns
    finally:
        free(starts)
        free(paths.at)
        free(path.at)
        free(names.at)
        free(content.at)
