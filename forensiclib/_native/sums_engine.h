/* The digests behind one door: kinds, saved states, updates of many at once, results. */
#ifndef FORENSICLIB_SUMS_ENGINE_H
#define FORENSICLIB_SUMS_ENGINE_H

#include "sums.h"
#include "sums_blake3.h"
#include "sums_crc32.h"
#include "sums_trio.h"
#include "sums_wide.h"

/* In the order of SUM_KINDS in _plain/sums.py. */
enum {
    SUM_MD5, SUM_SHA1, SUM_SHA224, SUM_SHA256, SUM_SHA384, SUM_SHA512, SUM_SHA3_224, SUM_SHA3_256, SUM_SHA3_384, SUM_SHA3_512, SUM_BLAKE2B, SUM_BLAKE3,
    SUM_CRC32, SUM_KINDS
};

enum { SUM_SLICE = 1 << 18 }; /* bytes that stay in a core's cache while one sum after the other takes them */

typedef struct {
    uint8_t words, width, block, digest;
} sum_shape;

static const sum_shape sum_shapes[SUM_KINDS] = {
    {4, 4, 64, 16},  {5, 4, 64, 20},  {8, 4, 64, 28},  {8, 4, 64, 32},  {8, 8, 128, 48}, {8, 8, 128, 64}, {25, 8, 144, 28},
    {25, 8, 136, 32}, {25, 8, 104, 48}, {25, 8, 72, 64}, {8, 8, 128, 64}, {8, 4, 64, 32},  {1, 4, 0, 4},
};

typedef union {
    uint32_t w[8];
    uint64_t q[25];
} sum_words;

/* Bytes of a saved state. */
static size_t sum_state_size(int kind) {
    const sum_shape *s = sum_shapes + kind;
    return 8 + (size_t)s->words * s->width + s->block + (kind == SUM_BLAKE3 ? 32 * B3_DEPTH : 0);
}

static void sum_load(int kind, const uint8_t *state, sum_words *v) {
    int i;
    for (i = 0; i < sum_shapes[kind].words; i++)
        if (sum_shapes[kind].width == 4) v->w[i] = sums_le32(state + 8 + 4 * i);
        else v->q[i] = sums_le64(state + 8 + 8 * i);
}

static void sum_store(int kind, uint8_t *state, const sum_words *v) {
    int i;
    for (i = 0; i < sum_shapes[kind].words; i++)
        if (sum_shapes[kind].width == 4) sums_put32(state + 8 + 4 * i, v->w[i]);
        else sums_put64(state + 8 + 8 * i, v->q[i]);
}

