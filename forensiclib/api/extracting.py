"""From an image to records: plan the units, run them, give every row its origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forensiclib.api.match import companions, listed, pattern, sniff
from forensiclib.api.opening import Engine, OpenImage, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.tabulating import Tabulator
from forensiclib.api.units import CarvedRef, FileRef, Place, UnitResult, run_unit
from forensiclib.core.batch import Batch
from forensiclib.core.declare import Events, Extractor, Files, Found, Keys, Signature, StoreFormat
from forensiclib.core.errors import EvidenceError, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys as Secrets
from forensiclib.core.limits import Budget
from forensiclib.core.record import Record, Row
from forensiclib.core.source import ByteSource

__all__ = ["ExtractUnit", "extract", "plan", "plan_carved", "run_extract"]


@dataclass(frozen=True, slots=True)
class ExtractUnit:
    """One file and the extractors that want it.

    store        "" for extractors of Files, else the store that opens it ("regf", "evtx")
    companions   its transaction logs by suffix
    columns      the result's values are Tabled, not Records
    """

    place: Place
    file: FileRef | CarvedRef
    store: str
    extractors: tuple[str, ...]
    companions: tuple[tuple[str, FileRef], ...] = ()
    columns: bool = False


_Path = tuple[bool, re.Pattern[str]]
"""Whether an alternate stream is meant ("path:stream"), and the pattern."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the chosen extractors look for."""

    by_store: Mapping[str, tuple[str, ...]]
    stores: Mapping[str, StoreFormat]
    signatures: Mapping[str, Sequence[Signature]]
    paths: Sequence[tuple[str, Sequence[_Path]]]
    carved: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, run: Run, patterns: Sequence[str]) -> _Wanted:
        extractors = run.catalog.extractors(*patterns)
        files = [(e.name, e.source) for e in extractors if isinstance(e.source, Files)]
        by_store = {
            name: tuple(e.name for e in extractors if isinstance(e.source, kind)) for name, kind in (("regf", Keys), ("evtx", Events))
        }
        stores = {s.name: s for s in run.catalog.stores if by_store.get(s.name)}
        signatures = {name: source.signatures for name, source in files} | {name: s.signatures for name, s in stores.items()}
        paths = [(name, [(":" in p, pattern(p)) for p in source.patterns]) for name, source in files]
        return cls(by_store, stores, signatures, paths, {name: source.carved for name, source in files})


def plan(
    run: Run, listing: Sequence[tuple[OpenVolume, Batch]], patterns: Sequence[str], engine: Engine = "native", *, columns: bool = False
) -> Iterator[ExtractUnit]:
    """The units of an extraction from listed files, in a fixed order. Patterns name extractors ("windows.*")."""
    wanted = _Wanted.of(run, patterns)
    for volume, table in listing:
        place = Place.of(volume, engine)
        rows = [r for r in listed(table) if r.verdict != "overwritten"]
        index = {r.file.path.casefold(): i for i, r in enumerate(rows) if r.file.state == "allocated" and not r.file.stream}
        contents = sniff(volume, rows, wanted.signatures)
        for i, row in enumerate(rows):
            by_content = contents.get(i, ())
            names = tuple(n for n, paths in wanted.paths if n in by_content or _matches(paths, row.file))
            if names:
                yield ExtractUnit(place, row.file, "", names, columns=columns)
            for store in by_content:
                if store in wanted.stores:
                    logs = companions(rows, row, wanted.stores[store].companions, index)
                    yield ExtractUnit(place, row.file, store, wanted.by_store[store], logs, columns)


def plan_carved(
    run: Run, finds: Sequence[tuple[OpenVolume, CarvedRef]], patterns: Sequence[str], engine: Engine = "native", *, columns: bool = False
) -> Iterator[ExtractUnit]:
    """The units of an extraction from carved files: by content, as they have no path, and by who carved them."""
    wanted = _Wanted.of(run, patterns)
    for volume, file in finds:
        place = Place.of(volume, engine)
        head = place.open(file).read_at(0, HEAD)
        for name, signatures in wanted.signatures.items():
            if file.carver in wanted.carved.get(name, ()) or any(s.matches(head) for s in signatures):
                store = name if name in wanted.stores else ""
                yield ExtractUnit(place, file, store, wanted.by_store[name] if store else (name,), (), columns)


HEAD = 512
"""Bytes of a carved file that signatures are looked for in."""


def _matches(wanted: Sequence[_Path], file: FileRef) -> bool:
    # A deleted file's path may be known only from some directory down. "path:stream" wants an alternate stream.
    path = f"{file.path}:{file.stream}" if file.stream else file.path
    tail = path.partition("/")[2] if file.state != "allocated" else path
    return any(of_stream == bool(file.stream) and (r.fullmatch(path) or r.fullmatch(tail)) for of_stream, r in wanted)


