"""Layouts, one file per format, each citing its specification. No I/O, no logic."""
