"""From passwords, key files and PIMs to header keys: which derivations there are, and all of them tried, the likely ones first."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import combinations
from threading import Event

from forensiclib.core.errors import Cancelled, EvidenceError, LimitExceeded
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.crypto._kdf import WORK, argon2, digest_size, pbkdf2_many
from forensiclib.formats.truecrypt import SALT

__all__ = ["Derivation", "Secret", "derivations", "secrets", "tried"]

MOST = 192
"""Bytes of the longest header key: three ciphers with two keys each."""
_POOL, _LARGE_POOL, _KEY_FILE = 64, 128, 1 << 20
_TITLES = {
    "sha512": "SHA-512", "sha256": "SHA-256", "sha1": "SHA-1", "blake2s": "BLAKE2s-256", "ripemd160": "RIPEMD-160",
    "whirlpool": "Whirlpool", "streebog512": "Streebog", "argon2id": "Argon2id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Secret:
    """What is derived from; ``old`` is what TrueCrypt takes, b"" for what it does not; ``password``: which of the keys it is made of."""

    password: int
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Derivation:
    """One way from a secret to a header key. ``rounds`` and ``memory`` (KiB, of Argon2) may tell of a PIM and are not shown."""

    brand: str
    hash: str
    rounds: int = field(repr=False)
    memory: int = field(default=0, repr=False)

    @property
    def title(self) -> str:
        """ "SHA-512"."""
        return _TITLES[self.hash]

    def steps(self, heads: int) -> Iterator[tuple[list[int], range]]:
        """What to derive at a time, (numbers of heads, blocks of their keys): all at once where vectors make them side by side; else one
        head after the other, first what single ciphers need, then what cascades do."""
        each = range(heads)
        if self.hash == "argon2id":
            yield from (([i], range(1)) for i in each)
            return
        blocks = range(-(-MOST // digest_size(self.hash)))
        if self.hash in ("whirlpool", "streebog512"):
            yield from (([i], blocks[:1]) for i in each)
            yield from (([i], blocks[1:]) for i in each)
        else:
            yield list(each), blocks

    def keys(self, secret: bytes, salts: Sequence[bytes], part: range, budget: Budget, tick: Callable[[], None]) -> list[bytes]:
        """That part of the header key for each salt."""
        if self.hash == "argon2id":
            if self.memory << 10 > budget.limits.derivation or self.rounds * (self.memory << 10) > WORK:
                raise LimitExceeded(
                    "Argon2id", None, "needs more memory or time than Limits.derivation allows"
                )  # how much would tell the PIM
            return [argon2("argon2id", secret, salt, self.rounds, self.memory, 1, MOST, budget) for salt in salts]
        return pbkdf2_many(self.hash, secret, salts, self.rounds, part, budget, tick)


def derivations(pims: Sequence[int], system: bool) -> list[Derivation]:
    """What TrueCrypt used, which is quick, then what VeraCrypt uses: for each PIM, then without one. ``system``: before the system starts.

    VeraCrypt documentation, "Header Key Derivation, Salt, and Iteration Count" and "PIM"; TrueCrypt User's Guide 7.1a, the same chapter.
    """
    old = (("ripemd160", 1000),) if system else (("ripemd160", 2000), ("sha512", 1000), ("whirlpool", 1000), ("sha1", 2000))
    out = [Derivation("TrueCrypt", name, rounds) for name, rounds in old]
    for pim in (*(p for p in dict.fromkeys(pims) if p > 0), 0):
        for name in ("sha512", "sha256", "blake2s", "ripemd160", "argon2id", "whirlpool", "streebog512"):
            if name == "argon2id":
                if not system:
                    p = pim or 12
                    passes = 3 + (p - 1) // 3 if p <= 31 else 13 + (p - 31)
                    out.append(Derivation("VeraCrypt", name, passes, min(64 + 32 * (p - 1), 1024) << 10))
                continue
            rounds = 15_000 + 1000 * pim if pim else 655_331 if name == "ripemd160" else 500_000
            if system and name not in ("sha512", "whirlpool"):
                rounds = 2048 * pim if pim else 327_661 if name == "ripemd160" else 200_000
            out.append(Derivation("VeraCrypt", name, rounds))
    return out


def secrets(keys: Keys) -> list[Secret]:
    """Each password (the empty one where there are key files only) with all key files, then without any, then with each smaller choice."""
    files = keys.keyfiles
    choices: list[tuple[bytes, ...]] = [files, ()] if files else [()]
    if 1 < len(files) <= 3:
        choices += [c for n in range(len(files) - 1, 0, -1) for c in combinations(files, n)]
    elif len(files) > 3:
        choices += [(f,) for f in files]
    passwords = [p.encode("utf-8", "surrogateescape") for p in dict.fromkeys(keys.passwords)] or [b""] * bool(files)
    out = []
    for choice in choices:
        small, large = _pool(choice, _POOL), _pool(choice, _LARGE_POOL)
        for number, password in enumerate(passwords):
            if not (password or choice):
                continue
            old = _mixed(password, small) if len(password) <= _POOL else b""
            out.append(Secret(number, old, _mixed(password, small if len(password) <= _POOL else large)))
    return out


def _pool(files: Sequence[bytes], size: int) -> bytes:
    """What key files add to a password (TrueCrypt User's Guide, "Keyfiles"): the CRC-32 after each byte of the first MiB, byte by byte."""
    if not files:
        return b""
    pool = [0] * size
    for data in files:
        at, crc = 0, 0
        for byte in data[:_KEY_FILE]:
            crc = zlib.crc32(bytes((byte,)), crc)
            raw = crc ^ 0xFFFFFFFF
            for shift in (24, 16, 8, 0):
                pool[at] += raw >> shift
                at = (at + 1) % size
    return bytes(v & 255 for v in pool)


def _mixed(password: bytes, pool: bytes) -> bytes:
    if not pool:
        return password
    size = max(len(password), len(pool))
    return bytes((a + b) & 255 for a, b in zip(password.ljust(size, b"\0"), pool.ljust(size, b"\0"), strict=True))


Checked = Callable[[Derivation, int, bytes], bool]


def tried(ways: Sequence[Derivation], secret: Secret, heads: Sequence[bytes], check: Checked, budget: Budget) -> bool:
    """Ask ``check(way, number of the head, key so far)`` of every way's keys for every head; True as soon as it says yes to one way.

    With ``budget.threads`` the ways are derived side by side; they are checked in their order all the same.
    """
    salts = [head[:SALT] for head in heads]
    jobs = [(way, way_secret) for way in ways if (way_secret := secret.old if way.brand == "TrueCrypt" else secret.new)]
    return any([i for i, key in enumerate(keys) if check(way, i, key)] for way, keys in _derived(jobs, salts, budget))


def _derived(jobs: Sequence[tuple[Derivation, bytes]], salts: Sequence[bytes], budget: Budget) -> Iterator[tuple[Derivation, list[bytes]]]:
    if budget.threads <= 1 or len(jobs) == 1:
        for number, (way, secret) in enumerate(jobs):
            budget.progress("trying keys", number, len(jobs))
            yield from ((way, keys) for keys in _steps(way, secret, salts, budget, lambda: None))
        return
    stop = Event()

    def tick() -> None:
        if stop.is_set():
            raise Cancelled("no longer wanted")

    with ThreadPoolExecutor(budget.threads) as pool:
        try:
            flying = [(way, pool.submit(lambda w, s: list(_steps(w, s, salts, budget, tick)), way, secret)) for way, secret in jobs]
            for number, (way, future) in enumerate(flying):
                budget.progress("trying keys", number, len(jobs))
                while not future.done():
                    budget.check()
                    wait((future,), timeout=0.2)
                yield from ((way, keys) for keys in future.result())
        finally:
            stop.set()
            for _, future in flying:
                future.cancel()


def _steps(way: Derivation, secret: bytes, salts: Sequence[bytes], budget: Budget, tick: Callable[[], None]) -> Iterator[list[bytes]]:
    """The keys of all salts, growing part by part."""
    have = [b""] * len(salts)
    try:
        for which, part in way.steps(len(salts)):
            for i, more in zip(which, way.keys(secret, [salts[i] for i in which], part, budget, tick), strict=True):
                have[i] += more
            yield [key if i in which else b"" for i, key in enumerate(have)]  # the others were checked
    except EvidenceError as error:  # a PIM that asks for hours, more memory than is allowed
        if error.what == "time":
            raise
        budget.report(error, way.title)
