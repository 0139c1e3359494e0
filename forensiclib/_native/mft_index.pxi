# Names that directories still hold, and what overwrote deleted files. Twin: _plain/mft_index.py

from libc.stdlib cimport calloc, qsort

cdef struct MftSegment:
    int64_t start
    int64_t end
    uint64_t key
    uint32_t who

cdef uint64_t MFT_LIVE = <uint64_t>0xFFFFFFFFFFFFFFFF


def mft_ranges(const unsigned char[::1] attributes not None, const unsigned char[::1] runs not None, uint32_t kind, int64_t cluster):
    """The clusters of all non-resident attributes of one type: see the plain twin."""
    cdef Py_ssize_t n = attributes.shape[0] // sizeof(MftAttribute), i
    cdef uint64_t count = runs.shape[0] // 16, k
    cdef const MftAttribute* a
    cdef const int64_t* pairs
    cdef int64_t* row
    cdef MftGrow out
    memset(&out, 0, sizeof(MftGrow))
    if n == 0 or count == 0:
        return b""
    a, pairs = <const MftAttribute*>&attributes[0], <const int64_t*>&runs[0]
    try:
        with nogil:
            for i in range(n):
                if a[i].type != kind or not a[i].non_resident or a[i].run_first > count or a[i].runs > count - a[i].run_first:
                    continue
                for k in range(a[i].run_first, a[i].run_first + a[i].runs):
                    if pairs[2 * k] < 0:
                        continue
                    row = <int64_t*>mft_take(&out, 24)
                    if row != NULL:
                        row[0], row[1], row[2] = i, pairs[2 * k] * cluster, pairs[2 * k + 1] * cluster
        return mft_bytes(&out)
    finally:
        free(out.data)


cdef int mft_know(
    MftKnown* k, const unsigned char[::1] records, const unsigned char[::1] names, const unsigned char[::1] text, const unsigned char[::1] owners
) except -1:
    memset(k, 0, sizeof(MftKnown))
    k.n, k.named, k.text_size = records.shape[0] // sizeof(MftRecord), names.shape[0] // sizeof(MftName), text.shape[0]
    if <size_t>owners.shape[0] < 4 * k.n:
        raise ValueError("owners")
    if k.n:
        k.rows, k.owner = <const MftRecord*>&records[0], <const uint32_t*>&owners[0]
    if k.named:
        k.names = <const MftName*>&names[0]
    if k.text_size:
        k.text = &text[0]
    return 0


def index_names(
    unsigned char[::1] block not None, int size, uint64_t total, uint64_t base, const unsigned char[::1] records not None,
    const unsigned char[::1] names not None, const unsigned char[::1] text not None, const unsigned char[::1] owners not None,
):
    """Directory index blocks to rows of names: see the plain twin."""
    if size < 512 or size % 512 or size > 65536:
        raise ValueError("index record size")
    cdef Py_ssize_t count = block.shape[0] // size, i
    cdef unsigned char* work = NULL
    cdef int usable, torn
    cdef MftKnown told
    cdef MftGrow found, words, problems
    mft_know(&told, records, names, text, owners)
    memset(&found, 0, sizeof(MftGrow))
    memset(&words, 0, sizeof(MftGrow))
    memset(&problems, 0, sizeof(MftGrow))
    try:
        with nogil:
            for i in range(count):
                work = &block[i * size]
                if memcmp(work, b"INDX", 4):
                    if not mft_zero(work, size):
                        mft_problem(&problems, i, 8, 0)
                    continue
                usable = mft_fix(work, size, &torn)
                if not usable:
                    mft_problem(&problems, i, 8, 0)
                    continue
                if torn >= 0:
                    mft_problem(&problems, i, 9, torn)
                mft_lost_names(work, 40, usable, total, &found, &words, &told, base)
        return mft_bytes(&found), mft_bytes(&words), mft_bytes(&problems)
    finally:
        free(found.data)
        free(words.data)
        free(problems.data)


cdef inline uint64_t mft_mix(uint64_t h, uint64_t v) noexcept nogil:
    h = (h ^ v) * <uint64_t>0x9E3779B97F4A7C15
    return h ^ (h >> 29)


cdef uint64_t mft_hash(uint64_t parent, uint64_t who, const unsigned char* p, size_t n) noexcept nogil:
    cdef uint64_t h = mft_mix(mft_mix(<uint64_t>0x51ED270B35B1F7A3, parent), who), word
    while n >= 8:
        memcpy(&word, p, 8)
        h = mft_mix(h, word)
        p += 8
        n -= 8
    word = 0
    memcpy(&word, p, n)
    return mft_mix(mft_mix(h, word), n)


