/* The AVX-512 filters of the signature scan: a part of scan.h, which includes it in its place. */
#ifndef FORENSICLIB_SCAN_VBMI_H
#define FORENSICLIB_SCAN_VBMI_H

#define SCAN_TARGET5 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi,bmi2,popcnt,lzcnt")))

/* 64 offsets, those of the mask moved to the front. */
SCAN_TARGET5 static inline uint32_t scan_list5(uint16_t *list, uint32_t count, uint32_t at, uint64_t mask) {
    const __m512i steps = _mm512_set_epi8(63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32,
                                          31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i from = _mm512_set1_epi16((short)at), places = _mm512_maskz_compress_epi8(mask, steps);
    uint32_t n = (uint32_t)__builtin_popcountll(mask);
    _mm512_storeu_si512((void *)(list + count), _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(places)), from));
    _mm512_storeu_si512((void *)(list + count + 32), _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(places, 1)), from));
    return count + n;
}

/* A 256-entry look-up: two 128-entry permutes, the top bit of the index chooses. */
SCAN_TARGET5 static inline __m512i scan_lookup(const __m512i *t, __m512i b) {
    __m512i below = _mm512_permutex2var_epi8(t[0], b, t[1]), above = _mm512_permutex2var_epi8(t[2], b, t[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(b), below, above);
}

/* a ^ rotl8(b, 3) or a ^ rotl8(b, 5): a rotation is an 8 x 8 bit matrix. */
#define SCAN_ROTATE3 0x2040800102040810ll
#define SCAN_ROTATE5 0x0810204080010204ll
SCAN_TARGET5 static inline __m512i scan_mixed(__m512i a, __m512i b, long long matrix) {
    return _mm512_xor_si512(a, _mm512_gf2p8affine_epi64_epi8(b, _mm512_set1_epi64(matrix), 0));
}

SCAN_TARGET5 static int64_t scan_gather5(const scan_state *s, int64_t b, int64_t e, uint16_t *list, uint32_t *count) {
    const __m128i first = _mm_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6);
    const __m512i four = _mm512_broadcast_i32x4(first), steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i spread = _mm512_add_epi8(four, _mm512_slli_epi32(_mm512_mullo_epi32(_mm512_srli_epi32(steps, 2), _mm512_set1_epi32(0x01010101)), 2));
    const __m512i fold = _mm512_set1_epi32((int)s->fold), times = _mm512_set1_epi32((int)SCAN_MULTIPLIER), all = _mm512_set1_epi32(31);
    const __m128i shift = _mm_cvtsi32_si128(32 - (int)s->bits);
    int64_t p = b, last = scan_room(s, e);
    const void *bitmap = s->bitmap;
    uint32_t c = *count;
    for (; p + 16 <= last; p += 16) {
        __m512i w = _mm512_permutexvar_epi8(spread, _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(s->data + p)))), h, g;
        __mmask16 m;
        h = _mm512_srl_epi32(_mm512_mullo_epi32(_mm512_and_si512(w, fold), times), shift);
        g = _mm512_i32gather_epi32(_mm512_srli_epi32(h, 5), bitmap, 4);
        m = _mm512_movepi32_mask(_mm512_sllv_epi32(g, _mm512_andnot_si512(h, all)));
        _mm256_storeu_si256((__m256i *)(void *)(list + c), _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(m, _mm512_add_epi32(steps, _mm512_set1_epi32((int)(p - b))))));
        c += (uint32_t)__builtin_popcount(m);
    }
    *count = c;
    return p;
}

