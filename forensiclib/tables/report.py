"""report.html: one file that opens offline and says what was examined, what was not, and what was found.

Everything shown is read from the case folder's own tables, so the report cannot say what they do not.
Text from evidence is escaped by the template engine and never becomes markup.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forensiclib.core.errors import MissingSupport
from forensiclib.core.text import escape
from forensiclib.core.time import Timestamp
from forensiclib.tables.parquet import sql_source

__all__ = ["write_report"]

SHOWN = 200
"""Rows of a table in the report; the whole is in the Parquet file that the caption names."""
COLOURS = ("#2a6f97", "#e07a1f", "#6a994e", "#9d4edd", "#c1121f", "#577590", "#b08968", "#4d908e")


def write_report(
    case: Path, facts: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]] = (), totals: Mapping[str, int] | None = None
) -> Path:
    """Write ``case``/report.html from the tables in the folder and return its path.

    facts      what case.json will say
    pictures   {"group", "title", "jpeg"} thumbnails; totals   pictures there are in each group
    Raises MissingSupport without jinja2 or duckdb.
    """
    try:
        import duckdb
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingSupport("the report needs jinja2 and duckdb: pip install 'forensiclib[cli]'") from error
    environment = Environment(
        loader=PackageLoader("forensiclib", "tables"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["bytes"] = _bytes
    environment.filters["plain"] = _plain
    with duckdb.connect(config={"threads": 1, "memory_limit": "96MB"}) as db:
        tables = _Tables(db, case)
        ledger = json.loads((case / "ledger.json").read_text(encoding="utf-8"))
        html = environment.get_template("report.html.j2").render(
            case=facts,
            digests=_digests(facts["image"]),
            written=_pairs(facts["image"]["facts"]),
            software=_pairs(facts["environment"]),
            volumes=[
                {
                    **v,
                    "file_system": (v["filesystem"] or {}).get("format", ""),
                    "label": v["label"] or (v["filesystem"] or {}).get("label", ""),
                }
                for v in facts["volumes"]
            ],
            ledger=ledger,
            skipped=[li for li in ledger if not li["examined"]],
            findings=tables.rows("findings.parquet", SHOWN),
            finding_kinds=tables.groups("findings.parquet", "kind"),
            deleted=tables.rows(
                "files.parquet", SHOWN, "state <> 'allocated' and kind = 'file'", "size = 0, verdict, volume, path", _DELETED
            ),
            deleted_total=tables.count("files.parquet", "state <> 'allocated' and kind = 'file'"),
            states=tables.groups("files.parquet", "state"),
            carved=tables.rows("carved.parquet", SHOWN, "true", "start", _CARVED),
            carved_types=tables.groups("carved.parquet", "type"),
            artifacts=[_artifact(tables, p) for p in sorted((case / "artifacts").glob("*.parquet"))],
            chart=_timeline_chart(tables),
            disk=_disk_map(facts),
            gallery=_gallery(pictures),
            totals=dict(totals or {}),
            shown=SHOWN,
            colours=COLOURS,
        )
    target = case / "report.html"
    target.write_text(html, encoding="utf-8", newline="\n")
    return target


def _pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": k, "value": v} for k, v in values.items()]


def _digests(image: Mapping[str, Any]) -> list[dict[str, str]]:
    stored, computed = image["stored"], image["computed"] or {}
    return [{"digest": n, "stored": stored.get(n, ""), "computed": computed.get(n, "")} for n in {**stored, **computed}]


_DELETED = ("volume", "path", "stream", "state", "verdict", "size", "modified", "zone", "md5", "recovered", "replaced", "unreadable")
_CARVED = ("volume", "start", "length", "title", "extension", "confidence", "complete", "reason", "sha256", "carved", "same_as")


class _Tables:
    """Questions to the case's Parquet files. Names and conditions come from this module, never from
    evidence."""

    def __init__(self, db: Any, case: Path) -> None:
        self._db, self._case = db, case

    def _source(self, name: str) -> str | None:
        path = self._case / name
        return sql_source(path) if path.exists() else None

    def query(self, name: str, what: str, rest: str = "") -> list[dict[str, Any]]:
        source = self._source(name)
        if source is None:
            return []
        inner = f"select {what} from {source} {rest}"
        columns = self._db.execute(f"describe {inner}").fetchall()
        # Times leave as integers: a time-zone type would be printed in the zone of whoever runs this.
        picked = ", ".join(f'epoch_ns("{n}") as "{n}"' if kind.startswith("TIMESTAMP") else f'"{n}"' for n, kind, *_ in columns)
        times = [n for n, kind, *_ in columns if kind.startswith("TIMESTAMP")]
        cursor = self._db.execute(f"select {picked} from ({inner})")
        rows = [dict(zip((c[0] for c in columns), row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            for name in times:
                local = row.get("zone") == "local" or name in (row.get("local_times") or "").split(",")
                row[name] = Timestamp(0, "", row[name], "local" if local else "utc").iso() if row[name] is not None else ""
        return rows

    def rows(self, name: str, limit: int, where: str = "true", order: str = "", columns: Sequence[str] = ()) -> list[dict[str, Any]]:
        what = ", ".join(f'"{c}"' for c in columns) or "*"
        return self.query(name, what, f"where {where} {f'order by {order}' if order else ''} limit {limit}")

    def count(self, name: str, where: str = "true") -> int:
        found = self.query(name, "count(*) as n", f"where {where}")
        return int(found[0]["n"]) if found else 0

    def groups(self, name: str, column: str) -> list[tuple[str, int]]:
        rows = self.query(name, f'"{column}" as k, count(*) as n', "group by 1 order by 2 desc, 1")
        return [(str(r["k"]), int(r["n"])) for r in rows]


def _artifact(tables: _Tables, path: Path) -> dict[str, Any]:
    name = f"artifacts/{path.name}"
    rows = tables.rows(name, SHOWN)
    hidden = {"root", "span_start", "span_length", "via", "layers", "version", "local_times"}
    return {
        "name": path.stem,
        "file": name,
        "total": tables.count(name),
        "columns": [c for c in rows[0] if c not in hidden] if rows else [],
        "rows": rows,
    }


def _bytes(value: Any) -> str:
    size = float(value or 0)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{int(size):,} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return ""


def _plain(value: Any, longest: int = 160) -> str:
    """Evidence text for a cell: control and direction-changing characters visible, length bounded."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        value = value.hex(" ")
    text = escape(str(value))
    return text if len(text) <= longest else text[:longest] + " …"


