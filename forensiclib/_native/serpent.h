/* Serpent (Anderson, Biham, Knudsen, 1998): blocks side by side in vectors, the boxes as boolean functions. The functions are the algebraic
   normal forms of the published tables (computed, not searched: the compiler finds the shared terms and three-way operations). */
#ifndef FORENSICLIB_SERPENT_H
#define FORENSICLIB_SERPENT_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define SERPENT_INLINE __attribute__((always_inline)) inline
enum { SERPENT_LANES = 16 };
typedef uint32_t serpent_v __attribute__((vector_size(4 * 16)));
#else
#define SERPENT_INLINE
enum { SERPENT_LANES = 1 };
typedef uint32_t serpent_v;
#endif

typedef struct { uint32_t k[132]; } serpent_key;

static SERPENT_INLINE void serpent_s0(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(a ^ ab ^ c ^ ac ^ bc ^ abc ^ d ^ acd ^ bcd);
    x[1] = ~(a ^ ac ^ bc ^ abc ^ bd ^ acd ^ bcd);
    x[2] = b ^ ab ^ ac ^ abc ^ d ^ bd ^ bcd;
    x[3] = a ^ b ^ c ^ d ^ ad;
}

static SERPENT_INLINE void serpent_s1(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v ad = a & d; serpent_v bd = b & d;
    serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(a ^ b ^ bc ^ ad ^ cd ^ acd ^ bcd);
    x[1] = ~(a ^ ab ^ c ^ ac ^ d ^ bd ^ abd ^ acd ^ bcd);
    x[2] = ~(b ^ ab ^ c ^ d);
    x[3] = ~(b ^ ac ^ d ^ ad ^ abd ^ acd ^ bcd);
}

static SERPENT_INLINE void serpent_s2(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d;
    x[0] = b ^ c ^ ac ^ d;
    x[1] = a ^ b ^ c ^ bc ^ abc ^ ad ^ abd ^ cd ^ acd;
    x[2] = a ^ b ^ bc ^ d ^ bd ^ abd ^ cd ^ acd;
    x[3] = ~(a ^ b ^ c ^ abc ^ bd);
}

static SERPENT_INLINE void serpent_s3(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = a ^ b ^ bc ^ d ^ ad ^ cd ^ acd ^ bcd;
    x[1] = a ^ b ^ ac ^ ad ^ abd ^ cd ^ acd;
    x[2] = a ^ ab ^ c ^ abc ^ d ^ bd ^ abd;
    x[3] = a ^ b ^ ab ^ c ^ ac ^ abc ^ d ^ cd ^ acd;
}

static SERPENT_INLINE void serpent_s4(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(b ^ ab ^ c ^ d ^ ad ^ bd);
    x[1] = a ^ ac ^ bc ^ d ^ bd ^ cd ^ acd ^ bcd;
    x[2] = a ^ ab ^ c ^ bc ^ abc ^ bd ^ abd ^ cd ^ bcd;
    x[3] = a ^ b ^ c ^ bc ^ ad ^ bd ^ abd;
}

static SERPENT_INLINE void serpent_s5(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(b ^ ab ^ c ^ d ^ ad ^ bd);
    x[1] = ~(a ^ ab ^ c ^ d ^ bd ^ abd ^ cd);
    x[2] = ~(b ^ ac ^ d ^ abd ^ cd ^ acd ^ bcd);
    x[3] = ~(a ^ b ^ c ^ abc ^ d ^ ad ^ acd);
}

static SERPENT_INLINE void serpent_s6(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v bcd = bc & d;
    x[0] = ~(a ^ b ^ c ^ ac ^ bc ^ abc ^ d ^ abd ^ bcd);
    x[1] = ~(b ^ c ^ ad);
    x[2] = ~(a ^ ab ^ c ^ bc ^ abc ^ bd ^ abd ^ cd ^ bcd);
    x[3] = b ^ ab ^ c ^ ac ^ abc ^ d ^ cd ^ bcd;
}

static SERPENT_INLINE void serpent_s7(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(ab ^ c ^ ad ^ bd ^ cd ^ acd ^ bcd);
    x[1] = b ^ ab ^ c ^ ac ^ bc ^ d ^ ad ^ abd ^ acd;
    x[2] = a ^ b ^ c ^ abc ^ d ^ ad ^ bd ^ abd ^ bcd;
    x[3] = a ^ b ^ c ^ ac ^ abc ^ ad;
}

static SERPENT_INLINE void serpent_i0(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v ad = a & d; serpent_v bd = b & d;
    serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(ab ^ c ^ bc ^ ad ^ bd ^ abd ^ cd ^ acd ^ bcd);
    x[1] = a ^ b ^ c ^ ac ^ bd ^ acd ^ bcd;
    x[2] = ~(a ^ b ^ ab ^ c ^ d);
    x[3] = ~(a ^ bc ^ d ^ abd ^ cd ^ acd ^ bcd);
}

