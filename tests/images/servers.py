"""An HTTP server with ranges and ETags that can be told to misbehave, on a free port of this machine."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODES = ("", "no ranges", "short", "long", "other range", "drops", "503", "slow", "encoded", "broken", "dead", "denied", "503 forever")


class Files:
    """What a server has and how it behaves.

    content   path -> bytes;  mode   one of MODES;  etag, modified   whether it states them;  conditional   whether it knows If-Match
    log       (method, path, Range, status) of each request;  credentials   the Authorization it wants, "" for none
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.mode, self.every, self.delay = "", 3, 0.0
        self.etag, self.modified, self.conditional, self.weak = True, True, True, False
        self.backwards = False
        self.credentials = ""
        self.log: list[tuple[str, str, str, int]] = []
        self.lock = threading.Lock()
        self.port = 0

    def url(self, name: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}/{name}"

    @property
    def asked(self) -> list[str]:
        """The ranges that were answered with bytes."""
        return [wanted for _, _, wanted, status in self.log if status == 206]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Files

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", cut: int | None = None) -> None:
        with self.files.lock:
            self.files.log.append((self.command, self.path, self.headers.get("Range", ""), status))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()

    def do_GET(self) -> None:
        files, path = self.files, self.path.partition("?")[0].lstrip("/")
        with files.lock:
            turn = len(files.log)
        time.sleep(files.delay)
        if files.mode == "dead":
            self.close_connection = True
            return self.connection.close()
        if files.mode == "503 forever" or (files.mode == "503" and turn % 2 == 0):
            return self._answer(503, {"Retry-After": "0"})
        if files.mode == "denied" or (files.credentials and self.headers.get("Authorization") != files.credentials):
            return self._answer(403)
        if path not in files.content:
            return self._answer(404)
        data = files.content[path]
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        tag = "W/" + tag if files.weak else tag
        said = {"Accept-Ranges": "bytes"}
        if files.etag:
            said["ETag"] = tag
        if files.modified:
            said["Last-Modified"] = formatdate(1_700_000_000 + len(data), usegmt=True)
        match = self.headers.get("If-Match")
        if match and files.conditional and (files.backwards or match != tag):
            return self._answer(412, said)
        if files.mode == "no ranges":
            return self._answer(200, said, data)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not found:
            return self._answer(200, said, data)
        low, high = int(found[1]), min(int(found[2]) + 1, len(data))
        if low >= len(data):
            return self._answer(416, {**said, "Content-Range": f"bytes */{len(data)}"})
        if files.mode == "short":
            high = max(low + 1, high - 1)
        if files.mode == "other range":
            low, high = low + 1, high + 1
        said["Content-Range"] = f"bytes {low}-{high - 1}/{len(data)}"
        body = data[low:high]
        if files.mode == "long":
            body += b"x"
        if files.mode == "encoded":
            said["Content-Encoding"] = "gzip"
        if files.mode == "drops" and turn % files.every == files.every - 1:
            return self._answer(206, said, body, cut=len(body) // 2)
        return self._answer(206, said, body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are the point of some tests."""


@contextmanager
def http_server() -> Iterator[Files]:
    """A server with nothing on it yet."""
    files = Files()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"files": files}))
    server.daemon_threads = True
    files.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
