"""The schema's constraints on entries: a transaction sums to zero, and each entry follows from the one before it."""

from datetime import timedelta

import psycopg
import pytest

from tests.support.rows import NOON, SYSTEM_KEY, Leg, insert, insert_entries, insert_wallet, refused_by, set_wallet


@pytest.mark.parametrize("sequence", [0, 1, 999, 1001])
def test_totals_are_kept_at_every_thousandth_entry_only(owner: psycopg.Connection, sequence: int) -> None:
    """Elsewhere they would not be read."""

    values = {"wallet": 1, "sequence": sequence, "type": "DEPOSIT", "count": 1, "credited": 1, "debited": 0}

    assert refused_by(lambda: insert(owner, "entry_totals", **values)) == "entry_totals_sequence"


def two_wallets(owner: psycopg.Connection) -> None:
    """Make two wallets in USD and one in EUR with two entries each, whose rows agree: 100, -100 and 0."""
    with owner.transaction():
        insert_wallet(owner, 1, balance=100, sequence=2)
        insert_wallet(owner, SYSTEM_KEY, id="system:external:USD", role="EXTERNAL", balance=-100, sequence=2)
        insert_wallet(owner, 3, currency="EUR")
        insert_entries(owner, [(1, 1, 60, 60), (1, 2, 40, 100), (SYSTEM_KEY, 1, -60, -60), (SYSTEM_KEY, 2, -40, -100)])


REFUSED_ENTRIES: list[tuple[str, list[Leg], dict[int, dict[str, object]]]] = [
    # A leg alone, legs that do not balance, and two currencies that do so only together.
    ("entries_zero_sum", [(1, 3, 5, 105)], {1: {"balance": 105, "sequence": 3}}),
    (
        "entries_zero_sum",
        [(1, 3, 5, 105), (SYSTEM_KEY, 3, -4, -104)],
        {1: {"balance": 105, "sequence": 3}, SYSTEM_KEY: {"balance": -104, "sequence": 3}},
    ),
    (
        "entries_zero_sum",
        [(1, 3, -5, 95), (3, 1, 5, 5)],
        {1: {"balance": 95, "sequence": 3}, 3: {"balance": 5, "sequence": 1}},
    ),
    # A balance that does not follow, a gap, a history that begins in the middle.
    (
        "entries_chain",
        [(1, 3, 5, 106), (SYSTEM_KEY, 3, -5, -105)],
        {1: {"balance": 106, "sequence": 3}, SYSTEM_KEY: {"balance": -105, "sequence": 3}},
    ),
    (
        "entries_chain",
        [(1, 4, 5, 105), (SYSTEM_KEY, 3, -5, -105)],
        {1: {"balance": 105, "sequence": 4}, SYSTEM_KEY: {"balance": -105, "sequence": 3}},
    ),
    (
        "entries_chain",
        [(3, 2, 5, 5), (1, 3, -5, 95)],
        {1: {"balance": 95, "sequence": 3}, 3: {"balance": 5, "sequence": 2, "currency": "USD"}},
    ),
    # A wallet's row that was not moved, or elsewhere, or does not exist.
    ("entries_wallet", [(1, 3, 5, 105), (SYSTEM_KEY, 3, -5, -105)], {}),
    (
        "entries_wallet",
        [(1, 3, 5, 105), (SYSTEM_KEY, 3, -5, -105)],
        {1: {"balance": 104, "sequence": 3}, SYSTEM_KEY: {"balance": -105, "sequence": 3}},
    ),
    (
        "entries_wallet",
        [(1, 3, 5, 105), (SYSTEM_KEY, 3, -5, -105)],
        {1: {"balance": 105, "sequence": 4}, SYSTEM_KEY: {"balance": -105, "sequence": 3}},
    ),
    (
        "entries_wallet",
        [(1, 3, 5, 105), (SYSTEM_KEY, 3, -5, -105)],
        {
            1: {"balance": 105, "sequence": 3, "last_time": NOON + timedelta(seconds=1)},
            SYSTEM_KEY: {"balance": -105, "sequence": 3},
        },
    ),
    ("entries_wallet", [(404, 1, 5, 5), (405, 1, -5, -5)], {}),
    # A lost update, and an entry that moves nothing.
    ("entries_pkey", [(1, 2, 5, 105), (SYSTEM_KEY, 3, -5, -105)], {}),
    ("entries_amount", [(1, 3, 0, 100)], {}),
    ("entries_sequence", [(1, 0, 5, 5)], {}),
]


@pytest.mark.parametrize(("constraint", "legs", "rows"), REFUSED_ENTRIES)
def test_entries_that_violate_the_ledgers_rules_are_refused(
    owner: psycopg.Connection, constraint: str, legs: list[Leg], rows: dict[int, dict[str, object]]
) -> None:
    """Even from the owner, and even where the wallets' rows were made to fit."""

    two_wallets(owner)

    def write() -> None:
        with owner.transaction():
            for key, changes in rows.items():
                set_wallet(owner, key, **changes)
            insert_entries(owner, legs)

    assert refused_by(write) == constraint
    assert owner.execute("SELECT count(*) FROM entries").fetchone() == (4,)


def test_an_entry_before_the_one_before_it_in_time_is_refused(owner: psycopg.Connection) -> None:
    """Within a wallet, time never runs against sequence."""

    two_wallets(owner)
    earlier = NOON - timedelta(microseconds=1)

    def write() -> None:
        with owner.transaction():
            set_wallet(owner, 1, balance=105, sequence=3, last_time=earlier)
            set_wallet(owner, SYSTEM_KEY, balance=-105, sequence=3, last_time=earlier)
            insert_entries(owner, [(1, 3, 5, 105), (SYSTEM_KEY, 3, -5, -105)], time=earlier)

    assert refused_by(write) == "entries_chain"


def test_entries_that_keep_the_rules_are_taken(owner: psycopg.Connection) -> None:
    """So the refusals above were not for something else."""

    two_wallets(owner)
    with owner.transaction():
        set_wallet(owner, 1, balance=105, sequence=3)
        set_wallet(owner, SYSTEM_KEY, balance=-105, sequence=3)
        insert_entries(owner, [(1, 3, 5, 105), (SYSTEM_KEY, 3, -5, -105)])

    assert owner.execute("SELECT count(*) FROM entries").fetchone() == (6,)