static SERPENT_INLINE void serpent_i1(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(a ^ b ^ ab ^ abc ^ bd ^ acd ^ bcd);
    x[1] = b ^ c ^ abc ^ d ^ ad ^ bd ^ acd ^ bcd;
    x[2] = ~(a ^ b ^ ac ^ bc ^ abc ^ d ^ acd);
    x[3] = a ^ c ^ d ^ bd;
}

static SERPENT_INLINE void serpent_i2(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d;
    x[0] = a ^ b ^ c ^ bc ^ bd;
    x[1] = b ^ ab ^ c ^ ad ^ abd ^ cd ^ acd;
    x[2] = ~(a ^ ab ^ c ^ d ^ ad ^ bd ^ abd ^ acd);
    x[3] = ~(ab ^ bc ^ abc ^ d ^ acd);
}

static SERPENT_INLINE void serpent_i3(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = a ^ c ^ bc ^ d ^ ad ^ bd ^ bcd;
    x[1] = b ^ c ^ bc ^ abc ^ d ^ ad ^ acd ^ bcd;
    x[2] = ab ^ ac ^ bc ^ ad ^ bd ^ abd ^ cd ^ acd;
    x[3] = a ^ b ^ c ^ ac ^ abc ^ ad ^ abd ^ cd;
}

static SERPENT_INLINE void serpent_i4(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v abc = ab & c; serpent_v ad = a & d; serpent_v bd = b & d;
    serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d;
    x[0] = ~(a ^ b ^ c ^ d ^ ad ^ abd ^ cd ^ acd);
    x[1] = ab ^ c ^ ac ^ d ^ ad ^ acd;
    x[2] = ~(a ^ b ^ ab ^ c ^ ac ^ abc ^ d ^ bd ^ abd);
    x[3] = b ^ ab ^ c ^ ad ^ abd ^ cd;
}

static SERPENT_INLINE void serpent_i5(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v acd = ac & d;
    x[0] = a ^ bc ^ d ^ abd;
    x[1] = a ^ b ^ ac ^ bc ^ abc ^ d ^ ad ^ abd;
    x[2] = a ^ ab ^ c ^ bd ^ abd ^ acd;
    x[3] = ~(b ^ ab ^ c ^ abc ^ ad);
}

static SERPENT_INLINE void serpent_i6(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v bcd = bc & d;
    x[0] = ~(a ^ ab ^ ac ^ bc ^ abc ^ d ^ abd ^ bcd);
    x[1] = ~(b ^ c ^ ac ^ d);
    x[2] = ~(a ^ b ^ bc ^ bd ^ abd ^ cd ^ bcd);
    x[3] = ~(b ^ ab ^ c ^ bc ^ abc ^ d ^ ad ^ abd ^ cd ^ bcd);
}

static SERPENT_INLINE void serpent_i7(serpent_v *x) {
    serpent_v a = x[0], b = x[1], c = x[2], d = x[3];
    serpent_v ab = a & b; serpent_v ac = a & c; serpent_v bc = b & c; serpent_v abc = ab & c; serpent_v ad = a & d;
    serpent_v bd = b & d; serpent_v abd = ab & d; serpent_v cd = c & d; serpent_v acd = ac & d; serpent_v bcd = bc & d;
    x[0] = ~(a ^ b ^ bc ^ bd ^ abd ^ cd ^ bcd);
    x[1] = ~(a ^ c ^ bc ^ d ^ ad ^ bd ^ acd ^ bcd);
    x[2] = b ^ ac ^ d ^ abd ^ cd ^ acd;
    x[3] = ab ^ c ^ abc ^ ad ^ bd ^ abd;
}

static SERPENT_INLINE void serpent_s(serpent_v *x, int box) {
    switch (box & 7) {
    case 0: serpent_s0(x); break;
    case 1: serpent_s1(x); break;
    case 2: serpent_s2(x); break;
    case 3: serpent_s3(x); break;
    case 4: serpent_s4(x); break;
    case 5: serpent_s5(x); break;
    case 6: serpent_s6(x); break;
    default: serpent_s7(x);
    }
}

static SERPENT_INLINE void serpent_i(serpent_v *x, int box) {
    switch (box & 7) {
    case 0: serpent_i0(x); break;
    case 1: serpent_i1(x); break;
    case 2: serpent_i2(x); break;
    case 3: serpent_i3(x); break;
    case 4: serpent_i4(x); break;
    case 5: serpent_i5(x); break;
    case 6: serpent_i6(x); break;
    default: serpent_i7(x);
    }
}

#define SERPENT_ROL(v, n) ((v) << (n) | (v) >> (32 - (n)))

static SERPENT_INLINE void serpent_xor(serpent_v *x, const uint32_t *k) {
    x[0] ^= k[0]; x[1] ^= k[1]; x[2] ^= k[2]; x[3] ^= k[3];
}

