"""info: what an image is, what its maker wrote, which volumes it holds."""

from __future__ import annotations

from typing import Any

from forensiclib.api import OpenVolume, open_image
from forensiclib.cli._shared import EvidenceArg, JsonOpt, PasswordOpt, clean, emit, running
from forensiclib.core.errors import EvidenceError

NAME = "info"


def command(evidence: EvidenceArg, json: JsonOpt = False, password: PasswordOpt = None) -> None:
    """Say what an image is: container, stored hashes, volumes, file systems."""
    with running(passwords=password) as run, open_image(evidence, run=run) as image:
        row: dict[str, Any] = {
            "row": "image", "name": image.name, "format": image.format, "size": image.size, "sector_size": image.sector_size,
            "segments": len(image.parts), "stored": dict(image.hashes), "facts": dict(image.facts),
            "bad_sectors": len(image.bad_sectors),
        }  # fmt: skip
        emit(row, f"{clean(image.name)}: {image.format}, {image.size:,} bytes, {len(image.parts)} segment(s)", json)
        if not json:
            for name, value in (*image.hashes.items(), *image.facts.items()):
                print(f"  {clean(name)}: {clean(value)}")
        for volume in image.volumes():
            facts = _volume(volume)
            text = " ".join(clean(v) for v in (facts["filesystem"], repr(facts["label"]) if facts["label"] else "") if v)
            emit(facts, f"volume {volume.name}: {volume.kind or volume.scheme}, {volume.size:,} bytes at {volume.start:,}; {text}", json)


def _volume(volume: OpenVolume) -> dict[str, Any]:
    found, label, problem = "", volume.label, ""
    if volume.state != "slack":
        try:
            fs = volume.filesystem()
            found, label = fs.format, fs.label or label
        except EvidenceError as error:
            problem = str(error)
    return {
        "row": "volume", "name": volume.name, "scheme": volume.scheme, "kind": volume.kind, "type": volume.type_code,
        "label": label, "start": volume.start, "size": volume.size, "state": volume.state, "locked": volume.locked,
        "filesystem": found or problem,
    }  # fmt: skip
