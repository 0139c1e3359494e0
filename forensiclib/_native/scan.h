/* Signature scan: four table look-ups ANDed for every offset, then hash and compare.
   The tables come from _plain/scan_tables.py; scan_open() proves them before anything reads them. */
#ifndef FORENSICLIB_SCAN_H
#define FORENSICLIB_SCAN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define SCAN_X86 1
#include <immintrin.h>
#endif

enum { SCAN_SCALAR = 0, SCAN_SSSE3 = 1, SCAN_AVX2 = 2, SCAN_VBMI = 3 };

typedef struct { uint32_t key, pattern, place, next; } scan_entry;
typedef struct { uint32_t pool, length, align, phase; } scan_pattern;
typedef struct { int64_t at; uint32_t pattern; uint32_t pad; } scan_hit;

typedef struct {
    uint32_t patterns, entries, groups, bits, furthest, pooled;
    const uint8_t *tables;      /* groups x 4 places x 256 */
    const uint8_t *lengths;     /* groups x 4: which buckets hold anchors of 1..4 bytes */
    const uint8_t *slots;       /* 4 x 2^bits uint32 */
    const uint8_t *entry, *pattern, *pool;
    const uint8_t *data;
    int64_t size, start, stop, base, max_hits;
    scan_hit *hits;
    int64_t count, room, look;
    int64_t reached;            /* hits that begin before it are all there */
    int full, failed;
    int skip;                   /* zero fill holds no anchor */
    uint8_t three[8192];        /* one bit for each hash of the first three bytes of an anchor */
    uint8_t nibbles[4 * 4 * 32];/* groups x places x (low, high) x 16 */
} scan_state;

static uint32_t scan_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t scan_three(uint32_t word) {
    return ((word & 0xFFFFFFu) * 0x9E3779B1u) >> 16;
}

/* Survivors of the look-ups are mostly noise; one bit refuses nearly all of it. */
static void scan_expect(scan_state *s) {
    uint32_t length, slot, third, at, hash;
    for (length = 1; length <= 4; length++)
        for (slot = 0; slot < 1u << s->bits; slot++)
            for (at = scan_u32(s->slots + (((size_t)(length - 1) << s->bits) + slot) * 4); at; at = scan_u32(s->entry + (size_t)(at - 1) * 16 + 12)) {
                uint32_t key = scan_u32(s->entry + (size_t)(at - 1) * 16);
                if (length == 1) { memset(s->three, 0xFF, sizeof s->three); return; }
                for (third = 0; third < (length == 2 ? 256u : 1u); third++) {
                    hash = scan_three(length == 2 ? key | third << 16 : key);
                    s->three[hash >> 3] |= (uint8_t)(1u << (hash & 7));
                }
            }
}

