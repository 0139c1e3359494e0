/* The inner loop of PBKDF2 (RFC 8018) for many chains at once: u = HMAC(key, u), t ^= u. SHA-1, SHA-256 and SHA-512 (FIPS 180-4), RIPEMD-160
   and BLAKE2s-256 (RFC 7693) have one chain in each lane of a vector; Whirlpool and Streebog, which live on tables, one after the other. */
#ifndef FORENSICLIB_STRETCH_H
#define FORENSICLIB_STRETCH_H

#include "oldhash.h"
#include "sums_wide.h"

#if defined(__GNUC__)
#define STRETCH_INLINE static inline __attribute__((always_inline))
enum { STRETCH_W = 16, STRETCH_D = 8 };
typedef uint32_t stretch_w __attribute__((vector_size(64)));
typedef uint64_t stretch_d __attribute__((vector_size(64)));
#else
#define STRETCH_INLINE SUMS_INLINE
enum { STRETCH_W = 1, STRETCH_D = 1 };
typedef uint32_t stretch_w;
typedef uint64_t stretch_d;
#endif

enum { STRETCH_SHA1, STRETCH_SHA256, STRETCH_RIPEMD160, STRETCH_BLAKE2S, STRETCH_SHA512, STRETCH_WHIRLPOOL, STRETCH_STREEBOG512 };
static const int stretch_sizes[7] = {20, 32, 20, 32, 64, 64, 64};

#define STRETCH_ROR32(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define STRETCH_ROR64(x, n) ((x) >> (n) | (x) << (64 - (n)))

/* SHA-256 and SHA-512 differ in width, rotations and rounds. x[(k - i) & 7] is the word that the standard calls a + k. */
#define STRETCH_SHA2(NAME, V, ROR, ROUNDS, K, E1, E2, E3, A1, A2, A3, L1, L2, L3, H1, H2, H3)                                                  \
    STRETCH_INLINE void NAME(V *s, V *w) {                                                                                                      \
        V x[8], t, u;                                                                                                                           \
        int i;                                                                                                                                  \
        for (i = 0; i < 8; i++) x[i] = s[i];                                                                                                    \
        SUMS_UNROLL(80)                                                                                                                         \
        for (i = 0; i < ROUNDS; i++) {                                                                                                          \
            if (i >= 16) {                                                                                                                      \
                t = w[(i + 1) & 15], u = w[(i + 14) & 15];                                                                                      \
                w[i & 15] += (ROR(t, L1) ^ ROR(t, L2) ^ t >> L3) + w[(i + 9) & 15] + (ROR(u, H1) ^ ROR(u, H2) ^ u >> H3);                       \
            }                                                                                                                                   \
            t = x[(4 - i) & 7], u = x[(0 - i) & 7];                                                                                             \
            x[(7 - i) & 7] += (ROR(t, E1) ^ ROR(t, E2) ^ ROR(t, E3)) + (((x[(5 - i) & 7] ^ x[(6 - i) & 7]) & t) ^ x[(6 - i) & 7]) + w[i & 15]   \
                              + K(i);                                                                                                           \
            x[(3 - i) & 7] += x[(7 - i) & 7];                                                                                                   \
            x[(7 - i) & 7] += (ROR(u, A1) ^ ROR(u, A2) ^ ROR(u, A3)) + ((u & x[(1 - i) & 7]) ^ (x[(2 - i) & 7] & (u ^ x[(1 - i) & 7])));        \
        }                                                                                                                                       \
        for (i = 0; i < 8; i++) s[i] += x[i];                                                                                                   \
    }
#define STRETCH_K32(i) (uint32_t)(sha512_k[i] >> 32)
#define STRETCH_K64(i) sha512_k[i]
STRETCH_SHA2(stretch_sha256, stretch_w, STRETCH_ROR32, 64, STRETCH_K32, 6, 11, 25, 2, 13, 22, 7, 18, 3, 17, 19, 10)
STRETCH_SHA2(stretch_sha512, stretch_d, STRETCH_ROR64, 80, STRETCH_K64, 14, 18, 41, 28, 34, 39, 1, 8, 7, 19, 61, 6)

