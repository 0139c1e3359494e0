"""Containers: files on the host -> Image."""
