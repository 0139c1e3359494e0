/* Twofish (Schneier and others, 1998): the key-dependent boxes and the matrix in four tables a key. */
#ifndef FORENSICLIB_TWOFISH_H
#define FORENSICLIB_TWOFISH_H

#include <stdint.h>
#include <string.h>

typedef struct { uint32_t g[4][256], k[40]; } twofish_key;

static uint8_t TWOFISH_Q[2][256];       /* filled once, when the module is loaded */

static void twofish_init(void) {
    static const uint8_t t[2][4][16] = {
        {{8, 1, 7, 13, 6, 15, 3, 2, 0, 11, 5, 9, 14, 12, 10, 4}, {14, 12, 11, 8, 1, 2, 3, 5, 15, 4, 10, 6, 7, 0, 9, 13},
         {11, 10, 5, 14, 6, 13, 9, 0, 12, 8, 15, 3, 2, 4, 7, 1}, {13, 7, 15, 4, 1, 2, 6, 14, 9, 11, 3, 0, 8, 5, 12, 10}},
        {{2, 8, 11, 13, 15, 7, 6, 14, 3, 1, 9, 4, 0, 10, 12, 5}, {1, 14, 2, 11, 4, 12, 3, 7, 6, 13, 10, 5, 15, 9, 0, 8},
         {4, 12, 7, 5, 1, 6, 9, 10, 0, 14, 13, 8, 2, 11, 3, 15}, {11, 9, 5, 1, 12, 3, 13, 14, 6, 4, 7, 15, 2, 0, 8, 10}}};
    int n, x;
    for (n = 0; n < 2; n++)
        for (x = 0; x < 256; x++) {
            int a = x >> 4, b = x & 15, i;
            for (i = 0; i < 4; i += 2) {
                int c = a ^ b, d = (a ^ (b >> 1 | (b & 1) << 3) ^ a << 3) & 15;
                a = t[n][i][c];
                b = t[n][i + 1][d];
            }
            TWOFISH_Q[n][x] = (uint8_t)(b << 4 | a);
        }
}

static uint8_t twofish_times(uint32_t a, uint32_t b, uint32_t poly) {
    uint32_t out = 0;
    for (; b; b >>= 1, a = a << 1 ^ (a >> 7 & 1) * poly)
        if (b & 1) out ^= a;
    return (uint8_t)out;
}

static uint32_t twofish_get(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static void twofish_put(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); p[2] = (uint8_t)(v >> 16); p[3] = (uint8_t)(v >> 24);
}

/* One byte through the chain of q and key bytes of its column; l[i] are the words of the list, n of them. */
static uint8_t twofish_chain(int column, uint8_t y, const uint32_t *l, int n) {
    static const uint8_t order[5][4] = {{1, 0, 1, 0}, {0, 0, 1, 1}, {0, 1, 0, 1}, {1, 1, 0, 0}, {1, 0, 0, 1}};
    int i;
    for (i = n; i > 0; i--) y = TWOFISH_Q[order[i][column]][y] ^ (uint8_t)(l[i - 1] >> (8 * column));
    return TWOFISH_Q[order[0][column]][y];
}

static uint32_t twofish_column(int column, uint8_t y) {
    static const uint8_t mds[4][4] = {{0x01, 0xEF, 0x5B, 0x5B}, {0x5B, 0xEF, 0xEF, 0x01}, {0xEF, 0x5B, 0x01, 0xEF}, {0xEF, 0x01, 0xEF, 0x5B}};
    uint32_t out = 0;
    int row;
    for (row = 0; row < 4; row++) out |= (uint32_t)twofish_times(y, mds[row][column], 0x169) << (8 * row);
    return out;
}

static uint32_t twofish_h(uint32_t x, const uint32_t *l, int n) {
    uint32_t out = 0;
    int j;
    for (j = 0; j < 4; j++) out ^= twofish_column(j, twofish_chain(j, (uint8_t)(x >> (8 * j)), l, n));
    return out;
}

