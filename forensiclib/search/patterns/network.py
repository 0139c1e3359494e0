"""Names and numbers of networks and of Windows."""

from __future__ import annotations

import ipaddress
import re

from forensiclib.core.declare import Checked, TextPattern

__all__ = ["PATTERNS", "known_domain"]

_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci "
    "ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp "
    "gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li "
    "lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om "
    "pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc "
    "td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_GENERIC = (
    "com org net edu gov mil int arpa info biz name pro aero coop museum jobs mobi travel tel cat asia xxx post onion "
    "app dev xyz online site shop store tech cloud club live blog news top vip icu london berlin paris world email link "
    "space website agency digital media network group games social support systems today works zone"
)
TOP = frozenset(f"{_COUNTRIES} {_GENERIC}".split())
_HOST = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,230}\.[A-Za-z][A-Za-z0-9-]{1,23}"


def known_domain(host: str) -> bool:
    """Whether the last label is a top-level domain that is known here, or an internationalised one."""
    last = host.rpartition(".")[2].lower()
    return last in TOP or last.startswith("xn--")


def _labels(host: str) -> bool:
    return all(0 < len(p) <= 63 and p[0] != "-" and p[-1] != "-" for p in host.split("."))


def check_email(text: str) -> Checked | None:
    """RFC 5321 lengths, no dot at an edge or twice in the local part."""
    local, _, host = text.rpartition("@")
    if len(local) > 64 or len(host) > 253 or ".." in local or local[0] == "." or local[-1] == "." or not _labels(host):
        return None
    return Checked(f"{local}@{host.lower()}", 0.9 if known_domain(host) else 0.3, True, host.lower())


def check_url(text: str) -> Checked | None:
    """The scheme and host in lower case; punctuation of the sentence around it is left off."""
    kept = text.rstrip(".,;:!?'")
    while kept and kept[-1] in ")]}" and kept.count(kept[-1]) > kept.count({")": "(", "]": "[", "}": "{"}[kept[-1]]):
        kept = kept[:-1].rstrip(".,;:!?'")
    match = re.match(r"(?i)([a-z][a-z0-9+.-]*)://(?:[^/@\s]*@)?(\[[0-9a-f:.]+\]|[^/:?#\s]+)(.*)", kept)
    if match is None:
        return None
    scheme, host, rest = match[1].lower(), match[2].lower(), kept[match.end(2) :]
    return Checked(f"{scheme}://{kept[match.end(1) + 3 : match.start(2)]}{host}{rest}", 0.9, True, host, len(kept))


def check_domain(text: str) -> Checked | None:
    """A host name under a known top-level domain."""
    return Checked(text.lower(), 0.5) if known_domain(text) and _labels(text) else None


def check_ipv4(text: str) -> Checked | None:
    """Four numbers up to 255 without leading zeros; versions of programs look the same."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    return Checked(str(address), 0.3 if address.is_reserved or address.is_unspecified or text.endswith(".0") else 0.6)


def check_ipv6(text: str) -> Checked | None:
    """RFC 4291 text, in the form of RFC 5952."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    if len(text) < 6 or re.fullmatch(r"[0-9:]{1,8}", text):
        return None  # a time of day, not an address
    return Checked(address.compressed, 0.8 if text.count(":") > 3 else 0.5)


def check_mac(text: str) -> Checked | None:
    """EUI-48; all zeros and the broadcast address say nothing."""
    digits = re.sub("[:-]", "", text).lower()
    if digits in ("0" * 12, "f" * 12):
        return None
    return Checked(":".join(digits[i : i + 2] for i in range(0, 12, 2)), 0.7)


def check_guid(text: str) -> Checked | None:
    """Lower case, without braces; higher confidence when version and variant are those of RFC 9562."""
    value = text.lower()
    if len(set(value)) < 4:
        return None
    return Checked(value, 0.9 if value[14] in "12345678" and value[19] in "89ab" else 0.6)


