"""The process that an isolated Sleuth Kit runs in. It opens no file: its bytes come from its parent."""

from __future__ import annotations

import json
import struct
import sys
from typing import IO

from forensiclib.core.errors import EvidenceError, Unreadable
from forensiclib.core.source import ByteSource, clip
from forensiclib.core.span import Span
from forensiclib.filesystems.tsk import wire
from forensiclib.filesystems.tsk.handle import Handle

__all__ = ["serve"]

BATCH = 1000


class _Asked(ByteSource):
    """The volume, read by asking the parent for it."""

    __slots__ = ("_inward", "_outward", "size")

    def __init__(self, inward: IO[bytes], outward: IO[bytes], size: int) -> None:
        self._inward, self._outward, self.size = inward, outward, size

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        n = clip(offset, len(buffer), self.size)
        wire.send(self._outward, wire.READ, struct.pack("<QI", offset, n))
        answer = wire.receive(self._inward)
        if answer is None:
            sys.exit(1)  # the parent is gone
        if answer[0] != wire.DATA:
            raise Unreadable("volume", None, answer[1].decode())
        memoryview(buffer)[: len(answer[1])] = answer[1]
        return len(answer[1])

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return (Span("volume", offset, clip(offset, n, self.size)),)


def serve(inward: IO[bytes], outward: IO[bytes], kind: str, size: int, memory: int) -> None:
    """Answer until the parent closes the pipe. ``memory`` bounds the address space where that can be set."""
    _bound(memory)
    try:
        handle = Handle(_Asked(inward, outward, size), kind)
    except EvidenceError as error:
        wire.send(outward, wire.ERROR, _told(error))
        return
    info = handle.info
    fields = [info.block_size, info.block_count, info.root, info.first_inode, info.last_inode, info.serial]
    wire.send(outward, wire.DONE, fields)
    while (message := wire.receive(inward)) is not None:
        call, *arguments = json.loads(message[1])
        try:
            if call == "names":
                found = handle.names(*arguments)
                for at in range(0, len(found), BATCH):
                    wire.send(outward, wire.PART, [wire.named_to(n) for n in found[at : at + BATCH]])
                wire.send(outward, wire.DONE, b"")
            elif call == "meta":
                wire.send(outward, wire.DONE, wire.named_to(handle.meta(*arguments)))
            else:
                wire.send(outward, wire.DONE, handle.read(*arguments))
        except EvidenceError as error:
            wire.send(outward, wire.ERROR, _told(error))


def _told(error: EvidenceError) -> list[str]:
    return [type(error).__name__, error.what, error.found]


def _bound(memory: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
