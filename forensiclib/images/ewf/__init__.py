"""EWF-E01 and EWF-S01: segments -> sections -> chunk index -> media."""
