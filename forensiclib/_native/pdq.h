/* PDQ (Meta, "The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm", 2019): luminance, two rounds of box filters,
   64 x 64 samples, a 16 x 16 corner of their cosine transform, one bit for each above the median. All in float32 and in the order of
   _plain/pdq.py, so that the bits are the same everywhere: no contraction into fused operations. */
#ifndef FORENSICLIB_PDQ_H
#define FORENSICLIB_PDQ_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang fp contract(off)
#define PDQ_EXACT
#elif defined(__GNUC__)
#define PDQ_EXACT __attribute__((optimize("fp-contract=off")))
#else
#pragma fp_contract(off)
#define PDQ_EXACT
#endif

PDQ_EXACT static void pdq_luma(const uint8_t *pixels, int64_t count, int channels, float *out) {
    int64_t i;
    if (channels == 1)
        for (i = 0; i < count; i++) out[i] = (float)pixels[i];
    else
        for (i = 0; i < count; i++, pixels += 3) {
            double red = pixels[0] * 0.299, green = pixels[1] * 0.587, blue = pixels[2] * 0.114, both = red + green;
            out[i] = (float)(both + blue);
        }
}

/* Mean of a window along a row; it is cut at both ends. */
PDQ_EXACT static void pdq_box_row(const float *in, float *out, int64_t n, int64_t window) {
    int64_t half = (window + 2) / 2, i, left = 0, right = 0, count = 0;
    float sum = 0;
    for (i = 0; i < half - 1; i++, count++) sum += in[right++];
    for (i = 0; i < window - half + 1; i++) {
        sum += in[right++];
        count++;
        *out++ = sum / (float)count;
    }
    for (i = 0; i < n - window; i++) {
        sum += in[right++];
        sum -= in[left++];
        *out++ = sum / (float)count;
    }
    for (i = 0; i < half - 1; i++) {
        sum -= in[left++];
        count--;
        *out++ = sum / (float)count;
    }
}

/* The same down all columns at once; ``sums`` has a place for each. */
PDQ_EXACT static void pdq_box_columns(const float *in, float *out, int64_t rows, int64_t columns, int64_t window, float *sums) {
    int64_t half = (window + 2) / 2, i, k;
    const float *left = in, *right = in;
    float count = 0;
    for (k = 0; k < columns; k++) sums[k] = 0;
    for (i = 0; i < half - 1; i++, count += 1, right += columns)
        for (k = 0; k < columns; k++) sums[k] += right[k];
    for (i = 0; i < window - half + 1; i++, right += columns, out += columns) {
        count += 1;
        for (k = 0; k < columns; k++) {
            sums[k] += right[k];
            out[k] = sums[k] / count;
        }
    }
    for (i = 0; i < rows - window; i++, right += columns, left += columns, out += columns)
        for (k = 0; k < columns; k++) {
            float sum = sums[k] + right[k];
            sum -= left[k];
            sums[k] = sum;
            out[k] = sum / count;
        }
    for (i = 0; i < half - 1; i++, left += columns, out += columns) {
        count -= 1;
        for (k = 0; k < columns; k++) {
            sums[k] -= left[k];
            out[k] = sums[k] / count;
        }
    }
}

