"""Rows that a wallet's lock protects: found by id before the wallets are locked, read once they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wallet_core.domain.deciding.decision import LockSet
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import BankStatement
from wallet_core.domain.model.payment_order import OrderKind, bank_key
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.storage.connections.engine import Cursor, Tx
from wallet_core.storage.posting.arrays import texts
from wallet_core.storage.posting.bank_statement import EXECUTED, LINES, LOCK_CURSOR, line_of
from wallet_core.storage.posting.holds import HOLDS, hold_of
from wallet_core.storage.posting.payment_orders import Reading, read_orders
from wallet_core.storage.posting.rules import RULES, rule_of
from wallet_core.storage.posting.transactions import TRANSACTIONS, transaction_of
from wallet_core.storage.posting.wallets import DETAILS, OPEN_ITEMS, fill_details, fill_open_items
from wallet_core.storage.posting.webhooks import COUNTS, DELIVERIES, LOCK_WEBHOOKS, webhook_of

# Read without a lock: the wallets of an order, a hold or a transaction never change. A transaction has those of its
# entries, and its source and destination even without an entry.
WALLETS_OF = """
SELECT dependents.id, wallets.id, wallets.currency
FROM (
    SELECT id, wallet FROM withdrawals WHERE id = ANY(%(orders)s)
    UNION ALL SELECT id, wallet FROM scheduled_deposits WHERE id = ANY(%(orders)s)
    UNION ALL SELECT id, wallet FROM holds WHERE id = ANY(%(holds)s)
    UNION SELECT transaction, wallet FROM entries WHERE transaction = ANY(%(transactions)s)
    UNION SELECT id, source FROM transactions WHERE id = ANY(%(transactions)s)
    UNION SELECT id, destination FROM transactions WHERE id = ANY(%(transactions)s)
) AS dependents (id, wallet)
JOIN wallets ON wallets.key = dependents.wallet
"""


def wallets_to_lock(tx: Tx, lock_sets: Sequence[LockSet]) -> list[frozenset[WalletId]]:
    """Return the wallets of each lock set, with those of its orders, holds and transactions."""
    ids = {
        "orders": _all(one.orders for one in lock_sets),
        "holds": _all(one.holds for one in lock_sets),
        "transactions": _all(one.transactions for one in lock_sets),
    }
    if not any(ids.values()):
        return [one.wallets for one in lock_sets]
    wallets_of: dict[UUID, set[WalletId]] = {}
    settlement_wallets_of = frozenset[UUID]().union(*(one.settlement_wallets_of for one in lock_sets))
    for id_, wallet, currency in tx.execute(WALLETS_OF, ids):
        found = wallets_of.setdefault(id_, set())
        found.add(wallet)
        if id_ in settlement_wallets_of:
            found.update(system_wallet(role, currency) for role in (Role.EXTERNAL, Role.IN_TRANSIT))
    return [
        one.wallets.union(*(wallets_of.get(id_, ()) for id_ in one.orders | one.holds | one.transactions))
        for one in lock_sets
    ]


@dataclass(frozen=True, slots=True)
class DependentRows:
    """Reads that have been sent in a pipeline and whose rows have not been fetched yet."""

    details: Cursor | None
    open_items: Cursor | None
    orders: Reading | None
    lines: Cursor | None
    bank_statement: Cursor | None
    executed: Cursor | None
    holds: Cursor | None
    transactions: Cursor | None
    rules: Cursor | None
    webhooks: Cursor | None
    webhook_counts: Cursor | None
    deliveries: Cursor | None

    def fill(self, ledger: LedgerState) -> None:
        """Put the rows into the state of the ledger."""
        fill_details(ledger, self.details or ())
        fill_open_items(ledger, self.open_items or ())
        if self.orders is not None:
            ledger.orders.update(self.orders.rows())
        ledger.lines.update((line.number, line) for line in (line_of(*row) for row in self.lines or ()))
        for number, error in self.bank_statement or ():
            ledger.bank_statement = BankStatement(number=number, error=error)
        ledger.executed_keys = frozenset(key for (key,) in self.executed or ())
        ledger.holds.update((hold.id, hold) for hold in map(hold_of, self.holds or ()))
        ledger.transactions.update((one.id, one) for one in map(transaction_of, self.transactions or ()))
        ledger.rules.update((rule.id, rule) for rule in map(rule_of, self.rules or ()))
        ledger.webhooks.update((webhook.id, webhook) for webhook in map(webhook_of, self.webhooks or ()))
        ledger.webhook_counts.update(self.webhook_counts or ())
        ledger.deliveries = frozenset(self.deliveries or ())


def read_dependent_rows(tx: Tx, lock_sets: Sequence[LockSet]) -> DependentRows:
    """Send the reads of everything but wallets and records; a kind of rows that no lock set names is not read."""
    details = _all(one.details for one in lock_sets)
    open_items = _all(one.open_items for one in lock_sets)
    orders = _all(one.orders | one.claimed for one in lock_sets)
    holds = _all(one.holds for one in lock_sets)
    transactions = _all(one.transactions for one in lock_sets)
    rules = _all(one.rules for one in lock_sets)
    lines = _all(one.lines for one in lock_sets)
    webhooks = _all(one.webhooks for one in lock_sets)
    deliveries = _all(one.deliveries for one in lock_sets)
    keys = [bank_key(kind, id_) for id_ in orders for kind in OrderKind]
    most = {"wallets": texts(open_items), "most": len(lock_sets) + 1}
    return DependentRows(
        details=tx.execute(DETAILS, [texts(details)]) if details else None,
        open_items=tx.execute(OPEN_ITEMS, most) if open_items else None,
        orders=read_orders(tx.execute, orders) if orders else None,
        lines=tx.execute(LINES, [lines]) if lines else None,
        bank_statement=tx.execute(LOCK_CURSOR) if any(one.bank_statement for one in lock_sets) else None,
        executed=tx.execute(EXECUTED, [texts(keys)]) if keys else None,
        holds=tx.execute(HOLDS, [holds]) if holds else None,
        transactions=tx.execute(TRANSACTIONS, [transactions]) if transactions else None,
        rules=tx.execute(RULES, [rules]) if rules else None,
        webhooks=tx.execute(LOCK_WEBHOOKS, [webhooks]) if webhooks else None,
        webhook_counts=tx.execute(COUNTS) if any(one.creates_webhook for one in lock_sets) else None,
        deliveries=tx.execute(DELIVERIES, [list(one) for one in zip(*deliveries, strict=True)]) if deliveries else None,
    )


def _all(sets: Iterable[frozenset[Any]]) -> list[Any]:
    return sorted(frozenset[Any]().union(*sets))
