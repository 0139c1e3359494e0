# Codes of a GIF image. Twin: _plain/gif.py

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from forensiclib.core.errors import UsageError as _gif_usage_error

cdef enum:
    GIF_ENDED = 0
    GIF_SHORT = 1
    GIF_BAD = 2


cdef int _gif_codes(const uint8_t* data, int64_t size, int least, int64_t* pixels, int64_t* place) noexcept nogil:
    cdef uint16_t length[4096]
    cdef int clear = 1 << least, following = clear + 2, width = least + 1, count = 0, code, before = -1
    cdef int64_t at = 0, left = 0
    cdef uint32_t held = 0
    for code in range(clear):
        length[code] = 1
    pixels[0] = 0
    while True:
        place[0] = at
        while count < width:
            if left == 0:
                if at >= size or data[at] == 0:
                    return GIF_SHORT
                left = data[at]
                at += 1
            if at >= size:
                return GIF_SHORT
            held |= <uint32_t>data[at] << count
            at += 1
            left -= 1
            count += 8
        code = held & ((1 << width) - 1)
        held >>= width
        count -= width
        if code == clear:
            following, width, before = clear + 2, least + 1, -1
            continue
        if code == clear + 1:
            return GIF_ENDED
        if before < 0:
            if code > clear:
                return GIF_BAD
        else:
            if code > following or (code == following and following == 4096):
                return GIF_BAD
            if following < 4096:
                length[following] = length[before] + 1
                following += 1
                if following == 1 << width and width < 12:
                    width += 1
        pixels[0] += length[code]
        before = code


def gif_codes(const unsigned char[::1] data not None, int least):
    """The LZW codes of one image, in their sub-blocks. See the plain twin for the contract."""
    cdef int64_t pixels = 0, place = 0
    cdef int state
    if not 1 <= least <= 11:
        raise _gif_usage_error(f"codes of {least} bits; 1 to 11 are possible")
    if data.shape[0] == 0:
        return 0, GIF_SHORT, 0
    with nogil:
        state = _gif_codes(&data[0], data.shape[0], least, &pixels, &place)
    return pixels, state, place
