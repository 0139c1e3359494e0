"""Telephone numbers, national numbers, postcodes and vehicles."""

from __future__ import annotations

import re

from forensiclib.core.declare import Checked, TextPattern

__all__ = ["PATTERNS"]

_CODES = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 "
    "92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 "
    "241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 "
    "297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 379 380 381 382 383 385 386 387 "
    "389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 "
    "677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888 "
    "960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998"
)
_CALLING = frozenset(_CODES.split())
"""Country codes in use (ITU-T E.164 list of assigned country codes)."""
_UK = re.compile(r"0(?:1\d{8,9}|2\d{9}|3\d{9}|5[56]\d{8}|7[1-57-9]\d{8}|800\d{6,7}|8\d{9}|9\d{9})")


def check_international(text: str) -> Checked | None:
    """E.164: a country code in use and 8 to 15 digits; a "(0)" in it is left out. What follows behind a gap may be another
    number: the longest beginning that is one counts."""
    ends = [len(text), *reversed([m.start() for m in re.finditer(r"[ ./-]", text)])]
    return next((found for end in ends if (found := _international(text[:end]))), None)


def _international(text: str) -> Checked | None:
    digits = re.sub(r"\D", "", text.replace("(0)", ""))
    code = next((digits[:n] for n in (1, 2, 3) if digits[:n] in _CALLING), "")
    if not code or not 8 <= len(digits) <= 15 or text.count("(") != text.count(")"):
        return None
    taken = len(text)
    if code == "44":
        return Checked("+" + digits, 0.9, group="+44", taken=taken) if _UK.fullmatch("0" + digits[2:]) else None
    if code == "1":
        return Checked("+" + digits, 0.9, group="+1", taken=taken) if _american(digits[1:]) else None
    return Checked("+" + digits, 0.7 if len(digits) >= 9 else 0.4, group="+" + code, taken=taken)


def _american(digits: str) -> bool:
    """NANP: area code and exchange begin with 2 to 9, neither is N11; 555-01xx is fiction and stays."""
    return len(digits) == 10 and digits[0] in "23456789" and digits[3] in "23456789" and digits[1:3] != "11" and digits[4:6] != "11"


def check_uk_phone(text: str) -> Checked | None:
    """A number in the plan of Ofcom, as dialled within the United Kingdom."""
    digits = re.sub(r"\D", "", text)
    if not _UK.fullmatch(digits):
        return None
    return Checked("+44" + digits[1:], 0.7 if len(text) > len(digits) else 0.4, group="+44")


def check_us_phone(text: str) -> Checked | None:
    """A number of the North American plan, in its usual groups."""
    digits = re.sub(r"\D", "", text)
    return Checked("+1" + digits, 0.6, group="+1") if _american(digits) else None


def check_nino(text: str) -> Checked | None:
    """HMRC NIM39110: letters that are not used, prefixes that are not allocated."""
    value = re.sub(r"\s", "", text).upper()
    if value[0] in "DFIQUV" or value[1] in "DFIOQUV" or value[:2] in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"):
        return None
    return Checked(value, 0.8 if len(text) > 9 else 0.6)


def check_ssn(text: str) -> Checked | None:
    """SSA: area not 000, 666 or 9xx, group not 00, serial not 0000; three numbers that advertisements made known are none."""
    area, group, serial = text[:3], text[4:6], text[7:]
    if area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000" or text in ("078-05-1120", "219-09-9999"):
        return None
    return Checked(text.replace(" ", "-"), 0.6)


_POSTAL = (
    "AB AL B BA BB BD BF BH BL BN BR BS BT BX CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G "
    "GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX "
    "PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS "
    "WV YO ZE"
)
_AREAS = frozenset(_POSTAL.split())


def check_postcode(text: str) -> Checked | None:
    """Royal Mail: a postcode area that exists, letters that the inward part may have."""
    value = text.upper().replace(" ", "")
    outward, inward = value[:-3], value[-3:]
    area = re.match("[A-Z]+", outward)
    if area is None or area[0] not in _AREAS or set(inward[1:]) & set("CIKMOV"):
        return None
    return Checked(f"{outward} {inward}", 0.8 if " " in text else 0.4, group=area[0])


def check_plate(text: str) -> Checked | None:
    """DVLA: current (2001), prefix (1983), suffix (1963) and Northern Ireland forms."""
    value = text.upper().replace(" ", "")
    if re.fullmatch("[A-HJ-PR-Y]{2}[0-9]{2}[A-HJ-PR-Z]{3}", value):
        age = int(value[2:4])
        if not (2 <= age <= 50 or 51 <= age <= 99):
            return None
        return Checked(f"{value[:4]} {value[4:]}", 0.7 if " " in text else 0.5, group="current")
    if re.fullmatch("[A-HJ-NPR-TV-Y][1-9][0-9]{0,2}[A-HJ-PR-Y][A-Z]{2}", value):
        return Checked(f"{value[:-3]} {value[-3:]}", 0.4 if " " in text else 0.2, group="prefix")
    if re.fullmatch("[A-Z]{3}[1-9][0-9]{0,2}[A-HJ-NPR-TV-Y]", value):
        return Checked(f"{value[:3]} {value[3:]}", 0.4 if " " in text else 0.2, group="suffix")
    if re.fullmatch("[A-Z]?[A-Z]?[IZ][A-Z]?[1-9][0-9]{0,3}", value) and " " in text:
        return Checked(f"{text.upper().partition(' ')[0]} {text.partition(' ')[2]}", 0.3, group="Northern Ireland")
    return None