def check_sid(text: str) -> Checked | None:
    """[MS-DTYP] 2.4.2.1; accounts of a domain or machine are certain."""
    parts = text.split("-")[3:]
    if any(int(p) > 0xFFFFFFFF for p in parts):
        return None
    return Checked(text, 1.0 if parts[0] == "21" and len(parts) == 5 else 0.7, group="-".join(text.split("-")[:7]))


def check_hash(text: str) -> Checked | None:
    """MD5, SHA-1, SHA-256, SHA-384 or SHA-512 by length: a guess, no more."""
    if len(set(text.lower())) < 8 or text.isdigit():
        return None
    name = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}[len(text)]
    return Checked(text.lower(), 0.4, group=name)


PATTERNS = (
    TextPattern(
        name="email",
        title="E-mail address",
        refs=("RFC 5321 4.5.3.1", "RFC 5322 3.4.1"),
        gaps=("quoted local parts and address literals", "addresses beyond ASCII (RFC 6531)"),
        expression=rf"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+'&/=?^{{}}~-]{{1,64}}@{_HOST}(?![A-Za-z0-9-])",
        check=check_email,
    ),
    TextPattern(
        name="url",
        title="URL (http, https, ftp, file and others with ://)",
        refs=("RFC 3986 appendix B",),
        gaps=("more than 1,000 characters", "characters beyond ASCII that are not percent-encoded end it"),
        expression=(
            r"(?<![A-Za-z])(?:https?|ftps?|sftp|file|ssh|git|ws|wss|rtsp|rtmp|magnet|smb|ldaps?|s3"
            r"|ipfs)://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%|{}^-]{3,1000}"
        ),
        check=check_url,
        ignore_case=True,
    ),
    TextPattern(
        name="domain",
        title="Host name under a known top-level domain",
        refs=("RFC 1035 2.3.1", "IANA, root zone database"),
        gaps=("only country codes and some sixty other top-level domains, none of those that are endings of files (zip, mov, rs, py are)",),
        expression=rf"(?<![A-Za-z0-9@._/\\-]){_HOST}(?![A-Za-z0-9-]|\.[A-Za-z0-9])",
        check=check_domain,
    ),
    TextPattern(
        name="ipv4",
        title="IPv4 address",
        refs=("RFC 6943 3.1.1",),
        gaps=("versions of four numbers look the same",),
        expression=r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])",
        check=check_ipv4,
    ),
    TextPattern(
        name="ipv6",
        title="IPv6 address",
        refs=("RFC 4291 2.2", "RFC 5952"),
        gaps=("zone identifiers", "addresses shorter than six characters"),
        expression=r"(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?(?![0-9A-Za-z:]|\.[0-9])",
        check=check_ipv6,
    ),
    TextPattern(
        name="mac",
        title="MAC address (EUI-48)",
        refs=("IEEE 802-2014 clause 8",),
        gaps=("without separators, and in groups of four (Cisco)",),
        expression=r"(?<![0-9A-Za-z:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![0-9A-Za-z:-])",
        check=check_mac,
    ),
    TextPattern(
        name="guid",
        title="GUID (UUID) in text form",
        refs=("RFC 9562 4",),
        expression=r"(?<![0-9A-Za-z-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z-])",
        check=check_guid,
    ),
    TextPattern(
        name="sid",
        title="Windows security identifier in text form",
        refs=("[MS-DTYP] 2.4.2.1",),
        expression=r"(?<![0-9A-Za-z-])S-1-[0-9]{1,3}(?:-[0-9]{1,10}){1,14}(?![0-9A-Za-z-])",
        check=check_sid,
    ),
    TextPattern(
        name="hash",
        title="Digest in hexadecimal (by its length)",
        refs=("RFC 1321", "FIPS 180-4"),
        gaps=("any random number of that length looks the same",),
        expression=(
            r"(?<![0-9A-Za-z])(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9A-F]{64}|[0-9A-F]{40}"
            r"|[0-9A-F]{32})(?![0-9A-Za-z])"
        ),
        check=check_hash,
    ),
)
