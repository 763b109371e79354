"""All that is stored, as plain values by name, in one look: what the model says of the same is beside it."""

import psycopg

from tests.support.model_books import Books, Facts

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
"""

_MADE_FOR = "SELECT id FROM transactions WHERE cause = %s AND type = %s"


def stored(owner: psycopg.Connection) -> Facts:
    """Return what the database has."""
    return {name: tuple(facts) for name, facts in owner.execute(_STORED)}


def expected(books: Books) -> Facts:
    """Return what the model has."""
    found: Facts = {}
    for name, purse in books.wallets.items():
        counts = purse.balance, books.held(name), books.available(name)
        found[f"wallets/{name}"] = (purse.currency, purse.state, *counts, purse.labels, purse.title)
    found |= {f"holds/{id_}": (hold.state, hold.captured) for id_, hold in books.holds.items()}
    for id_, order in books.orders.items():
        answers = [attempt.answer for attempt in order.attempts]
        found[f"{order.kind}/{id_}"] = (order.state, order.reason, answers)
    for id_, move in books.moves.items():
        fee = move.fee.amount if move.fee is not None else 0
        found[f"transactions/{id_}"] = (move.kind, move.amount, fee, move.returned)
    return found | {f"commissionRules/{id_}": (rule.currency,) for id_, rule in books.tariffs.items()}


def learn_names(owner: psycopg.Connection, books: Books) -> None:
    """Give the transactions that a job has made the names that the product has given them."""
    made_up = [(id_, move) for id_, move in books.moves.items() if id_.version is None]
    for id_, move in made_up:
        ((name,),) = owner.execute(_MADE_FOR, [move.cause, move.kind]).fetchall()
        move.id = name
        books.moves[name] = books.moves.pop(id_)
        order = books.orders[move.cause] if move.cause is not None else None
        if order is not None and order.credit == id_:
            order.credit = name
