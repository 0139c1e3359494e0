/* The tables of the signature scan: their layout, their proof and their making. Twin of the making: _plain/scan_tables.py, which explains
   them and gives the same bytes. */
#ifndef FORENSICLIB_SCAN_TABLES_H
#define FORENSICLIB_SCAN_TABLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_MAGIC 0x334E4353u
#define SCAN_MULTIPLIER 0x9E3779B1u
#define SCAN_SHAPE 0x85EBCA6Bu
#define SCAN_FOLD 0xDFDFDFDFu
enum { SCAN_WIDE3 = 5, SCAN_WIDE4 = 6, SCAN_SIX = 7, SCAN_SPARSE = 8, SCAN_WIDE6 = 16, SCAN_LOOKUPS = 10, SCAN_VISITS = 64, SCAN_LONGEST = 4096 };
enum { SCAN_HEADER = 64, SCAN_NIBBLES = SCAN_HEADER + 256 * SCAN_LOOKUPS, SCAN_THREES = SCAN_NIBBLES + 256, SCAN_VISIT = SCAN_THREES + 4096 };
enum { SCAN_USE_NIBBLES = 1, SCAN_THREE_BYTES = 2 };

typedef struct { int64_t at; uint32_t pattern; uint32_t pad; } scan_hit;

typedef struct {
    uint32_t patterns, entries, visits, slot_bits, bits, wide_bits, lookups, furthest, pooled, shapes, shorts, flags, briefest, ones, twos;
    const uint8_t *lookup, *nibbles, *threes, *visit, *slots, *bitmap, *wide, *entry, *pattern, *pool;
    uint32_t fold;                       /* which bits of four bytes index the bitmap */
    const uint8_t *data;
    int64_t size, start, stop, base, max_hits;
    scan_hit *hits;
    int64_t count, room, look;
    int64_t edge;                        /* anchors from here on are left to the next call */
    int64_t reached;                     /* hits that begin before it are all there */
    int full, failed, skip;
    int busy;                            /* batches for which the look-ups are left out, since nearly all passed them */
    int rare;                            /* hardly any passed them in the last batch */
    uint8_t small[64];                   /* nibble tables of the buckets of anchors of one and two bytes */
    uint64_t front[256];                 /* for each mask of eight: the places of its bits */
    uint16_t first[4096 + 64], second[4096 + 64], third[4096 + 64], fourth[4096 + 64], fifth[4096 + 64];
    uint64_t masks[64 + 8];
    uint32_t codes[4096 + 64];
} scan_state;

static inline uint32_t scan_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t scan_u64(const uint8_t *p) { return (uint64_t)scan_u32(p) | (uint64_t)scan_u32(p + 4) << 32; }

static void scan_put(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); p[2] = (uint8_t)(v >> 16); p[3] = (uint8_t)(v >> 24);
}

static inline uint32_t scan_hash(uint32_t word, uint32_t bits) { return (word * SCAN_MULTIPLIER) >> (32 - bits); }
static inline uint32_t scan_slot(uint32_t word, uint32_t shape, uint32_t bits) { return scan_hash(word ^ shape * SCAN_SHAPE, bits); }
static inline uint32_t scan_bit(const uint8_t *map, uint32_t hash) { return map[hash >> 3] >> (hash & 7) & 1u; }

/* The key of six bytes: the last two mixed into the first four. */
static inline uint32_t scan_six(uint64_t word) {
    return ((uint32_t)word & SCAN_FOLD) ^ ((uint32_t)(word >> 32) & 0xDFDFu) * SCAN_SHAPE;
}

/* Which bit of the same 32 stands for six bytes; ``hash`` is that of the first four or three, not shortened. */
static inline uint32_t scan_six_bit(uint32_t hash, uint64_t word) { return (hash + ((uint32_t)(word >> 24) & 0xDFDFDFu) * SCAN_SHAPE) >> 27; }