def _timeline_chart(tables: _Tables) -> dict[str, Any]:
    """Events a month, stacked by source, over the years that hold all but stray dates."""
    rows = tables.query(
        "timeline.parquet",
        "year(make_timestamp_ns(epoch_ns(time))) * 12 + month(make_timestamp_ns(epoch_ns(time))) - 1 as at, "
        "split_part(event, '.', 1) || '.' || split_part(event, '.', 2) as source, count(*) as n",
        "where time is not null group by 1, 2 order by 1, 2",
    )
    if not rows:
        return {"total": 0}
    total = sum(r["n"] for r in rows)
    # A few broken dates (1601, 2107) would squeeze the rest into one bar: 0.5 % at each end is cut, and said.
    low, high = _quantile(rows, total * 0.005), _quantile(rows, total * 0.995)
    kept = [r for r in rows if low <= r["at"] <= high]
    sources: dict[str, int] = {}
    for row in kept:
        name = "file" if row["source"].startswith("file.") else row["source"]
        row["source"] = name
        sources[name] = sources.get(name, 0) + row["n"]
    names = sorted(sources, key=lambda n: (-sources[n], n))
    top, rest = names[: len(COLOURS) - 1], set(names[len(COLOURS) - 1 :])
    months = high - low + 1
    stacks: dict[int, dict[str, int]] = {}
    for row in kept:
        name = "other" if row["source"] in rest else row["source"]
        stack = stacks.setdefault(row["at"], {})
        stack[name] = stack.get(name, 0) + row["n"]
    legend = [*top, *(["other"] if rest else [])]
    peak = max(sum(s.values()) for s in stacks.values())
    width, height = 1000.0, 180.0
    step = width / months
    bars = []
    for at, stack in sorted(stacks.items()):
        y = height
        for i, name in enumerate(legend):
            if name in stack:
                tall = stack[name] / peak * height
                y -= tall
                label = f"{at // 12:04d}-{at % 12 + 1:02d} {name}: {stack[name]:,}"
                bars.append({"x": (at - low) * step, "y": y, "w": max(step - 0.5, 0.7), "h": max(tall, 0.4), "i": i, "label": label})
    years = range(low // 12, high // 12 + 1)
    every = max(1, len(years) // 12)
    marks = [(max(0.0, (y * 12 - low) * step), str(y)) for y in years if y % every == 0]
    # A year that begins before the chart would stand on the next one.
    ticks = [{"x": x, "label": t} for i, (x, t) in enumerate(marks) if i or len(marks) == 1 or marks[1][0] - x > 36]
    return {"total": total, "cut": total - sum(r["n"] for r in kept), "bars": bars, "ticks": ticks, "legend": legend, "peak": peak}


def _quantile(rows: Sequence[Mapping[str, Any]], mark: float) -> int:
    seen = 0
    for row in rows:
        seen += row["n"]
        if seen >= mark:
            return int(row["at"])
    return int(rows[-1]["at"])


def _disk_map(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The media as one strip: volumes, and how much of each column is in use, free, carved."""
    size = max(1, int(facts["image"]["size"]))
    volumes = [
        {"x": v["start"] / size * 1000, "w": max(v["size"] / size * 1000, 0.6), "label": f"{v['name']}: {v['kind'] or v['scheme']}", "v": v}
        for v in facts["volumes"]
    ]
    bins = facts.get("map", [])
    columns = [{"x": i * 1000 / len(bins), "w": 1000 / len(bins), "used": b["used"], "carved": b["carved"]} for i, b in enumerate(bins)]
    return {"volumes": volumes, "columns": columns}


def _gallery(pictures: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    groups: dict[str, list[dict[str, str]]] = {"allocated": [], "deleted": [], "carved": []}
    for picture in pictures:
        uri = "data:image/jpeg;base64," + base64.b64encode(picture["jpeg"]).decode("ascii")
        groups[picture["group"]].append({"title": _plain(picture["title"]), "uri": uri})
    return groups
