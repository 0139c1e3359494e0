# Registry hives, from bytes to numbers and columns. Twin: _plain/regf.py

from array import array as regf_array
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy


cdef enum:
    REGF_BINS = 4096
    REGF_SEGMENT = 16344
    REGF_MAX_DEPTH = 512
    REGF_MAX_INDEX = 4
    REGF_OUTSIDE = 1
    REGF_SHORT = 2
    REGF_SIGNATURE = 3
    REGF_FREE = 4
    REGF_TWICE = 5
    REGF_DEEP = 6
    REGF_COUNT = 7
    REGF_NAME = 8
    REGF_DATA = 9
    REGF_UNREADABLE = 10
    REGF_TRUNCATED = 11
    REGF_KEY = 0
    REGF_INDEX = 1
    REGF_LIST = 2
    REGF_VALUE = 3
    REGF_VALUE_DATA = 4
    REGF_SECURITY = 5
    REGF_CLASS = 6


cdef struct RegfRows:
    int64_t* at
    int64_t count
    int64_t room
    bint failed


cdef struct RegfWalk:
    const unsigned char* bins
    int64_t n
    const int64_t* bad
    int64_t bads
    int64_t items
    int64_t max_items
    unsigned char* seen
    RegfRows keys
    RegfRows values
    RegfRows used
    RegfRows damage
    RegfRows children
    RegfRows stack


cdef inline void regf_push(RegfRows* rows, int64_t value) noexcept nogil:
    cdef int64_t room
    cdef int64_t* more
    if rows.count == rows.room:
        room = rows.room * 2 if rows.room else 1024
        more = <int64_t*> realloc(rows.at, room * sizeof(int64_t))
        if more == NULL:
            rows.failed = True
            rows.count = 0
            return
        rows.at = more
        rows.room = room
    rows.at[rows.count] = value
    rows.count += 1


cdef inline uint32_t regf_u16(const unsigned char* p) noexcept nogil:
    return p[0] | (p[1] << 8)


cdef inline uint32_t regf_u32(const unsigned char* p) noexcept nogil:
    return p[0] | (p[1] << 8) | (p[2] << 16) | (<uint32_t> p[3] << 24)


cdef inline uint64_t regf_u64(const unsigned char* p) noexcept nogil:
    return regf_u32(p) | (<uint64_t> regf_u32(p + 4) << 32)


cdef inline void regf_hurt(RegfWalk* w, int64_t code, int64_t what, int64_t offset) noexcept nogil:
    regf_push(&w.damage, code)
    regf_push(&w.damage, what)
    regf_push(&w.damage, offset)


cdef inline void regf_use(RegfWalk* w, int64_t offset, int64_t length) noexcept nogil:
    regf_push(&w.used, offset)
    regf_push(&w.used, length)


cdef inline bint regf_seen(RegfWalk* w, int64_t offset) noexcept nogil:
    # Offsets beyond the bins are nobody's; every other one is a multiple of 8 by then.
    if offset & 7 or offset >= w.n:
        return False
    return (w.seen[offset >> 6] >> ((offset >> 3) & 7)) & 1


cdef inline void regf_see(RegfWalk* w, int64_t offset) noexcept nogil:
    w.seen[offset >> 6] |= <unsigned char> (1 << ((offset >> 3) & 7))


cdef inline bint regf_first(RegfWalk* w, int64_t offset, int64_t what) noexcept nogil:
    if regf_seen(w, offset):
        regf_hurt(w, REGF_TWICE, what, offset)
        return False
    regf_see(w, offset)
    return True


cdef inline bint regf_counted(RegfWalk* w) noexcept nogil:
    w.items += 1
    return w.items <= w.max_items


