/* Sectors of disk encryption: ECB, CBC, XTS (IEEE 1619) and LRW over 16-byte block ciphers, in place, any number of sectors at once. */
#ifndef FORENSICLIB_SECTORS_H
#define FORENSICLIB_SECTORS_H

#include "aes.h"
#include "camellia.h"
#include "kuznyechik.h"
#include "serpent.h"
#include "twofish.h"

enum { CIPHER_AES, CIPHER_SERPENT, CIPHER_TWOFISH, CIPHER_CAMELLIA, CIPHER_KUZNYECHIK };
enum { MODE_ECB, MODE_ECB_ENCRYPT, MODE_CBC, MODE_XTS, MODE_LRW };

typedef struct {
    int cipher;
    union { aes_key aes; serpent_key serpent; twofish_key twofish; camellia_key camellia; kuznyechik_key kuznyechik; } u;
} sector_key;

static void sectors_init(void) {
    aes_init();
    twofish_init();
    camellia_init();
    kuznyechik_init();
}

static void sector_key_open(sector_key *k, int cipher, const uint8_t *key, int size) {
    k->cipher = cipher;
    if (cipher == CIPHER_AES) aes_open(&k->u.aes, key, size);
    else if (cipher == CIPHER_SERPENT) serpent_open(&k->u.serpent, key, size);
    else if (cipher == CIPHER_TWOFISH) twofish_open(&k->u.twofish, key, size);
    else if (cipher == CIPHER_CAMELLIA) camellia_open(&k->u.camellia, key, size);
    else kuznyechik_open(&k->u.kuznyechik, key);
}

static void sector_blocks(const sector_key *k, uint8_t *data, int64_t blocks, int forward, int level) {
    if (k->cipher == CIPHER_AES) aes_blocks(&k->u.aes, data, blocks, forward, level);
    else if (k->cipher == CIPHER_SERPENT) serpent_blocks(&k->u.serpent, data, blocks, forward, level);
    else if (k->cipher == CIPHER_TWOFISH) twofish_blocks(&k->u.twofish, data, blocks, forward);
    else if (k->cipher == CIPHER_CAMELLIA) camellia_blocks(&k->u.camellia, data, blocks, forward);
    else kuznyechik_blocks(&k->u.kuznyechik, data, blocks, forward);
}

