"""Every layout of the Windows artifacts is bounded, and has the published size."""

from __future__ import annotations

import construct
import pytest

from forensiclib.formats import _dsl, lnk, mam, prefetch, propertystore, recyclebin, shellitem

MODULES = (lnk, mam, prefetch, propertystore, recyclebin, shellitem)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_bounded_and_compilable(module: object) -> None:
    structs = {name: value for name, value in vars(module).items() if isinstance(value, construct.Struct)}
    assert structs
    for name, struct in structs.items():
        _dsl.audit(struct, name)
        assert _dsl.layout(struct).size == struct.sizeof()


def test_published_sizes() -> None:
    """[MS-SHLLINK] 2.1, 2.5.10 (less the block's own 8 bytes); libscca's documentation, version 17."""
    assert lnk.HEADER.sizeof() == 0x4C
    assert lnk.TRACKER.sizeof() == 0x60 - 8
    assert lnk.CONSOLE.sizeof() == 0xCC - 8
    # Another tool has read 52 bytes here.
    assert prefetch.INFO[17].sizeof() == 68
    assert prefetch.HEADER.sizeof() + prefetch.INFO[17].sizeof() == 0x98  # where metrics begin in files of XP
    assert [prefetch.INFO[23].sizeof(), prefetch.VOLUME_V17.sizeof(), prefetch.VOLUME.sizeof()] == [156, 40, 104]
