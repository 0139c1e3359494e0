/* Camellia (RFC 3713): the substitution and the diffusion of a byte in one look-up of 64 bits. */
#ifndef FORENSICLIB_CAMELLIA_H
#define FORENSICLIB_CAMELLIA_H

#include <stdint.h>

typedef struct { uint64_t kw[4], k[24], ke[6]; int rounds; } camellia_key;

static const uint8_t camellia_s1[256] = {
    112, 130, 44, 236, 179, 39, 192, 229, 228, 133, 87, 53, 234, 12, 174, 65, 35, 239, 107, 147, 69, 25, 165, 33, 237, 14, 79, 78, 29, 101, 146, 189,
    134, 184, 175, 143, 124, 235, 31, 206, 62, 48, 220, 95, 94, 197, 11, 26, 166, 225, 57, 202, 213, 71, 93, 61, 217, 1, 90, 214, 81, 86, 108, 77,
    139, 13, 154, 102, 251, 204, 176, 45, 116, 18, 43, 32, 240, 177, 132, 153, 223, 76, 203, 194, 52, 126, 118, 5, 109, 183, 169, 49, 209, 23, 4, 215,
    20, 88, 58, 97, 222, 27, 17, 28, 50, 15, 156, 22, 83, 24, 242, 34, 254, 68, 207, 178, 195, 181, 122, 145, 36, 8, 232, 168, 96, 252, 105, 80,
    170, 208, 160, 125, 161, 137, 98, 151, 84, 91, 30, 149, 224, 255, 100, 210, 16, 196, 0, 72, 163, 247, 117, 219, 138, 3, 230, 218, 9, 63, 221, 148,
    135, 92, 131, 2, 205, 74, 144, 51, 115, 103, 246, 243, 157, 127, 191, 226, 82, 155, 216, 38, 200, 55, 198, 59, 129, 150, 111, 75, 19, 190, 99, 46,
    233, 121, 167, 140, 159, 110, 188, 142, 41, 245, 249, 182, 47, 253, 180, 89, 120, 152, 6, 106, 231, 70, 113, 186, 212, 37, 171, 66, 136, 162, 141, 250,
    114, 7, 185, 85, 248, 238, 172, 10, 54, 73, 42, 104, 60, 56, 241, 164, 64, 40, 211, 123, 187, 201, 67, 193, 21, 227, 173, 244, 119, 199, 128, 158,
};
static uint64_t CAMELLIA_SP[8][256];            /* filled once, when the module is loaded */

/* Which of the eight bytes of the output each byte of the input goes to: the columns of P (RFC 3713, 2.4.1), the first byte highest. */
static void camellia_init(void) {
    static const uint8_t columns[8] = {0xE9, 0x7C, 0xB6, 0xD3, 0x77, 0xBB, 0xDD, 0xEE};
    static const uint8_t boxes[8] = {1, 2, 3, 4, 2, 3, 4, 1};
    int i, j, x;
    for (x = 0; x < 256; x++)
        for (i = 0; i < 8; i++) {
            uint8_t s = camellia_s1[boxes[i] == 4 ? (uint8_t)(x << 1 | x >> 7) : x];
            if (boxes[i] == 2) s = (uint8_t)(s << 1 | s >> 7);
            if (boxes[i] == 3) s = (uint8_t)(s >> 1 | s << 7);
            for (CAMELLIA_SP[i][x] = 0, j = 0; j < 8; j++)
                if (columns[i] >> (7 - j) & 1) CAMELLIA_SP[i][x] |= (uint64_t)s << (56 - 8 * j);
        }
}

static uint64_t camellia_f(uint64_t x, uint64_t k) {
    x ^= k;
    return CAMELLIA_SP[0][x >> 56] ^ CAMELLIA_SP[1][x >> 48 & 255] ^ CAMELLIA_SP[2][x >> 40 & 255] ^ CAMELLIA_SP[3][x >> 32 & 255]
           ^ CAMELLIA_SP[4][x >> 24 & 255] ^ CAMELLIA_SP[5][x >> 16 & 255] ^ CAMELLIA_SP[6][x >> 8 & 255] ^ CAMELLIA_SP[7][x & 255];
}

static uint32_t camellia_rol1(uint32_t v) { return v << 1 | v >> 31; }

static uint64_t camellia_fl(uint64_t x, uint64_t k) {
    uint32_t a = (uint32_t)(x >> 32), b = (uint32_t)x;
    b ^= camellia_rol1(a & (uint32_t)(k >> 32));
    a ^= b | (uint32_t)k;
    return (uint64_t)a << 32 | b;
}

static uint64_t camellia_flinv(uint64_t y, uint64_t k) {
    uint32_t a = (uint32_t)(y >> 32), b = (uint32_t)y;
    a ^= b | (uint32_t)k;
    b ^= camellia_rol1(a & (uint32_t)(k >> 32));
    return (uint64_t)a << 32 | b;
}

