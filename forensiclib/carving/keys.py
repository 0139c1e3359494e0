"""Keys, certificates and encrypted containers: ASN.1, OpenPGP, key stores, KeePass, AxCrypt."""

from __future__ import annotations

import hashlib

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_DEEP = 24
_NODES = 200_000
_X509 = "application/pkix-cert"


def _length(window: Window, at: int) -> tuple[int, int]:
    """(length, offset of the content) of the DER element at ``at``; (-1, at) when it is none."""
    first = window.number(at + 1, 1)
    if 0 <= first < 128:
        return first, at + 2
    size = first & 127
    if first < 0 or not 1 <= size <= 4:
        return -1, at
    value = window.number(at + 2, size, big=True)
    return (value, at + 2 + size) if value >= 128 or size > 1 else (-1, at)


def _holds(window: Window, at: int, end: int, depth: int, left: list[int], budget: Budget) -> bool:
    """Whether [at, end) is filled by DER elements, those constructed by theirs."""
    while at < end:
        budget.item()
        left[0] -= 1
        mark = window.number(at, 1)
        size, body = _length(window, at)
        if size < 0 or body + size > end or mark in (0, -1) or mark & 31 == 31:
            return False
        if mark & 0x20 and depth < _DEEP and left[0] > 0 and not _holds(window, body, body + size, depth + 1, left, budget):
            return False
        at = body + size
    return at == end


_VERSION_RSA = b"\x02\x01\x00"
_RSA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
_SIGNED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"


def _der_kind(window: Window, body: int) -> tuple[str, str] | None:
    head = window.at(body, 64)
    if head.startswith(_SIGNED):
        return (
            ("cat", "Windows security catalogue")
            if b"\x2b\x06\x01\x04\x01\x82\x37\x0a\x01" in window.at(body, 160)
            else ("p7b", "PKCS #7 message")
        )
    if head.startswith(b"\x02\x01\x03\x30"):
        return "p12", "PKCS #12 key store"
    if head.startswith(b"\x02\x01\x00\x02"):
        return "key", "RSA or DSA private key (traditional)"
    if head.startswith(b"\x02\x01\x00\x30"):
        return "key", "private key (PKCS #8)"
    if head.startswith(b"\x02\x01\x01\x04"):
        return "key", "EC private key"
    if head[:1] != b"\x30":
        return None
    size, inner = _length(window, body)
    first = window.at(inner, 32)
    if first.startswith((b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05", b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01")):
        return "key", "encrypted private key (PKCS #8)"
    if first.startswith(_RSA):
        return "pub", "public key"
    if size < 40:
        return None
    if first.startswith(b"\xa0\x03\x02\x01") or first[:1] == b"\x02":
        following, _ = _length(window, inner)
        at = inner + 5 if first[:1] == b"\xa0" else inner
        if first.startswith(b"\x02\x01\x00\x30"):
            return "csr", "certificate request (PKCS #10)"
        if first.startswith(b"\x02\x01\x01\x30"):
            return "crl", "certificate revocation list"
        return ("cer", "X.509 certificate") if following > 0 and window.at(at, 1) == b"\x02" else None
    return None


def _measure_der(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    size, body = _length(window, 0)
    if size < 64:
        return None
    kind = _der_kind(window, body)
    if kind is None:
        return None
    if body + size > data.size:
        return Find(data.size, 0.4, f"{body + size} bytes stated, the data ends before", *kind, complete=False)
    left = [_NODES]
    if not _holds(window, body, body + size, 0, left, budget):
        return None
    return Find(body + size, 0.95, f"{_NODES - left[0]} elements fill the sequence", *kind)


_TAGS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21))
_PGP_KEY, _PGP_SECRET = 6, 5


