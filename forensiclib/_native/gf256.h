/* Sums of multiples in GF(2^8), polynomial 0x11D: exclusive or where the factor is 1, two tables of 16 (one for each
   half of a byte) where it is not. One pass over the output in pieces that stay in the nearest cache. */
#ifndef FORENSICLIB_GF256_H
#define FORENSICLIB_GF256_H

#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define GF256_X86 1
#include <immintrin.h>
#endif

#define GF256_STRIP 8192

static uint8_t gf256_times(uint8_t a, uint8_t b) {
    uint8_t product = 0;
    for (; b; b >>= 1) {
        if (b & 1) product ^= a;
        a = (uint8_t)((a << 1) ^ (a & 0x80 ? 0x1D : 0));
    }
    return product;
}

static void gf256_tables(uint8_t factor, uint8_t *low, uint8_t *high) {
    int i;
    for (i = 0; i < 16; i++) {
        low[i] = gf256_times(factor, (uint8_t)i);
        high[i] = gf256_times(factor, (uint8_t)(i << 4));
    }
}

static void gf256_add_plain(uint8_t *out, const uint8_t *in, int64_t n, uint8_t factor, const uint8_t *low, const uint8_t *high) {
    int64_t i = 0;
    if (factor == 1) {
        for (; i + 8 <= n; i += 8) {
            uint64_t a, b;
            memcpy(&a, out + i, 8);
            memcpy(&b, in + i, 8);
            a ^= b;
            memcpy(out + i, &a, 8);
        }
        for (; i < n; i++) out[i] ^= in[i];
        return;
    }
    for (; i < n; i++) out[i] ^= (uint8_t)(low[in[i] & 15] ^ high[in[i] >> 4]);
}

#ifdef GF256_X86
__attribute__((target("avx2")))
static void gf256_add_avx2(uint8_t *out, const uint8_t *in, int64_t n, uint8_t factor, const uint8_t *low, const uint8_t *high) {
    int64_t i = 0;
    __m256i l = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)low));
    __m256i h = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)high));
    __m256i mask = _mm256_set1_epi8(15);
    for (; i + 32 <= n; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(in + i));
        if (factor != 1)
            x = _mm256_xor_si256(_mm256_shuffle_epi8(l, _mm256_and_si256(x, mask)),
                                 _mm256_shuffle_epi8(h, _mm256_and_si256(_mm256_srli_epi16(x, 4), mask)));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_xor_si256(x, _mm256_loadu_si256((const __m256i *)(out + i))));
    }
    gf256_add_plain(out + i, in + i, n - i, factor, low, high);
}

__attribute__((target("avx512f,avx512bw")))
static void gf256_add_avx512(uint8_t *out, const uint8_t *in, int64_t n, uint8_t factor, const uint8_t *low, const uint8_t *high) {
    int64_t i = 0;
    __m512i l = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)low));
    __m512i h = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)high));
    __m512i mask = _mm512_set1_epi8(15);
    for (; i + 64 <= n; i += 64) {
        __m512i x = _mm512_loadu_si512(in + i);
        if (factor != 1)
            x = _mm512_xor_si512(_mm512_shuffle_epi8(l, _mm512_and_si512(x, mask)),
                                 _mm512_shuffle_epi8(h, _mm512_and_si512(_mm512_srli_epi16(x, 4), mask)));
        _mm512_storeu_si512(out + i, _mm512_xor_si512(x, _mm512_loadu_si512(out + i)));
    }
    gf256_add_plain(out + i, in + i, n - i, factor, low, high);
}
#endif

/* 0 portable, 1 AVX2, 2 AVX-512. */
static int gf256_best_level(void) {
#ifdef GF256_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}

static void gf256_sum_of(const uint8_t *const *pieces, const uint8_t *factors, int64_t count, uint8_t *out, int64_t n, int level) {
    int64_t at, i, take;
    uint8_t tables[256][2][16];
    for (i = 0; i < count; i++) gf256_tables(factors[i], tables[i][0], tables[i][1]);
    for (at = 0; at < n; at += take) {
        take = n - at < GF256_STRIP ? n - at : GF256_STRIP;
        memset(out + at, 0, (size_t)take);
        for (i = 0; i < count; i++) {
            if (factors[i] == 0) continue;
#ifdef GF256_X86
            if (level == 2) gf256_add_avx512(out + at, pieces[i] + at, take, factors[i], tables[i][0], tables[i][1]);
            else if (level == 1) gf256_add_avx2(out + at, pieces[i] + at, take, factors[i], tables[i][0], tables[i][1]);
            else
#endif
                gf256_add_plain(out + at, pieces[i] + at, take, factors[i], tables[i][0], tables[i][1]);
        }
    }
    (void)level;
}

#endif
