/* TLSH: counts of triplets in a window of five bytes. Pearson's table is the caller's; the state is laid out in _plain/tlsh.py. */
#ifndef FORENSICLIB_TLSH_H
#define FORENSICLIB_TLSH_H

#include <stdint.h>
#include <string.h>
#include "popcount.h"

#ifdef POPCOUNT_X86
#include <immintrin.h>
#endif

enum { TLSH_STATE = 16 + 8 * 128, TLSH_DIGEST = 35, TLSH_BLOCK = 1 << 16 };

typedef struct {
    uint8_t pearson[256];
    uint64_t first[256];        /* newest byte -> six salted values, one a byte, and the checksum's in the seventh */
} tlsh_tables;

static void tlsh_open(tlsh_tables *t, const uint8_t *pearson) {
    static const uint8_t salts[7] = {2, 3, 5, 7, 11, 13, 0};
    int i, k;
    memcpy(t->pearson, pearson, 256);
    for (i = 0; i < 256; i++) {
        t->first[i] = 0;
        for (k = 0; k < 7; k++) t->first[i] |= (uint64_t)pearson[pearson[salts[k]] ^ i] << (8 * k);
    }
}

static uint64_t tlsh_u64(const uint8_t *p) {
    uint64_t v = 0;
    int i;
    for (i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static void tlsh_put(uint8_t *p, uint64_t v) {
    int i;
    for (i = 0; i < 8; i++, v >>= 8) p[i] = (uint8_t)v;
}

/* The last look-up is a permutation, so it is done once for each count and not for each triplet. Six arrays: equal triplets in a row
   would wait for each other's count. */
static void tlsh_count(const tlsh_tables *t, const uint8_t *p, int64_t n, uint32_t counts[6][256], uint8_t *checksum) {
    const uint8_t *T = t->pearson;
    uint8_t sum = *checksum;
    int64_t i;
    for (i = 0; i < n; i++) {
        uint32_t b = p[i - 1], c = p[i - 2], d = p[i - 3], e = p[i - 4];
        uint64_t x = t->first[p[i]] ^ (b * UINT64_C(0x01000100000101)) ^ (c * UINT64_C(0x01010000)) ^ ((uint64_t)d << 40);
        counts[0][T[x & 255] ^ c]++;
        counts[1][T[x >> 8 & 255] ^ d]++;
        counts[2][T[x >> 16 & 255] ^ d]++;
        counts[3][T[x >> 24 & 255] ^ e]++;
        counts[4][T[x >> 32 & 255] ^ e]++;
        counts[5][T[x >> 40 & 255] ^ e]++;
        sum = T[T[x >> 48 & 255] ^ sum];
    }
    *checksum = sum;
}

#ifdef POPCOUNT_X86
#define TLSH_512 __attribute__((target("avx512f,avx512bw,avx512vbmi")))
/* 64 look-ups in a table of 256. */
#define TLSH_LOOK(x) _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), _mm512_permutex2var_epi8(t0, x, t1), _mm512_permutex2var_epi8(t2, x, t3))
#define TLSH_TRIPLET(out, salt, one, two) \
    x = TLSH_LOOK(_mm512_xor_si512(a, _mm512_set1_epi8((char)T[salt]))); \
    x = TLSH_LOOK(_mm512_xor_si512(x, one)); \
    _mm512_store_si512(out, _mm512_xor_si512(x, two))

/* The look-ups of 64 bytes side by side; counting stays one by one. Takes a multiple of 64, at least 4 bytes stand before. */
TLSH_512 static void tlsh_count_vbmi(const tlsh_tables *t, const uint8_t *p, int64_t n, uint32_t counts[6][256], uint8_t *checksum) {
    const uint8_t *T = t->pearson;
    const __m512i t0 = _mm512_loadu_si512(T), t1 = _mm512_loadu_si512(T + 64), t2 = _mm512_loadu_si512(T + 128), t3 = _mm512_loadu_si512(T + 192);
    uint8_t made[7][64] __attribute__((aligned(64)));
    uint8_t sum = *checksum;
    int64_t at;
    int i;
    for (at = 0; at < n; at += 64, p += 64) {
        __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p - 1), c = _mm512_loadu_si512(p - 2), d = _mm512_loadu_si512(p - 3);
        __m512i e = _mm512_loadu_si512(p - 4), x;
        TLSH_TRIPLET(made[0], 2, b, c);
        TLSH_TRIPLET(made[1], 3, b, d);
        TLSH_TRIPLET(made[2], 5, c, d);
        TLSH_TRIPLET(made[3], 7, c, e);
        TLSH_TRIPLET(made[4], 11, b, e);
        TLSH_TRIPLET(made[5], 13, d, e);
        TLSH_TRIPLET(made[6], 0, b, _mm512_setzero_si512());
        for (i = 0; i < 64; i++) {
            counts[0][made[0][i]]++;
            counts[1][made[1][i]]++;
            counts[2][made[2][i]]++;
            counts[3][made[3][i]]++;
            counts[4][made[4][i]]++;
            counts[5][made[5][i]]++;
            sum = T[made[6][i] ^ sum];
        }
    }
    *checksum = sum;
}
#endif

static int tlsh_best_level(void) {
#ifdef POPCOUNT_X86
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
#else
    return 0;
#endif
}

static void tlsh_count_by(const tlsh_tables *t, const uint8_t *p, int64_t n, uint32_t counts[6][256], uint8_t *checksum, int level) {
#ifdef POPCOUNT_X86
    if (level) {
        tlsh_count_vbmi(t, p, n & ~(int64_t)63, counts, checksum);
        p += n & ~(int64_t)63;
        n &= 63;
    }
#endif
    (void)level;
    tlsh_count(t, p, n, counts, checksum);
}

static void tlsh_run(uint8_t *state, const uint8_t *data, int64_t size, const uint8_t *pearson, int level) {
    tlsh_tables tables;
    uint8_t edge[16];
    uint32_t counts[6][256];
    uint64_t total = tlsh_u64(state);
    int64_t skip = total < 4 ? (int64_t)(4 - total) : 0, head = size < 4 ? size : 4, at, take, i;
    int k;
    tlsh_open(&tables, pearson);
    memcpy(edge, state + 8, 4);
    memcpy(edge + 4, data, (size_t)head);
    memset(counts, 0, sizeof counts);
    /* the first bytes have their window in the state */
    if (skip < head) tlsh_count(&tables, edge + 4 + skip, head - skip, counts, state + 12);
    for (at = head; ; at += take) {
        take = size - at < (INT64_C(1) << 30) ? size - at : INT64_C(1) << 30;
        if (take > 0) tlsh_count_by(&tables, data + at, take, counts, state + 12, level);
        for (i = 0; i < 256; i++) {
            uint8_t bucket = pearson[i];
            uint64_t sum = 0;
            for (k = 0; k < 6; k++) sum += counts[k][i];
            if (bucket < 128) tlsh_put(state + 16 + 8 * bucket, tlsh_u64(state + 16 + 8 * bucket) + sum);
        }
        if (at + take >= size) break;
        memset(counts, 0, sizeof counts);
    }
    if (size >= 4) memcpy(state + 8, data + size - 4, 4);
    else memcpy(state + 8, edge + size, 4);
    tlsh_put(state, total + (uint64_t)size);
}

static int tlsh_around(int a, int b, int size) {
    int d = a > b ? a - b : b - a;
    return d < size - d ? d : size - d;
}

POPCOUNT_INLINE void tlsh_compare_with(const uint8_t *one, const uint8_t *many, int64_t count, int length, uint16_t *out, int fast) {
    const uint64_t low = UINT64_C(0x5555555555555555);
    uint64_t mine[4];
    int64_t i;
    memcpy(mine, one + 3, 32);
    for (i = 0; i < count; i++, many += TLSH_DIGEST) {
        uint64_t theirs[4];
        int total = one[0] != many[0], d, k;
        if (length) {
            d = tlsh_around((uint8_t)(one[1] >> 4 | one[1] << 4), (uint8_t)(many[1] >> 4 | many[1] << 4), 256);
            total += d <= 1 ? d : d * 12;
        }
        d = tlsh_around(one[2] >> 4, many[2] >> 4, 16);
        total += d <= 1 ? d : (d - 1) * 12;
        d = tlsh_around(one[2] & 15, many[2] & 15, 16);
        total += d <= 1 ? d : (d - 1) * 12;
        memcpy(theirs, many + 3, 32);
        for (k = 0; k < 4; k++) {       /* pairs of bits: 0 1 2 and 6 for 0 against 3 */
            uint64_t x = mine[k] ^ theirs[k], x0 = x & low, x1 = x >> 1 & low, both = x0 & x1;
            uint64_t mixed = (mine[k] ^ mine[k] >> 1) & low;
            total += popcount_of((x0 & ~x1) | (both & mixed), fast) + 2 * popcount_of(x1 & ~x0, fast) + 6 * popcount_of(both & ~mixed, fast);
        }
        out[i] = (uint16_t)total;
    }
}

#ifdef POPCOUNT_X86
POPCOUNT_TARGET static void tlsh_compare_fast(const uint8_t *one, const uint8_t *many, int64_t count, int length, uint16_t *out) {
    tlsh_compare_with(one, many, count, length, out, 1);
}
#endif

static void tlsh_compare(const uint8_t *one, const uint8_t *many, int64_t count, int length, uint16_t *out, int fast) {
#ifdef POPCOUNT_X86
    if (fast) {
        tlsh_compare_fast(one, many, count, length, out);
        return;
    }
#endif
    (void)fast;
    tlsh_compare_with(one, many, count, length, out, 0);
}

#endif
