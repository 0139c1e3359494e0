# NTFS file records to rows of names, attributes and runs. Twin: _plain/mft.py

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

cdef struct MftRecord:
    uint64_t base
    uint64_t times[4]
    uint64_t usn
    uint32_t flags
    uint32_t security
    uint32_t tag
    uint16_t sequence
    uint16_t links
    uint16_t kind
    uint8_t status
    uint8_t has
    uint8_t object_id[16]
    uint32_t name_first
    uint32_t attribute_first
    uint16_t names
    uint16_t attributes
    uint16_t fixups
    uint16_t pad1
    uint32_t pad2

cdef struct MftName:
    uint64_t parent
    uint64_t times[4]
    uint64_t size
    uint64_t text
    uint32_t flags
    uint32_t record
    uint16_t sequence
    uint16_t length
    uint8_t space
    uint8_t known
    uint16_t at

cdef struct MftAttribute:
    uint64_t text
    int64_t first
    int64_t after
    int64_t size
    int64_t valid
    uint64_t run_first
    uint32_t record
    uint32_t type
    uint32_t runs
    uint32_t at
    uint16_t length
    uint16_t flags
    uint8_t non_resident
    uint8_t unit
    uint16_t state

# What file records say of their names, to look up those of indexes.
cdef struct MftKnown:
    const MftRecord* rows
    const MftName* names
    const uint32_t* owner
    const unsigned char* text
    size_t n
    size_t named
    size_t text_size
    size_t mask
    bint extended
    size_t blind_mask
    unsigned char* hit
    uint32_t* by_name
    uint32_t* by_file

cdef struct MftProblem:
    uint64_t number
    uint32_t code
    uint32_t detail

cdef enum:
    MFT_UNKNOWN = 0xFFFFFFFFU

cdef uint64_t MFT_REFERENCE = (<uint64_t>1 << 48) - 1
cdef int64_t MFT_MAX = <int64_t>1 << 62
cdef uint32_t MFT_END = 0xFFFFFFFFU


cdef inline uint16_t mft_u16(const unsigned char* p) noexcept nogil:
    return <uint16_t>(p[0] | (p[1] << 8))


cdef inline uint32_t mft_u32(const unsigned char* p) noexcept nogil:
    return <uint32_t>p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24)


cdef inline uint64_t mft_u64(const unsigned char* p) noexcept nogil:
    return <uint64_t>mft_u32(p) | (<uint64_t>mft_u32(p + 4) << 32)


cdef void mft_problem(MftGrow* problems, uint64_t number, uint32_t code, uint32_t detail) noexcept nogil:
    cdef MftProblem* row = <MftProblem*>mft_take(problems, sizeof(MftProblem))
    if row != NULL:
        row.number, row.code, row.detail = number, code, detail


cdef size_t mft_text(MftGrow* text, const unsigned char* p, size_t units) noexcept nogil:
    # UTF-16LE to UTF-8, lone surrogates as U+FFFD; the bytes made.
    cdef unsigned char* out = <unsigned char*>mft_take(text, units * 3)
    cdef size_t i = 0, n = 0
    cdef uint32_t c, d
    cdef uint64_t four
    if out == NULL:
        return 0
    while i + 4 <= units:
        four = mft_u64(p + 2 * i)
        if four & <uint64_t>0xFF80FF80FF80FF80:
            break
        four = (four | four >> 8) & <uint64_t>0x0000FFFF0000FFFF
        d = <uint32_t>(four | four >> 16)
        memcpy(out + i, &d, 4)
        i += 4
    n = i
    while i < units:
        c = mft_u16(p + 2 * i)
        i += 1
        if c < 0x80:
            out[n] = <unsigned char>c
            n += 1
            continue
        if 0xD800 <= c < 0xE000:
            d = mft_u16(p + 2 * i) if i < units else 0
            if c < 0xDC00 and 0xDC00 <= d < 0xE000:
                i += 1
                c = 0x10000 + ((c - 0xD800) << 10) + (d - 0xDC00)
                out[n] = <unsigned char>(0xF0 | (c >> 18))
                out[n + 1] = <unsigned char>(0x80 | ((c >> 12) & 63))
                out[n + 2] = <unsigned char>(0x80 | ((c >> 6) & 63))
                out[n + 3] = <unsigned char>(0x80 | (c & 63))
                n += 4
                continue
            c = 0xFFFD
        if c < 0x800:
            out[n] = <unsigned char>(0xC0 | (c >> 6))
            out[n + 1] = <unsigned char>(0x80 | (c & 63))
            n += 2
        else:
            out[n] = <unsigned char>(0xE0 | (c >> 12))
            out[n + 1] = <unsigned char>(0x80 | ((c >> 6) & 63))
            out[n + 2] = <unsigned char>(0x80 | (c & 63))
            n += 3
    text.used -= units * 3 - n
    return n


