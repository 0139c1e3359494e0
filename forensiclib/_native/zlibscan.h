/* Where a zlib stream (RFC 1950) may begin: the two header bytes, then the first bytes of deflate (RFC 1951) decoded.
   What noise holds fails here within a few symbols; what passes is worth a real decoder. */
#ifndef FORENSICLIB_ZLIBSCAN_H
#define FORENSICLIB_ZLIBSCAN_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#define ZLIBSCAN_SSE2 1
#include <emmintrin.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

enum { ZP_INPUT = 1024, ZP_OUTPUT = 256 };

typedef struct { const uint8_t *p; uint32_t size, at; uint64_t word; uint32_t have; int over; } zp_bits;
typedef struct { uint16_t count[16], symbol[288]; } zp_code;

static void zp_fill(zp_bits *b) {
    while (b->have <= 48 && b->at < b->size) { b->word |= (uint64_t)b->p[b->at++] << b->have; b->have += 8; }
}

/* n <= 16 bits; past the end zeros, and ``over`` says so. */
static uint32_t zp_take(zp_bits *b, uint32_t n) {
    uint32_t v;
    if (b->have < n) { zp_fill(b); if (b->have < n) { b->over = 1; return 0; } }
    v = (uint32_t)(b->word & (((uint64_t)1 << n) - 1));
    b->word >>= n;
    b->have -= n;
    return v;
}

/* 0 complete, > 0 incomplete, < 0 over-subscribed. */
static int zp_build(zp_code *c, const uint8_t *length, int n) {
    uint16_t offset[16];
    int i, left = 1;
    memset(c->count, 0, sizeof c->count);
    for (i = 0; i < n; i++) c->count[length[i]]++;
    for (i = 1; i < 16; i++) { left = left * 2 - c->count[i]; if (left < 0) return -1; }
    offset[1] = 0;
    for (i = 1; i < 15; i++) offset[i + 1] = (uint16_t)(offset[i] + c->count[i]);
    for (i = 0; i < n; i++) if (length[i]) c->symbol[offset[length[i]]++] = (uint16_t)i;
    return left;
}

static int zp_symbol(zp_bits *b, const zp_code *c) {
    int code = 0, first = 0, index = 0, n;
    for (n = 1; n < 16; n++) {
        code |= (int)zp_take(b, 1);
        if (b->over) return -2;
        if (code - c->count[n] < first) return c->symbol[index + code - first];
        index += c->count[n];
        first = (first + c->count[n]) << 1;
        code <<= 1;
    }
    return -1;
}

static const uint16_t ZP_LENGTH[29] = {3,4,5,6,7,8,9,10,11,13,15,17,19,23,27,31,35,43,51,59,67,83,99,115,131,163,195,227,258};
static const uint8_t ZP_LENGTH_BITS[29] = {0,0,0,0,0,0,0,0,1,1,1,1,2,2,2,2,3,3,3,3,4,4,4,4,5,5,5,5,0};
static const uint16_t ZP_BACK[30] = {1,2,3,4,5,7,9,13,17,25,33,49,65,97,129,193,257,385,513,769,1025,1537,2049,3073,4097,6145,8193,12289,16385,24577};
static const uint8_t ZP_BACK_BITS[30] = {0,0,0,0,1,1,2,2,3,3,4,4,5,5,6,6,7,7,8,8,9,9,10,10,11,11,12,12,13,13};
static const uint8_t ZP_ORDER[19] = {16,17,18,0,8,7,9,6,10,5,11,4,12,3,13,2,14,1,15};

/* 1 to go on, 0 noise, 2 the bytes that may be looked at end. */
static int zp_trees(zp_bits *b, zp_code *literal, zp_code *back) {
    uint8_t length[320];
    uint32_t i, n, repeat, literals = 257 + zp_take(b, 5), backs = 1 + zp_take(b, 5), codes = 4 + zp_take(b, 4);
    int symbol, left;
    uint8_t value;
    if (b->over) return 2;
    if (literals > 286 || backs > 30) return 0;
    memset(length, 0, 19);
    for (i = 0; i < codes; i++) length[ZP_ORDER[i]] = (uint8_t)zp_take(b, 3);
    if (b->over) return 2;
    if (zp_build(literal, length, 19) != 0) return 0;
    for (n = 0; n < literals + backs;) {
        symbol = zp_symbol(b, literal);
        if (symbol == -2) return 2;
        if (symbol < 0) return 0;
        if (symbol < 16) { length[n++] = (uint8_t)symbol; continue; }
        if (symbol == 16 && n == 0) return 0;
        value = symbol == 16 ? length[n - 1] : 0;
        repeat = symbol == 16 ? 3 + zp_take(b, 2) : symbol == 17 ? 3 + zp_take(b, 3) : 11 + zp_take(b, 7);
        if (b->over) return 2;
        if (n + repeat > literals + backs) return 0;
        while (repeat--) length[n++] = value;
    }
    if (!length[256]) return 0;
    left = zp_build(literal, length, (int)literals);
    if (left < 0 || (left > 0 && (literals - literal->count[0] != 1 || !literal->count[1]))) return 0;
    left = zp_build(back, length + literals, (int)backs);
    if (left < 0 || (left > 0 && (backs - back->count[0] > 1 || (!back->count[1] && backs != back->count[0])))) return 0;
    return 1;
}

