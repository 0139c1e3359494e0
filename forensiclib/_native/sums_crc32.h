/* CRC-32 (ISO 3309, reflected polynomial 0xEDB88320). With carry-less multiplication 64 bytes are folded at a time
   (Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel 2009; constants of its table). */
#ifndef FORENSICLIB_SUMS_CRC32_H
#define FORENSICLIB_SUMS_CRC32_H

#include "sums.h"

static uint32_t crc32_table[8][256];

/* Called once, when the module loads. */
static void crc32_prepare(void) {
    uint32_t i, k, v;
    for (i = 0; i < 256; i++) {
        for (v = i, k = 0; k < 8; k++) v = v >> 1 ^ ((0u - (v & 1)) & 0xEDB88320u);
        crc32_table[0][i] = v;
    }
    for (i = 0; i < 256; i++)
        for (k = 1; k < 8; k++) crc32_table[k][i] = crc32_table[k - 1][i] >> 8 ^ crc32_table[0][crc32_table[k - 1][i] & 255];
}

/* ``v`` is the register itself, not inverted. */
static uint32_t crc32_bytes(uint32_t v, const uint8_t *p, size_t size) {
    uint32_t a, b;
    for (; size >= 8; size -= 8, p += 8) {
        a = v ^ sums_le32(p), b = sums_le32(p + 4);
        v = crc32_table[7][a & 255] ^ crc32_table[6][a >> 8 & 255] ^ crc32_table[5][a >> 16 & 255] ^ crc32_table[4][a >> 24] ^
            crc32_table[3][b & 255] ^ crc32_table[2][b >> 8 & 255] ^ crc32_table[1][b >> 16 & 255] ^ crc32_table[0][b >> 24];
    }
    for (; size; size--) v = v >> 8 ^ crc32_table[0][(v ^ *p++) & 255];
    return v;
}

#ifdef SUMS_X86
SUMS_INLINE SUMS_TARGET("sse4.1,pclmul") __m128i crc32_fold(__m128i x, __m128i k, __m128i more) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11)), more);
}

/* At least 64 bytes. */
static SUMS_TARGET("sse4.1,pclmul") uint32_t crc32_clmul(uint32_t v, const uint8_t *p, size_t size) {
    const __m128i by4 = _mm_set_epi64x(0x1c6e41596LL, 0x154442bd4LL), by1 = _mm_set_epi64x(0x0ccaa009eLL, 0x1751997d0LL);
    const __m128i *q = (const __m128i *)p;
    __m128i a = _mm_xor_si128(_mm_loadu_si128(q), _mm_cvtsi32_si128((int)v)), b = _mm_loadu_si128(q + 1);
    __m128i c = _mm_loadu_si128(q + 2), d = _mm_loadu_si128(q + 3);
    uint8_t left[16];
    for (q += 4, size -= 64; size >= 64; q += 4, size -= 64) {
        a = crc32_fold(a, by4, _mm_loadu_si128(q));
        b = crc32_fold(b, by4, _mm_loadu_si128(q + 1));
        c = crc32_fold(c, by4, _mm_loadu_si128(q + 2));
        d = crc32_fold(d, by4, _mm_loadu_si128(q + 3));
    }
    a = crc32_fold(crc32_fold(crc32_fold(a, by1, b), by1, c), by1, d);
    for (; size >= 16; q++, size -= 16) a = crc32_fold(a, by1, _mm_loadu_si128(q));
    _mm_storeu_si128((__m128i *)left, a);
    return crc32_bytes(crc32_bytes(0, left, 16), (const uint8_t *)q, size); /* the folded bytes stand for all before them */
}
#endif

static uint32_t crc32_more(uint32_t v, const uint8_t *p, size_t size, int level) {
#ifdef SUMS_X86
    if (level >= SUMS_SSE && size >= 64) return crc32_clmul(v, p, size);
#endif
    (void)level;
    return crc32_bytes(v, p, size);
}

#endif
