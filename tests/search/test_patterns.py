"""Patterns: vectors that specifications and registries publish, and what must not pass."""

from __future__ import annotations

import hashlib

import pytest

from forensiclib.catalog import load
from forensiclib.core.source import MemorySource
from forensiclib.search.engine import search
from forensiclib.search.patterns import coins, money, network, people, places
from forensiclib.search.patterns._checks import base58check, bech32, keccak256, luhn, mod97
from forensiclib.search.query import Query

PATTERNS = {p.name: p for room in (coins, money, network, people, places) for p in room.PATTERNS}


def found(name: str, text: str, encoding: str = "utf-8") -> list[tuple[str, str, bool]]:
    hits = search(MemorySource(b"\0\0" + text.encode(encoding) + b"\0\0"), Query(patterns=(PATTERNS[name],)))
    return [(h.value, h.normal, h.valid) for h in hits]


VALID = {
    "email": [("simple@example.com", ""), ("Disposable.Style+x@Example.ORG", "Disposable.Style+x@example.org"), ("a/b=c@dept.example.co.uk", "")],
    "url": [
        ("http://www.ietf.org/rfc/rfc2396.txt", ""), ("ftp://ftp.is.co.za/rfc/rfc1808.txt", ""), ("HTTPS://User@Example.COM:8042/over?a=B#nose", "https://User@example.com:8042/over?a=B#nose"),
        ("http://[2001:db8::7]/c=GB?one", ""), ("file:///etc/passwd", None),
    ],
    "domain": [("mail.example.co.uk", ""), ("xn--bcher-kva.example.org", "")],
    "ipv4": [("192.0.2.1", ""), ("255.255.255.254", ""), ("8.8.8.8", "")],
    # RFC 5952 4 and RFC 4291 2.2
    "ipv6": [("2001:0db8:0:0:0:0:2:1", "2001:db8::2:1"), ("2001:DB8::1", "2001:db8::1"), ("FF01:0:0:0:0:0:0:101", "ff01::101"), ("::ffff:192.0.2.128", "::ffff:c000:280")],
    "mac": [("00-00-5E-00-53-AF", "00:00:5e:00:53:af"), ("00:00:5e:00:53:01", "")],
    "guid": [("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")],  # RFC 9562 4
    "sid": [("S-1-5-21-3623811015-3361044348-30300820-1013", ""), ("S-1-5-32-544", "")],
    "hash": [(hashlib.md5(b"").hexdigest(), ""), (hashlib.sha256(b"").hexdigest(), ""), (hashlib.sha512(b"").hexdigest(), "")],
    # Bitcoin's genesis block, BIP-173 and BIP-350 test vectors
    "bitcoin": [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", ""), ("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", ""), ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", ""), ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", ""),
    ],
    "bitcoin-key": [
        ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", ""), ("KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617", ""),
        # BIP-32 test vector 1
        ("xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8", ""),
        ("xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi", ""),
    ],
    # EIP-55
    "ethereum": [(a, a.lower()) for a in (
        "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    )],
    "monero": [("44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A", "")],
    # Numbers that payment processors publish for tests
    "card": [(n, n.replace(" ", "").replace("-", "")) for n in (
        "4111 1111 1111 1111", "5555555555554444", "5105-1051-0510-5100", "2223003122003222", "378282246310005", "3782 822463 10005", "6011111111111117", "3530111333300000",
        "30569309025904", "4222222222222", "6304000000000000",
    )],
    # SWIFT IBAN registry
    "iban": [(n, n.replace(" ", "")) for n in (
        "GB29 NWBK 6016 1331 9268 19", "DE89370400440532013000", "FR14 2004 1010 0505 0001 3M02 606", "NO93 8601 1117 947", "MT84MALT011000012345MTLCAST001S",
        "BE68 5390 0754 7034", "SA03 8000 0000 6080 1016 7519", "LC55HEMM000100010012001200023015", "CH93 0076 2011 6238 5295 7",
    )],
    "phone": [("+44 20 7946 0018", "+442079460018"), ("+1 (212) 555-0142", "+12125550142"), ("+49 (0)30 901820", "+4930901820"), ("+358 9 4250 1000", "+358942501000")],
    "phone-uk": [("020 7946 0018", "+442079460018"), ("(0117) 496 0123", "+441174960123"), ("07700 900123", "+447700900123"), ("01632 960983", "+441632960983")],
    "phone-us": [("(212) 555-0142", "+12125550142"), ("415-555-0101", "+14155550101"), ("202.555.0143", "+12025550143")],
    "nino": [("AB123456C", ""), ("JG 10 37 59 A", "JG103759A")],
    "ssn": [("219-09-9998", "")],
    "postcode-uk": [("SW1A 1AA", ""), ("M1 1AE", ""), ("DN55 1PT", ""), ("EC1A 1BB", ""), ("W1A 0AX", ""), ("CR2 6XH", "")],
    "plate-uk": [("AB51 CDE", ""), ("BD70ABC", "BD70 ABC"), ("A123 BCD", ""), ("ABC 123D", ""), ("AIZ 1234", "")],
    # 49 CFR 565 and ISO 3779 examples
    "vin": [("1M8GDM9AXKP042788", ""), ("11111111111111111", None), ("5GZCZ43D13S812715", ""), ("WVWZZZ1JZXW000001", "")],
    "gps": [("51.500729, -0.124625", "51.500729,-0.124625"), ("-33.856784;151.215297", "-33.856784,151.215297")],
    "gps-dms": [("48°51'29.6\"N 2°17'40.2\"E", "48.858222,2.294500"), ("33°51′24.42″S, 151°12′55.07″E", "-33.856783,151.215297")],
    "nmea": [
        ("$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47", "48.117300,11.516667"),
        ("$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A", "48.117300,11.516667"),
    ],
    "litecoin": [("LQTpS3VaYTjCr4s9Y1t5zbeY26zevf7Fb3", ""), ("ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfea", "")],
    "dogecoin": [("DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "")],
    "tron": [("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "")],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "normal"), [(n, t, w) for n, rows in VALID.items() for t, w in rows])
def test_published_values_are_found(name, text, normal):
    hits = found(name, f"see {text} there")
    if normal is None:
        assert hits == []
        return
    assert hits == [(text, normal or text, True)]
    if name != "gps-dms":
        assert found(name, text, "utf-16-le") == hits == found(name, text, "utf-16-be")


INVALID = {
    "email": ["a..b@example.com", "@example.com", "a@-example.com", "a@b"],
    "domain": ["setup.exe", "readme.txt", "1.2.3.4", "a.b.zip"],
    "ipv4": ["256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "v1.2.3.4"],
    "ipv6": ["12:30:45", "::", "1:2", "fe80:::1", "std::vector"],
    "mac": ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "00:11:22:33:44", "00:11:22:33:44:55:66"],
    # BIP-173, BIP-350: invalid checksums, programs and lengths
    "bitcoin": [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "bc1rw5uspcuf", "bc1gmk9yu", "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
    ],
    "card": ["4111111111111112", "1234567890123456", "4111 11 11 1111 1111", "0.4111111111111111", "94111111111111111"],
    "iban": ["DE89370400440532013001", "XX89370400440532013000", "GB29NWBK601613319268"],
    "phone": ["+999123456789", "+44 1", "+1 111 555 0142"],
    "phone-us": ["012-555-0142", "212-155-0142", "211-555-0142 x".replace("211", "911")],
    "nino": ["BG123456A", "DA123456A", "AB123456E", "AO123456A", "QQ123456C"],
    "ssn": ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "078-05-1120"],
    "postcode-uk": ["XX1 1AA", "SW1A 1CA"],
    "gps": ["91.12345, 10.12345", "1.5, 2.5"],
    "vin": ["AAAAAAAAAAAAAAAAA", "IOQ11111111111111"],
    "monero": ["44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3B"],
    "guid": ["00000000-0000-0000-0000-000000000000"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in INVALID.items() for t in texts])
def test_what_is_none_is_not_found(name, text):
    assert found(name, f"see {text} there") == []


def test_an_unmistakable_form_with_a_wrong_checksum_says_so():
    assert found("nmea", "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*48")[0][2] is False
    assert found("ethereum", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed")[0][2] is False
    assert found("iban", "GB29 NWBK 6016 1331 9268 18")[0][2] is False
    assert found("vin", "1M8GDM9A0KP042788")[0][2] is False


def test_sentences_around_are_left_off():
    assert [v for v, _, _ in found("url", "(see http://example.org/a_(b)), or <http://example.org/x>.")] == [
        "http://example.org/a_(b)",
        "http://example.org/x",
    ]
    assert [v for v, _, _ in found("iban", "GB29 NWBK 6016 1331 9268 19 AND DE89 3704 0044 0532 0130 00.")] == [
        "GB29 NWBK 6016 1331 9268 19",
        "DE89 3704 0044 0532 0130 00",
    ]
    assert [v for v, _, _ in found("card", "call 555-0142 4111 1111 1111 1111")] == ["4111 1111 1111 1111"]
    assert [v for v, _, _ in found("phone", "+44 20 7946 0018 (020) 7946 0018 123")] == ["+44 20 7946 0018"]


def test_checks_against_others():
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    long = bytes(range(256)) * 3
    pycryptodomex = pytest.importorskip("Cryptodome.Hash.keccak")
    for n in (0, 1, 135, 136, 137, 500):
        assert keccak256(long[:n]) == pycryptodomex.new(digest_bits=256, data=long[:n]).digest()
    assert luhn("79927398713") and not luhn("79927398710")
    assert mod97("GB82WEST12345698765432") and base58check("x0") is None and bech32("a12uel5l") is None


def test_every_pattern_is_in_the_catalogue_and_here():
    assert {p.name for p in load().patterns} == set(PATTERNS) == set(VALID)
