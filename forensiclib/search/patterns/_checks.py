"""Check digits and checksums that the patterns share."""

from __future__ import annotations

import hashlib

__all__ = ["base58", "base58check", "bech32", "keccak256", "luhn", "mod97"]

_B58 = {c: i for i, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_B32 = {c: i for i, c in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_MASK = (1 << 64) - 1


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    total = 0
    for i, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + i % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10 over letters and digits, the first four characters moved behind (ISO 13616)."""
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def base58(text: str) -> bytes | None:
    """The bytes of a base58 number in Bitcoin's alphabet, its leading ones as zero bytes; None for other characters."""
    value = 0
    for character in text:
        if character not in _B58:
            return None
        value = value * 58 + _B58[character]
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes(len(text) - len(text.lstrip("1"))) + raw


def base58check(text: str) -> bytes | None:
    """Version and payload when the four bytes of double SHA-256 behind them hold, else None."""
    raw = base58(text)
    if raw is None or len(raw) < 5:
        return None
    digest = hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()
    return raw[:-4] if digest[:4] == raw[-4:] else None


def bech32(text: str) -> tuple[str, int, bytes] | None:
    """(human-readable part, witness version, program) of a segwit address whose checksum holds: BIP-173 for version 0,
    BIP-350 for later ones. None for anything else."""
    if text.lower() != text and text.upper() != text:
        return None
    prefix, one, data = text.lower().rpartition("1")
    if not one or not prefix or len(data) < 7 or len(text) > 90 or any(c not in _B32 for c in data):
        return None
    values = [_B32[c] for c in data]
    check = 1
    for value in (*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix), *values):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    if check != (1 if values[0] == 0 else 0x2BC830A3) or values[0] > 16:
        return None
    bits, number = 0, 0
    for value in values[1:-6]:
        number, bits = number << 5 | value, bits + 5
    spare = bits % 8
    if spare > 4 or number & ((1 << spare) - 1):
        return None
    program = (number >> spare).to_bytes(bits // 8, "big")
    if not 2 <= len(program) <= 40 or (values[0] == 0 and len(program) not in (20, 32)):
        return None
    return prefix, values[0], program


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _MASK if by else value


def _permuted(lanes: list[int]) -> None:
    """Keccak-f[1600]; lane x, y is number x + 5y."""
    state = 1
    for _ in range(24):
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        for i in range(25):
            lanes[i] ^= columns[(i + 4) % 5] ^ _rotated(columns[(i + 1) % 5], 1)
        x, y, held = 1, 0, lanes[1]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            held, lanes[x + 5 * y] = lanes[x + 5 * y], _rotated(held, (step + 1) * (step + 2) // 2 % 64)
        for row in range(0, 25, 5):
            old = lanes[row : row + 5]
            for i in range(5):
                lanes[row + i] = old[i] ^ (~old[(i + 1) % 5] & old[(i + 2) % 5])
        for j in range(7):
            if state & 1:
                lanes[0] ^= 1 << ((1 << j) - 1)
            state = state << 1 ^ (0x171 if state & 0x80 else 0)


def keccak256(data: bytes) -> bytes:
    """Keccak[512] with 256 bits out and the padding before FIPS 202: what Ethereum and Monero mean."""
    rate = 136
    padded = bytearray(data) + b"\x01" + bytes(rate - 1 - len(data) % rate)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for at in range(0, len(padded), rate):
        for i in range(rate // 8):
            lanes[i] ^= int.from_bytes(padded[at + 8 * i : at + 8 * i + 8], "little")
        _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])
