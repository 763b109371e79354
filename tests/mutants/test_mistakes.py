"""The mistakes can still be made: a change of the product that moves their places must move them too."""

import ast
from pathlib import Path

import pytest

from tests.mutants.change import Change, NoSuchPlace
from tests.mutants.mistake import Mistake
from tests.mutants.mistakes import MISTAKES

ROOT = Path(__file__).parents[2]

SOURCE = '''
LOCK = """
SELECT key
FROM wallets
FOR UPDATE
"""

class Ledger:
    def post(self, amount):
        if (amount
                > 0):
            self.count()
            return amount + 1
        return amount
'''


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_has_its_place_and_its_tests(mistake: Mistake) -> None:
    """Once in what it names; and the tests that are to find it are there."""

    for change in mistake.changes:
        change.check(ROOT)
    assert all((ROOT / tests).exists() for tests in mistake.tests.split())


@pytest.mark.parametrize(
    ("where", "old", "new", "seen"),
    [
        ("a.py:Ledger.post", "amount > 0", "amount > 1", "if amount > 1:"),
        ("a.py:Ledger.post", "self.count()\nreturn amount + 1", "return 0", "return 0"),
        ("a.py:Ledger.post", "self.count()", "None", "None"),
        ("a.py:LOCK", "FROM wallets FOR UPDATE", "FROM wallets", "SELECT key\nFROM wallets\n"),
    ],
)
def test_a_change_is_found_independent_of_the_texts_formatting(where: str, old: str, new: str, seen: str) -> None:
    """By the code's meaning, not by how it is broken into lines."""

    changed = Change(where, old, new).applied(SOURCE)

    assert seen in changed or repr(seen)[1:-1] in changed
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))


@pytest.mark.parametrize(
    ("where", "old"),
    [
        ("a.py:Ledger.post", "amount > 2"),  # not there
        ("a.py:Ledger.post", "amount"),  # several times
        ("a.py:Ledger.send", "amount > 0"),  # no such function
        ("a.py:LOCK", "SKIP LOCKED"),
    ],
)
def test_a_change_without_its_one_place_is_refused(where: str, old: str) -> None:
    """A mistake that is not made would never be found."""

    with pytest.raises(NoSuchPlace):
        Change(where, old, "0").applied(SOURCE)
