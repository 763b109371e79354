"""Retention of the journal: summed up under a signature, and dropped below it."""
