/* Context triggered piecewise hashing (Kornblum 2006), the digest that ssdeep prints.
   The rolling sum of a byte depends on the seven bytes up to it, so triggers are found side by side. The piece sums of all block
   sizes take the same bytes, so they are lanes of one vector; a byte maps the 64 values of a lane to 64 values, and with VBMI
   those maps are composed in several chains at once. The state is laid out in _plain/ctph.py. */
#ifndef FORENSICLIB_CTPH_H
#define FORENSICLIB_CTPH_H

#include <stdint.h>
#include <string.h>
#include "popcount.h"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define CTPH_X86 1
#include <immintrin.h>
#endif

enum { CTPH_SCALAR = 0, CTPH_AVX2 = 1, CTPH_VBMI = 2 };
enum { CTPH_LEVEL_COUNT = 31, CTPH_LONG = 63, CTPH_SHORT = 31, CTPH_BLOCK = 4096, CTPH_BEFORE = 16, CTPH_AFTER = 64 };
enum {
    CTPH_TOTAL = 0, CTPH_WINDOW = 8, CTPH_START = 16, CTPH_KNOWN = 17, CTPH_LANES = 64, CTPH_VIRGIN = 31, CTPH_HALF = 32,
    CTPH_COUNTS = 128, CTPH_TAILS = 160, CTPH_HALF_TAILS = 192, CTPH_TEXTS = 256, CTPH_SIZE = CTPH_TEXTS + 64 * CTPH_LEVEL_COUNT
};

static const char ctph_alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

typedef struct { uint16_t at; uint8_t level; } ctph_trigger;
typedef struct {
    uint8_t bytes[CTPH_BEFORE + CTPH_BLOCK + CTPH_AFTER];   /* the bytes before, the block, room for wide loads */
    ctph_trigger found[CTPH_BLOCK];
    uint8_t lanes[64];
} ctph_work;

static uint64_t ctph_total(const uint8_t *state) {
    uint64_t total = 0;
    int i;
    for (i = 7; i >= 0; i--) total = total << 8 | state[CTPH_TOTAL + i];
    return total;
}

static uint64_t ctph_block_size(int level) { return (uint64_t)3 << level; }

/* 0 when every number in the state keeps the code below inside its arrays. */
static int ctph_check(const uint8_t *state) {
    int i, known = state[CTPH_KNOWN];
    if (known > CTPH_LEVEL_COUNT || state[CTPH_START] > known) return -1;
    for (i = 0; i < CTPH_LEVEL_COUNT; i++)
        if (state[CTPH_COUNTS + i] > CTPH_LONG) return -1;
    for (i = 0; i < 64; i++)
        if (state[CTPH_LANES + i] > 63) return -1;
    return 0;
}

static int ctph_level(uint32_t next) {      /* next = sum + 1: the highest level whose block size divides it, or -1 */
    int level = 0;
    if (next == 0 || next % 3) return -1;
    while (!(next & 1)) { next >>= 1; level++; }
    return level;
}

static int64_t ctph_find_scalar(ctph_work *w, int64_t n, int start) {
    const uint8_t *p = w->bytes + CTPH_BEFORE;
    uint32_t sum = 0, weighted = 0, mixed = 0, mask = ((uint32_t)1 << start) - 1, next;
    int64_t i, count = 0;
    for (i = -7; i < 0; i++) {
        sum += p[i];
        weighted += (uint32_t)(i + 8) * p[i];
        mixed = mixed << 5 ^ p[i];
    }
    for (i = 0; i < n; i++) {
        weighted += 7 * (uint32_t)p[i] - sum;
        sum += (uint32_t)p[i] - p[i - 7];
        mixed = mixed << 5 ^ p[i];
        next = sum + weighted + mixed + 1;
        if (!(next & mask) && next * 0xAAAAAAABu <= 0x55555555u && next) {
            w->found[count].at = (uint16_t)i;
            w->found[count++].level = (uint8_t)ctph_level(next);
        }
    }
    return count;
}

