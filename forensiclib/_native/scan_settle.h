/* What the filters of the signature scan let pass: which anchors are there: a part of scan.h, which includes it in its place. */
#ifndef FORENSICLIB_SCAN_SETTLE_H
#define FORENSICLIB_SCAN_SETTLE_H

static int scan_keep(scan_state *s, int64_t at, uint32_t pattern, int64_t anchor) {
    if (s->count == s->room) {
        int64_t room = s->room ? 2 * s->room : 256;
        scan_hit *more = (scan_hit *)realloc(s->hits, (size_t)room * sizeof(scan_hit));
        if (!more) { s->failed = 1; return 0; }
        s->hits = more;
        s->room = room;
    }
    s->hits[s->count].at = at;
    s->hits[s->count].pattern = pattern;
    s->hits[s->count].pad = 0;
    s->count++;
    if (s->count >= s->look) {
        int64_t i, whole = 0, limit = anchor - (int64_t)s->furthest;
        for (i = 0; i < s->count; i++) whole += s->hits[i].at < limit;
        s->look = s->count + s->count / 2 + 64;
        if (whole > s->max_hits) { s->edge = anchor; s->full = 1; return 0; }
    }
    return 1;
}

static int scan_same(const uint8_t *have, const uint8_t *want, const uint8_t *mask, uint32_t n) {
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t h, m, w;
        memcpy(&h, have + i, 8);
        memcpy(&m, mask + i, 8);
        memcpy(&w, want + i, 8);
        if ((h & m) != w) return 0;
    }
    for (; i < n; i++)
        if ((have[i] & mask[i]) != want[i]) return 0;
    return 1;
}

/* Whether the pattern of an entry, whose key is at p, is there. */
static inline int scan_there(const scan_state *s, int64_t p, const uint8_t *e) {
    uint32_t about = scan_u32(e + 8), n, place;
    int64_t begin = p - (int64_t)(about & 0xFFFF);
    const uint8_t *head;
    if (begin < s->start || begin >= s->stop) return 0;
    if (begin + 8 <= s->size) {
        if ((scan_u64(s->data + begin) & scan_u64(e + 24)) != scan_u64(e + 16)) return 0;
        if (scan_u32(e + 12) <= 8 && about >> 24 & 1) return 1;
    }
    head = s->pattern + 16 * (size_t)scan_u32(e + 4);
    n = scan_u32(head + 4);
    place = scan_u32(head);
    if (begin + (int64_t)n > s->size || !scan_same(s->data + begin, s->pool + place, s->pool + place + n, n)) return 0;
    return about >> 24 & 1 || (uint64_t)(s->base + begin) % scan_u32(head + 8) == scan_u32(head + 12);
}

/* The anchors of this visit with this key at p. 0 to stop. */
static int scan_confirm(scan_state *s, int64_t p, uint32_t key, uint32_t shape, uint32_t visit) {
    const uint8_t *slot = s->slots + 4 * (size_t)scan_slot(key, shape, s->slot_bits);
    uint32_t at = scan_u32(slot), last = scan_u32(slot + 4);
    for (; at < last; at++) {
        const uint8_t *e = s->entry + 32 * (size_t)at;
        uint32_t about = scan_u32(e + 8);
        if (scan_u32(e) != key || (about >> 16 & 0xFF) != shape || about >> 25 != visit || !scan_there(s, p, e)) continue;
        if (!scan_keep(s, p - (int64_t)(about & 0xFFFF), scan_u32(e + 4), p)) return 0;
    }
    return 1;
}

static uint32_t scan_key_of(uint32_t word, uint32_t shape) { return word & (shape >= 4 ? SCAN_FOLD : SCAN_FOLD & ((1u << (8 * shape)) - 1)); }

static inline uint32_t scan_key_at(const scan_state *s, int64_t p, uint32_t shape) {
    switch (shape) {
    case SCAN_SIX: return scan_six(scan_six_word(s, p));
    case SCAN_WIDE6: return scan_six(scan_wide_word(s, p));
    case SCAN_WIDE4: return (uint32_t)scan_wide_word(s, p) & SCAN_FOLD;
    case SCAN_WIDE3: return (uint32_t)scan_wide_word(s, p) & SCAN_FOLD & 0xFFFFFF;
    default: return scan_key_of(scan_word(s, p), shape);
    }
}

