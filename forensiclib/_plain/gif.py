"""Twin of _native/gif.pxi."""

from __future__ import annotations

from forensiclib.core.errors import UsageError

__all__ = ["gif_codes"]

_ENDED, _SHORT, _BAD = 0, 1, 2


def gif_codes(data: bytes | bytearray | memoryview, least: int) -> tuple[int, int, int]:
    """The LZW codes of one image, in their sub-blocks: a length byte and so many bytes, to a length of 0.

    ``least``: the code size that stands before them, 1 to 11 bits (UsageError). Returns (pixels, state, place): state 0 when the
    end code came, 1 when the sub-blocks ended before it, 2 when a code can mean nothing yet; place is the offset in
    ``data`` from which the last code was read. Nothing is written out: a string's length is that of the one before it, and one.
    Source: GIF89a specification (1990), appendix F.
    """
    if not 1 <= least <= 11:
        raise UsageError(f"codes of {least} bits; 1 to 11 are possible")
    clear = 1 << least
    lengths = [1] * clear + [0, 0]
    width, held, count, before = least + 1, 0, 0, -1
    at = left = pixels = 0
    while True:
        place = at
        while count < width:
            if not left:
                if at >= len(data) or not data[at]:
                    return pixels, _SHORT, place
                left = data[at]
                at += 1
            if at >= len(data):
                return pixels, _SHORT, place
            held |= data[at] << count
            at, left, count = at + 1, left - 1, count + 8
        code = held & ((1 << width) - 1)
        held, count = held >> width, count - width
        if code == clear:
            del lengths[clear + 2 :]
            width, before = least + 1, -1
            continue
        if code == clear + 1:
            return pixels, _ENDED, place
        if before < 0:
            if code > clear:
                return pixels, _BAD, place
        else:
            if code > len(lengths) or code == len(lengths) == 4096:
                return pixels, _BAD, place
            if len(lengths) < 4096:
                lengths.append(lengths[before] + 1)
                if len(lengths) == 1 << width and width < 12:
                    width += 1
        pixels += lengths[code]
        before = code
