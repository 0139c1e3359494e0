"""Carving that leaves out what a set of block hashes knows."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api.carving import carve
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.hashing.blocks import block_hashes
from forensiclib.hashing.blockset import BlockSet

Image = pytest.importorskip("PIL.Image", reason="pillow not installed")


def picture(seed: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (160, 120), random.Random(seed).randbytes(160 * 120 * 3)).save(out, "PNG")
    return out.getvalue()


def test_known_pictures_are_left_out_and_the_ledger_says_so(tmp_path: Path) -> None:
    known, unknown = picture(1), picture(2)
    assert len(known) > 40_000
    image = tmp_path / "raw.dd"
    room = -len(known) % 512
    image.write_bytes(bytes(4096) + known + bytes(room) + unknown + bytes(9000))
    blocks = BlockSet.of(block_hashes(MemorySource(known), 512, budget=Budget()))
    run = fl.Run()
    with fl.open_image(image) as opened:
        both = [hit.start for hit in carve(fl.Run(), opened)]
        fresh = [hit.start for hit in carve(run, opened, blocks=blocks)]
    assert both == [4096, 4096 + len(known) + room]
    assert fresh == both[1:]
    (line,) = [line for line in run.ledger.rows() if "known blocks" in str(line)]
    assert line["bytes"] == len(known) // 512 * 512


def test_a_few_shared_blocks_hide_nothing(tmp_path: Path) -> None:
    data = picture(3)
    image = tmp_path / "raw.dd"
    image.write_bytes(bytes(4096) + data)
    blocks = BlockSet.of(block_hashes(MemorySource(data[:8192]), 512, budget=Budget()))
    with fl.open_image(image) as opened:
        assert [hit.start for hit in carve(fl.Run(), opened, blocks=blocks)] == [4096]
