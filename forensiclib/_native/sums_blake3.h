/* BLAKE3, unkeyed, 32 bytes (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3, one function, fast everywhere").
   Chunks of 1,024 bytes side by side in lanes, then their parents likewise. */
#ifndef FORENSICLIB_SUMS_BLAKE3_H
#define FORENSICLIB_SUMS_BLAKE3_H

#include "sums.h"

enum { B3_CHUNK = 1024, B3_DEPTH = 54, B3_START = 1, B3_END = 2, B3_PARENT = 4, B3_ROOT = 8, B3_TREE = 256 };

static const uint32_t b3_iv[8] = {
    0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
};

/* The message order of each round: the permutation of the paper's table 2, applied again and again. */
static const uint8_t b3_order[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1}, {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4}, {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

typedef struct {
    uint64_t count;                /* bytes seen */
    uint32_t cv[8];                /* of the chunk that is being filled */
    uint8_t block[64];             /* its block that is being filled: never compressed before more comes */
    uint8_t stack[B3_DEPTH][32];   /* subtrees that wait for their right neighbour, the largest first */
} blake3_state;

/* One block, one input. ``out`` is the first half of the output, little-endian. */
static void b3_one(const uint32_t *cv, const uint8_t *p, uint64_t counter, uint32_t length, uint32_t flags, uint32_t *out) {
    uint32_t v[16], m[16];
    int i, r;
    for (i = 0; i < 16; i++) m[i] = sums_le32(p + 4 * i);
    for (i = 0; i < 8; i++) v[i] = cv[i];
    for (i = 0; i < 4; i++) v[8 + i] = b3_iv[i];
    v[12] = (uint32_t)counter, v[13] = (uint32_t)(counter >> 32), v[14] = length, v[15] = flags;
#define B3_G(a, b, c, d, k)                              \
    do {                                                 \
        v[a] += v[b] + m[b3_order[r][2 * (k)]];          \
        v[d] = sums_ror(v[d] ^ v[a], 16);                \
        v[c] += v[d];                                    \
        v[b] = sums_ror(v[b] ^ v[c], 12);                \
        v[a] += v[b] + m[b3_order[r][2 * (k) + 1]];      \
        v[d] = sums_ror(v[d] ^ v[a], 8);                 \
        v[c] += v[d];                                    \
        v[b] = sums_ror(v[b] ^ v[c], 7);                 \
    } while (0)
    SUMS_UNROLL(7)
    for (r = 0; r < 7; r++) {
        B3_G(0, 4, 8, 12, 0);
        B3_G(1, 5, 9, 13, 1);
        B3_G(2, 6, 10, 14, 2);
        B3_G(3, 7, 11, 15, 3);
        B3_G(0, 5, 10, 15, 4);
        B3_G(1, 6, 11, 12, 5);
        B3_G(2, 7, 8, 13, 6);
        B3_G(3, 4, 9, 14, 7);
    }
#undef B3_G
    for (i = 0; i < 8; i++) out[i] = v[i] ^ v[i + 8];
}

#ifdef SUMS_X86
#define B3_NAME b3_lanes4
#define B3_LANES 4
#define B3_TARGET SUMS_TARGET("ssse3,sse4.1")
#define B3V __m128i
#define B3_ADD _mm_add_epi32
#define B3_XOR _mm_xor_si128
#define B3_R16(x) _mm_shuffle_epi8(x, _mm_set_epi64x(0x0d0c0f0e09080b0aLL, 0x0504070601000302LL))
#define B3_R12(x) _mm_or_si128(_mm_srli_epi32(x, 12), _mm_slli_epi32(x, 20))
#define B3_R8(x) _mm_shuffle_epi8(x, _mm_set_epi64x(0x0c0f0e0d080b0a09LL, 0x0407060500030201LL))
#define B3_R7(x) _mm_or_si128(_mm_srli_epi32(x, 7), _mm_slli_epi32(x, 25))
#define B3_SET(x) _mm_set1_epi32((int)(x))
#define B3_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define B3_STORE(p, x) _mm_storeu_si128((__m128i *)(p), x)
#define B3_ROW(p, stride) _mm_loadu_si128((const __m128i *)(p))
#define B3_LO32 _mm_unpacklo_epi32
#define B3_HI32 _mm_unpackhi_epi32
#define B3_LO64 _mm_unpacklo_epi64
#define B3_HI64 _mm_unpackhi_epi64
#include "sums_blake3_lanes.h"

#define B3_NAME b3_lanes8
#define B3_LANES 8
#define B3_TARGET SUMS_TARGET("avx2")
#define B3V __m256i
#define B3_ADD _mm256_add_epi32
#define B3_XOR _mm256_xor_si256
#define B3_R16(x) \
    _mm256_shuffle_epi8(x, _mm256_set_epi64x(0x0d0c0f0e09080b0aLL, 0x0504070601000302LL, 0x0d0c0f0e09080b0aLL, 0x0504070601000302LL))
#define B3_R12(x) _mm256_or_si256(_mm256_srli_epi32(x, 12), _mm256_slli_epi32(x, 20))
#define B3_R8(x) \
    _mm256_shuffle_epi8(x, _mm256_set_epi64x(0x0c0f0e0d080b0a09LL, 0x0407060500030201LL, 0x0c0f0e0d080b0a09LL, 0x0407060500030201LL))
#define B3_R7(x) _mm256_or_si256(_mm256_srli_epi32(x, 7), _mm256_slli_epi32(x, 25))
#define B3_SET(x) _mm256_set1_epi32((int)(x))
#define B3_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define B3_STORE(p, x) _mm256_storeu_si256((__m256i *)(p), x)
#define B3_ROW(p, stride) \
    _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p))), _mm_loadu_si128((const __m128i *)((p) + 4 * (stride))), 1)
