# Event log chunks as columns. Twin: _plain/evtx.py

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free as evtx_free_memory
from libc.string cimport memchr, memcmp, memset


cdef extern from "evtx_json.h" nogil:
    ctypedef struct ev_buf:
        uint8_t* data
        size_t size
        int failed
    ctypedef struct ev_ctx:
        uint32_t damage
        uint32_t damage_at
    ctypedef struct ev_columns:
        ev_ctx x
        ev_buf* integers
        ev_buf* texts
        ev_buf* offsets
        ev_buf* valid
    int EV_SIZE, EV_INTEGERS, EV_TEXTS, EV_COLUMNS, EV_CHUNK
    int ev_columns_start(ev_columns*)
    void ev_columns_free(ev_columns*)
    int ev_columns_failed(const ev_columns*)
    void ev_columns_add(ev_columns*, uint32_t, uint32_t, const int64_t*)
    void ev_chunk_start(ev_ctx*, const uint8_t*, uint32_t)
    void ev_flag(ev_ctx*, uint32_t, uint32_t)
    void ev_put(ev_buf*, const void*, size_t)
    uint32_t ev_u32(const uint8_t*)
    uint64_t ev_u64(const uint8_t*)


cdef enum:
    EVTX_HEAD = 512
    EVTX_RECORD = 24

cdef struct evtx_out:
    ev_columns columns
    ev_buf at
    ev_buf length
    ev_buf state
    ev_buf damage
    ev_buf damage_at
    ev_buf record_id
    ev_buf written_raw
    ev_buf written
    ev_buf written_valid
    ev_buf gaps
    int64_t count
    int64_t text_base[16]

cdef struct evtx_found:
    uint32_t start
    uint32_t end
    int sound


cdef inline bint _evtx_magic(const uint8_t* p) noexcept nogil:
    return p[0] == 0x2A and p[1] == 0x2A and p[2] == 0 and p[3] == 0


cdef bint _evtx_plausible(const uint8_t* d, uint32_t at, uint32_t limit) noexcept nogil:
    cdef uint64_t written
    if at + EVTX_RECORD > limit:
        return False
    written = ev_u64(d + at + 16)
    return (28 <= ev_u32(d + at + 4) <= 65_536 - EVTX_HEAD
            and <uint64_t>0x01B0000000000000 <= written < <uint64_t>0x0240000000000000)


cdef uint32_t _evtx_next(const uint8_t* d, uint32_t at, uint32_t limit) noexcept nogil:
    cdef const uint8_t* found
    while at + 4 <= limit:
        found = <const uint8_t*>memchr(d + at, 0x2A, limit - at - 3)
        if found == NULL:
            return limit
        at = <uint32_t>(found - d)
        if _evtx_magic(d + at) and _evtx_plausible(d, at, limit):
            return at
        at += 1
    return limit


cdef evtx_found _evtx_record(const uint8_t* d, uint32_t at, uint32_t limit) noexcept nogil:
    cdef uint32_t size = ev_u32(d + at + 4), following
    cdef bint fits = 28 <= size <= limit - at
    cdef evtx_found found
    found.start = at
    found.sound = 0
    if fits:
        found.end = at + size
        if ev_u32(d + at + size - 4) == size:
            found.sound = 1
            return found
        if found.end + 4 <= limit and _evtx_magic(d + found.end):
            return found
    following = _evtx_next(d, at + EVTX_RECORD, limit)
    found.end = at + size if fits and at + size < following else following
    return found