def _packet(window: Window, at: int) -> tuple[int, int]:
    """(tag, offset behind) of the OpenPGP packet at ``at``; (-1, at) when none is there."""
    mark = window.number(at, 1)
    if mark < 128:
        return -1, at
    if mark & 0x40:
        tag, at = mark & 63, at + 1
        while True:
            first = window.number(at, 1)
            if first < 0:
                return -1, at
            if first < 192:
                return tag, at + 1 + first
            if first < 224:
                return tag, at + 2 + (first - 192 << 8) + max(0, window.number(at + 1, 1)) + 192
            if first == 255:
                size = window.number(at + 1, 4, big=True)
                return (tag, at + 5 + size) if size >= 0 else (-1, at)
            at += 1 + (1 << (first & 31))
    tag, kind = mark >> 2 & 15, mark & 3
    if kind == 3:
        return -1, at
    size = window.number(at + 1, 1 << kind, big=True)
    return (tag, at + 1 + (1 << kind) + size) if size >= 0 else (-1, at)


def _packet_body(window: Window, at: int) -> int:
    """Offset of the content of the packet at ``at``."""
    mark = window.number(at, 1)
    if mark & 0x40:
        first = window.number(at + 1, 1)
        return at + (2 if first < 192 or first in range(224, 255) else 3 if first < 224 else 6)
    return at + 1 + (1 << (mark & 3))


def _measure_pgp(data: ByteSource, budget: Budget) -> Find | None:
    window, at, tags = Window(data), 0, list[int]()
    while True:
        budget.item()
        tag, end = _packet(window, at)
        if tag not in _TAGS or end > data.size or not _fits(window, tag, at, tags):
            break
        tags.append(tag)
        at = end
        if tag in (9, 18, 20):
            break
    if not tags:
        return None
    if tags[0] in (_PGP_KEY, _PGP_SECRET):
        if 13 not in tags or 2 not in tags:
            return None
        name = "OpenPGP secret key" if tags[0] == _PGP_SECRET else "OpenPGP public key"
        return Find(at, 0.9, f"{len(tags)} packets, then none", "gpg", name)
    if tags[-1] in (9, 18, 20):
        return Find(at, 0.9, f"{len(tags)} packets to the end of the encrypted data", "gpg", "OpenPGP message")
    return None


def _fits(window: Window, tag: int, at: int, before: list[int]) -> bool:
    """Whether a packet of that tag may stand there: its version, and what went before."""
    version = window.number(_packet_body(window, at), 1)
    if tag in (5, 6, 7, 14):
        return version in (3, 4, 5, 6) and (bool(before) or tag in (5, 6))
    if tag == 2:
        return version in (3, 4, 5, 6) and bool(before)
    body = _packet_body(window, at)
    if tag == 1:
        kind, bits, size = window.number(body + 9, 1), window.number(body + 10, 2, big=True), _packet(window, at)[1] - body
        whole = {1: 12 + (bits + 7 >> 3) == size, 16: bits >= 1000, 18: bits in range(250, 530)}.get(kind, False)
        return version == 3 and whole and all(t in (1, 3) for t in before)
    if tag == 3:
        cipher, how = window.number(body + 1, 1), window.number(body + 2, 1)
        return version in (4, 5, 6) and 1 <= cipher <= 13 and how in (0, 1, 3, 4) and all(t in (1, 3) for t in before)
    if tag in (9, 18, 20):
        return bool(before) and before[-1] in (1, 3) and tag == 18 and version in (1, 2)
    return bool(before) and before[0] in (5, 6) and tag in (12, 13, 17)


