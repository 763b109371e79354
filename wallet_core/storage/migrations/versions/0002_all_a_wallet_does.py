"""All a wallet does: labels, holds, commission, scheduled deposits, reversals, batches, statements.

Entries learn their type, which writes each of them anew: on a large history this takes a while, and nothing moves
meanwhile. All else that the hot tables get are columns with constant defaults.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WALLETS = """
ALTER TABLE wallets
    ADD COLUMN labels   jsonb  NOT NULL DEFAULT '{}' CONSTRAINT wallets_labels CHECK (jsonb_typeof(labels) = 'object'),
    ADD COLUMN revision bigint NOT NULL DEFAULT 1,
    ADD CONSTRAINT wallets_closed CHECK (state <> 'CLOSED' OR (balance = 0 AND held = 0));
-- Only of wallets that have labels: changes of a balance never touch it.
CREATE INDEX wallets_by_label ON wallets USING gin (labels jsonb_path_ops) WHERE labels <> '{}';
CREATE INDEX wallets_by_owner ON wallets (owner, key);
"""

TRANSACTIONS = """
ALTER TABLE transactions RENAME COLUMN withdrawal TO cause;
ALTER TABLE transactions
    DROP CONSTRAINT transactions_withdrawal,
    DROP CONSTRAINT transactions_type,
    ADD COLUMN commission       bigint NOT NULL DEFAULT 0,
    ADD COLUMN commission_rule  uuid,
    ADD COLUMN commission_payer text CONSTRAINT transactions_commission_payer
                                CHECK (commission_payer IN ('SOURCE', 'DESTINATION')),
    ADD COLUMN labels           jsonb  NOT NULL DEFAULT '{}',
    ADD COLUMN batch            uuid,
    ADD COLUMN batch_item       integer,
    ADD CONSTRAINT transactions_type CHECK (type IN ('DEPOSIT', 'TRANSFER', 'WITHDRAWAL', 'WITHDRAWAL_SETTLEMENT',
                                                     'WITHDRAWAL_RELEASE', 'COLLECTION', 'HOLD_CAPTURE', 'REVERSAL')),
    -- What brought it about: an order, a hold, or the transaction that it reverses. A deposit may have been scheduled.
    ADD CONSTRAINT transactions_cause CHECK (type = 'DEPOSIT' OR (type = 'TRANSFER') = (cause IS NULL)),
    -- Charged on transfers, given back by reversals.
    ADD CONSTRAINT transactions_commission CHECK (CASE type WHEN 'TRANSFER' THEN commission >= 0
                                                            WHEN 'REVERSAL' THEN commission <= 0
                                                            ELSE commission = 0 END),
    ADD CONSTRAINT transactions_commission_rule CHECK ((commission_rule IS NULL) = (commission_payer IS NULL)
                                                       AND (commission = 0 OR commission_rule IS NOT NULL)),
    ADD CONSTRAINT transactions_batch CHECK ((batch IS NULL) = (batch_item IS NULL));
CREATE INDEX transactions_by_cause ON transactions (cause) WHERE cause IS NOT NULL;
CREATE UNIQUE INDEX transactions_by_batch ON transactions (batch, batch_item) WHERE batch IS NOT NULL;
"""

ENTRIES = """
ALTER TABLE entries ADD COLUMN type text;
UPDATE entries SET type = transactions.type FROM transactions WHERE transactions.id = entries.transaction;
ALTER TABLE entries ALTER COLUMN type SET NOT NULL;
CREATE INDEX entries_by_type ON entries (wallet, type, sequence);

