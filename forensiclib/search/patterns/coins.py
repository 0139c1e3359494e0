"""Addresses and keys of crypto currencies: all of them carry a checksum."""

from __future__ import annotations

from functools import partial

from forensiclib.core.declare import Checked, TextPattern
from forensiclib.search.patterns._checks import base58, base58check, bech32, keccak256

__all__ = ["PATTERNS"]

_B58 = "[1-9A-HJ-NP-Za-km-z]"
_B32 = "[02-9ac-hj-np-z]"
_EDGE, _END = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"


def check_base58(text: str, versions: tuple[int, ...], sizes: tuple[int, ...] = (20,)) -> Checked | None:
    """A base58check string with one of the version bytes and payload sizes."""
    raw = base58check(text)
    if raw is None or raw[0] not in versions or len(raw) - 1 not in sizes:
        return None
    return Checked(text, 1.0)


def check_segwit(text: str, prefix: str, versions: tuple[int, ...]) -> Checked | None:
    """A bech32 or bech32m address of that network, else a base58 one."""
    if "1" in text and text.lower().startswith(prefix + "1"):
        found = bech32(text)
        return Checked(text.lower(), 1.0) if found is not None and found[0] == prefix else None
    return check_base58(text, versions)


def check_ethereum(text: str) -> Checked | None:
    """Mixed case must be right by EIP-55; one case alone is no proof."""
    digits = text[2:]
    if digits == digits.lower() or digits == digits.upper():
        return Checked(text.lower(), 0.4) if len(set(digits)) > 4 else None
    digest = keccak256(digits.lower().encode()).hex()
    right = all(c.isdigit() or (c.isupper() == (int(d, 16) >= 8)) for c, d in zip(digits, digest))
    return Checked(text.lower(), 1.0 if right else 0.3, right)


def check_monero(text: str) -> Checked | None:
    """Base58 in blocks of eight bytes, Keccak of the payload behind it. Network 18 standard, 19 integrated, 42 subaddress."""
    sizes = {2: 1, 3: 2, 5: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8}
    raw = b""
    for at in range(0, len(text), 11):
        block = text[at : at + 11]
        size = sizes.get(len(block))
        piece = base58(block)
        if size is None or piece is None:
            return None
        value = int.from_bytes(piece, "big")
        if value >> (8 * size):
            return None
        raw += value.to_bytes(size, "big")
    if len(raw) not in (69, 77) or raw[0] not in (18, 19, 42) or keccak256(raw[:-4])[:4] != raw[-4:]:
        return None
    return Checked(text, 1.0)


PATTERNS = (
    TextPattern(
        name="bitcoin",
        title="Bitcoin address (base58check, bech32, bech32m)",
        refs=("Bitcoin: Base58Check encoding", "BIP-173", "BIP-350"),
        gaps=("addresses of the test networks",),
        expression=f"{_EDGE}(?:[13]{_B58}{{25,34}}|bc1{_B32}{{11,71}}|BC1{_B32.upper()}{{11,71}}){_END}",
        check=partial(check_segwit, prefix="bc", versions=(0x00, 0x05)),
    ),
    TextPattern(
        name="bitcoin-key",
        title="Bitcoin private key (wallet import format) or extended key (BIP-32)",
        refs=("Bitcoin: wallet import format", "BIP-32 serialization format"),
        gaps=("keys of the test networks", "seed phrases (BIP-39) are not looked for"),
        expression=f"{_EDGE}(?:5{_B58}{{50}}|[KL]{_B58}{{51}}|x(?:prv|pub){_B58}{{107}}){_END}",
        check=partial(check_base58, versions=(0x80, 0x04), sizes=(32, 33, 77)),
    ),
    TextPattern(
        name="litecoin",
        title="Litecoin address (base58check L and M, bech32)",
        refs=("Litecoin Core, chain parameters", "BIP-173"),
        gaps=("the old form that begins with 3 is told as Bitcoin, whose bytes it has",),
        expression=f"{_EDGE}(?:[LM]{_B58}{{26,33}}|ltc1{_B32}{{11,71}}){_END}",
        check=partial(check_segwit, prefix="ltc", versions=(0x30, 0x32)),
    ),
    TextPattern(
        name="dogecoin",
        title="Dogecoin address",
        refs=("Dogecoin Core, chain parameters",),
        expression=f"{_EDGE}[DA9]{_B58}{{25,34}}{_END}",
        check=partial(check_base58, versions=(0x1E, 0x16)),
    ),
    TextPattern(
        name="tron",
        title="Tron address",
        refs=("Tron developer documentation: account address format",),
        expression=f"{_EDGE}T{_B58}{{33}}{_END}",
        check=partial(check_base58, versions=(0x41,)),
    ),
    TextPattern(
        name="ethereum",
        title="Ethereum address (EIP-55)",
        refs=("EIP-55: mixed-case checksum address encoding",),
        gaps=("addresses in one case have no checksum; other 20-byte hexadecimal values look the same",),
        expression=f"{_EDGE}0x[0-9A-Fa-f]{{40}}{_END}",
        check=check_ethereum,
    ),
    TextPattern(
        name="monero",
        title="Monero address (standard, integrated, subaddress)",
        refs=("Monero documentation: standard address, base58",),
        gaps=("addresses of the test networks",),
        expression=f"{_EDGE}[48]{_B58}{{94}}(?:{_B58}{{11}})?{_END}",
        check=check_monero,
    ),
)
