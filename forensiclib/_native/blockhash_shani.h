/* SHA-1 and SHA-256 with the x86 SHA instructions, two blocks side by side: one alone waits for its own results. */

#define BH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define BH_BOTH for (j = 0; j < 2; j++)

/* The words of a chunk as the instructions want them: big-endian, and for SHA-1 the first word highest. */
BH_SHA static void bh_sha_load(__m128i m[4], const uint8_t *p, __m128i order) {
    int i;
    for (i = 0; i < 4; i++) m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), order);
}

BH_SHA static void bh_sha256_chunk(__m128i abef[2], __m128i cdgh[2], const uint8_t *const p[2]) {
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i m[2][4], low[2], high[2], k;
    int i, j;
    BH_BOTH { bh_sha_load(m[j], p[j], order); low[j] = abef[j]; high[j] = cdgh[j]; }
#pragma GCC unroll 16
    for (i = 0; i < 16; i++) {
#pragma GCC unroll 2
        BH_BOTH {
            __m128i *w = m[j];
            if (i >= 4)
                w[i & 3] = _mm_sha256msg2_epu32(
                    _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4)),
                    w[(i + 3) & 3]);
            k = _mm_add_epi32(w[i & 3], _mm_loadu_si128((const __m128i *)(bh_k256 + 4 * i)));
            high[j] = _mm_sha256rnds2_epu32(high[j], low[j], k);
            low[j] = _mm_sha256rnds2_epu32(low[j], high[j], _mm_shuffle_epi32(k, 0x0e));
        }
    }
    BH_BOTH { abef[j] = _mm_add_epi32(abef[j], low[j]); cdgh[j] = _mm_add_epi32(cdgh[j], high[j]); }
}

BH_SHA static void bh_sha1_chunk(__m128i abcd[2], __m128i e[2], const uint8_t *const p[2]) {
    const __m128i order = _mm_set_epi64x(0x0001020304050607LL, 0x08090a0b0c0d0e0fLL);
    __m128i m[2][4], now[2], before[2], next;
    int i, j;
    BH_BOTH { bh_sha_load(m[j], p[j], order); before[j] = now[j] = abcd[j]; }
#pragma GCC unroll 20
    for (i = 0; i < 20; i++) {
#pragma GCC unroll 2
        BH_BOTH {
            __m128i *w = m[j];
            if (i >= 4)
                w[i & 3] = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3]), w[(i + 3) & 3]);
            next = i ? _mm_sha1nexte_epu32(before[j], w[i & 3]) : _mm_add_epi32(e[j], w[0]);
            before[j] = now[j];
            now[j] = i < 5 ? _mm_sha1rnds4_epu32(now[j], next, 0) : i < 10 ? _mm_sha1rnds4_epu32(now[j], next, 1)
                   : i < 15 ? _mm_sha1rnds4_epu32(now[j], next, 2) : _mm_sha1rnds4_epu32(now[j], next, 3);
        }
    }
    BH_BOTH { e[j] = _mm_sha1nexte_epu32(before[j], e[j]); abcd[j] = _mm_add_epi32(abcd[j], now[j]); }
}

/* As the template's run(); a last block without a partner is hashed twice and given out once. */
BH_SHA static void bh_run_shani(int algorithm, const uint8_t *data, size_t size, size_t count, uint8_t *out) {
    const uint32_t *h = bh_initial[algorithm];
    uint32_t last[16], state[8];
    uint8_t pad[64];
    size_t at;
    int i, j;
    bh_padding(last, algorithm, size);
    for (i = 0; i < 16; i++) bh_put_big(pad + 4 * i, last[i]);
    while (count) {
        int take = count > 1 ? 2 : 1;
        __m128i low[2], high[2];
        const uint8_t *p[2];
        p[0] = data;
        p[1] = take == 2 ? data + size : data;
        BH_BOTH {
            low[j] = algorithm == BH_SHA1 ? _mm_set_epi32((int)h[0], (int)h[1], (int)h[2], (int)h[3])
                                          : _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
            high[j] = algorithm == BH_SHA1 ? _mm_set_epi32((int)h[4], 0, 0, 0) : _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
        }
        for (at = 0; at <= size; at += 64) {
            if (at == size) p[0] = p[1] = pad;
            if (algorithm == BH_SHA1) bh_sha1_chunk(low, high, p);
            else bh_sha256_chunk(low, high, p);
            p[0] += 64;
            p[1] += 64;
        }
        for (j = 0; j < take; j++) {
            uint32_t a[4], b[4];
            _mm_storeu_si128((__m128i *)a, low[j]);
            _mm_storeu_si128((__m128i *)b, high[j]);
            if (algorithm == BH_SHA1) {
                for (i = 0; i < 4; i++) state[i] = a[3 - i];
                state[4] = b[3];
            } else {
                state[0] = a[3]; state[1] = a[2]; state[4] = a[1]; state[5] = a[0];
                state[2] = b[3]; state[3] = b[2]; state[6] = b[1]; state[7] = b[0];
            }
            for (i = 0; i < bh_words[algorithm]; i++, out += 4) bh_put_big(out, state[i]);
        }
        data += (size_t)take * size;
        count -= (size_t)take;
    }
}

#undef BH_SHA
#undef BH_BOTH