cdef int mft_fix(unsigned char* record, int size, int* torn) noexcept nogil:
    # Undo the update sequence; usable bytes, 0 when the header cannot be right.
    cdef int offset = mft_u16(record + 4), count = mft_u16(record + 6), sector, usable = size
    torn[0] = -1
    if count != size // 512 + 1 or offset < 40 or offset & 1 or offset + 2 * count > min(size, 510):
        return 0
    for sector in range(count - 1):
        if memcmp(record + (sector + 1) * 512 - 2, record + offset, 2):
            if torn[0] < 0:
                torn[0] = sector
                if sector:
                    usable = sector * 512
            continue
        memcpy(record + (sector + 1) * 512 - 2, record + offset + 2 + 2 * sector, 2)
    return usable


cdef inline int64_t mft_signed(const unsigned char* p, int n) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(n):
        value |= <uint64_t>p[i] << (8 * i)
    if n < 8 and p[n - 1] & 0x80:
        value |= <uint64_t>0xFFFFFFFFFFFFFFFF << (8 * n)
    return <int64_t>value


cdef uint32_t mft_runs(MftGrow* runs, const unsigned char* p, int at, int end, int64_t vcns, int64_t clusters, int64_t bound, bint* whole) noexcept nogil:
    cdef int64_t lcn = 0, seen = 0, length, delta, start
    cdef int low, high
    cdef uint32_t count = 0
    cdef int64_t* pair
    whole[0] = False
    while at < end and p[at] and seen < vcns:
        low, high = p[at] & 15, p[at] >> 4
        if low == 0 or low > 8 or high > 8 or at + 1 + low + high > end:
            return count
        length = mft_signed(p + at + 1, low)
        if length <= 0 or length > bound - seen:
            return count
        start = -1
        if high:
            delta = mft_signed(p + at + 1 + low, high)
            if delta < -bound or delta > bound:
                return count
            lcn += delta
            if lcn < 0 or lcn > clusters or length > clusters - lcn:
                return count
            start = lcn
        pair = <int64_t*>mft_take(runs, 16)
        if pair == NULL:
            return count
        pair[0], pair[1] = start, length
        count += 1
        seen += length
        at += 1 + low + high
    whole[0] = seen == vcns
    return count


cdef int mft_plausible(const unsigned char* p, int at, int end, uint64_t records) noexcept nogil:
    cdef uint64_t parent, time, four
    cdef int length, i
    cdef uint16_t unit
    if at + 68 > end:
        return 0
    p += at
    parent = mft_u64(p)
    length = p[64]
    if (parent & MFT_REFERENCE) < 5 or (parent & MFT_REFERENCE) >= records or (parent >> 48) == 0 or length == 0 or p[65] > 3:
        return 0
    if at + 66 + 2 * length > end:
        return 0
    for i in range(4):
        time = mft_u64(p + 8 + 8 * i)
        if time <= <uint64_t>0x0100000000000000 or time >= <uint64_t>0x0300000000000000:
            return 0
    if mft_u64(p + 40) >= <uint64_t>MFT_MAX or mft_u64(p + 48) >= <uint64_t>MFT_MAX or p[40] & 7:
        return 0
    i = 0
    while i + 4 <= length:  # ASCII but for controls and "/"
        four = mft_u64(p + 66 + 2 * i)
        if four & <uint64_t>0xFF80FF80FF80FF80 or ~(four | four >> 1) & <uint64_t>0x0020002000200020:
            break
        four ^= <uint64_t>0x002F002F002F002F
        if (four - <uint64_t>0x0001000100010001) & ~four & <uint64_t>0x8000800080008000:
            break
        i += 4
    for i in range(i, length):
        unit = mft_u16(p + 66 + 2 * i)
        if unit < 32 or unit == 47:
            return 0
    return 66 + 2 * length


cdef inline bint mft_same_sequence(uint32_t wanted, uint32_t sequence, bint in_use) noexcept nogil:
    return wanted == 0 or wanted == sequence or (not in_use and (wanted + 1 == sequence or (wanted == 0xFFFF and sequence == 1)))


cdef inline bint mft_same_name(const MftName* a, const unsigned char* a_text, const MftName* b, const unsigned char* b_text) noexcept nogil:
    return a.parent == b.parent and a.length == b.length and memcmp(a_text + a.text, b_text, a.length) == 0


