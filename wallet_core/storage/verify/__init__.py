"""Proof that the books are right."""
