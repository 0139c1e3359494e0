"""Twin of _native/gear.pxi: FastCDC's way through the bytes (Xia and others, USENIX ATC 2016; IEEE TPDS 2020)."""

from __future__ import annotations

from array import array

from forensiclib.core.errors import UsageError

__all__ = ["gear_cuts"]

MASK = (1 << 64) - 1


def gear_cuts(
    data: bytes | bytearray | memoryview,
    gear: array[int],
    minimum: int,
    centre: int,
    maximum: int,
    strict: int,
    loose: int,
    right: bool = False,
    taken: int = 0,
    rolled: int = 0,
) -> tuple[array[int], int, int]:
    """The offsets in ``data`` where chunks end, int64; then what to give with the next data: bytes since the last end, and the sum.

    gear      256 uint64 values, array("Q")
    minimum   bytes of a chunk that are passed over; the byte behind them is the first that can end it
    centre    from here ``loose`` is the mask, before ``strict``; a chunk ends with the byte whose sum has no bit of the mask
    maximum   the longest chunk
    right     the sum shifts right, not left
    taken, rolled    what the call for the data before returned

    Raises UsageError when the sizes are not in order.
    """
    if len(gear) != 256 or not 1 <= minimum <= centre <= maximum or not 0 <= taken < maximum:
        raise UsageError(f"{len(gear)} numbers, sizes {minimum}, {centre}, {maximum}, {taken} bytes taken")
    ends = array("q")
    for at, byte in enumerate(bytes(data), 1):
        if taken < minimum:
            taken, rolled = taken + 1, 0
        else:
            rolled = ((rolled >> 1 if right else rolled << 1) + gear[byte]) & MASK
            taken += 1
            if not rolled & (strict if taken <= centre else loose):
                taken = maximum
        if taken == maximum:
            ends.append(at)
            taken = rolled = 0
    return ends, taken, rolled
