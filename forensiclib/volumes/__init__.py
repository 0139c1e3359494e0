"""Partition tables: ByteSource -> Volumes."""
