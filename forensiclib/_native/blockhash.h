/* Digests of every block of a buffer, as many blocks side by side as the processor has lanes.
   MD5 RFC 1321; SHA-1 and SHA-256 FIPS 180-4. blockhash_lanes.h has the steps, once for all instruction sets. */
#ifndef FORENSICLIB_BLOCKHASH_H
#define FORENSICLIB_BLOCKHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define BH_VECTORS 1
#if defined(__x86_64__)
#define BH_X86 1
#include <immintrin.h>
#endif
#endif

enum { BH_MD5 = 0, BH_SHA1 = 1, BH_SHA256 = 2 };
enum { BH_TILE = 512 };
enum { BH_SCALAR = 0, BH_VECTOR = 1, BH_AVX2 = 2, BH_AVX512 = 3, BH_SHANI = 4 };

static const int bh_words[3] = {4, 5, 8};
static const uint32_t bh_initial[3][8] = {
    {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u},
    {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u},
    {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u},
};
static const uint32_t bh_k256[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u, 0xd807aa98u, 0x12835b01u,
    0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu,
    0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u,
    0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u, 0x1e376c08u,
    0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u, 0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u,
    0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static uint32_t bh_little(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static void bh_put_little(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); p[2] = (uint8_t)(v >> 16); p[3] = (uint8_t)(v >> 24);
}
static void bh_put_big(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24); p[1] = (uint8_t)(v >> 16); p[2] = (uint8_t)(v >> 8); p[3] = (uint8_t)v;
}

/* The words of the chunk behind a message whose size is a multiple of 64. */
static void bh_padding(uint32_t w[16], int algorithm, size_t size) {
    uint64_t bits = (uint64_t)size * 8;
    memset(w, 0, 64);
    w[0] = algorithm == BH_MD5 ? 0x80u : 0x80000000u;
    w[algorithm == BH_MD5 ? 14 : 15] = (uint32_t)bits;
    w[algorithm == BH_MD5 ? 15 : 14] = (uint32_t)(bits >> 32);
}

/* What the templates share; an instruction set with better ways defines its own. */
#define BH_SELECT(x, y, z) ((((y) ^ (z)) & (x)) ^ (z))
#define BH_XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define BH_MAJ(x, y, z) (((x) & (y)) | (((x) | (y)) & (z)))
#define BH_ORNOT(x, y, z) ((y) ^ ((x) | ~(z)))
#define BH_ROL(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define BH_SHR(x, n) ((x) >> (n))
#define BH_REVERSE(x) ((BH_ROL(x, 8) & 0x00ff00ffu) | (BH_ROL(x, 24) & 0xff00ff00u))

/* The blocks after these ones, in their order, into the second cache: no processor foresees so many streams, and one line of each
   block at a time would take as many pages again. */
#ifdef BH_VECTORS
#define BH_AHEAD(p) __builtin_prefetch(p, 0, 2)
#define BH_ALIGNED __attribute__((aligned(64)))
#else
#define BH_AHEAD(p) (void)(p)
#define BH_ALIGNED
#endif

static void bh_load_scalar(uint32_t w[16], const uint8_t *const *p) {
    int i;
    for (i = 0; i < 16; i++) w[i] = bh_little(p[0] + 4 * i);
}

#define BH(name) bh_##name##_scalar
#define BH_TARGET
#define V uint32_t
#define LANES 1
#define BH_GROUPS 1
#define ROL BH_ROL
#define SHR BH_SHR
#define SELECT BH_SELECT
#define XOR3 BH_XOR3
#define MAJ BH_MAJ
#define ORNOT BH_ORNOT
#define BH_LOAD bh_load_scalar
#define BH_SWAP BH_REVERSE
#include "blockhash_lanes.h"

#ifdef BH_VECTORS
typedef uint32_t bh_v4 __attribute__((vector_size(16)));

#ifdef BH_X86
/* Four rows of four words to four columns. */
static void bh_load_vector(bh_v4 w[16], const uint8_t *const *p) {
    int i;
    for (i = 0; i < 4; i++) {
        __m128i a = _mm_loadu_si128((const __m128i *)(p[0] + 16 * i)), b = _mm_loadu_si128((const __m128i *)(p[1] + 16 * i));
        __m128i c = _mm_loadu_si128((const __m128i *)(p[2] + 16 * i)), d = _mm_loadu_si128((const __m128i *)(p[3] + 16 * i));
        __m128i e = _mm_unpacklo_epi32(a, b), f = _mm_unpacklo_epi32(c, d), g = _mm_unpackhi_epi32(a, b), h = _mm_unpackhi_epi32(c, d);
        w[4 * i] = (bh_v4)_mm_unpacklo_epi64(e, f);
        w[4 * i + 1] = (bh_v4)_mm_unpackhi_epi64(e, f);
        w[4 * i + 2] = (bh_v4)_mm_unpacklo_epi64(g, h);
        w[4 * i + 3] = (bh_v4)_mm_unpackhi_epi64(g, h);
    }
}
#else
static void bh_load_vector(bh_v4 w[16], const uint8_t *const *p) {
    int i;
    for (i = 0; i < 16; i++)
        w[i] = (bh_v4){bh_little(p[0] + 4 * i), bh_little(p[1] + 4 * i), bh_little(p[2] + 4 * i), bh_little(p[3] + 4 * i)};
}
#endif

