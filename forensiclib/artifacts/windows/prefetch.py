"""Programs that were run, how often and when: %SystemRoot%/Prefetch/*.pf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from forensiclib.core.declare import Extractor, Field, Files, Found, Integer, Json, Signature, Text, Time
from forensiclib.core.errors import Corrupt, LimitExceeded, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.core.source import ByteSource
from forensiclib.core.text import utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats import prefetch as fmt
from forensiclib.formats._dsl import layout, parse
from forensiclib.stores.mam import expanded

RUN = layout(fmt.RUNS)
SHARED = 16
"""Times that texts may together be as long as the block that they are read from: entries share few."""


def _layouts(scca: ByteSource, version: int) -> tuple[Any, Any, Any]:
    """The layouts of the file information, one metrics entry and one volume."""
    if version == 17:
        return fmt.INFO[17], fmt.METRICS_V17, fmt.VOLUME_V17
    if version in (23, 26):
        return fmt.INFO[version], fmt.METRICS, fmt.VOLUME
    if version not in (30, 31):
        raise Unsupported("prefetch file", scca.trace(0, 4)[0], f"version {version}")
    short = int.from_bytes(scca.read_at(84, 4), "little") == 84 + fmt.INFO_SHORT.sizeof()
    return (fmt.INFO_SHORT if short else fmt.INFO[26]), fmt.METRICS, fmt.VOLUME_SHORT


def _block(scca: ByteSource, at: int, size: int, what: str, budget: Budget) -> bytes:
    """``size`` bytes, or as many as there are and a finding."""
    data = scca.read_at(at, min(size, scca.size))
    if len(data) < size:
        spans = scca.trace(at, len(data))
        budget.report(Truncated(what, spans[0] if spans else None, f"{len(data)} of {size} bytes at {at}"))
    return data


def _files(scca: ByteSource, info: Any, metrics: Any, budget: Budget) -> list[dict[str, Any]]:
    """Files in the order of the metrics with their NTFS references, then names that no entry uses."""
    names = _block(scca, info.names_at, info.names_size, "prefetch names", budget)
    entry = layout(metrics)
    table = _block(scca, info.metrics_at, info.metrics_count * entry.size, "prefetch metrics", budget)
    files: list[dict[str, Any]] = []
    used, told = set(), 0
    for at in range(0, len(table) - entry.size + 1, entry.size):
        budget.item()
        values = entry.dict(table, at)
        start, length = values["name_at"], 2 * values["name_length"]
        if start + length > len(names):
            budget.report(Corrupt("prefetch metrics", None, f"name at {start}, {length} bytes, in a block of {len(names)}"))
            continue
        used.add(start)
        if (told := told + length) > SHARED * len(names):
            budget.report(LimitExceeded("prefetch names", None, f"metrics from {at} on repeat a block of {len(names)} bytes"))
            break
        file: dict[str, Any] = {"path": utf16(names[start : start + length])}
        if reference := values.get("reference"):
            file |= {"record": reference & (1 << 48) - 1, "sequence": reference >> 48}
        files.append(file)
    at = 0
    for text in names[: len(names) & ~1].decode("utf-16-le", "surrogatepass").split("\0"):
        budget.item()
        if text and at not in used:
            files.append({"path": text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")})
        at += len(text.encode("utf-16-le", "surrogatepass")) + 2
    return files


def _volumes(scca: ByteSource, info: Any, kind: Any, budget: Budget) -> tuple[list[dict[str, str]], list[str]]:
    """Volumes, and the directories of all of them."""
    block = _block(scca, info.volumes_at, info.volumes_size, "prefetch volumes", budget)
    entry = layout(kind)
    volumes: list[dict[str, str]] = []
    directories: list[str] = []
    told = 0
    for number in range(info.volumes_count):
        budget.item()
        if (number + 1) * entry.size > len(block):
            budget.report(Truncated("prefetch volumes", None, f"volume {number + 1} of {info.volumes_count}"))
            break
        v = entry.dict(block, number * entry.size)
        path = utf16(block[v["path_at"] : v["path_at"] + 2 * v["path_length"]])
        volumes.append({"path": path, "serial": f"{v['serial']:08x}", "created": Timestamp.filetime(v["created"]).iso()})
        at = v["directories_at"]
        for _ in range(v["directories_count"]):
            budget.item()
            length = 2 * int.from_bytes(block[at : at + 2], "little")
            if at + 2 + length > len(block):
                budget.report(Corrupt("prefetch directories", None, f"text at {at} leaves the block of {len(block)} bytes"))
                break
            if (told := told + length + 2) > SHARED * len(block):
                budget.report(LimitExceeded("prefetch directories", None, f"they repeat a block of {len(block)} bytes"))
                return volumes, directories
            directories.append(utf16(block[at + 2 : at + 2 + length]))
            at += length + 4
    return volumes, directories


def rows(found: Found, budget: Budget) -> Iterator[Row]:
    """One row for each recorded run, newest first; one without a time when none is recorded."""
    scca = expanded(found.stream, budget)
    if scca.read_at(4, 4) != b"SCCA":
        raise NotThisFormat("prefetch file", None, "no SCCA signature")
    head = parse(fmt.HEADER, scca, 0, "prefetch header")
    info_kind, metrics_kind, volume_kind = _layouts(scca, head.version)
    info = parse(info_kind, scca, 84, "prefetch file information")
    if head.size != scca.size:
        budget.report(Finding.note("prefetch file", f"header says {head.size} bytes, there are {scca.size}", found.path))
    if (named := found.name.upper().rpartition("-")[2].removesuffix(".PF")) != f"{head.hash:08X}" and len(named) == 8:
        budget.report(Finding.note("prefetch file", f"hash {head.hash:08X} inside, {named} in its name", found.path))
    files = _files(scca, info, metrics_kind, budget)
    volumes, directories = _volumes(scca, info, volume_kind, budget)
    lists = {"files": files, "directories": directories, "volumes": volumes}
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in lists.items()}
    base = {"executable": utf16(head.name, stop_at_nul=True), "hash": f"{head.hash:08X}", "version": head.version}
    times = [t for (t,) in (RUN.unpack(info.runs, at) for at in range(0, len(info.runs), 8)) if t]
    for index, ticks in enumerate(times or [0]):
        run = {"run_count": info.run_count, "run": index + 1 if times else 0, "run_time": Timestamp.filetime(ticks)}
        yield Row(base | run | (texts if index == 0 else dict.fromkeys(texts)), 0, scca.size, scca)


EXTRACTOR = Extractor(
    name="windows.prefetch",
    title="Programs run: count, last run times, files and volumes used (prefetch)",
    platform="Windows XP to 11",
    source=Files("**/Prefetch/*.pf", signatures=(Signature(b"SCCA", 4), Signature(b"MAM\x04"), Signature(b"MAM\x84"))),
    fields=(
        Field("executable", Text, "Program's file name, at most 29 characters"),
        Field("hash", Text, "Hash of the program's path, hexadecimal; also in the file's name"),
        Field("version", Integer, "17 XP and 2003, 23 Vista and 7, 26 8.x, 30 and 31 10 and 11"),
        Field("run_count", Integer, "Times run, as counted by Windows; the same on all rows of a file"),
        Field("run", Integer, "1 is the last recorded run, 2 the one before, up to 8; 0: no time is recorded"),
        Field("run_time", Time, "Start of that run, UTC"),
        Field("files", Json, "On the first row of a file: files read in the first 10 s of a run, with NTFS record and sequence"),
        Field("directories", Json, "On the first row of a file: directories of those files"),
        Field("volumes", Json, "On the first row of a file: device path, serial number, creation time (UTC) of each volume"),
    ),
    refs=("libscca: Windows Prefetch File (PF) format", "[MS-XCA] 2.2 LZ77+Huffman"),
    gaps=("Trace chains are not decoded", "Superfetch databases (Ag*.db) and Layout.ini are not read"),
    rows=rows,
)