cdef bint mft_same_lost(const MftName* a, const MftName* b, const unsigned char* text) noexcept nogil:
    return (
        a.parent == b.parent and memcmp(&a.times[0], &b.times[0], 40) == 0 and a.flags == b.flags and a.record == b.record
        and a.sequence == b.sequence and a.length == b.length and a.space == b.space and a.known == b.known
        and memcmp(text + a.text, text + b.text, a.length) == 0
    )


cdef bint mft_in_record(const MftKnown* k, const MftName* name, const unsigned char* text) noexcept nogil:
    # Whether the record that a stale name refers to has it, in itself or (then by hash) in an extension.
    cdef const MftRecord* row = k.rows + name.record
    cdef size_t at
    cdef const MftName* other
    if mft_told(k, name, text + name.text):
        return True
    if not k.extended or not mft_same_sequence(name.sequence, row.sequence, row.kind & 1):
        return False
    at = mft_hash(name.parent, <uint64_t>name.record + 1, text + name.text, name.length) & k.mask
    while k.by_file[at]:
        other = k.names + (k.by_file[at] - 1)
        if k.owner[other.record] == name.record and mft_same_name(other, k.text, name, text + name.text):
            return True
        at = (at + 1) & k.mask
    return False


cdef uint32_t mft_slot(const MftKnown* k, const MftName* name, const unsigned char* text, const MftName* found, const unsigned char* words) noexcept nogil:
    # Where in by_name a name without reference is, or would be.
    cdef size_t at = mft_hash(name.parent, 0, text + name.text, name.length) & k.blind_mask
    while k.by_name[at] and not mft_same_name(found + (k.by_name[at] - 1), words, name, text + name.text):
        at = (at + 1) & k.blind_mask
    return <uint32_t>at


cdef inline size_t mft_blink(const MftName* name, const unsigned char* text) noexcept nogil:
    # A number of 16 bits for parent, length and end of a name, to rule most names out.
    cdef uint64_t word = 0
    cdef size_t n = min(<size_t>name.length, <size_t>8)
    memcpy(&word, text + name.text + name.length - n, n)
    return ((word ^ name.parent ^ (<uint64_t>name.length << 56)) * <uint64_t>0x9E3779B97F4A7C15) >> 48


cdef void mft_anywhere(MftKnown* k, const MftName* found, size_t count, const unsigned char* words) noexcept nogil:
    # Names without reference into by_name; hit says for each slot whether any record has this parent and name.
    cdef size_t i, mark
    cdef uint32_t at
    cdef unsigned char marks[8192]
    memset(marks, 0, 8192)
    for i in range(count):
        if not found[i].known:
            at = mft_slot(k, found + i, words, found, words)
            if not k.by_name[at]:
                k.by_name[at] = <uint32_t>(i + 1)
            mark = mft_blink(found + i, words)
            marks[mark >> 3] |= <unsigned char>(1 << (mark & 7))
    for i in range(k.named):
        mark = mft_blink(k.names + i, k.text)
        if not (marks[mark >> 3] >> (mark & 7)) & 1:
            continue
        at = mft_slot(k, k.names + i, k.text, found, words)
        if k.by_name[at]:
            k.hit[at] = 1


cdef void mft_remember(MftKnown* k, uint32_t* table) noexcept nogil:
    # Names by hash of file and name, equal ones once.
    cdef size_t i, at
    cdef const MftName* name
    cdef const MftName* other
    for i in range(k.named):
        name = k.names + i
        at = mft_hash(name.parent, <uint64_t>k.owner[name.record] + 1, k.text + name.text, name.length) & k.mask
        while table[at]:
            other = k.names + (table[at] - 1)
            if mft_same_name(other, k.text, name, k.text + name.text) and k.owner[other.record] == k.owner[name.record]:
                break
            at = (at + 1) & k.mask
        if not table[at]:
            table[at] = <uint32_t>(i + 1)


cdef void mft_unknown(MftKnown* k, const MftName* found, size_t count, const unsigned char* text, uint32_t* seen, size_t mask, MftGrow* out) noexcept nogil:
    # Rows that no record knows, each once.
    cdef size_t i, at
    cdef const MftName* name
    cdef MftName* made
    cdef bint skip
    for i in range(count):
        name = found + i
        if name.known:
            skip = mft_in_record(k, name, text)
        else:
            skip = k.hit[mft_slot(k, name, text, found, text)] != 0
        if skip:
            continue
        at = mft_hash(mft_mix(name.parent, name.size), mft_mix(name.times[0], name.times[1] ^ name.times[2]), text + name.text, name.length) & mask
        while seen[at] and not skip:
            skip = mft_same_lost(found + (seen[at] - 1), name, text)
            at = (at + 1) & mask
        if skip:
            continue
        seen[at] = <uint32_t>(i + 1)
        made = <MftName*>mft_take(out, sizeof(MftName))
        if made != NULL:
            made[0] = name[0]


