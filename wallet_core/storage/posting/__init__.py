"""Load, and store: one file for each table that is written."""
