/* AES (FIPS 197): schedules, and many blocks at once in place. Portable, AES-NI (8 blocks), VAES (32 blocks). Whole sectors of XTS
   (IEEE 1619) and CBC with the hardware; the generic modes are in sectors.h. */
#ifndef FORENSICLIB_AES_H
#define FORENSICLIB_AES_H

#include <stdint.h>
#include <string.h>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define AES_X86 1
#include <immintrin.h>
#endif

typedef struct {
    uint8_t enc[15][16], dec[15][16];   /* dec: for the equivalent inverse cipher (FIPS 197, 5.3.5) */
    int rounds;
} aes_key;

typedef struct {
    uint8_t s[256], inv[256];
    uint32_t t[256], u[256];            /* SubBytes and MixColumns in one look-up, and the inverse of both */
} aes_tables;

static aes_tables AES_T;                /* filled once, when the module is loaded */

static uint8_t aes_double(uint8_t v) { return (uint8_t)(v << 1 ^ (v >> 7) * 0x1B); }

static void aes_init(void) {
    uint8_t p = 1, q = 1;
    int i;
    do {                                /* p runs through the powers of 3, q through those of its inverse */
        p ^= aes_double(p);
        q ^= (uint8_t)(q << 1);
        q ^= (uint8_t)(q << 2);
        q ^= (uint8_t)(q << 4);
        if (q & 0x80) q ^= 9;
        AES_T.s[p] = q ^ (uint8_t)(q << 1 | q >> 7) ^ (uint8_t)(q << 2 | q >> 6) ^ (uint8_t)(q << 3 | q >> 5) ^ (uint8_t)(q << 4 | q >> 4) ^ 0x63;
    } while (p != 1);
    AES_T.s[0] = 0x63;
    for (i = 0; i < 256; i++) AES_T.inv[AES_T.s[i]] = (uint8_t)i;
    for (i = 0; i < 256; i++) {
        uint8_t a = AES_T.s[i], a2 = aes_double(a), b = AES_T.inv[i], b2 = aes_double(b), b4 = aes_double(b2), b8 = aes_double(b4);
        AES_T.t[i] = a2 | (uint32_t)a << 8 | (uint32_t)a << 16 | (uint32_t)(uint8_t)(a2 ^ a) << 24;
        AES_T.u[i] = (uint8_t)(b8 ^ b4 ^ b2) | (uint32_t)(uint8_t)(b8 ^ b) << 8 | (uint32_t)(uint8_t)(b8 ^ b4 ^ b) << 16
                     | (uint32_t)(uint8_t)(b8 ^ b2 ^ b) << 24;
    }
}

static uint32_t aes_get(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static void aes_put(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); p[2] = (uint8_t)(v >> 16); p[3] = (uint8_t)(v >> 24);
}

static void aes_open(aes_key *k, const uint8_t *key, int size) {
    int words = size / 4, i, j, total;
    uint8_t *w = &k->enc[0][0], *d = &k->dec[0][0], rcon = 1;
    k->rounds = words + 6;
    total = 4 * (k->rounds + 1);
    memcpy(w, key, (size_t)size);
    for (i = words; i < total; i++) {
        uint8_t t[4];
        memcpy(t, w + 4 * i - 4, 4);
        if (i % words == 0) {
            uint8_t first = t[0];
            t[0] = AES_T.s[t[1]] ^ rcon; t[1] = AES_T.s[t[2]]; t[2] = AES_T.s[t[3]]; t[3] = AES_T.s[first];
            rcon = aes_double(rcon);
        } else if (words > 6 && i % words == 4) {
            for (j = 0; j < 4; j++) t[j] = AES_T.s[t[j]];
        }
        for (j = 0; j < 4; j++) w[4 * i + j] = w[4 * (i - words) + j] ^ t[j];
    }
    for (i = 0; i <= k->rounds; i++) {
        const uint8_t *from = k->enc[k->rounds - i];
        for (j = 0; j < 4; j++) {
            uint32_t v = aes_get(from + 4 * j);
            if (i && i < k->rounds)
                v = AES_T.u[AES_T.s[v & 255]] ^ (AES_T.u[AES_T.s[v >> 8 & 255]] << 8 | AES_T.u[AES_T.s[v >> 8 & 255]] >> 24)
                    ^ (AES_T.u[AES_T.s[v >> 16 & 255]] << 16 | AES_T.u[AES_T.s[v >> 16 & 255]] >> 16)
                    ^ (AES_T.u[AES_T.s[v >> 24]] << 24 | AES_T.u[AES_T.s[v >> 24]] >> 8);
            aes_put(d + 16 * i + 4 * j, v);
        }
    }
}

static uint32_t aes_column(const uint32_t *t, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint32_t v = t[b >> 8 & 255], w = t[c >> 16 & 255], x = t[d >> 24];
    return t[a & 255] ^ (v << 8 | v >> 24) ^ (w << 16 | w >> 16) ^ (x << 24 | x >> 8);
}

