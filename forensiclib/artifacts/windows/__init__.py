"""Windows artifacts."""