static uint64_t sector_word(const uint8_t *p) {
    uint64_t v = 0;
    int i;
    for (i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static void sector_put(uint8_t *p, uint64_t v) {
    int i;
    for (i = 0; i < 8; i++, v >>= 8) p[i] = (uint8_t)v;
}

static void sector_xor(uint8_t *p, const uint8_t *q, int64_t n) {
    int64_t i;
    for (i = 0; i < n; i++) p[i] ^= q[i];
}

enum { SECTOR_GROUP = 32 };             /* blocks whose tweaks are held at once */

static void sector_xts(const sector_key *k, const uint8_t *tweak, uint8_t *data, int64_t blocks, int level) {
    uint64_t lo = sector_word(tweak), hi = sector_word(tweak + 8);
    uint8_t w[16 * SECTOR_GROUP];
    int64_t n, i;
#ifdef AES_X86
    if (k->cipher == CIPHER_AES && level == 2) { aes_wide_xts(&k->u.aes, tweak, data, blocks); return; }
    if (k->cipher == CIPHER_AES && level == 1) { aes_ni_xts(&k->u.aes, tweak, data, blocks); return; }
#endif
    for (; blocks > 0; blocks -= n, data += 16 * n) {
        n = blocks < SECTOR_GROUP ? blocks : SECTOR_GROUP;
        for (i = 0; i < n; i++) {
            uint64_t top = hi >> 63;
            sector_put(w + 16 * i, lo);
            sector_put(w + 16 * i + 8, hi);
            hi = hi << 1 | lo >> 63;
            lo = lo << 1 ^ top * 0x87;
        }
        sector_xor(data, w, 16 * n);
        sector_blocks(k, data, n, 0, level);
        sector_xor(data, w, 16 * n);
    }
}

/* From the end, so that the ciphertext before each block is still there. */
static void sector_cbc(const sector_key *k, const uint8_t *iv, uint8_t *data, int64_t blocks, int level) {
    uint8_t before[16 * SECTOR_GROUP];
    int64_t n;
#ifdef AES_X86
    if (k->cipher == CIPHER_AES && level == 2) { aes_wide_cbc(&k->u.aes, iv, data, blocks); return; }
    if (k->cipher == CIPHER_AES && level == 1) { aes_ni_cbc(&k->u.aes, iv, data, blocks); return; }
#endif
    while (blocks > 0) {
        uint8_t *at;
        n = blocks < SECTOR_GROUP ? blocks : SECTOR_GROUP;
        blocks -= n;
        at = data + 16 * blocks;
        memcpy(before, blocks ? at - 16 : iv, 16);
        memcpy(before + 16, at, (size_t)(16 * (n - 1)));
        sector_blocks(k, at, n, 0, level);
        sector_xor(at, before, 16 * n);
    }
}

/* Products of the tweak key with 1, 11, 111 ... (binary): what the product changes by when the index counts on. Bits as in LRW's draft:
   big-endian numbers, the field's polynomial x^128 + x^7 + x^2 + x + 1. */
typedef struct { uint64_t hi[129], lo[129]; } lrw_table;

static void lrw_open(lrw_table *t, const uint8_t *key) {
    uint64_t hi = 0, lo = 0, sh = 0, sl = 0;
    int i;
    for (i = 0; i < 8; i++) hi = hi << 8 | key[i];
    for (i = 8; i < 16; i++) lo = lo << 8 | key[i];
    for (i = 0; i < 128; i++) {
        uint64_t top = hi >> 63;
        sh ^= hi;
        sl ^= lo;
        t->hi[i] = sh;
        t->lo[i] = sl;
        hi = hi << 1 | lo >> 63;
        lo = lo << 1 ^ top * 0x87;
    }
    t->hi[128] = t->hi[127];
    t->lo[128] = t->lo[127];
}

static void sector_lrw(const sector_key *k, const lrw_table *t, const uint8_t *iv, uint8_t *data, int64_t blocks, int level) {
    uint64_t ih = 0, il = 0, th = 0, tl = 0;
    uint8_t w[16 * SECTOR_GROUP];
    int64_t n, i;
    int j;
    for (j = 0; j < 8; j++) ih = ih << 8 | iv[j];
    for (j = 8; j < 16; j++) il = il << 8 | iv[j];
    for (j = 0; j < 128; j++)
        if ((j < 64 ? il >> j : ih >> (j - 64)) & 1) {
            th ^= t->hi[j] ^ (j ? t->hi[j - 1] : 0);
            tl ^= t->lo[j] ^ (j ? t->lo[j - 1] : 0);
        }
    for (; blocks > 0; blocks -= n, data += 16 * n) {
        n = blocks < SECTOR_GROUP ? blocks : SECTOR_GROUP;
        for (i = 0; i < n; i++) {
            for (j = 0; j < 8; j++) {
                w[16 * i + j] = (uint8_t)(th >> (56 - 8 * j));
                w[16 * i + 8 + j] = (uint8_t)(tl >> (56 - 8 * j));
            }
            for (j = 0; j < 128 && ((j < 64 ? il >> j : ih >> (j - 64)) & 1); j++) {}
            th ^= t->hi[j];
            tl ^= t->lo[j];
            if (!++il) ih++;
        }
        sector_xor(data, w, 16 * n);
        sector_blocks(k, data, n, 0, level);
        sector_xor(data, w, 16 * n);
    }
}

/* ``ivs``: 16 bytes a sector, or NULL for the little-endian numbers first, first + step ...; ``tweak`` encrypts them when there is one. */
static void sectors_run(const sector_key *k, const sector_key *tweak, const lrw_table *lrw, int mode, uint8_t *data, int64_t size, int64_t unit,
                        uint64_t first, uint64_t step, const uint8_t *ivs, int level) {
    uint8_t w[16 * SECTOR_GROUP];
    int64_t n, i;
    if (mode == MODE_ECB || mode == MODE_ECB_ENCRYPT) {
        sector_blocks(k, data, size / 16, mode == MODE_ECB_ENCRYPT, level);
        return;
    }
    for (; size > 0; size -= n * unit, data += n * unit) {
        n = size / unit < SECTOR_GROUP ? size / unit : SECTOR_GROUP;
        if (ivs) {
            memcpy(w, ivs, (size_t)(16 * n));
            ivs += 16 * n;
        } else
            for (i = 0; i < n; i++, first += step) {
                sector_put(w + 16 * i, first);
                sector_put(w + 16 * i + 8, 0);
            }
        if (tweak) sector_blocks(tweak, w, n, 1, level);
        for (i = 0; i < n; i++) {
            if (mode == MODE_CBC) sector_cbc(k, w + 16 * i, data + i * unit, unit / 16, level);
            else if (mode == MODE_XTS) sector_xts(k, w + 16 * i, data + i * unit, unit / 16, level);
            else sector_lrw(k, lrw, w + 16 * i, data + i * unit, unit / 16, level);
        }
    }
}

#endif