/* 0 when the blob is sound. Every index in it is proved here. */
static int scan_open(scan_state *s, const uint8_t *blob, int64_t size) {
    uint64_t need, i, j;
    memset(s, 0, sizeof *s);
    if (size < 32 || scan_u32(blob) != 0x314E4353u || scan_u32(blob + 28) != (uint64_t)size) return -1;
    s->patterns = scan_u32(blob + 4);
    s->entries = scan_u32(blob + 8);
    s->groups = scan_u32(blob + 12);
    s->bits = scan_u32(blob + 16);
    s->furthest = scan_u32(blob + 20);
    s->pooled = scan_u32(blob + 24);
    if (s->groups < 1 || s->groups > 4 || s->bits < 8 || s->bits > 16 || s->furthest > 4096) return -1;
    need = 32 + (uint64_t)s->groups * 4 * 257 + ((uint64_t)16 << s->bits) + (uint64_t)s->entries * 16 + (uint64_t)s->patterns * 16 + s->pooled;
    if (need != (uint64_t)size) return -1;
    s->tables = blob + 32;
    s->lengths = s->tables + s->groups * 4 * 256;
    s->slots = s->lengths + s->groups * 4;
    s->entry = s->slots + ((size_t)16 << s->bits);
    s->pattern = s->entry + (size_t)s->entries * 16;
    s->pool = s->pattern + (size_t)s->patterns * 16;
    for (i = 0; i < (uint64_t)4 << s->bits; i++)
        if (scan_u32(s->slots + 4 * i) > s->entries) return -1;
    for (i = 0; i < s->entries; i++) {
        const uint8_t *e = s->entry + 16 * i;
        /* a chain only leads down, so it ends */
        if (scan_u32(e + 4) >= s->patterns || scan_u32(e + 8) > s->furthest || scan_u32(e + 12) > i) return -1;
    }
    for (i = 0; i < s->patterns; i++) {
        const uint8_t *p = s->pattern + 16 * i;
        if ((uint64_t)scan_u32(p) + 2 * (uint64_t)scan_u32(p + 4) > s->pooled || !scan_u32(p + 4) || !scan_u32(p + 8)) return -1;
    }
    for (i = 0; i < (uint64_t)s->groups * 4; i++)
        for (j = 0; j < 256; j++) {
            uint8_t v = s->tables[i * 256 + j];
            s->nibbles[i * 32 + (j & 15)] |= v;
            s->nibbles[i * 32 + 16 + (j >> 4)] |= v;
        }
    scan_expect(s);
    return 0;
}

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
        if (whole > s->max_hits) { s->reached = limit; s->full = 1; return 0; }
        s->look = s->count + s->count / 2 + 64;
    }
    return 1;
}

/* The anchor at p: ``which`` has the buckets that accept it, one byte a group. 0 to stop. */
static int scan_confirm(scan_state *s, int64_t p, uint32_t which) {
    uint32_t word = 0, length, g;
    int64_t left = s->size - p;
    if (left >= 4) word = scan_u32(s->data + p);
    else { int64_t k; for (k = 0; k < left; k++) word |= (uint32_t)s->data[p + k] << (8 * k); }
    for (length = 1; length <= 4; length++) {
        uint32_t wanted = 0, key, at;
        for (g = 0; g < s->groups; g++) wanted |= (uint32_t)s->lengths[g * 4 + length - 1] << (8 * g);
        if (!(which & wanted) || length > left) continue;
        key = length == 4 ? word : word & ((1u << (8 * length)) - 1);
        at = scan_u32(s->slots + (((size_t)(length - 1) << s->bits) + ((key * 0x9E3779B1u) >> (32 - s->bits))) * 4);
        while (at) {
            const uint8_t *e = s->entry + (size_t)(at - 1) * 16;
            at = scan_u32(e + 12);
            if (scan_u32(e) != key) continue;
            {
                uint32_t number = scan_u32(e + 4), n, i;
                const uint8_t *head = s->pattern + (size_t)number * 16, *want, *mask, *have;
                int64_t begin = p - (int64_t)scan_u32(e + 8);
                n = scan_u32(head + 4);
                if (begin < s->start || begin >= s->stop || begin + (int64_t)n > s->size) continue;
                want = s->pool + scan_u32(head);
                mask = want + n;
                have = s->data + begin;
                for (i = 0; i < n && (have[i] & mask[i]) == want[i]; i++) {}
                if (i < n) continue;
                if ((uint64_t)(s->base + begin) % scan_u32(head + 8) != scan_u32(head + 12)) continue;
                if (!scan_keep(s, begin, number, p)) return 0;
            }
        }
    }
    return 1;
}

static uint32_t scan_filter(const scan_state *s, const uint8_t *p) {
    uint32_t which = 0, g;
    for (g = 0; g < s->groups; g++) {
        const uint8_t *t = s->tables + g * 1024;
        which |= (uint32_t)(t[p[0]] & t[256 + p[1]] & t[512 + p[2]] & t[768 + p[3]]) << (8 * g);
    }
    return which;
}

