"""forensiclib: forensic parsing to embed."""

__version__ = "0.1.0"
