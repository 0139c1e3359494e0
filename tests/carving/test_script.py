"""Scripts: the first line names the interpreter, zeros behind the text end it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from forensiclib.carving.engine import carve
from forensiclib.carving.script import CARVERS, measure
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource

SCRIPTS = sorted(p for folder in ("/usr/bin", "/usr/sbin") for p in Path(folder).glob("*") if p.is_file() and not p.is_symlink())


def heads() -> list[bytes]:
    """Scripts of this system that are text."""
    out = [p.read_bytes() for p in SCRIPTS if p.open("rb").read(3) == b"#!/"]
    return [data for data in out if b"\0" not in data and len(data) % 512]


@pytest.mark.skipif(not heads(), reason="no scripts in /usr/bin")
def test_scripts_of_this_system_come_back_exact() -> None:
    for content in heads():
        if content.translate(None, bytes(range(0x20))) == b"" or any(b < 0x20 and b not in b"\t\n\x0c\r\x1b" for b in content):
            continue
        disk = bytes(512) + content + bytes(-len(content) % 512) + random.Random(1).randbytes(4096)
        found = list(carve(MemorySource(disk), CARVERS))
        assert [(f.offset, f.length, f.find.complete) for f in found] == [(512, len(content), True)]


@pytest.mark.parametrize(
    ("line", "extension"),
    [
        (b"#!/bin/sh\n", "sh"), (b"#! /bin/bash -e\n", "sh"), (b"#!/usr/bin/env python3\n", "py"), (b"#!/usr/bin/python3.11\r\n", "py"),
        (b"#!/usr/bin/env -S LANG=C perl -w\n", "pl"), (b"#!/sbin/openrc-run\n", "script"),
    ],
)  # fmt: skip
def test_the_interpreter_gives_the_extension(line: bytes, extension: str) -> None:
    found = measure(MemorySource(line + b"exit 0\n" + bytes(600)), Budget())
    assert found is not None and found.extension == extension and found.length == len(line) + 7


def test_an_end_that_is_not_seen_is_not_complete() -> None:
    full = b"#!/bin/sh\n" + b"#" * (1024 - 10)
    for tail in (b"", b"\x7fELF\x01", random.Random(2).randbytes(2000)):
        found = measure(MemorySource(full + tail), Budget())
        assert found is not None and not found.complete and found.length == 1024
    assert measure(MemorySource(b"#!/bin/sh\nexit\1" + bytes(600)), Budget()) is None


def test_not_in_the_middle_of_a_sector_and_not_without_a_path() -> None:
    assert not list(carve(MemorySource(bytes(100) + b"#!/bin/sh\nexit\n" + bytes(600)), CARVERS))
    for line in (b"#!/\n", b"#!/bin/sh", b"#!/bin/\x80sh\n", b"#!/" + b"x" * 400 + b"\n"):
        assert measure(MemorySource(line + bytes(600)), Budget()) is None