static uint64_t camellia_get(const uint8_t *p) {
    uint64_t v = 0;
    int i;
    for (i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

static void camellia_put(uint8_t *p, uint64_t v) {
    int i;
    for (i = 7; i >= 0; i--, v >>= 8) p[i] = (uint8_t)v;
}

/* Both halves of a 128-bit number that was rotated left. */
static void camellia_rotated(uint64_t *out, const uint64_t *k, int n) {
    uint64_t a = n < 64 ? k[0] : k[1], b = n < 64 ? k[1] : k[0];
    n &= 63;
    out[0] = n ? a << n | b >> (64 - n) : a;
    out[1] = n ? b << n | a >> (64 - n) : b;
}

enum { CAMELLIA_KL, CAMELLIA_KR, CAMELLIA_KA, CAMELLIA_KB };

/* RFC 3713, 2.2. */
static void camellia_open(camellia_key *s, const uint8_t *key, int size) {
    static const uint64_t sigma[6] = {0xA09E667F3BCC908Bu, 0xB67AE8584CAA73B2u, 0xC6EF372FE94F82BEu,
                                      0x54FF53A5F1D36F1Cu, 0x10E527FADE682D1Du, 0xB05688C2B3E6C1FDu};
    /* which number, turned by how much, for each pair of round keys; then for each pair of the FL layers, then for kw3 and kw4 */
    static const uint8_t large[16][2] = {{CAMELLIA_KB, 0}, {CAMELLIA_KR, 15}, {CAMELLIA_KA, 15}, {CAMELLIA_KB, 30}, {CAMELLIA_KL, 45},
        {CAMELLIA_KA, 45}, {CAMELLIA_KR, 60}, {CAMELLIA_KB, 60}, {CAMELLIA_KL, 77}, {CAMELLIA_KR, 94}, {CAMELLIA_KA, 94}, {CAMELLIA_KL, 111},
        {CAMELLIA_KR, 30}, {CAMELLIA_KL, 60}, {CAMELLIA_KA, 77}, {CAMELLIA_KB, 111}};
    static const uint8_t small[12][2] = {{CAMELLIA_KA, 0}, {CAMELLIA_KL, 15}, {CAMELLIA_KA, 15}, {CAMELLIA_KL, 45}, {CAMELLIA_KA, 45},
        {CAMELLIA_KA, 60}, {CAMELLIA_KL, 94}, {CAMELLIA_KA, 94}, {CAMELLIA_KL, 111}, {CAMELLIA_KA, 30}, {CAMELLIA_KL, 77}, {CAMELLIA_KA, 111}};
    uint64_t n[4][2] = {{0}}, a, b, pair[2];
    const uint8_t (*plan)[2] = size == 16 ? small : large;
    int i, pairs, layers;
    n[0][0] = camellia_get(key);
    n[0][1] = camellia_get(key + 8);
    if (size > 16) {
        n[1][0] = camellia_get(key + 16);
        n[1][1] = size == 24 ? ~n[1][0] : camellia_get(key + 24);
    }
    a = n[0][0] ^ n[1][0];
    b = n[0][1] ^ n[1][1];
    b ^= camellia_f(a, sigma[0]);
    a ^= camellia_f(b, sigma[1]);
    a ^= n[0][0];
    b ^= n[0][1];
    b ^= camellia_f(a, sigma[2]);
    a ^= camellia_f(b, sigma[3]);
    n[2][0] = a;
    n[2][1] = b;
    a ^= n[1][0];
    b ^= n[1][1];
    b ^= camellia_f(a, sigma[4]);
    a ^= camellia_f(b, sigma[5]);
    n[3][0] = a;
    n[3][1] = b;
    s->rounds = size == 16 ? 18 : 24;
    pairs = s->rounds / 2;
    layers = size == 16 ? 2 : 3;
    s->kw[0] = n[0][0];
    s->kw[1] = n[0][1];
    for (i = 0; i < pairs; i++) camellia_rotated(s->k + 2 * i, n[plan[i][0]], plan[i][1]);
    for (i = 0; i < layers; i++) camellia_rotated(s->ke + 2 * i, n[plan[pairs + i][0]], plan[pairs + i][1]);
    camellia_rotated(s->kw + 2, n[plan[pairs + layers][0]], plan[pairs + layers][1]);
    if (size == 16) {                       /* the one pair whose halves come from two numbers: k9 and k10 */
        camellia_rotated(pair, n[CAMELLIA_KL], 60);
        s->k[9] = pair[1];
    }
}

static void camellia_blocks(const camellia_key *s, uint8_t *data, int64_t blocks, int forward) {
    const int last = s->rounds - 1, layers = s->rounds / 3 - 2;
    for (; blocks > 0; blocks--, data += 16) {
        uint64_t a = camellia_get(data) ^ s->kw[forward ? 0 : 2], b = camellia_get(data + 8) ^ s->kw[forward ? 1 : 3];
        int i;
        for (i = 0; i <= last; i += 2) {
            if (i && i % 6 == 0) {
                const int e = i / 3 - 2;
                a = camellia_fl(a, s->ke[forward ? e : layers - 1 - e]);
                b = camellia_flinv(b, s->ke[forward ? e + 1 : layers - 2 - e]);
            }
            b ^= camellia_f(a, s->k[forward ? i : last - i]);
            a ^= camellia_f(b, s->k[forward ? i + 1 : last - 1 - i]);
        }
        camellia_put(data, b ^ s->kw[forward ? 2 : 0]);
        camellia_put(data + 8, a ^ s->kw[forward ? 3 : 1]);
    }
}

#endif
