"""Files recognised by their own structure, without a file system."""
