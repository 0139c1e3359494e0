"""info: what an image is, what its maker wrote, which volumes it holds."""

from __future__ import annotations

from typing import Any

from forensiclib.api import OpenVolume, open_image
from forensiclib.cli._shared import NO_KEYS, EvidenceArg, JsonOpt, WithOpt, clean, emit, running, traffic
from forensiclib.core.errors import EvidenceError
from forensiclib.core.keys import Keys
from forensiclib.core.time import Timestamp

NAME = "info"


def command(evidence: EvidenceArg, json: JsonOpt = False, others: WithOpt = None, keys: Keys = NO_KEYS) -> None:
    """Say what an image is: container, stored hashes, volumes, file systems."""
    with running(keys=keys) as run, open_image(evidence, run=run, others=others or ()) as image:
        row: dict[str, Any] = {
            "row": "image", "name": image.name, "format": image.format, "size": image.size, "sector_size": image.sector_size,
            "segments": (count := len(image.parts)), "stored": dict(image.hashes), "facts": dict(image.facts),
            "bad_sectors": len(image.bad_sectors),
        }  # fmt: skip
        emit(row, f"{clean(image.name)}: {image.format}, {image.size:,} bytes, {count} segment{'' if count == 1 else 's'}", json)
        if not json:
            for name, value in (*image.hashes.items(), *image.facts.items()):
                if value:
                    print(f"  {clean(name) + ':':<25} {clean(value)}{_date(name, value)}")
            if image.bad_sectors:
                print(f"  {len(image.bad_sectors)} ranges could not be read at the acquisition")
        for volume in image.volumes():
            facts = _volume(volume)
            place = f" at {volume.start:,}" if volume.start >= 0 else ""  # what a layer made lies nowhere as it is
            parts = [f"volume {volume.name}: {clean(volume.kind or volume.scheme)}, {volume.size:,} bytes{place}"]
            parts += [clean(facts[key]) for key in ("filesystem", "problem") if facts[key]]
            parts += [f'"{clean(facts["label"])}"'] if facts["label"] else []
            emit(facts, "; ".join(parts + [f"{n} {clean(v)}" for n, v in (facts["lock"] | facts["facts"]).items() if v]), json)
        traffic(image.traffic, json)


def _date(name: str, value: str) -> str:
    """The date behind a count of seconds; nothing for what is none."""
    known = name.endswith("_date") and value.isascii() and value.isdecimal() and len(value) <= 12
    return f" ({Timestamp.unix(int(value)).iso()})" if known else ""


def _volume(volume: OpenVolume) -> dict[str, Any]:
    found, label, problem = "", volume.label, f"member of {volume.member_of}" if volume.member_of else ""
    if not problem and volume.state != "slack":
        try:
            fs = volume.filesystem()
            found, label = fs.format, fs.label or label
        except EvidenceError as error:
            problem = f"{error.what}: {error.found}"
    return {
        "row": "volume", "name": volume.name, "scheme": volume.scheme, "kind": volume.kind, "type": volume.type_code, "label": label,
        "start": volume.start, "size": volume.size, "state": volume.state, "locked": volume.locked, "facts": dict(volume.facts),
        "filesystem": found, "problem": problem, "lock": {"format": volume.lock.format, **volume.lock.facts} if volume.lock else {},
    }  # fmt: skip
