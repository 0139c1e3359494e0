/* Signature scan: filters that refuse nearly all offsets, then hash and compare. Batches of 4 KiB; in each, lists of offsets that are sifted.

   1. Candidates. AVX-512: table look-ups of single bytes and of mixed pairs, ANDed; eight buckets at once. AVX2: nibble look-ups where the list
      is short enough. Where these would let nearly all pass, and on the scalar level, every offset is a candidate.
   2. Two bits of one word of a bitmap, which the hash of four bytes (cleared of bit 5, so of letter case) chooses: one says whether an anchor of
      three or four bytes may be here, the other, which two more bytes choose, whether one of six may.
   3. A hash table of anchors, prefetched; a masked compare of eight bytes, then of all. In passes over many offsets that decide without branches.
   Letters with zeros between them (UTF-16) are a list of their own: of their bytes every other one says nothing, so the letters are hashed.
   Signatures that lie on sectors are looked for there only.
   The tables come from scan_tables.h; scan_open() proves them before anything reads them. */
#ifndef FORENSICLIB_SCAN_H
#define FORENSICLIB_SCAN_H

#include "scan_sort.h"
#include "scan_tables.h"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define SCAN_X86 1
#include <immintrin.h>
#endif
#if defined(__GNUC__) || defined(__clang__)
#define SCAN_PREFETCH(p) __builtin_prefetch(p)
#else
#define SCAN_PREFETCH(p) ((void)(p))
#endif

enum { SCAN_SCALAR = 0, SCAN_AVX2 = 1, SCAN_VBMI = 2 };
enum { SCAN_BATCH = 4096, SCAN_STRETCH = 1 << 20 };

/* ---- words ---- */

/* Four bytes, zeros after the end of the data: they may let pass too much, never too little, since the compare knows the size. */
static inline uint32_t scan_word(const scan_state *s, int64_t p) {
    uint32_t word = 0;
    int64_t i;
    if (p + 4 <= s->size) return scan_u32(s->data + p);
    for (i = 0; p + i < s->size; i++) word |= (uint32_t)s->data[p + i] << (8 * i);
    return word;
}

static inline uint64_t scan_six_word(const scan_state *s, int64_t p) {
    if (p + 8 <= s->size) return scan_u64(s->data + p);
    return scan_word(s, p) | (uint64_t)(p + 4 < s->size ? scan_word(s, p + 4) : 0) << 32;
}

/* Every other byte of eleven. */
static inline uint64_t scan_six_letters(const uint8_t *d) {
    uint64_t w = scan_u64(d) & 0x00FF00FF00FF00FFu, v = scan_u32(d + 8) & 0x00FF00FFu;
    w |= w >> 8;
    v |= v >> 8;
    return (w & 0xFFFF) | (w >> 16 & 0xFFFF0000u) | (v & 0xFFFF) << 32;
}

/* Six letters with something between them. */
static inline uint64_t scan_wide_word(const scan_state *s, int64_t p) {
    uint64_t word = 0;
    int64_t i;
    if (p + 12 <= s->size) return scan_six_letters(s->data + p);
    for (i = 0; i < 6 && p + 2 * i < s->size; i++) word |= (uint64_t)s->data[p + 2 * i] << (8 * i);
    return word;
}

#include "scan_settle.h"

/* Those of the list whose first three bytes some anchor of three has. */
static uint32_t scan_threes(const scan_state *s, int64_t b, const uint16_t *list, uint32_t count, uint16_t *into) {
    uint32_t i, kept = 0;
    for (i = 0; i < count; i++) {
        into[kept] = list[i];
        kept += scan_bit(s->threes, scan_hash(scan_key_at(s, b + list[i], 3), 15));
    }
    return kept;
}

/* ---- lists: offsets from b on; scalar code, which is also what the others end with ---- */

