"""VMware virtual disks."""
