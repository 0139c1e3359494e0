# The state of a listing, its columns, and paths of directories. Twin: _plain/mft_listing.py

from libc.stdint cimport int32_t
from libc.stdio cimport snprintf

cdef enum:  # the order of MFT_COLUMNS in the twin
    L_ID, L_SEQUENCE, L_PARENT, L_PATH, L_STREAM, L_KIND, L_STATE, L_VERDICT, L_SIZE, L_ALLOCATED, L_MODIFIED, L_ACCESSED, L_CHANGED
    L_BORN, L_LINKS, L_FLAGS, L_RUN_START, L_RUN_LENGTH, L_NAME, L_ORDINAL, L_STREAM_KIND, L_STREAM_FLAGS, L_UNIT, L_RESIDENT, L_VALID
    L_FN_MODIFIED, L_FN_ACCESSED, L_FN_CHANGED, L_FN_BORN, L_DOS_NAME, L_NAMESPACE, L_PARENT_SEQUENCE, L_RECORD_FLAGS, L_USN
    L_SECURITY, L_REPARSE, L_OBJECT_ID, L_COLUMNS
    MFT_ROOT = 5
    MFT_LIST = 8192
    MFT_PATH = 98301

cdef int64_t MFT_EPOCH = <int64_t>116444736000000000
cdef int64_t MFT_TICKS = <int64_t>92233720368547758
cdef const char* MFT_ORPHANS = "$OrphanFiles"

# Where a directory is. state: 0 not asked, 1 known, 2 being asked.
cdef struct MftPlace:
    uint64_t at
    uint32_t length
    uint8_t state
    uint8_t broken
    uint8_t dead

cdef struct MftStream:
    const unsigned char* label
    int64_t size
    int64_t valid
    int64_t allocated
    size_t run_first
    size_t runs
    uint32_t label_length
    uint16_t flags
    uint8_t code
    uint8_t unit
    uint8_t resident
    uint8_t bad

cdef struct MftHead:
    uint32_t type
    uint32_t first
    uint8_t code
    uint32_t label_length
    const unsigned char* label

cdef struct MftList:
    const MftRecord* rows
    const MftName* names
    const MftAttribute* attributes
    const int64_t* runs
    const unsigned char* text
    const uint32_t* owners
    const unsigned char* verdicts
    const int64_t* extents
    size_t n
    size_t named
    size_t many
    size_t have
    size_t text_size
    size_t pieces
    int64_t size
    int64_t cluster
    size_t count
    size_t max_rows
    size_t max_bytes
    uint32_t* first_extension
    uint32_t* next_extension
    MftPlace* places
    MftGrow paths
    MftGrow chain
    MftGrow name_list
    MftGrow attribute_list
    MftGrow heads
    MftGrow owner_head
    MftGrow order
    MftGrow streams
    MftGrow ranges
    MftGrow problems
    MftGrow columns[37]
    MftGrow beside[37]
    uint64_t nulls[37]
    size_t width[37]
    size_t room
    bint unsound


cdef inline bint mft_listed(int column) noexcept nogil:
    # Columns of texts and lists: offsets beside the values.
    return column in (L_PATH, L_STREAM, L_RUN_START, L_RUN_LENGTH, L_NAME, L_DOS_NAME, L_OBJECT_ID)


cdef inline bint mft_timed(int column) noexcept nogil:
    # Columns of times: a bit a row beside the values.
    return L_MODIFIED <= column <= L_BORN or L_FN_MODIFIED <= column <= L_FN_BORN


cdef size_t mft_width(int column) noexcept nogil:
    # Bytes of one value; of one element for texts and lists.
    if column in (L_RUN_START, L_RUN_LENGTH, L_ID, L_PARENT, L_SIZE, L_ALLOCATED, L_VALID, L_USN) or mft_timed(column):
        return 8
    if column in (L_SEQUENCE, L_LINKS, L_FLAGS, L_ORDINAL, L_PARENT_SEQUENCE, L_RECORD_FLAGS, L_SECURITY, L_REPARSE):
        return 4
    return 2 if column == L_STREAM_FLAGS else 1


