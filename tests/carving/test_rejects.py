"""A true signature before anything else must be refused, and at once: the engine asks at every hit of a disk."""

from __future__ import annotations

import random
import statistics
import time

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource


def candidate(carver, rng: random.Random) -> bytes:
    signature = rng.choice(carver.signatures)
    noise = rng.randbytes(1 << 20)
    return noise[: signature.offset] + signature.pattern + noise


def test_random_bytes_behind_a_signature_are_refused_quickly(every) -> None:
    for name, carver in every.items():
        rng, times = random.Random(name), []
        for _ in range(40):
            source = MemorySource(candidate(carver, rng))
            start = time.perf_counter()
            found = carver.measure(source, Budget())
            times.append(time.perf_counter() - start)
            assert found is None or (found.confidence < 0.5 and not found.complete), (name, found)
        assert statistics.median(times) < 0.001, (name, statistics.median(times))


def test_a_signature_alone_is_refused(every) -> None:
    for name, carver in every.items():
        for signature in carver.signatures:
            for tail in (b"", b"\0", bytes(600), bytes(100_000), b"\xff" * 100_000):
                found = carver.measure(MemorySource(bytes(signature.offset) + signature.pattern + tail), Budget())
                assert found is None or not found.complete, (name, found)


def test_what_is_declared(every) -> None:
    for carver in every.values():
        assert carver.refs and carver.gaps and carver.signatures
        assert carver.extension == carver.extension.lower() and "." not in carver.extension
        assert carver.mime.count("/") == 1
