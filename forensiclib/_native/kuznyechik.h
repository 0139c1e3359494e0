/* Kuznyechik (GOST R 34.12-2015, RFC 7801): the substitution and the linear transformation of a byte in one look-up of a block. */
#ifndef FORENSICLIB_KUZNYECHIK_H
#define FORENSICLIB_KUZNYECHIK_H

#include <stdint.h>
#include <string.h>

typedef struct { uint64_t a, b; } kuznyechik_v;         /* 16 bytes as they lie in memory */
typedef struct { kuznyechik_v enc[10], dec[10]; } kuznyechik_key;

static const uint8_t kuznyechik_pi[256] = {
    252, 238, 221, 17, 207, 110, 49, 22, 251, 196, 250, 218, 35, 197, 4, 77, 233, 119, 240, 219, 147, 46, 153, 186, 23, 54, 241, 187, 20, 205, 95, 193,
    249, 24, 101, 90, 226, 92, 239, 33, 129, 28, 60, 66, 139, 1, 142, 79, 5, 132, 2, 174, 227, 106, 143, 160, 6, 11, 237, 152, 127, 212, 211, 31,
    235, 52, 44, 81, 234, 200, 72, 171, 242, 42, 104, 162, 253, 58, 206, 204, 181, 112, 14, 86, 8, 12, 118, 18, 191, 114, 19, 71, 156, 183, 93, 135,
    21, 161, 150, 41, 16, 123, 154, 199, 243, 145, 120, 111, 157, 158, 178, 177, 50, 117, 25, 61, 255, 53, 138, 126, 109, 84, 198, 128, 195, 189, 13, 87,
    223, 245, 36, 169, 62, 168, 67, 201, 215, 121, 214, 246, 124, 34, 185, 3, 224, 15, 236, 222, 122, 148, 176, 188, 220, 232, 40, 80, 78, 51, 10, 74,
    167, 151, 96, 115, 30, 0, 98, 68, 26, 184, 56, 130, 100, 159, 38, 65, 173, 69, 70, 146, 39, 94, 85, 47, 140, 163, 165, 125, 105, 213, 149, 59,
    7, 88, 179, 64, 134, 172, 29, 247, 48, 55, 107, 228, 136, 217, 231, 137, 225, 27, 131, 73, 76, 63, 248, 254, 141, 83, 170, 144, 202, 216, 133, 97,
    32, 113, 103, 164, 45, 43, 9, 91, 203, 155, 37, 208, 190, 229, 108, 82, 89, 166, 116, 210, 230, 244, 180, 192, 209, 102, 175, 194, 57, 75, 99, 182,
};
static uint8_t KUZNYECHIK_INV[256];                     /* filled once, when the module is loaded */
static kuznyechik_v KUZNYECHIK_E[16][256], KUZNYECHIK_D[16][256];

static uint8_t kuznyechik_times(unsigned a, unsigned b) {
    unsigned out = 0;
    for (; b; b >>= 1, a = a << 1 ^ (a >> 7 & 1) * 0x1C3)
        if (b & 1) out ^= a;
    return (uint8_t)out;
}

/* L, sixteen times R, or its inverse: RFC 7801, 4.2. */
static void kuznyechik_l(uint8_t *x, int forward) {
    static const uint8_t factors[16] = {148, 32, 133, 16, 194, 192, 1, 251, 1, 192, 194, 16, 133, 32, 148, 1};
    int r, i;
    for (r = 0; r < 16; r++) {
        uint8_t v = 0, first = x[0];
        if (forward) {
            for (i = 0; i < 16; i++) v ^= kuznyechik_times(x[i], factors[i]);
            memmove(x + 1, x, 15);
            x[0] = v;
        } else {
            memmove(x, x + 1, 15);
            x[15] = first;
            for (i = 0; i < 16; i++) v ^= kuznyechik_times(x[i], factors[i]);
            x[15] = v;
        }
    }
}

