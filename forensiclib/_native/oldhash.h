/* Whirlpool (ISO/IEC 10118-3, 2004), RIPEMD-160 and Streebog-512 (GOST R 34.11-2012, RFC 6986), which OpenSSL has not, no longer has or may
   lack, and PBKDF2-HMAC (RFC 8018) over them. */
#ifndef FORENSICLIB_OLDHASH_H
#define FORENSICLIB_OLDHASH_H

#include <stdint.h>
#include <string.h>
#include "sums.h"

enum { OLD_WHIRLPOOL, OLD_RIPEMD160, OLD_STREEBOG512 };

typedef struct { uint64_t w[8], sum[8]; uint32_t r[5]; uint64_t bytes; } old_state;

static uint64_t WHIRLPOOL_T[8][256], WHIRLPOOL_RC[10];     /* filled once, when the module is loaded */

static uint8_t whirlpool_times(unsigned a, unsigned b) {
    unsigned out = 0;
    for (; b; b >>= 1, a = a << 1 ^ (a >> 7 & 1) * 0x11D)
        if (b & 1) out ^= a;
    return (uint8_t)out;
}

static void streebog_init(void);

static void oldhash_init(void) {
    static const uint8_t e[16] = {1, 11, 9, 12, 13, 6, 15, 3, 14, 8, 7, 4, 10, 2, 5, 0};
    static const uint8_t mix[16] = {7, 12, 11, 13, 14, 4, 9, 15, 6, 3, 8, 10, 2, 5, 1, 0};
    static const uint8_t row[8] = {1, 1, 4, 1, 8, 5, 2, 9};
    uint8_t back[16], s[256];
    int x, j, k;
    for (x = 0; x < 16; x++) back[e[x]] = (uint8_t)x;
    for (x = 0; x < 256; x++) {
        int u = e[x >> 4], l = back[x & 15], r = mix[u ^ l];
        s[x] = (uint8_t)(e[u ^ r] << 4 | back[l ^ r]);
    }
    for (x = 0; x < 256; x++) {
        uint64_t v = 0;
        for (j = 0; j < 8; j++) v = v << 8 | whirlpool_times(s[x], row[j]);
        for (k = 0; k < 8; k++) WHIRLPOOL_T[k][x] = k ? v >> (8 * k) | v << (64 - 8 * k) : v;
    }
    for (k = 0; k < 10; k++)
        for (WHIRLPOOL_RC[k] = 0, j = 0; j < 8; j++) WHIRLPOOL_RC[k] = WHIRLPOOL_RC[k] << 8 | s[8 * k + j];
    streebog_init();
}

static void whirlpool_round(uint64_t *a) {
    uint64_t b[8];
    int i, k;
    SUMS_UNROLL(8)
    for (i = 0; i < 8; i++) {
        b[i] = 0;
        SUMS_UNROLL(8)
        for (k = 0; k < 8; k++) b[i] ^= WHIRLPOOL_T[k][a[(i - k) & 7] >> (56 - 8 * k) & 255];
    }
    memcpy(a, b, sizeof b);
}

static void whirlpool_block(uint64_t *h, const uint8_t *p) {
    uint64_t m[8], k[8], a[8];
    int i, j;
    for (i = 0; i < 8; i++) {
        for (m[i] = 0, j = 0; j < 8; j++) m[i] = m[i] << 8 | p[8 * i + j];
        k[i] = h[i];
        a[i] = m[i] ^ k[i];
    }
    for (i = 0; i < 10; i++) {
        whirlpool_round(k);
        k[0] ^= WHIRLPOOL_RC[i];
        whirlpool_round(a);
        for (j = 0; j < 8; j++) a[j] ^= k[j];
    }
    for (i = 0; i < 8; i++) h[i] ^= a[i] ^ m[i];
}

static uint32_t ripemd_rol(uint32_t v, int n) { return v << n | v >> (32 - n); }

static uint32_t ripemd_f(int which, uint32_t x, uint32_t y, uint32_t z) {
    switch (which) {
    case 0: return x ^ y ^ z;
    case 1: return (x & y) | (~x & z);
    case 2: return (x | ~y) ^ z;
    case 3: return (x & z) | (y & ~z);
    default: return x ^ (y | ~z);
    }
}

static const uint8_t ripemd_r[2][80] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8, 3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6,
     13, 11, 5, 12, 1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2, 4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13},
    {5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12, 6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2, 15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2,
     10, 0, 4, 13, 8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14, 12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11}};
static const uint8_t ripemd_s[2][80] = {
    {11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8, 7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12, 11, 13, 6, 7, 14, 9, 13, 15, 14, 8,
     13, 6, 5, 12, 7, 5, 11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12, 9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6},
    {8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6, 9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11, 9, 7, 15, 11, 8, 6, 6, 14, 12, 13,
     5, 14, 13, 13, 7, 5, 15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8, 8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11}};
