"""QEMU copy-on-write disks."""
