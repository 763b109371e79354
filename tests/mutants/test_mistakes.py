"""The mistakes can still be made: a change of the product that moves their places must move them too."""

from pathlib import Path

import pytest

from tests.mutants.mistakes import MISTAKES, Mistake

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_has_its_place_and_its_tests(mistake: Mistake) -> None:
    """Once in its file; and the tests that are to find it are there."""

    for change in mistake.changes:
        assert (ROOT / change.file).read_text().count(change.old) == 1, change.old
    assert all((ROOT / tests).exists() for tests in mistake.tests.split())
