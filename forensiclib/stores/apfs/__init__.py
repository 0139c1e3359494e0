"""APFS: objects, B-trees, the space manager, and which blocks are whose."""
