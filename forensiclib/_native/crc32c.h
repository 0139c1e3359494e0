/* CRC-32C (Castagnoli): eight bytes an instruction where the processor has it, eight tables otherwise. */
#ifndef FORENSICLIB_CRC32C_H
#define FORENSICLIB_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define CRC32C_X86 1
#include <nmmintrin.h>
#endif

static uint32_t crc32c_tables[8][256];

/* Called once, while the module is imported. */
static void crc32c_prepare(void) {
    for (int i = 0; i < 256; i++) {
        uint32_t crc = (uint32_t)i;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
        crc32c_tables[0][i] = crc;
    }
    for (int i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++)
            crc32c_tables[t][i] = crc32c_tables[t - 1][i] >> 8 ^ crc32c_tables[0][crc32c_tables[t - 1][i] & 0xFF];
}

static uint32_t crc32c_plain(uint32_t crc, const unsigned char *data, size_t n) {
    for (; n >= 8; data += 8, n -= 8) {
        crc ^= (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        crc = crc32c_tables[7][crc & 0xFF] ^ crc32c_tables[6][crc >> 8 & 0xFF] ^ crc32c_tables[5][crc >> 16 & 0xFF] ^
              crc32c_tables[4][crc >> 24] ^ crc32c_tables[3][data[4]] ^ crc32c_tables[2][data[5]] ^ crc32c_tables[1][data[6]] ^
              crc32c_tables[0][data[7]];
    }
    for (; n; data++, n--) crc = crc >> 8 ^ crc32c_tables[0][(crc ^ *data) & 0xFF];
    return crc;
}

#ifdef CRC32C_X86
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *data, size_t n) {
    uint64_t wide = crc, word;
    for (; n >= 8; data += 8, n -= 8) {
        memcpy(&word, data, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; n; data++, n--) crc = _mm_crc32_u8(crc, *data);
    return crc;
}
#endif

static int crc32c_fast(void) {
#ifdef CRC32C_X86
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
#else
    return 0;
#endif
}

static uint32_t crc32c_run(uint32_t crc, const unsigned char *data, size_t n, int fast) {
#ifdef CRC32C_X86
    if (fast) return crc32c_sse42(crc, data, n);
#endif
    (void)fast;
    return crc32c_plain(crc, data, n);
}

#endif