#define B3_LO32 _mm256_unpacklo_epi32
#define B3_HI32 _mm256_unpackhi_epi32
#define B3_LO64 _mm256_unpacklo_epi64
#define B3_HI64 _mm256_unpackhi_epi64
#include "sums_blake3_lanes.h"

SUMS_INLINE SUMS_TARGET("avx512f") __m512i b3_row16(const uint8_t *p, size_t stride) {
    __m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
    x = _mm512_inserti32x4(x, _mm_loadu_si128((const __m128i *)(p + 4 * stride)), 1);
    x = _mm512_inserti32x4(x, _mm_loadu_si128((const __m128i *)(p + 8 * stride)), 2);
    return _mm512_inserti32x4(x, _mm_loadu_si128((const __m128i *)(p + 12 * stride)), 3);
}

#define B3_NAME b3_lanes16
#define B3_LANES 16
#define B3_TARGET SUMS_TARGET("avx512f")
#define B3V __m512i
#define B3_ADD _mm512_add_epi32
#define B3_XOR _mm512_xor_si512
#define B3_R16(x) _mm512_ror_epi32(x, 16)
#define B3_R12(x) _mm512_ror_epi32(x, 12)
#define B3_R8(x) _mm512_ror_epi32(x, 8)
#define B3_R7(x) _mm512_ror_epi32(x, 7)
#define B3_SET(x) _mm512_set1_epi32((int)(x))
#define B3_LOAD(p) _mm512_loadu_si512(p)
#define B3_STORE(p, x) _mm512_storeu_si512(p, x)
#define B3_ROW b3_row16
#define B3_LO32 _mm512_unpacklo_epi32
#define B3_HI32 _mm512_unpackhi_epi32
#define B3_LO64 _mm512_unpacklo_epi64
#define B3_HI64 _mm512_unpackhi_epi64
#include "sums_blake3_lanes.h"
#endif

/* Chaining values of ``n`` inputs of whole blocks, ``stride`` bytes apart, to out (may not be the input). */
static void b3_many(const uint8_t *p, size_t n, size_t stride, int blocks, uint64_t counter, int step, uint32_t flags, uint32_t first, uint32_t last, uint8_t *out, int level) {
    uint32_t cv[8], next[8];
    int i;
#ifdef SUMS_X86
#define B3_WHILE(lanes, need)                                                                                        \
    for (; level >= (need) && n >= (lanes); n -= (lanes), p += (lanes) * stride, counter += (uint64_t)(step * (lanes)), out += 32 * (lanes)) \
        b3_lanes##lanes(p, stride, blocks, counter, step, flags, first, last, out);
    B3_WHILE(16, SUMS_AVX512)
    B3_WHILE(8, SUMS_AVX2)
    B3_WHILE(4, SUMS_SSE)
#undef B3_WHILE
#endif
    (void)level;
    for (; n; n--, p += stride, counter += (uint64_t)step, out += 32) {
        memcpy(cv, b3_iv, sizeof cv);
        for (i = 0; i < blocks; i++) {
            b3_one(cv, p + 64 * i, counter, 64, flags | (i ? 0 : first) | (i + 1 < blocks ? 0 : last), next);
            memcpy(cv, next, sizeof cv);
        }
        for (i = 0; i < 8; i++) sums_put32(out + 4 * i, cv[i]);
    }
}

static int b3_bits(uint64_t v) {
    int n = 0;
    for (; v; v &= v - 1) n++;
    return n;
}