STRETCH_INLINE void stretch_sha1(stretch_w *s, stretch_w *w) {
    stretch_w x[5], f, t;
    int i;
    for (i = 0; i < 5; i++) x[i] = s[i];
    SUMS_UNROLL(80)
    for (i = 0; i < 80; i++) {              /* x[(k - i) mod 5] is the word that the standard calls a + k */
        stretch_w *a = &x[(400 - i) % 5], *b = &x[(401 - i) % 5], *c = &x[(402 - i) % 5], *d = &x[(403 - i) % 5], *e = &x[(404 - i) % 5];
        if (i >= 16) {
            t = w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15];
            w[i & 15] = STRETCH_ROR32(t, 31);
        }
        if (i < 20) f = ((*c ^ *d) & *b) ^ *d;
        else if (i >= 40 && i < 60) f = (*b & *c) ^ (*d & (*b ^ *c));
        else f = *b ^ *c ^ *d;
        *e += STRETCH_ROR32(*a, 27) + f + w[i & 15] + (i < 20 ? 0x5a827999u : i < 40 ? 0x6ed9eba1u : i < 60 ? 0x8f1bbcdcu : 0xca62c1d6u);
        *b = STRETCH_ROR32(*b, 2);
    }
    for (i = 0; i < 5; i++) s[i] += x[i];
}

STRETCH_INLINE void stretch_ripemd160(stretch_w *s, const stretch_w *w) {
    stretch_w x[2][5], f, t;
    int i, j;
    for (i = 0; i < 5; i++) x[0][i] = x[1][i] = s[i];
    SUMS_UNROLL(80)
    for (i = 0; i < 80; i++) {
        SUMS_UNROLL(2)
        for (j = 0; j < 2; j++) {
            stretch_w *a = &x[j][(400 - i) % 5], *b = &x[j][(401 - i) % 5], *c = &x[j][(402 - i) % 5], *d = &x[j][(403 - i) % 5],
                      *e = &x[j][(404 - i) % 5];
            const int kind = j ? 4 - i / 16 : i / 16;
            if (kind == 0) f = *b ^ *c ^ *d;
            else if (kind == 1) f = ((*c ^ *d) & *b) ^ *d;
            else if (kind == 2) f = (*b | ~*c) ^ *d;
            else if (kind == 3) f = ((*b ^ *c) & *d) ^ *c;
            else f = *b ^ (*c | ~*d);
            t = *a + f + w[ripemd_r[j][i]] + ripemd_c[j][i / 16];
            *a = STRETCH_ROR32(t, 32 - ripemd_s[j][i]) + *e;
            *c = STRETCH_ROR32(*c, 22);
        }
    }
    /* After 80 steps the names have turned full circle: 80 is a multiple of 5. */
    t = s[1] + x[0][2] + x[1][3];
    s[1] = s[2] + x[0][3] + x[1][4];
    s[2] = s[3] + x[0][4] + x[1][0];
    s[3] = s[4] + x[0][0] + x[1][1];
    s[4] = s[0] + x[0][1] + x[1][2];
    s[0] = t;
}

#define STRETCH_G(a, b, c, d, k)                             \
    do {                                                     \
        x[a] += x[b] + w[blake2b_sigma[r][2 * (k)]];         \
        x[d] = STRETCH_ROR32(x[d] ^ x[a], 16);               \
        x[c] += x[d];                                        \
        x[b] = STRETCH_ROR32(x[b] ^ x[c], 12);               \
        x[a] += x[b] + w[blake2b_sigma[r][2 * (k) + 1]];     \
        x[d] = STRETCH_ROR32(x[d] ^ x[a], 8);                \
        x[c] += x[d];                                        \
        x[b] = STRETCH_ROR32(x[b] ^ x[c], 7);                \
    } while (0)

/* ``bytes``: of the message so far, this block included; RFC 7693, 3.2. */
STRETCH_INLINE void stretch_blake2s(stretch_w *s, const stretch_w *w, uint32_t bytes, int last) {
    stretch_w x[16];
    int i, r;
    for (i = 0; i < 8; i++) {
        x[i] = s[i];
        x[8 + i] = s[i] - s[i] + (uint32_t)(sha512_h[i] >> 32);
    }
    x[12] ^= bytes;
    if (last) x[14] = ~x[14];
    SUMS_UNROLL(10)
    for (r = 0; r < 10; r++) {
        STRETCH_G(0, 4, 8, 12, 0); STRETCH_G(1, 5, 9, 13, 1); STRETCH_G(2, 6, 10, 14, 2); STRETCH_G(3, 7, 11, 15, 3);
        STRETCH_G(0, 5, 10, 15, 4); STRETCH_G(1, 6, 11, 12, 5); STRETCH_G(2, 7, 8, 13, 6); STRETCH_G(3, 4, 9, 14, 7);
    }
    for (i = 0; i < 8; i++) s[i] ^= x[i] ^ x[8 + i];
}

