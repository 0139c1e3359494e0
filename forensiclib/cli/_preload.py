"""What workers are forked from: a process that has imported every room."""

from forensiclib.catalog import load

load()
