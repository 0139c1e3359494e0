/* LZFSE's compressed blocks (bvx1, bvx2): finite state entropy of literals and matches. Used by lzfse.pxi.

Source: "LZFSE compressed data format" in the documentation of libfmos; J. Duda, "Asymmetric numeral systems" (2013), for the tables. */

#ifndef FORENSICLIB_LZFSE_H
#define FORENSICLIB_LZFSE_H

#include <stdint.h>
#include <string.h>

#define LZFSE_LITERALS 40000
#define LZFSE_MATCHES 10000
#define LZFSE_SYMBOLS 360
#define LZFSE_NONE 255

/* Symbols of lengths and distances -> extra bits and the value that these are added to. */
static const uint8_t lzfse_l_bits[20] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 5, 8};
static const uint8_t lzfse_m_bits[20] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 8, 11};

typedef struct { uint8_t bits, extra; uint16_t next; uint32_t base; } lzfse_state;

typedef struct {
    lzfse_state l[64], m[64], d[256], u[1024];
    uint8_t literals[LZFSE_LITERALS + 4];
} lzfse_work;

typedef struct {
    int64_t raw, literals, matches, literal_bytes, match_bytes;
    int literal_bits, match_bits;
    uint32_t u[4], l, m, d;
} lzfse_head;

/* A stream that is read from its last bit backwards: [from, end) with ``left`` bits of it not read. */
typedef struct { const uint8_t* from; int64_t left; } lzfse_bits;