#define TWOFISH_ROL(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define TWOFISH_ROR(v, n) ((v) >> (n) | (v) << (32 - (n)))

static void twofish_open(twofish_key *s, const uint8_t *key, int size) {
    static const uint8_t rs[4][8] = {{0x01, 0xA4, 0x55, 0x87, 0x5A, 0x58, 0xDB, 0x9E}, {0xA4, 0x56, 0x82, 0xF3, 0x1E, 0xC6, 0x68, 0xE5},
                                     {0x02, 0xA1, 0xFC, 0xC1, 0x47, 0xAE, 0x3D, 0x19}, {0xA4, 0x55, 0x87, 0x5A, 0x58, 0xDB, 0x9E, 0x03}};
    uint32_t even[4], odd[4], list[4], whole[256];
    int n = size / 8, i, j, x;
    for (i = 0; i < n; i++) {
        uint32_t v = 0;
        even[i] = twofish_get(key + 8 * i);
        odd[i] = twofish_get(key + 8 * i + 4);
        for (j = 0; j < 4; j++) {
            uint8_t b = 0;
            for (x = 0; x < 8; x++) b ^= twofish_times(key[8 * i + x], rs[j][x], 0x14D);
            v |= (uint32_t)b << (8 * j);
        }
        list[n - 1 - i] = v;
    }
    for (i = 0; i < 20; i++) {
        uint32_t a = twofish_h(0x02020202u * (uint32_t)i, even, n), b = twofish_h(0x02020202u * (uint32_t)i + 0x01010101u, odd, n), c;
        b = TWOFISH_ROL(b, 8);
        c = a + 2 * b;
        s->k[2 * i] = a + b;
        s->k[2 * i + 1] = TWOFISH_ROL(c, 9);
    }
    for (j = 0; j < 4; j++) {
        for (x = 0; x < 256; x++) whole[x] = 0;
        for (i = 0; i < 8; i++) whole[1 << i] = twofish_column(j, (uint8_t)(1 << i));
        for (x = 1; x < 256; x++) whole[x] = whole[x & (x - 1)] ^ whole[x & -x];    /* the matrix is linear */
        for (x = 0; x < 256; x++) s->g[j][x] = whole[twofish_chain(j, (uint8_t)x, list, n)];
    }
}

#define TWOFISH_G(s, v) ((s)->g[0][(v) & 255] ^ (s)->g[1][(v) >> 8 & 255] ^ (s)->g[2][(v) >> 16 & 255] ^ (s)->g[3][(v) >> 24])

static void twofish_blocks(const twofish_key *s, uint8_t *data, int64_t blocks, int forward) {
    const uint32_t *in = forward ? s->k : s->k + 4, *out = forward ? s->k + 4 : s->k;
    int r;
    for (; blocks > 0; blocks--, data += 16) {
        uint32_t a = twofish_get(data) ^ in[0], b = twofish_get(data + 4) ^ in[1], c = twofish_get(data + 8) ^ in[2],
                 d = twofish_get(data + 12) ^ in[3], t, u, v;
        for (r = 0; r < 16; r++) {
            const uint32_t *k = s->k + 8 + 2 * (forward ? r : 15 - r);
            v = TWOFISH_ROL(b, 8);
            t = TWOFISH_G(s, a);
            u = TWOFISH_G(s, v);
            if (forward) {
                c ^= t + u + k[0];
                c = TWOFISH_ROR(c, 1);
                d = TWOFISH_ROL(d, 1) ^ (t + 2 * u + k[1]);
            } else {
                c = TWOFISH_ROL(c, 1) ^ (t + u + k[0]);
                d ^= t + 2 * u + k[1];
                d = TWOFISH_ROR(d, 1);
            }
            t = a; a = c; c = t;
            t = b; b = d; d = t;
        }
        twofish_put(data, c ^ out[0]);
        twofish_put(data + 4, d ^ out[1]);
        twofish_put(data + 8, a ^ out[2]);
        twofish_put(data + 12, b ^ out[3]);
    }
}

#endif
