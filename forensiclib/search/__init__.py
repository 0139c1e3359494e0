"""Searching bytes for words, expressions, patterns and rules."""
