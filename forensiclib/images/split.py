"""Raw media cut into numbered files: .001 .002 ..., .000 ..., .aa .ab ... (dd, FTK Imager, GNU split)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

from forensiclib.core.declare import ImageFormat
from forensiclib.core.entry import Image
from forensiclib.core.errors import NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ConcatSource
from forensiclib.core.span import Span
from forensiclib.images._files import FilePool, PooledFile, beside, contained, exists, expand, is_file, names_beside, size

__all__ = ["FORMAT", "open_split"]

_MISSES = 3
"""Numbers in a row that are not there before a set that cannot be listed is taken to end: a gap of fewer is seen."""
_DIGITS = re.compile(r"(?P<stem>.*\.)(?P<suffix>\d{2,})", re.DOTALL)
_LETTERS = re.compile(r"(?P<stem>.*[.\w-])(?P<suffix>[a-z]{2,6}|[A-Z]{2,6})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Member:
    """One file of a set: ``number`` counts from 0 for "aa", from the digits themselves otherwise."""

    stem: str
    suffix: str
    number: int

    def suffix_of(self, number: int) -> str:
        """The suffix that ``number`` has in the same set."""
        if self.suffix.isdigit():
            return str(number).zfill(len(self.suffix))
        return _letters(number, len(self.suffix), self.suffix.isupper())


def _letters(number: int, width: int, upper: bool) -> str:
    first = ord("A" if upper else "a")
    out = ""
    for _ in range(width):
        number, rest = divmod(number, 26)
        out = chr(first + rest) + out
    return out


def _letters_number(suffix: str) -> int:
    number = 0
    for letter in suffix.lower():
        number = number * 26 + ord(letter) - ord("a")
    return number


def _digits_member(name: str) -> _Member | None:
    match = _DIGITS.fullmatch(name)
    return _Member(match["stem"], match["suffix"], int(match["suffix"])) if match else None


def _letters_member(name: str, width: int) -> _Member | None:
    suffix = name[-width:]
    if len(name) <= width or not _LETTERS.fullmatch(name) or not suffix.isalpha() or not suffix.isascii():
        return None
    return _Member(name[:-width], suffix, _letters_number(suffix))


def _same_set(member: _Member, other: _Member | None) -> bool:
    if other is None or other.stem != member.stem:
        return False
    if not member.suffix.isdigit():
        return len(other.suffix) == len(member.suffix) and other.suffix.isupper() == member.suffix.isupper()
    # FTK Imager goes on with .1000 behind .999: more digits only without a leading zero.
    width = min(len(member.suffix), len(other.suffix))
    return all(len(m.suffix) == width or m.suffix[0] != "0" for m in (member, other))


def _siblings(path: str) -> list[tuple[_Member, str]]:
    """The set that ``path`` belongs to, by number; itself alone when its name is no set's."""
    folder, name = os.path.split(path)
    digits = _digits_member(name)
    names = names_beside(path)
    if names is None:
        return _asked(path, digits)
    if digits is not None:
        found = [(m, n) for n in names if (m := _digits_member(n)) is not None and _same_set(digits, m)]
        return sorted(((m, beside(path, os.path.join(folder, n))) for m, n in found), key=lambda pair: pair[0].number)
    for width in (2, 3, 4):
        member = _letters_member(name, width)
        # Letters make a set only when its first file is there: "disk.dd" is not number 81 of one.
        if member is None or member.stem + member.suffix_of(0) not in names:
            continue
        found = [(m, n) for n in names if (m := _letters_member(n, width)) is not None and _same_set(member, m)]
        return sorted(((m, beside(path, os.path.join(folder, n))) for m, n in found), key=lambda pair: pair[0].number)
    return []


def _asked(path: str, digits: _Member | None) -> list[tuple[_Member, str]]:
    """The same where no folder can be listed: file by file, up and down from the given one."""
    folder, name = os.path.split(path)

    def place(member: _Member, number: int) -> str:
        return beside(path, os.path.join(folder, member.stem + member.suffix_of(number)))

    for member in [digits] if digits is not None else [_letters_member(name, width) for width in (2, 3, 4)]:
        if member is None or (digits is None and not exists(place(member, 0))):
            continue
        found = {member.number: path}
        top = 26 ** len(member.suffix) if digits is None else 1 << 31
        for step in (1, -1):
            number, missed = member.number + step, 0
            while missed < _MISSES and 0 <= number < top:
                if there := exists(where := place(member, number)):
                    found[number] = where
                missed = 0 if there else missed + 1
                number += step
        return [(_Member(member.stem, member.suffix_of(n), n), found[n]) for n in sorted(found)]
    return []