-- What a wallet's entries up to every thousandth amount to, by type: a statement adds the few around its ends, however
-- many lie between. Written with the entry that completes a thousand, never changed.
CREATE TABLE entry_totals (
    wallet   bigint  NOT NULL,
    sequence bigint  NOT NULL CONSTRAINT entry_totals_sequence CHECK (sequence > 0 AND sequence % 1000 = 0),
    type     text    NOT NULL,
    count    bigint  NOT NULL,
    credited numeric NOT NULL,
    debited  numeric NOT NULL,
    CONSTRAINT entry_totals_pkey PRIMARY KEY (wallet, sequence, type)
);
INSERT INTO entry_totals (wallet, sequence, type, count, credited, debited)
SELECT *
FROM (
    SELECT wallet, sequence, type, sum(count) OVER upwards AS count, sum(credited) OVER upwards AS credited,
        sum(debited) OVER upwards AS debited
    FROM (
        SELECT wallets.key AS wallet, marks.sequence, types.type
        FROM wallets
        CROSS JOIN LATERAL generate_series(1000, wallets.sequence, 1000) AS marks (sequence)
        CROSS JOIN (SELECT DISTINCT type FROM transactions) AS types
    ) AS wanted
    LEFT JOIN (
        SELECT wallet, (sequence + 999) / 1000 * 1000 AS sequence, type, count(*) AS count,
            sum(greatest(amount, 0)) AS credited, -sum(least(amount, 0)) AS debited
        FROM entries
        GROUP BY 1, 2, 3
    ) AS blocks USING (wallet, sequence, type)
    WINDOW upwards AS (PARTITION BY wallet, type ORDER BY sequence)
) AS summed
WHERE count IS NOT NULL;
"""

# Attempts are known by the key that the bank got, which tells what they were for.
ORDERS = """
ALTER TABLE bank_attempts
    DROP CONSTRAINT bank_attempts_withdrawal_fkey,
    DROP CONSTRAINT bank_attempts_pkey;
ALTER TABLE bank_attempts
    DROP COLUMN withdrawal,
    ADD CONSTRAINT bank_attempts_pkey PRIMARY KEY (key, number),
    ADD CONSTRAINT bank_attempts_key CHECK (key ~ '^(wd|sd)-[0-9a-f-]{36}$');

ALTER TABLE withdrawals ADD COLUMN reserve boolean NOT NULL DEFAULT false;
CREATE INDEX withdrawals_open ON withdrawals (wallet) WHERE state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT');

CREATE TABLE scheduled_deposits (
    id                 uuid        NOT NULL CONSTRAINT scheduled_deposits_pkey PRIMARY KEY,
    wallet             bigint      NOT NULL CONSTRAINT scheduled_deposits_wallet_fkey REFERENCES wallets (key),
    amount             bigint      NOT NULL CONSTRAINT scheduled_deposits_amount CHECK (amount > 0),
    bank_account       text        NOT NULL,
    description        text        NOT NULL,
    execute_time       timestamptz NOT NULL,
    create_time        timestamptz NOT NULL,
    update_time        timestamptz NOT NULL,
    state              text        NOT NULL CONSTRAINT scheduled_deposits_state
                                   CHECK (state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT', 'SUCCEEDED', 'FAILED',
                                                    'CANCELLED')),
    next_attempt_time  timestamptz,
    lease_until        timestamptz,
    fence              bigint      NOT NULL,
    asks               integer     NOT NULL,
    bank_reference     text        NOT NULL,
    failure_reason     text        CONSTRAINT scheduled_deposits_failure_reason
                                   CHECK (failure_reason IN ('BANK_REFUSED', 'ATTEMPTS_USED_UP', 'LIMIT_EXCEEDED')),
    attention          text        NOT NULL,
    external_reference text        NOT NULL,
    collect            boolean     NOT NULL,
    credit             uuid,
    -- Only the bank can be in doubt: without it there is before and after.
    CONSTRAINT scheduled_deposits_collected CHECK (collect OR state NOT IN ('PROCESSING', 'IN_DOUBT')),
    CONSTRAINT scheduled_deposits_final
        CHECK ((state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) = (next_attempt_time IS NULL)),
    CONSTRAINT scheduled_deposits_lease CHECK (lease_until IS NULL OR next_attempt_time IS NOT NULL),
    CONSTRAINT scheduled_deposits_succeeded CHECK ((state = 'SUCCEEDED') = (credit IS NOT NULL)),
    CONSTRAINT scheduled_deposits_reference CHECK ((collect AND state = 'SUCCEEDED') = (bank_reference <> '')),
    CONSTRAINT scheduled_deposits_failed CHECK ((state = 'FAILED') = (failure_reason IS NOT NULL))
);
CREATE INDEX scheduled_deposits_to_credit ON scheduled_deposits (next_attempt_time, id)
    WHERE NOT collect AND state = 'SCHEDULED';
CREATE INDEX scheduled_deposits_to_collect ON scheduled_deposits (next_attempt_time, id)
    WHERE collect AND state IN ('SCHEDULED', 'PROCESSING');
CREATE INDEX scheduled_deposits_to_reconcile ON scheduled_deposits (next_attempt_time, id)
    WHERE collect AND state IN ('IN_DOUBT', 'PROCESSING');