def mft_lost(
    const unsigned char[::1] records not None, const unsigned char[::1] names not None, const unsigned char[::1] text not None,
    const unsigned char[::1] owners not None, const unsigned char[::1] lost not None, const unsigned char[::1] lost_text not None,
):
    """The rows of ``lost`` that say something no file record says: see the plain twin."""
    cdef MftKnown k
    cdef size_t count = lost.shape[0] // sizeof(MftName), i, size = 16, end = text.shape[0], lost_end = lost_text.shape[0]
    cdef uint32_t* seen = NULL
    cdef const MftName* found = NULL
    cdef const unsigned char* words = NULL
    cdef size_t blind = 0, small = 16
    cdef bint sound = True
    cdef MftGrow out
    memset(&out, 0, sizeof(MftGrow))
    mft_know(&k, records, names, text, owners)
    if count == 0:
        return b""
    found = <const MftName*>&lost[0]
    if lost_end:
        words = &lost_text[0]
    with nogil:
        for i in range(k.n):
            k.extended = k.extended or k.owner[i] != i
            sound = sound and k.rows[i].names <= k.named and k.rows[i].name_first <= k.named - k.rows[i].names
        for i in range(k.named):
            sound = sound and k.names[i].record < k.n and k.names[i].text <= end and k.names[i].length <= end - k.names[i].text
        for i in range(count):
            blind += not found[i].known
            sound = sound and found[i].text <= lost_end and found[i].length <= lost_end - found[i].text
            sound = sound and (not found[i].known or found[i].record < k.n)
    if not sound:
        raise ValueError("offsets")
    while size < 2 * (count + (k.named if k.extended else 0)):
        size *= 2
    while small < 4 * blind:
        small *= 2
    k.mask, k.blind_mask = size - 1, small - 1
    try:
        seen = <uint32_t*>calloc(size, 4)
        k.by_name = <uint32_t*>calloc(small, 4)
        k.hit = <unsigned char*>calloc(small, 1)
        k.by_file = <uint32_t*>calloc(size if k.extended else 1, 4)
        if seen == NULL or k.by_name == NULL or k.hit == NULL or k.by_file == NULL:
            raise MemoryError("NTFS names")
        with nogil:
            if blind:
                mft_anywhere(&k, found, count, words)
            if k.extended:
                mft_remember(&k, k.by_file)
            mft_unknown(&k, found, count, words, seen, k.mask, &out)
        return mft_bytes(&out)
    finally:
        free(k.by_name)
        free(k.hit)
        free(k.by_file)
        free(seen)
        free(out.data)


cdef extern from *:
    """
    static int mft_segment_order(const void *a, const void *b) {
        const long long *x = (const long long *)a, *y = (const long long *)b;
        const unsigned long long *u = (const unsigned long long *)a, *v = (const unsigned long long *)b;
        unsigned int p, q;
        if (x[0] != y[0]) return x[0] < y[0] ? -1 : 1;
        if (x[1] != y[1]) return x[1] < y[1] ? -1 : 1;
        if (u[2] != v[2]) return u[2] < v[2] ? -1 : 1;
        p = *(const unsigned int *)(x + 3);
        q = *(const unsigned int *)(y + 3);
        return p < q ? -1 : p > q;
    }
    static int mft_ones(unsigned long long v) {
        int n = 0;
        for (; v; v &= v - 1) n++;
        return n;
    }
    """
    int mft_segment_order(const void* a, const void* b) noexcept nogil
    int mft_ones(unsigned long long v) noexcept nogil


cdef int64_t mft_clear(const unsigned char* bitmap, int64_t bits, int64_t start, int64_t end, bint first) noexcept nogil:
    # Clear bits of [start, end); bits past the bitmap count as set. With ``first``: stop at one.
    cdef int64_t found = 0
    cdef uint64_t word
    if end > bits:
        end = bits
    while start < end and not (first and found):
        if (start & 63) == 0 and end - start >= 64:
            memcpy(&word, bitmap + (start >> 3), 8)
            if word != <uint64_t>0xFFFFFFFFFFFFFFFF:
                found += 64 if word == 0 else mft_ones(~word)
            start += 64
        else:
            found += not ((bitmap[start >> 3] >> (start & 7)) & 1)
            start += 1
    return found


cdef inline bint mft_before(const MftSegment* a, const MftSegment* b) noexcept nogil:
    # Heap order: the latest key first, then the higher record, then the earlier end.
    if a.key != b.key:
        return a.key > b.key
    if a.who != b.who:
        return a.who > b.who
    return a.end < b.end


cdef void mft_push(uint32_t* heap, size_t* used, const MftSegment* segments, uint32_t item) noexcept nogil:
    cdef size_t at = used[0], up
    used[0] += 1
    while at:
        up = (at - 1) // 2
        if not mft_before(segments + item, segments + heap[up]):
            break
        heap[at] = heap[up]
        at = up
    heap[at] = item