#ifdef CTPH_X86
__attribute__((target("avx2"))) static int64_t ctph_find_avx2(ctph_work *w, int64_t n, int start) {
    const uint8_t *p = w->bytes + CTPH_BEFORE;
    const __m256i quads = _mm256_setr_epi8(3, 2, 1, 0, 4, 3, 2, 1, 5, 4, 3, 2, 6, 5, 4, 3, 3, 2, 1, 0, 4, 3, 2, 1, 5, 4, 3, 2, 6, 5, 4, 3);
    const __m256i young = _mm256_set1_epi32(0x05060708), old = _mm256_set1_epi32(0x00020304), ones = _mm256_set1_epi16(1);
    const __m256i one = _mm256_set1_epi32(1), mask = _mm256_set1_epi32((int)(((uint32_t)1 << start) - 1)), zero = _mm256_setzero_si256();
    const __m256i m0 = _mm256_set1_epi32(0xFF), m1 = _mm256_set1_epi32(0xFF << 5), m2 = _mm256_set1_epi32(0xFF << 10), m3 = _mm256_set1_epi32(0xFF << 15);
    const __m256i third = _mm256_set1_epi32((int)0xAAAAAAABu), most = _mm256_set1_epi32(0x55555555);
    int64_t i, count = 0;
    uint32_t sums[8];
    for (i = 0; i < n; i += 8) {
        __m256i near = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p + i - 3))),
                                               _mm_loadu_si128((const __m128i *)(p + i + 1)), 1);
        __m256i far = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p + i - 7))),
                                              _mm_loadu_si128((const __m128i *)(p + i - 3)), 1);
        __m256i a = _mm256_shuffle_epi8(near, quads), b = _mm256_shuffle_epi8(far, quads), mixed, next, ok;
        unsigned bits;
        mixed = _mm256_xor_si256(
            _mm256_xor_si256(_mm256_and_si256(a, m0), _mm256_and_si256(_mm256_srli_epi32(a, 3), m1)),
            _mm256_xor_si256(_mm256_and_si256(_mm256_srli_epi32(a, 6), m2), _mm256_and_si256(_mm256_srli_epi32(a, 9), m3)));
        mixed = _mm256_xor_si256(mixed, _mm256_slli_epi32(_mm256_and_si256(b, m0), 20));
        mixed = _mm256_xor_si256(mixed, _mm256_slli_epi32(_mm256_and_si256(_mm256_srli_epi32(b, 3), m1), 20));
        mixed = _mm256_xor_si256(mixed, _mm256_slli_epi32(_mm256_and_si256(_mm256_srli_epi32(b, 6), m2), 20));
        next = _mm256_madd_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(a, young), _mm256_maddubs_epi16(b, old)), ones);
        next = _mm256_add_epi32(_mm256_add_epi32(next, mixed), one);
        ok = _mm256_cmpeq_epi32(_mm256_and_si256(next, mask), zero);
        if (_mm256_testz_si256(ok, ok)) continue;
        {
            __m256i inverse = _mm256_mullo_epi32(next, third);
            ok = _mm256_and_si256(ok, _mm256_cmpeq_epi32(_mm256_min_epu32(inverse, most), inverse));
            ok = _mm256_andnot_si256(_mm256_cmpeq_epi32(next, zero), ok);
        }
        bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(ok));
        if (!bits) continue;
        _mm256_storeu_si256((__m256i *)sums, next);
        for (; bits; bits &= bits - 1) {
            int k = __builtin_ctz(bits);
            if (i + k >= n) break;
            w->found[count].at = (uint16_t)(i + k);
            w->found[count++].level = (uint8_t)__builtin_ctz(sums[k]);
        }
    }
    return count;
}

#define CTPH_512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))

