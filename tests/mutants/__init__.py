"""Mistakes that must not go unnoticed, each put into a copy of the product and found by a test: ``make mutants``."""
