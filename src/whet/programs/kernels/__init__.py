"""Loops over cells, compiled."""
