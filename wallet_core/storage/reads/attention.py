"""The attention list: what operators must look at, found by a partial index for each part of it."""

from datetime import datetime

from sqlalchemy import Connection, text

from wallet_core.domain.model.access import Person
from wallet_core.domain.model.attention import AttentionItem, AttentionKind, AttentionPolicy, Vitals
from wallet_core.domain.model.bank import UNREADABLE, BankStatement, BankStatementLine, line_name, statement_name
from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.model.money import Money
from wallet_core.domain.queries.lists import Page
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.bank_statement import LEDGER, LINES, line_of

_ORDERS = """
SELECT
    CASE o.state
        WHEN 'IN_DOUBT' THEN 'IN_DOUBT'
        WHEN 'PROCESSING' THEN 'OVERDUE'
        WHEN 'FAILED' THEN 'DISCREPANCY'
        ELSE CASE WHEN o.unapplied THEN 'UNAPPLIED_FUNDS' ELSE 'DISCREPANCY' END
    END AS kind,
    '{collection}/' || o.id AS name, o.attention AS explanation, o.amount, o.wallet, '{prefix}-' || o.id AS key,
    o.update_time AS since
FROM {table} AS o
WHERE o.attention <> ''
UNION ALL
SELECT 'IN_DOUBT', '{collection}/' || o.id, 'in doubt for too long', o.amount, o.wallet,
    '{prefix}-' || o.id, o.update_time
FROM {table} AS o
WHERE {condition} o.state IN ('IN_DOUBT', 'PROCESSING') AND o.state = 'IN_DOUBT' AND o.attention = ''
    AND o.update_time < now() - :old
UNION ALL
SELECT 'OVERDUE', '{collection}/' || o.id, 'overdue, and no scheduler works on it', o.amount, o.wallet,
    '{prefix}-' || o.id, o.next_attempt_time
FROM {table} AS o
WHERE {condition} o.state IN ('SCHEDULED', 'PROCESSING') AND o.attention = ''
    AND o.next_attempt_time < now() - :old
UNION ALL
SELECT 'MISSING_AT_BANK', '{collection}/' || o.id, 'the bank statement has no line for it', o.amount, o.wallet,
    '{prefix}-' || o.id, o.update_time
FROM {table} AS o
WHERE {condition} o.state IN ('SUCCEEDED', 'RETURNED') AND NOT o.reconciled AND o.attention = ''
    AND o.update_time < (SELECT read_to_end_at - CAST(:line_due AS interval) FROM bank_statement_cursor)
"""

_WITHDRAWALS = _ORDERS.format(table="withdrawals", collection="withdrawals", prefix="wd", condition="")
_COLLECTIONS = _ORDERS.format(
    table="scheduled_deposits", collection="scheduledDeposits", prefix="sd", condition="o.collect AND"
)
_CREDITS = """
SELECT 'OVERDUE', 'scheduledDeposits/' || o.id, 'overdue, and no scheduler works on it', o.amount, o.wallet, '',
    o.next_attempt_time
FROM scheduled_deposits AS o
WHERE NOT o.collect AND o.state = 'SCHEDULED' AND o.next_attempt_time < now() - :old
"""

ATTENTION = f"""
SELECT kind, name, explanation, amount, currency, wallet, key, since
FROM (
    SELECT orders.kind, orders.name, orders.explanation, orders.amount, wallets.currency,
        'wallets/' || wallets.id AS wallet, orders.key, orders.since
    FROM ({_WITHDRAWALS} UNION ALL {_COLLECTIONS} UNION ALL {_CREDITS}) AS orders
    JOIN wallets ON wallets.key = orders.wallet
    UNION ALL
    SELECT 'DISCREPANCY', 'bankStatementLines/' || number, kind || ' ' || reference || ': ' || explanation, amount,
        currency, '', key, time
    FROM bank_statement_lines
    WHERE match_result = 'NOTHING' AND resolution = ''
    UNION ALL
    SELECT 'DISCREPANCY', 'bankStatementLines/' || number, 'its payment order has ended, and it has not been matched',
        amount, currency, '', key, time
    FROM bank_statement_lines AS lines
    WHERE match_result IS NULL AND time < now() - :old
        AND NOT EXISTS (
            SELECT FROM withdrawals WHERE id = lines.order_id AND state IN ('PROCESSING', 'IN_DOUBT')
        )
        AND NOT EXISTS (
            SELECT FROM scheduled_deposits WHERE id = lines.order_id AND state IN ('PROCESSING', 'IN_DOUBT')
        )
    UNION ALL
    SELECT 'RECONCILIATION_STALLED', 'bankStatements/' || statement, error, 0, '', '', '', error_since
    FROM bank_statement_cursor
    WHERE error <> '' AND (error <> :unreadable OR error_since < now() - :old)
    UNION ALL
    SELECT 'RECONCILIATION_STALLED', 'bankStatements/' || statement, 'it has not been read to its end for too long',
        0, '', '', '', coalesce(read_to_end_at, error_since)
    FROM bank_statement_cursor
    WHERE :provides_statement AND error = '' AND coalesce(read_to_end_at, error_since) < now() - :old
    UNION ALL
    SELECT 'EVENTS_STALLED', 'journal', 'committed events wait to be published, and no scheduler does it', 0, '', '',
        '', time
    FROM (SELECT time FROM outbox ORDER BY position LIMIT 1) AS oldest
    WHERE time < now() - :events_after
    UNION ALL
    SELECT 'CHECKPOINTS_STALLED', 'checkpoints/' || number, 'no later one was signed, although there are new records',
        0, '', '', '', time
    FROM (SELECT number, time FROM checkpoints ORDER BY number DESC LIMIT 1) AS last
    WHERE time < now() - :checkpoints_after AND number < (SELECT max(number) FROM journal)
    UNION ALL
    SELECT 'CLOCK_BEHIND', 'wallets/' || id, 'its last entry is later than the database''s clock: no money moves in it',
        0, currency, 'wallets/' || id, '', last_time
    FROM wallets
    WHERE id >= 'system:' AND id < 'system;' AND last_time > clock_timestamp() + :clock_behind_max
    UNION ALL
    SELECT 'WEBHOOK_DISABLED', 'webhooks/' || id, disabled_reason, 0, '', '', '', update_time
    FROM webhooks
    WHERE state = 'DISABLED' AND disabled_reason <> ''
    UNION ALL
    SELECT 'WEBHOOK_DEAD_LETTERS', 'webhooks/' || w.id, 'events could not be delivered in all attempts', 0, '', '', '',
        dead.end_time
    FROM webhooks AS w
    CROSS JOIN LATERAL (
        SELECT end_time FROM webhook_deliveries AS d
        WHERE d.webhook = w.id AND d.state = 'DEAD' AND d.number > 0
        ORDER BY end_time
        LIMIT 1
    ) AS dead
    WHERE w.state <> 'DELETED'
) AS items
WHERE CAST(:since AS timestamptz) IS NULL OR (since, name) > (:since, :name)
ORDER BY since, name
LIMIT :limit
"""