#define BH(name) bh_##name##_vector
#define BH_TARGET
#define V bh_v4
#define LANES 4
#define BH_GROUPS 2
#define ROL BH_ROL
#define SHR BH_SHR
#define SELECT BH_SELECT
#define XOR3 BH_XOR3
#define MAJ BH_MAJ
#define ORNOT BH_ORNOT
#define BH_LOAD bh_load_vector
#define BH_SWAP BH_REVERSE
#include "blockhash_lanes.h"
#endif

#ifdef BH_X86
typedef uint32_t bh_v8 __attribute__((vector_size(32)));
typedef uint32_t bh_v16 __attribute__((vector_size(64)));

#define BH_256 __attribute__((target("avx2")))
#define BH_512 __attribute__((target("avx512f,avx512bw")))

/* Lanes i and i + 4 share a register: what is left to do is four by four within its halves. */
BH_256 static void bh_load_avx2(bh_v8 w[16], const uint8_t *const *p) {
    int i;
    for (i = 0; i < 4; i++) {
#define ROWS(n) \
    _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p[n] + 16 * i))), \
                            _mm_loadu_si128((const __m128i *)(p[n + 4] + 16 * i)), 1)
        __m256i a = ROWS(0), b = ROWS(1), c = ROWS(2), d = ROWS(3);
#undef ROWS
        __m256i e = _mm256_unpacklo_epi32(a, b), f = _mm256_unpacklo_epi32(c, d);
        __m256i g = _mm256_unpackhi_epi32(a, b), h = _mm256_unpackhi_epi32(c, d);
        w[4 * i] = (bh_v8)_mm256_unpacklo_epi64(e, f);
        w[4 * i + 1] = (bh_v8)_mm256_unpackhi_epi64(e, f);
        w[4 * i + 2] = (bh_v8)_mm256_unpacklo_epi64(g, h);
        w[4 * i + 3] = (bh_v8)_mm256_unpackhi_epi64(g, h);
    }
}

BH_256 static inline bh_v8 bh_swap_avx2(bh_v8 x) {
    const __m256i order = _mm256_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL, 0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    return (bh_v8)_mm256_shuffle_epi8((__m256i)x, order);
}

#define BH(name) bh_##name##_avx2
#define BH_TARGET BH_256
#define V bh_v8
#define LANES 8
#define BH_GROUPS 2
#define ROL BH_ROL
#define SHR BH_SHR
#define SELECT BH_SELECT
#define XOR3 BH_XOR3
#define MAJ BH_MAJ
#define ORNOT BH_ORNOT
#define BH_LOAD bh_load_avx2
#define BH_SWAP bh_swap_avx2
#include "blockhash_lanes.h"

/* Sixteen rows of sixteen words, transposed in four steps: words, pairs, quarters, halves. Each lane's 64 bytes are
   read whole at once, so blocks 4 KiB apart, which fall into one set of the cache, need not stay in it. */
