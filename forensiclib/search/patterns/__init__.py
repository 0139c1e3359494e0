"""Kinds of text that are worth finding by their form; each judged by what its own rules can prove."""
