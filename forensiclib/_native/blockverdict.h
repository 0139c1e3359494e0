/* Entropy of blocks, and whether one could only have come from one place. See _plain/blockverdict.py for the rules.
   Sums of c * log2(c) are whole numbers of 2^-32 bits, so that no order of adding changes them. */
#ifndef FORENSICLIB_BLOCKVERDICT_H
#define FORENSICLIB_BLOCKVERDICT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define BV_X86 1
#define BV_INLINE static inline __attribute__((always_inline))
typedef uint32_t bv_eight __attribute__((vector_size(32)));
typedef uint8_t bv_many __attribute__((vector_size(32)));
#else
#define BV_INLINE static inline
#endif

enum { BV_ZERO, BV_CONSTANT, BV_REPEATING, BV_WHITESPACE, BV_RAMP, BV_HISTOGRAM, BV_LOW, BV_DISTINCTIVE };
enum { BV_KEPT = 1024, BV_PERIOD = 64, BV_ROUNDING = 1024 /* more than 256 roundings make */ };

static int64_t bv_large(uint32_t c) {
    return (int64_t)floor((double)c * log2((double)c) * 4294967296.0 + 0.5);
}

static int64_t bv_of(const int64_t *table, uint32_t c) {
    return c <= BV_KEPT ? table[c] : bv_large(c);
}

static void bv_fill(int64_t table[BV_KEPT + 1]) {
    uint32_t c;
    table[0] = 0;
    for (c = 1; c <= BV_KEPT; c++) table[c] = bv_large(c);
}

/* n * H * 2^32 of the bytes. Four tables: equal neighbours do not wait for each other. Short blocks fit into bytes, which are sooner cleared. */
#define BV_BYTES(name, type) \
    static int64_t name(const int64_t *table, const uint8_t *d, uint32_t n) { \
        type counts[4][256]; \
        uint32_t i, all[256]; \
        int64_t sum = 0; \
        memset(counts, 0, sizeof counts); \
        for (i = 0; i + 8 <= n; i += 8) { \
            uint64_t v; \
            memcpy(&v, d + i, 8); \
            counts[0][v & 255]++; counts[1][v >> 8 & 255]++; counts[2][v >> 16 & 255]++; counts[3][v >> 24 & 255]++; \
            counts[0][v >> 32 & 255]++; counts[1][v >> 40 & 255]++; counts[2][v >> 48 & 255]++; counts[3][v >> 56]++; \
        } \
        for (; i < n; i++) counts[i & 3][d[i]]++; \
        for (i = 0; i < 256; i++) all[i] = (uint32_t)counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i]; \
        for (i = 0; i < 256; i++) sum += bv_of(table, all[i]); \
        return bv_of(table, n) - sum; \
    }
BV_BYTES(bv_bytes_short, uint8_t)
BV_BYTES(bv_bytes_long, uint32_t)
#undef BV_BYTES

static int64_t bv_bytes(const int64_t *table, const uint8_t *d, uint32_t n) {
    return n <= 1020 ? bv_bytes_short(table, d, n) : bv_bytes_long(table, d, n);
}

/* The same of 16-bit little-endian symbols; an odd last byte is one with a high byte of 0. ``counts`` is all zero, and is again. */
static int64_t bv_pairs(const int64_t *table, const uint8_t *d, uint32_t n, uint32_t *counts) {
    uint32_t i, c, whole = n & ~1u;
    int64_t sum = 0;
    for (i = 0; i < whole; i += 2) counts[d[i] | (uint32_t)d[i + 1] << 8]++;
    if (n & 1) counts[d[whole]]++;
    for (i = 0; i < n; i += 2) {
        uint32_t *at = counts + (d[i] | (i + 1 < n ? (uint32_t)d[i + 1] << 8 : 0));
        c = *at;
        *at = 0;
        sum += bv_of(table, c);
    }
    return bv_of(table, (n + 1) / 2) - sum;
}

