"""case.jsonld: the examination as CASE 1.4.0 / UCO 1.4.0, with identifiers that the same bytes give again.

Written: the image with its digests, its partitions, the tool and its configuration, the investigative action, and every
recovered and carved file with its digests, ranges and recovered status. The whole listing stays in Parquet.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forensiclib.core.errors import MissingSupport
from forensiclib.tables.jsonl import dumps
from forensiclib.tables.parquet import sql_source

__all__ = ["write_case_uco"]

CONTEXT = {
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "kb": "http://example.org/kb/",
    **{
        f"uco-{part}": f"https://ontology.unifiedcyberontology.org/uco/{part}/"
        for part in ("action", "configuration", "core", "observable", "tool", "types", "vocabulary")
    },
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://ontology.caseontology.org/")
METHODS = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "sha512": "SHA512"}
STATUS = {"intact": "recovered", "partly overwritten": "partially recovered", "overwritten": "overwritten"}


class _Graph:
    def __init__(self, seed: str) -> None:
        self._space = uuid.uuid5(NAMESPACE, seed)

    def id(self, kind: str, *parts: object) -> dict[str, str]:
        """A node id: UUIDv5 of what the node is, so that the same evidence gives the same graph."""
        return {"@id": f"kb:{kind}-{uuid.uuid5(self._space, json.dumps([kind, *parts]))}"}

    def hashes(self, digests: Mapping[str, str | None], *owner: object) -> list[dict[str, Any]]:
        return [
            {
                **self.id("hash", *owner, name, value),
                "@type": "uco-types:Hash",
                "uco-types:hashMethod": {"@type": "uco-vocabulary:HashNameVocab", "@value": METHODS[name]},
                "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": value},
            }
            for name, value in digests.items()
            if value and name in METHODS
        ]

    def facet(self, kind: str, *owner: object, **values: Any) -> dict[str, Any]:
        body = {f"uco-observable:{k}": v for k, v in values.items() if v not in (None, "")}
        return {**self.id(kind, *owner), "@type": f"uco-observable:{kind}", **body}


def _image(graph: _Graph, facts: Mapping[str, Any]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    image, own = facts["image"], graph.id("image", facts["image"]["name"])
    digests = image["computed"] or image["stored"]
    nodes: list[dict[str, Any]] = [
        {
            **own,
            "@type": "uco-observable:Image",
            "uco-core:hasFacet": [
                graph.facet("FileFacet", "image", fileName=image["name"], sizeInBytes=sum(p["size"] for p in image["parts"])),
                graph.facet("ContentDataFacet", "image", sizeInBytes=image["size"], hash=graph.hashes(digests, "image")),
            ],
        }
    ]
    for v in facts["volumes"]:
        node = graph.id("partition", v["name"], v["start"])
        facet = graph.facet(
            "DiskPartitionFacet", v["name"], v["start"], partitionID=v["name"], partitionOffset=v["start"], partitionLength=v["size"],
            diskPartitionType=v["kind"] or None,
        )  # fmt: skip
        system = v.get("filesystem")
        facets = [facet]
        if system:
            facets.append(
                graph.facet("FileSystemFacet", v["name"], v["start"], fileSystemType=system["format"], clusterSize=system["block_size"])
            )
        nodes.append({**node, "@type": "uco-observable:DiskPartition", "uco-core:hasFacet": facets})
        nodes.append(_relation(graph, node, own, "Contained_Within"))
    return own, nodes


def _relation(graph: _Graph, source: Mapping[str, str], target: Mapping[str, str], kind: str) -> dict[str, Any]:
    return {
        **graph.id("relationship", source["@id"], target["@id"], kind),
        "@type": "uco-observable:ObservableRelationship",
        "uco-core:source": {"@id": source["@id"]},
        "uco-core:target": {"@id": target["@id"]},
        "uco-core:kindOfRelationship": kind,
        "uco-core:isDirectional": True,
    }


def _file(
    graph: _Graph, key: tuple[object, ...], row: Mapping[str, Any], path: str, status: str, ranges: list[tuple[int, int]]
) -> dict[str, Any]:
    digests = {name: row[name] for name in ("md5", "sha1", "sha256")}
    facets = [
        graph.facet(
            "FileFacet", *key, fileName=path.rpartition("/")[2], filePath=path, sizeInBytes=row["size"], allocationStatus=row["state"]
        ),
        graph.facet("ContentDataFacet", *key, sizeInBytes=row["size"], hash=graph.hashes(digests, *key)),
        graph.facet("RecoveredObjectFacet", *key, contentRecoveredStatus=status),
    ]
    for i, (start, length) in enumerate(ranges):
        facets.append(graph.facet("DataRangeFacet", *key, i, rangeOffset=start, rangeSize=length))
    return {**graph.id("file", *key), "@type": "uco-observable:File", "uco-core:hasFacet": facets}


# By name: a time column would need a time-zone library of the reader.
_LISTED = "volume, path, stream, id, sequence, state, verdict, size, md5, sha1, sha256, run_start, run_length"
_CARVED = "start, length, run_start, run_length, complete, carved, same_as, md5, sha1, sha256"


def _files(graph: _Graph, db: Any, case: Path, starts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    def rows(name: str, columns: str, rest: str) -> Iterator[dict[str, Any]]:
        path = case / name
        if path.exists():
            cursor = db.execute(f"select {columns} from {sql_source(path)} {rest}")
            names = [d[0] for d in cursor.description]
            while batch := cursor.fetchmany(1000):
                yield from (dict(zip(names, row, strict=True)) for row in batch)

    for row in rows("files.parquet", _LISTED, "where recovered <> ''"):
        path = f"{row['volume']}:/{row['path']}" + (f":{row['stream']}" if row["stream"] else "")
        base = starts.get(row["volume"], 0)
        ranges = [(base + s, n) for s, n in zip(row["run_start"], row["run_length"], strict=True) if s >= 0]
        key = ("listed", path, row["id"], row["sequence"])
        yield _file(graph, key, row, path, STATUS.get(row["verdict"], "unknown"), ranges)
    for row in rows("carved.parquet", _CARVED, "order by start, length"):
        status = "recovered" if row["complete"] else "partially recovered"
        path = row["carved"] or row["same_as"]
        merged = {**row, "size": row["length"], "state": "carved"}
        ranges = list(zip(row["run_start"], row["run_length"], strict=True))
        yield _file(graph, ("carved", row["start"], row["length"]), merged, path, status, ranges)


def write_case_uco(case: Path, facts: Mapping[str, Any]) -> Path:
    """Write ``case``/case.jsonld from the tables in the folder and what case.json will say; returns its path.

    Raises MissingSupport without duckdb. Streams: memory does not grow with the number of files.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingSupport("CASE/UCO export needs duckdb: pip install 'forensiclib[cli]'") from error
    digests = facts["image"]["computed"] or facts["image"]["stored"]
    graph = _Graph(json.dumps(digests, sort_keys=True) or facts["image"]["name"])
    image, nodes = _image(graph, facts)
    tool, config = graph.id("tool"), graph.id("configuration")
    entries = {**facts["environment"], "engine": facts["options"]["engine"], "extractors": ", ".join(facts["extractors"])}
    nodes += [
        {
            **tool,
            "@type": "uco-tool:ConfiguredTool",
            "uco-core:name": "forensiclib",
            "uco-tool:version": facts["environment"]["forensiclib"],
            "uco-tool:toolType": "forensic parsing",
            "uco-configuration:usesConfiguration": config,
        },
        {
            **config,
            "@type": "uco-configuration:Configuration",
            "uco-configuration:configurationEntry": [
                {
                    **graph.id("entry", name),
                    "@type": "uco-configuration:ConfigurationEntry",
                    "uco-configuration:itemName": name,
                    "uco-configuration:itemValue": value,
                }
                for name, value in entries.items()
            ],
        },
    ]
    target = case / "case.jsonld"
    results: list[dict[str, str]] = []
    with duckdb.connect(config={"threads": 1, "memory_limit": "96MB"}) as db, target.open("w", encoding="utf-8", newline="\n") as out:
        out.write('{"@context":' + json.dumps(CONTEXT) + ',\n"@graph":[\n')
        for node in nodes:
            out.write(dumps(node) + ",\n")
        for node in _files(graph, db, case, {v["name"]: v["start"] for v in facts["volumes"]}):
            results.append({"@id": node["@id"]})
            out.write(dumps(node) + ",\n")
            out.write(dumps(_relation(graph, node, image, "Contained_Within")) + ",\n")
        action = {
            **graph.id("action"),
            "@type": "case-investigation:InvestigativeAction",
            "uco-core:name": "examination",
            "uco-action:instrument": tool,
            "uco-action:object": image,
            "uco-action:result": results,
        }
        out.write(dumps(action) + "\n]}\n")
    return target