/* ``cv`` is a whole subtree of 2^k chunks behind ``chunks`` chunks, a multiple of it: join it to what stands. */
static void b3_push(blake3_state *s, uint64_t chunks, int k, const uint8_t *cv) {
    uint8_t pair[64];
    uint32_t out[8];
    int depth = b3_bits(chunks), i;
    memcpy(pair + 32, cv, 32);
    for (chunks >>= k; chunks & 1; chunks >>= 1) {
        memcpy(pair, s->stack[--depth], 32);
        b3_one(b3_iv, pair, 0, 64, B3_PARENT, out);
        for (i = 0; i < 8; i++) sums_put32(pair + 32 + 4 * i, out[i]);
    }
    memcpy(s->stack[depth], pair + 32, 32);
}

/* The chunk that is being filled: how much of it, and of its block, there is. A full block or chunk waits for the byte behind it. */
static uint32_t b3_inside(uint64_t count, uint32_t unit) {
    return count ? (uint32_t)((count - 1) % unit) + 1 : 0;
}

static void blake3_more(blake3_state *s, const uint8_t *p, size_t size, int level) {
    uint8_t cvs[B3_TREE * 32], parents[2][B3_TREE * 16], cv[32];
    const uint8_t *left;
    uint32_t out[8], filled, start;
    uint64_t chunks;
    size_t take, m, n, i, at;
    int k, turn;
    while (size) {
        filled = b3_inside(s->count, B3_CHUNK);
        chunks = s->count ? (s->count - 1) / B3_CHUNK : 0;
        if (filled == B3_CHUNK) {
            /* More comes, so this chunk is whole and not the root. */
            b3_one(s->cv, s->block, chunks, 64, B3_END, out);
            for (i = 0; i < 8; i++) sums_put32(cv + 4 * i, out[i]);
            b3_push(s, chunks, 0, cv);
            chunks++, filled = 0;
        }
        while (filled == 0 && size > B3_CHUNK) {
            /* Whole chunks to the next border of a tree, all but the last byte's; then the full subtrees among them. */
            m = (size - 1) / B3_CHUNK;
            if (m > B3_TREE - chunks % B3_TREE) m = (size_t)(B3_TREE - chunks % B3_TREE);
            n = (m + 15) / 16 * 16; /* the lanes beside the last chunks are free, and cheaper full than a narrower turn */
            b3_many(p, m % 16 > 4 && n * B3_CHUNK <= size ? n : m, B3_CHUNK, 16, chunks, 1, 0, B3_START, B3_END, cvs, level);
            for (at = 0; at < m; at += n) {
                for (n = 1, k = 0; ((chunks + at) & (2 * n - 1)) == 0 && at + 2 * n <= m; n *= 2) k++;
                left = cvs + 32 * at;
                for (i = n, turn = 0; i > 1; i /= 2, turn ^= 1, left = parents[turn ^ 1]) b3_many(left, i / 2, 64, 1, 0, 0, B3_PARENT, 0, 0, parents[turn], level);
                b3_push(s, chunks + at, k, left);
            }
            /* The state between: the last of these chunks counts as whole only when the next byte comes, and it does now. */
            chunks += m, p += m * B3_CHUNK, size -= m * B3_CHUNK, s->count = chunks * B3_CHUNK;
        }
        if (filled == 0) memcpy(s->cv, b3_iv, sizeof s->cv);
        for (; size && filled < B3_CHUNK; p += take, size -= take, s->count += take, filled += (uint32_t)take) {
            start = filled & 63;
            if (filled && !start) {
                b3_one(s->cv, s->block, chunks, 64, filled == 64 ? B3_START : 0, out);
                memcpy(s->cv, out, sizeof out);
            }
            take = size < 64 - start ? size : 64 - start;
            memcpy(s->block + start, p, take);
        }
    }
}

static void blake3_end(const blake3_state *s, uint8_t *digest) {
    uint32_t cv[8], out[8], filled = b3_inside(s->count, B3_CHUNK), length = b3_inside(s->count, 64);
    uint32_t flags = B3_END | (filled <= 64 ? B3_START : 0);
    uint64_t chunks = s->count ? (s->count - 1) / B3_CHUNK : 0, counter = chunks;
    uint8_t block[64];
    int depth = b3_bits(chunks), i;
    memset(block, 0, sizeof block);
    memcpy(block, s->block, length);
    memcpy(cv, s->count ? s->cv : b3_iv, sizeof cv);
    for (;;) {
        b3_one(cv, block, counter, length, flags | (depth ? 0 : B3_ROOT), out);
        if (!depth) break;
        memcpy(block, s->stack[--depth], 32);
        for (i = 0; i < 8; i++) sums_put32(block + 32 + 4 * i, out[i]);
        memcpy(cv, b3_iv, sizeof cv);
        flags = B3_PARENT, length = 64, counter = 0;
    }
    for (i = 0; i < 8; i++) sums_put32(digest + 4 * i, out[i]);
}

#endif
