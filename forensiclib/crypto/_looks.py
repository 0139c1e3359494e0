"""Whether bytes look like nothing at all: what ciphertext without a signature looks like."""

from __future__ import annotations

from collections import Counter
from math import log2

from forensiclib.core.errors import EvidenceError
from forensiclib.core.source import ByteSource

__all__ = ["looks_random", "structureless"]

_SAMPLES, _PIECE = 16, 4096


def looks_random(sector: bytes) -> bool:
    """Whether 512 bytes may be ciphertext. Random ones have 221 different values, give or take 6; code and text do not reach 170."""
    return len(sector) >= 512 and len(set(sector[:512])) > 170


def structureless(source: ByteSource) -> float:
    """The entropy in bits a byte of samples from all over it, when each of them looks random; 0.0 when one does not, or it cannot be a
    container of sectors."""
    if source.size < _SAMPLES * _PIECE or source.size % 512:
        return 0.0
    counts: Counter[int] = Counter()
    step = (source.size - _PIECE) // (_SAMPLES - 1) // 512 * 512
    try:
        for i in range(_SAMPLES):
            piece = source.read_at(i * step, _PIECE)
            if not all(looks_random(piece[at : at + 512]) for at in range(0, _PIECE, 512)):
                return 0.0
            counts.update(piece)
    except EvidenceError:
        return 0.0
    total = sum(counts.values())
    entropy = -sum(n / total * log2(n / total) for n in counts.values())
    return entropy if entropy > 7.98 else 0.0
