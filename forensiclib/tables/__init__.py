"""Records and batches out."""
