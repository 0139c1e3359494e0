"""Advanced Forensic Format, version 3."""