cdef bint mft_widen(MftList* l, size_t rows) noexcept nogil:
    # Room for so many rows in all columns; False when there is none.
    cdef int c
    for c in range(L_COLUMNS):
        if mft_listed(c):
            if not mft_more(&l.beside[c], 8 * (rows + 1)):
                return False
        elif not mft_more(&l.columns[c], rows * l.width[c]) or (mft_timed(c) and not mft_more(&l.beside[c], rows // 8 + 1)):
            return False
    l.room = rows
    return True


# Values of the row that is being made: mft_widen has made the room.
cdef inline void mft_put64(MftList* l, int column, uint64_t value) noexcept nogil:
    (<uint64_t*>l.columns[column].data)[l.count] = value


cdef inline void mft_put32(MftList* l, int column, uint32_t value) noexcept nogil:
    (<uint32_t*>l.columns[column].data)[l.count] = value


cdef inline void mft_put16(MftList* l, int column, uint16_t value) noexcept nogil:
    (<uint16_t*>l.columns[column].data)[l.count] = value


cdef inline void mft_put8(MftList* l, int column, unsigned char value) noexcept nogil:
    l.columns[column].data[l.count] = value


cdef inline void mft_append(MftGrow* grow, const void* data, size_t n) noexcept nogil:
    cdef void* p
    if n:
        p = mft_take(grow, n)
        if p != NULL:
            memcpy(p, data, n)


cdef inline void mft_offset(MftList* l, int column, size_t width) noexcept nogil:
    # Where the row's values end.
    (<int64_t*>l.beside[column].data)[l.count + 1] = l.columns[column].used // width


cdef inline void mft_put_text(MftList* l, int column, const void* data, size_t n) noexcept nogil:
    mft_append(&l.columns[column], data, n)
    mft_offset(l, column, 1)


cdef inline void mft_put_time(MftList* l, int column, uint64_t value) noexcept nogil:
    # FILETIME to ns and a validity bit; 0 and what int64 cannot hold are null.
    cdef bint good = value - <uint64_t>(MFT_EPOCH - MFT_TICKS) <= <uint64_t>(2 * MFT_TICKS)
    cdef unsigned char* bits = l.beside[column].data + (l.count >> 3)
    mft_put64(l, column, (value - <uint64_t>MFT_EPOCH) * 100 if good else 0)
    if (l.count & 7) == 0:
        bits[0] = 0
    bits[0] |= <unsigned char>(good << (l.count & 7))
    l.nulls[column] += not good


cdef const MftName** mft_names_of(MftList* l, uint32_t number, size_t* count) noexcept nogil:
    # Names of a file: the base record's, then its extensions'.
    cdef uint32_t at = number
    cdef size_t k, end
    cdef const MftName** slot
    l.name_list.used = 0
    while True:
        end = min(<size_t>l.rows[at].name_first + l.rows[at].names, l.named)
        for k in range(l.rows[at].name_first, end):
            if l.names[k].text > l.text_size or l.names[k].length > l.text_size - l.names[k].text:
                l.unsound = True
                continue
            slot = <const MftName**>mft_take(&l.name_list, sizeof(void*))
            if slot != NULL:
                slot[0] = l.names + k
        at = l.first_extension[number] if at == number else l.next_extension[at]
        if at == MFT_UNKNOWN:
            break
    count[0] = l.name_list.used // sizeof(void*)
    return <const MftName**>l.name_list.data


cdef const MftAttribute** mft_attributes_of(MftList* l, uint32_t number, size_t* count) noexcept nogil:
    # Attributes of a file, in the same order.
    cdef uint32_t at = number
    cdef size_t k, end
    cdef const MftAttribute** slot
    l.attribute_list.used = 0
    while True:
        end = min(<size_t>l.rows[at].attribute_first + l.rows[at].attributes, l.many)
        for k in range(l.rows[at].attribute_first, end):
            if l.attributes[k].text > l.text_size or l.attributes[k].length > l.text_size - l.attributes[k].text or l.attributes[k].record >= l.n:
                l.unsound = True
                continue
            slot = <const MftAttribute**>mft_take(&l.attribute_list, sizeof(void*))
            if slot != NULL:
                slot[0] = l.attributes + k
        at = l.first_extension[number] if at == number else l.next_extension[at]
        if at == MFT_UNKNOWN:
            break
    count[0] = l.attribute_list.used // sizeof(void*)
    return <const MftAttribute**>l.attribute_list.data


cdef const MftName* mft_main_name(MftList* l, uint32_t number) noexcept nogil:
    cdef size_t count, i
    cdef const MftName** names = mft_names_of(l, number, &count)
    for i in range(count):
        if names[i].space != 2:
            return names[i]
    return names[0] if count else NULL


cdef int64_t mft_resolve(MftList* l, uint64_t reference) noexcept nogil:
    cdef uint64_t number = reference & MFT_REFERENCE
    cdef const MftRecord* row
    if number >= l.n:
        return -1
    if number == MFT_ROOT:
        return MFT_ROOT
    row = l.rows + number
    if row.status not in (1, 2) or row.base or not row.kind & 2:
        return -1
    return <int64_t>number if mft_same_sequence(<uint32_t>(reference >> 48), row.sequence, row.kind & 1) else -1


cdef inline uint64_t mft_zeros(uint64_t v) noexcept nogil:
    # Not 0 when one of the eight bytes is.
    return (v - <uint64_t>0x0101010101010101) & ~v & <uint64_t>0x8080808080808080


cdef size_t mft_part(MftGrow* out, const unsigned char* p, size_t n) noexcept nogil:
    # A name as a part of a path: "/" and NUL become U+FFFD.
    cdef size_t i = 0, made
    cdef uint64_t word
    cdef unsigned char* to = <unsigned char*>mft_take(out, 3 * n)
    if to == NULL:
        return 0
    while i + 8 <= n:
        memcpy(&word, p + i, 8)
        if mft_zeros(word) or mft_zeros(word ^ <uint64_t>0x2F2F2F2F2F2F2F2F):
            break
        memcpy(to + i, &word, 8)
        i += 8
    made = i
    for i in range(i, n):
        if p[i] == 47 or p[i] == 0:
            to[made], to[made + 1], to[made + 2] = 0xEF, 0xBF, 0xBD
            made += 3
        else:
            to[made] = p[i]
            made += 1
    out.used -= 3 * n - made
    return made


cdef size_t mft_last(MftList* l, MftGrow* out, uint32_t number, const MftName* name, const unsigned char* text) noexcept nogil:
    # The last part of a path.
    cdef char buffer[32]
    cdef int n
    if name != NULL:
        return mft_part(out, text + name.text, name.length)
    n = snprintf(buffer, 32, "OrphanFile-%u", number)
    mft_append(out, buffer, n)
    return n


cdef void mft_own_path(MftList* l, uint64_t at, uint32_t length) noexcept nogil:
    # Append a copy of paths[at:at+length] to paths; the buffer may move.
    cdef void* to = mft_take(&l.paths, length)
    if to != NULL and length:
        memcpy(to, l.paths.data + at, length)


cdef MftPlace mft_place(MftList* l, int64_t number) noexcept nogil:
    # Path of a directory, made once; chains of ancestors are walked without recursion.
    cdef MftPlace above
    cdef MftPlace* place
    cdef const MftName* name
    cdef uint32_t* slot
    cdef size_t count, i
    cdef uint32_t here
    cdef uint64_t start
    l.chain.used = 0
    while number >= 0 and l.places[number].state != 1:
        if number == MFT_ROOT:
            memset(&l.places[MFT_ROOT], 0, sizeof(MftPlace))
            l.places[MFT_ROOT].state = 1
            break
        if l.places[number].state == 2:
            mft_problem(&l.problems, number, 20, 0)
            number = -1
            break
        l.places[number].state = 2
        slot = <uint32_t*>mft_take(&l.chain, 4)
        if slot != NULL:
            slot[0] = <uint32_t>number
        name = mft_main_name(l, <uint32_t>number)
        number = mft_resolve(l, name.parent) if name != NULL else -1
    if number >= 0:
        above = l.places[number]
    else:
        memset(&above, 0, sizeof(MftPlace))
        above.state, above.broken, above.length = 1, 1, 12
    count = l.chain.used // 4
    for i in range(count):
        here = (<uint32_t*>l.chain.data)[count - 1 - i]
        name = mft_main_name(l, here)
        place = l.places + here
        start = l.paths.used
        mft_own_path(l, above.at, above.length)
        if above.length:
            mft_append(&l.paths, b"/", 1)
        mft_last(l, &l.paths, here, name, l.text)
        if l.paths.used - start > MFT_PATH or l.paths.used > l.max_bytes:
            mft_problem(&l.problems, here, 24, 0)
            l.paths.used = start
            mft_append(&l.paths, MFT_ORPHANS, 12)
            mft_append(&l.paths, b"/", 1)
            mft_last(l, &l.paths, here, name, l.text)
            above.broken = 1
        above.at, above.length = start, <uint32_t>(l.paths.used - start)
        if not l.rows[here].kind & 1:
            above.dead = 1
        above.state = 1
        place[0] = above
    return above
