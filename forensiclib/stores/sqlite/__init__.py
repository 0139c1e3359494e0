"""SQLite pages and records, read without an SQLite engine."""