static uint32_t bv_word(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static uint32_t bv_little(const uint8_t *p) {
#ifdef BV_X86
    return bv_word(p);
#endif
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

BV_INLINE uint32_t bv_period(const uint8_t *d, uint32_t n) {
    uint32_t p = 2, seen = 0, first = bv_word(d), i, j;
    if (n >= 2 * BV_PERIOD) { /* most blocks have their first word nowhere near again */
        for (i = 0; i < 4; i++)
            for (j = 0; j < BV_PERIOD; j += 4) seen |= bv_word(d + 2 + i + j) == first;
        if (!seen) p = 2 * BV_PERIOD;
    }
    for (; p <= n / 2; p = p < BV_PERIOD ? p + 1 : p * 2)
        if (bv_word(d + p) == first && !memcmp(d, d + p, n - p)) return p;
    return 0;
}

BV_INLINE uint32_t bv_whites(const uint8_t *d, uint32_t n) {
    uint32_t i = 0, count = 0;
#ifdef BV_X86
    while (n - i >= 32) {
        bv_many v, sums = {0};
        uint32_t j, k;
        for (k = 0; k < 255 && n - i >= 32; k++, i += 32) {
            memcpy(&v, d + i, 32);
            sums -= (bv_many)((v == 32) | ((v >= 9) & (v <= 13)));
        }
        for (j = 0; j < 32; j++) count += sums[j];
    }
#endif
    for (; i < n; i++) count += (d[i] == 32) | ((uint8_t)(d[i] - 9) < 5);
    return count;
}

BV_INLINE int bv_white(const uint8_t *d, uint32_t n) {
    uint32_t half = n / 2, count = bv_whites(d, half);
    if (4 * (uint64_t)(half - count) >= n) return 0;
    return 4 * (uint64_t)(count + bv_whites(d + half, n - half)) > 3 * (uint64_t)n;
}

BV_INLINE int bv_ramp(const uint8_t *d, uint32_t words) {
    uint32_t i, count = 0;
    for (i = 0; i + 1 < words; i++) count += bv_little(d + 4 * i + 4) - bv_little(d + 4 * i) == 1;
    return 2 * (uint64_t)count > words;
}

BV_INLINE uint32_t bv_count(const uint8_t *d, uint32_t words, uint32_t value) {
    uint32_t i, count = 0;
    for (i = 0; i < words; i++) count += bv_word(d + 4 * i) == value;
    return count;
}

/* Whether one of ``sides`` words equals another, in that many equal parts of the block laid over each other. If not, no value
   fills more than that share. */
BV_INLINE uint32_t bv_twice(const uint8_t *d, uint32_t words, uint32_t sides) {
    const uint32_t part = words / sides * 4;
    uint32_t i = 0, j, k, seen = 0;
#ifdef BV_X86
    bv_eight row[16], same = {0};
    for (; i + 32 <= part; i += 32) {
#pragma GCC unroll 16
        for (j = 0; j < sides; j++) {
            memcpy(&row[j], d + j * part + i, 32);
#pragma GCC unroll 16
            for (k = 0; k < j; k++) same |= (bv_eight)(row[j] == row[k]);
        }
    }
    for (j = 0; j < 8; j++) seen |= same[j];
#endif
    for (; i < part; i += 4)
        for (j = 1; j < sides; j++)
            for (k = 0; k < j; k++) seen |= bv_word(d + j * part + i) == bv_word(d + k * part + i);
    return seen;
}

/* Whether one value fills more than a quarter of the words: three candidates survive the count-down (Misra and Gries 1982). */
BV_INLINE int bv_histogram(const uint8_t *d, uint32_t words) {
    uint32_t value[3] = {0, 0, 0}, held[3] = {0, 0, 0}, i, j, v;
    if (words % 4 == 0 && !bv_twice(d, words, 4)) return 0;
    for (i = 0; i < words; i++) {
        v = bv_word(d + 4 * i);
        for (j = 0; j < 3 && !(held[j] && value[j] == v); j++) {}
        if (j < 3) { held[j]++; continue; }
        for (j = 0; j < 3 && held[j]; j++) {}
        if (j < 3) { value[j] = v; held[j] = 1; }
        else for (j = 0; j < 3; j++) held[j]--;
    }
    for (j = 0; j < 3; j++)
        if (held[j] && 4 * (uint64_t)bv_count(d, words, value[j]) > words) return 1;
    return 0;
}

BV_INLINE int bv_rules(const int64_t *table, const uint8_t *d, uint32_t n, int64_t entropy, uint32_t *period) {
    uint32_t words = n / 4;
    if (n < 2 || (d[0] == d[1] && !memcmp(d, d + 1, n - 1))) return d[0] ? BV_CONSTANT : BV_ZERO;
    if (n >= 8 && (*period = bv_period(d, n)) != 0) return BV_REPEATING;
    if (bv_white(d, n)) return BV_WHITESPACE;
    if (words >= 8) {
        if (bv_ramp(d, words)) return BV_RAMP;
        /* No word fills more than a sixteenth: no histogram; and 4 bits a word are 1 bit a byte at least. */
        if (n % 64 == 0 && !bv_twice(d, words, 16)) return BV_DISTINCTIVE;
        if (bv_histogram(d, words)) return BV_HISTOGRAM;
    }
    /* The entropy of a whole is no less than that of its parts by their share: a quarter is often enough. */
    if (entropy < 0 && bv_bytes(table, d, n / 4) >= (int64_t)n << 32) return BV_DISTINCTIVE;
    if (entropy < 0) entropy = bv_bytes(table, d, n);
    return entropy < ((int64_t)n << 32) - BV_ROUNDING ? BV_LOW : BV_DISTINCTIVE;
}

static int bv_rules_plain(const int64_t *table, const uint8_t *d, uint32_t n, int64_t entropy, uint32_t *period) {
    return bv_rules(table, d, n, entropy, period);
}
#ifdef BV_X86
__attribute__((target("avx2"))) static int bv_rules_avx2(const int64_t *table, const uint8_t *d, uint32_t n, int64_t entropy, uint32_t *period) {
    return bv_rules(table, d, n, entropy, period);
}
#endif

static double bv_bits(int64_t sum, uint32_t n) {
    return (double)sum / 4294967296.0 / (double)n;
}

/* One result a block in each of the arrays that are there. ``counts`` is 65536 zeros, or NULL without ``k``. */
static void bv_blocks(const int64_t *table, const uint8_t *data, size_t length, size_t size, double *entropy, uint16_t *k, uint32_t *counts,
                      uint8_t *verdict, uint32_t *period) {
    int (*rules)(const int64_t *, const uint8_t *, uint32_t, int64_t, uint32_t *) = bv_rules_plain;
    size_t at, i = 0;
#ifdef BV_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) rules = bv_rules_avx2;
#endif
    for (at = 0; at < length; at += size, i++) {
        uint32_t n = (uint32_t)(length - at < size ? length - at : size);
        int64_t sum = -1;
        if (entropy) {
            sum = bv_bytes(table, data + at, n);
            entropy[i] = bv_bits(sum, n);
        }
        if (k) {
            float bits = (float)bv_bits(bv_pairs(table, data + at, n, counts), (n + 1) / 2);
            bits = bits * 1000.0f;
            k[i] = (uint16_t)floor((double)bits + 0.5);
        }
        if (verdict) {
            period[i] = 0;
            verdict[i] = (uint8_t)rules(table, data + at, n, sum, period + i);
        }
    }
}

#endif