def run_extract(unit: ExtractUnit) -> UnitResult:
    """Open the unit's file and run its extractors; values of the result are Records, or Tabled."""
    where = f"{unit.place.volume}:/{unit.file.path}" + (f":{unit.file.stream}" if unit.file.stream else "")

    def work(result: UnitResult) -> None:
        volume = unit.place.target()
        file = unit.file
        if isinstance(file, CarvedRef):
            layers: tuple[str, ...] = (*volume.layers, f"carved:{file.runs[0][0]}")
        else:
            layers = (*volume.layers, volume.filesystem(unit.place.engine).format, f"file:{file.id}")
        layers += (unit.store,) if unit.store else ()
        context = _Context(unit, volume.run, unit.place.open(file), where, layers, result)
        if unit.store:
            context.from_store()
        else:
            context.from_file()

    return run_unit(unit.place, where, work)


@dataclass(frozen=True, slots=True)
class _Context:
    unit: ExtractUnit
    run: Run
    stream: ByteSource
    where: str
    layers: tuple[str, ...]
    result: UnitResult

    def budget(self, room: str) -> Budget:
        out = self.result.findings
        return Budget(self.run.limits, self.run.cancelled, lambda f: out.append(_placed(f, self.where)), room)

    def from_file(self) -> None:
        unit, file = self.unit, self.unit.file
        if isinstance(file, CarvedRef):
            found = Found(self.stream, file.path, None, file.state)
        else:
            fs = unit.place.target().filesystem(unit.place.engine)
            folder = file.path.rpartition("/")[0]

            def sibling(name: str) -> ByteSource | None:
                try:
                    return fs.get(f"{folder}/{name}" if folder else name).open()
                except UsageError:
                    return None

            found = Found(self.stream, file.path, fs.entry(file.id, file.sequence), file.state, sibling)
        for name in unit.extractors:
            self._run(self._extractor(name), [found])

    def from_store(self) -> None:
        unit = self.unit
        form = self.run.catalog.get(StoreFormat, unit.store)
        assert isinstance(form, StoreFormat)
        logs = {suffix: unit.place.open(file) for suffix, file in unit.companions}
        opened = form.open(self.stream, logs, self.budget(unit.store))
        for name in unit.extractors:
            extractor = self._extractor(name)
            self._run(extractor, _targets(extractor, opened, self.budget(name)))

    def _extractor(self, name: str) -> Extractor:
        found = self.run.catalog.get(Extractor, name)
        assert isinstance(found, Extractor)
        return found

    def _run(self, extractor: Extractor, targets: Iterable[Any]) -> None:
        budget = self.budget(extractor.name)
        table = Tabulator(extractor, self.result.values, self.result.findings) if self.unit.columns else None
        take = table.add if table is not None else self.result.values.append
        for target in targets:
            try:
                for row in extractor.rows(target, budget):
                    take(self._record(extractor, row))
            except EvidenceError as error:
                budget.report(error)
        if table is not None:
            table.flush()

    def _record(self, extractor: Extractor, row: Row) -> Record:
        source = row.source if row.source is not None else self.stream
        return Record(
            extractor.name,
            extractor.version,
            row.values,
            row.state or self.unit.file.state,
            source.trace(row.at, row.length),
            self.where,
            self.layers,
        )


def _placed(finding: Finding, where: str) -> Finding:
    return finding if finding.where == where else replace(finding, where=f"{where} {finding.where}".strip())


def _targets(extractor: Extractor, opened: Any, budget: Budget) -> Iterator[Any]:
    source = extractor.source
    if isinstance(source, Keys):
        # A hive whose kind cannot be told is asked everything: patterns that do not fit match nothing.
        if source.hive in ("*", opened.kind) or opened.kind == "UNKNOWN":
            yield from opened.find(source.patterns, deleted=True)
    elif isinstance(source, Events):
        for record in opened.records(budget):
            if source.channel in ("", record.channel) and (not source.ids or record.event_id in source.ids):
                yield record


def extract(
    run: Run, image: OpenImage, patterns: Sequence[str] = (), engine: Engine = "native", *, keys: Secrets | None = None
) -> Iterator[Record]:
    """Records of every extractor that the patterns name, from every volume of the image.

    Damage goes to ``run.findings``. Order is fixed: volume, listing order, extractor name. ``keys`` replace
    those of the run.
    """
    image.use(run, keys)
    units = list(plan(run, image.listing(engine), patterns, engine))
    for done, result in enumerate(run.map(run_extract, units), 1):
        for finding in result.findings:
            run.report(finding)
        yield from result.values
        run.progress("extract", done, len(units))