/* In which buckets a short anchor may be where the four bytes are: the look-ups of one byte each, and that of the first two mixed. */
static inline uint32_t scan_brief(const uint8_t *t, uint32_t word) {
    uint32_t a = word & 255, b = word >> 8 & 255;
    return (uint32_t)(t[a] & t[256 + b] & t[512 + (word >> 24)] & t[1536 + (word >> 16 & 255)] & t[1792 + (a ^ ((b << 3 | b >> 5) & 255))]);
}

/* The offset to s->fourth where an anchor of one byte may be, to s->fifth where one of two. */
static inline void scan_note(scan_state *s, uint32_t at, uint32_t word) {
    uint32_t bits = scan_brief(s->lookup, word);
    s->fourth[s->ones] = s->fifth[s->twos] = (uint16_t)at;
    s->ones += (bits & s->briefest) != 0;
    s->twos += (bits & (s->shorts ^ s->briefest)) != 0;
}

static inline uint32_t scan_short(const scan_state *s, uint32_t word) {
    return (uint32_t)(s->lookup[word & 255] & s->lookup[256 + (word >> 8 & 255)]) & s->shorts;
}

/* Those of the list that the bitmap lets pass, and apart those where a short anchor may be. Never into the list itself: the processor would wait for each store. */
static uint32_t scan_sift(scan_state *s, int64_t b, const uint16_t *list, uint32_t count, uint16_t *into) {
    const uint8_t *bitmap = s->bitmap, *d = s->data + b;
    const uint32_t fold = s->fold, bits = s->bits, shorts = s->shorts;
    const int64_t whole = s->size - b - 4;
    uint32_t i, kept = 0;
    if (whole < SCAN_BATCH || shorts) {
        for (i = 0; i < count; i++) {
            uint32_t at = list[i], word = (int64_t)at <= whole ? scan_u32(d + at) : scan_word(s, b + at);
            into[kept] = (uint16_t)at;
            kept += scan_bit(bitmap, scan_hash(word & fold, bits));
            scan_note(s, at, word);
        }
        return kept;
    }
    for (i = 0; i < count; i++) {
        uint32_t at = list[i];
        into[kept] = (uint16_t)at;
        kept += scan_bit(bitmap, scan_hash(scan_u32(d + at) & fold, bits));
    }
    return kept;
}

/* The same where there are anchors of six bytes: where one may be goes to ``six``. */
static uint32_t scan_part(scan_state *s, int64_t b, const uint16_t *list, uint32_t count, uint16_t *into, uint16_t *six, uint32_t *sixes) {
    const uint8_t *bitmap = s->bitmap, *d = s->data + b;
    const uint32_t bits = s->bits, fold = s->fold, shorts = s->shorts;
    const int64_t whole = s->size - b - 8;
    uint32_t i, kept = 0, n = 0;
    if (whole < SCAN_BATCH || shorts) {
        for (i = 0; i < count; i++) {
            uint32_t at = list[i];
            uint64_t word = (int64_t)at <= whole ? scan_u64(d + at) : scan_six_word(s, b + at);
            uint32_t both = scan_two_bits(bitmap, bits, fold, word);
            six[n] = into[kept] = (uint16_t)at;
            n += both >> 1;
            kept += both & 1;
            scan_note(s, at, (uint32_t)word);
        }
    } else
        for (i = 0; i < count; i++) {
            uint32_t at = list[i], both = scan_two_bits(bitmap, bits, fold, scan_u64(d + at));
            six[n] = into[kept] = (uint16_t)at;
            n += both >> 1;
            kept += both & 1;
        }
    *sixes = n;
    return kept;
}

static uint32_t scan_part_wide(const scan_state *s, int64_t b, const uint16_t *list, uint32_t count, uint16_t *into, uint16_t *six, uint32_t *sixes) {
    const uint8_t *wide = s->wide, *d = s->data + b;
    const uint32_t bits = s->wide_bits;
    const int64_t whole = s->size - b - 12;
    uint32_t i, kept = 0, n = 0;
    for (i = 0; i < count; i++) {
        uint32_t at = list[i], both = scan_two_bits(wide, bits, SCAN_FOLD, (int64_t)at <= whole ? scan_six_letters(d + at) : scan_wide_word(s, b + at));
        six[n] = into[kept] = (uint16_t)at;
        n += both >> 1;
        kept += both & 1;
    }
    *sixes = n;
    return kept;
}