CTPH_512 static int64_t ctph_find_vbmi(ctph_work *w, int64_t n, int start) {
    const uint8_t *p = w->bytes + CTPH_BEFORE;
    const __m512i young = _mm512_set1_epi32(0x05060708), old = _mm512_set1_epi32(0x00020304), one = _mm512_set1_epi32(1);
    const __m512i mask = _mm512_set1_epi32((int)(((uint32_t)1 << start) - 1)), zero = _mm512_setzero_si512();
    const __m512i m0 = _mm512_set1_epi32(0xFF), m1 = _mm512_set1_epi32(0xFF << 5), m2 = _mm512_set1_epi32(0xFF << 10), m3 = _mm512_set1_epi32(0xFF << 15);
    const __m512i third = _mm512_set1_epi32((int)0xAAAAAAABu), most = _mm512_set1_epi32(0x55555555);
    uint8_t order[64];
    uint32_t sums[16];
    __m512i quads, before_q, before_m;
    int64_t i, count = 0;
    int j, pass;
    for (j = 0; j < 64; j++) order[j] = (uint8_t)(4 + (j >> 2) - 1 - (j & 3));      /* bytes i, i-1, i-2, i-3 of the load at i-3 */
    quads = _mm512_loadu_si512(order);
    before_q = before_m = zero;
    for (i = -16, pass = 0; i < n; i += 16, pass = 1) {
        __m512i q, mixed, far_q, far_m, next;
        __mmask16 ok;
        if (pass)
            q = _mm512_permutexvar_epi8(quads, _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(p + i - 3))));
        else {                                                                      /* only its last four lanes are asked for */
            uint8_t first[32] = {0};
            memcpy(first + 3, p - 16, 16);
            q = _mm512_permutexvar_epi8(quads, _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)first)));
        }
        mixed = _mm512_and_si512(q, m0);
        mixed = _mm512_ternarylogic_epi32(mixed, _mm512_srli_epi32(q, 3), m1, 0x78);  /* a ^ (b & c) */
        mixed = _mm512_ternarylogic_epi32(mixed, _mm512_srli_epi32(q, 6), m2, 0x78);
        mixed = _mm512_ternarylogic_epi32(mixed, _mm512_srli_epi32(q, 9), m3, 0x78);
        far_q = _mm512_alignr_epi32(q, before_q, 12);
        far_m = _mm512_alignr_epi32(mixed, before_m, 12);
        before_q = q;
        before_m = mixed;
        if (!pass) continue;
        next = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(one, q, young), far_q, old);
        next = _mm512_add_epi32(next, _mm512_xor_si512(mixed, _mm512_slli_epi32(far_m, 20)));
        ok = _mm512_testn_epi32_mask(next, mask);
        if (!ok) continue;
        ok = _mm512_mask_cmple_epu32_mask(ok, _mm512_mullo_epi32(next, third), most);
        ok = _mm512_mask_test_epi32_mask(ok, next, next);
        if (!ok) continue;
        _mm512_storeu_si512(sums, next);
        for (; ok; ok &= (__mmask16)(ok - 1)) {
            int k = __builtin_ctz(ok);
            if (i + k >= n) break;
            w->found[count].at = (uint16_t)(i + k);
            w->found[count++].level = (uint8_t)__builtin_ctz(sums[k]);
        }
    }
    return count;
}

static uint8_t ctph_maps[256][64] __attribute__((aligned(64)));        /* byte -> the map of a sum; filled once by ctph_best_level() */

#define CTPH_STEP(v, at) v = _mm512_permutexvar_epi8(v, _mm512_load_si512(maps + (size_t)(at) * 64))