cdef bint mft_told(const MftKnown* k, const MftName* name, const unsigned char* word) noexcept nogil:
    # Whether the base record that a name of an index refers to has it itself.
    cdef const MftRecord* row
    cdef const MftName* other
    cdef size_t i
    if name.record >= k.n or k.owner[name.record] != name.record:
        return False
    row = k.rows + name.record
    if row.names > k.named or row.name_first > k.named - row.names or not mft_same_sequence(name.sequence, row.sequence, row.kind & 1):
        return False
    for i in range(row.name_first, <size_t>row.name_first + row.names):
        other = k.names + i
        if other.text <= k.text_size and other.length <= k.text_size - other.text and mft_same_name(other, k.text, name, word):
            return True
    return False


cdef void mft_lost_names(
    const unsigned char* p, int at, int end, uint64_t records, MftGrow* names, MftGrow* text, const MftKnown* told, uint64_t base
) noexcept nogil:
    # Every FILE_NAME key on an 8-byte boundary that ``told`` does not know; 16 bytes before ``at`` must be readable.
    cdef int size, key, length, i
    cdef uint64_t reference
    cdef bint known
    cdef MftName* row
    cdef size_t start
    at = (at + 7) & ~7
    while at + 68 <= end:
        size = mft_plausible(p, at, end, records)
        if not size:
            at += 8
            continue
        reference, length, key = mft_u64(p + at - 16), mft_u16(p + at - 8), mft_u16(p + at - 6)
        known = key == size and length >= 16 + size and (length & 7) == 0 and (reference >> 48) != 0 and (reference & MFT_REFERENCE) < records
        start = text.used
        row = <MftName*>mft_take(names, sizeof(MftName))
        if row == NULL:
            return
        row.parent = mft_u64(p + at)
        row.record = <uint32_t>(reference & MFT_REFERENCE) if known else MFT_UNKNOWN
        row.sequence = <uint16_t>(reference >> 48) if known else 0
        row.text = base + start
        row.length = <uint16_t>mft_text(text, p + at + 66, p[at + 64])
        if told != NULL and known and not text.bad and mft_told(told, row, text.data + start):
            names.used -= sizeof(MftName)
            text.used = start
        else:
            for i in range(4):
                row.times[i] = mft_u64(p + at + 8 + 8 * i)
            row.size = mft_u64(p + at + 48)
            row.flags = mft_u32(p + at + 56)
            row.space, row.known, row.at = p[at + 65], known, 0
        at = (at + size + 7) & ~7


cdef struct MftOut:
    MftGrow records
    MftGrow names
    MftGrow attributes
    MftGrow runs
    MftGrow text
    MftGrow lost
    MftGrow lost_text
    MftGrow problems
    int64_t clusters
    int64_t bound
    uint64_t total
    int size


cdef void mft_name(MftOut* out, MftRecord* row, const unsigned char* p, int here, int content_size, uint32_t number, int pos) noexcept nogil:
    # A $FILE_NAME attribute whose content is at ``here``.
    cdef int length = p[here + 64] if content_size >= 66 else 0, i
    cdef MftName* name
    cdef size_t start = out.text.used
    if length == 0 or content_size < 66 + 2 * length:
        mft_problem(&out.problems, number, 7, pos)
        return
    name = <MftName*>mft_take(&out.names, sizeof(MftName))
    if name == NULL:
        return
    name.parent = mft_u64(p + here)
    for i in range(4):
        name.times[i] = mft_u64(p + here + 8 + 8 * i)
    name.size = mft_u64(p + here + 48)
    name.flags = mft_u32(p + here + 56)
    name.record, name.sequence, name.known, name.at = number, 0, 1, <uint16_t>here
    name.text = start
    name.space = p[here + 65]
    name.length = <uint16_t>mft_text(&out.text, p + here + 66, length)
    if name.flags & 0x400 and not row.tag:
        row.tag = mft_u32(p + here + 60)


