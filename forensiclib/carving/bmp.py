"""BMP: the size that the header states, held against the size that its picture needs."""

from __future__ import annotations

from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.bmp import CORE, FILE, INFO

__all__ = ["CARVERS", "measure"]

_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_DEPTHS = (1, 2, 4, 8, 16, 24, 32)
_RGB, _BITFIELDS, _ALPHA_BITFIELDS = 0, 3, 6


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """One bitmap."""
    raw = data.read_at(0, FILE.size + INFO.size)
    if len(raw) < FILE.size + INFO.size:
        return None
    magic, size, reserved, pixels = FILE.unpack(raw)
    if magic != b"BM" or reserved:
        return None
    if raw[FILE.size] == CORE.size:
        header, width, height, planes, bits = CORE.unpack(raw, FILE.size)
        compression = image = 0
    else:
        header, width, height, planes, bits, compression, image = INFO.unpack(raw, FILE.size)
    if header not in _HEADERS or planes != 1 or bits not in _DEPTHS or compression > _ALPHA_BITFIELDS:
        return None
    if not 0 < width < 1 << 20 or not 0 < abs(height) < 1 << 20 or pixels < FILE.size + header:
        return None
    if compression in (_RGB, _BITFIELDS, _ALPHA_BITFIELDS):
        needed = pixels + (width * bits + 31) // 32 * 4 * abs(height)
        # writers state the file's size, or leave it 0, or forget a table; the pixels decide
        length = size if needed <= size <= needed + 4096 else needed
        reason = f"{width} x {abs(height)} x {bits} bits need {needed} bytes; the header says {size}"
        sure = 0.9 if length == size else 0.6
    else:
        length = max(size, pixels + image)
        reason, sure = f"{width} x {abs(height)} x {bits} bits, compressed; the header says {size}", 0.7
        if length <= pixels:
            return None
    if length > data.size:
        if pixels > data.size:
            return None
        return Find(data.size, 0.3, reason + "; there are fewer", complete=False, owned=pixels)
    return Find(length, sure, reason)


CARVERS = (
    Carver(
        name="bmp",
        title="BMP picture",
        extension="bmp",
        mime="image/bmp",
        signatures=(
            Signature(
                b"BM\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                mask=b"\xff\xff\0\0\0\0\xff\xff\xff\xff\0\0\xff\xff\0\xff\xff\xff",
            ),
        ),
        measure=measure,
        maximum=4 << 30,
        refs=("[MS-WMF] 2.2.2.3 to 2.2.2.5", "BITMAPFILEHEADER, wingdi.h"),
        gaps=(
            "run-length coded pictures are not decoded",
            "a colour profile behind the pixels is included only when the header's size covers it",
        ),
    ),
)