cdef void mft_pop(uint32_t* heap, size_t* used, const MftSegment* segments) noexcept nogil:
    cdef size_t at = 0, down
    cdef uint32_t item
    used[0] -= 1
    item = heap[used[0]]
    while True:
        down = 2 * at + 1
        if down >= used[0]:
            break
        if down + 1 < used[0] and mft_before(segments + heap[down + 1], segments + heap[down]):
            down += 1
        if not mft_before(segments + heap[down], segments + item):
            break
        heap[at] = heap[down]
        at = down
    heap[at] = item


def mft_verdicts(
    const unsigned char[::1] records not None, const unsigned char[::1] attributes not None, const unsigned char[::1] runs not None,
    const unsigned char[::1] owners not None, const unsigned char[::1] bitmap not None,
):
    """One byte a record, whether its clusters belong to others now: see the plain twin."""
    cdef size_t n = records.shape[0] // sizeof(MftRecord), many = attributes.shape[0] // sizeof(MftAttribute), i, k, count, used = 0
    cdef uint64_t have = runs.shape[0] // 16
    cdef int64_t bits = bitmap.shape[0] * 8, pos = 0, after, patience = 8 * bits + ((<int64_t>1) << 32)
    cdef const MftRecord* rows = NULL
    cdef const MftAttribute* a
    cdef const int64_t* pairs = NULL
    cdef const uint32_t* owner
    cdef const unsigned char* map_ = NULL
    cdef const MftRecord* row
    cdef MftSegment* segments
    cdef MftSegment* made
    cdef int64_t* total = NULL
    cdef int64_t* won = NULL
    cdef uint32_t* heap = NULL
    cdef MftGrow grow
    cdef bint live
    if n == 0:
        return b""
    if <size_t>owners.shape[0] < 4 * n:
        raise ValueError("owners")
    memset(&grow, 0, sizeof(MftGrow))
    rows, owner = <const MftRecord*>&records[0], <const uint32_t*>&owners[0]
    a = <const MftAttribute*>&attributes[0] if many else NULL
    pairs = <const int64_t*>&runs[0] if have else NULL
    map_ = &bitmap[0] if bits else NULL
    out = bytearray(n)
    cdef unsigned char* verdict = out
    try:
        total = <int64_t*>calloc(n, 8)
        won = <int64_t*>calloc(n, 8)
        if total == NULL or won == NULL:
            raise MemoryError("NTFS verdicts")
        with nogil:
            for i in range(many):
                if not a[i].non_resident or a[i].record >= n or a[i].run_first > have or a[i].runs > have - a[i].run_first:
                    continue
                row = rows + owner[a[i].record]
                live = row.kind & 1
                for k in range(a[i].run_first, a[i].run_first + a[i].runs):
                    if pairs[2 * k] < 0:
                        continue
                    if live and patience > 0:
                        patience -= pairs[2 * k + 1]
                        if not mft_clear(map_, bits, pairs[2 * k], pairs[2 * k] + pairs[2 * k + 1], True):
                            continue
                    made = <MftSegment*>mft_take(&grow, sizeof(MftSegment))
                    if made == NULL:
                        break
                    made.start, made.end, made.who = pairs[2 * k], pairs[2 * k] + pairs[2 * k + 1], owner[a[i].record]
                    made.key = MFT_LIVE if live else min(max(row.times[0], row.times[2]), MFT_LIVE - 1)
                    total[made.who] += pairs[2 * k + 1]
        if grow.bad:
            raise MemoryError("NTFS verdicts")
        count = grow.used // sizeof(MftSegment)
        segments = <MftSegment*>grow.data
        heap = <uint32_t*>calloc(count + 1, 4)
        if heap == NULL:
            raise MemoryError("NTFS verdicts")
        with nogil:
            if count:
                qsort(segments, count, sizeof(MftSegment), mft_segment_order)
            i = 0
            while i < count or used:
                if not used:
                    pos = segments[i].start
                while i < count and segments[i].start <= pos:
                    mft_push(heap, &used, segments, <uint32_t>i)
                    i += 1
                while used and segments[heap[0]].end <= pos:
                    mft_pop(heap, &used, segments)
                if used:
                    after = segments[heap[0]].end
                    if i < count and segments[i].start < after:
                        after = segments[i].start
                    won[segments[heap[0]].who] += mft_clear(map_, bits, pos, after, False)
                    pos = after
            for i in range(n):
                if rows[i].status in (1, 2) and not rows[i].kind & 1:
                    verdict[i] = 1 if won[i] == total[i] else 2 if won[i] else 3
        return bytes(out)
    finally:
        free(total)
        free(won)
        free(heap)
        free(grow.data)
