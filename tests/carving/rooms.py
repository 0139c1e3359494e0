"""The rooms of documents, archives, data, programs and keys, for the tests and the fuzzing of their carvers."""

from __future__ import annotations

from forensiclib.carving import (
    apple,
    databases,
    diskimages,
    documents,
    fsimages,
    keys,
    markup,
    oldarchives,
    programs,
    records,
    science,
    streams,
    textual,
    winfiles,
)

NEWER = (
    apple,
    databases,
    diskimages,
    documents,
    fsimages,
    keys,
    markup,
    oldarchives,
    programs,
    records,
    science,
    streams,
    textual,
    winfiles,
)
EVERY = tuple(carver for room in NEWER for carver in room.CARVERS)
