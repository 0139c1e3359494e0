"""Registry hives: keys and values, live and deleted, with their transaction logs replayed."""
