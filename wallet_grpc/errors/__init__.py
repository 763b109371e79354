"""Errors as callers receive them: the kinds that only the edge raises, the catalogue, and the gRPC status."""
