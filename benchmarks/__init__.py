"""Measurements: each command prints one table of ratios, measured against something in the same run."""