static const uint32_t ripemd_c[2][5] = {{0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E}, {0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0}};

static void ripemd_block(uint32_t *h, const uint8_t *p) {
    uint32_t m[16], v[2][5], t;
    int i, j;
    for (i = 0; i < 16; i++) m[i] = p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
    for (j = 0; j < 2; j++) {
        uint32_t *a = v[j];
        memcpy(a, h, 20);
        for (i = 0; i < 80; i++) {
            t = ripemd_rol(a[0] + ripemd_f(j ? 4 - i / 16 : i / 16, a[1], a[2], a[3]) + m[ripemd_r[j][i]] + ripemd_c[j][i / 16], ripemd_s[j][i]) + a[4];
            a[0] = a[4]; a[4] = a[3]; a[3] = ripemd_rol(a[2], 10); a[2] = a[1]; a[1] = t;
        }
    }
    t = h[1] + v[0][2] + v[1][3];
    h[1] = h[2] + v[0][3] + v[1][4];
    h[2] = h[3] + v[0][4] + v[1][0];
    h[3] = h[4] + v[0][0] + v[1][1];
    h[4] = h[0] + v[0][1] + v[1][2];
    h[0] = t;
}

static const uint8_t streebog_pi[256] = {
    252, 238, 221, 17, 207, 110, 49, 22, 251, 196, 250, 218, 35, 197, 4, 77, 233, 119, 240, 219, 147, 46, 153, 186, 23, 54, 241, 187, 20, 205, 95, 193,
    249, 24, 101, 90, 226, 92, 239, 33, 129, 28, 60, 66, 139, 1, 142, 79, 5, 132, 2, 174, 227, 106, 143, 160, 6, 11, 237, 152, 127, 212, 211, 31,
    235, 52, 44, 81, 234, 200, 72, 171, 242, 42, 104, 162, 253, 58, 206, 204, 181, 112, 14, 86, 8, 12, 118, 18, 191, 114, 19, 71, 156, 183, 93, 135,
    21, 161, 150, 41, 16, 123, 154, 199, 243, 145, 120, 111, 157, 158, 178, 177, 50, 117, 25, 61, 255, 53, 138, 126, 109, 84, 198, 128, 195, 189, 13, 87,
    223, 245, 36, 169, 62, 168, 67, 201, 215, 121, 214, 246, 124, 34, 185, 3, 224, 15, 236, 222, 122, 148, 176, 188, 220, 232, 40, 80, 78, 51, 10, 74,
    167, 151, 96, 115, 30, 0, 98, 68, 26, 184, 56, 130, 100, 159, 38, 65, 173, 69, 70, 146, 39, 94, 85, 47, 140, 163, 165, 125, 105, 213, 149, 59,
    7, 88, 179, 64, 134, 172, 29, 247, 48, 55, 107, 228, 136, 217, 231, 137, 225, 27, 131, 73, 76, 63, 248, 254, 141, 83, 170, 144, 202, 216, 133, 97,
    32, 113, 103, 164, 45, 43, 9, 91, 203, 155, 37, 208, 190, 229, 108, 82, 89, 166, 116, 210, 230, 244, 180, 192, 209, 102, 175, 194, 57, 75, 99, 182,
};
static const uint64_t streebog_c[12][8] = {                /* words little-endian: the last of the standard's digits first */
    {0xdd806559f2a64507u, 0x05767436cc744d23u, 0xa2422a08a460d315u, 0x4b7ce09192676901u,
     0x714eb88d7585c4fcu, 0x2f6a76432e45d016u, 0xebcb2f81c0657c1fu, 0xb1085bda1ecadae9u},
    {0xe679047021b19bb7u, 0x55dda21bd7cbcd56u, 0x5cb561c2db0aa7cau, 0x9ab5176b12d69958u,
     0x61d55e0f16b50131u, 0xf3feea720a232b98u, 0x4fe39d460f70b5d7u, 0x6fa3b58aa99d2f1au},
    {0x991e96f50aba0ab2u, 0xc2b6f443867adb31u, 0xc1c93a376062db09u, 0xd3e20fe490359eb1u,
     0xf2ea7514b1297b7bu, 0x06f15e5f529c1f8bu, 0x0a39fc286a3d8435u, 0xf574dcac2bce2fc7u},
    {0x220cbebc84e3d12eu, 0x3453eaa193e837f1u, 0xd8b71333935203beu, 0xa9d72c82ed03d675u,
     0x9d721cad685e353fu, 0x488e857e335c3c7du, 0xf948e1a05d71e4ddu, 0xef1fdfb3e81566d2u},
    {0x601758fd7c6cfe57u, 0x7a56a27ea9ea63f5u, 0xdfff00b723271a16u, 0xbfcd1747253af5a3u,
     0x359e35d7800fffbdu, 0x7f151c1f1686104au, 0x9a3f410c6ca92363u, 0x4bea6bacad474799u},
    {0xfa68407a46647d6eu, 0xbf71c57236904f35u, 0x0af21f66c2bec6b6u, 0xcffaa6b71c9ab7b4u,
     0x187f9ab49af08ec6u, 0x2d66c4f95142a46cu, 0x6fa4c33b7a3039c0u, 0xae4faeae1d3ad3d9u},
    {0x8886564d3a14d493u, 0x3517454ca23c4af3u, 0x06476983284a0504u, 0x0992abc52d822c37u,
     0xd3473e33197a93c9u, 0x399ec6c7e6bf87c9u, 0x51ac86febf240954u, 0xf4c70e16eeaac5ecu},
    {0xa47f0dd4bf02e71eu, 0x36acc2355951a8d9u, 0x69d18d2bd1a5c42fu, 0xf4892bcb929b0690u,
     0x89b4443b4ddbc49au, 0x4eb7f8719c36de1eu, 0x03e7aa020c6e4141u, 0x9b1f5b424d93c9a7u},
    {0x7261445183235adbu, 0x0e38dc92cb1f2a60u, 0x7b2b8a9aa6079c54u, 0x800a440bdbb2ceb1u,
     0x3cd955b7e00d0984u, 0x3a7d3a1b25894224u, 0x944c9ad8ec165fdeu, 0x378f5a541631229bu},
    {0x74b4c7fb98459cedu, 0x3698fad1153bb6c3u, 0x7a1e6c303b7652f4u, 0x9fe76702af69334bu,
     0x1fffe18a1b336103u, 0x8941e71cff8a78dbu, 0x382ae548b2e4f3f3u, 0xabbedea680056f52u},
    {0x6bcaa4cd81f32d1bu, 0xdea2594ac06fd85du, 0xefbacd1d7d476e98u, 0x8a1d71efea48b9cau,
     0x2001802114846679u, 0xd8fa6bbbebab0761u, 0x3002c6cd635afe94u, 0x7bcd9ed0efc889fbu},
    {0x48bc924af11bd720u, 0xfaf417d5d9b21b99u, 0xe71da4aa88e12852u, 0x5d80ef9d1891cc86u,
     0xf82012d430219f9bu, 0xcda43c32bcdf1d77u, 0xd21380b00449b17au, 0x378ee767f11631bau},
};
static uint64_t STREEBOG_T[8][256];                        /* the substitution and the linear transformation in one look-up */