cdef void _evtx_add(evtx_out* out, const uint8_t* d, int64_t base, const evtx_found* r, uint8_t state) noexcept nogil:
    cdef ev_columns* c = &out.columns
    cdef uint32_t length = r.end - r.start, stop
    cdef uint64_t at = <uint64_t>(base + r.start), identity = ev_u64(d + r.start + 8), written = ev_u64(d + r.start + 16), damage_at
    cdef int64_t ns = 0, ticks
    cdef uint8_t known = 0
    cdef uint16_t damage
    c.x.damage = c.x.damage_at = 0
    if not r.sound:
        ev_flag(&c.x, EV_SIZE, r.start)
    stop = r.end - 4 if r.sound else r.end
    ev_columns_add(c, r.start + EVTX_RECORD, stop if stop > r.start + EVTX_RECORD else r.start + EVTX_RECORD, out.text_base)
    damage = <uint16_t>c.x.damage
    damage_at = <uint64_t>(base + c.x.damage_at)
    ticks = <int64_t>(written - <uint64_t>116444736000000000)
    # written < 2^63 keeps the difference right; the bounds are those of int64 / 100.
    if written and written < <uint64_t>0x7FFFFFFFFFFFFFFF and -<int64_t>92233720368547758 <= ticks <= <int64_t>92233720368547758:
        ns = ticks * 100
        known = 1
    ev_put(&out.at, &at, 8)
    ev_put(&out.length, &length, 4)
    ev_put(&out.state, &state, 1)
    ev_put(&out.damage, &damage, 2)
    ev_put(&out.damage_at, &damage_at, 8)
    ev_put(&out.record_id, &identity, 8)
    ev_put(&out.written_raw, &written, 8)
    ev_put(&out.written, &ns, 8)
    ev_put(&out.written_valid, &known, 1)
    out.count += 1


cdef bint _evtx_known(const uint8_t* d, int64_t base, const evtx_found* r, const uint64_t* ats, const uint32_t* lengths, int64_t first, int64_t last) noexcept nogil:
    cdef int64_t i
    cdef uint32_t size = r.end - r.start
    for i in range(first, last):
        if lengths[i] == size and memcmp(d + (ats[i] - <uint64_t>base), d + r.start, size) == 0:
            return True
    return False


cdef void _evtx_walk(evtx_out* out, const uint8_t* d, int64_t base, uint32_t at, uint32_t limit, uint8_t state, int64_t first) noexcept nogil:
    cdef evtx_found r
    cdef uint32_t following
    cdef uint64_t gap[2]
    cdef int64_t live = out.count
    while at < limit:
        if at + EVTX_RECORD > limit or not _evtx_magic(d + at) or (state != 0 and not _evtx_plausible(d, at, limit)):
            following = _evtx_next(d, at + 1, limit)
            if state == 0:
                gap[0] = <uint64_t>(base + at)
                gap[1] = following - at
                ev_put(&out.gaps, gap, 16)
            at = following
            continue
        r = _evtx_record(d, at, limit)
        if state != 1 or not _evtx_known(d, base, &r, <const uint64_t*>out.at.data, <const uint32_t*>out.length.data, first, live):
            _evtx_add(out, d, base, &r, state)
        at = r.end


cdef void _evtx_chunk(evtx_out* out, const uint8_t* d, uint32_t size, int64_t base, int kind) noexcept nogil:
    cdef uint32_t limit
    cdef int64_t first = out.count
    ev_chunk_start(&out.columns.x, d, size)
    if kind == 2:
        _evtx_walk(out, d, base, 0, size, 2, first)
        return
    if size <= EVTX_HEAD:
        return
    limit = ev_u32(d + 48)
    if limit < EVTX_HEAD or limit > size:
        limit = size
    _evtx_walk(out, d, base, EVTX_HEAD, limit, 0, first)
    _evtx_walk(out, d, base, limit, size, 1, first)


cdef bint _evtx_failed(const evtx_out* out) noexcept nogil:
    return (ev_columns_failed(&out.columns) or out.at.failed or out.length.failed or out.state.failed or out.damage.failed
            or out.damage_at.failed or out.record_id.failed or out.written_raw.failed or out.written.failed
            or out.written_valid.failed or out.gaps.failed)


cdef bytes _evtx_bytes(const ev_buf* b):
    return PyBytes_FromStringAndSize(<const char*>b.data, b.size) if b.size else b""