/* Every offset. Where there are anchors of six bytes all are candidates for scan_part. */
static uint32_t scan_all(int64_t b, int64_t p, int64_t e, uint16_t *list, uint32_t count) {
    for (; p < e; p++) list[count++] = (uint16_t)(p - b);
    return count;
}

static uint32_t scan_every(const scan_state *s, int64_t b, int64_t p, int64_t e, uint16_t *list, uint32_t count) {
    const uint8_t *bitmap = s->bitmap;
    uint32_t j, fold = s->fold, bits = s->bits;
    for (; p + 4 <= e && p + 8 <= s->size; p += 4) {
        uint64_t w = scan_u64(s->data + p);
        for (j = 0; j < 4; j++) {
            list[count] = (uint16_t)(p - b + j);
            count += scan_bit(bitmap, scan_hash((uint32_t)(w >> (8 * j)) & fold, bits));
        }
    }
    for (; p < e; p++) {
        list[count] = (uint16_t)(p - b);
        count += scan_bit(s->bitmap, scan_hash(scan_word(s, p) & s->fold, s->bits));
    }
    return count;
}

static uint32_t scan_every_short(const scan_state *s, int64_t b, int64_t p, int64_t e, uint16_t *list, uint32_t count) {
    const uint8_t *t = s->lookup, *d = s->data;
    uint32_t shorts = s->shorts;
    for (; p < e && p + 2 <= s->size; p++) {
        list[count] = (uint16_t)(p - b);
        count += (t[d[p]] & t[256 + d[p + 1]] & shorts) != 0;
    }
    for (; p < e; p++) {
        list[count] = (uint16_t)(p - b);
        count += scan_short(s, p + 2 <= s->size ? s->data[p] | (uint32_t)s->data[p + 1] << 8 : s->data[p]) != 0;
    }
    return count;
}

static uint32_t scan_every_wide(const scan_state *s, int64_t b, int64_t p, int64_t e, uint16_t *list, uint32_t count) {
    const uint64_t ones = 0x0101010101010101u;
    while (p < e) {
        const uint8_t *d = s->data + p;
        if (p + 5 > s->size) break;
        if (p + 8 <= s->size) {
            uint64_t w = scan_u64(d);
            if (!w || !((w - ones) & ~w & (ones << 7))) { p += 7; continue; }  /* all zero, or no zero */
        }
        if (d[0] && !d[1] && d[2] && !d[3] && d[4]) list[count++] = (uint16_t)(p - b);
        p++;
    }
    return count;
}

#ifdef SCAN_X86

/* The vector code reads no byte at or after this offset + 72. */
static int64_t scan_room(const scan_state *s, int64_t e) { return e < s->size - 72 ? e : s->size - 72; }

#define SCAN_TARGET2 __attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt")))

/* Eight offsets, those of the mask moved to the front: no branch that random bytes decide. */
SCAN_TARGET2 static inline uint32_t scan_list8(const scan_state *s, uint16_t *list, uint32_t count, uint32_t at, uint32_t mask) {
    __m128i steps = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(s->front + mask)));
    _mm_storeu_si128((__m128i *)(void *)(list + count), _mm_add_epi16(steps, _mm_set1_epi16((short)at)));
    return count + (uint32_t)__builtin_popcount(mask);
}

SCAN_TARGET2 static inline uint32_t scan_list2(uint16_t *list, uint32_t count, uint32_t at, uint32_t mask) {
    for (; mask; mask &= mask - 1) list[count++] = (uint16_t)(at + (uint32_t)__builtin_ctz(mask));
    return count;
}

