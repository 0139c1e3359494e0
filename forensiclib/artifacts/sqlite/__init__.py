"""SQLite artifacts."""
