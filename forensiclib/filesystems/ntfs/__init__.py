"""NTFS: live and deleted files, streams, stale directory entries, straight from the $MFT."""