/* For the nibbles of the byte at each offset, which buckets accept it: t is 16 of low nibbles, then 16 of high ones. */
SCAN_TARGET2 static inline __m256i scan_nibble(const uint8_t *t, __m256i b) {
    const __m256i low = _mm256_set1_epi8(15);
    __m256i lo = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t));
    __m256i hi = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t + 16)));
    return _mm256_and_si256(_mm256_shuffle_epi8(lo, _mm256_and_si256(b, low)), _mm256_shuffle_epi8(hi, _mm256_and_si256(_mm256_srli_epi16(b, 4), low)));
}

SCAN_TARGET2 static int64_t scan_nibbles2(const scan_state *s, int64_t b, int64_t e, uint16_t *list, uint32_t *count) {
    int64_t p = b, last = scan_room(s, e);
    uint32_t c = *count;
    for (; p + 32 <= last; p += 32) {
        __m256i one = _mm256_set1_epi8(-1), two = one;
        uint32_t mask;
        int j;
        for (j = 0; j < 4; j++) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(s->data + p + j));
            one = _mm256_and_si256(one, scan_nibble(s->nibbles + 32 * j, v));
            two = _mm256_and_si256(two, scan_nibble(s->nibbles + 128 + 32 * j, v));
        }
        one = _mm256_cmpeq_epi8(_mm256_or_si256(one, two), _mm256_setzero_si256());
        mask = ~(uint32_t)_mm256_movemask_epi8(one);
        if (s->rare && !mask) continue;  /* a branch that pays when it is nearly always taken */
        for (j = 0; j < 32; j += 8) c = scan_list8(s, list, c, (uint32_t)(p - b) + (uint32_t)j, mask >> j & 255);
    }
    *count = c;
    return p;
}

SCAN_TARGET2 static int64_t scan_short2(const scan_state *s, int64_t b, int64_t e, uint16_t *list, uint32_t *count) {
    int64_t p = b, last = scan_room(s, e);
    uint32_t c = *count;
    for (; p + 32 <= last; p += 32) {
        __m256i v = scan_nibble(s->small, _mm256_loadu_si256((const __m256i *)(s->data + p)));
        v = _mm256_and_si256(v, scan_nibble(s->small + 32, _mm256_loadu_si256((const __m256i *)(s->data + p + 1))));
        c = scan_list2(list, c, (uint32_t)(p - b), ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256())));
    }
    *count = c;
    return p;
}

SCAN_TARGET2 static int64_t scan_gather2(const scan_state *s, int64_t b, int64_t e, uint16_t *list, uint32_t *count) {
    const __m256i spread = _mm256_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10);
    const __m256i fold = _mm256_set1_epi32((int)s->fold), times = _mm256_set1_epi32((int)SCAN_MULTIPLIER), all = _mm256_set1_epi32(31);
    const __m128i shift = _mm_cvtsi32_si128(32 - (int)s->bits);
    int64_t p = b, last = scan_room(s, e);
    const void *bitmap = s->bitmap;
    uint32_t c = *count;
    for (; p + 8 <= last; p += 8) {
        __m256i w = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(s->data + p))), h, g;
        h = _mm256_srl_epi32(_mm256_mullo_epi32(_mm256_and_si256(_mm256_shuffle_epi8(w, spread), fold), times), shift);
        g = _mm256_i32gather_epi32((const int *)bitmap, _mm256_srli_epi32(h, 5), 4);
        g = _mm256_sllv_epi32(g, _mm256_andnot_si256(h, all));
        c = scan_list8(s, list, c, (uint32_t)(p - b), (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(g)));
    }
    *count = c;
    return p;
}

SCAN_TARGET2 static int64_t scan_wide2(const scan_state *s, int64_t b, int64_t e, uint16_t *list, uint32_t *count) {
    const __m256i zero = _mm256_setzero_si256();
    int64_t p = b, last = scan_room(s, e);
    uint32_t c = *count;
    for (; p + 32 <= last; p += 32) {
        const uint8_t *d = s->data + p;
        __m256i z = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(d + 1)), zero), n;
        z = _mm256_and_si256(z, _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(d + 3)), zero));
        n = _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)d), zero),
                            _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(d + 2)), zero));
        n = _mm256_or_si256(n, _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(d + 4)), zero));
        c = scan_list2(list, c, (uint32_t)(p - b), (uint32_t)_mm256_movemask_epi8(_mm256_andnot_si256(n, z)));
    }
    *count = c;
    return p;
}