/* Bit 0: the one for the hash of the first bytes, where anchors of three and four are; bit 1: the one for six bytes. */
static inline uint32_t scan_two_bits(const uint8_t *map, uint32_t bits, uint32_t fold, uint64_t word) {
    uint32_t hash = ((uint32_t)word & fold) * SCAN_MULTIPLIER, at = hash >> (32 - bits), there = scan_u32(map + 4 * (size_t)(at >> 5));
    return (there >> (at & 31) & 1) | (there >> scan_six_bit(hash, word) & 1) << 1;
}

/* The same two bits as their places: word of the map | bit << 16 | other bit << 21. */
static inline uint32_t scan_code(uint64_t word, uint32_t bits, uint32_t fold) {
    uint32_t hash = ((uint32_t)word & fold) * SCAN_MULTIPLIER, at = hash >> (32 - bits);
    return at >> 5 | (at & 31) << 16 | scan_six_bit(hash, word) << 21;
}

static inline uint64_t scan_map_bytes(uint32_t bits) { return bits ? (uint64_t)1 << bits >> 3 : 0; }

/* 0 when the blob is sound: every place and number in it that anything follows is proved here. */
static int scan_open(scan_state *s, const uint8_t *blob, int64_t size) {
    uint64_t need, i;
    uint32_t last, bad = 0;
    const uint8_t *p;
    memset(s, 0, offsetof(scan_state, first));
    if (size < SCAN_VISIT || scan_u32(blob) != SCAN_MAGIC || scan_u32(blob + 40) != (uint64_t)size) return -1;
    s->patterns = scan_u32(blob + 4);
    s->entries = scan_u32(blob + 8);
    s->visits = scan_u32(blob + 12);
    s->slot_bits = scan_u32(blob + 16);
    s->bits = scan_u32(blob + 20);
    s->wide_bits = scan_u32(blob + 24);
    s->lookups = scan_u32(blob + 28);
    s->furthest = scan_u32(blob + 32);
    s->pooled = scan_u32(blob + 36);
    s->shapes = scan_u32(blob + 44);
    s->shorts = scan_u32(blob + 48);
    s->flags = scan_u32(blob + 52);
    s->briefest = scan_u32(blob + 56) & s->shorts;
    if (s->visits > SCAN_VISITS || s->slot_bits < 8 || s->slot_bits > 18 || s->bits < 15 || s->bits > 21 || s->furthest > SCAN_LONGEST) return -1;
    if (s->wide_bits && (s->wide_bits < 15 || s->wide_bits > 21)) return -1;
    if (s->lookups < 4 || s->lookups > SCAN_LOOKUPS || s->lookups & 1 || s->shapes > 0x1FFFF || s->shorts > 255) return -1;
    need = SCAN_VISIT + 16 * (uint64_t)s->visits + ((uint64_t)4 << s->slot_bits) + 4 + ((uint64_t)1 << s->bits >> 3) +
           scan_map_bytes(s->wide_bits) + (uint64_t)s->entries * 32 + (uint64_t)s->patterns * 16 + s->pooled;
    if (need != (uint64_t)size) return -1;
    s->lookup = blob + SCAN_HEADER;
    s->nibbles = blob + SCAN_NIBBLES;
    s->threes = blob + SCAN_THREES;
    s->visit = blob + SCAN_VISIT;
    s->slots = s->visit + 16 * s->visits;
    s->bitmap = s->slots + ((size_t)4 << s->slot_bits) + 4;
    s->wide = s->bitmap + ((size_t)1 << s->bits >> 3);
    s->entry = s->wide + scan_map_bytes(s->wide_bits);
    s->pattern = s->entry + (size_t)s->entries * 32;
    s->pool = s->pattern + (size_t)s->patterns * 16;
    for (i = 0; i < s->visits; i++) {
        p = s->visit + 16 * i;
        if (scan_u32(p) < 512 || scan_u32(p + 4) >= scan_u32(p) || scan_u32(p + 8) > s->furthest || scan_u32(p + 12) - SCAN_SPARSE - 1u > 3) return -1;
    }
    for (i = 0, last = 0, p = s->slots; i <= (uint64_t)1 << s->slot_bits; i++, p += 4) {
        bad |= scan_u32(p) < last;
        last = scan_u32(p);
    }
    bad |= last != s->entries || scan_u32(s->slots) != 0;
    for (i = 0, p = s->entry; i < s->entries; i++, p += 32) bad |= (scan_u32(p + 4) >= s->patterns) | ((scan_u32(p + 8) & 0xFFFF) > s->furthest);
    for (i = 0, p = s->pattern; i < s->patterns; i++, p += 16) {
        uint32_t n = scan_u32(p + 4);
        bad |= (n - 1u >= SCAN_LONGEST) | ((uint64_t)scan_u32(p) + 2 * (uint64_t)n > s->pooled) | (scan_u32(p + 12) >= scan_u32(p + 8));
    }
    if (bad) return -1;
    s->fold = s->flags & SCAN_THREE_BYTES ? SCAN_FOLD & 0xFFFFFFu : SCAN_FOLD;
    for (i = 0; i < 256; i++) {
        uint64_t j, n = 0;
        for (j = 0; j < 8; j++)
            if (i >> j & 1) s->front[i] |= j << (8 * n++);
    }
    for (i = 0; i < 256; i++) {
        uint8_t a = s->lookup[i] & (uint8_t)s->shorts, b = s->lookup[256 + i] & (uint8_t)s->shorts;
        s->small[i & 15] |= a;
        s->small[16 + (i >> 4)] |= a;
        s->small[32 + (i & 15)] |= b;
        s->small[48 + (i >> 4)] |= b;
    }
    return 0;
}

