"""Reads: one file for each list."""
