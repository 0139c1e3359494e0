"""Decryption of sectors: each cipher and level, and `cryptography` in the same run (a call a sector; one for all)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from forensiclib import kernels

SIZE = 8 << 20


CASES = [("aes", "xts", 512), ("aes", "xts", 4096), ("aes", "cbc", 512), ("serpent", "xts", 512), ("twofish", "xts", 512),
         ("camellia", "xts", 512), ("kuznyechik", "xts", 512)]  # fmt: skip


@pytest.mark.parametrize("level", range(len(kernels.SECTOR_LEVELS)), ids=kernels.SECTOR_LEVELS)
@pytest.mark.parametrize(("cipher", "mode", "unit"), CASES)
def test_sectors(benchmark, cipher, mode, unit, level):
    data = bytearray(SIZE)
    benchmark.extra_info["bytes"] = SIZE
    benchmark(kernels.sectors_decrypt, cipher, mode, bytes(32), bytes(range(32)), data, unit, 0, 1, b"", level)


@pytest.mark.parametrize(("mode", "unit"), [("xts", 512), ("xts", SIZE), ("cbc", SIZE)])
def test_cryptography(benchmark, mode, unit):
    data, out = memoryview(bytearray(SIZE)), bytearray(SIZE + 16)
    key = algorithms.AES(bytes(range(64 if mode == "xts" else 32)))
    benchmark.extra_info["bytes"] = SIZE

    def run():
        for at in range(0, SIZE, unit):
            number = (at // unit).to_bytes(16, "little")
            engine = Cipher(key, modes.XTS(number) if mode == "xts" else modes.CBC(number)).decryptor()
            engine.update_into(data[at : at + unit], out)

    benchmark(run)
