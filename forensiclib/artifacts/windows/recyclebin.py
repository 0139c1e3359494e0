"""Files that users deleted: INFO2 of Windows 95 to XP, $I files of Vista and later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from forensiclib.core.declare import Binary, Extractor, Field, Files, Flag, Found, Integer, Path, Sid, Text, Time
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row, State
from forensiclib.core.text import c_string, utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats import recyclebin as fmt
from forensiclib.formats._dsl import layout, parse

ENTRY = layout(fmt.INFO2_ENTRY)
UNICODE_ENTRY = ENTRY.size + fmt.INFO2_NAME
SID = re.compile(r"S-1(?:-\d+){2,}", re.IGNORECASE)


def rows(found: Found, budget: Budget) -> Iterator[Row]:
    """One row for a $I file, one for each entry of an INFO2."""
    owner = SID.search(found.path.rpartition("/")[0])
    user = owner[0].upper() if owner else None
    yield from (_info2 if found.name.upper() == "INFO2" else _item)(found, user, budget)


def _content(found: Found, *names: str) -> dict[str, Any]:
    """The deleted file itself, where it is still in the bin under one of the names."""
    for name in names:
        content = found.sibling(name)
        if content is not None:
            return {"content": name, "content_present": True, "content_size": content.size}
    return {"content": names[0], "content_present": False, "content_size": None}


def _item(found: Found, user: str | None, budget: Budget) -> Iterator[Row]:
    stream = found.stream
    if stream.size < fmt.ITEM.sizeof() or (head := parse(fmt.ITEM, stream, 0, "$I file")).version not in (1, 2):
        raise NotThisFormat("$I file", None, f"{stream.size} bytes, version {int.from_bytes(stream.read_at(0, 8), 'little')}")
    at, stated = 24, fmt.ITEM_NAME
    if head.version == 2:
        at, stated = 28, 2 * int.from_bytes(stream.read_at(24, 4), "little")
    raw = stream.read_at(at, min(stated, budget.limits.name * 2))
    if len(raw) < stated:
        budget.report(Truncated("$I path", None, f"{len(raw)} of {stated} bytes"), found.path)
    path, remnant = _split(raw, 2)
    values = {
        "path": utf16(path), "path_ansi": None, "deleted": Timestamp.filetime(head.deleted), "size": head.size, "user": user,
        "index": None, "drive": None, "removed": False, "remnant": remnant, "version": head.version,
    }  # fmt: skip
    yield Row(values | _content(found, "$R" + found.name[2:]), 0, stream.size)


def _split(raw: bytes, width: int) -> tuple[bytes, bytes | None]:
    """A text up to its NUL of ``width`` bytes, and what an older text left behind it."""
    end = next((i for i in range(0, len(raw), width) if raw[i : i + width] == bytes(width)), len(raw))
    return raw[:end], raw[end + width :].rstrip(b"\0") or None


def _info2(found: Found, user: str | None, budget: Budget) -> Iterator[Row]:
    stream = found.stream
    head = parse(fmt.INFO2, stream, 0, "INFO2 header")
    if head.version > 5:
        raise NotThisFormat("INFO2", None, f"version {head.version}")
    if head.entry_size not in (ENTRY.size, UNICODE_ENTRY):
        raise Unsupported("INFO2", None, f"entries of {head.entry_size} bytes")
    for at in range(fmt.INFO2.sizeof(), stream.size, head.entry_size):
        budget.item()
        raw = stream.read_at(at, head.entry_size)
        if len(raw) < ENTRY.size:
            budget.report(Truncated("INFO2 entry", stream.trace(at, len(raw))[0], f"{len(raw)} of {head.entry_size} bytes"))
            return
        if not any(raw):
            budget.report(Finding.note("INFO2 entry", "all zero", found.path, stream.trace(at, len(raw))[0]))
            continue
        yield _entry(found, raw, at, {"user": user, "version": head.version}, budget)


def _entry(found: Found, raw: bytes, at: int, known: dict[str, Any], budget: Budget) -> Row:
    entry = ENTRY.dict(raw)
    removed = not entry["name"][0]
    name = entry["name"][1:] if removed else entry["name"]
    ansi, remnant = _split(name, 1)
    wide, more = _split(raw[ENTRY.size :], 2)
    letter = chr(ord("A") + entry["drive"]) if entry["drive"] < 26 else None
    if letter is None:
        budget.report(Corrupt("INFO2 entry", found.stream.trace(at, len(raw))[0], f"drive {entry['drive']}"))
    # A removed entry has lost its drive letter, which the ANSI name's first byte was.
    ansi_text = (letter or "?") * removed + c_string(ansi, "cp1252") if ansi else ""
    path = utf16(wide) or ansi_text
    extension = path.rpartition("\\")[2].rpartition(".")
    stored = f"D{(letter or '?').lower()}{entry['index']}" + (f".{extension[2]}" if extension[1] else "")
    values = {
        "path": path, "path_ansi": ansi_text, "deleted": Timestamp.filetime(entry["deleted"]), "size": entry["size"],
        "index": entry["index"], "drive": letter, "removed": removed,
        "remnant": b"\0".join(part for part in (remnant, more) if part) or None,
    }  # fmt: skip
    state: State | None = "deleted" if removed and found.state == "allocated" else None
    return Row(values | known | _content(found, stored), at, len(raw), state=state)


EXTRACTOR = Extractor(
    name="windows.recyclebin",
    title="Files that users deleted to the recycle bin",
    platform="Windows 95 to 11",
    source=Files("**/$Recycle.Bin/**/$I*", "**/RECYCLER/**/INFO2", "**/RECYCLED/**/INFO2"),
    fields=(
        Field("path", Path, "Where the file was"),
        Field("path_ansi", Path, "INFO2: the same in the ANSI code page (read as 1252); the first letter of removed ones is from drive"),
        Field("deleted", Time, "When it was moved to the bin, UTC"),
        Field("size", Integer, "Bytes: of the file ($I), of its clusters (INFO2)"),
        Field("user", Sid, "Owner of the bin, from the folder's name"),
        Field("index", Integer, "INFO2: number in the bin"),
        Field("drive", Text, "INFO2: drive letter"),
        Field("removed", Flag, "INFO2: it has left the bin since, restored or emptied"),
        Field("content", Text, "Name of the deleted file inside the bin"),
        Field("content_present", Flag, "Whether that name is still there"),
        Field("content_size", Integer, "Its bytes, where it is"),
        Field("remnant", Binary, "What older paths left behind the end of the path"),
        Field("version", Integer, "$I: 1 Vista to 8.1, 2 later; INFO2: 0 Windows 95, 4 NT 4 and 98, 5 Me and later"),
    ),
    refs=("libyal dtformats: Windows Recycler format", "libyal dtformats: $Recycle.Bin format"),
    gaps=(
        "ANSI names are read as code page 1252",
        "Entries in the slack behind an emptied INFO2 are not searched",
        "content_present of a directory is what the sibling lookup says of directories",
    ),
    rows=rows,
)
