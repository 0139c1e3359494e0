"""What Windows compresses in place: NTFS units (LZNT1), blocks of hiberfil.sys, prefetch files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from forensiclib import kernels
from forensiclib.core.declare import Ended, Signature, Transform
from forensiclib.core.limits import Budget
from forensiclib.formats import mam
from forensiclib.search.decode.regions import View

__all__ = ["TRANSFORMS"]

_CLUSTER, _UNIT, _CHUNK = 4096, 1 << 16, 4096
_XPRESS = b"\x81\x81xpress"
_LARGEST = 16 << 20


def _lznt1_starts(data: memoryview, start: int, stop: int, base: int) -> Iterator[int]:
    """Clusters whose first chunk is compressed, decodes, and gives 4 KiB."""
    for at in range(start + -(start + base) % _CLUSTER, min(stop, len(data) - 2), _CLUSTER):
        if data[at + 1] & 0xF0 == 0xB0:
            length = ((data[at] | data[at + 1] << 8) & 0xFFF) + 3
            out, bad = kernels.lznt1(data[at : at + length], _CHUNK)
            if bad < 0 and len(out) == _CHUNK:
                yield at


def _lznt1(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    """Chunks up to the unit of 16 clusters that they are the form of."""
    raw, at, made = view.read_at(0, _UNIT), 0, 0
    while at + 2 <= len(raw) and made < _UNIT:
        header = raw[at] | raw[at + 1] << 8
        end = at + (header & 0xFFF) + 3
        if not header or header >> 12 & 7 != 3 or end > len(raw):
            break
        out, bad = kernels.lznt1(raw[at:end], _CHUNK)
        if bad >= 0:
            break
        yield out
        made, at = made + len(out), end
        if len(out) < _CHUNK:
            break
    return Ended(at, made == _UNIT or raw[at : at + 2] in (b"", b"\0\0"), "the unit breaks off")


def _used(kernel: Callable[[bytes, int], tuple[bytes, int]], data: bytes, size: int) -> int:
    """How many bytes of ``data`` the decoder needs for ``size`` bytes."""
    low, high = 0, len(data)
    while low < high:
        middle = (low + high) // 2
        out, bad = kernel(data[:middle], size)
        if bad < 0 and len(out) == size:
            high = middle
        else:
            low = middle + 1
    return high


def _hiberfil(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    head = view.read_at(0, 32)
    if len(head) < 32:
        return Ended(0)
    size, packed = (head[8] + 1) * 4096, (int.from_bytes(head[9:12], "little") << 8 >> 10) + 1
    data = view.read_at(32, packed)
    out, bad = (data[:size], -1) if packed == size else kernels.lzxpress(data, size)
    yield out
    whole = bad < 0 and len(out) == size
    return Ended(32 + len(data) if out else 0, whole, "the block breaks off")


def _mam(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    head = view.read_at(0, 12)
    size, checked = int.from_bytes(head[4:8], "little"), head[3:4] in (b"\x84", b"\x83", b"\x82") if len(head) == 12 else False
    if len(head) < 12 or not 0 < size <= _LARGEST:
        return Ended(0)
    kernel = {2: kernels.lznt1, 3: kernels.lzxpress, 4: kernels.lzxpress_huffman}[head[3] & ~mam.CHECKED]
    start = 12 if checked else 8
    data = view.read_at(start, size + 4096)
    out, bad = kernel(data, size)
    if len(out) < min(size, 512):
        return Ended(0)
    yield out
    whole = bad < 0 and len(out) == size
    return Ended(start + (_used(kernel, data, size) if whole else max(bad, 1)), whole, "the content breaks off")


TRANSFORMS = (
    Transform(
        name="hiberfil", title="Compressed blocks of hiberfil.sys (Windows XP to 7)", signatures=(Signature(_XPRESS),), decode=_hiberfil,
        refs=("M. Suiche: Sandman project, hibernation file format", "[MS-XCA] 2.4"),
        gaps=("Windows 8 and later (HIBR)", "texts that reach over the edge of a block, whose pages lie elsewhere in memory"),
    ),
    Transform(
        name="lznt1", title="Compressed units of NTFS", refs=("[MS-XCA] 2.5",), scan=_lznt1_starts, decode=_lznt1,
        gaps=("units that do not begin at a multiple of 4 KiB of the stream",
              "units whose first 4 KiB were stored",
              "texts over the edge of a unit"),
    ),
    Transform(
        name="mam", title="Prefetch files of Windows 10 and 11 (MAM)", decode=_mam,
        signatures=tuple(Signature(b"MAM" + bytes((m | c,))) for m in (2, 3, 4) for c in (0, mam.CHECKED)),
        refs=("libscca: Windows Prefetch File (PF) format", "[MS-XCA] 2.2, 2.4, 2.5"), gaps=("the checksum is not checked",),
    ),
)  # fmt: skip
