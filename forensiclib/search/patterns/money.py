"""Payment cards and bank accounts."""

from __future__ import annotations

import re

from forensiclib.core.declare import Checked, TextPattern
from forensiclib.search.patterns._checks import luhn, mod97

__all__ = ["PATTERNS"]

_IIN: tuple[tuple[str, int, int, tuple[int, ...]], ...] = (
    ("American Express", 34, 34, (15,)), ("American Express", 37, 37, (15,)), ("Diners Club", 36, 36, (14, 16, 19)),
    ("Diners Club", 38, 39, (14, 16, 19)), ("Diners Club", 300, 305, (14, 16, 19)), ("Discover", 6011, 6011, (16, 19)),
    ("Discover", 644, 649, (16, 19)), ("Discover", 65, 65, (16, 19)), ("JCB", 3528, 3589, (16, 17, 18, 19)),
    ("Maestro", 50, 50, (12, 13, 14, 15, 16, 17, 18, 19)), ("Maestro", 56, 58, (12, 13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", 6304, 6304, (12, 13, 16, 18, 19)), ("Maestro", 6759, 6763, (12, 13, 16, 18, 19)),
    ("Mastercard", 51, 55, (16,)), ("Mastercard", 2221, 2720, (16,)), ("Mir", 2200, 2204, (16, 17, 18, 19)),
    ("RuPay", 508, 508, (16,)), ("UnionPay", 62, 62, (16, 17, 18, 19)), ("Visa", 4, 4, (13, 16, 19)),
)  # fmt: skip
"""(scheme, first and last prefix, lengths)."""
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN = {
    code[:2]: int(code[2:]) for code in _LENGTHS.split()
}  # fmt: skip


def check_card(text: str) -> Checked | None:
    """Digits of a length that its scheme has, whose Luhn digit holds; separators of one kind, in groups as printed."""
    digits = re.sub("[ -]", "", text)
    groups = [len(part) for part in re.split("[ -]", text)]
    if len(groups) > 1 and (len(set(re.sub("[0-9]", "", text))) > 1 or groups not in _grouped(len(digits))):
        return None
    scheme = next((s for s, low, high, sizes in _IIN if len(digits) in sizes and low <= int(digits[: len(str(low))]) <= high), None)
    if scheme is None or not luhn(digits) or len(set(digits)) < 2:
        return None
    return Checked(digits, 0.9 if len(groups) > 1 else 0.7, group=scheme)


def _grouped(n: int) -> list[list[int]]:
    fours = [4] * (n // 4) + ([n % 4] if n % 4 else [])
    return [fours, {15: [4, 6, 5], 14: [4, 6, 4]}.get(n, fours)]


def check_iban(text: str) -> Checked | None:
    """The country's length, and the two check digits (ISO 7064 MOD 97-10)."""
    size = _IBAN.get(text[:2])
    if size is None:
        return None
    kept = [i for i, c in enumerate(text) if c != " "]
    if len(kept) < size:
        return None
    taken = kept[size - 1] + 1
    value = text[:taken].replace(" ", "")
    if taken < len(text) and text[taken] != " ":
        return None
    if not mod97(value):
        return Checked(value, 0.2, False, value[:2], taken) if " " in text[:taken] else None
    return Checked(value, 1.0, True, value[:2], taken)


PATTERNS = (
    TextPattern(
        name="card",
        title="Payment card number (ISO/IEC 7812, Luhn digit, ranges of the schemes)",
        refs=("ISO/IEC 7812-1:2017, annex B", "Mastercard, Visa, American Express, Discover: published ranges of prefixes"),
        gaps=("one of ten numbers of a fitting length and prefix passes the Luhn digit by chance", "schemes of single countries"),
        expression=r"(?<![0-9A-Za-z.])[2-6][0-9](?:[ -]?[0-9]){10,17}(?![0-9A-Za-z])",
        check=check_card,
    ),
    TextPattern(
        name="iban",
        title="International bank account number (IBAN)",
        refs=("ISO 13616-1:2020", "SWIFT, IBAN registry"),
        gaps=("lower case; a national check inside the account number is not computed",),
        expression=r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,29}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![0-9A-Za-z])",
        check=check_iban,
    ),
)