/* What the making works on. The caller gives the first seven; pool is the masked bytes, then the mask, of each pattern. */
typedef struct {
    const uint8_t *pool;
    const uint32_t *place, *length, *align, *phase;
    uint32_t patterns, pooled;
    uint8_t *blob;                       /* malloc'd */
    int64_t size;
} scan_make;

typedef struct { uint32_t number, place, shape, key, visit; } scan_anchor;

static const uint8_t SCAN_LETTER[26] = {21, 14, 18, 17, 24, 15, 14, 15, 21, 3, 10, 19, 16, 21, 21, 17, 4, 21, 21, 22, 17, 10, 11, 10, 13, 3};
static const char SCAN_PAIR[] =
    "0655035033566605465645345354325322582621523441722373524352174275207333255411324324633154233152324253214243552541122545146654154752"
    "4322362162242161242352214232426246543454332542522224611261116232305233143111324554365002355754335515050654345232254342547251545435"
    "4333624245333323424254523353246521633510533144542164662261215334515641314212225256447133422252205655114325550540246566362644656313"
    "6223522442362065364452226413220422253542136342854435524562405153435323444421513242521552432145514653315252325317612320542543423262"
    "4645445041156616255511040363327231532132323121223133522242276332236234311362133252621244345226502613353533212271332453564354137224"
    "52126123554331336111333456";

static int scan_common(uint32_t byte) {
    if (byte == 0) return 36;
    if (byte == 0xDF) return 22;
    if (byte >= 'A' && byte <= 'Z') return SCAN_LETTER[byte - 'A'];
    return byte < 9 ? 14 : byte >= 0x0C && byte <= 0x19 ? 13 : 4;
}

static int scan_price(const uint8_t *v, uint32_t n) {
    uint32_t j;
    int price = 0;
    for (j = 0; j < n; j++) {
        price += scan_common(v[j]) - 40;
        if (j && v[j] == v[j - 1] && (!v[j] || v[j] == 0xDF)) price += 36 - scan_common(v[j]);  /* fill: where one is, the next one is too */
        if (j && v[j] >= 'A' && v[j] <= 'Z' && v[j - 1] >= 'A' && v[j - 1] <= 'Z')
            price += 4 * (SCAN_PAIR[(v[j - 1] - 'A') * 26 + v[j] - 'A'] - '4');
    }
    return price;
}

