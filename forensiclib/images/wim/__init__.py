"""Windows Imaging Format."""
