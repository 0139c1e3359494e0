"""Linux Unified Key Setup, versions 1 and 2."""
