/* MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4): alone, and stitched so that one pass feeds two or three.

   MD5 is one chain of dependent steps that leaves most of the processor idle; the SHA instructions run on a unit of their
   own. With four steps of each in turn in the instruction stream, the processor's window always holds work of
   all, and the pass costs little more than the slowest alone. */
#ifndef FORENSICLIB_SUMS_TRIO_H
#define FORENSICLIB_SUMS_TRIO_H

#include "sums.h"

typedef struct {
    uint32_t md5[4], sha1[5], sha256[8];
} trio;

enum { TRIO_MD5 = 1, TRIO_SHA1 = 2, TRIO_SHA256 = 4 };

static const uint32_t md5_k[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1,
    0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453,
    0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942,
    0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05,
    0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d,
    0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The word that step i takes, by the round's own stride. */
#define MD5_WORD(i) (((i) < 16 ? (i) : (i) < 32 ? 5 * (i) + 1 : (i) < 48 ? 3 * (i) + 5 : 7 * (i)) & 15)

/* Keeps the sum of what is known early apart from what the last step made: the compiler would reorder it. */
#ifdef SUMS_X86
#define SUMS_PIN(x) __asm__("" : "+r"(x))
#else
#define SUMS_PIN(x) (void)0
#endif

/* One step. In the second round the two halves of the selection never meet in a bit, so they may be added: that
   takes one operation out of the chain from b. */
#define MD5_STEP(i, a, b, c, d, r)                                                    \
    do {                                                                              \
        a += md5_k[i] + sums_le32(p + 4 * MD5_WORD(i));                               \
        if ((i) >= 16 && (i) < 32) a += c & ~d;                                       \
        SUMS_PIN(a);                                                                  \
        if ((i) < 16) a += ((c ^ d) & b) ^ d;                                         \
        else if ((i) < 32) a += b & d;                                                \
        else if ((i) < 48) a += (c ^ d) ^ b;                                          \
        else a += (b | ~d) ^ c;                                                       \
        a = sums_rol(a, r) + b;                                                       \
    } while (0)

typedef struct { uint32_t a, b, c, d; } md5_words;

SUMS_INLINE void md5_four(md5_words *s, const uint8_t *p, const int i) {
    uint32_t a = s->a, b = s->b, c = s->c, d = s->d;
    MD5_STEP(i, a, b, c, d, i < 16 ? 7 : i < 32 ? 5 : i < 48 ? 4 : 6);
    MD5_STEP(i + 1, d, a, b, c, i < 16 ? 12 : i < 32 ? 9 : i < 48 ? 11 : 10);
    MD5_STEP(i + 2, c, d, a, b, i < 16 ? 17 : i < 32 ? 14 : i < 48 ? 16 : 15);
    MD5_STEP(i + 3, b, c, d, a, i < 16 ? 22 : i < 32 ? 20 : i < 48 ? 23 : 21);
    s->a = a, s->b = b, s->c = c, s->d = d;
}

#ifdef SUMS_X86

#define SUMS_SHA SUMS_TARGET("sha,sse4.1,ssse3")

typedef struct { __m128i abcd, e, last, w[4]; } sha1_vector;
typedef struct { __m128i abef, cdgh, w[4]; } sha256_vector;

/* Steps 4i to 4i+3. ``last`` is what abcd was before the four steps before. */
SUMS_INLINE SUMS_SHA void sha1_vfour(sha1_vector *s, const uint8_t *p, const int i) {
    const __m128i swap = _mm_set_epi64x(0x0001020304050607LL, 0x08090a0b0c0d0e0fLL);
    __m128i e;
    if (i < 4) s->w[i & 3] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
    else
        s->w[i & 3] = _mm_sha1msg2_epu32(
            _mm_xor_si128(_mm_sha1msg1_epu32(s->w[i & 3], s->w[(i + 1) & 3]), s->w[(i + 2) & 3]), s->w[(i + 3) & 3]);
    e = i ? _mm_sha1nexte_epu32(s->last, s->w[i & 3]) : _mm_add_epi32(s->e, s->w[0]);
    s->last = s->abcd;
    if (i < 5) s->abcd = _mm_sha1rnds4_epu32(s->abcd, e, 0);
    else if (i < 10) s->abcd = _mm_sha1rnds4_epu32(s->abcd, e, 1);
    else if (i < 15) s->abcd = _mm_sha1rnds4_epu32(s->abcd, e, 2);
    else s->abcd = _mm_sha1rnds4_epu32(s->abcd, e, 3);
}

SUMS_INLINE SUMS_SHA void sha256_vfour(sha256_vector *s, const uint8_t *p, const int i) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i m;
    if (i < 4) s->w[i & 3] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
    else {
        m = _mm_add_epi32(_mm_sha256msg1_epu32(s->w[i & 3], s->w[(i + 1) & 3]), _mm_alignr_epi8(s->w[(i + 3) & 3], s->w[(i + 2) & 3], 4));
        s->w[i & 3] = _mm_sha256msg2_epu32(m, s->w[(i + 3) & 3]);
    }
    m = _mm_add_epi32(s->w[i & 3], _mm_loadu_si128((const __m128i *)(sha256_k + 4 * i)));
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, m);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(m, 0x0E));
}

