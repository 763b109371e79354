"""All that is stored, as plain values by name, in one query; beside it what the model expects."""

from collections import Counter

import psycopg

from tests.model.ledger import LedgerState
from tests.model.records import WITHDRAWAL, Facts

_STORED = """
SELECT 'wallets/' || id,
    jsonb_build_array(currency, state, balance, held, balance - held + overdraft_limit::numeric, labels, display_name)
FROM wallets
UNION ALL
SELECT 'holds/' || id, jsonb_build_array(state, captured) FROM holds
UNION ALL
SELECT kind || '/' || id, jsonb_build_array(state, failure_reason, (
    SELECT coalesce(jsonb_agg(answer ORDER BY number), '[]') FROM bank_attempts WHERE key = prefix || orders.id
))
FROM (
    SELECT 'withdrawals', 'wd-', id, state, failure_reason FROM withdrawals
    UNION ALL
    SELECT 'scheduledDeposits', 'sd-', id, state, failure_reason FROM scheduled_deposits
) AS orders (kind, prefix, id, state, failure_reason)
UNION ALL
SELECT 'transactions/' || t.id, jsonb_build_array(t.type, t.amount, t.commission, (
    SELECT coalesce(sum(amount), 0) FROM transactions AS r WHERE r.cause = t.id AND r.type = 'REVERSAL'
))
FROM transactions AS t
UNION ALL
SELECT 'commissionRules/' || id, jsonb_build_array(currency) FROM commission_rules
UNION ALL
SELECT 'requests', jsonb_build_array(count(*)) FROM requests
"""

_MADE_FOR = "SELECT id FROM transactions WHERE cause = %s AND type = %s"


def stored(owner: psycopg.Connection) -> Facts:
    """Return what the database has."""
    return {name: tuple(facts) for name, facts in owner.execute(_STORED)}


def expected(books: LedgerState) -> Facts:
    """Return what the model has."""
    found: Facts = {}
    for name, wallet_record in books.wallets.items():
        counts = wallet_record.balance, books.held(name), books.available(name)
        found[f"wallets/{name}"] = (
            wallet_record.currency,
            wallet_record.state,
            *counts,
            wallet_record.labels,
            wallet_record.title,
        )
    found |= {f"holds/{id_}": (hold.state, hold.captured) for id_, hold in books.holds.items()}
    for id_, order in books.orders.items():
        answers = [attempt.answer for attempt in order.attempts]
        found[f"{order.kind}/{id_}"] = (order.state, order.reason, answers)
    for id_, move in books.transactions.items():
        fee = move.fee.amount if move.fee is not None else 0
        found[f"transactions/{id_}"] = (move.kind, move.amount, fee, move.returned)
    found |= {f"commissionRules/{id_}": (rule.currency,) for id_, rule in books.rules.items()}
    return found | {"requests": (len(books.records),)}


def published_facts(owner: psycopg.Connection) -> Counter[tuple[str, str]]:
    """Return how often each event of each resource was published."""
    return Counter((kind, subject) for kind, subject in owner.execute("SELECT type, subject FROM outbox"))


def expected_publications(books: LedgerState) -> dict[tuple[str, str], int]:
    """Return the events that must be published by now, of what has moved or ended."""
    due = {("transaction.posted", f"transactions/{id_}"): 1 for id_ in books.transactions}
    captures = Counter(move.cause for move in books.transactions.values() if move.kind == "HOLD_CAPTURE")
    due |= {("hold.captured", f"holds/{id_}"): count for id_, count in captures.items()}
    for id_, order in books.orders.items():
        word = "withdrawal" if order.kind == WITHDRAWAL else "scheduled_deposit"
        due[f"{word}.scheduled", f"{order.kind}/{id_}"] = 1
        due[f"{word}.{order.state.lower()}", f"{order.kind}/{id_}"] = 1
    for id_, hold in books.holds.items():
        due["hold.placed", f"holds/{id_}"] = 1
        for state in ("VOIDED", "EXPIRED"):
            due[f"hold.{state.lower()}", f"holds/{id_}"] = int(hold.state == state)
    due |= {("wallet.created", f"wallets/{name}"): 1 for name in books.wallets if not name.startswith("system:")}
    return due | {("commission_rule.created", f"commissionRules/{id_}"): 1 for id_ in books.rules}


def learn_names(owner: psycopg.Connection, books: LedgerState) -> None:
    """Give the transactions that a job has made the names that the product has given them."""
    made_up = [(id_, move) for id_, move in books.transactions.items() if id_.version is None]
    for id_, move in made_up:
        ((name,),) = owner.execute(_MADE_FOR, [move.cause, move.kind]).fetchall()
        move.id = name
        books.transactions[name] = books.transactions.pop(id_)
        order = books.orders[move.cause] if move.cause is not None else None
        if order is not None and order.credit == id_:
            order.credit = name