static int scan_ones(uint32_t v) { int n = 0; for (; v; v &= v - 1) n++; return n; }
static int scan_width(uint64_t v) { int n = 0; for (; v; v >>= 1) n++; return n; }

/* How many anchors have the key already; counted up with ``add``. The table has room: it is four times the patterns. */
static uint32_t scan_crowd(uint64_t *table, uint32_t mask, uint32_t shape, uint32_t key, int add) {
    uint64_t wanted = (uint64_t)shape << 32 | key;
    uint32_t i = (scan_slot(key, shape, 32)) & mask;
    while (table[2 * (size_t)i] && table[2 * (size_t)i] != wanted) i = (i + 1) & mask;
    if (add) { table[2 * (size_t)i] = wanted; table[2 * (size_t)i + 1]++; }
    return (uint32_t)table[2 * (size_t)i + 1];
}

static uint32_t scan_key(const uint8_t *v, uint32_t n) {
    uint32_t key = 0, j;
    for (j = 0; j < n && j < 4; j++) key |= (uint32_t)v[j] << (8 * j);
    return key;
}

/* Of a byte of which the mask leaves some bits open, and may leave all. */
static int scan_open_price(uint8_t want, uint8_t mask) {
    int free = scan_ones(~mask & 0xDFu), price = scan_common(want & 0xDFu) - 40;
    if (!mask) return 0;
    price = (price > -28 ? price : -28) + 4 * free;
    return price < 0 ? price : 0;
}

/* The best window of neighbouring bytes, the rarest; shape 0 when all is masked out. ``first``: the first, whatever it costs. */
static void scan_narrow(const uint8_t *want, const uint8_t *mask, uint32_t n, int limit, int first, int six, uint64_t *crowd, uint32_t room, scan_anchor *best) {
    uint32_t place, j, key, at;
    int price, cheapest = 0, free;
    best->shape = 0;
    for (place = 0; place < n && !((place >= 64 || first) && best->shape); place++) {
        uint8_t v[6];
        for (j = 0, free = 0; j < 4 && place + j < n; j++) {
            uint8_t m = mask[place + j];
            int more = free + scan_ones(~m & 0xDFu);
            if (!m || (j && more > limit)) break;
            free = more;
            v[j] = want[place + j] & 0xDF;
        }
        if (!j) continue;
        key = scan_key(v, j);
        if (six && j == 4 && !free && place + 6 <= n && !((~mask[place + 4] | ~mask[place + 5]) & 0xDF)) {
            v[4] = want[place + 4] & 0xDF;
            v[5] = want[place + 5] & 0xDF;
            key = scan_six(key | (uint64_t)(v[4] | (uint32_t)v[5] << 8) << 32);
            j = 6;
        }
        price = free ? 0 : scan_price(v, j);
        for (at = free ? place : place + j; at < place + 4 && at < n; at++) price += scan_open_price(want[at], mask[at]);  /* the look-ups ask all four */
        if (j > 2) price -= 12;  /* the bitmap knows it */
        for (at = 0; at < j && !v[at]; at++) {}
        if (at == j) price += 200;  /* every zero-filled block would be asked */
        if (j == 6) j = SCAN_SIX;
        if (!first) price += 4 * scan_width(scan_crowd(crowd, room, j, key, 0));
        if (!best->shape || price < cheapest) { best->shape = j; best->place = place; best->key = key; cheapest = price; }
    }
}

