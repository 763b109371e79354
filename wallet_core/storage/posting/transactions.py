"""Transactions as they were booked, each with what has been given back of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wallet_core.domain.model.commission_rule import Commission, Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import Entry, Reversals, Transaction, TransactionType
from wallet_core.domain.model.wallet import Labels, WalletId

# All of a transaction but its entries and reversals, in the order that `transaction_of` takes it.
COLUMNS: LiteralString = """t.id, t.type, source.currency, t.amount, source.id AS source_id,
    destination.id AS destination_id, t.description, t.external_reference, t.cause, t.time, t.commission,
    t.commission_rule, t.commission_payer, t.labels, t.batch, t.batch_item"""

# Reversals in the order in which they were made, as the wallet that got its money back has them. However many there
# are, no more than a hundred are named.
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
    description: str,
    external_reference: str,
    cause: UUID | None,
    time: datetime,
    commission: int,
    commission_rule: UUID | None,
    commission_payer: str | None,
    labels: Labels,
    batch: UUID | None,
    batch_item: int | None,
    reversals: list[UUID] | None,
    amount_reversed: int,
) -> Transaction:
    charged = None
    if commission_rule is not None and commission_payer is not None:
        charged = Commission(Money(currency, commission), commission_rule, Payer(commission_payer))
    return Transaction(
        id=id_,
        type=TransactionType(type_),
        amount=Money(currency, amount),
        source=WalletId(source),
        destination=WalletId(destination),
        entries=entries,
        commission=charged,
        description=description,
        external_reference=external_reference,
        labels=labels,
        cause=cause,
        batch=batch,
        batch_item=batch_item,
        time=time,
        reversals=Reversals(ids=tuple(reversals or ()), amount=amount_reversed),
    )