BH_512 static void bh_load_avx512(bh_v16 w[16], const uint8_t *const *p) {
    __m512i r[16], t[16];
    int i;
#pragma GCC unroll 16
    for (i = 0; i < 16; i++) r[i] = _mm512_loadu_si512((const void *)p[i]);
#pragma GCC unroll 8
    for (i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (i = 0; i < 4; i++) {
        w[i] = (bh_v16)_mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        w[i + 8] = (bh_v16)_mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        w[i + 4] = (bh_v16)_mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        w[i + 12] = (bh_v16)_mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

BH_512 static inline bh_v16 bh_swap_avx512(bh_v16 x) {
    const __m512i order = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    return (bh_v16)_mm512_shuffle_epi8((__m512i)x, order);
}

#define BH_TERN(x, y, z, table) ((bh_v16)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))

#define BH(name) bh_##name##_avx512
#define BH_TARGET BH_512
#define V bh_v16
#define LANES 16
#define BH_GROUPS 3
#define ROL(x, n) ((bh_v16)_mm512_rol_epi32((__m512i)(x), n))
#define SHR BH_SHR
#define SELECT(x, y, z) BH_TERN(x, y, z, 0xca)
#define XOR3(x, y, z) BH_TERN(x, y, z, 0x96)
#define MAJ(x, y, z) BH_TERN(x, y, z, 0xe8)
#define ORNOT(x, y, z) BH_TERN(x, y, z, 0x39)
#define BH_LOAD bh_load_avx512
#define BH_SWAP bh_swap_avx512
#include "blockhash_lanes.h"
#undef BH_TERN

#include "blockhash_shani.h"
#endif

/* One message of any length. */
static void bh_message(int algorithm, const uint8_t *data, size_t size, uint8_t *out) {
    uint8_t end[128];
    uint32_t s[8], w[16];
    size_t whole = size & ~(size_t)63, rest = size - whole, ending = rest < 56 ? 64 : 128, at;
    uint64_t bits = (uint64_t)size * 8;
    const uint8_t *p;
    int i;
    memset(end, 0, sizeof end);
    if (rest) memcpy(end, data + whole, rest);
    end[rest] = 0x80;
    for (i = 0; i < 8; i++) end[ending - 8 + i] = (uint8_t)(bits >> (algorithm == BH_MD5 ? 8 * i : 56 - 8 * i));
    bh_start_scalar(s, algorithm);
    for (at = 0; at < whole + ending; at += 64) {
        p = at < whole ? data + at : end + (at - whole);
        bh_load_scalar(w, &p);
        if (algorithm != BH_MD5) for (i = 0; i < 16; i++) w[i] = BH_REVERSE(w[i]);
        if (algorithm == BH_MD5) bh_md5_one_scalar(s, w);
        else if (algorithm == BH_SHA1) bh_sha1_one_scalar(s, w);
        else bh_sha256_one_scalar(s, w);
    }
    bh_give_scalar(s, bh_words[algorithm], algorithm != BH_MD5, 1, out);
}

/* Bit n is set when level n runs here. */
static int bh_levels(void) {
    int levels = 1 << BH_SCALAR;
#ifdef BH_VECTORS
    levels |= 1 << BH_VECTOR;
#endif
#ifdef BH_X86
    unsigned a, b, c, d;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) levels |= 1 << BH_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) levels |= 1 << BH_AVX512;
    /* CPUID 7: the name "sha" came to __builtin_cpu_supports late. */
    if (__builtin_cpu_supports("sse4.1")) {
        __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
        if (b >> 29 & 1) levels |= 1 << BH_SHANI;
    }
#endif
    return levels;
}

/* The fastest of the levels, as measured (benchmarks/bench_blocks.py). */
static int bh_best(int algorithm, int levels) {
    if (levels >> BH_AVX512 & 1) return BH_AVX512;
    if (algorithm != BH_MD5 && levels >> BH_SHANI & 1) return BH_SHANI;
    if (levels >> BH_AVX2 & 1) return BH_AVX2;
    return levels >> BH_VECTOR & 1 ? BH_VECTOR : BH_SCALAR;
}

static void bh_run(int algorithm, const uint8_t *data, size_t size, size_t count, uint8_t *out, int level) {
    if (algorithm == BH_MD5 && level == BH_SHANI) level = BH_VECTOR; /* no such instruction */
    if (count) switch (level) {
#ifdef BH_X86
        case BH_SHANI: bh_run_shani(algorithm, data, size, count, out); break;
        case BH_AVX512: bh_run_avx512(algorithm, data, size, count, out); break;
        case BH_AVX2: bh_run_avx2(algorithm, data, size, count, out); break;
#endif
#ifdef BH_VECTORS
        case BH_VECTOR: bh_run_vector(algorithm, data, size, count, out); break;
#endif
        default: bh_run_scalar(algorithm, data, size, count, out);
    }
}

/* Digests of all blocks of ``size`` bytes, a multiple of 64; the last may be shorter. ``out`` has room for all.
   level -1 chooses: the best of ``levels``, and for the blocks that do not fill its lanes what is faster for so few. */
static void bh_blocks(int algorithm, const uint8_t *data, size_t length, size_t size, uint8_t *out, int level, int levels) {
    const size_t count = length / size, width = (size_t)bh_words[algorithm] * 4;
    size_t wide = count;
    int few = level;
    if (level < 0) {
        size_t lanes, rest;
        level = few = bh_best(algorithm, levels);
        lanes = level == BH_AVX512 ? 16 : level == BH_AVX2 ? 8 : level == BH_VECTOR ? 4 : 1;
        rest = count % lanes;
        if (algorithm != BH_MD5 && level == BH_AVX512 && levels >> BH_SHANI & 1) {
            if (algorithm == BH_SHA256 || rest < 9) few = BH_SHANI;
        } else if (rest == 1) few = BH_SCALAR;
        if (few != level) wide = count - rest;
    }
    bh_run(algorithm, data, size, wide, out, level);
    bh_run(algorithm, data + wide * size, size, count - wide, out + wide * width, few);
    if (length % size) bh_message(algorithm, data + count * size, length % size, out + count * width);
}

#endif
