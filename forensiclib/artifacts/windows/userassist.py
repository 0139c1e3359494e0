"""Programs that a user started from Explorer, with counts (UserAssist)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from forensiclib.core.declare import Extractor, Field, Guid, Integer, Keys, Path, Real, Text, Time
from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.core.text import ROT13
from forensiclib.core.time import Timestamp
from forensiclib.formats.userassist import ENTRY_3, ENTRY_5, FIRST_COUNT_3
from forensiclib.stores.regf.keys import Key

__all__ = ["EXTRACTOR"]

# KNOWNFOLDERID (knownfolders.h) of the folders that programs are started from.
_FOLDERS = {
    "{0139D44E-6AFE-49F2-8690-3DAFCAE6FFB8}": "%ProgramData%\\Microsoft\\Windows\\Start Menu\\Programs",
    "{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}": "%SystemRoot%\\System32",
    "{374DE290-123F-4565-9164-39C4925E467B}": "%UserProfile%\\Downloads",
    "{625B53C3-AB48-4EC1-BA1F-A1EF4146FC19}": "%AppData%\\Microsoft\\Windows\\Start Menu",
    "{62AB5D82-FDC1-4DC3-A9DD-070D1D495D97}": "%ProgramData%",
    "{6D809377-6AF0-444B-8957-A3773F02200E}": "%ProgramFiles%",
    "{7C5A40EF-A0FB-4BFC-874A-C0F2E0B9FA8E}": "%ProgramFiles(x86)%",
    "{905E63B6-C1BF-494E-B29C-65B732D3D21A}": "%ProgramFiles%",
    "{9E3995AB-1F9C-4F13-B827-48B24B6C7174}": "%AppData%\\Microsoft\\Internet Explorer\\Quick Launch\\User Pinned",
    "{A77F5D77-2E2B-44C3-A6A2-ABA601054A51}": "%AppData%\\Microsoft\\Windows\\Start Menu\\Programs",
    "{B4BFCC3A-DB2C-424C-B029-7FE99A87C641}": "%UserProfile%\\Desktop",
    "{C4AA340D-F20F-4863-AFEF-F87EF2E6BA25}": "%Public%\\Desktop",
    "{D65231B0-B2F1-4857-A4CE-A8E7C6EA7D27}": "%SystemRoot%\\SysWOW64",
    "{F1B32785-6FBA-4FCF-9D55-7B8E7F157091}": "%LocalAppData%",
    "{F38BF404-1D43-42F2-9305-67DE0B28FC23}": "%SystemRoot%",
    "{FDD39AD0-238F-46AF-ADB4-6C85480369C7}": "%UserProfile%\\Documents",
}
_SESSION = "UEME_CTLSESSION"
"""The key's own book-keeping: no program, another layout."""


def _entry(data: bytes) -> dict[str, Any] | None:
    if len(data) == ENTRY_3.size:
        f = ENTRY_3.dict(data)
        count = f["count"] - FIRST_COUNT_3 if f["count"] >= FIRST_COUNT_3 else None
        return {"version": 3, "run_count": count, "stored_count": f["count"], "focus_count": None, "focus_seconds": None} | _rest(f)
    if len(data) == ENTRY_5.size:
        f = ENTRY_5.dict(data)
        counts = {"run_count": f["count"], "stored_count": f["count"], "focus_count": f["focus_count"]}
        return {"version": 5, "focus_seconds": f["focus_time"] / 1000, **counts} | _rest(f)
    return None


def _rest(f: dict[str, Any]) -> dict[str, Any]:
    return {"session": f["session"], "last_run": Timestamp.filetime(f["last_run"])}


def _program(name: str) -> str:
    folder, mark, rest = name.removeprefix("UEME_RUNPATH:").removeprefix("UEME_RUNPIDL:").partition("\\")
    return _FOLDERS.get(folder.upper(), folder) + mark + rest


def rows(key: Key, budget: Budget) -> Iterator[Row]:
    """One row a program, those deleted from the key too."""
    for value in (*key.values(), *(key.recovered() if key.live else ())):
        budget.item()
        # Names stay plain where Explorer was told not to encode them (UserAssist\Settings, NoEncrypt).
        name = value.name if value.name.startswith("UEME_") else value.name.translate(ROT13)
        entry = _entry(value.data)
        if entry is not None:
            group = key.path.rpartition("\\")[0].rpartition("\\")[2].strip("{}").lower()
            yield value.row(group=group, name=name, program=_program(name), **entry)
        elif name != _SESSION and value.live:
            found = f"{name}: {value.size} bytes instead of {ENTRY_3.size} or {ENTRY_5.size}"
            budget.report(Corrupt("UserAssist entry", None, found), where=key.path)


EXTRACTOR = Extractor(
    name="windows.userassist",
    title="Programs started from Explorer, with counts and last run (UserAssist)",
    platform="Windows 2000 to 11",
    source=Keys("NTUSER", r"Software\Microsoft\Windows\CurrentVersion\Explorer\UserAssist\*\Count"),
    fields=(
        Field("group", Guid, "What was counted: the GUID of the key above (programs, shortcuts ...)"),
        Field("name", Text, "Name of the entry, decoded from ROT13"),
        Field("program", Path, "The same as a path: known folders named, UEME_RUNPATH: and UEME_RUNPIDL: taken off"),
        Field("version", Integer, "Layout: 3 (up to Vista) or 5 (Windows 7 and later)"),
        Field("run_count", Integer, "Times started; version 3 counts from 5, which is taken off; empty when fewer are stored"),
        Field("stored_count", Integer, "The counter as stored"),
        Field("focus_count", Integer, "Times it had the focus (version 5)"),
        Field("focus_seconds", Real, "Time it had the focus, in seconds (version 5)"),
        Field("session", Integer, "Session number as stored"),
        Field("last_run", Time, "Last start, UTC; empty when not set"),
    ),
    refs=("J. Metz, winreg-kb, User Assist", "D. Stevens, Windows 7 UserAssist registry keys, Into The Boxes issue 0x0, 2010"),
    gaps=(
        "UEME_CTLSESSION, the book-keeping of sessions, gives no row",
        "the usage ratios between focus time and last run (version 5) are not decoded",
        "the Windows 7 beta encoded names by Vigenere; they come out unreadable",
    ),
    rows=rows,
)
