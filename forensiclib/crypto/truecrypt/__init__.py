"""TrueCrypt and VeraCrypt: volumes, hidden volumes, encrypted systems."""