static void aes_plain(const aes_key *k, uint8_t *data, int64_t blocks, int forward) {
    const uint32_t *t = forward ? AES_T.t : AES_T.u;
    const uint8_t *s = forward ? AES_T.s : AES_T.inv;
    const uint8_t (*rk)[16] = forward ? k->enc : k->dec;
    int step = forward ? 1 : 3, r, j;
    for (; blocks > 0; blocks--, data += 16) {
        uint32_t a[4], b[4];
        for (j = 0; j < 4; j++) a[j] = aes_get(data + 4 * j) ^ aes_get(rk[0] + 4 * j);
        for (r = 1; r < k->rounds; r++) {
            for (j = 0; j < 4; j++)
                b[j] = aes_column(t, a[j], a[(j + step) & 3], a[(j + 2) & 3], a[(j + 3 * step) & 3]) ^ aes_get(rk[r] + 4 * j);
            memcpy(a, b, 16);
        }
        for (j = 0; j < 4; j++) {
            uint32_t v = s[a[j] & 255] | (uint32_t)s[a[(j + step) & 3] >> 8 & 255] << 8 | (uint32_t)s[a[(j + 2) & 3] >> 16 & 255] << 16
                         | (uint32_t)s[a[(j + 3 * step) & 3] >> 24] << 24;
            aes_put(data + 4 * j, v ^ aes_get(rk[k->rounds] + 4 * j));
        }
    }
}

#ifdef AES_X86

#define AES_NI __attribute__((target("aes,sse4.1,pclmul")))
#define AES_WIDE __attribute__((target("vaes,avx512f,avx512bw,avx512vl,avx512dq,vpclmulqdq,aes")))

AES_NI static void aes_ni(const aes_key *k, uint8_t *data, int64_t blocks, int forward) {
    const uint8_t (*rk)[16] = forward ? k->enc : k->dec;
    int r, j, n;
    for (; blocks > 0; blocks -= n, data += 16 * n) {
        __m128i b[8], key = _mm_loadu_si128((const __m128i *)rk[0]);
        n = blocks < 8 ? (int)blocks : 8;
        for (j = 0; j < 8; j++) b[j] = j < n ? _mm_xor_si128(_mm_loadu_si128((const __m128i *)(data + 16 * j)), key) : key;
        for (r = 1; r < k->rounds; r++) {
            key = _mm_loadu_si128((const __m128i *)rk[r]);
            if (forward) for (j = 0; j < 8; j++) b[j] = _mm_aesenc_si128(b[j], key);
            else for (j = 0; j < 8; j++) b[j] = _mm_aesdec_si128(b[j], key);
        }
        key = _mm_loadu_si128((const __m128i *)rk[k->rounds]);
        for (j = 0; j < n; j++)
            _mm_storeu_si128((__m128i *)(data + 16 * j), forward ? _mm_aesenclast_si128(b[j], key) : _mm_aesdeclast_si128(b[j], key));
    }
}

/* T times x: the bits of both halves move up, the top one comes back as 0x87. */
AES_NI static __m128i aes_ni_double(__m128i t) {
    __m128i top = _mm_shuffle_epi32(_mm_srai_epi32(t, 31), 0x13);
    return _mm_xor_si128(_mm_add_epi64(t, t), _mm_and_si128(top, _mm_set_epi32(0, 1, 0, 0x87)));
}

AES_NI static void aes_ni_xts(const aes_key *k, const uint8_t *tweak, uint8_t *data, int64_t blocks) {
    __m128i t = _mm_loadu_si128((const __m128i *)tweak);
    int r, j, n;
    for (; blocks > 0; blocks -= n, data += 16 * n) {
        __m128i b[8], w[8], key = _mm_loadu_si128((const __m128i *)k->dec[0]);
        n = blocks < 8 ? (int)blocks : 8;
        for (j = 0; j < 8; j++, t = aes_ni_double(t)) {
            w[j] = t;
            b[j] = j < n ? _mm_xor_si128(_mm_xor_si128(_mm_loadu_si128((const __m128i *)(data + 16 * j)), t), key) : key;
        }
        for (r = 1; r < k->rounds; r++) {
            key = _mm_loadu_si128((const __m128i *)k->dec[r]);
            for (j = 0; j < 8; j++) b[j] = _mm_aesdec_si128(b[j], key);
        }
        key = _mm_loadu_si128((const __m128i *)k->dec[k->rounds]);
        for (j = 0; j < n; j++) _mm_storeu_si128((__m128i *)(data + 16 * j), _mm_xor_si128(_mm_aesdeclast_si128(b[j], key), w[j]));
    }
}