def _measure_jks(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    version, count, at = window.number(4, 4, big=True), window.number(8, 4, big=True), 12
    jceks = window.at(0, 1) == b"\xce"
    kind = ("jceks", "Java key store (JCEKS)") if jceks else ("jks", "Java key store (JKS)")
    if version not in (1, 2) or not 0 <= count <= 1 << 16:
        return None

    def text(place: int) -> int:
        size = window.number(place, 2, big=True)
        return place + 2 + size if size >= 0 else 1 << 60

    def certificate(place: int) -> int:
        place = text(place) if version == 2 else place
        size = window.number(place, 4, big=True)
        return place + 4 + size if size >= 0 else 1 << 60

    for _ in range(count):
        budget.item()
        tag = window.number(at, 4, big=True)
        at = text(at + 4) + 8
        if tag == 1:
            at += 4 + max(0, window.number(at, 4, big=True))
            chain, at = window.number(at, 4, big=True), at + 4
            for _ in range(min(max(0, chain), 256)):
                at = certificate(at)
        elif tag == 2:
            at = certificate(at)
        else:
            return None
        if at > data.size:
            return Find(12, 0.4, f"{count} entries stated, they break off", *kind, complete=False)
    if at + 20 > data.size or (not count and not any(data.read_at(at, 20))):
        return None
    return Find(at + 20, 0.9 if count else 0.6, f"{count} entries and the digest behind them", *kind)


def _measure_kdbx(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    major, at, ids = window.number(10, 2), 12, set[int]()
    if major not in (2, 3, 4):
        return None
    wide = 4 if major == 4 else 2
    while True:
        budget.item()
        kind, size = window.number(at, 1), window.number(at + 1, wide)
        if not 0 <= kind <= 12 or not 0 <= size <= 1 << 20:
            return None
        at += 1 + wide + size
        ids.add(kind)
        if kind == 0:
            break
    if not {2, 4} <= ids:
        return None
    if major < 4:
        return Find(min(at, data.size), 0.4, "header; version 3 does not state where the encrypted part ends", complete=False)
    if hashlib.sha256(data.read_at(0, at)).digest() != data.read_at(at, 32):
        return None
    at, blocks = at + 64, 0
    while True:
        size = window.number(at + 32, 4)
        budget.item()
        if size < 0 or at + 36 + size > data.size:
            return Find(min(at, data.size), 0.5, f"header digest good, {blocks} blocks, then none", complete=False)
        at, blocks = at + 36 + size, blocks + 1
        if not size:
            return Find(at, 1.0, f"header digest good, {blocks} blocks to the empty one")


def _measure_axx(data: ByteSource, budget: Budget) -> Find | None:
    window, at, kinds = Window(data), 16, 0
    while True:
        budget.item()
        size, kind = window.number(at, 4), window.number(at + 4, 1)
        if not 5 <= size <= 1 << 20 or not 0 < kind < 128:
            return None
        if kind == 63:
            length = window.number(at + 5, 8)
            end = at + size + length
            if size != 13 or length < 0 or length > 1 << 45:
                return None
            if end > data.size:
                return Find(data.size, 0.5, f"{kinds} headers, the data ends before", complete=False)
            return Find(end, 0.95, f"{kinds} headers; the last one states the length of the data")
        at, kinds = at + size, kinds + 1


CARVERS = (
    Carver(
        name="der",
        title="certificate or key (ASN.1 DER)",
        extension="der",
        mime=_X509,
        signatures=(
            Signature(b"\x30\x82\0\0\x30\x82", mask=b"\xff\xff\0\0\xff\xff"),
            Signature(b"\x30\x82\0\0\x30\x81", mask=b"\xff\xff\0\0\xff\xff"),
            Signature(b"\x30\x81\0\x30\x81", mask=b"\xff\xff\0\xff\xff"),
            Signature(b"\x30\x82\0\0\x02\x01\0", mask=b"\xff\xff\0\0\xff\xff\xfc"),
            Signature(b"\x30\x81\0\x02\x01\0\x30", mask=b"\xff\xff\0\xff\xff\xfe\xff"),
            Signature(b"\x30\x77\x02\x01\x01\x04\x20"),
            Signature(b"\x30\x81\0\x02\x01\x01\x04", mask=b"\xff\xff\0\xff\xff\xff\xff"),
            Signature(b"\x30\x82\0\0\x30\0\x06\x09\x2a\x86\x48", mask=b"\xff\xff\0\0\xff\0" + b"\xff" * 5),
            Signature(b"\x30\x82\0\0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07", mask=b"\xff\xff\0\0" + b"\xff" * 10),
            Signature(b"\x30\x83\0\0\0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07", mask=b"\xff\xff\0\0\0" + b"\xff" * 10),
        ),
        measure=_measure_der,
        maximum=64 << 20,
        refs=("ITU-T X.690", "RFC 5280", "RFC 2986", "RFC 5208", "RFC 7292", "RFC 2315"),
        gaps=("BER with indefinite lengths is refused", "elements of fewer than 64 bytes are not counted", "signatures are not verified"),
        kinds=(
            Kind("cer", _X509, "X.509 certificate"),
            Kind("crl", "application/pkix-crl", "certificate revocation list"),
            Kind("csr", "application/pkcs10", "certificate request (PKCS #10)"),
            Kind("key", "application/pkcs8", "private key (PKCS #8)"),
            Kind("key", "application/pkcs8-encrypted", "encrypted private key (PKCS #8)"),
            Kind("key", "application/x-rsa-key", "RSA or DSA private key (traditional)"),
            Kind("key", "application/x-ec-key", "EC private key"),
            Kind("pub", "application/x-public-key", "public key"),
            Kind("p12", "application/x-pkcs12", "PKCS #12 key store"),
            Kind("p7b", "application/pkcs7-mime", "PKCS #7 message"),
            Kind("cat", "application/vnd.ms-pki.seccat", "Windows security catalogue"),
        ),
    ),
    Carver(
        name="openpgp",
        title="OpenPGP key or message",
        extension="gpg",
        mime="application/pgp-encrypted",
        signatures=(
            *(Signature(bytes((m, 0, 0, 4, 0x40)) + bytes(3) + b"\0", mask=b"\xff\xf0\0\xff\xc0\0\0\0\xc0") for m in (0x99, 0x95)),
            *(Signature(bytes((m, 0, 4, 0x40)) + bytes(3) + b"\0", mask=b"\xff\0\xff\xc0\0\0\0\xc0") for m in (0x98, 0x94)),
            *(Signature(bytes((m, 0, 4, 0x40)) + bytes(3) + b"\0", mask=b"\xff\0\xff\xc0\0\0\0\xc0") for m in (0xC6, 0xC5)),
            Signature(b"\x85\0\0\x03", mask=b"\xff\xfc\0\xff", align=4),
            Signature(b"\x84\0\x03", mask=b"\xff\0\xff", align=512),
            Signature(b"\x8c\x0d\x04\0\x03", mask=b"\xff\xff\xff\xf0\xff"),
            Signature(b"\xc3\x0d\x04\0\x03", mask=b"\xff\xff\xff\xf0\xff"),
        ),
        measure=_measure_pgp,
        maximum=16 << 30,
        refs=("RFC 4880", "RFC 9580"),
        gaps=("signed and compressed messages without encryption are not recognised", "messages to a key on multiples of 4 bytes only"),
        kinds=(
            Kind("gpg", "application/pgp-keys", "OpenPGP public key"),
            Kind("gpg", "application/pgp-keys", "OpenPGP secret key"),
            Kind("gpg", "application/pgp-encrypted", "OpenPGP message"),
        ),
    ),
    Carver(
        name="jks",
        title="Java key store",
        extension="jks",
        mime="application/x-java-keystore",
        signatures=(Signature(b"\xfe\xed\xfe\xed\0\0\0"), Signature(b"\xce\xce\xce\xce\0\0\0")),
        measure=_measure_jks,
        maximum=64 << 20,
        refs=("OpenJDK: sun.security.provider.JavaKeyStore",),
        gaps=("secret keys of a JCEKS store (serialised objects) are refused", "the digest needs the password and is not verified"),
        kinds=(
            Kind("jks", "application/x-java-keystore", "Java key store (JKS)"),
            Kind("jceks", "application/x-java-jce-keystore", "Java key store (JCEKS)"),
        ),
    ),
    Carver(
        name="kdbx",
        title="KeePass database",
        extension="kdbx",
        mime="application/x-keepass2",
        signatures=(Signature(b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"),),
        measure=_measure_kdbx,
        maximum=1 << 30,
        refs=("KeePass: KDBX 4 file format",),
        gaps=("version 3 does not state its end: reported as incomplete", "KeePass 1 files (KDB) are not recognised"),
    ),
    Carver(
        name="axcrypt",
        title="AxCrypt encrypted file",
        extension="axx",
        mime="application/x-axcrypt",
        signatures=(Signature(b"\xc0\xb9\x07\x2e\x4f\x93\xf1\x46\xa0\x15\x79\x2c\xa1\xd9\xe8\x21"),),
        measure=_measure_axx,
        refs=("AxCrypt 1.x: file format, header blocks",),
        gaps=("the authentication code needs the key and is not verified",),
    ),
)
