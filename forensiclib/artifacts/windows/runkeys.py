"""Programs that start at logon or boot by the Run keys."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.artifacts.windows.registry import text_of
from forensiclib.core.declare import Extractor, Field, Keys, Path, Text, Time
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.stores.regf.keys import Key

__all__ = ["EXTRACTOR"]

_VERSIONS = (
    r"Microsoft\Windows\CurrentVersion",
    r"Wow6432Node\Microsoft\Windows\CurrentVersion",
    r"Microsoft\Windows NT\CurrentVersion\Terminal Server\Install\Software\Microsoft\Windows\CurrentVersion",
)
_NAMES = (
    "Run",
    "RunOnce",
    r"RunOnce\Setup",
    "RunOnceEx",
    r"RunOnceEx\*",
    "RunServices",
    "RunServicesOnce",
    r"Policies\Explorer\Run",
)
# The SOFTWARE hive is HKLM\Software; in NTUSER the same keys stand below Software.
_PATTERNS = tuple(f"{top}{version}\\{name}" for top in ("", "Software\\") for version in _VERSIONS for name in _NAMES)


def rows(key: Key, budget: Budget) -> Iterator[Row]:
    """One row a value, those deleted from the key too."""
    for value in (*key.values(), *(key.recovered() if key.live else ())):
        budget.item()
        yield value.row(
            key=key.path,
            name=value.name,
            command=text_of(value.decoded),
            type=value.kind.name,
            last_written=key.last_written,
        )


EXTRACTOR = Extractor(
    name="windows.runkeys",
    title="Programs started at logon or boot (Run, RunOnce and their like)",
    platform="Windows NT 4.0 and later",
    source=Keys("*", *_PATTERNS),
    fields=(
        Field("key", Path, "Path of the key below the root of its hive"),
        Field("name", Text, "Name of the entry"),
        Field("command", Path, "Command line, as stored; empty when the data is not text"),
        Field("type", Text, "Type of the value"),
        Field("last_written", Time, "When any entry of the key last changed, UTC"),
    ),
    refs=(
        "Microsoft, Run and RunOnce Registry Keys, learn.microsoft.com/windows/win32/setupapi/run-and-runonce-registry-keys",
        "J. Metz, winreg-kb, Run keys",
    ),
    gaps=(
        "whether Task Manager switched an entry off (Explorer\\StartupApproved) is not joined to it",
        "other ways to start at logon (Winlogon, Windows NT\\CurrentVersion\\Windows, services, Active Setup) are not listed here",
    ),
    rows=rows,
)