#include "scan_vbmi.h"

#endif

static int scan_best_level(void) {
#ifdef SCAN_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return SCAN_SCALAR;
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("gfni"))
        return SCAN_VBMI;
    return SCAN_AVX2;
#endif
    return SCAN_SCALAR;
}

/* ---- the run ---- */

/* Neighbouring bytes: s->third gets the offsets of [b, e) that passed the bitmap, s->second those where an anchor of six bytes may be;
   1 when s->fourth and s->fifth have those where a short anchor may be. */
static int scan_neighbours(scan_state *s, int64_t b, int64_t e, int level, uint32_t *count, uint32_t *sixes) {
    int64_t p = b;
    int filtered = 0, six = (int)(s->shapes >> SCAN_SIX & 1), busy = s->busy > 0;
    uint32_t c = 0;
    (void)level;
    s->busy -= busy;
#ifdef SCAN_X86
    if (level == SCAN_VBMI && (six || !busy)) {
        p = scan_filter5(s, b, e, s->masks, busy ? 4 : s->lookups);
        if (six && !s->shorts) {
            *count = scan_part5(s, b, s->masks, p - b, sixes);
            c = scan_all(b, p, e, s->first, 0);
            *count += scan_part(s, b, s->first, c, s->third + *count, s->second + *sixes, &c);
            *sixes += c;
            return 1;
        }
        c = scan_lists5(s->masks, p - b, s->first);
        filtered = 1;
    } else if (level == SCAN_AVX2 && (six || (!busy && s->flags & SCAN_USE_NIBBLES))) {
        p = scan_nibbles2(s, b, e, s->first, &c);
        filtered = 1;
    }
    if (filtered) {
        if (!busy && !s->shorts && 4 * (int64_t)c > p - b) s->busy = 31;
        s->rare = 512 * (int64_t)c < p - b;
    }
#endif
    if (six) {
        c = scan_all(b, p, e, s->first, c);
        *count = scan_part(s, b, s->first, c, s->third, s->second, sixes);
        return 1;
    }
    if (filtered) {
        *count = scan_sift(s, b, s->first, scan_all(b, p, e, s->first, c), s->third);
        return 1;
    }
#ifdef SCAN_X86
    if (level == SCAN_VBMI) p = scan_gather5(s, b, e, s->third, &c);
    else if (level == SCAN_AVX2) p = scan_gather2(s, b, e, s->third, &c);
#endif
    *count = scan_every(s, b, p, e, s->third, c);
    return 0;
}

static void scan_batch(scan_state *s, int64_t b, int64_t e, int level) {
    uint32_t c = 0, n = 0;
    int64_t p = b;
    if (s->shapes & (1u << 4 | 1u << 3 | 1u << SCAN_SIX | 6)) {
        int all = scan_neighbours(s, b, e, level, &c, &n);
        if (n) scan_settle(s, b, s->second, n, SCAN_SIX);
        if (c && s->shapes & 1u << 4) scan_settle(s, b, s->third, c, 4);
        if (c && s->shapes & 1u << 3) scan_settle(s, b, s->first, scan_threes(s, b, s->third, c, s->first), 3);
        if (s->shapes & 6) {
            if (!all) {
                c = 0;
#ifdef SCAN_X86
                if (level != SCAN_SCALAR) p = scan_short2(s, b, e, s->first, &c);
#endif
                c = scan_every_short(s, b, p, e, s->first, c);
                for (n = 0; n < c; n++) scan_note(s, s->first[n], scan_word(s, b + s->first[n]));
            }
            scan_settle(s, b, s->fourth, s->ones, 1);
            scan_settle(s, b, s->fifth, s->twos, 2);
            s->ones = s->twos = 0;
        }
    }
    if (s->wide_bits) {
        uint32_t more, six = 0;
        c = n = more = 0;
        p = b;
#ifdef SCAN_X86
        if (level == SCAN_VBMI) p = scan_wide5(s, b, e, &c, &n);
        else if (level == SCAN_AVX2) p = scan_wide2(s, b, e, s->first, &more);
#endif
        more = scan_every_wide(s, b, p, e, s->first, more);
        c += scan_part_wide(s, b, s->first, more, s->third + c, s->second + n, &six);
        n += six;
        scan_settle(s, b, s->second, n, SCAN_WIDE6);
        for (n = SCAN_WIDE3; n <= SCAN_WIDE4; n++)
            if (c && s->shapes >> n & 1) scan_settle(s, b, s->third, c, n);
    }
}

