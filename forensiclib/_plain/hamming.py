"""Twin of _native/hamming.pxi: distances between hashes of one width, laid end to end."""

from __future__ import annotations

from array import array

from forensiclib.core.errors import UsageError

__all__ = ["hamming_distances", "hamming_pairs", "square_distances"]

Bytes = bytes | bytearray | memoryview


def _each(one: Bytes, many: Bytes) -> list[bytes]:
    width = len(one)
    if not 1 <= width <= 4096 or len(many) % width:
        raise UsageError(f"{len(many)} bytes against a hash of {width}")
    return [bytes(many[at : at + width]) for at in range(0, len(many), width)]


def hamming_distances(one: Bytes, many: Bytes) -> bytearray:
    """The bits that differ between one hash (1 to 4,096 bytes) and each of many: uint16 in native order.

    Raises UsageError when the many are no multiple of the one.
    """
    mine = int.from_bytes(one, "big")
    return bytearray(array("H", [(mine ^ int.from_bytes(other, "big")).bit_count() for other in _each(one, many)]).tobytes())


def hamming_pairs(left: Bytes, right: Bytes, width: int, most: int, room: int) -> tuple[array[int], array[int], bytearray, int]:
    """The pairs of hashes of ``width`` bytes that differ in at most ``most`` bits: numbers in left and in right (int64), differing bits
    (uint16, native order), and the left hashes that were compared.

    room    pairs that memory is taken for; a left hash is begun only while there is room for all of
            the right, so go on behind the ones that were compared. No less than the right hashes

    Raises UsageError when the sizes do not fit.
    """
    if not 1 <= width <= 4096 or len(left) % width or len(right) % width:
        raise UsageError(f"{len(left)} and {len(right)} bytes of hashes of {width}")
    lefts, rights = len(left) // width, len(right) // width
    if most < 0 or room < max(rights, 1) or room > 1 << 28:
        raise UsageError(f"distance {most}, room for {room} pairs and rows of {rights}")
    numbers = [int.from_bytes(right[at : at + width], "big") for at in range(0, len(right), width)]
    ones, twos, distances, i = array("q"), array("q"), array("H"), 0
    while i < lefts and (room - len(ones) >= rights):
        mine = int.from_bytes(left[i * width : (i + 1) * width], "big")
        for j, other in enumerate(numbers):
            if (mine ^ other).bit_count() <= most:
                ones.append(i)
                twos.append(j)
                distances.append((mine ^ other).bit_count())
        i += 1
    return ones, twos, bytearray(distances.tobytes()), i


def square_distances(one: Bytes, many: Bytes) -> bytearray:
    """The square of the Euclidean distance between one hash (1 to 4,096 bytes) and each of many: uint32 in native order.

    Raises UsageError when the many are no multiple of the one.
    """
    return bytearray(array("I", [sum((a - b) ** 2 for a, b in zip(one, other)) for other in _each(one, many)]).tobytes())
