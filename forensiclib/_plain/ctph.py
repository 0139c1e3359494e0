"""Twin of _native/ctph.pxi: context triggered piecewise hashing (Kornblum, DFRWS 2006), as the program ssdeep prints and scores it.

The state is a bytearray of SIZE bytes. Level n is the block size 3 * 2**n, n below 31:
at 0 bytes taken (8, little-endian); 8 the last 7 bytes; 16 the lowest level still kept; 17 the levels that ended a piece so far;
64 lane n, the sum of level n's piece; 95 the sum of the whole file; 96 lane n of the second part; 128 characters of level n;
160 its tail and 192 its second part's tail, 0 for none; 256 its text, 64 bytes a level. Sums have six bits.
"""

from __future__ import annotations

from forensiclib.core.errors import UsageError

__all__ = ["CTPH_LEVELS", "ctph_digest", "ctph_record", "ctph_scores", "ctph_state", "ctph_update"]

CTPH_LEVELS: tuple[str, ...] = ("scalar",)
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LEVELS, LONG, SHORT, BLOCK, WINDOW = 31, 63, 31, 4096, 7
SIZE = 256 + 64 * LEVELS
START, KNOWN, LANES, VIRGIN, HALF, COUNTS, TAILS, HALF_TAILS, TEXTS = 16, 17, 64, 95, 96, 128, 160, 192, 256
FIRST = 0x28021967 & 63
RECORD = 131
MASK = 0xFFFFFFFF


def ctph_state() -> bytearray:
    """The state before the first byte."""
    state = bytearray(SIZE)
    state[VIRGIN] = FIRST
    return state


def _checked(state: bytearray) -> bytearray:
    known = state[KNOWN] if len(state) == SIZE else 255
    if known > LEVELS or state[START] > known or max(state[COUNTS : COUNTS + LEVELS]) > LONG or max(state[LANES : LANES + 64]) > 63:
        raise UsageError("not a state of ctph_state()")
    return state


def _rolling(window: bytes | bytearray) -> int:
    """The rolling sum after a window of seven bytes: their sum, the sum weighted by age, and the shifted exclusive or."""
    mixed = 0
    for byte in window:
        mixed = (mixed << 5 ^ byte) & MASK
    return (sum(window) + sum(age * byte for age, byte in enumerate(window, 1)) + mixed) & MASK


def _cut(state: bytearray, level: int) -> None:
    """A piece ends for all kept levels up to ``level``. A full text keeps its last character apart, and its sum goes on."""
    for n in range(state[KNOWN], level + 1):
        state[LANES + n] = state[HALF + n] = state[VIRGIN]
    state[KNOWN] = max(state[KNOWN], level + 1)
    for n in range(state[START], level + 1):
        whole, half = ALPHABET[state[LANES + n]], ALPHABET[state[HALF + n]]
        if state[COUNTS + n] < LONG:
            state[TEXTS + 64 * n + state[COUNTS + n]] = whole
            state[COUNTS + n] += 1
            state[LANES + n] = FIRST
            if state[COUNTS + n] <= SHORT:
                state[HALF + n] = FIRST
        else:
            state[TAILS + n] = whole
        if state[COUNTS + n] > SHORT:
            state[HALF_TAILS + n] = half


def _drop(state: bytearray, total: int) -> None:
    """Clear the levels that no end of the file can choose any more."""
    n = state[START]
    while n + 1 < state[KNOWN] and (3 << n) * 64 < total and state[COUNTS + n + 1] > SHORT:
        for at in (LANES, HALF, COUNTS, TAILS, HALF_TAILS):
            state[at + n] = 0
        state[TEXTS + 64 * n : TEXTS + 64 * n + 64] = bytes(64)
        n += 1
    state[START] = n


