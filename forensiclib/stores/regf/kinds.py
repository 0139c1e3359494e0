"""Which hive it is: by what stands below its root, then by the file name in its base block."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["hive_kind"]

_CONTENTS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (kind, frozenset(names.split("|")))
    for kind, names in (
        ("SYSTEM", "select|controlset001"),
        ("SYSTEM", "select|controlset002"),
        ("SECURITY", "policy|rxact"),
        ("SECURITY", "policy"),
        ("SOFTWARE", "microsoft|classes"),
        ("SOFTWARE", "microsoft|windows nt"),
        ("NTUSER", "software|control panel"),
        ("NTUSER", "software|environment"),
        ("NTUSER", "software|appevents"),
        ("BCD", "objects|description"),
        ("COMPONENTS", "deriveddata"),
        ("COMPONENTS", "canonicaldata"),
        ("DRIVERS", "driverdatabase"),
        ("USRCLASS", "local settings"),
        ("SYSCACHE", "defaultobjectstore"),
        ("APPSETTINGS", "localstate"),
        ("APPSETTINGS", "roamingstate"),
    )
)
_AMCACHE = frozenset(("file", "programs", "inventoryapplication", "inventoryapplicationfile", "orphan"))
_NAMES = {
    "ntuser.dat": "NTUSER", "ntuser.man": "NTUSER", "default": "NTUSER", "usrclass.dat": "USRCLASS", "system": "SYSTEM",
    "software": "SOFTWARE",    "sam": "SAM", "security": "SECURITY",
    "components": "COMPONENTS", "drivers": "DRIVERS", "bcd": "BCD", "amcache.hve": "AMCACHE",
    "syscache.hve": "SYSCACHE", "settings.dat": "APPSETTINGS", "elam": "ELAM", "bbi": "BBI",
}  # fmt: skip


def hive_kind(children: Iterable[str], grandchildren: Iterable[str], file_name: str) -> str:
    """ "SYSTEM", "SOFTWARE", "SAM", "SECURITY", "NTUSER" (DEFAULT too: it is a user's), "USRCLASS", "AMCACHE",
    "BCD", "COMPONENTS", "DRIVERS", "SYSCACHE", "APPSETTINGS", "ELAM", "BBI", or "UNKNOWN".

    children       names below the root; grandchildren   names below the first of them
    file_name      as the base block has it
    """
    names = {n.lower() for n in children}
    if names == {"sam"}:
        return "SAM"
    if names == {"root"} and _AMCACHE & {n.lower() for n in grandchildren}:
        return "AMCACHE"
    for kind, wanted in _CONTENTS:
        if wanted <= names:
            return kind
    return _NAMES.get(file_name.replace("/", "\\").rpartition("\\")[2].lower(), "UNKNOWN")
