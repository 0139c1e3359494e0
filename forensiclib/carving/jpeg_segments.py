"""JPEG marker segments: their codes, and what their content may be (ITU-T T.81, annex B)."""

from __future__ import annotations

__all__ = ["APP2", "DHT", "DQT", "DRI", "EOI", "OTHER", "RST", "SOF", "SOS", "TEM", "quantisers_from", "sound"]

SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
RST = range(0xD0, 0xD8)
SOI, EOI, SOS, DQT, DNL, DRI, DHT, DAC, APP2, COM, TEM = 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xC4, 0xCC, 0xE2, 0xFE, 0x01
OTHER = {DQT, DNL, DRI, DHT, DAC, COM, 0xDF, *range(0xE0, 0xF0)}


def sound(marker: int, body: bytes) -> bool:
    """Whether a segment's content can be what its marker says."""
    if marker in SOF:
        return (
            len(body) >= 9
            and body[0] in (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16)
            and body[3:5] != b"\0\0"
            and 1 <= body[5] <= 4
            and len(body) == 6 + 3 * body[5]
            and all(0x11 <= s <= 0x44 and s & 15 for s in body[7::3])
        )
    if marker == SOS:
        return bool(body) and 1 <= body[0] <= 4 and len(body) == 4 + 2 * body[0]
    if marker == DHT:
        at = 0
        while at + 17 <= len(body):
            if body[at] & 0xEC or sum(body[at + 1 : at + 17]) > 256:
                return False
            at += 17 + sum(body[at + 1 : at + 17])
        return at == len(body) > 0
    if marker == DQT:
        at = 0
        while at < len(body):
            if body[at] & 15 > 3 or body[at] >> 4 > 1:
                return False
            at += 65 + 64 * (body[at] >> 4)
        return at == len(body) > 0
    return len(body) == 2 if marker == DRI else True


def quantisers_from(body: bytes, into: dict[int, int]) -> None:
    """The DC step of every quantisation table in a sound DQT segment."""
    at = 0
    while at < len(body):
        wide = body[at] >> 4
        into[body[at] & 15] = int.from_bytes(body[at + 1 : at + 2 + wide], "big")
        at += 65 + 64 * wide
