/* Sorted rows of digests: sorting them once, and finding many at a time. */
#ifndef FORENSICLIB_BLOCKSET_H
#define FORENSICLIB_BLOCKSET_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define BS_AHEAD(p) __builtin_prefetch(p)
#else
#define BS_AHEAD(p) (void)(p)
#endif

enum { BS_SIDE = 16 };

static uint32_t bs_top(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void bs_swap(uint8_t *a, uint8_t *b, size_t width) {
    uint8_t kept[64];
    memcpy(kept, a, width);
    memcpy(a, b, width);
    memcpy(b, kept, width);
}

static void bs_sink(uint8_t *rows, size_t i, size_t n, size_t width) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && memcmp(rows + child * width, rows + (child + 1) * width, width) < 0) child++;
        if (memcmp(rows + i * width, rows + child * width, width) >= 0) return;
        bs_swap(rows + i * width, rows + child * width, width);
        i = child;
    }
}

/* Heapsort: no order of the rows makes it slow. */
static void bs_heap(uint8_t *rows, size_t n, size_t width) {
    size_t i;
    for (i = n / 2; i-- > 0;) bs_sink(rows, i, n, width);
    for (i = n; i-- > 1;) {
        bs_swap(rows, rows + i * width, width);
        bs_sink(rows, 0, i, width);
    }
}

/* Rows in order and once each in ``out``: spread by the first 16 bits, then each share by itself. Returns how many, or -1 without memory. */
static int64_t bs_sort(const uint8_t *rows, size_t n, size_t width, uint8_t *out) {
    size_t *starts = (size_t *)calloc(65537, sizeof(size_t));
    size_t i, kept = 0;
    uint32_t top;
    if (!starts) return -1;
    for (i = 0; i < n; i++) starts[(bs_top(rows + i * width) >> 16) + 1]++;
    for (i = 0; i < 65536; i++) starts[i + 1] += starts[i];
    for (i = 0; i < n; i++) {
        top = bs_top(rows + i * width) >> 16;
        memcpy(out + starts[top]++ * width, rows + i * width, width);
    }
    /* starts[t] is the end of share t now */
    for (i = 0; i < 65536; i++) bs_heap(out + (i ? starts[i - 1] : 0) * width, starts[i] - (i ? starts[i - 1] : 0), width);
    free(starts);
    for (i = 0; i < n; i++)
        if (!i || memcmp(out + i * width, out + (kept - 1) * width, width)) {
            if (kept != i) memcpy(out + kept * width, out + i * width, width);
            kept++;
        }
    return (int64_t)kept;
}

/* index[t]: the first row whose top ``bits`` bits are t or more. */
static void bs_index(const uint8_t *rows, size_t n, size_t width, int bits, uint32_t *index) {
    size_t i;
    uint32_t top, next = 0;
    for (i = 0; i < n; i++)
        for (top = bs_top(rows + i * width) >> (32 - bits); next <= top; next++) index[next] = (uint32_t)i;
    for (; next <= 1u << bits; next++) index[next] = (uint32_t)n;
}

/* The row of each query, or -1. A wrong index misses rows and never reads past them. */
static void bs_find(const uint8_t *rows, size_t n, size_t width, int bits, const uint32_t *index, const uint8_t *queries, size_t asked, int32_t *found) {
    uint32_t low[BS_SIDE], high[BS_SIDE], top[BS_SIDE];
    size_t at, i, take;
    for (at = 0; at < asked; at += take) {
        take = asked - at < BS_SIDE ? asked - at : BS_SIDE;
        for (i = 0; i < take; i++) {
            top[i] = bs_top(queries + (at + i) * width) >> (32 - bits);
            BS_AHEAD(index + top[i]);
        }
        for (i = 0; i < take; i++) {
            low[i] = index[top[i]];
            high[i] = index[top[i] + 1];
            if (high[i] > n) high[i] = (uint32_t)n;
            if (low[i] < high[i]) BS_AHEAD(rows + (low[i] + (high[i] - low[i]) / 2) * width);
        }
        for (i = 0; i < take; i++) {
            const uint8_t *query = queries + (at + i) * width;
            found[at + i] = -1;
            while (low[i] < high[i]) {
                uint32_t middle = low[i] + (high[i] - low[i]) / 2;
                int order = memcmp(query, rows + middle * width, width);
                if (!order) { found[at + i] = (int32_t)middle; break; }
                if (order < 0) high[i] = middle;
                else low[i] = middle + 1;
            }
        }
    }
}

#endif