/* The stitch. The three constants choose what is in it; the compiler drops the rest. */
SUMS_INLINE SUMS_SHA void trio_stitch(trio *t, const uint8_t *p, size_t blocks, const int md5, const int sha1, const int sha256) {
    md5_words m, m0;
    sha1_vector s, s0;
    sha256_vector h, h0;
    __m128i x, y;
    int i;
    memset(&s, 0, sizeof s);
    memset(&h, 0, sizeof h);
    m.a = t->md5[0], m.b = t->md5[1], m.c = t->md5[2], m.d = t->md5[3];
    if (sha1) {
        s.abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)t->sha1), 0x1B);
        s.e = _mm_set_epi32((int)t->sha1[4], 0, 0, 0);
    }
    if (sha256) {
        x = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)t->sha256), 0xB1);
        y = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(t->sha256 + 4)), 0x1B);
        h.abef = _mm_alignr_epi8(x, y, 8);
        h.cdgh = _mm_blend_epi16(y, x, 0xF0);
    }
    for (; blocks; blocks--, p += 64) {
        m0 = m, s0 = s, h0 = h;
        SUMS_UNROLL(16)
        for (i = 0; i < 16; i++) {
            if (sha256) sha256_vfour(&h, p, i);
            if (md5) md5_four(&m, p, 4 * i);
            if (sha1) {
                sha1_vfour(&s, p, i + i / 4); /* 20 groups of SHA-1 beside 16 of the others */
                if (i % 4 == 3) sha1_vfour(&s, p, i + i / 4 + 1);
            }
        }
        if (md5) m.a += m0.a, m.b += m0.b, m.c += m0.c, m.d += m0.d;
        if (sha1) {
            s.e = _mm_sha1nexte_epu32(s.last, s0.e);
            s.abcd = _mm_add_epi32(s.abcd, s0.abcd);
        }
        if (sha256) {
            h.abef = _mm_add_epi32(h.abef, h0.abef);
            h.cdgh = _mm_add_epi32(h.cdgh, h0.cdgh);
        }
    }
    if (md5) t->md5[0] = m.a, t->md5[1] = m.b, t->md5[2] = m.c, t->md5[3] = m.d;
    if (sha1) {
        _mm_storeu_si128((__m128i *)t->sha1, _mm_shuffle_epi32(s.abcd, 0x1B));
        t->sha1[4] = (uint32_t)_mm_extract_epi32(s.e, 3);
    }
    if (sha256) {
        x = _mm_shuffle_epi32(h.abef, 0x1B);
        y = _mm_shuffle_epi32(h.cdgh, 0xB1);
        _mm_storeu_si128((__m128i *)t->sha256, _mm_blend_epi16(x, y, 0xF0));
        _mm_storeu_si128((__m128i *)(t->sha256 + 4), _mm_alignr_epi8(y, x, 8));
    }
}

#define TRIO_KERNEL(which)                                                                     \
    static SUMS_SHA void trio_##which(trio *t, const uint8_t *p, size_t n) {                   \
        trio_stitch(t, p, n, which & TRIO_MD5, which & TRIO_SHA1, which & TRIO_SHA256);        \
    }

TRIO_KERNEL(2)
TRIO_KERNEL(3)
TRIO_KERNEL(4)
TRIO_KERNEL(5)
TRIO_KERNEL(6)
TRIO_KERNEL(7)
#endif

static void md5_blocks(uint32_t *v, const uint8_t *p, size_t blocks) {
    md5_words m, m0;
    int i;
    m.a = v[0], m.b = v[1], m.c = v[2], m.d = v[3];
    for (; blocks; blocks--, p += 64) {
        m0 = m;
        SUMS_UNROLL(16)
        for (i = 0; i < 64; i += 4) md5_four(&m, p, i);
        m.a += m0.a, m.b += m0.b, m.c += m0.c, m.d += m0.d;
    }
    v[0] = m.a, v[1] = m.b, v[2] = m.c, v[3] = m.d;
}