static int scan_scalar(scan_state *s, int64_t p, int64_t end) {
    for (; p < end; p++) {
        uint32_t which;
        if (p + 4 <= s->size) which = scan_filter(s, s->data + p);
        else {
            /* zeros after the end may accept too much, never too little: confirm knows the size */
            uint8_t tail[4] = {0, 0, 0, 0};
            memcpy(tail, s->data + p, (size_t)(s->size - p));
            which = scan_filter(s, tail);
            if (!which) continue;
        }
        if (which && !scan_confirm(s, p, which)) return 0;
    }
    return 1;
}

#ifdef SCAN_X86

/* Where the next byte that is not zero may begin to matter: p, or further in steps of 256. */
static inline int64_t scan_fill(const scan_state *s, int64_t p, int64_t end) {
    static const uint8_t zero[256];
    if (!s->skip) return p;
    while (p + 256 <= end && p + 259 <= s->size && !s->data[p] && !scan_u32(s->data + p + 255) && !memcmp(s->data + p, zero, 256)) p += 256;
    return p;
}

static int scan_mask(scan_state *s, int64_t p, uint64_t mask) {
    while (mask) {
        int64_t at = p + __builtin_ctzll(mask);
        uint32_t hash = scan_three(scan_u32(s->data + at)), which;
        mask &= mask - 1;
        if (!(s->three[hash >> 3] >> (hash & 7) & 1)) continue;
        which = scan_filter(s, s->data + at);
        if (which && !scan_confirm(s, at, which)) return 0;
    }
    return 1;
}

__attribute__((target("ssse3"))) static int64_t scan_ssse3(scan_state *s, int64_t p, int64_t end) {
    const __m128i low = _mm_set1_epi8(15);
    for (; p + 16 <= end && p + 19 <= s->size; p += 16) {
        if (!s->data[p]) { p = scan_fill(s, p, end); if (p + 16 > end || p + 19 > s->size) break; }
        __m128i any = _mm_setzero_si128();
        uint32_t g, j, mask;
        for (g = 0; g < s->groups; g++) {
            __m128i all = _mm_set1_epi8(-1);
            for (j = 0; j < 4; j++) {
                const uint8_t *t = s->nibbles + (g * 4 + j) * 32;
                __m128i b = _mm_loadu_si128((const __m128i *)(s->data + p + j));
                __m128i lo = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)t), _mm_and_si128(b, low));
                __m128i hi = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(t + 16)), _mm_and_si128(_mm_srli_epi16(b, 4), low));
                all = _mm_and_si128(all, _mm_and_si128(lo, hi));
            }
            any = _mm_or_si128(any, all);
        }
        mask = 0xFFFF ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(any, _mm_setzero_si128()));
        if (mask && !scan_mask(s, p, mask)) return -1;
    }
    return p;
}

__attribute__((target("avx2"))) static int64_t scan_avx2(scan_state *s, int64_t p, int64_t end) {
    const __m256i low = _mm256_set1_epi8(15);
    for (; p + 32 <= end && p + 35 <= s->size; p += 32) {
        if (!s->data[p]) { p = scan_fill(s, p, end); if (p + 32 > end || p + 35 > s->size) break; }
        __m256i any = _mm256_setzero_si256();
        uint32_t g, j, mask;
        for (g = 0; g < s->groups; g++) {
            __m256i all = _mm256_set1_epi8(-1);
            for (j = 0; j < 4; j++) {
                const uint8_t *t = s->nibbles + (g * 4 + j) * 32;
                __m256i b = _mm256_loadu_si256((const __m256i *)(s->data + p + j));
                __m256i lo = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t));
                __m256i hi = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t + 16)));
                lo = _mm256_shuffle_epi8(lo, _mm256_and_si256(b, low));
                hi = _mm256_shuffle_epi8(hi, _mm256_and_si256(_mm256_srli_epi16(b, 4), low));
                all = _mm256_and_si256(all, _mm256_and_si256(lo, hi));
            }
            any = _mm256_or_si256(any, all);
        }
        mask = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(any, _mm256_setzero_si256()));
        if (mask && !scan_mask(s, p, mask)) return -1;
    }
    return p;
}

#define SCAN_VBMI_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