cdef void mft_attribute(
    MftOut* out, MftRecord* row, const unsigned char* p, int pos, int length, int here, int content_size, uint32_t number
) noexcept nogil:
    # Any attribute with a row of its own.
    cdef uint32_t kind = mft_u32(p + pos)
    cdef bint plain = p[pos + 8] == 0, whole = True
    cdef int name_length = p[pos + 9], name_at = mft_u16(p + pos + 10), unit
    cdef int64_t last
    cdef size_t start = out.text.used
    cdef MftAttribute* a = <MftAttribute*>mft_take(&out.attributes, sizeof(MftAttribute))
    if a == NULL:
        return
    memset(a, 0, sizeof(MftAttribute))
    if name_at + 2 * name_length > length:
        name_length = 0
    a.type, a.record, a.flags = kind, number, mft_u16(p + pos + 12)
    a.text = start
    a.length = <uint16_t>mft_text(&out.text, p + pos + name_at, name_length)
    a.run_first = out.runs.used // 16
    a.at = pos
    if kind == 0x20:
        row.has |= 2
    elif kind == 0xC0:
        row.has |= 16
        if plain and content_size >= 8:
            row.tag = mft_u32(p + here)
    if plain:
        a.size = a.valid = content_size
        a.at = here
        return
    a.non_resident = 1
    a.first, last = <int64_t>mft_u64(p + pos + 16), <int64_t>mft_u64(p + pos + 24)
    unit = mft_u16(p + pos + 34)
    a.after = last + 1 if -1 <= last < out.bound else -1
    if a.first == 0:
        a.size, a.valid = <int64_t>mft_u64(p + pos + 48), <int64_t>mft_u64(p + pos + 56)
        if not (0 <= a.size < MFT_MAX) or not (0 <= a.valid <= a.size):
            a.state = 1
            if not (0 <= a.size < MFT_MAX):
                a.size = 0
            a.valid = min(max(a.valid, <int64_t>0), a.size)
    if a.first < 0 or a.first > a.after or unit > 16:
        a.state, a.first, a.after = 1, 0, 0
    else:
        a.unit = <uint8_t>unit
        if a.after > a.first:
            a.runs = mft_runs(&out.runs, p, pos + mft_u16(p + pos + 32), pos + length, a.after - a.first, out.clusters, out.bound, &whole)
            if not whole:
                a.state |= 1
    if a.state:
        mft_problem(&out.problems, number, 6, pos)


cdef int mft_chain(MftOut* out, MftRecord* row, const unsigned char* p, int pos, int end, int torn, uint32_t number) noexcept nogil:
    # The attributes of one record; returns where the names end: the first attribute behind them.
    cdef uint32_t kind, length
    cdef bint plain
    cdef int content_size, here, i, behind = 0
    while True:
        if pos + 4 <= end and mft_u32(p + pos) == MFT_END:
            return behind if behind else pos
        plain = pos + 16 <= end and p[pos + 8] == 0
        length = mft_u32(p + pos + 4) if pos + 16 <= end else 0
        if length < (24 if plain else 64) or length & 7 or length > <uint32_t>(end - pos):
            if torn < 1:
                row.has |= 4
                mft_problem(&out.problems, number, 5, pos)
            return behind if behind else pos
        kind = mft_u32(p + pos)
        if kind > 0x30 and not behind:
            behind = pos
        content_size, here = 0, pos
        if plain:
            here = pos + mft_u16(p + pos + 20)
            if mft_u32(p + pos + 16) > length or here - pos + mft_u32(p + pos + 16) > length:
                mft_problem(&out.problems, number, 7, pos)
                row.has |= 4
                pos += length
                continue
            content_size = mft_u32(p + pos + 16)
        if kind == 0x10 and plain:
            if content_size < 48:
                mft_problem(&out.problems, number, 7, pos)
            else:
                for i in range(4):
                    row.times[i] = mft_u64(p + here + 8 * i)
                row.flags = mft_u32(p + here + 32)
                row.has |= 1
                if content_size >= 72:
                    row.security, row.usn = mft_u32(p + here + 52), mft_u64(p + here + 64)
        elif kind == 0x30 and plain:
            mft_name(out, row, p, here, content_size, number, pos)
        elif kind == 0x40 and plain and content_size >= 16:
            memcpy(row.object_id, p + here, 16)
            row.has |= 8
        elif not (kind == 0x50 and plain):
            mft_attribute(out, row, p, pos, length, here, content_size, number)
        pos += length


cdef bint mft_zero(const unsigned char* p, int n) noexcept nogil:
    return p[0] == 0 and memcmp(p, p + 1, n - 1) == 0


