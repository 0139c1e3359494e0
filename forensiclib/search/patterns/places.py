"""Positions on the earth."""

from __future__ import annotations

import re

from forensiclib.core.declare import Checked, TextPattern

__all__ = ["PATTERNS"]


def _placed(latitude: float, longitude: float, confidence: float, valid: bool = True) -> Checked | None:
    if abs(latitude) > 90 or abs(longitude) > 180 or (latitude == 0 and longitude == 0):
        return None
    return Checked(f"{latitude:.6f},{longitude:.6f}", confidence, valid)


def check_decimal(text: str) -> Checked | None:
    """Latitude, longitude in degrees with at least four decimals each; other pairs of such numbers look the same."""
    numbers = re.findall(r"[+-]?[0-9]+\.[0-9]+", text)
    return _placed(float(numbers[0]), float(numbers[1]), 0.5 if min(len(n.partition(".")[2]) for n in numbers) >= 5 else 0.3)


def check_dms(text: str) -> Checked | None:
    """Degrees, minutes and seconds with the letters of the hemispheres."""
    found = re.findall(r"([0-9]{1,3})[°º] ?([0-9]{1,2})['\u2032\u2019] ?([0-9]{1,2}(?:\.[0-9]+)?)(?:[\"\u2033\u201d]|'') ?([NSEW])", text)
    values = []
    for degrees, minutes, seconds, letter in found:
        if int(minutes) > 59 or float(seconds) >= 60:
            return None
        value = int(degrees) + int(minutes) / 60 + float(seconds) / 3600
        values.append(-value if letter in "SW" else value)
    return _placed(values[0], values[1], 0.9) if len(values) == 2 else None


def check_nmea(text: str) -> Checked | None:
    """GGA and RMC sentences: the checksum is the XOR of the bytes between "$" and "*"."""
    body, _, stated = text[1:].partition("*")
    total = 0
    for character in body:
        total ^= ord(character)
    right = total == int(stated, 16)
    fields = body.split(",")
    at = 2 if fields[0][2:] == "GGA" else 3
    latitude, north, longitude, east = fields[at : at + 4]
    if not latitude or not longitude:
        return None
    first, second = int(latitude[:2]) + float(latitude[2:]) / 60, int(longitude[:3]) + float(longitude[3:]) / 60
    return _placed(-first if north == "S" else first, -second if east == "W" else second, 1.0 if right else 0.3, right)


_POSITION = r"[0-9]{4}\.[0-9]{1,8},[NS],[0-9]{5}\.[0-9]{1,8},[EW]"
PATTERNS = (
    TextPattern(
        name="gps",
        title="Position in decimal degrees",
        refs=("ISO 6709:2022 annex D",),
        gaps=("longitude before latitude (GeoJSON) is read the wrong way round", "fewer than four decimals"),
        expression=r"(?<![0-9A-Za-z.,-])[+-]?[0-9]{1,2}\.[0-9]{4,15}(?: ?, ?|[ ;])[+-]?[0-9]{1,3}\.[0-9]{4,15}(?![0-9A-Za-z]|[.,][0-9])",
        check=check_decimal,
    ),
    TextPattern(
        name="gps-dms",
        title="Position in degrees, minutes and seconds",
        refs=("ISO 6709:2022 annex D",),
        gaps=("letters before the numbers; degrees and minutes alone",),
        expression=(
            r"(?<![0-9])[0-9]{1,2}[°º] ?[0-9]{1,2}['\u2032\u2019] ?[0-9]{1,2}(?:\.[0-9]{1,8})?(?:[\"\u2033\u201d]|'') ?[NS][ ,;/]{0,3}"
            r"[0-9]{1,3}[°º] ?[0-9]{1,2}['\u2032\u2019] ?[0-9]{1,2}(?:\.[0-9]{1,8})?(?:[\"\u2033\u201d]|'') ?[EW](?![A-Za-z])"
        ),
        check=check_dms,
    ),
    TextPattern(
        name="nmea",
        title="Position in a NMEA 0183 sentence (GGA, RMC)",
        refs=("NMEA 0183 version 4.11: GGA, RMC, checksum",),
        gaps=("other sentences",),
        expression=rf"\$(?:G[ABILNPQ]|BD)(?:GGA,[0-9.]{{6,12}},{_POSITION},[0-9A-Za-z.,-]{{1,60}}|RMC,[0-9.]{{6,12}},[AV],{_POSITION},[0-9A-Za-z.,-]{{1,60}})\*[0-9A-Fa-f]{{2}}",
        check=check_nmea,
    ),
)