/* The signatures that lie on sectors and begin in [b, e). */
static void scan_sectors(scan_state *s, int64_t b, int64_t e) {
    uint32_t i;
    for (i = 0; i < s->visits; i++) {
        const uint8_t *v = s->visit + 16 * i;
        int64_t align = scan_u32(v), phase = scan_u32(v + 4), place = scan_u32(v + 8), o;
        uint32_t shape = scan_u32(v + 12);
        o = b + ((phase - (s->base + b) % align) + align) % align;
        for (; o < e && o < s->edge && o + place < s->size; o += align)
            if (!scan_confirm(s, o + place, scan_key_of(scan_word(s, o + place), shape - SCAN_SPARSE), shape, i)) break;
    }
}

/* Whether no anchor's bytes are all zero (those of letters never are): then blocks of zeros need not be asked. */
static int scan_nothing_in_zeros(const scan_state *s) {
    uint32_t shape, at;
    for (shape = 1; shape <= SCAN_SIX; shape++) {
        const uint8_t *slot = s->slots + 4 * (size_t)scan_slot(0, shape, s->slot_bits);
        for (at = scan_u32(slot); at < scan_u32(slot + 4); at++)
            if (!scan_u32(s->entry + 32 * (size_t)at) && (scan_u32(s->entry + 32 * (size_t)at + 8) >> 16 & 0xFF) == shape) return 0;
    }
    return 1;
}

/* Fills hits, ascending, and gives the offset up to which they are complete; -1 without memory. */
static int64_t scan_run(scan_state *s, int level) {
    int64_t b = s->start, end = s->stop + s->furthest < s->size ? s->stop + s->furthest : s->size, next = s->stop, cut, e;
    int64_t step = s->shapes ? SCAN_BATCH : SCAN_STRETCH;
    if (!s->shapes) end = s->stop;
    s->look = s->max_hits + 1;
    s->edge = INT64_MAX;
    s->skip = scan_nothing_in_zeros(s);
    for (; b < end && !s->full && !s->failed; b = e) {
        int64_t seen, known = s->count;
        e = b + step < end ? b + step : end;
        seen = e + 5 < s->size ? e + 5 - b : s->size - b;
        if (s->shapes && !(s->skip && !s->data[b] && (seen < 2 || !memcmp(s->data + b, s->data + b + 1, (size_t)seen - 1)))) scan_batch(s, b, e, level);
        if (s->visits && !s->failed) scan_sectors(s, b, e < s->stop ? e : s->stop);
        if (s->count > known) scan_tidy(s, known, b - (int64_t)s->furthest, e - b + s->furthest);
    }
    if (s->failed || (s->count > 1 && scan_sort(s->hits, s->count) != 0)) return -1;
    if (s->full) {
        s->reached = s->edge - (int64_t)s->furthest;
        while (s->count && s->hits[s->count - 1].at >= s->reached) s->count--;
    }
    if (s->count > s->max_hits) {
        cut = s->max_hits;
        while (cut < s->count && s->hits[cut].at == s->hits[cut - 1].at) cut++;
        s->count = cut;
        next = s->hits[cut - 1].at + 1;
    }
    return next;
}

#endif