static void sum_begin(int kind, uint8_t *state) {
    static const uint32_t old[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    static const uint32_t h224[8] = {0xc1059ed8u, 0x367cd507u, 0x3070dd17u, 0xf70e5939u, 0xffc00b31u, 0x68581511u, 0x64f98fa7u, 0xbefa4fa4u};
    static const uint64_t h384[8] = {
        0xcbbb9d5dc1059ed8u, 0x629a292a367cd507u, 0x9159015a3070dd17u, 0x152fecd8f70e5939u,
        0x67332667ffc00b31u, 0x8eb44a8768581511u, 0xdb0c2e0d64f98fa7u, 0x47b5481dbefa4fa4u,
    };
    sum_words v;
    memset(&v, 0, sizeof v);
    memset(state, 0, sum_state_size(kind));
    switch (kind) {
        case SUM_MD5: case SUM_SHA1: memcpy(v.w, old, sizeof old); break;
        case SUM_SHA224: memcpy(v.w, h224, sizeof h224); break;
        case SUM_SHA256: case SUM_BLAKE3: memcpy(v.w, b3_iv, sizeof b3_iv); break;
        case SUM_SHA384: memcpy(v.q, h384, sizeof h384); break;
        case SUM_SHA512: memcpy(v.q, sha512_h, sizeof sha512_h); break;
        case SUM_BLAKE2B: memcpy(v.q, sha512_h, sizeof sha512_h), v.q[0] ^= 0x01010040u; break; /* 64 bytes, no key, no tree */
        default: break;
    }
    sum_store(kind, state, &v);
}

static void trio_load(trio *t, int kind, const uint8_t *state) {
    sum_words v;
    sum_load(kind, state, &v);
    if (kind == SUM_MD5) memcpy(t->md5, v.w, sizeof t->md5);
    else if (kind == SUM_SHA1) memcpy(t->sha1, v.w, sizeof t->sha1);
    else memcpy(t->sha256, v.w, sizeof t->sha256);
}

static void trio_store(const trio *t, int kind, uint8_t *state) {
    sum_words v;
    if (kind == SUM_MD5) memcpy(v.w, t->md5, sizeof t->md5);
    else if (kind == SUM_SHA1) memcpy(v.w, t->sha1, sizeof t->sha1);
    else memcpy(v.w, t->sha256, sizeof t->sha256);
    sum_store(kind, state, &v);
}

static int trio_which(int kind) {
    return kind == SUM_MD5 ? TRIO_MD5 : kind == SUM_SHA1 ? TRIO_SHA1 : TRIO_SHA256;
}

static void sum_blocks(int kind, sum_words *v, const uint8_t *p, size_t n, uint64_t count, int level) {
    if (kind <= SUM_SHA512) sha512_blocks(v->q, p, n, level);
    else if (kind <= SUM_SHA3_512) SUMS_CHOOSE(sha3_blocks, level, v->q, p, n, sum_shapes[kind].block);
    else SUMS_CHOOSE(blake2b_blocks, level, v->q, p, n, count);
}

/* Up to three sums of 64-byte blocks with as many bytes waiting, in one pass. */
static void sum_trio(int n, const int *kinds, uint8_t **states, const uint8_t *p, size_t size, int level, int sha) {
    trio t;
    uint64_t count = sums_le64(states[0]);
    size_t have = (size_t)(count & 63), take = 0;
    int i, which = 0;
    memset(&t, 0, sizeof t);
    for (i = 0; i < n; i++) trio_load(&t, kinds[i], states[i]), which |= trio_which(kinds[i]);
    if (have) {
        take = size < 64 - have ? size : 64 - have;
        for (i = 0; i < n; i++) memcpy(states[i] + sum_state_size(kinds[i]) - 64 + have, p, take);
        p += take;
        if (have + take == 64) trio_blocks(&t, which, states[0] + sum_state_size(kinds[0]) - 64, 1, level, sha);
    }
    if (size - take >= 64) trio_blocks(&t, which, p, (size - take) / 64, level, sha);
    for (i = 0; i < n; i++) {
        uint8_t *tail = states[i] + sum_state_size(kinds[i]) - 64;
        if (have + size >= 64) {
            memset(tail, 0, 64);
            memcpy(tail, p + ((size - take) & ~(size_t)63), (size - take) & 63);
        } else if (!have) memcpy(tail, p, size);
        trio_store(&t, kinds[i], states[i]);
        sums_put64(states[i], sums_le64(states[i]) + size);
    }
}

static void sum_blake3(uint8_t *state, const uint8_t *p, size_t size, uint8_t *digest, int level) {
    blake3_state s;
    uint32_t waits;
    sum_words v;
    s.count = sums_le64(state);
    sum_load(SUM_BLAKE3, state, &v);
    memcpy(s.cv, v.w, sizeof s.cv);
    memcpy(s.block, state + 40, 64);
    memcpy(s.stack, state + 104, 32 * B3_DEPTH);
    if (digest) {
        blake3_end(&s, digest);
        return;
    }
    blake3_more(&s, p, size, level);
    memcpy(v.w, s.cv, sizeof s.cv);
    sum_store(SUM_BLAKE3, state, &v);
    sums_put64(state, s.count);
    /* One state for one stream, however it was cut: nothing stays of what is done with. */
    waits = b3_inside(s.count, 64);
    memset(s.block + waits, 0, 64 - waits);
    memcpy(state + 40, s.block, 64);
    waits = s.count ? (uint32_t)b3_bits((s.count - 1) / B3_CHUNK) : 0;
    memset(state + 104, 0, 32 * B3_DEPTH);
    memcpy(state + 104, s.stack, 32 * waits);
}

static void sum_more(int kind, uint8_t *state, const uint8_t *p, size_t size, int level, int sha) {
    const size_t block = sum_shapes[kind].block, lazy = kind == SUM_BLAKE2B;
    uint8_t *tail = state + sum_state_size(kind) - block;
    uint64_t count = sums_le64(state);
    size_t have, take, n;
    sum_words v;
    if (size == 0) return;
    if (kind <= SUM_SHA256) {
        sum_trio(1, &kind, &state, p, size, level, sha);
        return;
    }
    if (kind == SUM_BLAKE3) {
        sum_blake3(state, p, size, NULL, level);
        return;
    }
    sum_load(kind, state, &v);
    if (kind == SUM_CRC32) v.w[0] = ~crc32_more(~v.w[0], p, size, level);
    else {
        /* A lazy sum keeps a full block until the byte behind it comes: its last block is another. */
        have = count ? (size_t)((count - lazy) % block + lazy) : 0;
        take = size < block - have ? size : block - have;
        if (have) {
            memcpy(tail + have, p, take);
            if (have + take == block && (!lazy || size > take)) sum_blocks(kind, &v, tail, 1, count - have, level), have = 0;
            else have += take;
            p += take, size -= take, count += take;
        }
        if (have == 0) {
            n = (size - (lazy && size)) / block;
            if (n) sum_blocks(kind, &v, p, n, count, level);
            memset(tail, 0, block);
            memcpy(tail, p + n * block, size - n * block);
        }
        count += size, size = 0;
        sum_store(kind, state, &v);
        sums_put64(state, count);
        return;
    }
    sum_store(kind, state, &v);
    sums_put64(state, count + size);
}

/* All of ``data`` into n sums. What can go in one pass does. ``sha``: the processor has instructions for SHA-1 and SHA-256. */
static void sums_update(int n, const int *kinds, uint8_t *const *states, const uint8_t *data, size_t size, int level, int sha) {
    int slots[3], fused[3], i, k;
    uint8_t *together[3];
    size_t take;
    for (i = 0; i < n; i++) /* trees are the faster the larger */
        if (kinds[i] == SUM_BLAKE3) sum_more(kinds[i], states[i], data, size, level, sha);
    for (; size; size -= take, data += take) {
        take = size < SUM_SLICE ? size : SUM_SLICE;
        slots[0] = slots[1] = slots[2] = -1;
        for (i = 0, k = 0; i < n; i++)
            if (kinds[i] <= SUM_SHA256) {
                int slot = kinds[i] <= SUM_SHA1 ? kinds[i] : 2;
                if (slots[slot] < 0 && (k == 0 || ((states[i][0] ^ together[0][0]) & 63) == 0)) slots[slot] = i, fused[k] = kinds[i], together[k++] = states[i];
            }
        if (k) sum_trio(k, fused, together, data, take, level, sha);
        for (i = 0; i < n; i++)
            if (kinds[i] != SUM_BLAKE3 && i != slots[0] && i != slots[1] && i != slots[2]) sum_more(kinds[i], states[i], data, take, level, sha);
    }
}

/* The digest of what the state has seen; the state may go on. */
static void sum_finish(int kind, const uint8_t *state, uint8_t *digest) {
    uint8_t copy[8 + 200 + 144 + 32 * B3_DEPTH], *tail, last[256];
    const sum_shape *s = sum_shapes + kind;
    const uint64_t count = sums_le64(state);
    size_t have, size = 0, i;
    sum_words v;
    memcpy(copy, state, sum_state_size(kind));
    tail = copy + sum_state_size(kind) - s->block;
    if (kind == SUM_BLAKE3) {
        sum_blake3(copy, NULL, 0, digest, 0);
        return;
    }
    memset(last, 0, sizeof last);
    if (kind <= SUM_SHA512) {
        const size_t field = s->block / 8;
        have = (size_t)(count % s->block);
        memcpy(last, tail, have);
        last[have] = 0x80;
        size = have + 1 + field <= s->block ? s->block : 2 * (size_t)s->block;
        if (kind == SUM_MD5) sums_put64(last + size - 8, count << 3);
        else {
            for (i = 0; i < 8; i++) last[size - 1 - i] = (uint8_t)(count << 3 >> (8 * i));
            if (field == 16) last[size - 9] = (uint8_t)(count >> 61);
        }
        if (kind <= SUM_SHA256) {
            trio t;
            memset(&t, 0, sizeof t);
            trio_load(&t, kind, copy);
            trio_blocks(&t, trio_which(kind), last, size / 64, 0, 0);
            trio_store(&t, kind, copy);
        }
    }
    sum_load(kind, copy, &v);
    if (kind > SUM_SHA256 && kind <= SUM_SHA512) sum_blocks(kind, &v, last, size / s->block, 0, 0);
    else if (kind >= SUM_SHA3_224 && kind <= SUM_SHA3_512) {
        have = (size_t)(count % s->block);
        memcpy(last, tail, have);
        last[have] ^= 0x06;
        last[s->block - 1] ^= 0x80;
        sum_blocks(kind, &v, last, 1, 0, 0);
    } else if (kind == SUM_BLAKE2B) {
        have = count ? (size_t)((count - 1) % 128 + 1) : 0;
        memcpy(last, tail, have);
        blake2b_last(v.q, last, count - have, (int)have);
    }
    for (i = 0; i < s->digest; i++) {
        const int big = kind == SUM_SHA1 || kind == SUM_SHA224 || kind == SUM_SHA256 || kind == SUM_SHA384 || kind == SUM_SHA512 || kind == SUM_CRC32;
        const size_t word = i / s->width, byte = big ? s->width - 1 - i % s->width : i % s->width;
        digest[i] = (uint8_t)(s->width == 4 ? v.w[word] >> (8 * byte) : v.q[word] >> (8 * byte));
    }
}

#endif
