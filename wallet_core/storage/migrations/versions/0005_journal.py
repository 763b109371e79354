"""The journal: what has happened, in one order without gaps, each line chained to the one before.

Facts that wait in the outbox are told of the wallets that they concern, for those who are told of a wallet only.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OUTBOX = """
ALTER TABLE outbox RENAME COLUMN kind TO type;
ALTER TABLE outbox ADD COLUMN wallets text[] NOT NULL DEFAULT '{}';
ALTER TABLE outbox ALTER COLUMN wallets DROP DEFAULT;

UPDATE outbox
SET wallets = concerned.wallets
FROM (
    SELECT 'wallets/' || id, ARRAY[id] FROM wallets
    UNION ALL SELECT 'withdrawals/' || o.id, ARRAY[w.id] FROM withdrawals AS o JOIN wallets AS w ON w.key = o.wallet
    UNION ALL
    SELECT 'scheduledDeposits/' || o.id, ARRAY[w.id] FROM scheduled_deposits AS o JOIN wallets AS w ON w.key = o.wallet
    UNION ALL SELECT 'holds/' || o.id, ARRAY[w.id] FROM holds AS o JOIN wallets AS w ON w.key = o.wallet
    UNION ALL
    SELECT 'commissionRules/' || o.id, ARRAY[w.id] FROM commission_rules AS o JOIN wallets AS w ON w.key = o.wallet
    UNION ALL
    SELECT 'transactions/' || t.id, array_agg(w.id ORDER BY w.key = t.source DESC, w.key = t.destination DESC, w.key)
    FROM transactions AS t
    CROSS JOIN LATERAL (
        SELECT wallet FROM entries WHERE transaction = t.id UNION SELECT t.source UNION SELECT t.destination
    ) AS touched
    JOIN wallets AS w ON w.key = touched.wallet
    GROUP BY t.id
) AS concerned (subject, wallets)
WHERE concerned.subject = outbox.subject;
"""

JOURNAL = """
CREATE TABLE journal (
    number  bigint      NOT NULL CONSTRAINT journal_pkey PRIMARY KEY CONSTRAINT journal_number CHECK (number > 0),
    type    text        NOT NULL,
    subject text        NOT NULL,
    wallets text[]      NOT NULL,
    time    timestamptz NOT NULL,
    -- SHA-256 of the hash before it and of the line: whoever has one can prove all that came before.
    hash    bytea       NOT NULL CONSTRAINT journal_hash CHECK (length(hash) = 32)
);
GRANT SELECT, INSERT ON journal TO wallet_service;
"""


def upgrade() -> None:
    """Add it."""
    op.execute(OUTBOX)
    op.execute(JOURNAL)