cdef void mft_one(MftOut* out, unsigned char* work, uint64_t number) noexcept nogil:
    # One file record; its update sequence is undone in place.
    cdef MftRecord row
    cdef MftRecord* made
    cdef int usable = 0, torn = -1, at, code = 0, detail = 0, end
    memset(&row, 0, sizeof(MftRecord))
    row.name_first = <uint32_t>(out.names.used // sizeof(MftName))
    row.attribute_first = <uint32_t>(out.attributes.used // sizeof(MftAttribute))
    row.status = 3
    if memcmp(work, b"FILE", 4) == 0:
        usable = mft_fix(work, out.size, &torn)
        row.fixups, row.sequence, row.links = mft_u16(work + 4), mft_u16(work + 16), mft_u16(work + 18)
        at, row.kind, row.base = mft_u16(work + 20), mft_u16(work + 22), mft_u64(work + 32)
        if not usable or at < 40 or at + 8 > out.size or at & 7:
            code = 3
        else:
            row.status = 1
            if torn >= 0:
                row.status, row.has, code, detail = 2, 4, 4, torn
    elif mft_zero(work, out.size):
        row.status = 0
    else:
        code = 1 if memcmp(work, b"BAAD", 4) == 0 else 2
    if code:
        mft_problem(&out.problems, number, code, detail)
    if row.status == 1 or row.status == 2:
        end = usable if mft_u32(work + 24) > <uint32_t>usable else <int>mft_u32(work + 24)
        at = mft_chain(out, &row, work, at, end, torn, <uint32_t>number)
        if row.kind & 2:
            mft_lost_names(work, at + 16, usable, out.total, &out.lost, &out.lost_text, NULL, 0)
    row.names = <uint16_t>(out.names.used // sizeof(MftName) - row.name_first)
    row.attributes = <uint16_t>(out.attributes.used // sizeof(MftAttribute) - row.attribute_first)
    made = <MftRecord*>mft_take(&out.records, sizeof(MftRecord))
    if made != NULL:
        made[0] = row


def mft_scan(
    unsigned char[::1] block not None, int size, uint64_t first, int64_t cluster, int64_t clusters, uint64_t total,
    list tables not None, uint64_t[::1] filled not None,
):
    """File records of ``size`` bytes each to rows: see the plain twin."""
    if size < 512 or size % 512 or size > 65536:
        raise ValueError("record size")
    if cluster < 1 or clusters < 0:
        raise ValueError("negative geometry")
    if len(tables) != 7 or filled.shape[0] != 7:
        raise ValueError("tables")
    cdef MftOut out
    cdef Py_ssize_t count = block.shape[0] // size, i
    cdef unsigned char* raw = NULL
    cdef MftGrow* grow[7]
    memset(&out, 0, sizeof(MftOut))
    out.clusters, out.total, out.size, out.bound = clusters, total, size, MFT_MAX // cluster
    grow[:] = [&out.records, &out.names, &out.attributes, &out.runs, &out.text, &out.lost, &out.lost_text]
    for i, room in enumerate((sizeof(MftRecord), 80, 96, 16, 48, 0, 0)):  # bytes a record, as a first guess
        mft_own(grow[i], tables[i], filled[i], room * total)
    if count:
        raw = &block[0]
    try:
        with nogil:
            for i in range(count):
                mft_one(&out, raw + i * size, first + i)
        for i in range(7):
            if grow[i].bad:
                raise MemoryError("NTFS listing")
            filled[i] = grow[i].used
        return mft_bytes(&out.problems)
    finally:
        free(out.problems.data)


def mft_owners(const unsigned char[::1] records not None):
    """The base record of each record, and the records that have another than themselves: see the plain twin."""
    cdef Py_ssize_t n = records.shape[0] // sizeof(MftRecord), i
    cdef const MftRecord* rows = NULL
    cdef const MftRecord* owner
    cdef uint64_t number
    cdef uint32_t* slot
    cdef MftGrow others
    if n == 0:
        return b"", b""
    memset(&others, 0, sizeof(MftGrow))
    out = bytearray(4 * n)
    cdef uint32_t* owners = <uint32_t*><unsigned char*>out
    rows = <const MftRecord*>&records[0]
    try:
        with nogil:
            for i in range(n):
                owners[i] = <uint32_t>i
                number = rows[i].base & MFT_REFERENCE
                if rows[i].base == 0 or rows[i].status not in (1, 2) or number >= <uint64_t>n or number == <uint64_t>i:
                    continue
                owner = rows + number
                if owner.base or owner.status not in (1, 2) or (owner.kind ^ rows[i].kind) & 1:
                    continue
                if mft_same_sequence(<uint32_t>(rows[i].base >> 48), owner.sequence, owner.kind & 1):
                    owners[i] = <uint32_t>number
                    slot = <uint32_t*>mft_take(&others, 4)
                    if slot != NULL:
                        slot[0] = <uint32_t>i
        return out, mft_bytes(&others)
    finally:
        free(others.data)
