"""SQLite databases and write-ahead logs."""

from __future__ import annotations

from forensiclib.carving._btree import Reached, is_page, reach
from forensiclib.carving.sqlite_join import rejoin
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.errors import NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.sqlite import HEADER
from forensiclib.stores.sqlite.wal import log_of

__all__ = ["CARVERS"]

_REFS = ("SQLite Database File Format, 1.3, 1.5, 1.6 and 4.1",)
_WALKED = 4_096
_SAMPLED = 64
_CHECKED = 2048
"""Frames of a log whose checksums are computed: 0.15 ms each of 4 KiB."""
_LOCK_BYTE = 1 << 30
_ENCODINGS = {0: "utf-8", 1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_KNOWN = (
    (("moz_places", "moz_historyvisits"), "Firefox history and bookmarks"),
    (("moz_cookies",), "Firefox cookies"),
    (("moz_formhistory",), "Firefox form history"),
    (("moz_downloads",), "Firefox downloads"),
    (("urls", "visits", "keyword_search_terms"), "Chromium history"),
    (("cookies", "meta"), "Chromium cookies"),
    (("logins", "meta"), "Chromium logins"),
    (("autofill", "meta"), "Chromium web data"),
    (("history_items", "history_visits"), "Safari history"),
    (("message", "handle", "chat"), "Apple Messages"),
    (("ZWAMESSAGE",), "WhatsApp messages (iOS)"),
    (("message", "jid", "chat"), "WhatsApp messages (Android)"),
    (("canonical_addresses", "sms", "threads"), "Android messages"),
    (("Activity", "ActivityOperation"), "Windows timeline"),
    (("Notification", "NotificationHandler"), "Windows notifications"),
    (("Files", "Properties"), "iOS backup manifest"),
    (("SmartLookup", "SystemIndex_1_Properties"), "Windows search index"),
)


def _title(tables: list[str]) -> str:
    present = set(tables)
    return next((f"SQLite database: {title}" for names, title in _KNOWN if present.issuperset(names)), "")


def _page_size(stored: int) -> int:
    """Bytes a page; 0 for a size that cannot be."""
    size = 65_536 if stored == 1 else stored
    return size if size >= 512 and not size & size - 1 else 0


def _header(raw: bytes) -> dict[str, int] | None:
    if len(raw) < HEADER.size:
        return None
    head = HEADER.dict(raw)
    size = _page_size(head["page_size"])
    fractions = head["max_fraction"], head["min_fraction"], head["leaf_fraction"]
    versions = head["write_version"] in (1, 2) and head["read_version"] in (1, 2)
    if not size or fractions != (64, 32, 32) or not versions or head["schema_format"] > 4 or head["encoding"] > 3:
        return None
    if size - head["reserved"] < 480 or raw[72:92].count(0) != 20:
        return None
    return {**head, "page_size": size}


def _strangers(data: ByteSource, head: dict[str, int], pages: int, reached: Reached) -> set[int]:
    """Pages, out of a sample that includes the last, that cannot be pages of this database."""
    size, out = head["page_size"], set()
    step = max(1, pages // _SAMPLED)
    for number in {*range(2, pages + 1, step), *range(max(2, pages - 3), pages + 1)}:
        at = (number - 1) * size
        if number in reached.good or number in reached.free or at <= _LOCK_BYTE < at + size:
            continue
        raw = data.read_at(at, 12)
        overflow = len(raw) == 12 and int.from_bytes(raw[:4], "big") <= pages
        pointer_map = head["largest_root"] and raw[:1] and 1 <= raw[0] <= 5
        if not overflow and not pointer_map and not is_page(raw, 0, size - head["reserved"]):
            out.add(number)
    return out


def _cut(length: int, page_size: int, bad: set[int], reached: Reached) -> int:
    """Where to end a database with pages that are not its own: before them when none of its own is
    known to follow."""
    first = min(bad)
    return length if max(reached.good, default=0) > first else max(1, first - 1) * page_size


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    head = _header(data.read_at(0, HEADER.size))
    if head is None:
        return None
    size = head["page_size"]
    usable = size - head["reserved"]
    if not is_page(data.read_at(0, size), 100, usable):
        return None
    stated = head["pages"] if head["change_counter"] == head["valid_for"] else 0
    limit = _WALKED if stated else budget.limits.chain
    if data.size < size:
        return Find(data.size, 0.5, "the data ends inside the first page", complete=False)
    reached = reach(data, size, usable, _ENCODINGS[head["encoding"]], head["first_trunk"], limit, budget)
    title = _title(reached.tables)
    if not stated:
        within = {number for number in reached.good | reached.free if number * size <= data.size}
        pages = max(within)
        if reached.bad:
            return Find(pages * size, 0.5, f"page count not stated, {len(reached.bad)} pages missing", "", title, complete=False)
        return Find(pages * size, 0.8, f"page count not stated; {pages} is the highest page that its pointers reach", "", title)
    length = stated * size
    outside = {number for number in reached.good if number > stated}
    bad = reached.bad | outside | _strangers(data, head, stated, reached)
    if length > data.size:
        bad |= {data.size // size + 1}
    if bad:
        why = f"{stated} pages stated, {len(bad)} of those looked at are not its own"
        return Find(min(_cut(length, size, bad, reached), data.size), 0.5, why, "", title, complete=False)
    if reached.whole:
        return Find(length, 1.0, f"{stated} pages stated, all trees and the freelist lie within", "", title)
    return Find(length, 0.9, f"{stated} pages stated, the first {_WALKED} and a sample of the rest hold", "", title)


def _measure_wal(data: ByteSource, budget: Budget) -> Find | None:
    try:
        log = log_of(data, budget, _CHECKED)
    except NotThisFormat:
        return None
    if not log.frames:
        return Find(log.end, 0.6, "header checksum good, no frame follows")
    current = [f for f in log.frames if not f.back]
    older, commits = len(log.frames) - len(current), sum(bool(f.commit) for f in current)
    loose = sum(not f.committed for f in current)
    checked = min(_CHECKED, len(log.frames))
    found = f"{len(current)} frames of {log.size} bytes, {commits} of them commits" + (f", {older} of earlier generations" if older else "")
    if any(f.sound is False for f in current):
        return Find(log.end, 0.6, f"{found}, frame checksums wrong among the first {checked}", complete=False)
    if loose:
        found += f", {loose} behind the last commit"
    return Find(log.end, 0.9, f"{found}, checksums of the header and the first {checked} good")


CARVERS = (
    Carver(
        name="sqlite",
        title="SQLite database",
        extension="sqlite",
        mime="application/vnd.sqlite3",
        signatures=(Signature(b"SQLite format 3\x00"),),
        measure=_measure,
        maximum=1 << 40,
        rejoin=rejoin,
        holds=True,
        refs=_REFS,
        gaps=(
            "space that the host program set aside behind the last page (SQLITE_FCNTL_CHUNK_SIZE) is left out",
            "the trees of a database of more than 4,096 pages are walked for that many, the rest is sampled",
            "encrypted databases have no signature",
            "pieces are put together of databases of 2 to 65,536 pages and up to 1 GiB that state their page count",
        ),
    ),
    Carver(
        name="sqlite-wal",
        title="SQLite write-ahead log",
        extension="sqlite-wal",
        mime="application/octet-stream",
        signatures=(Signature(b"\x37\x7f\x06\x82"), Signature(b"\x37\x7f\x06\x83")),
        measure=_measure_wal,
        refs=_REFS,
        gaps=(
            "frames that differ by more than 4,096 generations from the header end the log",
            "a log is not put beside its database: what names one (page numbers, the page size) fits many",
            "of a log of more than 2,048 frames the checksums of the first are computed",
        ),
    ),
)