CTPH_512 static void ctph_pass_vbmi(uint8_t *lanes, const uint8_t *p, int64_t n, const uint8_t *maps) {
    __m512i v = _mm512_loadu_si512(lanes);
    if (n >= 128) {
        int64_t part = n >> 3, i;
        const uint8_t *q = p;
        uint8_t same[64];
        __m512i b, c, d, e, f, g, h;
        for (i = 0; i < 64; i++) same[i] = (uint8_t)i;
        b = c = d = e = f = g = h = _mm512_loadu_si512(same);
        for (i = 0; i < part; i++, q++) {
            CTPH_STEP(v, q[0]);
            CTPH_STEP(b, q[part]);
            CTPH_STEP(c, q[2 * part]);
            CTPH_STEP(d, q[3 * part]);
            CTPH_STEP(e, q[4 * part]);
            CTPH_STEP(f, q[5 * part]);
            CTPH_STEP(g, q[6 * part]);
            CTPH_STEP(h, q[7 * part]);
        }
        b = _mm512_permutexvar_epi8(b, c);
        d = _mm512_permutexvar_epi8(d, e);
        f = _mm512_permutexvar_epi8(f, g);
        v = _mm512_permutexvar_epi8(v, b);
        f = _mm512_permutexvar_epi8(f, h);
        v = _mm512_permutexvar_epi8(v, d);
        v = _mm512_permutexvar_epi8(v, f);
        p += 8 * part;
        n -= 8 * part;
    }
    for (; n > 0; n--) CTPH_STEP(v, *p++);
    _mm512_storeu_si512(lanes, v);
}
#endif

/* One byte for eight sums in a word: 19 h = h + 2 h + 16 h, no carry leaves its lane. */
#define CTPH_SWAR(x, c) ((((x) * 3 + (((x) & UINT64_C(0x0303030303030303)) << 4)) ^ (c)) & UINT64_C(0x3F3F3F3F3F3F3F3F))

static void ctph_pass_words(uint64_t *words, int count, const uint8_t *p, int64_t n) {
    int64_t i;
    int k;
    if (count <= 2) {
        uint64_t a = words[0], b = words[1];
        for (i = 0; i < n; i++) {
            uint64_t c = p[i] * UINT64_C(0x0101010101010101);
            a = CTPH_SWAR(a, c);
            b = CTPH_SWAR(b, c);
        }
        words[0] = a;
        words[1] = b;
        return;
    }
    for (i = 0; i < n; i++) {
        uint64_t c = p[i] * UINT64_C(0x0101010101010101);
        for (k = 0; k < count; k++) words[k] = CTPH_SWAR(words[k], c);
    }
}

/* A piece of the file through every sum that is asked for; a second part's own sum only where it differs from the first's. */
static void ctph_pass_scalar(uint8_t *state, const uint8_t *p, int64_t n) {
    uint8_t *lanes = state + CTPH_LANES, packed[64] = {0}, place[64];
    uint64_t words[8];
    int i, k = 0, apart = 0, start = state[CTPH_START], known = state[CTPH_KNOWN];
    place[k++] = CTPH_VIRGIN;
    for (i = start; i < known; i++) place[k++] = (uint8_t)i;
    for (i = start; i < known && state[CTPH_COUNTS + i] > CTPH_SHORT; i++, apart++) place[k++] = (uint8_t)(CTPH_HALF + i);
    for (i = 0; i < k; i++) packed[i] = lanes[place[i]];
    memcpy(words, packed, 64);
    ctph_pass_words(words, (k + 7) >> 3, p, n);
    memcpy(packed, words, 64);
    for (i = 0; i < k; i++) lanes[place[i]] = packed[i];
    for (i = start + apart; i < known; i++) lanes[CTPH_HALF + i] = lanes[i];
}

static void ctph_pass(uint8_t *state, const uint8_t *p, int64_t n, int way) {
#ifdef CTPH_X86
    if (way == CTPH_VBMI) {
        uint8_t *lanes = state + CTPH_LANES;
        int i, start = state[CTPH_START], known = state[CTPH_KNOWN];
        ctph_pass_vbmi(lanes, p, n, &ctph_maps[0][0]);
        for (i = 0; i < start; i++) lanes[i] = lanes[CTPH_HALF + i] = 0;
        for (i = known; i < CTPH_LEVEL_COUNT; i++) lanes[i] = lanes[CTPH_HALF + i] = 0;
        lanes[63] = 0;
        return;
    }
#endif
    (void)way;
    ctph_pass_scalar(state, p, n);
}

