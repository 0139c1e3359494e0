"""Finds declarations: a scan of the floors' folders and one entry-point group. An immutable value."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from forensiclib.core.declare import (
    Carver,
    Declaration,
    Encryption,
    Extractor,
    FileSystemFormat,
    ImageFormat,
    ImageWriter,
    StoreFormat,
    TextPattern,
    Transform,
    VolumeLayer,
    VolumeSystem,
)  # fmt: skip
from forensiclib.core.errors import UsageError

__all__ = ["Catalog", "load"]

FLOORS = ("images", "volumes", "crypto", "filesystems", "stores", "artifacts", "carving", "search")
ENTRY_POINTS = "forensiclib.rooms"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every declaration, ordered by name; ``broken`` maps a module that cannot load to the reason."""

    declarations: tuple[Declaration, ...]
    broken: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[Declaration]:
        return iter(self.declarations)

    @property
    def images(self) -> tuple[ImageFormat, ...]:
        """Containers; raw last."""
        found = [d for d in self.declarations if isinstance(d, ImageFormat)]
        return tuple(sorted(found, key=lambda d: (d.catch_all, d.name)))

    @property
    def writers(self) -> tuple[ImageWriter, ...]:
        """Containers that can be written."""
        return tuple(d for d in self.declarations if isinstance(d, ImageWriter))

    @property
    def volumes(self) -> tuple[VolumeSystem, ...]:
        """Partition tables in the order to ask them."""
        return tuple(sorted((d for d in self.declarations if isinstance(d, VolumeSystem)), key=lambda d: (d.order, d.name)))

    @property
    def layers(self) -> tuple[VolumeLayer, ...]:
        """What makes volumes of volumes, in the order to ask."""
        return tuple(sorted((d for d in self.declarations if isinstance(d, VolumeLayer)), key=lambda d: (d.order, d.name)))

    @property
    def encryptions(self) -> tuple[Encryption, ...]:
        """Encryption of volumes in the order to ask; formats without a signature last."""
        found = (d for d in self.declarations if isinstance(d, Encryption))
        return tuple(sorted(found, key=lambda d: (d.unmarked, d.order, d.name)))

    @property
    def filesystems(self) -> tuple[FileSystemFormat, ...]:
        """File systems in the order to ask them, native before tsk."""
        found = (d for d in self.declarations if isinstance(d, FileSystemFormat))
        return tuple(sorted(found, key=lambda d: (d.engine != "native", d.order, d.name)))

    @property
    def stores(self) -> tuple[StoreFormat, ...]:
        """Databases."""
        return tuple(d for d in self.declarations if isinstance(d, StoreFormat))

    @property
    def carvers(self) -> tuple[Carver, ...]:
        """File types."""
        return tuple(d for d in self.declarations if isinstance(d, Carver))

    @property
    def patterns(self) -> tuple[TextPattern, ...]:
        """Kinds of text."""
        return tuple(d for d in self.declarations if isinstance(d, TextPattern))

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Ways to decode."""
        return tuple(d for d in self.declarations if isinstance(d, Transform))

    def extractors(self, *patterns: str) -> tuple[Extractor, ...]:
        """Extractors whose name matches any of the patterns ("windows.*"); all without a pattern.

        UsageError when a pattern matches nothing: a typo must not look like empty evidence.
        """
        every = [d for d in self.declarations if isinstance(d, Extractor)]
        if not patterns:
            return tuple(every)
        for pattern in patterns:
            if not any(fnmatchcase(d.name, pattern) for d in every):
                raise UsageError(f"no extractor matches {pattern!r}; there are {', '.join(d.name for d in every)}")
        return tuple(d for d in every if any(fnmatchcase(d.name, p) for p in patterns))

    def get(self, kind: type[Declaration], name: str) -> Declaration:
        """The declaration of that kind and name; UsageError when there is none."""
        for declaration in self.declarations:
            if isinstance(declaration, kind) and declaration.name == name:
                return declaration
        raise UsageError(f"no {kind.__name__} named {name!r}")


def _declared(module: object) -> Iterator[Declaration]:
    for value in vars(module).values():
        if isinstance(value, Declaration):
            yield value
        elif isinstance(value, tuple) and value and all(isinstance(v, Declaration) for v in value):
            yield from value


@lru_cache(maxsize=1)
def load() -> Catalog:
    """Scan the floors and the entry points. The result is cached: the folders do not change."""
    found: dict[tuple[type, str], Declaration] = {}
    broken: list[tuple[str, str]] = []
    for floor in FLOORS:
        package = importlib.import_module(f"forensiclib.{floor}")
        for info in pkgutil.walk_packages(package.__path__, f"forensiclib.{floor}."):
            try:
                module = importlib.import_module(info.name)
            except ImportError as error:
                broken.append((info.name, str(error)))
                continue
            for declaration in _declared(module):
                found.setdefault((type(declaration), declaration.name), declaration)
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            value = point.load()
        except (ImportError, AttributeError) as error:
            broken.append((f"{point.name} ({point.value})", str(error)))
            continue
        for declaration in value if isinstance(value, tuple) else (value,):
            if isinstance(declaration, Declaration):
                found.setdefault((type(declaration), declaration.name), declaration)
            else:
                broken.append((f"{point.name} ({point.value})", f"a {type(declaration).__name__}, not a declaration"))
    ordered = sorted(found.values(), key=lambda d: (type(d).__name__, d.name))
    return Catalog(tuple(ordered), tuple(broken))
