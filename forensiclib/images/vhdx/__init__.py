"""Virtual Hard Disk version 2."""