/* A 256-entry look-up: two 128-entry permutes, the top bit of the index chooses. */
SCAN_VBMI_TARGET static inline __m512i scan_lookup(const __m512i *t, __m512i b) {
    __m512i below = _mm512_permutex2var_epi8(t[0], b, t[1]);
    __m512i above = _mm512_permutex2var_epi8(t[2], b, t[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(b), below, above);
}

SCAN_VBMI_TARGET static inline int64_t scan_vbmi_groups(scan_state *s, int64_t p, int64_t end, const int groups) {
    __m512i t[4][16];
    int g, j;
    for (g = 0; g < groups; g++)
        for (j = 0; j < 16; j++) t[g][j] = _mm512_loadu_si512((const void *)(s->tables + (g * 16 + j) * 64));
    for (; p + 64 <= end && p + 67 <= s->size; p += 64) {
        if (!s->data[p]) { p = scan_fill(s, p, end); if (p + 64 > end || p + 67 > s->size) break; }
        __m512i b0 = _mm512_loadu_si512((const void *)(s->data + p));
        __m512i b1 = _mm512_loadu_si512((const void *)(s->data + p + 1));
        __m512i b2 = _mm512_loadu_si512((const void *)(s->data + p + 2));
        __m512i b3 = _mm512_loadu_si512((const void *)(s->data + p + 3));
        __m512i any = _mm512_setzero_si512();
        uint64_t mask;
        for (g = 0; g < groups; g++) {
            __m512i all = _mm512_and_si512(scan_lookup(t[g], b0), scan_lookup(t[g] + 4, b1));
            any = _mm512_or_si512(any, _mm512_and_si512(all, _mm512_and_si512(scan_lookup(t[g] + 8, b2), scan_lookup(t[g] + 12, b3))));
        }
        mask = _mm512_test_epi8_mask(any, any);
        if (mask && !scan_mask(s, p, mask)) return -1;
    }
    return p;
}

SCAN_VBMI_TARGET static int64_t scan_vbmi(scan_state *s, int64_t p, int64_t end) {
    switch (s->groups) {
    case 1: return scan_vbmi_groups(s, p, end, 1);
    case 2: return scan_vbmi_groups(s, p, end, 2);
    case 3: return scan_vbmi_groups(s, p, end, 3);
    default: return scan_vbmi_groups(s, p, end, 4);
    }
}

#endif

static int scan_best_level(void) {
#ifdef SCAN_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return SCAN_VBMI;
    if (__builtin_cpu_supports("avx2")) return SCAN_AVX2;
    if (__builtin_cpu_supports("ssse3")) return SCAN_SSSE3;
#endif
    return SCAN_SCALAR;
}

static int scan_order(const void *a, const void *b) {
    const scan_hit *x = (const scan_hit *)a, *y = (const scan_hit *)b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

/* Fills hits, ascending, and gives the offset up to which they are complete; -1 without memory. */
static int64_t scan_run(scan_state *s, int level) {
    int64_t p = s->start, end = s->stop + s->furthest < s->size ? s->stop + s->furthest : s->size, next = s->stop, cut;
    static const uint8_t zero[4];
    s->look = s->max_hits + 1;
    s->skip = !scan_filter(s, zero);
#ifdef SCAN_X86
    if (level == SCAN_VBMI) p = scan_vbmi(s, p, end);
    else if (level == SCAN_AVX2) p = scan_avx2(s, p, end);
    else if (level == SCAN_SSSE3) p = scan_ssse3(s, p, end);
#endif
    if (p >= 0) scan_scalar(s, p, end);
    if (s->failed) return -1;
    if (s->count > 1) qsort(s->hits, (size_t)s->count, sizeof(scan_hit), scan_order);
    if (s->full)
        while (s->count && s->hits[s->count - 1].at >= s->reached) s->count--;
    if (s->count > s->max_hits) {
        cut = s->max_hits;
        while (cut < s->count && s->hits[cut].at == s->hits[cut - 1].at) cut++;
        s->count = cut;
        next = s->hits[cut - 1].at + 1;
    }
    return next;
}

#endif