/* A piece ends for all block sizes up to the level. */
static void ctph_cut(uint8_t *state, int level) {
    uint8_t *lanes = state + CTPH_LANES;
    int i;
    for (i = state[CTPH_KNOWN]; i <= level; i++) lanes[i] = lanes[CTPH_HALF + i] = lanes[CTPH_VIRGIN];
    if (level >= state[CTPH_KNOWN]) state[CTPH_KNOWN] = (uint8_t)(level + 1);
    for (i = state[CTPH_START]; i <= level; i++) {
        uint8_t *count = state + CTPH_COUNTS + i, sum = (uint8_t)ctph_alphabet[lanes[i]], half = (uint8_t)ctph_alphabet[lanes[CTPH_HALF + i]];
        if (*count < CTPH_LONG) {
            state[CTPH_TEXTS + 64 * i + *count] = sum;
            ++*count;
            lanes[i] = 0x27;                /* 0x28021967 of the paper, its low six bits */
            if (*count <= CTPH_SHORT) lanes[CTPH_HALF + i] = 0x27;
        } else
            state[CTPH_TAILS + i] = sum;
        if (*count > CTPH_SHORT) state[CTPH_HALF_TAILS + i] = half;
    }
}

/* Levels that no end of the file can choose any more are cleared. */
static void ctph_drop(uint8_t *state) {
    uint64_t total = ctph_total(state);
    int s = state[CTPH_START];
    while (s + 1 < state[CTPH_KNOWN] && ctph_block_size(s) * 64 < total && state[CTPH_COUNTS + s + 1] > CTPH_SHORT) {
        state[CTPH_LANES + s] = state[CTPH_LANES + CTPH_HALF + s] = 0;
        state[CTPH_COUNTS + s] = state[CTPH_TAILS + s] = state[CTPH_HALF_TAILS + s] = 0;
        memset(state + CTPH_TEXTS + 64 * s, 0, 64);
        s++;
    }
    state[CTPH_START] = (uint8_t)s;
}

static void ctph_block(uint8_t *state, ctph_work *w, const uint8_t *data, int64_t n, int way) {
    const uint8_t *p = w->bytes + CTPH_BEFORE;
    uint64_t total = ctph_total(state) + (uint64_t)n;
    int64_t count, i, kept, at = 0;
    int start = state[CTPH_START], open = start, later = -1, k;
    memset(w->bytes, 0, CTPH_BEFORE);
    memcpy(w->bytes + CTPH_BEFORE - 7, state + CTPH_WINDOW, 7);
    memcpy(w->bytes + CTPH_BEFORE, data, (size_t)n);
    memset(w->bytes + CTPH_BEFORE + n, 0, CTPH_AFTER);
#ifdef CTPH_X86
    if (way == CTPH_VBMI) count = ctph_find_vbmi(w, n, start);
    else if (way == CTPH_AVX2) count = ctph_find_avx2(w, n, start);
    else
#endif
        count = ctph_find_scalar(w, n, start);
    /* Where all texts are full only the last piece end of a level counts. */
    while (open < state[CTPH_KNOWN] && state[CTPH_COUNTS + open] == CTPH_LONG) open++;
    for (i = count - 1, kept = count; i >= 0; i--)
        if (w->found[i].level >= open || w->found[i].level > later) {
            if (w->found[i].level > later) later = w->found[i].level;
            w->found[--kept] = w->found[i];
        }
    for (; kept < count; kept++) {
        ctph_pass(state, p + at, w->found[kept].at + 1 - at, way);
        at = w->found[kept].at + 1;
        ctph_cut(state, w->found[kept].level);
    }
    if (at < n) ctph_pass(state, p + at, n - at, way);
    memcpy(state + CTPH_WINDOW, p + n - 7, 7);
    for (k = 0; k < 8; k++) state[CTPH_TOTAL + k] = (uint8_t)(total >> (8 * k));
    ctph_drop(state);
}

