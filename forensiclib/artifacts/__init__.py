"""Artifacts: one file, one extractor."""
