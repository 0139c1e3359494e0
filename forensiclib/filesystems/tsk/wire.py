"""The messages between an isolated Sleuth Kit and its parent: framed, and plain JSON or raw bytes.

No pickles: what a process answers that has read hostile bytes must not become code here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import IO, Any

from forensiclib.filesystems.tsk.named import Attr, Meta, Named

__all__ = ["ASK", "DATA", "DONE", "ERROR", "FAILED", "PART", "READ", "named_from", "named_to", "receive", "send"]

ASK, READ, DATA, FAILED, PART, DONE, ERROR = b"Q", b"R", b"D", b"F", b"P", b"O", b"E"
FRAME = struct.Struct("<cI")
LIMIT = 256 << 20


def send(pipe: IO[bytes], kind: bytes, payload: bytes | Any) -> None:
    """One message; what is not bytes goes as JSON."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    pipe.write(FRAME.pack(kind, len(raw)) + raw)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[bytes, bytes] | None:
    """The next message; None when the other side is gone or sends nonsense."""
    head = pipe.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    kind, length = FRAME.unpack(head)
    if length > LIMIT:
        return None
    raw = pipe.read(length)
    return (kind, raw) if len(raw) == length else None


def named_to(named: Named) -> list[Any]:
    """A Named as JSON values."""
    meta = None
    if (m := named.meta) is not None:
        meta = [m.size, m.flags, m.mode, m.uid, m.gid, m.links, m.link, m.modified, m.accessed, m.changed, m.born]
    attrs = [[a.type, a.id, a.name, a.size, a.flags, a.runs, a.plain] for a in named.attrs]
    raw, short = named.raw.decode("latin-1"), named.short.decode("latin-1")
    return [raw, short, named.addr, named.seq, named.kind, named.live, named.virtual, meta, attrs, named.broken]


def named_from(values: Sequence[Any]) -> Named:
    """The Named that ``named_to`` sent."""
    raw, short, addr, seq, kind, live, virtual, meta, attrs, broken = values
    return Named(
        raw.encode("latin-1"), short.encode("latin-1"), addr, seq, kind, live, virtual,
        None if meta is None else Meta(*meta[:7], *((int(s), int(n)) for s, n in meta[7:])),
        tuple(Attr(t, i, n, s, f, tuple((r[0], r[1]) for r in runs), p) for t, i, n, s, f, runs, p in attrs),
        broken,
    )  # fmt: skip