static int pdq_order(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* ``cosines`` is 16 x 64, ``hash`` 32 bytes, most significant bit first. -1 when there is no memory. */
PDQ_EXACT static int pdq_run(const uint8_t *pixels, int64_t rows, int64_t columns, int channels, const float *cosines, uint8_t *hash, int *quality) {
    float samples[64][64], half[16][64], made[256], ordered[256], median;
    float *one = (float *)malloc((size_t)(rows * columns) * sizeof(float)), *two = (float *)malloc((size_t)(rows * columns) * sizeof(float));
    float *sums = (float *)malloc((size_t)columns * sizeof(float));
    int64_t i, j, k, total = 0;
    int round;
    if (!one || !two || !sums) {
        free(one);
        free(two);
        free(sums);
        return -1;
    }
    pdq_luma(pixels, rows * columns, channels, one);
    for (round = 0; round < 2 && (rows != 64 || columns != 64); round++) {  /* that size is its own samples */
        for (i = 0; i < rows; i++) pdq_box_row(one + i * columns, two + i * columns, columns, (columns + 127) / 128);
        pdq_box_columns(two, one, rows, columns, (rows + 127) / 128, sums);
    }
    for (i = 0; i < 64; i++)
        for (j = 0; j < 64; j++) samples[i][j] = one[(2 * i + 1) * rows / 128 * columns + (2 * j + 1) * columns / 128];
    free(one);
    free(two);
    free(sums);
    for (i = 0; i < 64; i++)        /* whole steps of a hundredth between neighbours */
        for (j = 0; j < 64; j++) {
            if (i < 63) total += labs((long)((samples[i][j] - samples[i + 1][j]) * 100 / 255));
            if (j < 63) total += labs((long)((samples[i][j] - samples[i][j + 1]) * 100 / 255));
        }
    *quality = total / 90 > 100 ? 100 : (int)(total / 90);
    for (i = 0; i < 16; i++)
        for (j = 0; j < 64; j++) {
            float sum = 0;
            for (k = 0; k < 64; k++) sum += cosines[i * 64 + k] * samples[k][j];
            half[i][j] = sum;
        }
    for (i = 0; i < 16; i++)
        for (j = 0; j < 16; j++) {
            float sum = 0;
            for (k = 0; k < 64; k++) sum += half[i][k] * cosines[j * 64 + k];
            made[i * 16 + j] = sum;
        }
    memcpy(ordered, made, sizeof made);
    qsort(ordered, 256, sizeof(float), pdq_order);
    median = ordered[127];
    memset(hash, 0, 32);
    for (i = 0; i < 256; i++)
        if (made[i] > median) hash[31 - (i >> 3)] |= (uint8_t)(1 << (i & 7));
    return 0;
}

/* The first eight numbers of a cosine transform of 32; halves are folded first, so that what is symmetric or flat gives zeros. */
PDQ_EXACT static void pdq_low(const double *values, const double *cosines, double *out) {
    double held[32], apart[16];
    int step, size = 32, half, j, row;
    memcpy(held, values, sizeof held);
    for (step = 1; step < 8; step *= 2, size = half) {
        half = size / 2;
        for (j = 0; j < half; j++) {
            double a = held[j], b = held[size - 1 - j];
            apart[j] = a - b;
            held[j] = a + b;
        }
        for (row = step; row < 8; row += 2 * step) {
            double total = 0;
            for (j = 0; j < half; j++) total += apart[j] * cosines[row * 32 + j];
            out[row] = total;
        }
    }
    out[0] = 2 * (held[0] + held[1] + held[2] + held[3]);
}

/* The 64 bits of a 32 x 32 picture: its cosine transform, the lowest 8 x 8 above their median (the mean of the middle two). */
PDQ_EXACT static uint64_t pdq_phash(const uint8_t *pixels, const double *cosines) {
    double column[32], low[8], half[8][32], made[64], ordered[64], median;
    uint64_t hash = 0;
    int i, j;
    for (j = 0; j < 32; j++) {
        for (i = 0; i < 32; i++) column[i] = pixels[i * 32 + j];
        pdq_low(column, cosines, low);
        for (i = 0; i < 8; i++) half[i][j] = low[i];
    }
    for (i = 0; i < 8; i++) pdq_low(half[i], cosines, made + 8 * i);
    for (i = 0; i < 64; i++) {      /* insertion sort */
        for (j = i; j > 0 && ordered[j - 1] > made[i]; j--) ordered[j] = ordered[j - 1];
        ordered[j] = made[i];
    }
    median = (ordered[31] + ordered[32]) / 2;
    for (i = 0; i < 64; i++) hash = hash << 1 | (made[i] > median);
    return hash;
}

#endif
