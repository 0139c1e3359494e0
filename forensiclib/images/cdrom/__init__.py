"""Compact discs: cue sheets and raw sectors."""