typedef struct { uint32_t at, entry, key; } scan_pair;

/* Of anchors with the places where their slots say they may be: which are there. First what can be told without branches. 0 to stop. */
static int scan_judge(scan_state *s, int64_t b, scan_pair *pairs, uint32_t count, uint32_t shape) {
    const uint8_t *entry = s->entry, *d = s->data + b;
    const int64_t low = -b, high = s->size - b - 8;
    uint32_t i, kept = 0;
    for (i = 0; i < count; i++) {
        scan_pair one = pairs[i];
        const uint8_t *e = entry + 32 * (size_t)one.entry;
        uint32_t about = scan_u32(e + 8);
        int64_t begin = one.at - (int64_t)(about & 0xFFFF);
        uint64_t other = (scan_u32(e) ^ one.key) | ((about >> 16 & 0xFF) ^ shape) | about >> 25;
        if (begin >= low && begin <= high) other |= (scan_u64(d + begin) & scan_u64(e + 24)) ^ scan_u64(e + 16);
        pairs[kept] = one;
        kept += !other;
    }
    for (i = 0; i < kept; i++) {
        const uint8_t *e = s->entry + 32 * (size_t)pairs[i].entry;
        int64_t p = b + pairs[i].at;
        if (p >= s->edge) return 0;
        if (scan_there(s, p, e) && !scan_keep(s, p - (int64_t)(scan_u32(e + 8) & 0xFFFF), scan_u32(e + 4), p)) return 0;
    }
    return 1;
}

/* The offsets of a list, ascending: every anchor of that shape that begins there. In passes, so that the memory has time to answer. */
static inline void scan_settle_as(scan_state *s, int64_t b, const uint16_t *list, uint32_t count, const uint32_t shape) {
    enum { AT_ONCE = 64, PAIRS = 256 };
    uint32_t keys[AT_ONCE], where[AT_ONCE], i, n, found;
    scan_pair pairs[PAIRS];
    const uint8_t *slots = s->slots, *entry = s->entry;
    const uint32_t bits = s->slot_bits;
    for (; count; list += n, count -= n) {
        n = count < AT_ONCE ? count : AT_ONCE;
        for (i = 0; i < n; i++) {
            keys[i] = scan_key_at(s, b + list[i], shape);
            where[i] = scan_slot(keys[i], shape, bits);
            SCAN_PREFETCH(slots + 4 * (size_t)where[i]);
        }
        for (i = 0, found = 0; i < n; i++) {
            uint32_t at = scan_u32(slots + 4 * (size_t)where[i]), last = scan_u32(slots + 4 * (size_t)where[i] + 4), key = keys[i], left = last - at;
            scan_pair *pair = pairs + found;
            SCAN_PREFETCH(entry + 32 * (size_t)at);
            pair[0].at = pair[1].at = list[i];
            pair[0].entry = at;
            pair[1].entry = at + 1;
            pair[0].key = pair[1].key = key;
            found += left < 2 ? left : 2;
            for (at += 2; left > 2; left--, at++) {
                if (found == PAIRS) {
                    if (!scan_judge(s, b, pairs, found, shape)) return;
                    found = 0;
                }
                pairs[found].at = list[i];
                pairs[found].entry = at;
                pairs[found++].key = key;
            }
            if (found > PAIRS - 2) {
                if (!scan_judge(s, b, pairs, found, shape)) return;
                found = 0;
            }
        }
        if (found && !scan_judge(s, b, pairs, found, shape)) return;
    }
}

static void scan_settle(scan_state *s, int64_t b, const uint16_t *list, uint32_t count, uint32_t shape) {
    if (!count) return;
    switch (shape) {  /* a copy of the code for each of those that there are most of */
    case SCAN_SIX: scan_settle_as(s, b, list, count, SCAN_SIX); break;
    case SCAN_WIDE6: scan_settle_as(s, b, list, count, SCAN_WIDE6); break;
    case 4: scan_settle_as(s, b, list, count, 4); break;
    default: scan_settle_as(s, b, list, count, shape);
    }
}

#endif
