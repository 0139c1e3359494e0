"""Whether an image is what its container says it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from forensiclib.api.checks import PartSums
from forensiclib.api.run import Run
from forensiclib.core.entry import Image, Seal
from forensiclib.core.errors import Corrupt, EvidenceError
from forensiclib.core.span import Span, merge
from forensiclib.hashing.digest import Digests, digest

__all__ = ["Verification", "verified"]

SMALL = 16 << 20
"""Bytes up to which one thread hashes as fast as several."""


class Verification:
    """What ``OpenImage.verify`` found.

    ok        True when every stored digest and checksum equals the computed one and no range was bad; None when
              the container stores nothing to compare with and no range was bad
    stored, computed   digests by algorithm, hex; those of something else than the media as "what it is of: algorithm"
    bad       spans that failed their checksum or could not be read (hashed as zeros)
    failed    checksums of parts (``Image.checks``) that do not hold, in words
    sealed    how many digests of something else were checked, those that match and are not listed included
    """

    def __init__(
        self,
        stored: dict[str, str],
        result: Digests,
        checks: int = 0,
        failed: Sequence[str] = (),
        seals: Iterable[tuple[Seal, Digests]] = (),
    ) -> None:
        self.stored, self.computed = stored, dict(result.values)
        bad, self.sealed = list(result.bad), 0
        for seal, found in seals:
            bad += found.bad
            for name, value in seal.hashes.items():
                self.sealed += 1
                if seal.listed or found.values.get(name) != value:
                    self.stored[f"{seal.name}: {name}"] = value
                    self.computed[f"{seal.name}: {name}"] = found.values.get(name, "")
        self.bad: tuple[Span, ...] = merge(dict.fromkeys(bad))
        self.failed = tuple(failed)
        self.size = result.size
        same = all(self.computed.get(name) == value for name, value in stored.items())
        self.ok: bool | None = False if self.bad or self.failed or not same else True if stored or checks or self.sealed else None

    def __repr__(self) -> str:
        return f"Verification(ok={self.ok}, computed={self.computed}, stored={self.stored}, bad={len(self.bad)})"


def verified(image: Image, run: Run, algorithms: Sequence[str] = ()) -> Verification:
    """See OpenImage.verify."""
    names = tuple(dict.fromkeys((*image.hashes, *algorithms))) or ("md5", "sha1")
    parts, budget = PartSums(image.checks), run.budget("verify", image.name)
    result = digest(
        image.data,
        names,
        budget=budget,
        threads=run.threads,
        progress=lambda done, total: run.progress("verify", done, total),
        on_bad="fill",
        also=parts if any(check.ranges for check in image.checks) else None,
    )
    summed = parts.outcome()
    for check in image.checks:
        if check.data is not None:
            own = digest(check.data, (check.algorithm,), budget=budget, threads=run.threads, on_bad="fill")
            summed.append((check, "" if own.bad else own.values[check.algorithm]))
    failed = []
    for check, value in summed:
        if value != check.stored:
            found = f"{check.stored} is stored, its bytes give {value}" if value else "not all of its bytes can be read"
            budget.report(Corrupt(f"checksum of {check.what}", check.span, found))
            failed.append(f"checksum of {check.what}: {found}")
    return Verification(dict(image.hashes), result, len(image.checks), failed, map(partial(_sealed, image, run), image.seals()))


def _sealed(image: Image, run: Run, seal: Seal) -> tuple[Seal, Digests]:
    """What the digests of a seal really are; none of them where its bytes cannot be had."""
    budget = run.budget("verify", f"{image.name}: {seal.name}")
    try:
        data = seal.open()
        return seal, digest(data, tuple(seal.hashes), budget=budget, threads=run.threads if data.size > SMALL else 1, on_bad="fill")
    except EvidenceError as error:
        budget.report(error)
        return seal, Digests({}, 0)
