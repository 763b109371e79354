"""The posting path: load, store, and one file for each table that is written."""
