"""Text whose lines announce its kind and its end: PEM, vCard, iCalendar, mail, encodings, Windows settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_STEP = 32 << 10
_LINE = 16 << 10
_SECTOR = 512
_MIXED = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def _lines(data: ByteSource, budget: Budget, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """(offset behind it, line with its end) from ``start``; stops at a byte that is no text and at lines without end."""
    at, held = start, b""
    while True:
        budget.check()
        piece = data.read_at(at + len(held), _STEP)
        held += piece
        here = 0
        while (end := held.find(b"\n", here)) >= 0:
            line = held[here : end + 1]
            if _MIXED.search(line):
                return
            here = end + 1
            yield at + here, line
        at, held = at + here, held[here:]
        if not piece:
            if held and not _MIXED.search(held):
                yield at + len(held), held
            return
        if len(held) > _LINE or _MIXED.search(held[:256]):
            junk = _MIXED.search(held)
            if junk is not None and junk.start():
                yield at + junk.start(), held[: junk.start()]
            return


_BASE64 = re.compile(rb"[A-Za-z0-9+/=]{1,80}\r?\n?$")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z-]{1,40}: ?[\x20-\x7e]*\r?\n$|[ \t][\x20-\x7e]*\r?\n$")
_PEMS = {
    b"CERTIFICATE": ("pem", "certificate (PEM)"),
    b"PRIVATE KEY": ("pem", "private key (PEM)"),
    b"RSA PRIVATE KEY": ("pem", "RSA private key (PEM)"),
    b"EC PRIVATE KEY": ("pem", "EC private key (PEM)"),
    b"ENCRYPTED PRIVATE KEY": ("pem", "encrypted private key (PEM)"),
    b"OPENSSH PRIVATE KEY": ("key", "OpenSSH private key"),
    b"PUBLIC KEY": ("pem", "public key (PEM)"),
    b"CERTIFICATE REQUEST": ("csr", "certificate request (PEM)"),
    b"X509 CRL": ("crl", "certificate revocation list (PEM)"),
    b"PKCS7": ("p7b", "PKCS #7 (PEM)"),
    b"PGP PUBLIC KEY BLOCK": ("asc", "OpenPGP public key (armoured)"),
    b"PGP PRIVATE KEY BLOCK": ("asc", "OpenPGP secret key (armoured)"),
    b"PGP MESSAGE": ("asc", "OpenPGP message (armoured)"),
    b"PGP SIGNATURE": ("asc", "OpenPGP signature (armoured)"),
    b"SSH2 PUBLIC KEY": ("pub", "SSH2 public key"),
}
_OPEN = re.compile(rb"-{4,5} ?BEGIN ([A-Z0-9 ]{3,40}?) ?-{4,5}\r?\n$")


def _measure_pem(data: ByteSource, budget: Budget) -> Find | None:
    label, end, parts, body, kind = b"", 0, 0, 0, ("", "")
    for behind, line in _lines(data, budget):
        budget.item()
        if not label:
            match = _OPEN.match(line)
            if match is None:
                break
            label, body, kind = match[1], 0, kind if parts else _PEMS.get(match[1], ("pem", ""))
        elif line.startswith(b"---") and line.strip().rstrip(b"-").endswith(b"END " + label):
            if not body:
                break
            label, end, parts = b"", behind, parts + 1
        elif _BASE64.match(line) and line.strip():
            body += 1
        elif line.strip() and not (_HEADER.match(line) and not body):
            break
    if not parts:
        return Find(40, 0.3, "begin line, the end line is missing", complete=False) if body > 4 and data.size >= 40 else None
    return Find(end, 0.95, f"{parts} block{'s' if parts > 1 else ''} from begin to end line", *kind)


_PROPERTY = re.compile(rb"[A-Za-z][A-Za-z0-9._-]{0,60}(?:;[^:\r\n]{0,900})?:|[ \t]|=?\r?\n$|[A-Za-z0-9+/=]{2,80}\r?\n$", re.IGNORECASE)


def _measure_card(data: ByteSource, budget: Budget) -> Find | None:
    """BEGIN and END nested; cards one behind the other are one file."""
    stack, end, parts, soft = list[bytes](), 0, 0, False
    for behind, line in _lines(data, budget):
        budget.item()
        upper = line.strip().upper()
        if upper.startswith(b"BEGIN:") and len(upper) < 60 and len(stack) < 16:
            if not stack and upper[6:] not in (b"VCARD", b"VCALENDAR", b"VNOTE", b"VMSG"):
                break
            stack.append(upper[6:])
        elif upper.startswith(b"END:"):
            if not stack or upper[4:] != stack.pop():
                break
            if not stack:
                end, parts = behind, parts + 1
        elif not stack:
            if upper:
                break
        elif not soft and not _PROPERTY.match(line):
            break
        soft = bool(stack) and line.rstrip(b"\r\n").endswith(b"=")
    first = data.read_at(0, 20).upper()
    kind = (
        ("ics", "iCalendar file")
        if b"VCALENDAR" in first
        else ("vnt", "vNote")
        if b"VNOTE" in first
        else ("vmg", "vMessage")
        if b"VMSG" in first
        else ("vcf", "vCard")
    )
    if not parts:
        return Find(15, 0.3, "begins, the end line is missing", *kind, complete=False) if stack and data.size >= 15 else None
    return Find(end, 0.9, f"{parts} object{'s' if parts > 1 else ''} from BEGIN to END", *kind)


_FIELD = re.compile(rb"[!-9;-~]{1,76}:.*$|[ \t].*$", re.DOTALL)
_KNOWN = frozenset(
    b"from to subject date message-id received return-path mime-version content-type reply-to delivered-to cc x-mailer".split()
)
_BOUNDARY = re.compile(rb"content-type:[^;]*multipart/[^;]*;.{0,200}?boundary=\"?([^\";\r\n]{1,70})", re.IGNORECASE | re.DOTALL)


def _head(lines: Iterator[tuple[int, bytes]]) -> tuple[int, bytes, int]:
    """(offset behind the empty line, the header, known fields in it)."""
    text, names, size = list[bytes](), set[bytes](), 0
    for behind, line in lines:
        if not line.strip(b"\r\n"):
            return behind, b"".join(text), len(names & _KNOWN)
        if not _FIELD.match(line) or size > 256 << 10:
            break
        names.add(line.partition(b":")[0].strip().lower())
        text.append(line)
        size += len(line)
    return -1, b"".join(text), len(names & _KNOWN)


def _measure_mail(data: ByteSource, budget: Budget) -> Find | None:
    lines = _lines(data, budget)
    start, head, known = _head(lines)
    if start < 0 or known < 3 or b"from" not in head.lower():
        return None
    match = _BOUNDARY.search(head)
    boundary = b"--" + match[1].rstrip() + b"--" if match else b""
    end = start
    for behind, line in lines:
        budget.item()
        end = behind
        if boundary and line.startswith(boundary):
            tail = data.read_at(behind, 2)
            behind += 2 if tail == b"\r\n" else tail[:1] == b"\n"
            return Find(behind, 0.85, f"{known} header fields, parts to the last boundary")
    if boundary:
        return Find(end, 0.5, f"{known} header fields, the last boundary is missing", complete=False)
    tail = data.read_at(end, 1)
    if not tail or tail == b"\0":
        return Find(end, 0.6, f"{known} header fields, text to the first zero byte")
    end = end // _SECTOR * _SECTOR or end
    return Find(end, 0.4, f"{known} header fields, text up to bytes that are none", complete=False)


_FROM = re.compile(
    rb"From \S{1,200} +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) "
    rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-3]\d [ 0-2]?\d:\d\d[^\r\n]{0,40}\r?\n$"
)


def _measure_mbox(data: ByteSource, budget: Budget) -> Find | None:
    end, messages, head = 0, 0, b""
    for behind, line in _lines(data, budget):
        budget.item()
        if not messages and not _FROM.match(line):
            return None
        if line.startswith(b"From ") and _FROM.match(line):
            messages += 1
        if messages == 1 and len(head) < 4096:
            head += line
        end = behind
    fields = {line.partition(b":")[0].lower() for line in head.splitlines()[1:40]}
    if not messages or not fields & _KNOWN:
        return None
    tail = data.read_at(end, 1)
    whole = not tail or tail == b"\0"
    return Find(end, 0.7 if whole else 0.4, f"{messages} messages; text up to bytes that are none", complete=whole)


def _measure_uu(data: ByteSource, budget: Budget) -> Find | None:
    count, first = 0, True
    for behind, line in _lines(data, budget):
        budget.item()
        line = line.rstrip(b"\r\n")
        if first:
            if not re.match(rb"begin(?:-base64)? [0-7]{3,4} [\x20-\x7e]{1,255}$", line):
                return None
            plain, first = not line.startswith(b"begin-"), False
            continue
        if (line == b"end" and plain) or (line == b"====" and not plain):
            return Find(behind, 0.95, f"{count} lines to the end line") if count else None
        if plain and not (line in (b"`", b" ", b"") or (32 < line[0] <= 96 and len(line) - 1 >= (line[0] - 32 + 2) // 3 * 4 - 3)):
            break
        if not plain and not _BASE64.match(line):
            break
        count += 1
    return Find(12, 0.3, f"{count} lines, the end line is missing", complete=False) if count > 8 else None


def _measure_ppk(data: ByteSource, budget: Budget) -> Find | None:
    for number, (behind, line) in enumerate(_lines(data, budget)):
        if number and not re.match(rb"[A-Z][A-Za-z0-9-]{2,20}: |[A-Za-z0-9+/=]{1,64}\r?\n", line):
            return None
        if line.startswith((b"Private-MAC: ", b"Private-Hash: ")):
            return Find(behind, 0.95, f"{number + 1} lines to the authentication code")
        if number > 2000:
            break
    return None


_PUBLIC = re.compile(rb"(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp\d{3}) AAAA[A-Za-z0-9+/]{40,3000}={0,2}(?: [\x20-\x7e]{1,200})?\r?\n?")


def _measure_ssh(data: ByteSource, budget: Budget) -> Find | None:
    at, keys = 0, 0
    while (match := _PUBLIC.match(data.read_at(at, 4096))) is not None:
        budget.item()
        at, keys = at + match.end(), keys + 1
    return Find(at, 0.9, f"{keys} key{'s' if keys > 1 else ''}, one a line") if keys else None


_SETTINGS = (
    (b"[InternetShortcut]", "url", "Internet shortcut"),
    (b"[.ShellClassInfo]", "ini", "desktop.ini"),
    (b"REGEDIT4", "reg", "registry export (4)"),
    (b"[Desktop Entry]", "desktop", "desktop entry"),
    (b"[autorun]", "inf", "autorun.inf"),
    (b"# Netscape HTTP Cookie File", "txt", "Netscape cookies"),
    (b"screen mode id:i:", "rdp", "remote desktop settings"),
    (b"# Disk DescriptorFile", "vmdk", "VMware disk descriptor"),
    (b"[ZoneTransfer]", "txt", "zone identifier"),
    (b"#EXTM3U", "m3u", "M3U playlist"),
    (b"[playlist]", "pls", "PLS playlist"),
    (b"%FDF-1.", "fdf", "PDF form data"),
    (b"dn: ", "ldif", "LDIF entries"),
    (b".TH ", "man", "manual page"),
    (b"\\documentclass", "tex", "LaTeX document"),
    (b"diff --git a/", "diff", "git patch"),
    (b"#!VMware", "vmx", "VMware settings"),
)
_WIDE = "\ufeffWindows Registry Editor Version 5.00\r\n".encode("utf-16-le")


def _measure_settings(data: ByteSource, budget: Budget) -> Find | None:
    """Known first line, text up to the first zero byte."""
    head = data.read_at(0, 32)
    row = next((row for row in _SETTINGS if head.lower().startswith(row[0].lower())), None)
    if row is None:
        return None
    end = lines = 0
    for behind, _line in _lines(data, budget):
        budget.item()
        end, lines = behind, lines + 1
    tail = data.read_at(end, 1)
    if end < 24 or lines < 2 or (tail and tail != b"\0"):
        return None
    return Find(end, 0.5, "known first line, text up to the first zero byte", row[1], row[2])


def _measure_reg(data: ByteSource, budget: Budget) -> Find | None:
    at, size = len(_WIDE), 0
    if b"[\0H\0K\0E\0Y\0_\0" not in data.read_at(at, 64):
        return None
    while True:
        budget.check()
        raw = data.read_at(at, _STEP)
        text = raw[: len(raw) & ~1].decode("utf-16-le", "replace")
        stop = next((i for i, c in enumerate(text) if (c < " " and c not in "\t\r\n") or c in "\ufffd\uffff"), len(text))
        at, size = at + 2 * stop, size + stop
        if stop < len(text) or not text:
            break
    if size < 8:
        return None
    tail = data.read_at(at, 2)
    whole = not tail.strip(b"\0")
    return Find(at, 0.7 if whole else 0.4, f"{size} UTF-16 characters of text behind the first line", complete=whole)


CARVERS = (
    Carver(
        name="pem",
        title="key, certificate or message in PEM",
        extension="pem",
        mime="application/x-pem-file",
        signatures=(Signature(b"-----BEGIN "), Signature(b"---- BEGIN SSH2 ")),
        measure=_measure_pem,
        maximum=64 << 20,
        refs=("RFC 7468", "RFC 9580, 6", "RFC 4716", "openssh: PROTOCOL.key"),
        gaps=("blocks one behind the other are one file", "clear-signed text is not followed"),
        kinds=tuple(Kind(extension, "application/x-pem-file", title) for extension, title in _PEMS.values()),
    ),
    Carver(
        name="vobject",
        title="vCard or iCalendar file",
        extension="vcf",
        mime="text/vcard",
        signatures=tuple(
            Signature(b"BEGIN:" + what, mask=b"\xdf" * 5 + b"\xff" + b"\xdf" * len(what))
            for what in (b"VCARD", b"VCALENDAR", b"VNOTE", b"VMSG")
        ),
        measure=_measure_card,
        maximum=256 << 20,
        refs=("RFC 6350", "RFC 5545", "versit: vCard 2.1, vCalendar 1.0", "Infrared Data Association: vNote, vMessage"),
        gaps=("objects one behind the other are one file",),
        kinds=(
            Kind("vcf", "text/vcard", "vCard"),
            Kind("ics", "text/calendar", "iCalendar file"),
            Kind("vnt", "text/x-vnote", "vNote"),
            Kind("vmg", "text/x-vmessage", "vMessage"),
        ),
    ),
    Carver(
        name="eml",
        title="mail message",
        extension="eml",
        mime="message/rfc822",
        signatures=(
            *(
                Signature(word)
                for word in (
                    b"Return-Path: <",
                    b"Return-path: <",
                    b"Delivered-To: ",
                    b"Received: from ",
                    b"Received: by ",
                    b"Message-ID: <",
                    b"MIME-Version: 1.0",
                )
            ),
            *(
                Signature(word, align=_SECTOR)
                for word in (b"From: ", b"Date: ", b"Subject: ", b"To: ", b"X-", b"Content-Type: ", b"Message-Id: <", b"Reply-To: ")
            ),
        ),
        measure=_measure_mail,
        maximum=256 << 20,
        refs=("RFC 5322", "RFC 2046, 5.1"),
        gaps=("a message without parts ends at the first zero byte", "messages that begin with a common word only on a sector boundary"),
    ),
    Carver(
        name="mbox",
        title="mailbox (mbox)",
        extension="mbox",
        mime="application/mbox",
        signatures=(Signature(b"From ", align=_SECTOR),),
        measure=_measure_mbox,
        maximum=16 << 30,
        refs=("RFC 4155",),
        gaps=("the end is the first byte that is no text", "only starts on a sector boundary"),
    ),
    Carver(
        name="uuencode",
        title="uuencoded file",
        extension="uue",
        mime="text/x-uuencode",
        signatures=(
            Signature(b"begin 644 "),
            Signature(b"begin 666 "),
            Signature(b"begin 755 "),
            Signature(b"begin 600 "),
            Signature(b"begin-base64 "),
        ),
        measure=_measure_uu,
        maximum=256 << 20,
        refs=("POSIX.1-2017, uuencode",),
        gaps=("other modes in the first line are not recognised",),
    ),
    Carver(
        name="ppk",
        title="PuTTY private key",
        extension="ppk",
        mime="application/x-putty-private-key",
        signatures=(Signature(b"PuTTY-User-Key-File-"),),
        measure=_measure_ppk,
        maximum=1 << 20,
        refs=("PuTTY manual, appendix C: PPK file format",),
        gaps=("the code needs the passphrase and is not verified",),
    ),
    Carver(
        name="ssh-public",
        title="SSH public key",
        extension="pub",
        mime="text/x-ssh-public-key",
        signatures=(
            Signature(b"ssh-rsa AAAAB3NzaC1yc2E"),
            Signature(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"),
            Signature(b"ssh-dss AAAAB3NzaC1kc3M"),
            Signature(b"ecdsa-sha2-nistp256 AAAAE2VjZHNh"),
            Signature(b"ecdsa-sha2-nistp384 AAAAE2VjZHNh"),
            Signature(b"ecdsa-sha2-nistp521 AAAAE2VjZHNh"),
        ),
        measure=_measure_ssh,
        maximum=1 << 20,
        refs=("RFC 4253, 6.6", "sshd(8), AUTHORIZED_KEYS FILE FORMAT"),
        gaps=("lines with options before the key are not recognised",),
    ),
    Carver(
        name="settings",
        title="text known by its first line",
        extension="txt",
        mime="text/plain",
        signatures=tuple(Signature(word, align=_SECTOR) for word, _, _ in _SETTINGS),
        measure=_measure_settings,
        maximum=16 << 20,
        refs=(
            "Microsoft: .url, desktop.ini, autorun.inf, .reg files",
            "freedesktop.org: Desktop Entry Specification",
            "RFC 2849",
            "RFC 8216",
        ),
        gaps=("text has no end mark: the end is the first zero byte", "only starts on a sector boundary"),
        kinds=tuple(Kind(extension, "text/plain", title) for _, extension, title in _SETTINGS),
    ),
    Carver(
        name="registry-export",
        title="registry export (5)",
        extension="reg",
        mime="text/x-ms-regedit",
        signatures=(Signature(_WIDE),),
        measure=_measure_reg,
        maximum=1 << 30,
        refs=("Microsoft: How to add, modify, or delete registry subkeys by using a .reg file",),
        gaps=("the end is the first character that is no text",),
    ),
)