cdef int64_t regf_cell(RegfWalk* w, int64_t offset, int64_t what) noexcept nogil:
    cdef int64_t size, have, i
    cdef bint unallocated
    if offset & 7 or offset + 8 > w.n:
        regf_hurt(w, REGF_OUTSIDE, what, offset)
        return -1
    size = <int32_t> regf_u32(w.bins + offset)
    unallocated = size > 0
    if size < 0:
        size = -size
    if size < 8:
        regf_hurt(w, REGF_SHORT, what, offset)
        return -1
    have = size if size < w.n - offset else w.n - offset
    for i in range(w.bads):
        if offset < w.bad[2 * i + 1] and w.bad[2 * i] < offset + have:
            regf_hurt(w, REGF_UNREADABLE, what, offset)
            return -1
    if have < size:
        regf_hurt(w, REGF_TRUNCATED, what, offset)
    if unallocated:
        regf_hurt(w, REGF_FREE, what, offset)
    return have - 4


cdef int64_t regf_record(RegfWalk* w, int64_t offset, int64_t what, const char* signature, int64_t size) noexcept nogil:
    cdef int64_t have = regf_cell(w, offset, what)
    if have < 0:
        return -1
    if have < size:
        regf_hurt(w, REGF_SHORT, what, offset)
        return -1
    if memcmp(w.bins + offset + 4, signature, 2) != 0:
        regf_hurt(w, REGF_SIGNATURE, what, offset)
        return -1
    return have


cdef inline int64_t regf_least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef void regf_index(RegfWalk* w, int64_t offset, int level) noexcept nogil:
    cdef int64_t have, count, stride, i, entry
    cdef const unsigned char* p
    cdef bint root
    if level > REGF_MAX_INDEX:
        regf_hurt(w, REGF_DEEP, REGF_INDEX, offset)
        return
    have = regf_cell(w, offset, REGF_INDEX)
    if have < 0:
        return
    if have < 4:
        regf_hurt(w, REGF_SHORT, REGF_INDEX, offset)
        return
    p = w.bins + offset + 4
    root = p[0] == c'r' and p[1] == c'i'
    if not root and not (p[0] == c'l' and (p[1] == c'f' or p[1] == c'h' or p[1] == c'i')):
        regf_hurt(w, REGF_SIGNATURE, REGF_INDEX, offset)
        return
    if not regf_first(w, offset, REGF_INDEX):
        return
    stride = 8 if p[1] != c'i' else 4
    count = regf_u16(p + 2)
    if 4 + count * stride > have:
        regf_hurt(w, REGF_COUNT, REGF_INDEX, offset)
        count = (have - 4) // stride
    regf_use(w, offset, 8 + count * stride)
    for i in range(count):
        if not regf_counted(w):
            return
        entry = regf_u32(p + 4 + i * stride)
        if root:
            regf_index(w, entry, level + 1)
        else:
            regf_push(&w.children, entry)