static int zp_block(zp_bits *b, const zp_code *literal, const zp_code *back, uint8_t *out, uint32_t *made, uint32_t reach) {
    while (*made < ZP_OUTPUT) {
        uint32_t length, distance;
        int symbol = zp_symbol(b, literal);
        if (symbol == -2) return 2;
        if (symbol < 0 || symbol > 285) return 0;
        if (symbol < 256) { out[(*made)++] = (uint8_t)symbol; continue; }
        if (symbol == 256) return 1;
        length = ZP_LENGTH[symbol - 257] + zp_take(b, ZP_LENGTH_BITS[symbol - 257]);
        symbol = zp_symbol(b, back);
        if (symbol == -2 || b->over) return 2;
        if (symbol < 0 || symbol > 29) return 0;
        distance = ZP_BACK[symbol] + zp_take(b, ZP_BACK_BITS[symbol]);
        if (b->over) return 2;
        if (distance > *made || distance > reach) return 0;
        while (length--) { out[*made] = out[*made - distance]; (*made)++; }
    }
    return 3;
}

/* Whether the zlib stream that begins at p, of which ``size`` bytes can be seen, holds as far as the probe looks. */
static int zlib_probe(const uint8_t *p, int64_t size) {
    uint8_t out[ZP_OUTPUT + 320], fixed[320];
    zp_code literal, back;
    zp_bits b;
    uint32_t made = 0, last, type, n, k, reach, low = 1, high = 0;
    int said;
    if (size < 3) return 0;
    memset(&b, 0, sizeof b);
    b.p = p + 2;
    b.size = (uint32_t)(size - 2 > ZP_INPUT ? ZP_INPUT : size - 2);
    reach = 256u << (p[0] >> 4);
    do {
        last = zp_take(&b, 1);
        type = zp_take(&b, 2);
        if (b.over) return 1;
        if (type == 3) return 0;
        if (type == 0) {
            zp_take(&b, b.have & 7);
            n = zp_take(&b, 16);
            k = zp_take(&b, 16);
            if (b.over) return 1;
            if ((n ^ k) != 0xFFFF) return 0;
            while (n && made < ZP_OUTPUT) {
                k = zp_take(&b, 8);
                if (b.over) return 1;
                out[made++] = (uint8_t)k;
                n--;
            }
            said = n ? 3 : 1;
        } else {
            if (type == 1) {
                for (k = 0; k < 288; k++) fixed[k] = k < 144 ? 8 : k < 256 ? 9 : k < 280 ? 7 : 8;
                zp_build(&literal, fixed, 288);
                memset(fixed, 5, 32);
                zp_build(&back, fixed, 32);
                said = 1;
            } else said = zp_trees(&b, &literal, &back);
            if (said == 1) said = zp_block(&b, &literal, &back, out, &made, reach);
        }
        if (said != 1) return said != 0;
    } while (!last && made < ZP_OUTPUT);
    if (!last) return 1;
    zp_take(&b, b.have & 7);
    n = zp_take(&b, 16);
    k = zp_take(&b, 16);
    if (b.over) return 1;
    for (type = 0; type < made; type++) { low = (low + out[type]) % 65521; high = (high + low) % 65521; }
    return ((n & 0xFF) << 8 | n >> 8) == high && ((k & 0xFF) << 8 | k >> 8) == low;
}

static inline int zlib_head(const uint8_t *p) {
    return (p[0] & 0x8F) == 8 && !(p[1] & 0x20) && ((uint32_t)p[0] << 8 | p[1]) % 31 == 0;
}

/* Fills ``found`` with at most ``room`` offsets of [start, stop); gives their count, ``next`` where to go on. */
static int64_t zlib_scan(const uint8_t *data, int64_t size, int64_t start, int64_t stop, int64_t *found, int64_t room, int64_t *next) {
    int64_t at = start, count = 0;
    if (stop > size - 2) stop = size - 2;
    while (at < stop) {
#ifdef ZLIBSCAN_SSE2
        if (at + 16 <= stop) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(data + at));
            uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(bytes, _mm_set1_epi8((char)0x8F)), _mm_set1_epi8(8)));
            while (mask) {
#if defined(_MSC_VER)
                unsigned long bit;
                _BitScanForward(&bit, mask);
#else
                uint32_t bit = (uint32_t)__builtin_ctz(mask);
#endif
                mask &= mask - 1;
                if (zlib_head(data + at + bit) && zlib_probe(data + at + bit, size - at - bit)) {
                    found[count++] = at + bit;
                    if (count == room) { *next = at + bit + 1; return count; }
                }
            }
            at += 16;
            continue;
        }
#endif
        if (zlib_head(data + at) && zlib_probe(data + at, size - at)) {
            found[count++] = at;
            if (count == room) { *next = at + 1; return count; }
        }
        at++;
    }
    *next = -1;
    return count;
}

#endif
