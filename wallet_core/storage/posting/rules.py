"""Commission rules on the posting path. No wallet's lock protects them: they have an advisory lock of their own.

Batches that charge commission share the lock; a batch that changes rules has it exclusively. It is acquired before any
row is locked, so every later statement sees the rules as they are until the end of the batch.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.commission_rule import CommissionRule, Label, Payer
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Expected, Tx
from wallet_core.storage.posting.columns import Column, Insert

# The schema is part of the key, because a tenant may be a schema.
LOCK_RULES_SHARED = "SELECT pg_advisory_xact_lock_shared(7236114, hashtext(current_schema()))"
LOCK_RULES_EXCLUSIVE = "SELECT pg_advisory_xact_lock(7236114, hashtext(current_schema()))"

_COLUMNS: LiteralString = """r.id, r.currency, r.threshold, r.rate_millionths, r.fixed, r.minimum, r.maximum, r.payer,
    wallets.id, r.label_key, r.label_value, r.start_time, r.end_time, r.create_time"""

# Live or future rules of some currencies; of the rules for one wallet, those for wallets of this batch.
RULES_OF: LiteralString = f"""
SELECT {_COLUMNS}
FROM commission_rules AS r
LEFT JOIN wallets ON wallets.key = r.wallet
WHERE r.currency = ANY(%s::text[])
    AND (r.wallet IS NULL OR r.wallet = ANY(ARRAY(SELECT key FROM wallets WHERE id = ANY(%s::text[]))))
    AND coalesce(r.end_time, 'infinity') > clock_timestamp()
"""

RULES: LiteralString = f"""
SELECT {_COLUMNS}
FROM commission_rules AS r
LEFT JOIN wallets ON wallets.key = r.wallet
WHERE r.id = ANY(%s)
"""

# A rule and the key of its wallet, if it is for one.
INSERT_RULES: Insert[tuple[CommissionRule, int | None]] = Insert(
    "commission_rules",
    [
        Column("id", "uuid", lambda row: row[0].id),
        Column("currency", "text", lambda row: row[0].currency),
        Column("threshold", "bigint", lambda row: row[0].threshold),
        Column("rate_millionths", "integer", lambda row: row[0].rate_millionths),
        Column("fixed", "bigint", lambda row: row[0].fixed),
        Column("minimum", "bigint", lambda row: row[0].minimum),
        Column("maximum", "bigint", lambda row: row[0].maximum),
        Column("payer", "text", lambda row: row[0].payer),
        Column("wallet", "bigint", lambda row: row[1]),
        Column("label_key", "text", lambda row: row[0].label.key if row[0].label is not None else None),
        Column("label_value", "text", lambda row: row[0].label.value if row[0].label is not None else None),
        Column("start_time", "timestamptz", lambda row: row[0].start_time),
        Column("end_time", "timestamptz", lambda row: row[0].end_time),
        Column("create_time", "timestamptz", lambda row: row[0].create_time),
    ],
)

END_RULE = "UPDATE commission_rules SET end_time = %s WHERE id = %s"


def store_rules(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the rules that are new or have been given an end."""
    rules, new = ledger.pending.rules.values(), ledger.pending.new
    INSERT_RULES.write(tx, [(rule, _wallet_key(ledger, rule)) for rule in rules if rule.id in new])
    return [(tx.execute(END_RULE, [rule.end_time, rule.id]), 1) for rule in rules if rule.id not in new]


def _wallet_key(ledger: LedgerState, rule: CommissionRule) -> int | None:
    return ledger.wallets[rule.wallet].key if rule.wallet is not None else None


def rule_of(row: Sequence[Any]) -> CommissionRule:
    """Return the rule in a row of ``RULES`` or ``RULES_OF``."""
    return _rule(*row)


def _rule(
    id_: UUID,
    currency: str,
    threshold: int,
    rate_millionths: int,
    fixed: int,
    minimum: int,
    maximum: int | None,
    payer: str,
    wallet: str | None,
    label_key: str | None,
    label_value: str | None,
    start_time: datetime,
    end_time: datetime | None,
    create_time: datetime,
) -> CommissionRule:
    return CommissionRule(
        id=id_,
        currency=currency,
        threshold=threshold,
        rate_millionths=rate_millionths,
        fixed=fixed,
        minimum=minimum,
        maximum=maximum,
        payer=Payer(payer),
        wallet=WalletId(wallet) if wallet is not None else None,
        label=Label(label_key, label_value) if label_key is not None and label_value is not None else None,
        start_time=start_time,
        end_time=end_time,
        create_time=create_time,
    )