/* The matrix of the standard is 8 x 8 bytes over x^8 + x^4 + x^3 + x^2 + 1: its rows for the lowest bit of each byte are enough. */
static void streebog_init(void) {
    static const uint64_t rows[8] = {0x641c314b2b8ee083u, 0xa48b474f9ef5dc18u, 0xf97d86d98a327728u, 0x5b068c651810a89eu,
                                     0x0321658cba93c138u, 0xaccc9ca9328a8950u, 0x46b60f011a83988eu, 0x83478b07b2468764u};
    int r, x, b;
    for (r = 0; r < 8; r++) {
        uint64_t bit[8];
        for (b = 0, bit[0] = rows[r]; b < 7; b++)
            bit[b + 1] = (bit[b] & 0x7f7f7f7f7f7f7f7fu) << 1 ^ (bit[b] >> 7 & 0x0101010101010101u) * 0x1d;
        for (x = 0; x < 256; x++)
            for (STREEBOG_T[r][x] = 0, b = 0; b < 8; b++)
                if (streebog_pi[x] >> b & 1) STREEBOG_T[r][x] ^= bit[b];
    }
}

static void streebog_lps(uint64_t *out, const uint64_t *a, const uint64_t *b) {
    uint64_t x[8];
    int i, r;
    for (r = 0; r < 8; r++) x[r] = a[r] ^ b[r];
    SUMS_UNROLL(8)
    for (i = 0; i < 8; i++) {
        uint64_t v = 0;
        SUMS_UNROLL(8)
        for (r = 0; r < 8; r++) v ^= STREEBOG_T[r][x[r] >> (8 * i) & 255];
        out[i] = v;
    }
}

/* The compression of 64 bytes, ``bits`` before them. */
static void streebog_mix(uint64_t *h, const uint64_t *m, uint64_t bits) {
    uint64_t n[8] = {0}, k[8], a[8];
    int i;
    n[0] = bits;
    streebog_lps(k, h, n);
    memcpy(a, m, sizeof a);
    for (i = 0; i < 12; i++) {
        streebog_lps(a, a, k);
        streebog_lps(k, k, streebog_c[i]);
    }
    for (i = 0; i < 8; i++) h[i] ^= a[i] ^ k[i] ^ m[i];
}

