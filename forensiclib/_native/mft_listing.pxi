# File records to the rows of a listing. Twin: _plain/mft_listing.py


cdef inline bint mft_same_text(MftList* l, const MftAttribute* a, const MftAttribute* b) noexcept nogil:
    return a.length == b.length and memcmp(l.text + a.text, l.text + b.text, a.length) == 0


cdef size_t mft_heads(MftList* l, const MftAttribute** attributes, size_t count, bint is_dir) noexcept nogil:
    # Streams of one file into l.heads, the piece's head into l.owner_head; the order to show them in l.order.
    cdef size_t i, h, heads = 0
    cdef int64_t main = -1
    cdef MftHead* head
    cdef int32_t* belongs
    cdef uint32_t* order
    cdef const MftAttribute* a
    cdef const MftAttribute* first
    cdef uint32_t kind
    l.heads.used, l.owner_head.used, l.order.used = 0, 0, 0
    belongs = <int32_t*>mft_take(&l.owner_head, 4 * count + 4)
    if belongs == NULL:
        return 0
    for i in range(count):
        a, belongs[i] = attributes[i], -1
        kind = a.type
        if kind not in (0x80, 0x90, 0xA0, 0xE0, 0x100):
            continue
        for h in range(heads):
            head = <MftHead*>l.heads.data + h
            first = attributes[head.first]
            if not mft_same_text(l, first, a):
                continue
            if head.type == 0xA0 and kind == 0x90:
                break
            if head.type == 0x90 and kind == 0xA0:
                belongs[head.first] = -1
                head.type, head.first, belongs[i] = kind, <uint32_t>i, <int32_t>h
                break
            if head.type == kind and a.non_resident and first.non_resident and first.first != a.first:
                belongs[i] = <int32_t>h
                break
        else:
            head = <MftHead*>mft_take(&l.heads, sizeof(MftHead))
            if head == NULL:
                return 0
            head.type, head.first, belongs[i] = kind, <uint32_t>i, <int32_t>heads
            heads += 1
    for h in range(heads):
        head = <MftHead*>l.heads.data + h
        a = attributes[head.first]
        head.label, head.label_length = l.text + a.text, a.length
        if head.type == 0x80:
            head.code = 1 if a.length else 0
        elif head.type == 0x90 or head.type == 0xA0:
            head.code = 2
            if is_dir and a.length == 4 and memcmp(head.label, b"$I30", 4) == 0:
                head.label_length = 0
        else:
            head.code = 3 if head.type == 0xE0 else 4
            if not head.label_length:
                head.label = <const unsigned char*>(b"$EA" if head.type == 0xE0 else b"$LOGGED_UTILITY_STREAM")
                head.label_length = 3 if head.type == 0xE0 else 22
        if head.label_length == 0 and (main < 0 or (head.code == 2 and (<MftHead*>l.heads.data)[main].code == 0)):
            main = h
    order = <uint32_t*>mft_take(&l.order, 4 * heads + 4)
    if order == NULL:
        return 0
    i = 0
    if main >= 0:
        order[0] = <uint32_t>main
        i = 1
    for h in range(heads):
        if <int64_t>h != main:
            order[i] = <uint32_t>h
            i += 1
    return heads


cdef void mft_range(MftList* l, int64_t start, int64_t length) noexcept nogil:
    cdef int64_t* pair = <int64_t*>mft_take(&l.ranges, 16)
    if pair != NULL:
        pair[0], pair[1] = start, length


cdef void mft_pieces(MftList* l, int64_t at, int64_t length) noexcept nogil:
    # Volume ranges of [at, at+length) of the $MFT.
    cdef size_t i
    cdef int64_t take
    for i in range(l.pieces):
        if length <= 0:
            return
        if at < l.extents[2 * i + 1]:
            take = min(l.extents[2 * i + 1] - at, length)
            mft_range(l, l.extents[2 * i] + at, take)
            at += take
            length -= take
        at = max(<int64_t>0, at - l.extents[2 * i + 1])


