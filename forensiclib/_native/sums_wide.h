/* Digests of 64-bit words: SHA-384/512 (FIPS 180-4), SHA-3 (FIPS 202), BLAKE2b (RFC 7693). Portable C; built
   twice where the processor may have rotates and and-not that leave their operands alone. */
#ifndef FORENSICLIB_SUMS_WIDE_H
#define FORENSICLIB_SUMS_WIDE_H

#include "sums.h"

static const uint64_t sha512_k[80] = {
    0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu, 0x3956c25bf348b538u,
    0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u, 0xd807aa98a3030242u, 0x12835b0145706fbeu,
    0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u, 0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u,
    0xc19bf174cf692694u, 0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
    0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u, 0x983e5152ee66dfabu,
    0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u, 0xc6e00bf33da88fc2u, 0xd5a79147930aa725u,
    0x06ca6351e003826fu, 0x142929670a0e6e70u, 0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu,
    0x53380d139d95b3dfu, 0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
    0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u, 0xd192e819d6ef5218u,
    0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u, 0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u,
    0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u, 0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u,
    0x682e6ff3d6b2b8a3u, 0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
    0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu, 0xca273eceea26619cu,
    0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u, 0x06f067aa72176fbau, 0x0a637dc5a2c898a6u,
    0x113f9804bef90daeu, 0x1b710b35131c471bu, 0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu,
    0x431d67c49c100d4cu, 0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
};

SUMS_INLINE void sha512_rounds(uint64_t *v, const uint8_t *p, size_t blocks) {
    uint64_t w[16], x[8], t, u;
    int i;
    for (; blocks; blocks--, p += 128) {
        for (i = 0; i < 16; i++) w[i] = sums_be64(p + 8 * i);
        memcpy(x, v, sizeof x);
        SUMS_UNROLL(80)
        for (i = 0; i < 80; i++) {
            if (i >= 16) {
                t = w[(i + 1) & 15], u = w[(i + 14) & 15];
                w[i & 15] += (sums_ror64(t, 1) ^ sums_ror64(t, 8) ^ t >> 7) + w[(i + 9) & 15] + (sums_ror64(u, 19) ^ sums_ror64(u, 61) ^ u >> 6);
            }
            /* x[(k - i) & 7] is the word that the standard calls a + k */
#define SHA512_X(k) x[((k) - i) & 7]
            t = SHA512_X(4), u = SHA512_X(0);
            SHA512_X(7) += (sums_ror64(t, 14) ^ sums_ror64(t, 18) ^ sums_ror64(t, 41)) + (((SHA512_X(5) ^ SHA512_X(6)) & t) ^ SHA512_X(6)) + sha512_k[i] + w[i & 15];
            SHA512_X(3) += SHA512_X(7);
            SHA512_X(7) += (sums_ror64(u, 28) ^ sums_ror64(u, 34) ^ sums_ror64(u, 39)) + ((u & SHA512_X(1)) + (SHA512_X(2) & (u ^ SHA512_X(1))));
        }
        for (i = 0; i < 8; i++) v[i] += x[i];
    }
}

static const uint64_t keccak_iota[24] = {
    0x0000000000000001u, 0x0000000000008082u, 0x800000000000808au, 0x8000000080008000u, 0x000000000000808bu, 0x0000000080000001u,
    0x8000000080008081u, 0x8000000000008009u, 0x000000000000008au, 0x0000000000000088u, 0x0000000080008009u, 0x000000008000000au,
    0x000000008000808bu, 0x800000000000008bu, 0x8000000000008089u, 0x8000000000008003u, 0x8000000000008002u, 0x8000000000000080u,
    0x000000000000800au, 0x800000008000000au, 0x8000000080008081u, 0x8000000000008080u, 0x0000000080000001u, 0x8000000080008008u,
};

/* Lane (x, y) of the standard is a[x + 5 y]. rho is the rotation of a lane, pi the place it goes to. */
static const uint8_t keccak_rho[25] = {0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14};