cdef tuple _evtx_columns(evtx_out* out, text_base):
    cdef ev_columns* c = &out.columns
    cdef int64_t start
    cdef list columns = [
        ("at", "uint64", _evtx_bytes(&out.at), None, None), ("length", "uint32", _evtx_bytes(&out.length), None, None),
        ("state", "uint8", _evtx_bytes(&out.state), None, None), ("damage", "uint16", _evtx_bytes(&out.damage), None, None),
        ("damage_at", "uint64", _evtx_bytes(&out.damage_at), None, None),
        ("record_id", "uint64", _evtx_bytes(&out.record_id), None, None),
        ("written_raw", "uint64", _evtx_bytes(&out.written_raw), None, None),
        ("written", "timestamp", _evtx_bytes(&out.written), None, _evtx_bytes(&out.written_valid)),
    ]
    for i, name in enumerate(_evtx_names[:EV_INTEGERS]):
        kind = "timestamp" if name == "time_created" else "int64"
        columns.append((name, kind, _evtx_bytes(&c.integers[i]), None, _evtx_bytes(&c.valid[i])))
    for i, name in enumerate(_evtx_names[EV_INTEGERS:]):
        start = text_base[i]
        offsets = PyBytes_FromStringAndSize(<const char*>&start, 8) + _evtx_bytes(&c.offsets[i])
        columns.append((name, "utf8", _evtx_bytes(&c.texts[i]), offsets, _evtx_bytes(&c.valid[EV_INTEGERS + i])))
    return tuple(columns)


cdef void _evtx_free(evtx_out* out) noexcept:
    ev_columns_free(&out.columns)
    evtx_free_memory(out.at.data)
    evtx_free_memory(out.length.data)
    evtx_free_memory(out.state.data)
    evtx_free_memory(out.damage.data)
    evtx_free_memory(out.damage_at.data)
    evtx_free_memory(out.record_id.data)
    evtx_free_memory(out.written_raw.data)
    evtx_free_memory(out.written.data)
    evtx_free_memory(out.written_valid.data)
    evtx_free_memory(out.gaps.data)


_evtx_names = (
    "event_id", "qualifiers", "version", "level", "task", "opcode", "event_record_id", "process_id", "thread_id", "time_created",
    "provider", "provider_guid", "event_source", "keywords", "channel", "computer", "user_sid", "activity_id", "related_activity_id",
    "data",
)


def evtx_chunks(const unsigned char[::1] data not None, const unsigned char[::1] kinds not None, int64_t base, text_base):
    """Event log chunks -> (records, columns, gaps). See the plain twin for the contract."""
    cdef Py_ssize_t size = data.shape[0], slots = kinds.shape[0], i, part
    cdef evtx_out out
    cdef const uint64_t* gap
    if slots != (size + EV_CHUNK - 1) // EV_CHUNK or len(text_base) != EV_TEXTS or base < 0 or base > <int64_t>1 << 62:
        raise ValueError("kinds, text_base or base do not fit the data")
    memset(&out, 0, sizeof(out))
    for i in range(EV_TEXTS):
        out.text_base[i] = text_base[i]
    try:
        if not ev_columns_start(&out.columns):
            raise MemoryError("event log columns")
        with nogil:
            for i in range(slots):
                part = size - i * EV_CHUNK
                if kinds[i]:
                    _evtx_chunk(&out, &data[i * EV_CHUNK], <uint32_t>(part if part < EV_CHUNK else EV_CHUNK), base + i * EV_CHUNK, kinds[i])
                if _evtx_failed(&out):
                    break
        if _evtx_failed(&out):
            raise MemoryError("event log columns")
        gap = <const uint64_t*>out.gaps.data
        return out.count, _evtx_columns(&out, text_base), [(gap[2 * i], gap[2 * i + 1]) for i in range(<Py_ssize_t>(out.gaps.size // 16))]
    finally:
        _evtx_free(&out)
