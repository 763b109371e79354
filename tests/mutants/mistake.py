"""A mistake: changes of the product, and the tests of which at least one must fail."""

from dataclasses import dataclass

from tests.mutants.change import Change


@dataclass(frozen=True, slots=True)
class Mistake:
    """Changes that a developer could make, and the tests that find them."""

    name: str
    changes: tuple[Change, ...]
    tests: str