/* The best run of six, four or three letters with a zero byte between them. */
static void scan_spread(const uint8_t *want, const uint8_t *mask, uint32_t n, uint64_t *crowd, uint32_t room, scan_anchor *best) {
    uint32_t place, j, key, shape;
    int price, cheapest = 0;
    best->shape = 0;
    for (place = 0; place + 5 <= n && place < 64; place++) {
        uint8_t v[6];
        for (j = 0; j < 6 && place + 2 * j < n; j++) {
            const uint8_t *w = want + place + 2 * j, *m = mask + place + 2 * j;
            if (~m[0] & 0xDF || !(w[0] & 0xDF) || (j && (w[-1] || m[-1] != 0xFF))) break;
            v[j] = w[0] & 0xDF;
        }
        if (j == 5) j = 4;
        shape = j == 6 ? SCAN_WIDE6 : j + 2;
        if (j < 3 || shape < best->shape) continue;
        key = scan_key(v, j);
        if (j == 6) key = scan_six(key | (uint64_t)(v[4] | (uint32_t)v[5] << 8) << 32);
        price = scan_price(v, j) + 4 * scan_width(scan_crowd(crowd, room, shape, key, 0));
        if (shape > best->shape || price < cheapest) { best->shape = shape; best->place = place; best->key = key; cheapest = price; }
    }
}