/* From the end, so that the ciphertext before each block is still there. */
AES_NI static void aes_ni_cbc(const aes_key *k, const uint8_t *iv, uint8_t *data, int64_t blocks) {
    int r, j, n;
    while (blocks > 0) {
        __m128i b[8], before[8], key = _mm_loadu_si128((const __m128i *)k->dec[0]);
        uint8_t *at;
        n = blocks < 8 ? (int)blocks : 8;
        blocks -= n;
        at = data + 16 * blocks;
        for (j = 0; j < 8; j++) {
            before[j] = j >= n ? key : _mm_loadu_si128((const __m128i *)(j || blocks ? at + 16 * j - 16 : iv));
            b[j] = j < n ? _mm_xor_si128(_mm_loadu_si128((const __m128i *)(at + 16 * j)), key) : key;
        }
        for (r = 1; r < k->rounds; r++) {
            key = _mm_loadu_si128((const __m128i *)k->dec[r]);
            for (j = 0; j < 8; j++) b[j] = _mm_aesdec_si128(b[j], key);
        }
        key = _mm_loadu_si128((const __m128i *)k->dec[k->rounds]);
        for (j = 0; j < n; j++) _mm_storeu_si128((__m128i *)(at + 16 * j), _mm_xor_si128(_mm_aesdeclast_si128(b[j], key), before[j]));
    }
}

/* Four tweaks times x to the fourth: the nibble that leaves the top comes back as its product with 0x87. */
AES_WIDE static __m512i aes_wide_step(__m512i t) {
    __m512i top = _mm512_srli_epi64(t, 60);
    __m512i back = _mm512_clmulepi64_epi128(top, _mm512_set1_epi64(0x87), 0x01);
    return _mm512_ternarylogic_epi64(_mm512_slli_epi64(t, 4), _mm512_bslli_epi128(top, 8), back, 0x96);
}

/* Whole groups of 32 blocks; the rest with 8 at once. */
AES_WIDE static void aes_wide_xts(const aes_key *k, const uint8_t *tweak, uint8_t *data, int64_t blocks) {
    __m128i t0 = _mm_loadu_si128((const __m128i *)tweak), t1 = aes_ni_double(t0), t2 = aes_ni_double(t1), t3 = aes_ni_double(t2);
    __m512i t = _mm512_inserti64x2(_mm512_inserti64x2(_mm512_inserti64x2(_mm512_castsi128_si512(t0), t1, 1), t2, 2), t3, 3);
    int r, j;
    for (; blocks >= 32; blocks -= 32, data += 512) {
        __m512i b[8], w[8], key = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)k->dec[0]));
        for (j = 0; j < 8; j++, t = aes_wide_step(t)) {
            w[j] = t;
            b[j] = _mm512_ternarylogic_epi64(_mm512_loadu_si512(data + 64 * j), t, key, 0x96);
        }
        for (r = 1; r < k->rounds; r++) {
            key = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)k->dec[r]));
            for (j = 0; j < 8; j++) b[j] = _mm512_aesdec_epi128(b[j], key);
        }
        key = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)k->dec[k->rounds]));
        for (j = 0; j < 8; j++) _mm512_storeu_si512(data + 64 * j, _mm512_xor_si512(_mm512_aesdeclast_epi128(b[j], key), w[j]));
    }
    if (blocks) {
        uint8_t rest[16];
        _mm_storeu_si128((__m128i *)rest, _mm512_castsi512_si128(t));
        aes_ni_xts(k, rest, data, blocks);
    }
}

AES_WIDE static void aes_wide_cbc(const aes_key *k, const uint8_t *iv, uint8_t *data, int64_t blocks) {
    int r, j;
    while (blocks >= 33) {              /* the block before the group is ciphertext too */
        uint8_t *at;
        __m512i b[8], before[8], key = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)k->dec[0]));
        blocks -= 32;
        at = data + 16 * blocks;
        for (j = 0; j < 8; j++) {
            before[j] = _mm512_loadu_si512(at + 64 * j - 16);
            b[j] = _mm512_xor_si512(_mm512_loadu_si512(at + 64 * j), key);
        }
        for (r = 1; r < k->rounds; r++) {
            key = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)k->dec[r]));
            for (j = 0; j < 8; j++) b[j] = _mm512_aesdec_epi128(b[j], key);
        }
        key = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)k->dec[k->rounds]));
        for (j = 0; j < 8; j++) _mm512_storeu_si512(at + 64 * j, _mm512_xor_si512(_mm512_aesdeclast_epi128(b[j], key), before[j]));
    }
    aes_ni_cbc(k, iv, data, blocks);
}
#endif

/* 0 portable, 1 AES-NI, 2 VAES. */
static int aes_best_level(void) {
#ifdef AES_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("pclmul")) return 0;
    if (__builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return 2;
    return 1;
#else
    return 0;
#endif
}

static void aes_blocks(const aes_key *k, uint8_t *data, int64_t blocks, int forward, int level) {
#ifdef AES_X86
    if (level) { aes_ni(k, data, blocks, forward); return; }
#endif
    (void)level;
    aes_plain(k, data, blocks, forward);
}

#endif
