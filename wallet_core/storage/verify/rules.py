"""The form of a rule."""

from collections.abc import Mapping

Rules = Mapping[str, tuple[str, str]]
"""By name: what the rule says, and a query that counts the rows that break it. Queries read whole tables."""