static int scan_by_key(const void *a, const void *b) {
    const scan_anchor *x = (const scan_anchor *)a, *y = (const scan_anchor *)b;
    if (x->shape != y->shape) return x->shape < y->shape ? -1 : 1;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

#include "scan_deal.h"

/* The keys of an anchor: all values that its masks let through, bit 5 of each byte cleared. ``key`` goes from 0 on; 0 when there are no more. */
static int scan_next_key(const uint8_t *bits, uint32_t shape, uint32_t *sub) {
    uint32_t free = 0, j;
    for (j = 0; j < shape; j++) free |= (~bits[j] & 0xDFu) << (8 * j);
    *sub = (*sub - free) & free;
    return *sub != 0;
}

static void scan_mark(uint8_t *map, uint32_t bits, uint32_t word) {
    uint32_t hash = scan_hash(word, bits);
    map[hash >> 3] |= (uint8_t)(1u << (hash & 7));
}

static void scan_mark_six(uint8_t *map, uint32_t bits, uint32_t fold, uint64_t word) {
    uint32_t hash = ((uint32_t)word & fold) * SCAN_MULTIPLIER, at = (hash >> (32 - bits) & ~31u) | scan_six_bit(hash, word);
    map[at >> 3] |= (uint8_t)(1u << (at & 7));
}

static void scan_mark_any(uint8_t *map, uint32_t bits, uint32_t word) {
    uint32_t fourth = 0;
    do { scan_mark(map, bits, word | fourth << 24); fourth = (fourth - 0xDFu) & 0xDFu; } while (fourth);
}

static uint32_t scan_map_bits(uint64_t marks) {
    int width = scan_width(16 * marks);
    return width < 15 ? 15 : width > 21 ? 21 : (uint32_t)width;
}

static int scan_lay_out(scan_make *m, scan_anchor *anchors, scan_anchor *dense, uint8_t *bucket, const uint32_t *visit, uint32_t visits) {
    uint64_t entries = 0, marks = 0, threes = 0, spread = 0, fours = 0, size;
    uint32_t i, n, narrow = 0, shapes = 0, furthest = 0, slot_bits, bits, wide_bits, fold, flags = 0, number, *slots;
    uint8_t *blob, *p, *map, *wide, *entry;
    for (i = 0; i < m->patterns; i++) {
        scan_anchor *a = anchors + i;
        const uint8_t *mask = m->pool + m->place[i] + m->length[i] + a->place;
        uint64_t keys = 1;
        n = a->shape & ~(uint32_t)SCAN_SPARSE;
        if (n <= 4)
            for (uint32_t j = 0; j < n; j++) keys <<= scan_ones(~mask[j] & 0xDFu);
        entries += keys;
        if (a->place > furthest) furthest = a->place;
        if (a->shape & SCAN_SPARSE) continue;
        shapes |= 1u << n;
        if (n <= 4) dense[narrow++] = *a;
        if (n == SCAN_SIX) {
            dense[narrow] = *a;
            dense[narrow].shape = 4;
            dense[narrow++].key = scan_u32(m->pool + m->place[i] + a->place) & SCAN_FOLD;
            fours++;
        }
        if (n == 3) threes += keys;
        if (n == 4) fours += keys;
        if (n == SCAN_WIDE4 || n == SCAN_WIDE6) spread += 1;
        if (n == SCAN_WIDE3) spread += 128;
    }
    marks = fours + 128 * threes;
    if (marks > 1u << 18 || (16 * threes > fours && marks > 4096)) { marks -= 127 * threes; flags |= SCAN_THREE_BYTES; }
    fold = flags & SCAN_THREE_BYTES ? SCAN_FOLD & 0xFFFFFFu : SCAN_FOLD;
    bits = scan_map_bits(marks);
    wide_bits = spread ? scan_map_bits(spread) : 0;
    n = (uint32_t)scan_width(2 * entries);
    slot_bits = n < 8 ? 8 : n > 18 ? 18 : n;
    size = SCAN_VISIT + 16 * (uint64_t)visits + ((uint64_t)4 << slot_bits) + 4 + scan_map_bytes(bits) + scan_map_bytes(wide_bits) +
           entries * 32 + 16 * (uint64_t)m->patterns + m->pooled;
    if (size > 0xFFFFFFFFu) return -2;
    blob = m->blob = (uint8_t *)calloc((size_t)size, 1);
    slots = (uint32_t *)calloc(((size_t)1 << slot_bits) + 1, 4);
    if (!blob || !slots) { free(slots); return -1; }
    m->size = (int64_t)size;
    scan_put(blob, SCAN_MAGIC);
    scan_put(blob + 4, m->patterns);
    scan_put(blob + 8, (uint32_t)entries);
    scan_put(blob + 12, visits);
    scan_put(blob + 16, slot_bits);
    scan_put(blob + 20, bits);
    scan_put(blob + 24, wide_bits);
    scan_put(blob + 32, furthest);
    scan_put(blob + 36, m->pooled);
    scan_put(blob + 40, (uint32_t)size);
    scan_put(blob + 44, shapes);
    scan_put(blob + 52, flags);
    qsort(dense, narrow, sizeof *dense, scan_by_key);
    if (!scan_fill_lookups(m, blob, dense, narrow, bucket)) { free(slots); return -1; }
    p = blob + SCAN_VISIT;
    for (i = 0; i < 4 * visits; i++, p += 4) scan_put(p, visit[i]);
    map = p + ((size_t)4 << slot_bits) + 4;
    wide = map + ((size_t)1 << bits >> 3);
    entry = wide + scan_map_bytes(wide_bits);
    for (int pass = 0; pass < 2; pass++) {
        for (number = 0; number < m->patterns; number++) {
            const scan_anchor *a = anchors + number;
            const uint8_t *want = m->pool + m->place[number], *mask = want + m->length[number];
            uint32_t sub = 0, length = m->length[number], j;
            n = a->shape & ~(uint32_t)SCAN_SPARSE;
            do {
                uint32_t key = a->key | sub, slot = scan_slot(key, a->shape, slot_bits);
                uint8_t *e;
                if (!pass) { slots[slot + 1]++; continue; }
                e = entry + (size_t)slots[slot]++ * 32;
                scan_put(e, key);
                scan_put(e + 4, number);
                scan_put(e + 8, a->place | a->shape << 16 | (uint32_t)(m->align[number] == 1) << 24 | a->visit << 25);
                scan_put(e + 12, length);
                for (j = 0; j < 8 && j < length; j++) { e[16 + j] = want[j]; e[24 + j] = mask[j]; }
                if (a->shape == 4) scan_mark(map, bits, key & fold);
                else if (a->shape == SCAN_SIX) scan_mark_six(map, bits, fold, scan_u32(want + a->place) | (uint64_t)(want[a->place + 4] | (uint32_t)want[a->place + 5] << 8) << 32);
                else if (a->shape == 3) {
                    scan_mark(blob + SCAN_THREES, 15, key);
                    if (flags & SCAN_THREE_BYTES) scan_mark(map, bits, key);
                    else scan_mark_any(map, bits, key);
                } else if (a->shape == SCAN_WIDE4) scan_mark(wide, wide_bits, key);
                else if (a->shape == SCAN_WIDE3) scan_mark_any(wide, wide_bits, key);
                else if (a->shape == SCAN_WIDE6) {
                    uint64_t word = 0;
                    for (j = 0; j < 6; j++) word |= (uint64_t)want[a->place + 2 * j] << (8 * j);
                    scan_mark_six(wide, wide_bits, SCAN_FOLD, word);
                }
            } while (n <= 4 && scan_next_key(mask + a->place, n, &sub));
        }
        if (!pass) {
            for (i = 0; i < 1u << slot_bits; i++) slots[i + 1] += slots[i];
            for (i = 0; i <= 1u << slot_bits; i++) scan_put(p + 4 * (size_t)i, slots[i]);
        }
    }
    p = entry + (size_t)entries * 32;
    for (i = 0; i < m->patterns; i++, p += 16) {
        scan_put(p, m->place[i]);
        scan_put(p + 4, m->length[i]);
        scan_put(p + 8, m->align[i]);
        scan_put(p + 12, m->phase[i]);
    }
    memcpy(p, m->pool, m->pooled);
    free(slots);
    return 0;
}

/* 0: m->blob has the tables. -1 without memory, -2 when they pass 4 GiB, -3 for a pattern of which nothing is left by its mask. */
static int scan_build(scan_make *m) {
    uint32_t i, j, room = 255, visits = 0, spread = 0, visit[4 * SCAN_VISITS];
    int limit = m->patterns <= 2048 ? 8 : 4, answer = -1;
    scan_anchor *anchors, *dense, other;
    uint64_t *crowd;
    uint8_t *bucket;
    while (room < 4 * m->patterns) room = 2 * room + 1;
    anchors = (scan_anchor *)calloc(m->patterns + 1, sizeof *anchors);
    dense = (scan_anchor *)calloc(m->patterns + 1, sizeof *dense);
    bucket = (uint8_t *)calloc(m->patterns + 1, 1);
    crowd = (uint64_t *)calloc((size_t)room + 1, 16);
    if (!anchors || !dense || !bucket || !crowd) goto out;
    for (i = 0; i < m->patterns; i++) {
        const uint8_t *want = m->pool + m->place[i], *mask = want + m->length[i];
        scan_spread(want, mask, m->length[i], crowd, room, &other);
        spread += other.shape > 0;
    }
    for (i = 0; i < m->patterns; i++) {
        const uint8_t *want = m->pool + m->place[i], *mask = want + m->length[i];
        uint32_t n = m->length[i];
        scan_anchor *a = anchors + i;
        if (m->align[i] >= 512) {
            scan_narrow(want, mask, n, limit, 1, 0, crowd, room, a);
            a->number = i;
            if (!a->shape) { answer = -3; goto out; }
            a->shape |= SCAN_SPARSE;
            for (j = 0; j < visits; j++)
                if (visit[4 * j] == m->align[i] && visit[4 * j + 1] == m->phase[i] && visit[4 * j + 2] == a->place && visit[4 * j + 3] == a->shape) break;
            a->visit = j;
            if (j < visits) continue;
            if (visits < SCAN_VISITS) {
                uint32_t *v = visit + 4 * visits++;
                v[0] = m->align[i]; v[1] = m->phase[i]; v[2] = a->place; v[3] = a->shape;
                continue;
            }
        }
        a->visit = 0;
        if (spread >= 64) scan_spread(want, mask, n, crowd, room, a);
        else a->shape = 0;
        if (!a->shape) scan_narrow(want, mask, n, limit, 0, m->patterns > 1024, crowd, room, a);
        a->number = i;
        if (!a->shape) { answer = -3; goto out; }
        scan_crowd(crowd, room, a->shape, a->key, 1);
    }
    answer = scan_lay_out(m, anchors, dense, bucket, visit, visits);
out:
    free(anchors);
    free(dense);
    free(bucket);
    free(crowd);
    return answer;
}

#endif
