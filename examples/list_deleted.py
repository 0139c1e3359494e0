"""List what was deleted on an image, with the byte ranges of each file.

usage: list_deleted.py [EVIDENCE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import forensiclib as fl

HERE = Path(__file__).parent


def deleted(path: Path) -> list[str]:
    """One line for each deleted file that has content."""
    lines = []
    with fl.open_image(path) as image:
        for volume in image.volumes():
            if volume.state == "slack":
                continue
            for entry in volume.filesystem().walk(deleted=True):
                if entry.state == "allocated" or entry.kind != "file" or not entry.size:
                    continue
                spans = entry.open().trace(0, entry.size) if entry.streams() else ()
                where = " ".join(f"{s.start}+{s.length}" for s in spans)
                lines.append(f"{volume.name}:/{entry.path} {entry.size} bytes, {entry.verdict or entry.state}, at {where}")
    return lines


def main() -> None:
    """Print them."""
    print("\n".join(deleted(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "evidence" / "example.E01")))


if __name__ == "__main__":
    main()