def ctph_update(state: bytearray, data: bytes | bytearray | memoryview, level: int | None = None) -> None:
    """The bytes of ``data`` into ``state``, a bytearray made by ctph_state().

    level    index into CTPH_LEVELS, the best when None; the state is the same

    Raises UsageError for a state or level that is none.
    """
    if level is not None and not 0 <= level < len(CTPH_LEVELS):
        raise UsageError(f"level {level}; there are {len(CTPH_LEVELS)}")
    _checked(state)
    for at in range(0, len(data), BLOCK):
        block = bytes(data[at : at + BLOCK])
        around = bytes(state[8 : 8 + WINDOW]) + block
        for i, byte in enumerate(block):
            for lane in (VIRGIN, *range(LANES + state[START], LANES + state[KNOWN]), *range(HALF + state[START], HALF + state[KNOWN])):
                state[lane] = (state[lane] * 0x01000193 ^ byte) & 63
            ahead = _rolling(around[i + 1 : i + 1 + WINDOW]) + 1
            if ahead <= MASK and ahead % 3 == 0:
                end = (ahead & -ahead).bit_length() - 1
                if end >= state[START]:
                    _cut(state, end)
        state[8 : 8 + WINDOW] = around[-WINDOW:]
        total = int.from_bytes(state[:8], "little") + len(block)
        state[:8] = total.to_bytes(8, "little")
        _drop(state, total)


def ctph_digest(state: bytearray) -> bytes:
    """``blocksize:text:text`` of what was taken; the state may take more afterwards.

    The block size is the smallest that 64 pieces of could hold the file, halved while its text has
    fewer than 32 characters; the second text is that of twice the block size, in 31 pieces.
    """
    total, known = int.from_bytes(_checked(state)[:8], "little"), state[KNOWN]
    n = 0
    while (3 << n) * 64 < total and n < LEVELS - 1:
        n += 1
    while n > state[START] and (n >= known or state[COUNTS + n] <= SHORT):
        n -= 1
    open_end = _rolling(state[8 : 8 + WINDOW]) != 0

    def part(n: int, most: int, lanes: int, tails: int) -> bytes:
        if n >= known:
            return ALPHABET[state[VIRGIN] : state[VIRGIN] + 1] if open_end else b""
        text = bytes(state[TEXTS + 64 * n : TEXTS + 64 * n + min(state[COUNTS + n], most)])
        last = ALPHABET[state[lanes + n]] if open_end else state[tails + n]
        return text + (bytes([last]) if last else b"")

    return b"%d:%s:%s" % (3 << n, part(n, LONG, LANES, TAILS), part(n + 1, SHORT, HALF, HALF_TAILS))


def ctph_record(level: int, first: bytes, second: bytes) -> bytes:
    """A digest as ctph_scores takes it, RECORD bytes: the level, and each text as its length and 64 bytes."""
    if not 0 <= level < LEVELS or len(first) > 64 or len(second) > 64:
        raise UsageError(f"level {level}, texts of {len(first)} and {len(second)} characters")
    return bytes([level, len(first)]) + first.ljust(64, b"\0") + bytes([len(second)]) + second.ljust(64, b"\0")


def _part_score(a: bytes, b: bytes, level: int) -> int:
    """0 without seven characters in common; else the edit distance (insert and delete 1) scaled to 100, small blocks capped."""
    if not any(a[i : i + 7] in b for i in range(len(a) - 6)) or len(b) < 7:
        return 0
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    distance = len(a) + len(b) - 2 * row[-1]
    score = 100 - 100 * (distance * 64 // (len(a) + len(b))) // 64
    return min(score, min(len(a), len(b)) << level) if level < 5 else score


def ctph_scores(one: bytes | bytearray | memoryview, many: bytes | bytearray | memoryview) -> bytearray:
    """The score, 0 to 100, of one digest (a ctph_record) against each of many (records end to end): one byte each.

    Runs of more than three equal characters must have been cut to three. Raises UsageError for what
    is no record.
    """
    if len(one) != RECORD or len(many) % RECORD:
        raise UsageError(f"records of {len(one)} and {len(many)} bytes; one has {RECORD}")

    def opened(record: bytes) -> tuple[int, bytes, bytes]:
        if record[0] >= LEVELS or record[1] > 64 or record[66] > 64:
            raise UsageError("not records of ctph_record()")
        return record[0], record[2 : 2 + record[1]], record[67 : 67 + record[66]]

    out = bytearray()
    n, first, second = opened(bytes(one)) if len(many) else (0, b"", b"")
    for at in range(0, len(many), RECORD):
        m, a, b = opened(bytes(many[at : at + RECORD]))
        if (m, a, b) == (n, first, second):
            out.append(100)
        elif m == n:
            out.append(max(_part_score(first, a, n), _part_score(second, b, n + 1)))
        elif m == n + 1:
            out.append(_part_score(second, a, m))
        elif m == n - 1:
            out.append(_part_score(first, b, n))
        else:
            out.append(0)
    return out
