"""AFF4. ZIP volumes -> statements about streams -> bevies and maps -> media, or a tree of files."""
