/* The first filter of the signature scan: which anchors share a bucket, and the tables: a part of scan_tables.h, which includes it in its place. */
#ifndef FORENSICLIB_SCAN_DEAL_H
#define FORENSICLIB_SCAN_DEAL_H

/* What each look-up asks: the byte at one place, and where it is another, that there, rotated so far, mixed in. */
static const uint8_t SCAN_ASK[SCAN_LOOKUPS][3] = {{0, 0, 0}, {1, 1, 0}, {3, 3, 0}, {1, 2, 3}, {0, 2, 5}, {1, 3, 5}, {2, 2, 0}, {0, 1, 3}, {2, 3, 3}, {0, 3, 5}};

/* Of pairs with more open bits than SCAN_OPEN nothing is asked; a look-up costs as much as SCAN_ASKING candidates in 2^32 places. */
enum { SCAN_OPEN = 9, SCAN_ASKING = 4000000, SCAN_CELLS = 128 };

/* For each look-up a bit for each of the 256 values: what a place must answer. */
typedef struct { uint64_t said[SCAN_LOOKUPS][4]; } scan_accepted;

typedef struct {
    scan_accepted cell[SCAN_CELLS];
    int64_t price[SCAN_CELLS][SCAN_CELLS], alone[SCAN_CELLS];
    uint8_t kind[SCAN_CELLS], into[SCAN_CELLS], live[SCAN_CELLS], cell_of[];
} scan_dealing;

/* What an anchor accepts, also what its signature says behind it, is added. */
static void scan_accept(const scan_make *m, const scan_anchor *anchor, scan_accepted *into) {
    const uint8_t *w = m->pool + m->place[anchor->number] + anchor->place, *bits = w + m->length[anchor->number];
    uint32_t n = m->length[anchor->number] - anchor->place, j;
    for (j = 0; j < SCAN_LOOKUPS; j++) {
        uint32_t one = SCAN_ASK[j][0], two = SCAN_ASK[j][1], r = SCAN_ASK[j][2], f, g, x = 0, y;
        uint64_t *said = into->said[j];
        if (two >= n || (f = ~bits[one] & 0xFFu) == 0xFF || (g = one == two ? 0 : ~bits[two] & 0xFFu) == 0xFF || scan_ones(f) + scan_ones(g) > SCAN_OPEN) {
            said[0] = said[1] = said[2] = said[3] = ~(uint64_t)0;
            continue;
        }
        do {
            y = 0;
            do {
                uint32_t v = one == two ? 0 : w[two] | y;
                v = (w[one] | x) ^ ((v << r | v >> (8 - r)) & 0xFF);
                said[v >> 6] |= (uint64_t)1 << (v & 63);
                y = (y - g) & g;
            } while (y);
            x = (x - f) & f;
        } while (x);
    }
}

static void scan_unite(scan_accepted *one, const scan_accepted *other) {
    uint32_t j, k;
    for (j = 0; j < SCAN_LOOKUPS; j++)
        for (k = 0; k < 4; k++) one->said[j][k] |= other->said[j][k];
}

/* Of 2^51 places, how many the first look-ups let pass: of random bytes, and of bytes as common as they are on disks. */
static int64_t scan_passing(const scan_accepted *accepted, uint32_t asked) {
    uint64_t part = (uint64_t)1 << 50, other = part;
    uint32_t j, v, anywhere = 0, weight[256];
    for (v = 0; v < 256; v++) anywhere += weight[v] = 1u << (scan_common(v & 0xDF) / 4);
    for (j = 0; j < asked; j++) {
        uint32_t count = 0, sum = 0;
        for (v = 0; v < 256; v++) {
            uint32_t there = (uint32_t)(accepted->said[j][v >> 6] >> (v & 63)) & 1u;
            count += there;
            sum += there * weight[v];
        }
        part = part * count >> 8;
        if (SCAN_ASK[j][0] != SCAN_ASK[j][1]) other = other * count >> 8;
        else other = other * sum / anywhere;
    }
    return (int64_t)(part + other);
}

static void scan_reckon(scan_dealing *d, uint32_t i, uint32_t j) {
    scan_accepted both = d->cell[i];
    if (d->kind[i] != d->kind[j]) return;
    scan_unite(&both, d->cell + j);
    d->price[i][j] = scan_passing(&both, SCAN_LOOKUPS) - d->alone[i] - d->alone[j];
}

/* Which bucket each anchor of a sorted list belongs to. Neighbours begin in one cell; then those two cells are put together, again and again, of which
   the union lets the least more pass; never anchors of one byte, of two, and longer ones. The number of buckets; 0 without memory. */
