"""Locked volumes: Volume + Keys -> Volume."""
