"""What a cue sheet says: the files, the tracks in them, where each begins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span

__all__ = ["MODES", "Sheet", "Stated", "parse"]

SIZE = 1 << 20
"""Bytes of a cue sheet: 99 tracks with all their texts need some 50 KiB."""
MODES = {
    "AUDIO": 2352, "CDG": 2448, "MODE1/2048": 2048, "MODE1/2352": 2352, "MODE2/2048": 2048, "MODE2/2324": 2324, "MODE2/2336": 2336,
    "MODE2/2352": 2352, "CDI/2336": 2336, "CDI/2352": 2352,
}  # fmt: skip
"""Bytes of a sector in the file, by the mode as stated."""
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_TIME = re.compile(r"(\d{1,3}):([0-5]\d):([0-7]\d)", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_COMMANDS = {
    "FILE", "TRACK", "INDEX", "REM", "CATALOG", "CDTEXTFILE", "FLAGS", "ISRC", "PERFORMER", "SONGWRITER", "TITLE", "PREGAP", "POSTGAP",
}  # fmt: skip


@dataclass(slots=True)
class Stated:
    """One track: its mode, the sectors at which its indexes lie in the file, sectors of silence that are in no file, its session."""

    number: int
    mode: str
    file: int
    indexes: dict[int, int] = field(default_factory=dict)
    pregap: int = 0
    postgap: int = 0
    session: int = 1
    title: str = ""

    @property
    def begin(self) -> int:
        """Sector of its first index."""
        return min(self.indexes.values())


@dataclass(slots=True)
class Sheet:
    """files: (name as stated, type: BINARY, MOTOROLA, WAVE ...) in order; facts: what is said of the disc."""

    files: list[tuple[str, str]] = field(default_factory=list)
    tracks: list[Stated] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def parse(raw: bytes, root: str, budget: Budget) -> Sheet:
    """The sheet. NotThisFormat for a text that is none, Corrupt for one that contradicts itself; unknown lines are findings."""
    text = raw.decode("utf-8-sig") if _is_utf8(raw) else raw.decode("cp1252", "replace")
    lines = [line.strip() for line in text.splitlines()]
    if b"\0" in raw or len(raw) > SIZE or not any(line.upper().startswith("FILE ") for line in lines):
        raise NotThisFormat("cue sheet", Span(root, 0, min(len(raw), 64)), "no text with a FILE")
    sheet, session = Sheet(), 1
    for number, line in enumerate(lines, 1):
        budget.item()
        words = [a or b for a, b in _WORD.findall(line)]
        if not words:
            continue
        command = words[0].upper()
        if command == "REM" and len(words) == 3 and words[1].upper() == "SESSION" and _NUMBER.fullmatch(words[2]):
            session = int(words[2])
        elif command not in _COMMANDS:
            if number < 3:
                raise NotThisFormat("cue sheet", Span(root, 0, min(len(raw), 64)), f"line {number} begins with {words[0][:20]!r}")
            budget.report(Finding.note("cue sheet", f"line {number} is not understood: {line[:80]!r}", root))
        else:
            _line(sheet, command, words[1:], session, f"line {number}", root)
    if not sheet.tracks:
        raise Corrupt("cue sheet", Span(root, 0, len(raw)), "no track")
    _check(sheet, root)
    return sheet


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _line(sheet: Sheet, command: str, words: list[str], session: int, where: str, root: str) -> None:
    track = sheet.tracks[-1] if sheet.tracks else None
    if command == "FILE":
        if not words:
            raise Corrupt("cue sheet", Span(root, 0, 0), f"{where}: a FILE without a name")
        kind = words[-1].upper() if len(words) > 1 else "BINARY"
        sheet.files.append((" ".join(words[:-1]) if len(words) > 1 else words[0], kind))
    elif command == "TRACK":
        if len(words) < 2 or not _NUMBER.fullmatch(words[0]) or not sheet.files:
            raise Corrupt("cue sheet", Span(root, 0, 0), f"{where}: a TRACK without a number, mode or file")
        sheet.tracks.append(Stated(int(words[0]), words[1].upper(), len(sheet.files) - 1, session=session))
    elif command in ("INDEX", "PREGAP", "POSTGAP"):
        match = _TIME.fullmatch(words[-1]) if words else None
        if track is None or match is None or (command == "INDEX" and (len(words) != 2 or not _NUMBER.fullmatch(words[0]))):
            raise Corrupt("cue sheet", Span(root, 0, 0), f"{where}: {command} without a track or a time")
        sector = (int(match[1]) * 60 + int(match[2])) * 75 + int(match[3])
        if command == "INDEX":
            track.indexes[int(words[0])] = sector
            if len(track.indexes) == 1:
                track.file = len(sheet.files) - 1  # a track whose pregap ends the file before
        elif command == "PREGAP":
            track.pregap = sector
        else:
            track.postgap = sector
    elif command == "TITLE" and track is not None:
        track.title = " ".join(words)
    elif track is None and words:
        sheet.facts.setdefault(command.lower() if command != "REM" else words[0].lower(), " ".join(words[command == "REM" :]))


def _check(sheet: Sheet, root: str) -> None:
    """Every track has an index, a mode, and a place behind the one before."""
    last: Stated | None = None
    for track in sheet.tracks:
        what = f"track {track.number}"
        if track.mode not in MODES:
            raise Corrupt("cue sheet", Span(root, 0, 0), f"{what} has the mode {track.mode[:20]!r}")
        if 1 not in track.indexes or track.indexes.get(0, 0) > track.indexes[1]:
            raise Corrupt("cue sheet", Span(root, 0, 0), f"{what} has no INDEX 01, or one before its INDEX 00")
        if last is not None and (track.number <= last.number or (track.file == last.file and track.begin < last.indexes[1])):
            raise Corrupt("cue sheet", Span(root, 0, 0), f"{what} lies before track {last.number}")
        last = track