cdef void mft_resident(MftList* l, const MftAttribute* a) noexcept nogil:
    # Resident content: the last two bytes of each sector stand in the update sequence.
    cdef int64_t base = <int64_t>a.record * l.size, at = a.at, end = at + a.size, tail, take, where
    while at < end:
        tail = at // 512 * 512 + 510
        if at < tail:
            take, where = min(end, tail) - at, at
        else:
            take = min(end, tail + 2) - at
            where = l.rows[a.record].fixups + 2 + 2 * (at // 512) + (at - tail)
        mft_pieces(l, base + where, take)
        at += take


cdef void mft_assemble(MftList* l, uint32_t number, size_t h, const MftAttribute** attributes, size_t count) noexcept nogil:
    # One stream: its pieces in VCN order.
    cdef MftHead* head = <MftHead*>l.heads.data + h
    cdef int32_t* belongs = <int32_t*>l.owner_head.data
    cdef MftStream* s = <MftStream*>mft_take(&l.streams, sizeof(MftStream))
    cdef const MftAttribute* a
    cdef const MftAttribute** pieces
    cdef size_t i, k, used = 0
    cdef int64_t expected, total = 0
    if s == NULL:
        return
    memset(s, 0, sizeof(MftStream))
    l.chain.used = 0
    pieces = <const MftAttribute**>mft_take(&l.chain, (count + 1) * sizeof(void*))
    if pieces == NULL:
        return
    for i in range(head.first, count):
        if belongs[i] != <int32_t>h:
            continue
        k = used
        while k and pieces[k - 1].first > attributes[i].first:
            pieces[k] = pieces[k - 1]
            k -= 1
        pieces[k] = attributes[i]
        used += 1
    a = pieces[0]
    s.label, s.label_length, s.code, s.flags = head.label, head.label_length, head.code, a.flags
    s.run_first = l.ranges.used // 16
    s.size, s.valid = a.size, a.valid
    if not a.non_resident:
        s.resident = 1
        mft_resident(l, a)
        s.runs = l.ranges.used // 16 - s.run_first
        return
    s.unit, expected = a.unit, a.first
    if a.first:
        mft_problem(&l.problems, number, 22, 0)
        s.bad = 1
    for i in range(used):
        if pieces[i].first != expected:
            mft_problem(&l.problems, number, 23, 0)
            s.bad = 1
            break
        if pieces[i].run_first <= l.have and pieces[i].runs <= l.have - pieces[i].run_first:
            for k in range(pieces[i].run_first, pieces[i].run_first + pieces[i].runs):
                mft_range(l, l.runs[2 * k] * l.cluster if l.runs[2 * k] >= 0 else -1, l.runs[2 * k + 1] * l.cluster)
                total += l.runs[2 * k + 1] * l.cluster
                if l.runs[2 * k] >= 0:
                    s.allocated += l.runs[2 * k + 1] * l.cluster
        expected = pieces[i].after
        if pieces[i].state:
            s.bad = 1
            break
    s.runs = l.ranges.used // 16 - s.run_first
    if a.first:
        s.size = s.valid = total


cdef void mft_emit(MftList* l, const MftStream* s, uint32_t ordinal) noexcept nogil:
    # The stream's part of a row; the row is complete after it.
    cdef size_t i
    cdef int64_t* starts
    cdef int64_t* lengths
    cdef const int64_t* pairs
    mft_put_text(l, L_STREAM, s.label, s.label_length)
    mft_put64(l, L_SIZE, s.size)
    mft_put64(l, L_ALLOCATED, s.allocated)
    if s.runs:
        starts, lengths = <int64_t*>mft_take(&l.columns[L_RUN_START], 8 * s.runs), <int64_t*>mft_take(&l.columns[L_RUN_LENGTH], 8 * s.runs)
        if starts != NULL and lengths != NULL:
            pairs = <const int64_t*>l.ranges.data + 2 * s.run_first
            for i in range(s.runs):
                starts[i], lengths[i] = pairs[2 * i], pairs[2 * i + 1]
    mft_offset(l, L_RUN_START, 8)
    mft_offset(l, L_RUN_LENGTH, 8)
    mft_put32(l, L_ORDINAL, ordinal)
    mft_put8(l, L_STREAM_KIND, s.code)
    mft_put16(l, L_STREAM_FLAGS, s.flags)
    mft_put8(l, L_UNIT, s.unit)
    mft_put8(l, L_RESIDENT, s.resident)
    mft_put64(l, L_VALID, s.valid)
    l.count += 1


cdef void mft_times(MftList* l, int column, const uint64_t* times) noexcept nogil:
    # born, modified, changed, accessed as stored; modified, accessed, changed, born as shown.
    mft_put_time(l, column, times[1] if times != NULL else 0)
    mft_put_time(l, column + 1, times[3] if times != NULL else 0)
    mft_put_time(l, column + 2, times[2] if times != NULL else 0)
    mft_put_time(l, column + 3, times[0] if times != NULL else 0)


cdef struct MftLine:
    uint64_t id
    uint32_t sequence
    int64_t parent
    MftPlace above
    uint8_t kind
    uint8_t state
    uint8_t verdict
    uint32_t links
    uint32_t flags
    uint32_t record_flags
    const MftRecord* row
    const MftName* name
    const MftName* mate
    const unsigned char* text
    bint root


cdef void mft_line(MftList* l, const MftLine* line, const MftStream* stream, uint32_t ordinal) noexcept nogil:
    # One row.
    cdef const MftName* name = line.name
    cdef const uint64_t* times
    if l.count >= l.room and not mft_widen(l, l.room + l.room // 2 + 64):
        return
    mft_put64(l, L_ID, line.id)
    mft_put32(l, L_SEQUENCE, line.sequence)
    mft_put64(l, L_PARENT, <uint64_t>line.parent)
    if not line.root:
        if line.above.length:
            mft_append(&l.columns[L_PATH], l.paths.data + line.above.at, line.above.length)
            mft_append(&l.columns[L_PATH], b"/", 1)
        mft_last(l, &l.columns[L_PATH], <uint32_t>line.id, name, line.text)
    mft_offset(l, L_PATH, 1)
    mft_put8(l, L_KIND, line.kind)
    mft_put8(l, L_STATE, line.state)
    mft_put8(l, L_VERDICT, line.verdict)
    times = <const uint64_t*>&name.times[0] if name != NULL else NULL
    mft_times(l, L_MODIFIED, <const uint64_t*>&line.row.times[0] if line.row != NULL else times)
    mft_times(l, L_FN_MODIFIED, times if line.row != NULL else NULL)
    mft_put32(l, L_LINKS, line.links)
    mft_put32(l, L_FLAGS, line.flags)
    if name != NULL:
        mft_put_text(l, L_NAME, line.text + name.text, name.length)
    else:
        mft_last(l, &l.columns[L_NAME], <uint32_t>line.id, NULL, NULL)
        mft_offset(l, L_NAME, 1)
    mft_put8(l, L_NAMESPACE, name.space if name != NULL else 0)
    mft_put32(l, L_PARENT_SEQUENCE, <uint32_t>(name.parent >> 48) if name != NULL else 0)
    mft_put32(l, L_RECORD_FLAGS, line.record_flags)
    mft_put64(l, L_USN, line.row.usn if line.row != NULL else 0)
    mft_put32(l, L_SECURITY, line.row.security if line.row != NULL else 0)
    mft_put32(l, L_REPARSE, line.row.tag if line.row != NULL else 0)
    if line.row != NULL and line.row.has & 8:
        mft_put_text(l, L_OBJECT_ID, &line.row.object_id[0], 16)
    else:
        mft_put_text(l, L_OBJECT_ID, NULL, 0)
    if line.mate != NULL:
        mft_put_text(l, L_DOS_NAME, line.text + line.mate.text, line.mate.length)
    else:
        mft_put_text(l, L_DOS_NAME, NULL, 0)
    mft_emit(l, stream, ordinal)


cdef bint mft_incomplete(MftList* l, uint32_t number) noexcept nogil:
    cdef uint32_t at = number
    while at != MFT_UNKNOWN:
        if l.rows[at].has & 4:
            return True
        at = l.first_extension[number] if at == number else l.next_extension[at]
    return False


cdef inline bint mft_full(MftList* l) noexcept nogil:
    return l.count > l.max_rows or l.paths.used + l.columns[L_PATH].used + 2 * l.columns[L_RUN_START].used > l.max_bytes


cdef bint mft_file(MftList* l, uint32_t number) noexcept nogil:
    # All rows of one file; False when the bounds are crossed.
    cdef const MftRecord* row = l.rows + number
    cdef bint stray = row.base != 0, in_use = row.kind & 1, bad = False
    cdef size_t names, count, i, k, heads
    cdef const MftName** list_
    cdef const MftAttribute** attributes
    cdef MftStream none
    cdef MftLine line
    cdef bint dos = False
    cdef uint8_t base_verdict
    if stray:
        mft_problem(&l.problems, number, 21, 0)
    attributes = mft_attributes_of(l, number, &count)
    list_ = mft_names_of(l, number, &names)
    if not names and not count and not row.has & 1:
        return True
    if count > MFT_LIST or names > MFT_LIST:
        mft_problem(&l.problems, number, 25, 0)
        count, names = min(count, <size_t>MFT_LIST), min(names, <size_t>MFT_LIST)
    heads = mft_heads(l, attributes, count, row.kind & 2)
    l.streams.used, l.ranges.used = 0, 0
    for i in range(heads):
        mft_assemble(l, number, (<uint32_t*>l.order.data)[i], attributes, count)
    heads = l.streams.used // sizeof(MftStream)
    for i in range(heads):
        bad |= (<MftStream*>l.streams.data)[i].bad
    bad |= mft_incomplete(l, number)
    memset(&none, 0, sizeof(MftStream))
    none.code = 5
    memset(&line, 0, sizeof(MftLine))
    line.id, line.sequence, line.links, line.row, line.text = number, row.sequence, row.links, row, l.text
    line.kind = 3 if stray else 2 if row.tag == 0xA000000CU or row.tag == 0xA0000003U else 1 if row.kind & 2 else 0
    line.record_flags = row.kind | (<uint32_t>(row.status == 2) << 16)
    base_verdict = 1 if in_use else l.verdicts[number]
    for i in range(names):
        dos |= list_[i].space == 2
    for i in range(names if names else 1):
        line.name, line.mate, line.root, line.parent, line.state = NULL, NULL, False, -1, 2
        memset(&line.above, 0, sizeof(MftPlace))
        if names:
            line.name = list_[i]
            if dos and not mft_pair(list_, names, i, &line.mate):
                continue
            line.parent = mft_resolve(l, line.name.parent)
            if number == MFT_ROOT:
                line.root, line.parent, line.state = True, MFT_ROOT, 0 if in_use else 1
            else:
                line.above = mft_place(l, line.parent)
                list_ = mft_names_of(l, number, &names)
                names = min(names, <size_t>MFT_LIST)
                line.state = 2 if line.above.broken or (in_use and line.above.dead) else 0 if in_use else 1
                if stray and line.state == 0:
                    line.state = 2
        else:
            line.above.broken, line.above.length = 1, 12
        line.flags = row.flags if row.has & 1 else line.name.flags if line.name != NULL else 0
        line.verdict = 0 if line.state == 0 else 4 if bad and base_verdict else base_verdict
        if heads:
            for k in range(heads):
                mft_line(l, &line, <MftStream*>l.streams.data + k, <uint32_t>k)
                if mft_full(l):
                    return False
        else:
            mft_line(l, &line, &none, 0)
            if mft_full(l):
                return False
    return True


cdef bint mft_pair(const MftName** names, size_t count, size_t i, const MftName** mate) noexcept nogil:
    # False for a DOS name whose long name is there; the long name's DOS twin otherwise.
    cdef size_t k
    cdef const MftName* name = names[i]
    if name.space == 2:
        for k in range(count):
            if names[k].space == 1 and names[k].parent == name.parent:
                return False
        return True
    if name.space != 1:
        return True
    for k in range(i):
        if names[k].space == 1 and names[k].parent == name.parent:
            return True
    for k in range(count):
        if names[k].space == 2 and names[k].parent == name.parent:
            mate[0] = names[k]
            return True
    return True


cdef bint mft_lost_line(MftList* l, const MftName* name, const unsigned char* text) noexcept nogil:
    cdef MftLine line
    cdef MftStream none
    memset(&none, 0, sizeof(MftStream))
    none.code, none.size = 5, <int64_t>name.size
    memset(&line, 0, sizeof(MftLine))
    line.id, line.sequence = name.record if name.known else MFT_REFERENCE, name.sequence
    line.parent = mft_resolve(l, name.parent)
    line.above = mft_place(l, line.parent)
    line.kind, line.state, line.verdict = 1 if name.flags & 0x10000000 else 0, 6, 4
    line.flags, line.name, line.text = name.flags, name, text
    mft_line(l, &line, &none, 0)
    return not mft_full(l)


cdef bint mft_rows(MftList* l, const MftName* lost, size_t count, const unsigned char* lost_text) noexcept nogil:
    cdef size_t i
    for i in range(l.n):
        if l.rows[i].status in (1, 2) and l.owners[i] == i and not mft_file(l, <uint32_t>i):
            return False
    for i in range(count):
        if not mft_lost_line(l, lost + i, lost_text):
            return False
    return True


cdef bint mft_begin(MftList* l, size_t stale) noexcept nogil:
    # Empty columns, with room for about the rows to come.
    cdef int c
    cdef size_t rows = min(l.named + l.named // 16 + stale, l.max_rows) + 64
    if not (
        mft_widen(l, rows) and mft_more(&l.columns[L_PATH], min(96 * rows, l.max_bytes)) and mft_more(&l.columns[L_NAME], l.text_size + 64)
        and mft_more(&l.columns[L_RUN_START], 16 * rows) and mft_more(&l.columns[L_RUN_LENGTH], 16 * rows)
    ):
        return False
    for c in range(L_COLUMNS):
        if mft_listed(c):
            (<int64_t*>l.beside[c].data)[0] = 0
    return True


cdef void mft_free(MftList* l) noexcept:
    free(l.first_extension)
    free(l.next_extension)
    free(l.places)
    free(l.paths.data)
    free(l.chain.data)
    free(l.name_list.data)
    free(l.attribute_list.data)
    free(l.heads.data)
    free(l.owner_head.data)
    free(l.order.data)
    free(l.streams.data)
    free(l.ranges.data)
    free(l.problems.data)


cdef bint mft_short(MftList* l) noexcept nogil:
    # Whether memory ran out on the way.
    cdef int c
    cdef bint bad = (
        l.paths.bad or l.chain.bad or l.name_list.bad or l.attribute_list.bad or l.heads.bad or l.owner_head.bad or l.order.bad
        or l.streams.bad or l.ranges.bad or l.problems.bad
    )
    for c in range(L_COLUMNS):
        bad = bad or l.columns[c].bad or l.beside[c].bad
    return bad


cdef bint mft_sound(MftList* l, const MftName* lost, size_t count, size_t lost_size) noexcept nogil:
    # Every owner is a row, every stale name inside its text; names and attributes of records are looked at when used.
    cdef size_t i
    for i in range(l.n):
        if l.owners[i] >= l.n:
            return False
    for i in range(count):
        if lost[i].text > lost_size or lost[i].length > lost_size - lost[i].text:
            return False
    return True


def mft_listing(
    const unsigned char[::1] records not None, const unsigned char[::1] names not None, const unsigned char[::1] attributes not None,
    const unsigned char[::1] runs not None, const unsigned char[::1] text not None, const unsigned char[::1] owners not None,
    const unsigned char[::1] verdicts not None, const unsigned char[::1] lost not None, const unsigned char[::1] lost_text not None,
    const unsigned char[::1] extents not None, int size, int64_t cluster, size_t max_rows, size_t max_bytes,
):
    """Rows of the listing: see the plain twin."""
    cdef MftList l
    cdef size_t i, count = lost.shape[0] // sizeof(MftName)
    cdef const MftName* stale = NULL
    cdef const unsigned char* stale_text = NULL
    cdef uint32_t owner
    cdef bint fits = True
    cdef int c
    owned, beside = [bytearray() for _ in range(L_COLUMNS)], [bytearray() for _ in range(L_COLUMNS)]
    memset(&l, 0, sizeof(MftList))
    l.max_rows, l.max_bytes = max_rows, max_bytes
    l.n, l.named, l.many = records.shape[0] // sizeof(MftRecord), names.shape[0] // sizeof(MftName), attributes.shape[0] // sizeof(MftAttribute)
    l.have, l.text_size, l.pieces, l.size, l.cluster = runs.shape[0] // 16, text.shape[0], extents.shape[0] // 16, size, cluster
    if <size_t>owners.shape[0] < 4 * l.n or <size_t>verdicts.shape[0] < l.n:
        raise ValueError("owners or verdicts")
    if l.n:
        l.rows, l.owners, l.verdicts = <const MftRecord*>&records[0], <const uint32_t*>&owners[0], &verdicts[0]
    if l.named:
        l.names = <const MftName*>&names[0]
    if l.many:
        l.attributes = <const MftAttribute*>&attributes[0]
    if l.have:
        l.runs = <const int64_t*>&runs[0]
    if l.text_size:
        l.text = &text[0]
    if l.pieces:
        l.extents = <const int64_t*>&extents[0]
    if count:
        stale = <const MftName*>&lost[0]
    if lost_text.shape[0]:
        stale_text = &lost_text[0]
    if not mft_sound(&l, stale, count, lost_text.shape[0]):
        raise ValueError("offsets")
    for c in range(L_COLUMNS):
        l.width[c] = mft_width(c)
        mft_own(&l.columns[c], owned[c], 0, 0)
        mft_own(&l.beside[c], beside[c], 0, 0)
    try:
        l.first_extension, l.next_extension = <uint32_t*>calloc(l.n + 1, 4), <uint32_t*>calloc(l.n + 1, 4)
        l.places = <MftPlace*>calloc(l.n + 1, sizeof(MftPlace))
        if l.first_extension == NULL or l.next_extension == NULL or l.places == NULL:
            raise MemoryError("NTFS listing")
        forensiclib_large_pages(l.places, l.n * sizeof(MftPlace))
        with nogil:
            memset(l.first_extension, 0xFF, 4 * l.n)
            memset(l.next_extension, 0xFF, 4 * l.n)
            for i in range(l.n):
                owner = l.owners[l.n - 1 - i]
                if owner != l.n - 1 - i:
                    l.next_extension[l.n - 1 - i] = l.first_extension[owner]
                    l.first_extension[owner] = <uint32_t>(l.n - 1 - i)
            mft_append(&l.paths, MFT_ORPHANS, 12)
            if mft_begin(&l, count):
                fits = mft_rows(&l, stale, count, stale_text)
        if mft_short(&l):
            raise MemoryError("NTFS listing")
        if l.unsound:
            raise ValueError("offsets")
        if not fits:
            raise ValueError("listing")
        return l.count, mft_columns(&l, owned, beside), mft_bytes(&l.problems)
    finally:
        mft_free(&l)


cdef dict mft_columns(MftList* l, list owned, list beside):
    cdef int c
    out = {}
    for c, name in enumerate((
        "id", "sequence", "parent", "path", "stream", "kind", "state", "verdict", "size", "allocated", "modified", "accessed", "changed",
        "born", "links", "flags", "run_start", "run_length", "name", "ordinal", "stream_kind", "stream_flags", "unit", "resident", "valid",
        "fn_modified", "fn_accessed", "fn_changed", "fn_born", "dos_name", "namespace", "parent_sequence", "record_flags", "usn",
        "security", "reparse", "object_id",
    )):
        PyByteArray_Resize(owned[c], l.columns[c].used if mft_listed(c) else l.count * l.width[c])
        if mft_listed(c):
            PyByteArray_Resize(beside[c], 8 * (l.count + 1))
        else:
            PyByteArray_Resize(beside[c], (l.count + 7) // 8 if l.nulls[c] else 0)
        out[name] = (owned[c], beside[c])
    return out