cdef int64_t regf_big_data(RegfWalk* w, int64_t offset, int64_t wanted) noexcept nogil:
    cdef int64_t count = regf_u16(w.bins + offset + 6), segments = regf_u32(w.bins + offset + 8)
    cdef int64_t have, got = 0, i, segment, need
    regf_use(w, offset, 12)
    have = regf_cell(w, segments, REGF_VALUE_DATA)
    if have < 0:
        return 0
    count = regf_least(count, have // 4)
    regf_use(w, segments, 4 + 4 * count)
    for i in range(count):
        if got >= wanted or not regf_counted(w):
            break
        segment = regf_u32(w.bins + segments + 4 + 4 * i)
        have = regf_cell(w, segment, REGF_VALUE_DATA)
        if have < 0:
            break
        need = regf_least(REGF_SEGMENT, wanted - got)
        regf_use(w, segment, 4 + regf_least(have, need))
        got += regf_least(have, need)
        if have < need:
            break
    return got


cdef void regf_value(RegfWalk* w, int64_t offset, int64_t key) noexcept nogil:
    cdef int64_t have = regf_record(w, offset, REGF_VALUE, b"vk", 20), name, raw, where
    cdef int64_t at = -1, size = 0, big = 0
    cdef const unsigned char* p
    if have < 0:
        return
    p = w.bins + offset + 4
    name = regf_u16(p + 2)
    raw = regf_u32(p + 4)
    where = regf_u32(p + 8)
    if regf_seen(w, offset):
        regf_hurt(w, REGF_TWICE, REGF_VALUE, offset)
    regf_see(w, offset)
    if 20 + name > have:
        regf_hurt(w, REGF_NAME, REGF_VALUE, offset)
        name = have - 20
    regf_use(w, offset, 24 + name)
    if raw & 0x80000000U:
        size = raw & 0x7FFFFFFF
        if size > 4:
            regf_hurt(w, REGF_DATA, REGF_VALUE, offset)
            size = 4
        if size:
            at = REGF_BINS + offset + 12
    elif raw:
        have = regf_cell(w, where, REGF_VALUE_DATA)
        if have < 0:
            regf_hurt(w, REGF_DATA, REGF_VALUE, offset)
            size = -1
        elif have < raw and have >= 8 and w.bins[where + 4] == c'd' and w.bins[where + 5] == c'b':
            at = REGF_BINS + where + 4
            big = 1
            size = regf_big_data(w, where, raw)
            if size < raw:
                regf_hurt(w, REGF_DATA, REGF_VALUE, offset)
        else:
            at = REGF_BINS + where + 4
            size = regf_least(have, raw)
            if have < raw:
                regf_hurt(w, REGF_DATA, REGF_VALUE, offset)
            regf_use(w, where, 4 + size)
    regf_push(&w.values, offset)
    regf_push(&w.values, key)
    regf_push(&w.values, name)
    regf_push(&w.values, at)
    regf_push(&w.values, size)
    regf_push(&w.values, big)


cdef void regf_values(RegfWalk* w, int64_t offset, int64_t count, int64_t key, int64_t owner) noexcept nogil:
    cdef int64_t have = regf_cell(w, offset, REGF_LIST), i
    if have < 0 or not regf_first(w, offset, REGF_LIST):
        return
    if have // 4 < count:
        regf_hurt(w, REGF_COUNT, REGF_LIST, owner)
        count = have // 4
    regf_use(w, offset, 4 + 4 * count)
    for i in range(count):
        if not regf_counted(w):
            return
        regf_value(w, regf_u32(w.bins + offset + 4 + 4 * i), key)


cdef void regf_security(RegfWalk* w, int64_t offset) noexcept nogil:
    cdef int64_t have = regf_record(w, offset, REGF_SECURITY, b"sk", 20), size
    if have < 0:
        return
    regf_see(w, offset)
    size = regf_u32(w.bins + offset + 20)
    if 20 + size > have:
        regf_hurt(w, REGF_DATA, REGF_SECURITY, offset)
    regf_use(w, offset, 24 + regf_least(size, have - 20))


cdef void regf_class(RegfWalk* w, int64_t offset, int64_t length) noexcept nogil:
    cdef int64_t have = regf_cell(w, offset, REGF_CLASS)
    if have < 0:
        return
    if have < length:
        regf_hurt(w, REGF_DATA, REGF_CLASS, offset)
    regf_use(w, offset, 4 + regf_least(have, length))


cdef void regf_key(RegfWalk* w, int64_t offset, int64_t parent, int64_t depth) noexcept nogil:
    cdef int64_t have = regf_record(w, offset, REGF_KEY, b"nk", 76), name, number, i
    cdef uint32_t security
    cdef const unsigned char* p
    if have < 0 or not regf_first(w, offset, REGF_KEY):
        return
    p = w.bins + offset + 4
    name = regf_u16(p + 72)
    if 76 + name > have:
        regf_hurt(w, REGF_NAME, REGF_KEY, offset)
        name = have - 76
    number = w.keys.count // 4
    regf_push(&w.keys, offset)
    regf_push(&w.keys, parent)
    regf_push(&w.keys, depth)
    regf_push(&w.keys, name)
    regf_use(w, offset, 80 + name)
    security = regf_u32(p + 44)
    if security != 0xFFFFFFFFU and not regf_seen(w, security):
        regf_security(w, security)
    if regf_u16(p + 74) and regf_u32(p + 48) != 0xFFFFFFFFU:
        regf_class(w, regf_u32(p + 48), regf_u16(p + 74))
    if regf_u32(p + 36):
        regf_values(w, regf_u32(p + 40), regf_u32(p + 36), number, offset)
    if regf_u32(p + 20):
        w.children.count = 0
        regf_index(w, regf_u32(p + 28), 0)
        if w.children.count != regf_u32(p + 20):
            regf_hurt(w, REGF_COUNT, REGF_INDEX, offset)
        for i in range(w.children.count - 1, -1, -1):
            regf_push(&w.stack, w.children.at[i])
            regf_push(&w.stack, number)
            regf_push(&w.stack, depth + 1)


cdef void regf_run(RegfWalk* w, int64_t root) noexcept nogil:
    cdef int64_t offset, parent, depth
    regf_push(&w.stack, root)
    regf_push(&w.stack, -1)
    regf_push(&w.stack, 0)
    while w.stack.count >= 3 and regf_counted(w):
        w.stack.count -= 3
        offset = w.stack.at[w.stack.count]
        parent = w.stack.at[w.stack.count + 1]
        depth = w.stack.at[w.stack.count + 2]
        if depth > REGF_MAX_DEPTH:
            regf_hurt(w, REGF_DEEP, REGF_KEY, offset)
            continue
        regf_key(w, offset, parent, depth)


cdef object regf_out(RegfRows* rows):
    out = regf_array("q")
    if rows.count:
        out.frombytes((<const char*> rows.at)[:rows.count * sizeof(int64_t)])
    return out


def regf_walk(const unsigned char[::1] data not None, int64_t root, const unsigned char[::1] bad not None, int64_t max_items):
    """Every key and value below the key node at ``root``. See the plain twin for the contract."""
    cdef RegfWalk w
    cdef Py_ssize_t size = data.shape[0]
    if not 0 <= root <= 0xFFFFFFFFLL or max_items < 0:
        raise ValueError("root is a u32, the limit is not negative")
    ranges = regf_array("q", bytes(bad))
    if len(ranges) % 2:
        raise ValueError("bad holds pairs")
    cdef int64_t[::1] pairs
    w.bins = &data[0] + REGF_BINS if size > REGF_BINS else NULL
    w.n = size - REGF_BINS if size > REGF_BINS else 0
    w.bads = len(ranges) // 2
    w.bad = NULL
    if w.bads:
        pairs = ranges
        w.bad = &pairs[0]
    w.items = 0
    w.max_items = max_items
    w.keys = w.values = w.used = w.damage = w.children = w.stack = RegfRows(NULL, 0, 0, False)
    w.seen = <unsigned char*> calloc((w.n >> 6) + 1, 1)
    if w.seen == NULL:
        raise MemoryError()
    try:
        with nogil:
            regf_run(&w, root)
        if w.keys.failed or w.values.failed or w.used.failed or w.damage.failed or w.children.failed or w.stack.failed:
            raise MemoryError()
        return regf_out(&w.keys), regf_out(&w.values), regf_out(&w.used), regf_out(&w.damage), w.items
    finally:
        free(w.seen)
        free(w.keys.at)
        free(w.values.at)
        free(w.used.at)
        free(w.damage.at)
        free(w.children.at)
        free(w.stack.at)


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
                if ticks != 0 and ticks <= 208817092805475807ULL:
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


def marvin32(const unsigned char[::1] data not None, uint64_t seed):
    """Marvin32, 64 bits. See the plain twin for the contract."""
    cdef uint32_t low = <uint32_t> (seed & 0xFFFFFFFFU), high = <uint32_t> (seed >> 32), word
    cdef Py_ssize_t n = data.shape[0], i, left
    with nogil:
        for i in range((n >> 2) + 2):
            if i < n >> 2:
                word = regf_u32(&data[4 * i])
            elif i == n >> 2:
                word = <uint32_t> 0x80 << (8 * (n & 3))
                for left in range(n & 3):
                    word |= <uint32_t> data[4 * i + left] << (8 * left)
            else:
                word = 0
            low += word
            high ^= low
            low = ((low << 20) | (low >> 12)) + high
            high = (high << 9) | (high >> 23)
            high ^= low
            low = ((low << 27) | (low >> 5)) + high
            high = (high << 19) | (high >> 13)
    return (<uint64_t> high << 32) | low
