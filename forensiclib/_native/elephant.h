/* The Elephant diffuser of BitLocker (N. Ferguson, "AES-CBC + Elephant diffuser", Microsoft, 2006), decrypting direction, in place. */
#ifndef FORENSICLIB_ELEPHANT_H
#define FORENSICLIB_ELEPHANT_H

#include <stdint.h>

static uint32_t elephant_rol(uint32_t v, int n) { return n ? v << n | v >> (32 - n) : v; }

static uint32_t elephant_get(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

/* ``words`` is a multiple of 8; ``work`` holds one sector. */
static void elephant_sector(uint8_t *data, int64_t words, const uint8_t *key, uint32_t *d) {
    static const int a[4] = {9, 0, 13, 0}, b[4] = {0, 10, 0, 25};
    int64_t i;
    int round;
    for (i = 0; i < words; i++) d[i] = elephant_get(data + 4 * i);
    for (round = 0; round < 3; round++)
        for (i = 0; i < words; i++)
            d[i] += d[i + 2 < words ? i + 2 : i + 2 - words] ^ elephant_rol(d[i + 5 < words ? i + 5 : i + 5 - words], b[i & 3]);
    for (round = 0; round < 5; round++)
        for (i = 0; i < words; i++)
            d[i] += d[i >= 2 ? i - 2 : i - 2 + words] ^ elephant_rol(d[i >= 5 ? i - 5 : i - 5 + words], a[i & 3]);
    for (i = 0; i < words; i++) {
        uint32_t v = d[i] ^ elephant_get(key + 4 * (i & 7));
        data[4 * i] = (uint8_t)v; data[4 * i + 1] = (uint8_t)(v >> 8); data[4 * i + 2] = (uint8_t)(v >> 16); data[4 * i + 3] = (uint8_t)(v >> 24);
    }
}

static void elephant_run(uint8_t *data, int64_t size, int64_t unit, const uint8_t *keys) {
    uint32_t work[4096 / 4];
    for (; size > 0; size -= unit, data += unit, keys += 32) elephant_sector(data, unit / 4, keys, work);
}

#endif
