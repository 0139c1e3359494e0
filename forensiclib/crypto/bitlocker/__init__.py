"""BitLocker Drive Encryption."""
