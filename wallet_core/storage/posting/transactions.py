"""Transactions and their entries: written once, read with their reversals."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.commission_rule import Commission, Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import (
    Entry,
    Movement,
    Reversals,
    Transaction,
    TransactionDetails,
    TransactionType,
)
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.posting.columns import Column, Insert

# The fields of ``TransactionDetails`` by name, each a column of the same name, with its type.
_DETAILS = {"description": "text", "external_reference": "text", "labels": "jsonb"}

# All of a transaction but its entries and reversals, in the order in which ``transaction_of`` takes it.
COLUMNS: LiteralString = f"""t.id, t.type, source.currency, t.amount, source.id AS source_id,
    destination.id AS destination_id, t.cause, t.time, t.commission, t.commission_rule, t.commission_payer, t.batch,
    t.batch_item, t.caller, {", ".join(f"t.{name}" for name in _DETAILS)}"""

# Reversals in the order in which they were posted, which is that of their entries in the wallet they credit. At most a
# hundred are named.
REVERSED: LiteralString = """
    SELECT (array_agg(r.id ORDER BY (
            SELECT back.sequence FROM entries AS back WHERE back.transaction = r.id AND back.wallet = r.destination
        )))[1:100] AS ids, coalesce(sum(r.amount), 0)::bigint AS amount
    FROM transactions AS r
    WHERE r.cause = t.id AND r.type = 'REVERSAL'
"""

TRANSACTIONS: LiteralString = f"""
SELECT {COLUMNS}, reversed.ids, reversed.amount
FROM transactions AS t
JOIN wallets AS source ON source.key = t.source
JOIN wallets AS destination ON destination.key = t.destination
CROSS JOIN LATERAL ({REVERSED}) AS reversed
WHERE t.id = ANY(%s)
"""


class _Posted(NamedTuple):
    """A transaction as a row, with the keys of its two wallets, either of which may have no entry in it."""

    movement: Movement
    commission: Commission | None
    time: datetime
    caller: str
    source: int
    destination: int


class _Label(NamedTuple):
    """A label of a transaction as a row of the index of labels."""

    key: str
    value: str
    time: datetime
    transaction: UUID


class _Leg(NamedTuple):
    """An entry as a row."""

    entry: Entry
    movement: Movement
    time: datetime


INSERT_TRANSACTIONS: Insert[_Posted] = Insert(
    "transactions",
    [
        Column("id", "uuid", "movement.id"),
        Column("type", "text", "movement.type"),
        Column("source", "bigint", "source"),
        Column("destination", "bigint", "destination"),
        Column("amount", "bigint", "movement.amount.minor"),
        Column("cause", "uuid", "movement.cause"),
        Column("time", "timestamptz", "time"),
        Column("caller", "text", "caller"),
        Column("commission", "bigint", lambda row: row.commission.amount.minor if row.commission else 0),
        Column("commission_rule", "uuid", lambda row: row.commission.rule if row.commission else None),
        Column("commission_payer", "text", lambda row: row.commission.payer if row.commission else None),
        Column("batch", "uuid", "movement.batch"),
        Column("batch_item", "integer", "movement.batch_item"),
        *(Column(name, type_, f"movement.details.{name}") for name, type_ in _DETAILS.items()),
    ],
)

# Lists by label, newest first, page by page: no index on a column of many labels is ordered by time as well.
INSERT_LABELS: Insert[_Label] = Insert(
    "transaction_labels",
    [
        Column("key", "text", "key"),
        Column("value", "text", "value"),
        Column("time", "timestamptz", "time"),
        Column("transaction", "uuid", "transaction"),
    ],
)

INSERT_ENTRIES: Insert[_Leg] = Insert(
    "entries",
    [
        Column("wallet", "bigint", "entry.wallet_key"),
        Column("sequence", "bigint", "entry.sequence"),
        Column("transaction", "uuid", "movement.id"),
        Column("amount", "bigint", "entry.amount"),
        Column("balance_after", "bigint", "entry.balance_after"),
        Column("time", "timestamptz", "time"),
        Column("type", "text", "movement.type"),
    ],
)


def store_transactions(tx: Tx, ledger: LedgerState) -> None:
    """Write the transactions of a batch and their entries."""
    rows = []
    legs = []
    labels = []
    for transaction in ledger.pending.transactions:
        movement, time = transaction.movement, transaction.time
        source, destination = ledger.wallets[movement.source], ledger.wallets[movement.destination]
        rows.append(_Posted(movement, movement.commission, time, transaction.caller, source.key, destination.key))
        legs += [_Leg(entry, movement, time) for entry in transaction.entries]
        labels += [_Label(key, value, time, movement.id) for key, value in movement.details.labels.items()]
    INSERT_TRANSACTIONS.write(tx, rows)
    INSERT_LABELS.write(tx, labels)
    INSERT_ENTRIES.write(tx, legs)


def transaction_of(row: Sequence[Any], entries: tuple[Entry, ...] = ()) -> Transaction:
    """Return the transaction in a row of ``TRANSACTIONS``; the posting path needs none of its entries."""
    return _transaction(entries, *row)


def _transaction(
    entries: tuple[Entry, ...],
    id_: UUID,
    type_: str,
    currency: str,
    amount: int,
    source: str,
    destination: str,
    cause: UUID | None,
    time: datetime,
    commission: int,
    commission_rule: UUID | None,
    commission_payer: str | None,
    batch: UUID | None,
    batch_item: int | None,
    caller: str,
    *more: Any,  # noqa: ANN401  # details, then reversals
) -> Transaction:
    *details, reversals, reversed_amount = more
    charged = None
    if commission_rule is not None and commission_payer is not None:
        charged = Commission(Money(currency, commission), commission_rule, Payer(commission_payer))
    movement = Movement(
        id=id_,
        type=TransactionType(type_),
        amount=Money(currency, amount),
        source=WalletId(source),
        destination=WalletId(destination),
        commission=charged,
        details=TransactionDetails(**dict(zip(_DETAILS, details, strict=True))),
        cause=cause,
        batch=batch,
        batch_item=batch_item,
    )
    reversed_ = Reversals(ids=tuple(reversals or ()), amount=reversed_amount)
    return Transaction(movement=movement, entries=entries, time=time, caller=caller, reversals=reversed_)