/* A mask for each 64 offsets. No branch here: one that depends on the data is told late, when the look-ups of many more offsets are under way. */
SCAN_TARGET5 static inline int64_t scan_lookups5(const scan_state *s, int64_t b, int64_t e, uint64_t *masks, const int asked) {
    int64_t p = b, last = scan_room(s, e);
    const uint8_t *data = s->data;
    __m512i t[4 * SCAN_LOOKUPS];
    int i;
    for (i = 0; i < 4 * asked; i++) t[i] = _mm512_loadu_si512((const void *)(s->lookup + 64 * i));  /* registers, or aligned beside them */
    for (; p + 64 <= last; p += 64) {
        __m512i b0 = _mm512_loadu_si512((const void *)(data + p)), b1 = _mm512_loadu_si512((const void *)(data + p + 1));
        __m512i b2 = _mm512_loadu_si512((const void *)(data + p + 2)), b3 = _mm512_loadu_si512((const void *)(data + p + 3));
        __m512i all = _mm512_and_si512(_mm512_and_si512(scan_lookup(t, b0), scan_lookup(t + 4, b1)),
                                       _mm512_and_si512(scan_lookup(t + 8, b3), scan_lookup(t + 12, scan_mixed(b1, b2, SCAN_ROTATE3))));
        if (asked > 4) {
            all = _mm512_and_si512(all, scan_lookup(t + 16, scan_mixed(b0, b2, SCAN_ROTATE5)));
            all = _mm512_and_si512(all, scan_lookup(t + 20, scan_mixed(b1, b3, SCAN_ROTATE5)));
        }
        if (asked > 6) {
            all = _mm512_and_si512(all, scan_lookup(t + 24, b2));
            all = _mm512_and_si512(all, scan_lookup(t + 28, scan_mixed(b0, b1, SCAN_ROTATE3)));
        }
        if (asked > 8) {
            all = _mm512_and_si512(all, scan_lookup(t + 32, scan_mixed(b2, b3, SCAN_ROTATE3)));
            all = _mm512_and_si512(all, scan_lookup(t + 36, scan_mixed(b0, b3, SCAN_ROTATE5)));
        }
        *masks++ = _mm512_test_epi8_mask(all, all);
    }
    return p;
}

SCAN_TARGET5 static int64_t scan_filter5(const scan_state *s, int64_t b, int64_t e, uint64_t *masks, uint32_t asked) {
    switch (asked) {
    case 4: return scan_lookups5(s, b, e, masks, 4);
    case 6: return scan_lookups5(s, b, e, masks, 6);
    case 8: return scan_lookups5(s, b, e, masks, 8);
    default: return scan_lookups5(s, b, e, masks, 10);
    }
}

/* Which of the masks, as many as one for each 64 of ``bytes``, are not zero. */
SCAN_TARGET5 static inline uint64_t scan_some5(const uint64_t *masks, int64_t bytes) {
    uint64_t some = 0;
    int64_t n = bytes / 64, i;
    for (i = 0; i < n; i++) some |= (uint64_t)(masks[i] != 0) << i;
    return some;
}

SCAN_TARGET5 static uint32_t scan_lists5(uint64_t *masks, int64_t bytes, uint16_t *list) {
    uint64_t some = scan_some5(masks, bytes);
    uint32_t c = 0;
    for (; some; some &= some - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(some);
        c = scan_list5(list, c, 64 * i, masks[i]);
    }
    return c;
}

/* For 16 neighbours, those of the mask: where the bitmap says what there is to say of them: word | bit << 16 | other bit << 21. */
SCAN_TARGET5 static inline uint32_t scan_codes5(uint32_t *codes, uint32_t c, __m256i bytes, __mmask16 mask, uint32_t bits, uint32_t fold) {
    const __m512i quarters = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512i four = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6));
    const __m512i spread = _mm512_add_epi8(four, _mm512_slli_epi32(_mm512_mullo_epi32(quarters, _mm512_set1_epi32(0x01010101)), 2));
    const __m512i later = _mm512_add_epi8(spread, _mm512_set1_epi8(3)), all = _mm512_castsi256_si512(bytes);
    __m512i h = _mm512_mullo_epi32(_mm512_and_si512(_mm512_permutexvar_epi8(spread, all), _mm512_set1_epi32((int)fold)), _mm512_set1_epi32((int)SCAN_MULTIPLIER));
    __m512i g = _mm512_mullo_epi32(_mm512_and_si512(_mm512_permutexvar_epi8(later, all), _mm512_set1_epi32(0xDFDFDF)), _mm512_set1_epi32((int)SCAN_SHAPE));
    __m512i at = _mm512_srl_epi32(h, _mm_cvtsi32_si128(32 - (int)bits)), first = _mm512_and_si512(at, _mm512_set1_epi32(31));
    g = _mm512_srli_epi32(_mm512_add_epi32(h, g), 27);
    at = _mm512_or_si512(_mm512_srli_epi32(at, 5), _mm512_or_si512(_mm512_slli_epi32(first, 16), _mm512_slli_epi32(g, 21)));
    _mm512_storeu_si512((void *)(codes + c), _mm512_maskz_compress_epi32(mask, at));
    return c + (uint32_t)__builtin_popcount(mask);
}

