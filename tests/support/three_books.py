"""What holds after any fault, by three books: the bank statement, our withdrawals and their attempts, our entries."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import psycopg

from tests.support.database import Database
from tests.support.payouts import Bank, bank_key
from wallet_core.domain.model.wallet import Role, system_wallet

IN_TRANSIT, EXTERNAL = system_wallet(Role.IN_TRANSIT, "USD"), system_wallet(Role.EXTERNAL, "USD")

NOTHING, PAID, PAID_AND_RETURNED = (), ("execution",), ("execution", "return")

# What the bank may have in its ledger on a withdrawal of ours. Nowhere does it have two executions.
AT_THE_BANK: dict[str, set[tuple[str, ...]]] = {
    "SCHEDULED": {NOTHING},
    "CANCELLED": {NOTHING},
    "PROCESSING": {NOTHING, PAID},
    "IN_DOUBT": {NOTHING, PAID},
    "SUCCEEDED": {PAID},
    "FAILED": {NOTHING},
    "RETURNED": {PAID_AND_RETURNED},
    "UNAPPLIED_FUNDS": {PAID_AND_RETURNED},
}

# Where the money of a withdrawal is; in its wallet unless it is listed here.
AWAY = {"PROCESSING": IN_TRANSIT, "IN_DOUBT": IN_TRANSIT, "SUCCEEDED": EXTERNAL, "UNAPPLIED_FUNDS": IN_TRANSIT}

WITHDRAWALS = """
SELECT withdrawals.id, wallets.id,
    CASE WHEN withdrawals.state = 'RETURNED' AND attention <> '' THEN 'UNAPPLIED_FUNDS' ELSE withdrawals.state END,
    withdrawals.amount, bank_reference,
    (
        SELECT count(*)
        FROM bank_attempts
        WHERE key = 'wd-' || withdrawals.id AND answer IS DISTINCT FROM 'NOT_SENT'
    )
FROM withdrawals
JOIN wallets ON wallets.key = withdrawals.wallet
"""

UNFINISHED = """
SELECT bank_account, state, attention, (
        SELECT string_agg(coalesce(answer, '?'), ', ' ORDER BY number)
        FROM bank_attempts
        WHERE key = 'wd-' || withdrawals.id
    )
FROM withdrawals
WHERE next_attempt_time IS NOT NULL
"""

BALANCES = """
SELECT wallets.id, sum(entries.amount)::bigint
FROM entries
JOIN wallets ON wallets.key = entries.wallet
GROUP BY wallets.id
"""

DEPOSITED = """
SELECT wallets.id, sum(transactions.amount)::bigint
FROM transactions
JOIN wallets ON wallets.key = destination
WHERE type = 'DEPOSIT'
GROUP BY wallets.id
"""


def assert_three_books_agree(database: Database, bank: Bank, *, but_for: Collection[str] = ()) -> None:
    """Raise unless each withdrawal was paid at most once and agrees with the bank, and no money paid was released.

    Also: each call that the bank received is an attempt of ours, each repeat has the first one's content, and
    ``verify`` passes. Lines of the bank statement under the keys *but_for* are left out: they are known to be wrong.
    """
    withdrawals, balances, deposited = _read(database, WITHDRAWALS, BALANCES, DEPOSITED)
    lines: dict[str, list[dict[str, str]]] = {}
    for line in bank.ledger():
        if line["key"] not in but_for:
            lines.setdefault(line["key"], []).append(line)
    posts = bank.stats()["posts"]

    expected = Counter(dict(deposited))
    expected[EXTERNAL] -= expected.total()
    for id_, wallet, state, amount, reference, attempts in withdrawals:
        key = bank_key(id_)
        executed = lines.pop(key, [])
        assert tuple(line["kind"] for line in executed) in AT_THE_BANK[state], (key, state, executed)
        assert {(line["amount"], line["currency"]) for line in executed} <= {(amount, "USD")}, (key, executed)
        assert state != "SUCCEEDED" or reference == executed[0]["reference"], (key, reference, executed)
        request = posts.pop(key, 0)
        assert request <= attempts, key
        assert request <= 1 or len(set(bank.bodies(id_))) == 1, key
        expected[wallet] -= amount
        expected[AWAY.get(state, wallet)] += amount

    assert (lines, posts) == ({}, {}), "the bank knows of payouts that nobody asked for"
    assert Counter(dict(balances)) == expected
    assert database.broken_rules() == []


def unfinished(database: Database) -> list[str]:
    """Return the state of each withdrawal that has not ended, or why it is not known."""
    try:
        (rows,) = _read(database, UNFINISHED)
    except psycopg.OperationalError as error:
        return [str(error)]
    return [str(row) for row in rows]


def _read(database: Database, *queries: str) -> list[list[tuple[Any, ...]]]:
    """Read all of them as of one instant."""
    with psycopg.connect(database.url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return [connection.execute(query.encode()).fetchall() for query in queries]
