"""Databases that many artifacts share."""
