"""The Sleuth Kit in a process of its own: its crash, its hang and its hunger become EvidenceErrors."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import threading
import weakref
from typing import Any

from forensiclib.core import errors
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded
from forensiclib.core.source import ByteSource
from forensiclib.filesystems.tsk import wire
from forensiclib.filesystems.tsk.named import Info, Named

__all__ = ["IsolatedReader"]

MEMORY = 4 << 30
"""Address space of the child. Listing the orphans of a full 2 TB FAT volume stays below 1 GiB."""
RESTARTS = 64
"""Crashes after which no new process is started: the evidence is made to crash it."""
READ_LIMIT = 64 << 20
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from forensiclib.filesystems.tsk.child import serve; "
    "serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))"
)


class IsolatedReader:
    """Reader over a child process. The child is started anew after a crash, so that one bad directory
    costs that directory."""

    def __init__(self, source: ByteSource, kind: str, seconds: float) -> None:
        """Raises what opening raises; Corrupt when the child dies of it."""
        self._source, self._kind, self._seconds = source, kind, seconds
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._crashes = 0
        self._late = False
        self.info = self._start()

    def _start(self) -> Info:
        if self._crashes >= RESTARTS:
            raise LimitExceeded("The Sleuth Kit", None, f"its process died {self._crashes} times")
        words = [sys.executable, "-c", _START, json.dumps(sys.path), self._kind, str(self._source.size), str(MEMORY)]
        self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        weakref.finalize(self, _end, self._child)
        answer = self._answer("open")
        values = json.loads(answer[0])
        block, count, root, first, last = (int(v) for v in values[:5])
        return Info(block, count, root, first, last, str(values[5]))

    def _ask(self, *call: Any) -> list[bytes]:
        what = " ".join(str(part) for part in call[:2])
        with self._lock:
            if self._child is None:
                self._start()
            child = self._child
            assert child is not None and child.stdin is not None
            try:
                wire.send(child.stdin, wire.ASK, list(call))
            except OSError:
                raise self._died(what) from None
            return self._answer(what)

    def _answer(self, what: str) -> list[bytes]:
        """Everything up to the end of one answer, serving the child's reads meanwhile."""
        child = self._child
        assert child is not None and child.stdout is not None
        self._late = False
        timer = threading.Timer(self._seconds, self._stop_late, (child,))
        timer.daemon = True
        timer.start()
        parts: list[bytes] = []
        try:
            while (message := wire.receive(child.stdout)) is not None:
                kind, raw = message
                if kind == wire.READ:
                    self._serve(child, raw)
                elif kind == wire.ERROR:
                    raise _error(raw)
                else:
                    parts.append(raw)
                    if kind == wire.DONE:
                        return parts
        except OSError:
            pass  # the pipe broke: told below, with the reason the child ended for
        finally:
            timer.cancel()
        raise self._died(what)

    def _serve(self, child: subprocess.Popen[bytes], raw: bytes) -> None:
        assert child.stdin is not None
        offset, n = struct.unpack("<QI", raw)
        try:
            wire.send(child.stdin, wire.DATA, self._source.read_at(offset, min(n, READ_LIMIT)))
        except EvidenceError as error:
            wire.send(child.stdin, wire.FAILED, str(error).encode())

    def _stop_late(self, child: subprocess.Popen[bytes]) -> None:
        self._late = True
        child.kill()

    def _died(self, what: str) -> EvidenceError:
        child, self._child = self._child, None
        self._crashes += 1
        assert child is not None
        _end(child)
        if self._late:
            return LimitExceeded("The Sleuth Kit", None, f"{what}: no answer in {self._seconds} s, its process was ended")
        code = child.returncode
        reason = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return Corrupt("The Sleuth Kit", None, f"{what}: its process died ({reason})")

    def names(self, inode: int) -> list[Named]:
        """The names in a directory."""
        return [wire.named_from(values) for raw in self._ask("names", inode) if raw for values in json.loads(raw)]

    def meta(self, inode: int) -> Named:
        """The metadata of an inode."""
        return wire.named_from(json.loads(self._ask("meta", inode)[0]))

    def read(self, inode: int, type: int, id: int, offset: int, n: int) -> bytes:
        """Decoded content."""
        return self._ask("read", inode, type, id, offset, n)[0]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            child, self._child = self._child, None
            if child is not None:
                _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the pipes, which ends a healthy child; kill one that stays."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass  # it broke when the child died
    try:
        child.wait(2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _error(raw: bytes) -> EvidenceError:
    name, what, found = json.loads(raw)
    kind = getattr(errors, str(name), Corrupt)
    return kind(what, None, found) if isinstance(kind, type) and issubclass(kind, EvidenceError) else Corrupt(what, None, found)