/* What the bitmap says of a list: as scan_part. */
SCAN_TARGET5 static uint32_t scan_answers5(const uint8_t *map, const uint32_t *codes, const uint16_t *list, uint32_t count, uint16_t *into, uint16_t *six, uint32_t *sixes) {
    const __m512i one = _mm512_set1_epi32(1), low = _mm512_set1_epi32(31), word = _mm512_set1_epi32(0xFFFF);
    uint32_t i, kept = 0, n = 0;
    for (i = 0; i < count; i += 16) {
        __mmask16 live = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : (__mmask16)0xFFFF, a, z;
        __m512i code = _mm512_maskz_loadu_epi32(live, codes + i);
        __m512i there = _mm512_i32gather_epi32(_mm512_and_si512(code, word), (const void *)map, 4);
        __m256i places = _mm256_loadu_si256((const __m256i *)(const void *)(list + i));
        a = _mm512_mask_test_epi32_mask(live, there, _mm512_sllv_epi32(one, _mm512_and_si512(_mm512_srli_epi32(code, 16), low)));
        z = _mm512_mask_test_epi32_mask(live, there, _mm512_sllv_epi32(one, _mm512_srli_epi32(code, 21)));
        _mm256_storeu_si256((__m256i *)(void *)(into + kept), _mm256_maskz_compress_epi16(a, places));
        _mm256_storeu_si256((__m256i *)(void *)(six + n), _mm256_maskz_compress_epi16(z, places));
        kept += (uint32_t)__builtin_popcount(a);
        n += (uint32_t)__builtin_popcount(z);
    }
    *sixes = n;
    return kept;
}

/* As scan_part, of the offsets that the masks have; by vectors where there are many. */
SCAN_TARGET5 static uint32_t scan_part5(scan_state *s, int64_t b, uint64_t *masks, int64_t bytes, uint32_t *sixes) {
    uint32_t c = scan_lists5(masks, bytes, s->first), n = 0, i, j;
    if (16 * (int64_t)c < bytes) return scan_part(s, b, s->first, c, s->third, s->second, sixes);
    for (i = 0; i < bytes / 64; i++)
        for (j = 0; j < 4; j++)
            n = scan_codes5(s->codes, n, _mm256_loadu_si256((const __m256i *)(const void *)(s->data + b + 64 * i + 16 * j)), (__mmask16)(masks[i] >> (16 * j)), s->bits, s->fold);
    return scan_answers5(s->bitmap, s->codes, s->first, c, s->third, s->second, sixes);
}

/* Letters with zeros between them: the offsets of both kinds, even and odd ones, as scan_part5 does. */
SCAN_TARGET5 static int64_t scan_wide5(scan_state *s, int64_t b, int64_t e, uint32_t *count, uint32_t *sixes) {
    int64_t p = b, last = scan_room(s, e);
    uint32_t c = 0, n = 0;
    int j, odd;
    for (; p + 64 <= last; p += 64) {
        const uint8_t *d = s->data + p;
        __m512i b1 = _mm512_loadu_si512((const void *)(d + 1)), b3 = _mm512_loadu_si512((const void *)(d + 3));
        uint64_t mask = _mm512_testn_epi8_mask(b1, b1) & _mm512_testn_epi8_mask(b3, b3);
        if (mask) {
            __m512i b0 = _mm512_loadu_si512((const void *)d), b2 = _mm512_loadu_si512((const void *)(d + 2)), b4 = _mm512_loadu_si512((const void *)(d + 4));
            mask &= _mm512_test_epi8_mask(b0, b0) & _mm512_test_epi8_mask(b2, b2) & _mm512_test_epi8_mask(b4, b4);
            if (!mask) continue;
            c = scan_list5(s->first, c, (uint32_t)(p - b), mask);
            for (j = 0; j < 64; j += 32)  /* in the order of the list: 16 offsets of either kind would be out of it */
                if ((uint32_t)(mask >> j) & 0x55555555u && (uint32_t)(mask >> j) & 0xAAAAAAAAu) break;
            if (j < 64) {
                uint64_t left = mask;
                for (; left; left &= left - 1) s->codes[n++] = scan_code(scan_six_letters(d + __builtin_ctzll(left)), s->wide_bits, SCAN_FOLD);
                continue;
            }
            for (j = 0; j < 64; j += 32) {
                uint32_t half = (uint32_t)(mask >> j);
                odd = (half & 0xAAAAAAAAu) != 0;
                n = scan_codes5(s->codes, n, _mm512_cvtepi16_epi8(_mm512_loadu_si512((const void *)(d + j + odd))), (__mmask16)_pext_u32(half, 0x55555555u << odd), s->wide_bits, SCAN_FOLD);
            }
        }
    }
    *count = scan_answers5(s->wide, s->codes, s->first, c, s->third, s->second, sixes);
    return p;
}

#endif
