"""Twin of _native/runs.pxi."""

from __future__ import annotations

import re

from forensiclib.core.errors import UsageError

__all__ = ["byte_runs"]


def byte_runs(
    data: bytes | bytearray | memoryview, wanted: bytes, minimum: int, start: int = 0, stop: int | None = None, stride: int = 1
) -> list[tuple[int, int]]:
    """The longest runs of at least ``minimum`` bytes b with ``wanted[b]`` not 0: (first, behind the last), ascending.

    Runs that begin in [start, stop) and have no such byte before them, to their end in ``data``, which may be behind ``stop``.
    stride   2: bytes of the class with a zero byte behind each (ASCII in UTF-16, little-endian), at even and odd places
    UsageError for a range outside the data, a minimum below 1, another stride, and ``wanted`` not of 256 bytes.
    """
    size = len(data)
    stop = size if stop is None else stop
    if not 0 <= start <= stop <= size or minimum < 1 or stride not in (1, 2) or len(wanted) != 256:
        raise UsageError(f"range {start} to {stop} of {size} bytes, minimum {minimum}, stride {stride}")
    raw, members = bytes(data), b"".join(re.escape(bytes((b,))) for b in range(256) if wanted[b])
    if not members:
        return []
    one = b"[" + members + b"]" + (b"\\0" if stride == 2 else b"")
    expression = re.compile(b"(?:" + one + b"){%d,}" % minimum, re.DOTALL)
    out = []
    for phase in range(stride):
        at = start + phase
        while (match := expression.search(raw, at)) is not None and match.start() < stop:
            if stride == 2 and (match.start() - start - phase) % 2:
                at = match.start() + 1  # of the other phase; one of this may begin inside
                continue
            low = match.start()
            before = raw[low - stride : low] if low >= stride else b""
            if low > start + phase or not before or not re.fullmatch(one, before, re.DOTALL):
                out.append((low, match.end()))
            at = match.end()
    return sorted(out)
