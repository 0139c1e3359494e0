"""The list of files of logical evidence by EnCase: the ltree section of L01, the single files data of Lx01.

Joachim Metz, "Expert Witness Compression Format (EWF)", libewf documentation, "Ltree section".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from forensiclib.core.entry import Entry, Stream
from forensiclib.core.errors import Corrupt, LimitExceeded, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp
from forensiclib.images._tree import RepeatSource, TreeFileSystem, shown

__all__ = ["logical_files", "logical_size"]

DELETED, STREAM, FOLDER, SPARSE = 0x80, 0x2000, 0x0200_0000, 0x0400_0000
_TIMES = {"cr": "born", "ac": "accessed", "wr": "modified", "mo": "changed", "dl": "deleted", "aq": "acquired"}
_RIGHTS = {"": "owner", "1": "group", "2": "allow", "6": "other", "10": "group of permissions"}
_WHAT = "EWF list of files"


def _number(text: str, default: int = -1) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else default


def _category(lines: Sequence[str], name: str, root: str, budget: Budget) -> Iterator[tuple[int, dict[str, str]]]:
    """(depth, values by type indicator) of every entry of a category; the category's own root has depth 0.

    Raises Corrupt and Truncated where the lines are not what their counts say.
    """
    try:
        at = lines.index(name)
    except ValueError:
        return
    tags = lines[at + 2].rstrip("\r").split("\t") if at + 2 < len(lines) else []
    at += 3
    open_: list[int] = [1]  # entries that must still come, a level each
    while open_:
        if open_[-1] == 0:
            open_.pop()
            continue
        open_[-1] -= 1
        if at + 1 >= len(lines):
            raise Truncated(_WHAT, Span(root, 0, 0), f"the category {name} ends before its last entry")
        counts = lines[at].rstrip("\r").split("\t")
        children = _number(counts[1]) if len(counts) == 2 else -1
        if children < 0:
            raise Corrupt(_WHAT, Span(root, 0, 0), f"line {at + 1}: {lines[at][:40]!r} where two counts were expected")
        values = lines[at + 1].rstrip("\r").split("\t")
        budget.item()
        yield len(open_) - 1, dict(zip(tags, values))
        at += 2
        if len(open_) > budget.limits.depth:
            raise LimitExceeded(_WHAT, Span(root, 0, 0), f"deeper than {budget.limits.depth} levels")
        open_.append(children)


def _extents(text: str) -> list[tuple[int, int]]:
    """ "Binary extents value": (offset, size) in the media. ValueError for another form."""
    words = text.split()
    out: list[tuple[int, int]] = []
    if not words:
        return out
    at = 1
    for _ in range(int(words[0], 16)):
        if at < len(words) and words[at] == "S":
            at += 1
        if at + 1 >= len(words) or len(words[at]) > 16 or len(words[at + 1]) > 16:
            raise ValueError(f"{text[:40]!r} breaks off")
        out.append((int(words[at], 16), int(words[at + 1], 16)))
        at += 2
    return out


def _permissions(lines: Sequence[str], root: str, budget: Budget) -> list[str]:
    """One text for each group of permissions."""
    out: list[str] = []
    try:
        for depth, values in _category(lines, "perm", root, budget):
            if depth == 1:
                out.append("")
            elif depth == 2 and out:
                mask = values.get("nta", "")
                kind = _RIGHTS.get(values.get("pr", ""), values.get("pr", ""))
                mask = f"{_number(mask):#x}" if _number(mask) >= 0 else mask
                text = " ".join(filter(None, (kind, values.get("s", ""), values.get("n", ""), mask)))
                out[-1] += f"; {text}" if out[-1] else text
    except (Corrupt, Truncated, LimitExceeded) as error:
        budget.report(error)
    return out


def _sources(lines: Sequence[str], root: str, budget: Budget) -> dict[str, str]:
    """Identifier -> what the acquisition source is called."""
    out: dict[str, str] = {}
    try:
        for depth, values in _category(lines, "srce", root, budget):
            if depth and (text := " ".join(filter(None, (values.get("n", ""), values.get("ev", ""), values.get("loc", ""))))):
                out[values.get("id", "")] = text
    except (Corrupt, Truncated, LimitExceeded) as error:
        budget.report(error)
    return out


def _streams(data: ByteSource, values: Mapping[str, str], size: int, flags: int) -> Sequence[Stream]:
    extents = _extents(values.get("be", ""))
    stored = sum(length for _, length in extents)
    again = _number(values.get("du", ""))
    if flags & SPARSE and again >= 0:
        extents = [(again, size)]
    elif flags & SPARSE and stored == 1 and size > 1:
        return (Stream(RepeatSource(data, extents[0][0], size), compressed=True, runs=((extents[0][0], 1),)),)
    elif not extents and again >= 0:
        extents = [(again, size)]
    return (Stream(ExtentSource(data, extents, size), allocated=sum(n for _, n in extents), runs=extents),)


def logical_size(text: str, said: int, chunk: int) -> int:
    """Bytes of media: the total that the records category states, where it lies in the last chunk that ``said`` needs."""
    lines = text.lstrip("\ufeff").split("\n")
    at = lines.index("rec") if "rec" in lines else len(lines)
    if at + 2 >= len(lines):
        return said
    values = dict(zip(lines[at + 1].rstrip("\r").split("\t"), lines[at + 2].rstrip("\r").split("\t")))
    total = _number(values.get("tb", ""))
    return total if total > 0 and -(-total // chunk) == -(-said // chunk) else said


def logical_files(text: str, data: ByteSource, root: str, budget: Budget) -> TreeFileSystem:
    """The files that the text lists, their contents in ``data``. Where the text breaks off is a finding; what stands
    before it is given."""
    lines = text.lstrip("\ufeff").rstrip("\0").split("\n")
    rights, sources = _permissions(lines, root, budget), _sources(lines, root, budget)
    entries: list[Entry] = []
    above: list[tuple[int, str]] = []  # (id, path) of the directories that lead here
    try:
        for depth, values in _category(lines, "entry", root, budget):
            del above[depth:]
            if depth == 0:
                above.append((0, ""))
                continue
            made = _entry(values, above[-1], len(entries) + 1, data, root, rights, sources, budget)
            entries.append(made)
            above.append((made.id, made.path))
    except (Corrupt, Truncated, LimitExceeded) as error:
        budget.report(error)
    if "entry" not in lines:
        budget.report(Corrupt(_WHAT, Span(root, 0, 0), "no category of file entries"))
    return TreeFileSystem("logical", entries)


def _entry(
    values: Mapping[str, str], parent: tuple[int, str], number: int, data: ByteSource, root: str, rights: Sequence[str],
    sources: Mapping[str, str], budget: Budget,
) -> Entry:  # fmt: skip
    flags, size = max(0, _number(values.get("opr", ""))), max(0, _number(values.get("ls", "")))
    name = values.get("n", "")
    folder = values.get("p", "") == "1" or bool(flags & FOLDER)
    path = f"{parent[1]}/{shown(name)}" if parent[1] else shown(name)
    times = {}
    for tag, what in _TIMES.items():
        if (seconds := _number(values.get(tag, ""))) > 0:
            times[what] = Timestamp.unix(seconds)
    opener = None
    try:
        if _extents(values.get("be", "")) or not folder:
            opener = partial(_streams, data, dict(values), size, flags)
    except ValueError as error:
        budget.report(Corrupt(_WHAT, Span(root, 0, 0), f"{path}: extents {error}"))
    facts: dict[str, object] = {"flags": flags}
    for tag, what in (("ha", "md5"), ("sha", "sha1")):
        if (digest := values.get(tag, "").lower()).strip("0"):
            facts[what] = digest
    for tag, what in (("id", "identifier"), ("mid", "guid"), ("snh", "short_name")):
        if values.get(tag):
            facts[what] = values[tag]
    if flags & STREAM:
        facts["alternate_stream"] = True
    index = _number(values.get("pm", "") or "0")
    if 0 <= index < len(rights) and rights[index]:
        facts["permissions"] = rights[index]
    if source := sources.get(values.get("src", "")):
        facts["source"] = source
    return Entry(
        id=number, sequence=0, parent=parent[0], raw_name=name.encode("utf-8", "surrogatepass"), name=name, path=path,
        kind="directory" if folder else "file", state="deleted" if flags & DELETED else "allocated", size=0 if folder else size,
        times=times, verdict="intact" if flags & DELETED else "", attributes=facts, opener=opener,
    )  # fmt: skip
