"""The main job: from evidence to a case folder."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forensiclib.api import shadows
from forensiclib.api.carving import carve, zones
from forensiclib.api.case import CARVED_SCHEMA, FILES, FINDINGS_SCHEMA, CaseFolder, environment, require_extra
from forensiclib.api.extracting import plan, plan_carved, run_extract
from forensiclib.api.gallery import PICTURES, gallery
from forensiclib.api.match import listed
from forensiclib.api.opening import Engine, OpenImage, OpenVolume, Verification, open_image
from forensiclib.api.recovering import FileDigest, hash_units, run_hash
from forensiclib.api.run import Run
from forensiclib.api.tabulating import TIMELINE_SCHEMA, artifact_schema
from forensiclib.api.timeline import file_events, sort_timeline
from forensiclib.api.units import CarvedRef, FileRef
from forensiclib.core.batch import Batch, Column
from forensiclib.core.errors import EvidenceError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.source import ByteSource
from forensiclib.tables.caseuco import write_case_uco
from forensiclib.tables.parquet import ParquetTable
from forensiclib.tables.report import write_report

__all__ = ["Case", "examine"]


@dataclass(slots=True)
class Case:
    """What examine made: the folder, the verification, and how many rows each table has."""

    path: Path
    verification: Verification | None
    counts: dict[str, int] = field(default_factory=dict)
    findings: int = 0


def examine(
    evidence: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | ByteSource,
    case: str | os.PathLike[str],
    *,
    run: Run | None = None,
    extractors: Sequence[str] = (),
    engine: Engine = "native",
    verify: bool = True,
    carving: bool = True,
    keys: Keys | None = None,
) -> Case:
    """Verify, list, hash, recover, extract and carve one piece of evidence into a new case folder.

    Raises UsageError when the folder is not empty or an extractor name matches nothing, EvidenceError when
    the evidence cannot be opened. Damage inside it is in findings.parquet, and what was not examined in
    ledger.json. A folder without case.json is a job that was cancelled or failed; the last line of audit.jsonl
    says why. ``keys`` replace those of the run. Needs the ``cli``
    extra (Parquet, the report).
    """
    run = run or Run()
    require_extra()
    run.catalog.extractors(*extractors)
    with open_image(evidence, run=run, keys=keys) as image:
        folder = CaseFolder(case)
        try:
            return _Examination(run, image, folder, engine).work(extractors, verify, carving)
        finally:
            if not folder.file("case.json").exists():
                error = sys.exception()
                folder.audit("stopped", error=type(error).__name__, message=str(error))


class _Examination:
    def __init__(self, run: Run, image: OpenImage, folder: CaseFolder, engine: Engine) -> None:
        self.run, self.image, self.folder, self.engine = run, image, folder, engine
        self.known: dict[str, str] = {}
        self.listing: list[tuple[OpenVolume, Batch]] = []
        self.case = Case(folder.path, None)
        self.carved_pictures: list[tuple[Path, str]] = []
        self.carved_at: list[tuple[int, int]] = []
        self.carved_new: list[tuple[OpenVolume, CarvedRef]] = []
        self.pictures: list[dict[str, Any]] = []
        self.picture_totals: dict[str, int] = {}

    def work(self, extractors: Sequence[str], verify: bool, carving: bool) -> Case:
        folder, run, image = self.folder, self.run, self.image
        folder.audit("opened", image=image.name, format=image.format, size=image.size, parts=[list(p) for p in image.parts])
        if verify:
            self._verify()
        else:
            run.ledger.skipped("verification", image.size, "the caller asked for none", image.name)
        self._list()
        self._hash_and_recover()
        if carving:
            self._carve()
        else:
            for zone in zones(run, image, False, self.engine):
                run.ledger.skipped("carving", zone.size, "the caller asked for none", f"volume {zone.volume.name}")
        with ParquetTable(folder.file("timeline.unsorted"), TIMELINE_SCHEMA) as events:
            self._file_tables(events)
            self._extract(extractors, events)
        self.case.counts["timeline"] = sort_timeline(folder.file("timeline.unsorted"), folder.file("timeline.parquet"))
        folder.file("timeline.unsorted").unlink()
        self._gallery()
        self._close(extractors)
        return self.case

    def _verify(self) -> None:
        self.case.verification = result = self.image.verify(("sha256",))
        for span in result.bad:
            self.run.report(Finding("Corrupt", "stored checksum", "these bytes cannot be trusted", self.image.name, "verify", span))
        for name, stored in result.stored.items():
            if result.computed.get(name) != stored:
                self.run.report(
                    Finding(
                        "Corrupt", f"stored {name}", f"stored {stored}, computed {result.computed.get(name)}", self.image.name, "verify"
                    )
                )
        self.run.ledger.examined("verification", self.image.size, self.image.name)
        self.folder.audit("verified", ok=result.ok, computed=result.computed, stored=result.stored, bad=len(result.bad))

    def _list(self) -> None:
        run = self.run
        for volume in self.image.volumes():
            where = f"volume {volume.name}"
            if volume.state == "slack" or volume.member_of or shadows.passed_over(volume):
                continue
            try:
                table = shadows.shown(volume, self.engine)
            except EvidenceError as error:
                run.budget("listing").report(error, where)
                run.ledger.skipped("file system", volume.size, str(error), where)
                continue
            self.listing.append((volume, table))
            run.ledger.examined("file system", volume.size, where)
            self.folder.audit("listed", volume=volume.name, rows=table.length)

    def _hash_and_recover(self) -> None:
        self.digests: dict[tuple[str, int, int, str, str], FileDigest] = {}
        for volume, table in self.listing:
            units = list(hash_units(volume, table, self.engine, os.fspath(self.folder.recovered)))
            for done, result in enumerate(self.run.map(run_hash, units), 1):
                self._findings(result.findings)
                for item in result.values:
                    f = item.file
                    self.digests[volume.name, f.id, f.sequence, f.path, f.stream] = item
                    if item.unreadable:
                        where = f"{volume.name}:/{f.path}" + (f":{f.stream}" if f.stream else "")
                        self.run.ledger.skipped("content", item.unreadable, "could not be read; counts as zero in the digests", where)
                    sha256 = dict(item.digests)["sha256"]
                    self.known.setdefault(sha256, f"{volume.name}:/{f.path}" + (f":{f.stream}" if f.stream else ""))
                self.run.progress("hash and recover", done, len(units))
        self.case.counts["recovered"] = sum(bool(d.written) for d in self.digests.values())
        self.folder.audit("hashed", streams=len(self.digests), recovered=self.case.counts["recovered"])

    def _file_tables(self, events: ParquetTable) -> None:
        with ParquetTable(self.folder.file("files.parquet"), FILES) as files:
            for volume, table in self.listing:
                whole = _with_digests(volume.name, table, self.digests)
                files.write(_select(whole, FILES))
                for event in file_events(volume, table):
                    events.add(event)
            self.case.counts["files"] = files.count

    def _extract(self, patterns: Sequence[str], events: ParquetTable) -> None:
        run = self.run
        chosen = {e.name: e for e in run.catalog.extractors(*patterns)}
        tables: dict[str, ParquetTable] = {}
        units = list(plan(run, self.listing, patterns, self.engine, columns=True))
        self._uninterpreted({(u.place.volume, u.file) for u in units})
        units += plan_carved(run, self.carved_new, patterns, self.engine, columns=True)
        try:
            for name in chosen:
                tables[name] = ParquetTable(self.folder.artifacts / f"{name}.parquet", artifact_schema(chosen[name]))
            for done, result in enumerate(run.map(run_extract, units, window=8), 1):
                self._findings(result.findings)
                for tabled in result.values:
                    tables[tabled.name].write(tabled.rows)
                    events.write(tabled.events)
                run.progress("extract", done, len(units))
        finally:
            for table in tables.values():
                table.close()
        for name, table in tables.items():
            self.case.counts[f"artifacts/{name}"] = table.count
        self.folder.audit("extracted", units=len(units), rows={n: t.count for n, t in tables.items()})

    def _uninterpreted(self, wanted: Set[tuple[str, FileRef | CarvedRef]]) -> None:
        """Ledger lines: contents that were hashed only, and the slack behind them."""
        ledger = self.run.ledger
        for volume, table in self.listing:
            where = f"volume {volume.name}"
            rows = list(listed(table))
            asked = [r.size for r in rows if (volume.name, r.file) in wanted]
            left = [r.size for r in rows if (volume.name, r.file) not in wanted]
            ledger.examined(f"contents of {len(asked)} files: hashed and read by extractors", sum(asked), where)
            if left:
                ledger.skipped(f"contents of {len(left)} files", sum(left), "hashed, not interpreted: no extractor asks for them", where)
            columns = (table.list(n) for n in ("state", "size", "allocated"))
            slack = sum(max(0, have - size) for state, size, have in zip(*columns, strict=True) if state == "allocated" and size)
            if slack:
                ledger.skipped("file slack", slack, "this job does not look there", where)

    def _carve(self) -> None:
        with ParquetTable(self.folder.file("carved.parquet"), CARVED_SCHEMA) as table:
            for hit in carve(self.run, self.image, to=self.folder.carved, known=self.known, engine=self.engine):
                find = hit.find
                self.carved_at.append((hit.start, hit.length))
                if not hit.same_as and not hit.supplied:
                    volume = self.image.volume(hit.volume)
                    self.carved_new.append((volume, CarvedRef(hit.pieces, f"$Carved/{hit.written}", carver=hit.carver.name)))
                if hit.written and hit.extension in PICTURES:
                    self.carved_pictures.append((self.folder.carved / hit.written, f"{hit.written} ({find.confidence:.2f})"))
                table.add(
                    {
                        "volume": hit.volume,
                        "start": hit.start,
                        "length": hit.length,
                        "run_start": [start for start, _ in hit.runs],
                        "run_length": [length for _, length in hit.runs],
                        "type": hit.carver.name,
                        "title": find.title or hit.carver.title,
                        "extension": hit.extension,
                        "confidence": find.confidence,
                        "complete": find.complete,
                        "reason": find.reason,
                        "carved": hit.written,
                        "same_as": hit.same_as,
                        **dict(hit.digests),
                    }
                )
        self.case.counts["carved"] = table.count
        for zone in zones(self.run, self.image, False, self.engine):
            self.run.ledger.examined(f"carving: {zone.why}", zone.size, f"volume {zone.volume.name}")
        self.folder.audit("carved", finds=table.count)

    def _gallery(self) -> None:
        for item in gallery(self.run, self.listing, self.carved_pictures, self.engine):
            if "totals" in item:
                self.picture_totals = item["totals"]
            else:
                self.pictures.append(item)

    def _map(self) -> list[dict[str, float]]:
        """The media in MAP equal columns: the share in use, and whether something was carved there."""
        size = max(1, self.image.size)
        free = [0.0] * MAP
        for volume, _ in self.listing:
            if volume.start < 0:
                continue  # decrypted or put together: its free space has no one place on the media
            for start, length in volume.free(self.engine) or ():
                _spread(free, (volume.start + start) * MAP / size, length * MAP / size)
        for volume in self.image.volumes():
            if volume.state == "slack" and volume.start >= 0:
                _spread(free, volume.start * MAP / size, volume.size * MAP / size)
        carved = {at * MAP // size for at, _ in self.carved_at}
        return [{"used": round(max(0.0, 1 - f), 3), "carved": i in carved} for i, f in enumerate(free)]

    def _findings(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self.run.report(finding)

    def _close(self, patterns: Sequence[str]) -> None:
        run, folder = self.run, self.folder
        for name, reason in run.catalog.broken:
            run.report(Finding("MissingSupport", name, reason, "catalogue"))
        # Sorted and unique: workers report what they share in an order that depends on timing.
        rows = {tuple(f.row().values()): f.row() for f in run.findings}
        ordered = sorted(
            rows.values(), key=lambda r: tuple((v is not None, str(v) if not isinstance(v, int) else f"{v:020d}") for v in r.values())
        )
        with ParquetTable(folder.file("findings.parquet"), FINDINGS_SCHEMA) as table:
            for row in ordered:
                table.add(row)
            if run.dropped:
                table.add(Finding("LimitExceeded", "findings", f"{run.dropped} further ones were counted, not kept").row())
        self.case.findings = table.count
        self.case.counts["findings"] = table.count
        folder.json("ledger.json", run.ledger.rows())
        summary = self._summary(patterns)
        write_case_uco(folder.path, summary)
        write_report(folder.path, summary, self.pictures, self.picture_totals)
        folder.audit("finished", counts=self.case.counts)
        folder.json("case.json", summary)  # last: whoever sees it sees a finished case

    def _summary(self, patterns: Sequence[str]) -> dict[str, Any]:
        image, result = self.image, self.case.verification
        return {
            "environment": environment(),
            "options": {"extractors": list(patterns), "engine": self.engine},
            "image": {
                "name": image.name,
                "format": image.format,
                "size": image.size,
                "sector_size": image.sector_size,
                "parts": [{"name": n, "size": s} for n, s in image.parts],
                "facts": dict(image.facts),
                "stored": dict(image.hashes),
                "computed": result.computed if result else None,
                "verified": result.ok if result else None,
                "bad_sectors": [{"start": s.start, "length": s.length} for s in image.bad_sectors],
            },
            "volumes": [
                {
                    "name": v.name, "scheme": v.scheme, "start": v.start, "size": v.size, "kind": v.kind, "type": v.type_code,
                    "label": v.label, "state": v.state, "locked": v.locked, "member_of": v.member_of, "filesystem": self._system(v),
                    "facts": dict(v.facts),
                }
                for v in image.volumes()
            ],
            "map": self._map(),
            "extractors": {e.name: e.version for e in self.run.catalog.extractors(*patterns)},
            "counts": dict(sorted(self.case.counts.items())),
        }  # fmt: skip

    def _system(self, volume: OpenVolume) -> dict[str, Any] | None:
        if not any(v is volume for v, _ in self.listing):
            return None
        fs = volume.filesystem(self.engine)
        return {"format": fs.format, "label": fs.label, "serial": fs.serial, "block_size": fs.block_size}


MAP = 500
"""Columns of the disk map."""


def _spread(bins: list[float], start: float, length: float) -> None:
    """Add a range, in units of bins, to the bins that it covers."""
    end = min(start + length, len(bins))
    while start < end:
        i = int(start)
        step = min(end, i + 1) - start
        bins[i] += step
        start = i + 1 if step > 0 else end


def _texts(name: str, values: Sequence[str]) -> Column:
    offsets, at, parts = array("q", [0]), 0, []
    for value in values:
        raw = value.encode("utf-8", "replace")
        parts.append(raw)
        at += len(raw)
        offsets.append(at)
    return Column(name, "utf8", b"".join(parts), offsets)


def _with_digests(volume: str, table: Batch, digests: dict[tuple[str, int, int, str, str], FileDigest]) -> Batch:
    keys = zip(*(table.list(n) for n in ("id", "sequence", "path", "stream")), strict=True)
    found = [digests.get((volume, *key)) for key in keys]
    sums = [dict(d.digests) if d else {} for d in found]
    return table.with_columns(
        _texts("volume", [volume] * table.length),
        *(_texts(a, [s.get(a, "") for s in sums]) for a in ("md5", "sha1", "sha256")),
        _texts("recovered", [d.written if d else "" for d in found]),
        *(Column(n, "int64", array("q", [getattr(d, n) if d else 0 for d in found])) for n in ("replaced", "unreadable")),
    )


def _select(table: Batch, schema: Sequence[tuple[str, str]]) -> Batch:
    have = {c.name: c for c in table.columns}
    empty = bytes((table.length + 7) // 8)
    columns = []
    for name, kind in schema:
        column = have.get(name)
        if column is None:  # a file system without these times
            column = Column(name, kind, array("q", bytes(8 * table.length)), None, empty)
        columns.append(column)
    return Batch(table.length, tuple(columns))