_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_VIN = dict(zip(_LETTERS, (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9, *range(10)), strict=True))
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def check_vin(text: str) -> Checked | None:
    """The check digit of 49 CFR 565.15 (c); outside North America and China it is not obligatory."""
    value = text.upper()
    if len(set(value)) < 6 or value.isdigit() or value.isalpha() or not re.search("[0-9]{3}$", value):
        return None
    total = sum(_VIN[c] * w for c, w in zip(value, _WEIGHTS))
    if value[8] == "0123456789X"[total % 11]:
        return Checked(value, 0.9)
    return Checked(value, 0.2, False) if value[0] in "12345" else Checked(value, 0.3)


PATTERNS = (
    TextPattern(
        name="phone",
        title="Telephone number in international form (E.164)",
        refs=("ITU-T E.164 (2010)", "ITU-T E.164 Annex: list of assigned country codes", "Ofcom, National Telephone Numbering Plan"),
        gaps=("lengths are checked for +44 and +1 alone", "00 instead of +"),
        expression=r"(?<![0-9A-Za-z+])\+[1-9](?:[ ./-]?\(?[0-9]\)?){6,14}(?![0-9])",
        check=check_international,
    ),
    TextPattern(
        name="phone-uk",
        title="Telephone number as dialled in the United Kingdom",
        refs=("Ofcom, National Telephone Numbering Plan",),
        gaps=("local numbers without area code",),
        expression=(
            r"(?<![0-9A-Za-z+./-])\(?0[1-35789](?:[0-9]{8,9}|[0-9]{2,3}\)?[ -][0-9]{5,6}|[0-9]\)?[ -][0-9]{4}[ -]?[0-9]{4}"
            r"|[0-9]{2}\)?[ -][0-9]{3}[ -]?[0-9]{4}|[0-9]{3}\)?[ -][0-9]{3}[ -]?[0-9]{3})(?![0-9A-Za-z])"
        ),
        check=check_uk_phone,
    ),
    TextPattern(
        name="phone-us",
        title="Telephone number of the North American plan",
        refs=("NANPA, North American Numbering Plan",),
        gaps=("ten digits without separators",),
        expression=(
            r"(?<![0-9A-Za-z+./-])(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}-[0-9]{4}|[2-9][0-9]{2}(?P<s>[-. ])[2-9][0-9]{2}(?P=s)[0-9]{4})"
            r"(?![0-9A-Za-z-])"
        ),
        check=check_us_phone,
    ),
    TextPattern(
        name="nino",
        title="National Insurance number (United Kingdom)",
        refs=("HMRC, National Insurance Manual NIM39110",),
        gaps=("it has no check digit",),
        expression=r"(?<![0-9A-Za-z])[A-CEGHJ-PR-TW-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D](?![0-9A-Za-z])",
        check=check_nino,
        ignore_case=True,
    ),
    TextPattern(
        name="ssn",
        title="Social security number (United States)",
        refs=("SSA POMS RM 10201.035",),
        gaps=("without separators", "it has no check digit"),
        expression=r"(?<![0-9A-Za-z-])[0-8][0-9]{2}(?P<s>[- ])[0-9]{2}(?P=s)[0-9]{4}(?![0-9A-Za-z-])",
        check=check_ssn,
    ),
    TextPattern(
        name="postcode-uk",
        title="Postcode (United Kingdom)",
        refs=("Royal Mail, PAF Programmers' Guide: postcode formats",),
        gaps=("whether it is in use", "lower case", "GIR 0AA and those of overseas territories"),
        expression=r"(?<![0-9A-Za-z])[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}(?![0-9A-Za-z])",
        check=check_postcode,
    ),
    TextPattern(
        name="plate-uk",
        title="Vehicle registration mark (United Kingdom)",
        refs=("DVLA INF104 and INS160: formats of registration numbers",),
        gaps=("dateless marks but those of Northern Ireland", "lower case", "random text of capitals and digits looks the same"),
        expression=(
            r"(?<![0-9A-Za-z])(?:[A-Z]{2}[0-9]{2} ?[A-Z]{3}|[A-Z][0-9]{1,3} ?[A-Z]{3}|[A-Z]{3} ?[0-9]{1,3}[A-Z]"
            r"|[A-Z]{2,3} [0-9]{1,4})(?![0-9A-Za-z])"
        ),
        check=check_plate,
    ),
    TextPattern(
        name="vin",
        title="Vehicle identification number",
        refs=("ISO 3779:2009", "49 CFR 565.15"),
        gaps=("the check digit is proof in North America and China alone; others get a low confidence",),
        expression=r"(?<![0-9A-Za-z])[A-HJ-NPR-Z0-9]{17}(?![0-9A-Za-z])",
        check=check_vin,
    ),
)
