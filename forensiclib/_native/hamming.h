/* Distances between hashes of one width, laid end to end. */
#ifndef FORENSICLIB_HAMMING_H
#define FORENSICLIB_HAMMING_H

#include <stdint.h>
#include <string.h>
#include "popcount.h"

typedef struct { int64_t left, right; int32_t distance, pad; } hamming_pair;

POPCOUNT_INLINE int hamming_two(const uint8_t *a, const uint8_t *b, int64_t width, int fast) {
    int total = 0;
    for (; width >= 8; width -= 8, a += 8, b += 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        total += popcount_of(x ^ y, fast);
    }
    for (; width > 0; width--) total += popcount_of((uint64_t)(*a++ ^ *b++), fast);
    return total;
}

POPCOUNT_INLINE void hamming_each_with(const uint8_t *one, const uint8_t *many, int64_t count, int64_t width, uint16_t *out, int fast) {
    int64_t i;
    if (width == 32)
        for (i = 0; i < count; i++) out[i] = (uint16_t)hamming_two(one, many + i * 32, 32, fast);
    else if (width == 8)
        for (i = 0; i < count; i++) out[i] = (uint16_t)hamming_two(one, many + i * 8, 8, fast);
    else
        for (i = 0; i < count; i++) out[i] = (uint16_t)hamming_two(one, many + i * width, width, fast);
}

/* Pairs not further apart than ``most``, row by row of the left; a row is begun only while ``room`` holds all of it.
   Returns the rows done. */
POPCOUNT_INLINE int64_t hamming_near_with(const uint8_t *left, int64_t lefts, const uint8_t *right, int64_t rights, int64_t width, int most,
                                          hamming_pair *out, int64_t room, int64_t *found, int fast) {
    int64_t i, j, n = 0;
    for (i = 0; i < lefts && room - n >= rights; i++, left += width)
        for (j = 0; j < rights; j++) {
            int d = width == 32 ? hamming_two(left, right + j * 32, 32, fast)
                  : width == 8 ? hamming_two(left, right + j * 8, 8, fast) : hamming_two(left, right + j * width, width, fast);
            if (d <= most) {
                out[n].left = i;
                out[n].right = j;
                out[n].pad = 0;
                out[n++].distance = d;
            }
        }
    *found = n;
    return i;
}

#ifdef POPCOUNT_X86
POPCOUNT_TARGET static void hamming_each_fast(const uint8_t *one, const uint8_t *many, int64_t count, int64_t width, uint16_t *out) {
    hamming_each_with(one, many, count, width, out, 1);
}
POPCOUNT_TARGET static int64_t hamming_near_fast(const uint8_t *left, int64_t lefts, const uint8_t *right, int64_t rights, int64_t width, int most,
                                                 hamming_pair *out, int64_t room, int64_t *found) {
    return hamming_near_with(left, lefts, right, rights, width, most, out, room, found, 1);
}
#endif

static void hamming_each(const uint8_t *one, const uint8_t *many, int64_t count, int64_t width, uint16_t *out, int fast) {
#ifdef POPCOUNT_X86
    if (fast) {
        hamming_each_fast(one, many, count, width, out);
        return;
    }
#endif
    (void)fast;
    hamming_each_with(one, many, count, width, out, 0);
}

static int64_t hamming_near(const uint8_t *left, int64_t lefts, const uint8_t *right, int64_t rights, int64_t width, int most,
                            hamming_pair *out, int64_t room, int64_t *found, int fast) {
#ifdef POPCOUNT_X86
    if (fast) return hamming_near_fast(left, lefts, right, rights, width, most, out, room, found);
#endif
    (void)fast;
    return hamming_near_with(left, lefts, right, rights, width, most, out, room, found, 0);
}

static void hamming_squares(const uint8_t *one, const uint8_t *many, int64_t count, int64_t width, uint32_t *out) {
    int64_t i, k;
    for (i = 0; i < count; i++, many += width) {
        uint32_t sum = 0;
        for (k = 0; k < width; k++) {
            int d = (int)one[k] - many[k];
            sum += (uint32_t)(d * d);
        }
        out[i] = sum;
    }
}

#endif
