"""Digests of sources."""
