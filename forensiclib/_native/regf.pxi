# Registry hives: the live tree as numbers. Twin: _plain/regf.py

from array import array as regf_array
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp


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
