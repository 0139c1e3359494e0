"""Twin of _native/tlsh.pxi: TLSH (Oliver, Cheng, Chen: "TLSH, a locality sensitive hash", CTC 2013), 128 buckets, one byte of checksum.

The state is a bytearray of SIZE bytes, little-endian: at 0 bytes taken (8), 8 the last 4 bytes, 12 the checksum, 16 the counts of
the 128 buckets that the digest uses (8 each; triplets fall into 256).
"""

from __future__ import annotations

from math import log
from struct import pack, unpack, unpack_from

from forensiclib.core.errors import UsageError

__all__ = ["TLSH_LEVELS", "tlsh_digest", "tlsh_distances", "tlsh_state", "tlsh_update"]

TLSH_LEVELS: tuple[str, ...] = ("scalar",)
PEARSON = bytes.fromhex(
    "0157310cb0b266a679c10654f9e62ca30ec5d5b5a155da5040ef18e2ec8e26c86eb168678dfdff324d6551122d601fde196bbe4656edf02248f214d6"
    "f4e395eb61ea39163cfa52afd0057fc76f3e87f8aea9d33a429a6ac3f5ab11bbb6b300f38438944b80859e64827e5b0d99f6d8db7744df4e5358c963"
    "7a0b5c208872340a8a1e30b79c233d1a8f4afb5e81a23f98aa0773a7f1ce0396373b97dc5a3517837dad0fee4f5f59106989e1e0d9a0257b7649029d"
    "2e74099186e4cfd4cad745e51bbc437ca8fc2a041d6c15f713cd27cbe928ba93c6c09b21a4bf62cca5b4754c8c24d2ac29369f08b9e871c4e72f9278"
    "33411c90fedd5dbdc28b702b476db8d1"
)
"""The permutation of Pearson, "Fast hashing of variable-length text strings" (CACM 1990), table I."""
TRIPLETS = ((2, 1, 2), (3, 1, 3), (5, 2, 3), (7, 2, 4), (11, 1, 4), (13, 3, 4))
"""Salt, and the ages of the two bytes that go with the newest."""
BUCKETS, SIZE, DIGEST = 128, 16 + 8 * 128, 35
LEAST = 50
MOST = (1 << 32) - 1


def _length_code(length: int) -> int:
    """Logarithm of the length: base 1.5, then 1.3 from 657, then 1.1 from 3200 (the paper's section 3), and its rounding: a float32
    logarithm of a float32, over constants of nine digits, which shows in digests at the edge of a step."""
    (value,) = unpack("<f", pack("<f", log(*unpack("<f", pack("<f", length)))))
    if length <= 656:
        return int(value / 0.4054651)
    if length <= 3199:
        return int(value / 0.26236426 - 8.72777)
    return int(value / 0.095310180 - 62.5472)


def tlsh_state() -> bytearray:
    """The state before the first byte."""
    return bytearray(SIZE)


def _pearson(*values: int) -> int:
    h = 0
    for value in values:
        h = PEARSON[h ^ value]
    return h


def tlsh_update(state: bytearray, data: bytes | bytearray | memoryview, level: int | None = None) -> None:
    """The bytes of ``data`` into ``state``, a bytearray made by tlsh_state().

    level    index into TLSH_LEVELS, the best when None; the state is the same

    Raises UsageError for a state or level that is none.
    """
    if level is not None and not 0 <= level < len(TLSH_LEVELS):
        raise UsageError(f"level {level}; there are {len(TLSH_LEVELS)}")
    if len(state) != SIZE:
        raise UsageError("not a state of tlsh_state()")
    total = int.from_bytes(state[:8], "little")
    around = bytes(state[8:12]) + bytes(data)
    counts, checksum = list(unpack_from("<128Q", state, 16)), state[12]
    for at in range(4 + max(0, 4 - total), len(around)):
        now = around[at]
        checksum = _pearson(0, now, around[at - 1], checksum)
        for salt, i, j in TRIPLETS:
            bucket = _pearson(salt, now, around[at - i], around[at - j])
            if bucket < BUCKETS:
                counts[bucket] += 1
    state[:] = pack("<Q4sB3x128Q", total + len(data), around[-4:], checksum, *counts)


def tlsh_digest(state: bytearray) -> bytes:
    """The 35 bytes of the digest, in the order of its hex text; b"" where TLSH gives none.

    There is none for fewer than 50 bytes, for more than 4 GiB - 1, and where half the buckets or more
    are empty. The state may take more afterwards.
    """
    if len(state) != SIZE:
        raise UsageError("not a state of tlsh_state()")
    total, checksum = int.from_bytes(state[:8], "little"), state[12]
    counts = unpack_from("<128Q", state, 16)
    if not LEAST <= total <= MOST or sum(c > 0 for c in counts) <= BUCKETS // 2:
        return b""
    ordered = sorted(counts)
    q1, q2, q3 = ordered[31], ordered[63], ordered[95]
    swap = bytes(b >> 4 | b << 4 & 0xF0 for b in (checksum, _length_code(total)))
    ratios = bytes([(q1 * 100 // q3 % 16) << 4 | q2 * 100 // q3 % 16])
    body = bytearray()
    for at in range(BUCKETS - 4, -1, -4):
        codes = [(c > q1) + (c > q2) + (c > q3) for c in counts[at : at + 4]]
        body.append(codes[3] << 6 | codes[2] << 4 | codes[1] << 2 | codes[0])
    return swap + ratios + bytes(body)


def _around(a: int, b: int, size: int) -> int:
    return min((a - b) % size, (b - a) % size)


def tlsh_distances(one: bytes | bytearray | memoryview, many: bytes | bytearray | memoryview, length: bool = True) -> bytearray:
    """The distance of one digest (35 bytes) from each of many (end to end): uint16 in native order, one each.

    length    whether the length of the file counts

    Raises UsageError when the sizes are not multiples of 35.
    """
    if len(one) != DIGEST or len(many) % DIGEST:
        raise UsageError(f"digests of {len(one)} and {len(many)} bytes; one has {DIGEST}")
    out = bytearray()
    swapped = [bytes(b >> 4 | b << 4 & 0xF0 for b in range(256))[b] for b in one[:2]]
    for at in range(0, len(many), DIGEST):
        other = bytes(many[at : at + DIGEST])
        total = int(other[0] != one[0])
        if length:
            d = _around(swapped[1], other[1] >> 4 | other[1] << 4 & 0xF0, 256)
            total += d if d <= 1 else d * 12
        for a, b in ((one[2] >> 4, other[2] >> 4), (one[2] & 15, other[2] & 15)):
            d = _around(a, b, 16)
            total += d if d <= 1 else (d - 1) * 12
        for a, b in zip(one[3:], other[3:]):
            for shift in (0, 2, 4, 6):
                d = abs((a >> shift & 3) - (b >> shift & 3))
                total += 6 if d == 3 else d
        out += pack("=H", total)
    return out
