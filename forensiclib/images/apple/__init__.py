"""Disk images of Apple: UDIF, sparse images and bundles, their encryption."""
