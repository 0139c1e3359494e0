"""The catalogue as a page: what is read, what is not, and where the layouts come from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forensiclib.core.declare import (
    Carver,
    Declaration,
    Encryption,
    Events,
    Extractor,
    Files,
    FileSystemFormat,
    ImageFormat,
    ImageWriter,
    Keys,
    StoreFormat,
    TextPattern,
    Transform,
    VolumeLayer,
    VolumeSystem,
)  # fmt: skip

__all__ = ["catalogue_page"]

SECTIONS: tuple[tuple[type[Declaration], str, str], ...] = (
    (ImageFormat, "Images", "Containers of a disk."),
    (ImageWriter, "Writers", "Containers that `convert` writes."),
    (VolumeSystem, "Volumes", "Partition tables."),
    (VolumeLayer, "Layers", "Volumes made of volumes: arrays, volume groups, disk labels inside partitions."),
    (Encryption, "Encryption", "Encrypted volumes, opened with keys."),
    (FileSystemFormat, "File systems", "Listed, read, and searched for deleted entries."),
    (StoreFormat, "Stores", "Databases that many artifacts share."),
    (Extractor, "Artifacts", "What `extract` and `examine` turn into records; every record says its state and its bytes."),
    (Carver, "Carvers", "Files found by their own structure, without a file system."),
    (TextPattern, "Patterns", "Kinds of text that `search --patterns` finds by their form and judges by their own rules."),
    (Transform, "Transforms", "What `search --decode` and `carve --decode` undo; `all` are those that do not say otherwise."),
)


def catalogue_page(declarations: Sequence[Declaration]) -> str:
    """Markdown of every declaration by kind and name; the same text for the same declarations."""
    out = [
        "# The catalogue",
        "",
        "Made from the declarations by `forensiclib catalog --markdown`; not edited by hand. *Not*: what a reader does not do.",
    ]
    known = sorted(declarations, key=lambda d: d.name)
    for kind, title, text in SECTIONS:
        found = [d for d in known if isinstance(d, kind)]
        out += ["", f"## {title}", "", f"{text} {len(found)} of them."]
        for declaration in found:
            out += ["", *_entry(declaration)]
    return "\n".join(out) + "\n"


def _entry(d: Declaration) -> list[str]:
    out = [f"### {_text(d.name)}", "", f"{_text(d.title)} (version {d.version})", ""]
    out += [f"- {line}" for line in _facts(d)]
    out += [f"- *Not*: {_text(gap)}" for gap in d.gaps]
    out += [f"- Reference: {_text(ref)}" for ref in d.refs]
    if isinstance(d, Extractor):
        out += ["", "| field | type | meaning |", "|---|---|---|"]
        out += [f"| {_text(f.name)} | {f.type.name} | {_text(f.help)} |" for f in d.fields]
    return out


def _facts(d: Declaration) -> list[str]:
    if isinstance(d, (ImageFormat, ImageWriter)):
        return [f"File names: {', '.join(map(_code, d.extensions))}"] if d.extensions else []
    if isinstance(d, FileSystemFormat):
        return [f"Engine: {d.engine}"]
    if isinstance(d, Carver):
        kinds = [f"Kind: {_text(kind.title)}, extension {_code(kind.extension)}, type {_code(kind.mime)}" for kind in d.kinds]
        return [f"Extension {_code(d.extension)}, type {_code(d.mime)}, at most {d.maximum:,} bytes", *kinds]
    if isinstance(d, Transform):
        return ["Only when named"] if d.optional else []
    if isinstance(d, Extractor):
        return [f"Platform: {_text(d.platform)}", f"Source: {_source(d.source)}"]
    return []


def _source(source: Files | Keys | Events) -> str:
    if isinstance(source, Files):
        names = ["files " + ", ".join(map(_code, source.patterns))] if source.patterns else []
        return "; ".join([*names, *(["files recognised by their content"] if source.signatures else [])])
    if isinstance(source, Keys):
        return f"registry keys of {'any hive' if source.hive == '*' else source.hive}: {', '.join(map(_code, source.patterns))}"
    ids = f", events {', '.join(map(str, source.ids))}" if source.ids else ""
    return f"event logs, {f'channel {_code(source.channel)}' if source.channel else 'every channel'}{ids}"


def _code(text: str) -> str:
    return f"`{text}`"


def _text(text: str) -> str:
    """Plain text in Markdown: what would be markup or end a cell of a table is escaped."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)
