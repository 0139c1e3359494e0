"""Where the real evidence is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent


def corpus_path() -> Path | None:
    """The corpus folder, or None."""
    named = os.environ.get("FORENSICLIB_CORPUS")
    for candidate in ([Path(named)] if named else []) + [HERE.parent / "shared" / "corpus"]:
        if candidate.is_dir():
            return candidate
    return None


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The real-evidence folder; tests that use it carry the ``corpus`` mark."""
    found = corpus_path()
    if found is None:
        pytest.skip("no corpus: set FORENSICLIB_CORPUS or put shared/corpus beside the checkout")
    return found


EXAMPLE = HERE / "examples" / "evidence" / "example.E01"


@pytest.fixture(scope="session")
def example() -> Path:
    """The example disk; its truth stands beside it."""
    return EXAMPLE


@pytest.fixture(scope="session")
def example_media() -> bytes:
    """The bytes on the example disk."""
    import forensiclib as fl

    with fl.open_image(EXAMPLE) as image:
        return image.read_at(0, image.size)


SCRIPT = "<script>alert(1)</script>.jpg"
HOSTILE_NAMES = (
    SCRIPT,
    '"><img src=x onerror=alert(1)>.jpg',
    "{{7*7}}{% raw %}.txt",
    "\x1b[31mred\x1b[0m\x07.txt",
    "invoice\u202efdp.exe",
    "c1\x9b2Jclear.txt",
    "new\nline.txt",
    '</textarea><a href="javascript:alert(1)">x.txt',
)
HOSTILE_LABEL = "<b>{{7*7}}</b>"
HOSTILE_HEADER = "<img src=x onerror=alert(2)>\"'{{7*7}}\u202e"
HOSTILE_VALUE = "<script src=https://evil.example/x.js></script>{{7*7}}"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory) -> Path:
    """An E01 of an ext4 volume made by mkfs.ext4 whose names, label, header fields and registry values are markup,
    template syntax, terminal sequences and direction changes."""
    import io
    import shutil
    import subprocess

    from PIL import Image

    from forensiclib.core.time import FILETIME_EPOCH
    from forensiclib.testing.hives import REG_SZ, hive

    missing = [t for t in ("mkfs.ext4", "ewfacquire", "hivexsh") if shutil.which(t, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    base = tmp_path_factory.mktemp("hostile")
    tree = base / "tree"
    tree.mkdir()
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(picture, "JPEG")
    for number, name in enumerate(HOSTILE_NAMES):
        slash = name.replace("/", "\u2215")  # the one character that no name can have
        (tree / slash).write_bytes(picture.getvalue() if name.endswith(".jpg") else f"content {number}".encode())
    run_key = r"Software\Microsoft\Windows\CurrentVersion\Run"
    value = (HOSTILE_VALUE + "\0").encode("utf-16-le")
    (tree / "NTUSER.DAT").write_bytes(hive({run_key: {"<b>x</b>": (REG_SZ, value)}}, FILETIME_EPOCH + 10**16))
    disk = base / "hostile.dd"
    disk.write_bytes(bytes(4 << 20))
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", HOSTILE_LABEL, "-d", tree, disk], check=True, env=env, capture_output=True)
    header = ["-C", HOSTILE_HEADER, "-D", HOSTILE_HEADER, "-E", "1", "-e", HOSTILE_HEADER, "-N", HOSTILE_HEADER]
    command = ["ewfacquire", "-u", "-q", "-t", base / "hostile", "-f", "encase6", "-c", "deflate:fast", *header, disk]
    subprocess.run(command, check=True, env=env, capture_output=True)
    return base / "hostile.E01"
