"""Images for tests of carving: originals laid out whole, shifted, in pieces, interleaved, or with pieces missing.

    made = compose({"a.jpg": first, "b.jpg": second}, "fragments", fill="random", seed=1)
    made.image, made.truth["a.jpg"]       # the bytes; (start in the image, length) of each piece, in order of the file

The layouts follow the published ones (CFReDS, graphic files): "contig", "non" (not sector aligned), "frag" (in-order
fragments with fill between). Deterministic: the same arguments give the same image. ``score`` counts as they are counted.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from forensiclib.core.errors import UsageError

__all__ = ["FILLS", "LAYOUTS", "Composed", "Score", "compose", "score"]

SECTOR = 512
LAYOUTS = ("contiguous", "odd", "fragments", "pieces", "interleaved", "interleaved-fill", "reordered", "missing")
"""contiguous   on sectors; odd   at offsets that are no sectors; fragments   two pieces, fill between; pieces   three to
five; interleaved   A1 B1 A2 B2, nothing between; interleaved-fill   the same with fill; reordered   the second piece
before the first; missing   one piece is not there."""
FILLS = ("zeros", "random", "text")
_WORDS = b"the of and to in is that for it as was with be by on not he his but at are this have from or had an they which".split()


@dataclass(frozen=True, slots=True)
class Composed:
    """An image and where each original lies: (start, length) pieces in order; ``lost`` names those that are not whole."""

    image: bytes
    truth: dict[str, tuple[tuple[int, int], ...]]
    lost: frozenset[str] = frozenset()


def _fill(kind: str, size: int, rng: random.Random) -> bytes:
    if kind == "zeros":
        return bytes(size)
    if kind == "random":
        return rng.randbytes(size)
    if kind == "text":
        out = bytearray()
        while len(out) < size:
            out += rng.choice(_WORDS) + rng.choice((b" ", b" ", b", ", b".\n"))
        return bytes(out[:size])
    raise UsageError(f"no fill {kind}; there are {', '.join(FILLS)}")


def _cut(size: int, count: int, block: int, rng: random.Random) -> list[tuple[int, int]]:
    """(start, length) pieces of a file, cut at blocks."""
    blocks = -(-size // block)
    cuts = sorted(rng.sample(range(1, blocks), min(count - 1, blocks - 1))) if blocks > 1 else []
    edges = [0, *(c * block for c in cuts), size]
    return [(a, b - a) for a, b in itertools.pairwise(edges)]


def compose(originals: Mapping[str, bytes], layout: str, *, fill: str = "random", seed: int = 1, block: int = SECTOR) -> Composed:
    """Lay ``originals`` out. ``block``: where pieces begin and how long fill is, in multiples. Raises UsageError."""
    if layout not in LAYOUTS:
        raise UsageError(f"no layout {layout}; there are {', '.join(LAYOUTS)}")
    rng = random.Random(f"{layout} {fill} {seed} {block}")
    names = list(originals)
    image = bytearray()
    truth: dict[str, list[tuple[int, int, int]]] = {name: [] for name in names}
    lost = set()

    def gap(least: int = 1, most: int = 64) -> None:
        image.extend(_fill(fill, -len(image) % block + block * rng.randint(least, most), rng))

    def put(name: str, start: int, length: int) -> None:
        image.extend(_fill(fill, -len(image) % block, rng))
        truth[name].append((start, len(image), length))
        image.extend(originals[name][start : start + length])

    gap()
    if layout == "odd":
        for name in names:
            image.extend(_fill(fill, rng.randrange(1, block) + block * rng.randint(1, 64), rng))
            truth[name].append((0, len(image), len(originals[name])))
            image.extend(originals[name])
    elif layout.startswith("interleaved"):
        for a, b in zip(names[::2], [*names[1::2], ""] if len(names) % 2 else names[1::2], strict=True):
            parts = {n: _cut(len(originals[n]), 2, block, rng) for n in (a, b) if n}
            for turn in range(2):
                for n in parts:
                    if turn < len(parts[n]):
                        put(n, *parts[n][turn])
                        if layout.endswith("fill"):
                            gap()
            gap()
    else:
        count = {"contiguous": 1, "fragments": 2, "reordered": 2, "missing": 3}.get(layout, 0)
        for name in names:
            pieces = _cut(len(originals[name]), count or rng.randint(3, 5), block, rng)
            if layout == "reordered":
                pieces.reverse()
            if layout == "missing" and len(pieces) > 1:
                del pieces[rng.randrange(1, len(pieces))]
                lost.add(name)
            for part in pieces:
                put(name, *part)
                gap()
    gap()
    image.extend(bytes(-len(image) % block))
    return Composed(bytes(image), {n: tuple((at, size) for _, at, size in sorted(p)) for n, p in truth.items()}, frozenset(lost))


@dataclass(frozen=True, slots=True)
class Score:
    """found   originals found; exact   of them byte for byte; extra   files that are no original, or one once more."""

    found: int
    exact: int
    extra: int
    missed: int

    @property
    def precision(self) -> float:
        """Of the files given, those that are an original."""
        return self.found / (self.found + self.extra) if self.found + self.extra else 1.0

    @property
    def recall(self) -> float:
        """Of the originals, those found."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        return 2 * self.found / (2 * self.found + self.extra + self.missed) if self.found else 0.0

    def __add__(self, other: Score) -> Score:
        return Score(self.found + other.found, self.exact + other.exact, self.extra + other.extra, self.missed + other.missed)


def _alike(a: bytes, b: bytes) -> float:
    """Of the bytes in lock step, how many are the same, from 0 to 1, over the longer."""
    same = sum(x == y for x, y in zip(a, b, strict=False))
    return same / max(len(a), len(b), 1)


def score(originals: Iterable[bytes], files: Iterable[bytes], decodes: Callable[[bytes], bool], least: float = 0.2) -> Score:
    """Count as the public tests do: a file is a hit when it decodes and more than ``least`` of its bytes are in lock step
    those of an original that no other file gave; anything else is extra."""
    wanted, given = list(originals), list(files)
    total, exact, extra = len(wanted), 0, 0
    for data in [g for g in given if g in wanted]:
        if data in wanted:
            wanted.remove(data)
            given.remove(data)
            exact += 1
    found = exact
    for data in given:
        best = max(wanted, key=lambda w: _alike(w, data), default=b"")
        if wanted and _alike(best, data) > least and decodes(data):
            wanted.remove(best)
            found += 1
        else:
            extra += 1
    return Score(found, exact, extra, total - found)
