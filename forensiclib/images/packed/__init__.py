"""Images that somebody packed: one in an archive."""