def _listed(paths: list[str]) -> list[tuple[_Member, str]]:
    """The caller's files by number, or nothing when their names do not number one set."""
    folder_names = [os.path.split(p) for p in paths]
    for parse in (_digits_member, *(lambda n, w=w: _letters_member(n, w) for w in (2, 3, 4))):
        members = [parse(name) for _, name in folder_names]
        first = members[0]
        if first is not None and all(_same_set(first, m) for m in members):
            pairs = [(m, p) for m, p in zip(members, paths) if m is not None]
            return sorted(pairs, key=lambda pair: pair[0].number)
    return []


def _without_gap(pairs: list[tuple[_Member, str]]) -> list[str]:
    for (before, path), (after, _) in pairwise(pairs):
        if after.number != before.number + 1:
            missing = before.stem + before.suffix_of(before.number + 1)
            count = after.number - before.number - 1
            root = os.path.basename(path)
            raise Truncated(
                "split raw image",
                Span(root, size(path), 0),
                f"segment {missing} is missing" + (f" and {count - 1} more behind it" if count > 1 else ""),
            )
    return [path for _, path in pairs]


def _set_of(paths: list[str]) -> list[str]:
    if len(paths) > 1:
        # Names that number nothing are taken in the order that the caller gave.
        return _without_gap(_listed(paths)) or paths
    if not is_file(paths[0]):
        raise NotThisFormat("split raw image", None, f"{paths[0]} is not a file")
    pairs = _siblings(paths[0])
    if len(pairs) < 2 and not (pairs and pairs[0][0].suffix.isdigit() and len(pairs[0][0].suffix) >= 3):
        raise NotThisFormat("split raw image", None, f"{os.path.basename(paths[0])} has no numbered siblings")
    return _without_gap(pairs)


def _odd_sizes(files: list[PooledFile], budget: Budget) -> None:
    usual = files[0].size
    last = len(files) - 1
    for i, file in enumerate(files):
        if (i < last and file.size != usual) or (i == last and file.size > usual):
            found = f"{file.size} bytes where the first segment has {usual}: cut short, or of another set"
            budget.report(Finding("Corrupt", "split raw image", found, file.path, "split", Span(file.root, 0, file.size)))


def _segment(pool: FilePool, path: str, budget: Budget) -> PooledFile:
    budget.item()
    file = PooledFile(pool, path)
    if contained(file):
        raise NotThisFormat("split raw image", Span(file.root, 0, 8), "the signature of an EWF segment")
    return file


def open_split(paths: Sequence[str], budget: Budget) -> Image:
    """The set that one segment belongs to, or the segments that the caller lists or globs.

    Names that number a set are put in its order; others keep the caller's. Raises NotThisFormat
    when the name is not numbered or the content is an EWF segment, Truncated when a number of the
    set is missing. A segment of another size in the middle is a finding.
    """
    given = expand(paths)
    found = _set_of(given)
    pool = FilePool()
    with ExitStack() as undo:
        undo.callback(pool.close)
        files = [_segment(pool, path, budget) for path in found]
        undo.pop_all()
    if len(files) == 1:
        budget.report(Finding.note("split raw image", "one segment only; others are not beside it", where=files[0].path))
    if len(given) == 1 and names_beside(given[0]) is None:
        says = f"its folder cannot be listed: taken to end where {_MISSES} numbers in a row are not there; list the files to be sure"
        budget.report(Finding.note("split raw image", says, where=files[-1].root))
    _odd_sizes(files, budget)
    return Image(
        ConcatSource(files, root=files[0].root),
        format="split",
        name=files[0].root,
        parts=tuple((file.root, file.size) for file in files),
        close_with=(pool.close,),
    )


FORMAT = ImageFormat(
    name="split",
    title="Raw image in numbered files",
    refs=("GNU coreutils, split(1): suffixes", "AccessData FTK Imager user guide: raw (dd) fragments"),
    gaps=(
        "a set whose last files are lost looks whole: nothing stored says where it ends",
        "GNU split's growing suffixes (.yz, then .zaaa) must be listed by the caller",
        "the sector size is not stored and is taken to be 512",
    ),
    extensions=(".001", ".000", ".01", ".00", ".aa", ".aaa"),
    open=open_split,
)