static void streebog_block(old_state *s, const uint8_t *p, uint64_t bits) {
    uint64_t m[8], carry = 0;
    int i, j;
    for (i = 0; i < 8; i++) {
        uint64_t was = s->sum[i];
        for (m[i] = 0, j = 7; j >= 0; j--) m[i] = m[i] << 8 | p[8 * i + j];
        s->sum[i] = was + m[i] + carry;
        carry = carry ? s->sum[i] <= was : s->sum[i] < was;
    }
    streebog_mix(s->w, m, bits);
}

static void streebog_close(old_state *s, const uint8_t *p, int64_t n, uint8_t *out) {
    uint64_t total[8] = {0};
    uint8_t tail[64] = {0};
    int i;
    if (n) memcpy(tail, p, (size_t)n);
    tail[n] = 1;
    total[0] = (s->bytes + (uint64_t)n) * 8;
    streebog_block(s, tail, s->bytes * 8);
    streebog_mix(s->w, total, 0);
    streebog_mix(s->w, s->sum, 0);
    for (i = 0; i < 64; i++) out[i] = (uint8_t)(s->w[i / 8] >> (8 * (i % 8)));
}

static void old_open(int kind, old_state *s) {
    static const uint32_t start[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    (void)kind;
    memset(s, 0, sizeof *s);
    memcpy(s->r, start, sizeof start);
}

static void old_block(int kind, old_state *s, const uint8_t *p) {
    if (kind == OLD_WHIRLPOOL) whirlpool_block(s->w, p);
    else if (kind == OLD_STREEBOG512) streebog_block(s, p, s->bytes * 8);
    else ripemd_block(s->r, p);
    s->bytes += 64;
}

static int old_size(int kind) { return kind == OLD_RIPEMD160 ? 20 : 64; }

/* Whole blocks, then the rest with its padding; the state is used up. */
static void old_close(int kind, old_state *s, const uint8_t *p, int64_t n, uint8_t *out) {
    uint8_t tail[128] = {0};
    int64_t i, need = kind == OLD_WHIRLPOOL ? 33 : 9, end;
    uint64_t bits;
    for (; n >= 64; n -= 64, p += 64) old_block(kind, s, p);
    if (kind == OLD_STREEBOG512) { streebog_close(s, p, n, out); return; }
    bits = (s->bytes + (uint64_t)n) * 8;
    if (n) memcpy(tail, p, (size_t)n);
    tail[n] = 0x80;
    end = n + need <= 64 ? 64 : 128;
    for (i = 0; i < 8; i++) {
        if (kind == OLD_WHIRLPOOL) tail[end - 1 - i] = (uint8_t)(bits >> (8 * i));
        else tail[end - 8 + i] = (uint8_t)(bits >> (8 * i));
    }
    for (i = 0; i < end; i += 64) old_block(kind, s, tail + i);
    for (i = 0; i < old_size(kind); i++)
        out[i] = kind == OLD_WHIRLPOOL ? (uint8_t)(s->w[i / 8] >> (56 - 8 * (i % 8))) : (uint8_t)(s->r[i / 4] >> (8 * (i % 4)));
}

static void old_hash(int kind, const uint8_t *p, int64_t n, uint8_t *out) {
    old_state s;
    old_open(kind, &s);
    old_close(kind, &s, p, n, out);
}

/* ``salt`` has four bytes of room behind it for the block's number. */
static void old_derive(int kind, const uint8_t *secret, int64_t have, uint8_t *salt, int64_t salted, int64_t rounds, uint8_t *out, int64_t size) {
    uint8_t pad[64] = {0}, u[64], sum[64];
    old_state inner, outer, s;
    int64_t made = 0, r;
    uint32_t number = 1;
    int i, wide = old_size(kind);
    if (have > 64) old_hash(kind, secret, have, pad);
    else if (have) memcpy(pad, secret, (size_t)have);
    for (i = 0; i < 64; i++) pad[i] ^= 0x36;
    old_open(kind, &inner);
    old_block(kind, &inner, pad);
    for (i = 0; i < 64; i++) pad[i] ^= 0x36 ^ 0x5C;
    old_open(kind, &outer);
    old_block(kind, &outer, pad);
    for (; made < size; made += wide, number++) {
        for (i = 0; i < 4; i++) salt[salted + i] = (uint8_t)(number >> (24 - 8 * i));
        for (r = 0; r < rounds; r++) {
            s = inner;
            old_close(kind, &s, r ? u : salt, r ? wide : salted + 4, u);
            s = outer;
            old_close(kind, &s, u, wide, u);
            for (i = 0; i < wide; i++) sum[i] = r ? sum[i] ^ u[i] : u[i];
        }
        memcpy(out + made, sum, (size_t)(size - made < wide ? size - made : wide));
    }
}

#endif
