/* Whirlpool (ISO/IEC 10118-3, 2004) and RIPEMD-160, which OpenSSL no longer has or may lack, and PBKDF2-HMAC (RFC 8018) over them. */
#ifndef FORENSICLIB_OLDHASH_H
#define FORENSICLIB_OLDHASH_H

#include <stdint.h>
#include <string.h>

enum { OLD_WHIRLPOOL, OLD_RIPEMD160 };

typedef struct { uint64_t w[8]; uint32_t r[5]; uint64_t bytes; } old_state;

static uint64_t WHIRLPOOL_T[8][256], WHIRLPOOL_RC[10];     /* filled once, when the module is loaded */

static uint8_t whirlpool_times(unsigned a, unsigned b) {
    unsigned out = 0;
    for (; b; b >>= 1, a = a << 1 ^ (a >> 7 & 1) * 0x11D)
        if (b & 1) out ^= a;
    return (uint8_t)out;
}

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
}

static void whirlpool_round(uint64_t *a) {
    uint64_t b[8];
    int i, k;
    for (i = 0; i < 8; i++)
        for (b[i] = 0, k = 0; k < 8; k++) b[i] ^= WHIRLPOOL_T[k][a[(i - k) & 7] >> (56 - 8 * k) & 255];
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

static void ripemd_block(uint32_t *h, const uint8_t *p) {
    static const uint8_t r[2][80] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8, 3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6,
         13, 11, 5, 12, 1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2, 4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13},
        {5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12, 6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2, 15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2,
         10, 0, 4, 13, 8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14, 12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11}};
    static const uint8_t s[2][80] = {
        {11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8, 7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12, 11, 13, 6, 7, 14, 9, 13, 15, 14, 8,
         13, 6, 5, 12, 7, 5, 11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12, 9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6},
        {8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6, 9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11, 9, 7, 15, 11, 8, 6, 6, 14, 12, 13,
         5, 14, 13, 13, 7, 5, 15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8, 8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11}};
    static const uint32_t c[2][5] = {{0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E}, {0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0}};
    uint32_t m[16], v[2][5], t;
    int i, j;
    for (i = 0; i < 16; i++) m[i] = p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
    for (j = 0; j < 2; j++) {
        uint32_t *a = v[j];
        memcpy(a, h, 20);
        for (i = 0; i < 80; i++) {
            t = ripemd_rol(a[0] + ripemd_f(j ? 4 - i / 16 : i / 16, a[1], a[2], a[3]) + m[r[j][i]] + c[j][i / 16], s[j][i]) + a[4];
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

static void old_open(int kind, old_state *s) {
    static const uint32_t start[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    (void)kind;
    memset(s, 0, sizeof *s);
    memcpy(s->r, start, sizeof start);
}

static void old_block(int kind, old_state *s, const uint8_t *p) {
    if (kind == OLD_WHIRLPOOL) whirlpool_block(s->w, p);
    else ripemd_block(s->r, p);
    s->bytes += 64;
}

static int old_size(int kind) { return kind == OLD_WHIRLPOOL ? 64 : 20; }

/* Whole blocks, then the rest with its padding; the state is used up. */
static void old_close(int kind, old_state *s, const uint8_t *p, int64_t n, uint8_t *out) {
    uint8_t tail[128] = {0};
    int64_t i, need = kind == OLD_WHIRLPOOL ? 33 : 9, end;
    uint64_t bits;
    for (; n >= 64; n -= 64, p += 64) old_block(kind, s, p);
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