#define SHA1_STEP(i, f, k)                                                                                             \
    do {                                                                                                               \
        if (i >= 16) w[(i) & 15] = sums_rol(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[(i) & 15], 1);    \
        t = sums_rol(a, 5) + (f) + e + k + w[(i) & 15];                                                                \
        e = d, d = c, c = sums_rol(b, 30), b = a, a = t;                                                               \
    } while (0)

static void sha1_blocks(uint32_t *v, const uint8_t *p, size_t blocks) {
    uint32_t w[16], a, b, c, d, e, t;
    int i;
    for (; blocks; blocks--, p += 64) {
        for (i = 0; i < 16; i++) w[i] = sums_be32(p + 4 * i);
        a = v[0], b = v[1], c = v[2], d = v[3], e = v[4];
        SUMS_UNROLL(20)
        for (i = 0; i < 20; i++) SHA1_STEP(i, ((c ^ d) & b) ^ d, 0x5a827999u);
        SUMS_UNROLL(20)
        for (i = 20; i < 40; i++) SHA1_STEP(i, b ^ c ^ d, 0x6ed9eba1u);
        SUMS_UNROLL(20)
        for (i = 40; i < 60; i++) SHA1_STEP(i, (b & c) + (d & (b ^ c)), 0x8f1bbcdcu);
        SUMS_UNROLL(20)
        for (i = 60; i < 80; i++) SHA1_STEP(i, b ^ c ^ d, 0xca62c1d6u);
        v[0] += a, v[1] += b, v[2] += c, v[3] += d, v[4] += e;
    }
}

SUMS_INLINE void sha256_rounds(uint32_t *v, const uint8_t *p, size_t blocks) {
    uint32_t w[16], x[8], t, u;
    int i;
    for (; blocks; blocks--, p += 64) {
        for (i = 0; i < 16; i++) w[i] = sums_be32(p + 4 * i);
        memcpy(x, v, sizeof x);
        SUMS_UNROLL(64)
        for (i = 0; i < 64; i++) {
            if (i >= 16) {
                t = w[(i + 1) & 15], u = w[(i + 14) & 15];
                w[i & 15] += (sums_ror(t, 7) ^ sums_ror(t, 18) ^ t >> 3) + w[(i + 9) & 15] + (sums_ror(u, 17) ^ sums_ror(u, 19) ^ u >> 10);
            }
            /* x[(k - i) & 7] is the word that the standard calls a + k */
#define SHA2_X(k) x[((k) - i) & 7]
            t = SHA2_X(4), u = SHA2_X(0);
            SHA2_X(7) += (sums_ror(t, 6) ^ sums_ror(t, 11) ^ sums_ror(t, 25)) + (((SHA2_X(5) ^ SHA2_X(6)) & t) ^ SHA2_X(6)) + sha256_k[i] + w[i & 15];
            SHA2_X(3) += SHA2_X(7);
            SHA2_X(7) += (sums_ror(u, 2) ^ sums_ror(u, 13) ^ sums_ror(u, 22)) + ((u & SHA2_X(1)) | (SHA2_X(2) & (u | SHA2_X(1))));
        }
        for (i = 0; i < 8; i++) v[i] += x[i];
    }
}

static void sha256_blocks(uint32_t *v, const uint8_t *p, size_t blocks) {
    sha256_rounds(v, p, blocks);
}

#ifdef SUMS_X86
static SUMS_TARGET("bmi,bmi2") void sha256_blocks_bmi2(uint32_t *v, const uint8_t *p, size_t blocks) {
    sha256_rounds(v, p, blocks);
}
#endif

/* Blocks of 64 bytes into the sums that ``which`` names. */
static void trio_blocks(trio *t, int which, const uint8_t *p, size_t blocks, int level, int sha) {
#ifdef SUMS_X86
    if (sha && level >= SUMS_SSE && which != TRIO_MD5) {
        switch (which) {
            case 2: trio_2(t, p, blocks); return;
            case 3: trio_3(t, p, blocks); return;
            case 4: trio_4(t, p, blocks); return;
            case 5: trio_5(t, p, blocks); return;
            case 6: trio_6(t, p, blocks); return;
            case 7: trio_7(t, p, blocks); return;
            default: return;
        }
    }
    if (which & TRIO_SHA256 && level >= SUMS_AVX2) sha256_blocks_bmi2(t->sha256, p, blocks), which &= ~TRIO_SHA256;
#endif
    (void)level, (void)sha;
    if (which & TRIO_MD5) md5_blocks(t->md5, p, blocks);
    if (which & TRIO_SHA1) sha1_blocks(t->sha1, p, blocks);
    if (which & TRIO_SHA256) sha256_blocks(t->sha256, p, blocks);
}

#endif
