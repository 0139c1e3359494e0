"""Work units: small, picklable, and run anywhere. A worker reopens the image once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from forensiclib.api.benign import Free, benign
from forensiclib.api.opening import Engine, OpenImage, OpenVolume, open_image
from forensiclib.api.run import Run, Shadows
from forensiclib.core.errors import EvidenceError, ForensicError, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Limits
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.span import Span

__all__ = ["CarvedRef", "FileRef", "Place", "UnitResult", "VolumeSource", "run_unit"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileRef:
    """One stream of one entry, by identity."""

    id: int
    sequence: int
    path: str
    state: State = "allocated"
    stream: str = ""


@dataclass(frozen=True, slots=True)
class CarvedRef:
    """A carved file: (start, length) ranges of a volume, in order of content, that no file system names; ``carver``: whose."""

    runs: tuple[tuple[int, int], ...]
    path: str
    state: State = "carved"
    stream: str = ""
    carver: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a unit works: an image, one of its volumes, an engine.

    ``image`` is set for work in this process; it is left behind when the place is pickled, and the
    worker reopens ``paths``.
    """

    paths: tuple[str, ...]
    volume: str
    engine: Engine
    limits: Limits
    keys: Keys = field(repr=False)
    isolate: bool
    format: str
    image: OpenImage | None = None
    snapshot: str = ""
    others: tuple[tuple[str, ...], ...] = ()
    shadows: Shadows = "none"

    @classmethod
    def of(cls, volume: OpenVolume, engine: Engine) -> Place:
        """The place of a volume."""
        image, run = volume.image, volume.run
        others = tuple(other.paths for other in image.others)
        return cls(
            image.paths, volume.name, engine, run.limits, run.keys, run.isolate, image.format, image, image.snapshot, others, run.shadows
        )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        if not all((self.paths, *self.others)):
            raise UsageError("evidence that is no file cannot be opened again in another process: use threads")
        return Place, (
            self.paths, self.volume, self.engine, self.limits, self.keys, self.isolate, self.format, None, self.snapshot, self.others,
            self.shadows,
        )  # fmt: skip

    def opened(self) -> OpenImage:
        """The image: the one at hand, or reopened once for each worker."""
        return self.image if self.image is not None else _reopened(self)

    def target(self) -> OpenVolume:
        """The volume."""
        return self.opened().volume(self.volume)

    def open(self, file: FileRef | CarvedRef) -> ByteSource:
        """The stream that it names; of a deleted file, without the clusters that are another's now."""
        if isinstance(file, CarvedRef):
            return ExtentSource(self.target(), file.runs)
        volume = self.target()
        fs = volume.filesystem(self.engine)
        entry = fs.entry(file.id, file.sequence)
        stream = entry.open(file.stream)
        if file.state == "allocated" or (entry.verdict in ("intact", "") and volume.shadow is None):
            return stream
        ranges = volume.free(self.engine)
        free = Free(((0, volume.size),) if ranges is None else ranges)
        return benign(volume, fs, replace(entry, state=file.state), stream, free)[0]


@lru_cache(maxsize=2)
def _reopened(place: Place) -> OpenImage:
    run = Run(limits=place.limits, keys=place.keys, isolate=place.isolate, shadows=place.shadows)
    return open_image(place.paths, run=run, format=place.format, snapshot=place.snapshot, others=place.others)


class VolumeSource(ByteSource):
    """A volume's bytes, damage raised, that a worker process can reopen."""

    __slots__ = ("_place", "_source", "size")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._source = place.target().strict
        self.size = self._source.size

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        return self._source.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._source.trace(offset, n)

    def __reduce__(self) -> tuple[Any, ...]:
        return VolumeSource, (self._place,)


@dataclass(slots=True)
class UnitResult:
    """What a unit gave, in order, and what it had to report."""

    values: list[Any] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def run_unit(place: Place, where: str, work: Callable[[UnitResult], None]) -> UnitResult:
    """Do one unit's work. Damage is a finding; a bug of ours in one unit is a finding too, with its
    type and message, so that it cannot cost the other files their records. Both say where.
    """
    result = UnitResult()
    image = place.opened()
    before, dropped = len(image.run.findings) if place.image is None else 0, image.run.dropped
    try:
        work(result)
    except EvidenceError as error:
        result.findings.append(Finding.of(error, where=where))
    except ForensicError:
        raise
    except Exception as error:  # noqa: BLE001  # the one place: everything else of ours leaves loudly
        result.findings.append(Finding("InternalError", type(error).__name__, str(error), where))
    if place.image is None:
        # In another process: what opening and reading reported travels home with the unit.
        result.findings += image.run.findings[before:]
        if image.run.dropped > dropped:
            lost = f"{image.run.dropped - dropped} further ones were counted, not kept"
            result.findings.append(Finding("LimitExceeded", "findings", lost, where))
    return result