SUMS_INLINE void keccak_f(uint64_t *a) {
    uint64_t b[25], c[5], d;
    int i, x, y;
    for (i = 0; i < 24; i++) {
        SUMS_UNROLL(5)
        for (x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        SUMS_UNROLL(5)
        for (x = 0; x < 5; x++) {
            d = c[(x + 4) % 5] ^ (c[(x + 1) % 5] << 1 | c[(x + 1) % 5] >> 63);
            SUMS_UNROLL(5)
            for (y = 0; y < 5; y++) {
                const int r = keccak_rho[x + 5 * y];
                const uint64_t v = a[x + 5 * y] ^ d;
                b[y + 5 * ((2 * x + 3 * y) % 5)] = r ? v << r | v >> (64 - r) : v;
            }
        }
        SUMS_UNROLL(5)
        for (y = 0; y < 25; y += 5) {
            SUMS_UNROLL(5)
            for (x = 0; x < 5; x++) a[y + x] = b[y + x] ^ (~b[y + (x + 1) % 5] & b[y + (x + 2) % 5]);
        }
        a[0] ^= keccak_iota[i];
    }
}

SUMS_INLINE void sha3_rounds(uint64_t *v, const uint8_t *p, size_t blocks, int rate) {
    uint64_t a[25];
    int i;
    memcpy(a, v, sizeof a);
    for (; blocks; blocks--, p += rate) {
        for (i = 0; i < rate / 8; i++) a[i] ^= sums_le64(p + 8 * i);
        keccak_f(a);
    }
    memcpy(v, a, sizeof a);
}

static const uint64_t sha512_h[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

static const uint8_t blake2b_sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

#define BLAKE2B_G(a, b, c, d, k)                                  \
    do {                                                          \
        x[a] += x[b] + m[blake2b_sigma[r % 10][2 * (k)]];         \
        x[d] = sums_ror64(x[d] ^ x[a], 32);                       \
        x[c] += x[d];                                             \
        x[b] = sums_ror64(x[b] ^ x[c], 24);                       \
        x[a] += x[b] + m[blake2b_sigma[r % 10][2 * (k) + 1]];     \
        x[d] = sums_ror64(x[d] ^ x[a], 16);                       \
        x[c] += x[d];                                             \
        x[b] = sums_ror64(x[b] ^ x[c], 63);                       \
    } while (0)

/* ``count`` is the bytes before the first block; the last block of all says how many of its bytes are real. */
SUMS_INLINE void blake2b_rounds(uint64_t *v, const uint8_t *p, size_t blocks, uint64_t count, int last) {
    uint64_t m[16], x[16];
    int i, r;
    for (; blocks; blocks--, p += 128) {
        count += last >= 0 ? (uint64_t)last : 128;
        for (i = 0; i < 16; i++) m[i] = sums_le64(p + 8 * i);
        for (i = 0; i < 8; i++) x[i] = v[i], x[i + 8] = sha512_h[i];
        x[12] ^= count;
        if (last >= 0) x[14] = ~x[14];
        SUMS_UNROLL(12)
        for (r = 0; r < 12; r++) {
            BLAKE2B_G(0, 4, 8, 12, 0);
            BLAKE2B_G(1, 5, 9, 13, 1);
            BLAKE2B_G(2, 6, 10, 14, 2);
            BLAKE2B_G(3, 7, 11, 15, 3);
            BLAKE2B_G(0, 5, 10, 15, 4);
            BLAKE2B_G(1, 6, 11, 12, 5);
            BLAKE2B_G(2, 7, 8, 13, 6);
            BLAKE2B_G(3, 4, 9, 14, 7);
        }
        for (i = 0; i < 8; i++) v[i] ^= x[i] ^ x[i + 8];
    }
}

/* Each twice: portable, and with BMI2. */
#ifdef SUMS_X86
#define SUMS_TWICE(name, arguments, call)                                    \
    static void name##_plain arguments { call; }                             \
    static SUMS_TARGET("bmi,bmi2") void name##_bmi2 arguments { call; }
#define SUMS_CHOOSE(name, level, ...) ((level) >= SUMS_AVX2 ? name##_bmi2(__VA_ARGS__) : name##_plain(__VA_ARGS__))
#else
#define SUMS_TWICE(name, arguments, call) static void name##_plain arguments { call; }
#define SUMS_CHOOSE(name, level, ...) ((void)(level), name##_plain(__VA_ARGS__))
#endif

static void sha512_words(uint64_t *v, const uint8_t *p, size_t n) {
    sha512_rounds(v, p, n);
}

SUMS_TWICE(sha3_blocks, (uint64_t *v, const uint8_t *p, size_t n, int rate), sha3_rounds(v, p, n, rate))
SUMS_TWICE(blake2b_blocks, (uint64_t *v, const uint8_t *p, size_t n, uint64_t count), blake2b_rounds(v, p, n, count, -1))

static void blake2b_last(uint64_t *v, const uint8_t *p, uint64_t count, int last) {
    blake2b_rounds(v, p, 1, count, last);
}

#ifdef SUMS_X86
/* SHA-512 with its message schedule in vector registers, two words each: the scalar units keep the rounds alone. The words of the
   next sixteen rounds are made while these sixteen run. */
#define SHA512_ROUND(k)                                                                                                       \
    do {                                                                                                                      \
        t = x[(12 - (k)) & 7], u = x[(8 - (k)) & 7], both = u ^ x[(9 - (k)) & 7];                                             \
        x[(15 - (k)) & 7] += wk[k] + (x[(14 - (k)) & 7] ^ (t & (x[(13 - (k)) & 7] ^ x[(14 - (k)) & 7])));                     \
        x[(15 - (k)) & 7] += sums_ror64(t, 14) ^ sums_ror64(t, 18) ^ sums_ror64(t, 41);                                       \
        x[(11 - (k)) & 7] += x[(15 - (k)) & 7];                                                                               \
        x[(15 - (k)) & 7] += (sums_ror64(u, 28) ^ sums_ror64(u, 34) ^ sums_ror64(u, 39)) + (x[(9 - (k)) & 7] ^ (both & same)); \
        same = both;                                                                                                          \
    } while (0)

#define SHA512_VECTOR(name, targets, ROR)                                                                                     \
    static SUMS_TARGET(targets) void name(uint64_t *v, const uint8_t *p, size_t blocks) {                                     \
        const __m128i swap = _mm_set_epi64x(0x08090a0b0c0d0e0fLL, 0x0001020304050607LL);                                      \
        uint64_t wk[16], x[8], t, u, both, same;                                                                              \
        __m128i w[8], a, b;                                                                                                   \
        int i, r;                                                                                                             \
        for (; blocks; blocks--, p += 128) {                                                                                  \
            SUMS_UNROLL(8)                                                                                                    \
            for (i = 0; i < 8; i++) {                                                                                         \
                w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);                                \
                _mm_storeu_si128((__m128i *)(wk + 2 * i), _mm_add_epi64(w[i], _mm_loadu_si128((const __m128i *)(sha512_k + 2 * i)))); \
            }                                                                                                                 \
            memcpy(x, v, sizeof x);                                                                                           \
            same = x[1] ^ x[2];                                                                                               \
            for (r = 16; r <= 80; r += 16) {                                                                                  \
                SUMS_UNROLL(8)                                                                                                \
                for (i = 0; i < 8; i++) {                                                                                     \
                    SHA512_ROUND(2 * i);                                                                                      \
                    SHA512_ROUND(2 * i + 1);                                                                                  \
                    if (r < 80) {                                                                                             \
                        a = _mm_alignr_epi8(w[(i + 1) & 7], w[i], 8), b = w[(i + 7) & 7];                                     \
                        a = _mm_xor_si128(_mm_xor_si128(ROR(a, 1), ROR(a, 8)), _mm_srli_epi64(a, 7));                         \
                        b = _mm_xor_si128(_mm_xor_si128(ROR(b, 19), ROR(b, 61)), _mm_srli_epi64(b, 6));                       \
                        a = _mm_add_epi64(a, _mm_alignr_epi8(w[(i + 5) & 7], w[(i + 4) & 7], 8));                             \
                        w[i] = _mm_add_epi64(_mm_add_epi64(w[i], a), b);                                                      \
                        _mm_storeu_si128((__m128i *)(wk + 2 * i),                                                             \
                            _mm_add_epi64(w[i], _mm_loadu_si128((const __m128i *)(sha512_k + r + 2 * i))));                   \
                    }                                                                                                         \
                }                                                                                                             \
            }                                                                                                                 \
            for (i = 0; i < 8; i++) v[i] += x[i];                                                                             \
        }                                                                                                                     \
    }

#define SHA512_ROR(x, n) _mm_or_si128(_mm_srli_epi64(x, n), _mm_slli_epi64(x, 64 - (n)))
SHA512_VECTOR(sha512_avx2, "avx2,bmi,bmi2", SHA512_ROR)
SHA512_VECTOR(sha512_avx512, "avx2,bmi,bmi2,avx512f,avx512vl", _mm_ror_epi64)
#endif

static void sha512_blocks(uint64_t *v, const uint8_t *p, size_t n, int level) {
#ifdef SUMS_X86
    if (level >= SUMS_AVX2) {
        if (level >= SUMS_AVX512) sha512_avx512(v, p, n);
        else sha512_avx2(v, p, n);
        return;
    }
#endif
    (void)level;
    sha512_words(v, p, n);
}

#endif