static void kuznyechik_init(void) {
    uint8_t x[16];
    int i, v;
    for (v = 0; v < 256; v++) KUZNYECHIK_INV[kuznyechik_pi[v]] = (uint8_t)v;
    for (i = 0; i < 16; i++) {
        kuznyechik_v bit[2][8];
        for (v = 0; v < 16; v++) {
            memset(x, 0, 16);
            x[i] = (uint8_t)(1 << (v & 7));
            kuznyechik_l(x, v < 8);
            memcpy(&bit[v / 8][v & 7], x, 16);
        }
        for (v = 0; v < 256; v++) {                     /* both are linear */
            int b, e = kuznyechik_pi[v], d = KUZNYECHIK_INV[v];
            for (b = 0; b < 8; b++) {
                if (e >> b & 1) KUZNYECHIK_E[i][v].a ^= bit[0][b].a, KUZNYECHIK_E[i][v].b ^= bit[0][b].b;
                if (d >> b & 1) KUZNYECHIK_D[i][v].a ^= bit[1][b].a, KUZNYECHIK_D[i][v].b ^= bit[1][b].b;
            }
        }
    }
}

static void kuznyechik_turn(uint8_t *x, const kuznyechik_v (*table)[256], const kuznyechik_v *key) {
    kuznyechik_v v = *key;
    int i;
    for (i = 0; i < 16; i++) {
        v.a ^= table[i][x[i]].a;
        v.b ^= table[i][x[i]].b;
    }
    memcpy(x, &v, 16);
}

static void kuznyechik_xor(uint8_t *x, const kuznyechik_v *key) {
    kuznyechik_v v;
    memcpy(&v, x, 16);
    v.a ^= key->a;
    v.b ^= key->b;
    memcpy(x, &v, 16);
}

/* RFC 7801, 4.4. */
static void kuznyechik_open(kuznyechik_key *s, const uint8_t *key) {
    uint8_t a[16], b[16], c[16], t[16];
    int i, j;
    memcpy(a, key, 16);
    memcpy(b, key + 16, 16);
    for (i = 0; i < 32; i++) {
        kuznyechik_v next;
        if (i % 8 == 0) {
            memcpy(&s->enc[i / 4], a, 16);
            memcpy(&s->enc[i / 4 + 1], b, 16);
        }
        memset(c, 0, 16);
        c[15] = (uint8_t)(i + 1);
        kuznyechik_l(c, 1);
        for (j = 0; j < 16; j++) t[j] = a[j] ^ c[j];
        memcpy(&next, b, 16);
        kuznyechik_turn(t, (const kuznyechik_v (*)[256])KUZNYECHIK_E, &next);
        memcpy(b, a, 16);
        memcpy(a, t, 16);
    }
    memcpy(&s->enc[8], a, 16);
    memcpy(&s->enc[9], b, 16);
    for (i = 0; i < 10; i++) {                          /* the equivalent inverse: L is linear, so it may go before the key */
        memcpy(t, &s->enc[i], 16);
        kuznyechik_l(t, 0);
        memcpy(&s->dec[i], t, 16);
    }
}

enum { KUZNYECHIK_SIDE = 4 };                           /* blocks side by side: each waits for its look-ups */

static void kuznyechik_blocks(const kuznyechik_key *s, uint8_t *data, int64_t blocks, int forward) {
    const kuznyechik_v (*enc)[256] = (const kuznyechik_v (*)[256])KUZNYECHIK_E, (*dec)[256] = (const kuznyechik_v (*)[256])KUZNYECHIK_D;
    int64_t n, j;
    int r, i;
    for (; blocks > 0; blocks -= n, data += 16 * n) {
        n = blocks < KUZNYECHIK_SIDE ? blocks : KUZNYECHIK_SIDE;
        if (forward) {
            for (j = 0; j < n; j++) kuznyechik_xor(data + 16 * j, &s->enc[0]);
            for (r = 1; r < 10; r++)
                for (j = 0; j < n; j++) kuznyechik_turn(data + 16 * j, enc, &s->enc[r]);
        } else {
            for (j = 0; j < n; j++) {
                for (i = 0; i < 16; i++) data[16 * j + i] = kuznyechik_pi[data[16 * j + i]];
                kuznyechik_turn(data + 16 * j, dec, &s->dec[9]);
            }
            for (r = 8; r > 0; r--)
                for (j = 0; j < n; j++) kuznyechik_turn(data + 16 * j, dec, &s->dec[r]);
            for (j = 0; j < n; j++) {
                for (i = 0; i < 16; i++) data[16 * j + i] = KUZNYECHIK_INV[data[16 * j + i]];
                kuznyechik_xor(data + 16 * j, &s->enc[0]);
            }
        }
    }
}

#endif
