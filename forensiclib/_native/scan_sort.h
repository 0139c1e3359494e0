/* The hits of the signature scan in order: ascending offsets, then numbers. */
#ifndef FORENSICLIB_SCAN_SORT_H
#define FORENSICLIB_SCAN_SORT_H

#include "scan_tables.h"

static int scan_less(const scan_hit *a, const scan_hit *b) { return a->at < b->at || (a->at == b->at && a->pattern < b->pattern); }

/* The hits from ``from`` on, which begin in [low, low + reach): by seven bits of the offset at a time, stable.
   Without memory they stay as they are, which costs time in scan_sort and nothing else. */
static void scan_tidy(scan_state *s, int64_t from, int64_t low, int64_t reach) {
    int64_t n = s->count - from, i;
    scan_hit *h = s->hits + from, *other, *spare;
    int shift;
    if (n < 24) return;
    spare = other = (scan_hit *)malloc((size_t)n * sizeof(scan_hit));
    if (!spare) return;
    for (shift = 0; reach >> shift; shift += 7) {
        int64_t ends[129] = {0};
        scan_hit *swap = h;
        for (i = 0; i < n; i++) ends[((h[i].at - low) >> shift & 127) + 1]++;
        for (i = 0; i < 128; i++) ends[i + 1] += ends[i];
        for (i = 0; i < n; i++) other[ends[(h[i].at - low) >> shift & 127]++] = h[i];
        h = other;
        other = swap;
    }
    if (h == spare) memcpy(s->hits + from, spare, (size_t)n * sizeof(scan_hit));
    free(spare);
}

/* Merge sort for what is nearly in order: only the overlap of two runs is moved. -1 without memory. */
static int scan_sort(scan_hit *h, int64_t n) {
    scan_hit *spare = NULL;
    int64_t i, j, width, room = 0;
    for (i = 1; i < n; i++) {
        scan_hit one = h[i];
        for (j = i; j & 15 && scan_less(&one, h + j - 1); j--) h[j] = h[j - 1];
        h[j] = one;
    }
    for (width = 16; width < n; width *= 2)
        for (i = 0; i + width < n; i += 2 * width) {
            int64_t low = i, mid = i + width, high = mid + width < n ? mid + width : n, to, k, end;
            if (!scan_less(h + mid, h + mid - 1)) continue;
            for (end = mid; low < end;) {  /* what stays in place on the left */
                k = (low + end) / 2;
                if (scan_less(h + mid, h + k)) end = k;
                else low = k + 1;
            }
            for (to = mid, end = high; to < end;) {  /* and on the right */
                k = (to + end) / 2;
                if (scan_less(h + k, h + mid - 1)) to = k + 1;
                else end = k;
            }
            high = to;
            if (mid - low > room) {
                free(spare);
                room = mid - low;
                spare = (scan_hit *)malloc((size_t)room * sizeof(scan_hit));
                if (!spare) return -1;
            }
            memcpy(spare, h + low, (size_t)(mid - low) * sizeof(scan_hit));
            for (j = 0, k = mid, end = mid - low, to = low; j < end; to++) h[to] = k < high && scan_less(h + k, spare + j) ? h[k++] : spare[j++];
        }
    free(spare);
    return 0;
}

#endif
