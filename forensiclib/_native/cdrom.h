/* CD-ROM sectors: what they are, and their error detection code (ECMA-130, 14.3), eight bytes at a time. */
#ifndef FL_CDROM_H
#define FL_CDROM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint32_t cd_table[8][256];

static void cd_prepare(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xD8018001u : 0);
        cd_table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t byte = 0; byte < 256; byte++)
            cd_table[k][byte] = cd_table[k - 1][byte] >> 8 ^ cd_table[0][cd_table[k - 1][byte] & 0xFF];
}

static uint32_t cd_le32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t cd_run(uint32_t crc, const unsigned char *data, size_t n)
{
    for (; n >= 8; n -= 8, data += 8) {
        uint32_t low = crc ^ cd_le32(data), high = cd_le32(data + 4);
        crc = cd_table[7][low & 0xFF] ^ cd_table[6][low >> 8 & 0xFF] ^ cd_table[5][low >> 16 & 0xFF] ^ cd_table[4][low >> 24] ^
              cd_table[3][high & 0xFF] ^ cd_table[2][high >> 8 & 0xFF] ^ cd_table[1][high >> 16 & 0xFF] ^ cd_table[0][high >> 24];
    }
    for (; n; n--, data++)
        crc = crc >> 8 ^ cd_table[0][(crc ^ *data) & 0xFF];
    return crc;
}

/* ``sub`` is the subheader of a sector of mode 2: 2336 bytes are there. */
static unsigned char cd_mode2(const unsigned char *sub)
{
    if (memcmp(sub, sub + 4, 4) != 0)
        return 6;
    if (!(sub[2] & 0x20))
        return 2 + (cd_run(0, sub, 2056) != cd_le32(sub + 2056));
    uint32_t stored = cd_le32(sub + 2332);
    return 4 + (stored != 0 && cd_run(0, sub, 2332) != stored);
}

/* ``stride`` is 2336, or 2352 and more; ``count`` sectors are there. */
static void cd_kinds(const unsigned char *data, size_t count, size_t stride, unsigned char *out)
{
    static const unsigned char sync[12] = {0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0};
    for (size_t i = 0; i < count; i++, data += stride) {
        if (stride == 2336)
            out[i] = cd_mode2(data);
        else if (memcmp(data, sync, 12) != 0)
            out[i] = 8;
        else if (data[15] == 1)
            out[i] = cd_run(0, data, 2064) != cd_le32(data + 2064);
        else if (data[15] == 2)
            out[i] = cd_mode2(data + 16);
        else
            out[i] = data[15] ? 9 : 7;
    }
}

#endif