static uint32_t scan_deal(const scan_make *m, const scan_anchor *anchors, uint32_t count, uint32_t buckets, uint8_t *bucket) {
    static const uint8_t room[4] = {0, 32, 32, 64};
    uint32_t i, j, k, kind, low, high, cells = 0, live, number = 0;
    scan_dealing *d = (scan_dealing *)calloc(1, sizeof *d + count);
    if (!d) return 0;
    for (low = 0; low < count; low = high) {
        kind = anchors[low].shape < 3 ? anchors[low].shape : 3;
        for (high = low; high < count && (anchors[high].shape < 3 ? anchors[high].shape : 3) == kind; high++) {}
        k = high - low < room[kind] ? high - low : room[kind];
        for (i = low; i < high; i++) {
            uint32_t cell = cells + (uint32_t)((uint64_t)(i - low) * k / (high - low));
            d->cell_of[i] = (uint8_t)cell;
            d->kind[cell] = (uint8_t)kind;
            scan_accept(m, anchors + i, d->cell + cell);
        }
        cells += k;
    }
    for (i = 0; i < cells; i++) {
        d->into[i] = (uint8_t)i;
        d->live[i] = 1;
        d->alone[i] = scan_passing(d->cell + i, SCAN_LOOKUPS);
    }
    for (i = 0; i < cells; i++)
        for (j = i + 1; j < cells; j++) scan_reckon(d, i, j);
    for (live = cells; live > buckets; live--) {
        uint32_t a = 0, z = 0;
        for (i = 0; i < cells; i++)
            for (j = i + 1; d->live[i] && j < cells; j++)
                if (d->live[j] && d->kind[i] == d->kind[j] && (!z || d->price[i][j] < d->price[a][z])) { a = i; z = j; }
        scan_unite(d->cell + a, d->cell + z);
        d->alone[a] = scan_passing(d->cell + a, SCAN_LOOKUPS);
        d->live[z] = 0;
        for (i = 0; i < cells; i++) {
            if (d->into[i] == z) d->into[i] = (uint8_t)a;
            if (d->live[i] && i != a) scan_reckon(d, i < a ? i : a, i < a ? a : i);
        }
    }
    for (i = 0; i < cells; i++)
        if (d->live[i]) d->live[i] = (uint8_t)number++;  /* from here on: its number */
    for (i = 0; i < count; i++) bucket[i] = d->live[d->into[d->cell_of[i]]];
    free(d);
    return number;
}

/* The byte tables of the first filter, how many of them to ask, and the nibble tables. 0 without memory. */
static int scan_fill_lookups(const scan_make *m, uint8_t *blob, const scan_anchor *anchors, uint32_t count, uint8_t *bucket) {
    uint8_t *table = blob + SCAN_HEADER, *nibbles = blob + SCAN_NIBBLES;
    uint64_t estimate = 0, cheapest = 0;
    uint32_t i, j, k, b, shorts = 0, briefest = 0, chosen = 0;
    scan_accepted sets[8];
    memset(sets, 0, sizeof sets);
    if (count && !scan_deal(m, anchors, count, 8, bucket)) return 0;
    for (i = 0; i < count; i++) {
        scan_accept(m, anchors + i, sets + bucket[i]);
        if (anchors[i].shape <= 2) shorts |= 1u << bucket[i];
        if (anchors[i].shape == 1) briefest |= 1u << bucket[i];
    }
    for (b = 0; b < 8; b++)
        for (j = 0; j < SCAN_LOOKUPS; j++)
            for (i = 0; i < 256; i++) table[j * 256 + i] |= (uint8_t)((sets[b].said[j][i >> 6] >> (i & 63) & 1u) << b);
    for (k = 4; k <= SCAN_LOOKUPS; k += 2) {
        uint64_t cost = (uint64_t)k * SCAN_ASKING << 19;
        for (b = 0; b < 8; b++) cost += (uint64_t)scan_passing(sets + b, k);
        if (!chosen || cost < cheapest) { chosen = k; cheapest = cost; }
    }
    scan_put(blob + 28, chosen);
    scan_put(blob + 48, shorts);
    scan_put(blob + 56, briefest);
    if (count && !scan_deal(m, anchors, count, 16, bucket)) return 0;
    for (i = 0; i < count; i++) {
        const uint8_t *w = m->pool + m->place[anchors[i].number] + anchors[i].place, *bits = w + m->length[anchors[i].number];
        for (j = 0; j < 4; j++) {
            uint8_t *t = nibbles + (bucket[i] >> 3) * 128 + j * 32, bit = (uint8_t)(1u << (bucket[i] & 7));
            uint32_t free, sub = 0;
            if (anchors[i].place + j >= m->length[anchors[i].number]) {
                for (k = 0; k < 32; k++) t[k] |= bit;
                continue;
            }
            free = ~bits[j] & 0xFFu;
            do { t[(w[j] | sub) & 15] |= bit; t[16 + ((w[j] | sub) >> 4)] |= bit; sub = (sub - free) & free; } while (sub);
        }
    }
    for (b = 0, estimate = 0; b < 16; b++) {
        uint64_t part = (uint64_t)1 << 32;
        for (j = 0; j < 4; j++) {
            const uint8_t *t = nibbles + (b >> 3) * 128 + j * 32;
            uint32_t low = 0, high = 0;
            for (i = 0; i < 16; i++) { low += t[i] >> (b & 7) & 1u; high += t[16 + i] >> (b & 7) & 1u; }
            part = part * low * high >> 8;
        }
        estimate += part;
    }
    if (estimate < (uint64_t)1 << 27) scan_put(blob + 52, scan_u32(blob + 52) | SCAN_USE_NIBBLES);
    return 1;
}

#endif