static void serpent_open(serpent_key *s, const uint8_t *key, int size) {
    uint8_t full[32] = {0};
    uint32_t w[140];
    int i, j;
    memcpy(full, key, (size_t)size);
    if (size < 32) full[size] = 1;
    for (i = 0; i < 8; i++)
        w[i] = full[4 * i] | (uint32_t)full[4 * i + 1] << 8 | (uint32_t)full[4 * i + 2] << 16 | (uint32_t)full[4 * i + 3] << 24;
    for (i = 8; i < 140; i++) {
        uint32_t v = w[i - 8] ^ w[i - 5] ^ w[i - 3] ^ w[i - 1] ^ 0x9E3779B9u ^ (uint32_t)(i - 8);
        w[i] = SERPENT_ROL(v, 11);
    }
    for (i = 0; i < 33; i++) {
        serpent_v x[4];
        memset(x, 0, sizeof x);
        for (j = 0; j < 4; j++) x[j] ^= w[8 + 4 * i + j];
        serpent_s(x, 35 - i);
        for (j = 0; j < 4; j++) memcpy(&s->k[4 * i + j], &x[j], 4);
    }
}

static SERPENT_INLINE void serpent_group(const serpent_key *s, serpent_v *x, int forward) {
    int r;
    if (forward) {
        for (r = 0; r < 32; r++) {
            serpent_xor(x, s->k + 4 * r);
            serpent_s(x, r);
            if (r == 31) break;
            x[0] = SERPENT_ROL(x[0], 13); x[2] = SERPENT_ROL(x[2], 3);
            x[1] ^= x[0] ^ x[2]; x[3] ^= x[2] ^ x[0] << 3;
            x[1] = SERPENT_ROL(x[1], 1); x[3] = SERPENT_ROL(x[3], 7);
            x[0] ^= x[1] ^ x[3]; x[2] ^= x[3] ^ x[1] << 7;
            x[0] = SERPENT_ROL(x[0], 5); x[2] = SERPENT_ROL(x[2], 22);
        }
        serpent_xor(x, s->k + 128);
    } else {
        serpent_xor(x, s->k + 128);
        for (r = 31; r >= 0; r--) {
            if (r < 31) {
                x[2] = SERPENT_ROL(x[2], 10); x[0] = SERPENT_ROL(x[0], 27);
                x[2] ^= x[3] ^ x[1] << 7; x[0] ^= x[1] ^ x[3];
                x[3] = SERPENT_ROL(x[3], 25); x[1] = SERPENT_ROL(x[1], 31);
                x[3] ^= x[2] ^ x[0] << 3; x[1] ^= x[0] ^ x[2];
                x[2] = SERPENT_ROL(x[2], 29); x[0] = SERPENT_ROL(x[0], 19);
            }
            serpent_i(x, r);
            serpent_xor(x, s->k + 4 * r);
        }
    }
}

static SERPENT_INLINE void serpent_all(const serpent_key *s, uint8_t *data, int64_t blocks, int forward) {
    int64_t n;
    int i, j;
    for (; blocks > 0; blocks -= n, data += 16 * n) {
        uint32_t w[4][SERPENT_LANES];
        serpent_v x[4];
        n = blocks < SERPENT_LANES ? blocks : SERPENT_LANES;
        memset(w, 0, sizeof w);
        for (j = 0; j < n; j++)
            for (i = 0; i < 4; i++) {
                const uint8_t *p = data + 16 * j + 4 * i;
                w[i][j] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
            }
        memcpy(x, w, sizeof w);
        serpent_group(s, x, forward);
        memcpy(w, x, sizeof w);
        for (j = 0; j < n; j++)
            for (i = 0; i < 4; i++) {
                uint8_t *p = data + 16 * j + 4 * i;
                uint32_t v = w[i][j];
                p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); p[2] = (uint8_t)(v >> 16); p[3] = (uint8_t)(v >> 24);
            }
    }
}

static void serpent_plain(const serpent_key *s, uint8_t *data, int64_t blocks, int forward) { serpent_all(s, data, blocks, forward); }
#if defined(__GNUC__) && defined(__x86_64__)
__attribute__((target("avx2"))) static void serpent_avx2(const serpent_key *s, uint8_t *data, int64_t blocks, int forward) {
    serpent_all(s, data, blocks, forward);
}
__attribute__((target("avx512f,avx512bw,avx512vl"))) static void serpent_avx512(const serpent_key *s, uint8_t *data, int64_t blocks, int forward) {
    serpent_all(s, data, blocks, forward);
}
#endif

static void serpent_blocks(const serpent_key *s, uint8_t *data, int64_t blocks, int forward, int level) {
#if defined(__GNUC__) && defined(__x86_64__)
    if (level >= 2) { serpent_avx512(s, data, blocks, forward); return; }
    if (level == 1 && __builtin_cpu_supports("avx2")) { serpent_avx2(s, data, blocks, forward); return; }
#endif
    (void)level;
    serpent_plain(s, data, blocks, forward);
}

#endif
