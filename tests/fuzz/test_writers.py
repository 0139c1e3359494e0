"""Writers: a state that was tampered with is refused; sources that fail anywhere end in bytes or errors, never in another set."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from forensiclib.core.errors import Cancelled, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.writing import WriteOptions
from forensiclib.images import raw_write
from forensiclib.images.ewf import ewf, write
from forensiclib.testing.contracts import mutations
from tests.images.sets import noise
from tests.images.test_ewf_write import Broken, Stop

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def _same(changed: bytes, state: bytes) -> bool:
    """Whether only white space differs."""
    try:
        return bool(json.loads(changed) == json.loads(state))
    except ValueError:
        return False


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("room", "name"), [(write, "set.E01"), (raw_write, "set.dd")], ids=["ewf", "raw"])
def test_a_state_that_was_changed_is_refused(room, name: str, tmp_path: Path) -> None:
    data, path = noise(2 << 20), str(tmp_path / name)
    with pytest.raises(Cancelled):
        room.WRITER.write(MemorySource(data), path, WriteOptions(), Budget(cancelled=Stop(1)))
    state = Path(path + ".resume").read_bytes()
    before = Path(path).read_bytes()
    refused = 0
    for changed in mutations(state, min(COUNT, 2000)):
        if _same(changed, state):
            continue
        Path(path + ".resume").write_bytes(changed)
        with pytest.raises(UsageError):
            room.WRITER.write(MemorySource(data), path, WriteOptions(), Budget(), resume=True)
        refused += 1
    assert refused and Path(path).read_bytes() == before


@pytest.mark.timeout(3600)
def test_sources_that_fail_anywhere(tmp_path: Path) -> None:
    data = noise(300_000)
    for turn in range(max(10, COUNT // 20)):
        chance = random.Random(turn)
        bad = [(chance.randrange(len(data)), chance.randrange(1, 20_000)) for _ in range(chance.randrange(1, 6))]
        path = str(tmp_path / f"{turn}.E01")
        made = write.write_ewf(Broken(data, *bad), path, WriteOptions(chunk_sectors=16), Budget(), threads=chance.randrange(1, 3))
        image = ewf.FORMAT.open(made.paths, Budget())
        got = image.read_at(0, image.size)
        for at in range(0, len(data), 512):
            lost = any(start <= at < start + n for start, n in made.bad)
            assert got[at : at + 512] == (bytes(512) if lost else data[at : at + 512].ljust(512, b"\0"))
        touched = {at for at in range(0, len(data), 512) for start, n in bad if start < at + 512 and at < start + n}
        assert touched == {at for at in range(0, image.size, 512) for start, n in made.bad if start <= at < start + n}
        image.close()
        os.unlink(path)
