"""File systems: Volume -> FileSystem."""
