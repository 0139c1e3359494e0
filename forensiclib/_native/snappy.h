/* Snappy blocks. Source: google/snappy, format_description.txt. */
#ifndef FORENSICLIB_SNAPPY_H
#define FORENSICLIB_SNAPPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SNAPPY_SLACK 64 /* bytes behind the end of the output that may be written */

/* The bytes of `out` that were made; *bad is -1 when they are as many as the block states, else where it broke. `out` has room for
   `room` bytes and SNAPPY_SLACK more. */
static ptrdiff_t snappy_block(const unsigned char *src, ptrdiff_t have, unsigned char *out, ptrdiff_t room, ptrdiff_t *bad)
{
    uint64_t want = 0;
    ptrdiff_t at = 0, made = 0, length, more, k;
    uint64_t back;
    int whole = 0;
    while (at < have && at < 5) {
        want |= (uint64_t)(src[at] & 127) << (7 * at);
        if (src[at++] < 128) {
            whole = 1;
            break;
        }
    }
    *bad = 0;
    if (!whole || want > 0xffffffffu || want > (uint64_t)room)
        return 0;
    while (at < have) {
        unsigned tag = src[at];
        *bad = at;
        at++;
        if ((tag & 3) == 0) {
            length = (ptrdiff_t)(tag >> 2) + 1;
            if (length > 60) {
                uint64_t stated = 0;
                more = length - 60;
                if (more > have - at)
                    return made;
                for (k = 0; k < more; k++)
                    stated |= (uint64_t)src[at + k] << (8 * k);
                at += more;
                if (stated >= (uint64_t)(have - at))
                    return made;
                length = (ptrdiff_t)stated + 1;
            }
            if (length > have - at || (uint64_t)length > want - (uint64_t)made)
                return made;
            if (length <= 16 && have - at >= 16)
                memcpy(out + made, src + at, 16); /* of a fixed size: two moves instead of a call */
            else
                memcpy(out + made, src + at, (size_t)length);
            made += length;
            at += length;
            continue;
        }
        if ((tag & 3) == 1) {
            length = (ptrdiff_t)(tag >> 2 & 7) + 4;
            if (at >= have)
                return made;
            back = (uint64_t)(tag >> 5) << 8 | src[at];
            at += 1;
        } else {
            length = (ptrdiff_t)(tag >> 2) + 1;
            more = 2 * (ptrdiff_t)(tag & 3) - 2;
            if (more > have - at)
                return made;
            back = (uint64_t)src[at] | (uint64_t)src[at + 1] << 8;
            if (more == 4)
                back |= (uint64_t)src[at + 2] << 16 | (uint64_t)src[at + 3] << 24;
            at += more;
        }
        if (back == 0 || back > (uint64_t)made || (uint64_t)length > want - (uint64_t)made)
            return made;
        if (back >= 16) {
            /* Up to 64 bytes in steps of 16, which never read what they have not written; the last may reach into the slack. */
            for (k = 0; k < length; k += 16)
                memcpy(out + made + k, out + made + k - back, 16);
        } else {
            for (k = 0; k < length; k++)
                out[made + k] = out[made + k - back];
        }
        made += length;
    }
    *bad = (uint64_t)made == want ? -1 : have;
    return made;
}

#endif