static inline uint32_t lzfse_u32(const uint8_t* p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static inline uint64_t lzfse_u64(const uint8_t* p) { return lzfse_u32(p) | (uint64_t)lzfse_u32(p + 4) << 32; }

/* The next 57 bits or more on top of a word, zeros behind the last. */
static inline uint64_t lzfse_peek(const lzfse_bits* in) {
    int64_t top = (in->left + 7) >> 3, k;
    uint64_t word = 0;
    if (top >= 8) word = lzfse_u64(in->from + top - 8);
    else for (k = 0; k < top; k++) word |= (uint64_t)in->from[k] << (8 * (8 - top + k));
    return word << (8 * top - in->left);
}

/* The top ``count`` bits of the word, and these away from it. */
static inline uint32_t lzfse_take(uint64_t* word, unsigned count) {
    uint32_t value = (uint32_t)(*word >> 1 >> (63 - count));
    *word <<= count;
    return value;
}

static inline int lzfse_begin(lzfse_bits* in, const uint8_t* from, int64_t bytes, int bits) {
    in->from = from;
    in->left = 8 * bytes + bits;
    /* The bits above the first one are zero. */
    return in->left >= 0 && (bits == 0 || from[bytes - 1] >> (8 + bits) == 0);
}

/* States in the order of their symbols; what the counts leave over has no meaning. */
static int lzfse_table(lzfse_state* out, unsigned size, const uint16_t* counts, unsigned symbols, const uint8_t* extra) {
    unsigned at = 0, symbol, x, bits;
    uint32_t base = 0;
    for (symbol = 0; symbol < symbols; symbol++) {
        unsigned count = counts[symbol];
        uint8_t more = extra ? extra[symbol] : symbols == 64 ? (uint8_t)(symbol >> 2) : 0;
        if (at + count > size) return 0;
        for (x = count; x < 2 * count; x++, at++) {
            for (bits = 0; x << bits < size; bits++) {}
            out[at].bits = (uint8_t)bits;
            out[at].extra = more;
            out[at].next = (uint16_t)((x << bits) - size);
            out[at].base = symbols == 256 ? symbol : base;
        }
        base += (uint32_t)1 << more;
    }
    for (; at < size; at++) out[at].bits = LZFSE_NONE;
    return 1;
}

/* The counts of a bvx2 header, which fill ``bytes`` but for less than eight bits. */
static int lzfse_counts(uint16_t* counts, const uint8_t* from, int64_t bytes) {
    int64_t at = 0;
    int i;
    if (bytes == 0) {
        memset(counts, 0, LZFSE_SYMBOLS * sizeof(uint16_t));
        return 1;
    }
    for (i = 0; i < LZFSE_SYMBOLS; i++) {
        uint32_t code = 0;
        int k;
        unsigned width, value;
        for (k = 0; k < 3; k++)
            if ((at >> 3) + k < bytes) code |= (uint32_t)from[(at >> 3) + k] << (8 * k);
        code >>= at & 7;
        if ((code & 1) == 0) { width = 2; value = code >> 1 & 1; }
        else if ((code & 2) == 0) { width = 3; value = 2 + (code >> 2 & 1); }
        else if ((code & 4) == 0) { width = 5; value = 4 + (code >> 3 & 3); }
        else if ((code & 8) == 0) { width = 8; value = 8 + (code >> 4 & 15); }
        else { width = 14; value = 24 + (code >> 4 & 1023); }
        at += width;
        counts[i] = (uint16_t)value;
    }
    return (at + 7) >> 3 == bytes;
}

static inline void lzfse_copy(uint8_t* to, uint64_t back, int64_t length) {
    const uint8_t* from = to - back;
    int64_t k = 0;
    if (back >= 8) for (; k + 8 <= length; k += 8) memcpy(to + k, from + k, 8);
    for (; k < length; k++) to[k] = from[k];
}

/* One block behind its header: ``made`` bytes of ``out`` are there, up to ``room`` may be. The new count, or -1. */
static int64_t lzfse_block(lzfse_work* work, const lzfse_head* head, const uint8_t* from, uint8_t* out, int64_t made, int64_t room) {
    lzfse_bits in;
    uint32_t u[4], l = head->l, m = head->m, d = head->d;
    uint64_t back = 0;
    int64_t i, next = 0, start = made;
    int k;
    memcpy(u, head->u, sizeof u);
    if (!lzfse_begin(&in, from, head->literal_bytes, head->literal_bits)) return -1;
    for (i = 0; i < head->literals; i += 4) {
        uint64_t word = lzfse_peek(&in);
        for (k = 0; k < 4; k++) {
            lzfse_state s = work->u[u[k]];
            if (s.bits == LZFSE_NONE) return -1;
            in.left -= s.bits;
            work->literals[i + k] = (uint8_t)s.base;
            u[k] = s.next + lzfse_take(&word, s.bits);
        }
        if (in.left < 0) return -1;
    }
    if (!lzfse_begin(&in, from + head->literal_bytes, head->match_bytes, head->match_bits)) return -1;
    for (i = 0; i < head->matches; i++) {
        uint64_t word = lzfse_peek(&in), far;
        int64_t literals, length;
        lzfse_state a = work->l[l], b, c;
        if (a.bits == LZFSE_NONE) return -1;
        l = a.next + lzfse_take(&word, a.bits);
        literals = a.base + lzfse_take(&word, a.extra);
        b = work->m[m];
        if (b.bits == LZFSE_NONE) return -1;
        m = b.next + lzfse_take(&word, b.bits);
        length = b.base + lzfse_take(&word, b.extra);
        c = work->d[d];
        if (c.bits == LZFSE_NONE) return -1;
        d = c.next + lzfse_take(&word, c.bits);
        far = c.base + lzfse_take(&word, c.extra);
        in.left -= a.bits + a.extra + b.bits + b.extra + c.bits + c.extra;
        if (in.left < 0) return -1;
        if (far) back = far;
        if (literals > head->literals - next || literals + length > room - made) return -1;
        memcpy(out + made, work->literals + next, (size_t)literals);
        next += literals;
        made += literals;
        if (length) {
            if (back == 0 || back > (uint64_t)made) return -1;
            lzfse_copy(out + made, back, length);
            made += length;
        }
    }
    return made - start == head->raw ? made : -1;
}

static inline uint32_t lzfse_field(uint64_t word, unsigned at, unsigned bits) { return (uint32_t)(word >> at & (((uint64_t)1 << bits) - 1)); }

/* The header at ``p``: its length, or 0 when it cannot be one. Fills the tables. */
static int64_t lzfse_header(lzfse_work* work, lzfse_head* head, const uint8_t* p, int64_t have) {
    uint16_t counts[LZFSE_SYMBOLS];
    int64_t size;
    int i;
    if (p[3] == '2') {
        uint64_t one, two, three;
        if (have < 32) return 0;
        one = lzfse_u64(p + 8), two = lzfse_u64(p + 16), three = lzfse_u64(p + 24);
        head->literals = lzfse_field(one, 0, 20);
        head->literal_bytes = lzfse_field(one, 20, 20);
        head->matches = lzfse_field(one, 40, 20);
        head->literal_bits = (int)lzfse_field(one, 60, 3) - 7;
        for (i = 0; i < 4; i++) head->u[i] = lzfse_field(two, 10 * i, 10);
        head->match_bytes = lzfse_field(two, 40, 20);
        head->match_bits = (int)lzfse_field(two, 60, 3) - 7;
        size = lzfse_field(three, 0, 32);
        head->l = lzfse_field(three, 32, 10);
        head->m = lzfse_field(three, 42, 10);
        head->d = lzfse_field(three, 52, 10);
        if (size < 32 || size > have || !lzfse_counts(counts, p + 32, size - 32)) return 0;
    } else {
        size = 772;
        if (have < size) return 0;
        head->literals = lzfse_u32(p + 12);
        head->matches = lzfse_u32(p + 16);
        head->literal_bytes = lzfse_u32(p + 20);
        head->match_bytes = lzfse_u32(p + 24);
        head->literal_bits = (int32_t)lzfse_u32(p + 28);
        for (i = 0; i < 4; i++) head->u[i] = lzfse_u32(p + 32 + 2 * i) & 0xFFFF;
        head->match_bits = (int32_t)lzfse_u32(p + 40);
        head->l = lzfse_u32(p + 44) & 0xFFFF;
        head->m = lzfse_u32(p + 44) >> 16;
        head->d = p[48] | (uint32_t)p[49] << 8;
        for (i = 0; i < LZFSE_SYMBOLS; i++) counts[i] = (uint16_t)(p[50 + 2 * i] | p[51 + 2 * i] << 8);
    }
    head->raw = lzfse_u32(p + 4);
    if (head->literals > LZFSE_LITERALS || head->literals & 3 || head->matches > LZFSE_MATCHES) return 0;
    if (head->literal_bits < -7 || head->literal_bits > 0 || head->match_bits < -7 || head->match_bits > 0) return 0;
    if (head->l > 63 || head->m > 63 || head->d > 255) return 0;
    for (i = 0; i < 4; i++) if (head->u[i] > 1023) return 0;
    if (head->literal_bytes + head->match_bytes > have - size) return 0;
    if (!lzfse_table(work->l, 64, counts, 20, lzfse_l_bits) || !lzfse_table(work->m, 64, counts + 20, 20, lzfse_m_bits)) return 0;
    if (!lzfse_table(work->d, 256, counts + 40, 64, 0) || !lzfse_table(work->u, 1024, counts + 104, 256, 0)) return 0;
    return size;
}

#endif
