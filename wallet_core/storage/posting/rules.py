"""Commission rules on the posting path. They hang on no wallet: a lock of their own keeps them still.

A batch that charges by rules holds it together with other batches; one that changes rules holds it alone. It is taken
before any row is locked, so every statement after it sees the rules as they are until the end of the batch.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.commission_rule import CommissionRule, Label, Payer
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Expected, Tx

# The schema is part of the key, because a tenant can be a schema.
LOCK_RULES_SHARED = "SELECT pg_advisory_xact_lock_shared(7236114, hashtext(current_schema()))"
LOCK_RULES_EXCLUSIVE = "SELECT pg_advisory_xact_lock(7236114, hashtext(current_schema()))"

_COLUMNS: LiteralString = """r.id, r.currency, r.threshold, r.rate_millionths, r.fixed, r.minimum, r.maximum, r.payer,
    wallets.id, r.label_key, r.label_value, r.start_time, r.end_time, r.create_time"""

# Live or yet to come, of some currencies; of those made for one wallet only those for wallets of this batch.
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

INSERT_RULE = """
INSERT INTO commission_rules (id, currency, threshold, rate_millionths, fixed, minimum, maximum, payer, wallet,
    label_key, label_value, start_time, end_time, create_time)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

END_RULE = "UPDATE commission_rules SET end_time = %s WHERE id = %s"


def store_rules(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the rules that are new or have been given an end."""
    expected: Expected = []
    for rule in ledger.pending.rules.values():
        if rule.id not in ledger.pending.new:
            expected.append((tx.execute(END_RULE, [rule.end_time, rule.id]), 1))
            continue
        wallet = ledger.wallets[rule.wallet].key if rule.wallet is not None else None
        label = [rule.label.key, rule.label.value] if rule.label is not None else [None, None]
        terms = [rule.threshold, rule.rate_millionths, rule.fixed, rule.minimum, rule.maximum, rule.payer]
        times = [rule.start_time, rule.end_time, rule.create_time]
        tx.execute(INSERT_RULE, [rule.id, rule.currency, *terms, wallet, *label, *times])
    return expected


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