CREATE INDEX scheduled_deposits_open ON scheduled_deposits (wallet)
    WHERE state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT');
CREATE INDEX scheduled_deposits_by_wallet ON scheduled_deposits (wallet, create_time DESC, id DESC);
CREATE INDEX scheduled_deposits_by_time ON scheduled_deposits (create_time DESC, id DESC);
"""

HOLDS = """
CREATE TABLE holds (
    id          uuid        NOT NULL CONSTRAINT holds_pkey PRIMARY KEY,
    wallet      bigint      NOT NULL CONSTRAINT holds_wallet_fkey REFERENCES wallets (key),
    amount      bigint      NOT NULL CONSTRAINT holds_amount CHECK (amount > 0),
    captured    bigint      NOT NULL CONSTRAINT holds_captured CHECK (captured BETWEEN 0 AND amount),
    state       text        NOT NULL CONSTRAINT holds_state
                            CHECK (state IN ('ACTIVE', 'CAPTURED', 'VOIDED', 'EXPIRED')),
    expire_time timestamptz NOT NULL,
    description text        NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    lease_until timestamptz,
    fence       bigint      NOT NULL,
    CONSTRAINT holds_in_time CHECK (expire_time > create_time),
    CONSTRAINT holds_ended_by_capture CHECK (state <> 'CAPTURED' OR captured > 0),
    CONSTRAINT holds_not_used_up CHECK (state <> 'ACTIVE' OR captured < amount)
);
CREATE INDEX holds_to_expire ON holds (expire_time, id) WHERE state = 'ACTIVE';
CREATE INDEX holds_open ON holds (wallet) WHERE state = 'ACTIVE';
CREATE INDEX holds_by_wallet ON holds (wallet, create_time DESC, id DESC);
CREATE INDEX holds_by_time ON holds (create_time DESC, id DESC);
"""

COMMISSION = """
CREATE TABLE commission_rules (
    id              uuid        NOT NULL CONSTRAINT commission_rules_pkey PRIMARY KEY,
    currency        text        NOT NULL CONSTRAINT commission_rules_currency CHECK (currency ~ '^[A-Z]{3}$'),
    threshold       bigint      NOT NULL CONSTRAINT commission_rules_threshold CHECK (threshold >= 0),
    rate_millionths integer     NOT NULL CONSTRAINT commission_rules_rate
                                CHECK (rate_millionths BETWEEN 0 AND 1000000),
    fixed           bigint      NOT NULL CONSTRAINT commission_rules_fixed CHECK (fixed >= 0),
    minimum         bigint      NOT NULL CONSTRAINT commission_rules_minimum CHECK (minimum >= 0),
    maximum         bigint      CONSTRAINT commission_rules_maximum CHECK (maximum >= minimum),
    payer           text        NOT NULL CONSTRAINT commission_rules_payer CHECK (payer IN ('SOURCE', 'DESTINATION')),
    wallet          bigint      CONSTRAINT commission_rules_wallet_fkey REFERENCES wallets (key),
    label_key       text,
    label_value     text,
    start_time      timestamptz NOT NULL,
    end_time        timestamptz,
    create_time     timestamptz NOT NULL,
    CONSTRAINT commission_rules_scope
        CHECK ((label_key IS NULL) = (label_value IS NULL) AND (wallet IS NULL OR label_key IS NULL))
);
CREATE INDEX commission_rules_by_end ON commission_rules (currency, coalesce(end_time, 'infinity'));
CREATE INDEX commission_rules_by_wallet ON commission_rules (currency, wallet);
CREATE INDEX commission_rules_by_time ON commission_rules (create_time DESC, id DESC);
"""

GRANTS = """
GRANT SELECT, INSERT ON entry_totals, scheduled_deposits, holds, commission_rules TO wallet_service;
GRANT UPDATE (labels, revision) ON wallets TO wallet_service;
GRANT UPDATE (update_time, state, next_attempt_time, lease_until, fence, asks, bank_reference, failure_reason,
              attention, credit) ON scheduled_deposits TO wallet_service;
GRANT UPDATE (captured, state, update_time, lease_until, fence) ON holds TO wallet_service;
GRANT UPDATE (end_time) ON commission_rules TO wallet_service;
"""


def upgrade() -> None:
    """Add everything."""
    for statements in (WALLETS, TRANSACTIONS, ENTRIES, ORDERS, HOLDS, COMMISSION, GRANTS):
        op.execute(statements)
