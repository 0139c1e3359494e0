"""List what was deleted on an image, with the byte ranges of each file.

usage: list_deleted.py [EVIDENCE]      --check compares with the expected output beside it
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
    """Print, or compare with what is expected."""
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    lines = deleted(Path(arguments[0]) if arguments else HERE / "evidence" / "example.E01")
    if "--check" in sys.argv:
        expected = (HERE / "list_deleted.expected").read_text(encoding="utf-8").splitlines()
        if lines != expected:
            sys.exit("\n".join(["list_deleted: not as expected", *lines]))
        return
    print("\n".join(lines))


if __name__ == "__main__":
    main()