/* One block: the pad (``first``), or the digest behind it. */
STRETCH_INLINE void stretch_mix(int kind, stretch_w *s, stretch_w *w, int first) {
    if (kind == STRETCH_SHA1) stretch_sha1(s, w);
    else if (kind == STRETCH_SHA256) stretch_sha256(s, w);
    else if (kind == STRETCH_RIPEMD160) stretch_ripemd160(s, w);
    else stretch_blake2s(s, w, first ? 64 : 96, !first);
}

static void stretch_start(int kind, uint32_t *h) {
    static const uint32_t five[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    int i;
    for (i = 0; i < 8; i++) h[i] = kind == STRETCH_SHA256 || kind == STRETCH_BLAKE2S ? (uint32_t)(sha512_h[i] >> 32) : i < 5 ? five[i] : 0;
    if (kind == STRETCH_BLAKE2S) h[0] ^= 0x01010020u;
}

STRETCH_INLINE uint32_t stretch_get(const uint8_t *p, int little) {
    return little ? p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24
                  : p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

/* At most STRETCH_W chains of 32-bit words; ``key`` is one block. */
STRETCH_INLINE void stretch_words(int kind, const uint8_t *key, uint8_t *chains, int n, int64_t rounds) {
    const int words = stretch_sizes[kind] / 4, little = kind == STRETCH_RIPEMD160 || kind == STRETCH_BLAKE2S;
    stretch_w mid[2][8], u[8], t[8], s[8], w[16];
    uint32_t lanes[2][8][STRETCH_W], h[8];
    int half, i, j;
    int64_t r;
    memset(lanes, 0, sizeof lanes);
    for (j = 0; j < n; j++)
        for (i = 0; i < 2 * words; i++) lanes[i / words][i % words][j] = stretch_get(chains + 4 * (2 * words * j + i), little);
    memcpy(u, lanes[0], sizeof u);
    memcpy(t, lanes[1], sizeof t);
    stretch_start(kind, h);
    for (half = 0; half < 2; half++) {
        for (i = 0; i < 8; i++) mid[half][i] = u[0] - u[0] + h[i];
        for (i = 0; i < 16; i++) w[i] = u[0] - u[0] + (stretch_get(key + 4 * i, little) ^ (half ? 0x5c5c5c5cu : 0x36363636u));
        stretch_mix(kind, mid[half], w, 1);
    }
    for (r = 0; r < rounds; r++) {
        for (i = 0; i < words; i++) s[i] = u[i];
        for (half = 0; half < 2; half++) {
            for (i = 0; i < 16; i++) w[i] = i < words ? s[i] : u[0] - u[0];
            if (kind != STRETCH_BLAKE2S) w[words] += little ? 0x80u : 0x80000000u;
            if (kind != STRETCH_BLAKE2S) w[little ? 14 : 15] += (uint32_t)(8 * (64 + 4 * words));
            for (i = 0; i < 8; i++) s[i] = mid[half][i];
            stretch_mix(kind, s, w, 0);
        }
        for (i = 0; i < words; i++) {
            u[i] = s[i];
            t[i] ^= s[i];
        }
    }
    memcpy(lanes[0], u, sizeof u);
    memcpy(lanes[1], t, sizeof t);
    for (j = 0; j < n; j++)
        for (i = 0; i < 2 * words; i++) {
            uint8_t *p = chains + 4 * (2 * words * j + i);
            uint32_t v = lanes[i / words][i % words][j];
            int b;
            for (b = 0; b < 4; b++) p[little ? b : 3 - b] = (uint8_t)(v >> (8 * b));
        }
}

/* At most STRETCH_D chains of SHA-512; ``key`` is one block of 128 bytes. */
STRETCH_INLINE void stretch_wide(const uint8_t *key, uint8_t *chains, int n, int64_t rounds) {
    stretch_d mid[2][8], u[8], t[8], s[8], w[16];
    uint64_t lanes[2][8][STRETCH_D];
    int half, i, j;
    int64_t r;
    memset(lanes, 0, sizeof lanes);
    for (j = 0; j < n; j++)
        for (i = 0; i < 16; i++) lanes[i / 8][i % 8][j] = sums_be64(chains + 8 * (16 * j + i));
    memcpy(u, lanes[0], sizeof u);
    memcpy(t, lanes[1], sizeof t);
    for (half = 0; half < 2; half++) {
        for (i = 0; i < 8; i++) mid[half][i] = u[0] - u[0] + sha512_h[i];
        for (i = 0; i < 16; i++) w[i] = u[0] - u[0] + (sums_be64(key + 8 * i) ^ (half ? 0x5c5c5c5c5c5c5c5cu : 0x3636363636363636u));
        stretch_sha512(mid[half], w);
    }
    for (r = 0; r < rounds; r++) {
        for (i = 0; i < 8; i++) s[i] = u[i];
        for (half = 0; half < 2; half++) {
            for (i = 0; i < 16; i++) w[i] = i < 8 ? s[i] : u[0] - u[0];
            w[8] += 0x8000000000000000u;
            w[15] += 8 * (128 + 64);
            for (i = 0; i < 8; i++) s[i] = mid[half][i];
            stretch_sha512(s, w);
        }
        for (i = 0; i < 8; i++) {
            u[i] = s[i];
            t[i] ^= s[i];
        }
    }
    memcpy(lanes[0], u, sizeof u);
    memcpy(lanes[1], t, sizeof t);
    for (j = 0; j < n; j++)
        for (i = 0; i < 16; i++) {
            uint8_t *p = chains + 8 * (16 * j + i);
            uint64_t v = lanes[i / 8][i % 8][j];
            int b;
            for (b = 0; b < 8; b++) p[7 - b] = (uint8_t)(v >> (8 * b));
        }
}

#define STRETCH_LEVEL(NAME, TARGET)                                                                                \
    TARGET static void NAME(int kind, const uint8_t *key, uint8_t *chains, int n, int64_t rounds) {                \
        switch (kind) {                                                                                            \
        case STRETCH_SHA1: stretch_words(STRETCH_SHA1, key, chains, n, rounds); break;                             \
        case STRETCH_SHA256: stretch_words(STRETCH_SHA256, key, chains, n, rounds); break;                         \
        case STRETCH_RIPEMD160: stretch_words(STRETCH_RIPEMD160, key, chains, n, rounds); break;                   \
        case STRETCH_BLAKE2S: stretch_words(STRETCH_BLAKE2S, key, chains, n, rounds); break;                       \
        default: stretch_wide(key, chains, n, rounds);                                                             \
        }                                                                                                          \
    }
STRETCH_LEVEL(stretch_portable, )
#if defined(SUMS_X86)
STRETCH_LEVEL(stretch_avx2, SUMS_TARGET("avx2"))
STRETCH_LEVEL(stretch_avx512, SUMS_TARGET("avx512f,avx512bw,avx512vl,avx512dq"))
#endif

static int stretch_best_level(void) {
#if defined(SUMS_X86)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq")) return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}

static void stretch_tables(int kind, const uint8_t *key, uint8_t *chains, int64_t count, int64_t rounds) {
    old_state mid[2], s;
    uint8_t pad[64], d[64];
    int half, i;
    int64_t r;
    for (half = 0; half < 2; half++) {
        for (i = 0; i < 64; i++) pad[i] = key[i] ^ (half ? 0x5c : 0x36);
        old_open(kind, &mid[half]);
        old_block(kind, &mid[half], pad);
    }
    for (; count > 0; count--, chains += 128) {
        memcpy(d, chains, 64);
        for (r = 0; r < rounds; r++) {
            for (half = 0; half < 2; half++) {
                s = mid[half];
                old_close(kind, &s, d, 64, d);
            }
            for (i = 0; i < 64; i++) chains[64 + i] ^= d[i];
        }
        memcpy(chains, d, 64);
    }
}

/* ``count`` chains of 2 * stretch_sizes[kind] bytes each. */
static void stretch_run(int kind, const uint8_t *key, uint8_t *chains, int64_t count, int64_t rounds, int level) {
    const int most = kind == STRETCH_SHA512 ? STRETCH_D : STRETCH_W;
    if (kind >= STRETCH_WHIRLPOOL) {
        stretch_tables(kind == STRETCH_WHIRLPOOL ? OLD_WHIRLPOOL : OLD_STREEBOG512, key, chains, count, rounds);
        return;
    }
    while (count > 0) {
        const int n = count < most ? (int)count : most;
#if defined(SUMS_X86)
        if (level == 2) stretch_avx512(kind, key, chains, n, rounds);
        else if (level == 1) stretch_avx2(kind, key, chains, n, rounds);
        else
#endif
        stretch_portable(kind, key, chains, n, rounds);
        count -= n;
        chains += (int64_t)n * 2 * stretch_sizes[kind];
    }
    (void)level;
}

#endif