static void ctph_run(uint8_t *state, const uint8_t *data, int64_t size, int way) {
    ctph_work work;
    int64_t at;
    for (at = 0; at < size; at += CTPH_BLOCK) ctph_block(state, &work, data + at, size - at < CTPH_BLOCK ? size - at : CTPH_BLOCK, way);
}

/* Fills the maps too, so it is called once before any other. */
static int ctph_best_level(void) {
#ifdef CTPH_X86
    int c, x;
    for (c = 0; c < 256; c++)
        for (x = 0; x < 64; x++) ctph_maps[c][x] = (uint8_t)((x * 19 ^ c) & 63);
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512f"))
        return CTPH_VBMI;
    if (__builtin_cpu_supports("avx2")) return CTPH_AVX2;
#endif
    return CTPH_SCALAR;
}

/* -- comparing ------------------------------------------------------------------------------------------------------------- */

enum { CTPH_RECORD = 131 };     /* level, length of the first part, 64 bytes, length of the second, 64 bytes */

/* Where each character stands in a part, as bits; made once for the one and used against the many. */
static void ctph_places(uint64_t *places, const uint8_t *text, int size) {
    int i;
    memset(places, 0, 256 * sizeof *places);
    for (i = 0; i < size; i++) places[text[i]] |= (uint64_t)1 << i;
}

static int ctph_part_score(const uint64_t *places, int size, const uint8_t *other, int length, int level) {
    uint64_t runs[7] = {0}, left = ~(uint64_t)0;
    int i, k, common = 0, distance, score;
    if (size < 7 || length < 7) return 0;
    for (i = 0; i < length && !common; i++) {       /* runs[k]: k + 1 characters alike end here */
        uint64_t here = places[other[i]];
        for (k = 6; k > 0; k--) runs[k] = runs[k - 1] << 1 & here;
        runs[0] = here;
        common = runs[6] != 0;
    }
    if (!common) return 0;
    for (i = 0; i < length; i++) {                  /* longest common subsequence by bits (Hyyro 2004) */
        uint64_t here = left & places[other[i]];
        left = (left + here) | (left - here);
    }
    common = popcount_plain(~left & (size == 64 ? ~(uint64_t)0 : ((uint64_t)1 << size) - 1));
    distance = size + length - 2 * common;          /* inserting and deleting cost 1; replacing would cost more than both */
    score = 100 - 100 * (distance * 64 / (size + length)) / 64;
    if (level < 5) {
        int cap = (1 << level) * (size < length ? size : length);
        if (score > cap) score = cap;
    }
    return score;
}

/* Every record's score against the one; records are proved by the caller. */
static void ctph_compare(const uint8_t *one, const uint8_t *many, int64_t count, uint8_t *scores) {
    uint64_t first[256], second[256];
    int level = one[0], la = one[1], lb = one[66], a, b;
    int64_t i;
    ctph_places(first, one + 2, la);
    ctph_places(second, one + 67, lb);
    for (i = 0; i < count; i++, many += CTPH_RECORD) {
        scores[i] = 0;
        if (many[0] == level) {
            if (la == many[1] && lb == many[66] && !memcmp(one + 2, many + 2, (size_t)la) && !memcmp(one + 67, many + 67, (size_t)lb)) {
                scores[i] = 100;
                continue;
            }
            a = ctph_part_score(first, la, many + 2, many[1], level);
            b = ctph_part_score(second, lb, many + 67, many[66], level + 1);
            scores[i] = (uint8_t)(a > b ? a : b);
        } else if (many[0] == level + 1)
            scores[i] = (uint8_t)ctph_part_score(second, lb, many + 2, many[1], level + 1);
        else if (many[0] + 1 == level)
            scores[i] = (uint8_t)ctph_part_score(first, la, many + 67, many[66], level);
    }
}

static int ctph_records_ok(const uint8_t *p, int64_t count) {
    int64_t i;
    for (i = 0; i < count; i++, p += CTPH_RECORD)
        if (p[0] >= CTPH_LEVEL_COUNT || p[1] > 64 || p[66] > 64) return 0;
    return 1;
}

#endif