# Of the service wallets alone: they are few, and every deposit and withdrawal moves one of them.
VITALS = """
SELECT
    (SELECT read_to_end_at FROM bank_statement_cursor),
    (SELECT coalesce(greatest(max(last_time) - clock_timestamp(), interval '0'), interval '0')
     FROM wallets
     WHERE id >= 'system:' AND id < 'system;'),
    (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS counted),
    coalesce((SELECT greatest(clock_timestamp() - time, interval '0') FROM outbox ORDER BY position LIMIT 1), '0'),
    (SELECT coalesce(max(number), 0) FROM journal),
    (SELECT time FROM checkpoints ORDER BY number DESC LIMIT 1)
"""


class AttentionReads(Reader):
    """Reads of what operators must look at."""

    def list_attention(
        self, policy: AttentionPolicy, *, size: int, after: tuple[datetime, str] | None
    ) -> Page[AttentionItem]:
        """Return what needs attention, the oldest first, after a time and name."""
        since, name = after if after is not None else (None, "")

        def read(tx: Connection) -> Page[AttentionItem]:
            parameters = {
                "since": since,
                "name": name,
                "limit": size + 1,
                "unreadable": UNREADABLE,
                "old": policy.after,
            }
            parameters |= {
                "provides_statement": policy.bank_provides_statement,
                "line_due": policy.bank_statement_line_due,
            }
            parameters |= {"clock_behind_max": policy.clock_behind_max, "events_after": policy.events_after}
            parameters |= {"checkpoints_after": policy.checkpoints_after}
            rows = tx.execute(text(ATTENTION), parameters).all()
            items = [
                AttentionItem(
                    kind=AttentionKind(row.kind),
                    name=row.name,
                    explanation=row.explanation,
                    amount=Money(row.currency, row.amount),
                    wallet=row.wallet,
                    bank_key=row.key,
                    since=row.since,
                )
                for row in rows[:size]
            ]
            positions: list[tuple[object, ...]] = [(item.since, item.name) for item in items]
            return Page(items, positions, positions[-1] if len(rows) > size else None)

        return self.read(read)

    def vitals(self) -> Vitals:
        """Return the measurements that show that something is wrong."""
        read_at, behind, unpublished, waited, end, signed_at = self.read(lambda tx: tx.execute(text(VITALS)).one())
        return Vitals(
            bank_statement_read_time=read_at,
            clock_behind=behind,
            unpublished=unpublished,
            unpublished_for=waited,
            journal_end=end,
            checkpoint_time=signed_at,
        )

    def bank_statement_line(self, number: int) -> BankStatementLine:
        """Return a bank statement line that must have been read."""
        rows = self.read(lambda tx: tx.exec_driver_sql(LINES, ([number],)).all())
        if not rows:
            raise ResourceNotFound(line_name(number))
        return line_of(*rows[0])

    def bank_statement(self, number: int) -> BankStatement:
        """Return a bank statement that is or was read."""
        rows = self.read(lambda tx: tx.exec_driver_sql(LEDGER, (number,)).all())
        if not rows:
            raise ResourceNotFound(statement_name(number))
        ((_, reason, accepted_by, person, token_id, time),) = rows
        by = Person(person, token_id)
        return BankStatement(number=number, reason=reason, accepted_by=accepted_by, person=by, time=time)
