"""How little of an image is read to list it from afar, and what the size of a block costs.

    FORENSICLIB_REMOTE=FOLDER python -m pytest -s benchmarks/bench_remote.py

FOLDER holds many.E01 (and its further segments) and many.img of benchmarks/make_remote.py. A server in a process of its own gives ranges
with a delay of LATENCY a request. What is timed (wall) is opening over HTTP and the full listing of the NTFS volume: names, times, sizes,
runs, deleted files. ``extra_info``: requests, bytes, and these as a share of the stored files and of the media.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import forensiclib as fl
from forensiclib.images import remote

FOLDER = os.environ.get("FORENSICLIB_REMOTE", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="FORENSICLIB_REMOTE names no folder; make one with benchmarks/make_remote.py")
LATENCY = 0.02
"""Seconds before each answer: a server in another town."""


class Handler(BaseHTTPRequestHandler):
    """Ranges of the files of one folder."""

    protocol_version = "HTTP/1.1"
    folder = "."

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        time.sleep(LATENCY)
        path = Path(self.folder, os.path.basename(self.path))
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not found or not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        low, high = int(found[1]), min(int(found[2]) + 1, size)
        self.send_response(206)
        self.send_header("Content-Length", str(high - low))
        self.send_header("Content-Range", f"bytes {low}-{high - 1}/{size}")
        self.send_header("ETag", f'"{size:x}-{path.stat().st_mtime_ns:x}"')
        self.end_headers()
        with path.open("rb") as file:
            os.sendfile(self.connection.fileno(), file.fileno(), low, high - low)


def serve(folder: str) -> None:
    """Until killed; says its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"folder": folder}))
    print(server.server_address[1], flush=True)
    server.serve_forever()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of the server, with a slash behind."""
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, __file__, FOLDER], env=here, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/"
        server.kill()


@pytest.mark.parametrize("name", ["many.E01", "many.img"])
@pytest.mark.parametrize("block", [32, 64, 128, 256])
def test_listing(benchmark: Any, address: str, name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK", block << 10)
    found: dict[str, Any] = {}

    def listing() -> None:
        with fl.open_image(address + name) as image:
            opened = image.traffic.row()
            rows = sum(len(batch) for _, batch in image.listing())
            cost, stored = image.traffic.row(), sum(size for _, size in image.parts)
            found.update(
                rows=rows, opening=opened["bytes"], requests=cost["requests"], bytes=cost["bytes"],
                of_files=f"{cost['bytes'] / stored:.2%}", of_media=f"{cost['bytes'] / image.size:.2%}",
            )  # fmt: skip

    benchmark.pedantic(listing, rounds=2)
    benchmark.extra_info.update(found)
    print(f"{name}, blocks of {block} KiB: {found}, {benchmark.stats.stats.min:.2f} s")
    assert found["rows"] > 10_000


if __name__ == "__main__":
    serve(sys.argv[1])
