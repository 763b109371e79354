"""Payouts to the end: returns, the bank's own ledger followed line by line, resolutions by hand, one pace for all.

On a large table of withdrawals the new checks are made while nothing else is written to it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ORDERS = """
ALTER TABLE withdrawals
    DROP CONSTRAINT withdrawals_state,
    DROP CONSTRAINT withdrawals_failure_reason,
    DROP CONSTRAINT withdrawals_final,
    DROP CONSTRAINT withdrawals_succeeded,
    ADD CONSTRAINT withdrawals_state CHECK (state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT', 'SUCCEEDED', 'FAILED',
                                                      'CANCELLED', 'RETURNED')),
    ADD CONSTRAINT withdrawals_failure_reason
        CHECK (failure_reason IN ('INSUFFICIENT_FUNDS', 'WALLET_NOT_ACTIVE', 'BANK_REFUSED', 'ATTEMPTS_USED_UP',
                                  'RESOLVED')),
    ADD CONSTRAINT withdrawals_final
        CHECK ((state IN ('SCHEDULED', 'PROCESSING', 'IN_DOUBT')) = (next_attempt_time IS NOT NULL)),
    ADD CONSTRAINT withdrawals_succeeded CHECK ((state IN ('SUCCEEDED', 'RETURNED')) = (bank_reference <> ''));
CREATE INDEX withdrawals_attention ON withdrawals (update_time, id) WHERE attention <> '';

ALTER TABLE scheduled_deposits
    DROP CONSTRAINT scheduled_deposits_failure_reason,
    ADD CONSTRAINT scheduled_deposits_failure_reason
        CHECK (failure_reason IN ('BANK_REFUSED', 'ATTEMPTS_USED_UP', 'LIMIT_EXCEEDED', 'RESOLVED'));
CREATE INDEX scheduled_deposits_attention ON scheduled_deposits (update_time, id) WHERE attention <> '';

ALTER TABLE transactions
    DROP CONSTRAINT transactions_type,
    ADD CONSTRAINT transactions_type CHECK (type IN ('DEPOSIT', 'TRANSFER', 'WITHDRAWAL', 'WITHDRAWAL_SETTLEMENT',
                                                     'WITHDRAWAL_RELEASE', 'WITHDRAWAL_RETURN', 'COLLECTION',
                                                     'HOLD_CAPTURE', 'REVERSAL', 'RETURN_APPLICATION',
                                                     'COLLECTION_APPLICATION'));

-- What was asked, as it is kept; of attempts from before nobody wrote it down.
ALTER TABLE bank_attempts ADD COLUMN request text NOT NULL DEFAULT '';
"""

BANK_STATEMENT_LINES = """
-- The bank's own ledger as far as it has been followed; the last number is where to go on.
CREATE TABLE bank_statement_lines (
    number      bigint      NOT NULL CONSTRAINT bank_statement_lines_pkey PRIMARY KEY,
    kind        text        NOT NULL CONSTRAINT bank_statement_lines_kind
                            CHECK (kind IN ('EXECUTION', 'COLLECTION', 'RETURN', 'OTHER')),
    key         text        NOT NULL,
    -- The order that the key names, if it has the form of one of ours.
    order_id    uuid,
    amount      bigint      NOT NULL,
    currency    text        NOT NULL,
    reference   text        NOT NULL,
    time        timestamptz NOT NULL,
    match_result text CONSTRAINT bank_statement_lines_match_result CHECK (match_result IN ('ORDER', 'NOTHING')),
    why         text        NOT NULL DEFAULT '',
    resolution  text        NOT NULL DEFAULT '',
    resolved_by text        NOT NULL DEFAULT '',
    CONSTRAINT bank_statement_lines_why CHECK ((match_result IS NOT DISTINCT FROM 'NOTHING') = (why <> '')),
    CONSTRAINT bank_statement_lines_resolution CHECK (resolution = '' OR why <> '')
);
CREATE INDEX bank_statement_lines_by_key ON bank_statement_lines (key, number);
CREATE INDEX bank_statement_lines_unmatched ON bank_statement_lines (number) WHERE match_result IS NULL;
CREATE INDEX bank_statement_lines_open ON bank_statement_lines (time, number)
    WHERE match_result = 'NOTHING' AND resolution = '';
"""

FOLLOWING = """
-- Why the bank's ledger cannot be followed, if so, and since when: one row.
CREATE TABLE bank_following (
    trouble text        NOT NULL,
    since   timestamptz NOT NULL
);
INSERT INTO bank_following VALUES ('', clock_timestamp());
"""

RESOLUTIONS = """
-- What people have decided, for ever.
CREATE TABLE resolutions (
    position  bigint      NOT NULL GENERATED ALWAYS AS IDENTITY CONSTRAINT resolutions_pkey PRIMARY KEY,
    subject   text        NOT NULL,
    kind      text        NOT NULL CONSTRAINT resolutions_kind
        CHECK (kind IN ('EXECUTED', 'NOT_EXECUTED', 'APPLIED_TO_WALLET', 'ACKNOWLEDGED')),
    reason    text        NOT NULL CONSTRAINT resolutions_reason CHECK (reason <> ''),
    bank_evidence text        NOT NULL,
    operator  text        NOT NULL,
    time      timestamptz NOT NULL
);
CREATE INDEX resolutions_by_subject ON resolutions (subject, position);
"""

PACE = """
-- How many calls the bank may be sent now, for all schedulers together: one row.
CREATE TABLE bank_rate_limit (
    calls     double precision NOT NULL,
    filled_at timestamptz      NOT NULL
);
INSERT INTO bank_rate_limit VALUES (0, clock_timestamp());
"""

GRANTS = """
GRANT SELECT, INSERT ON bank_statement_lines, resolutions TO wallet_service;
GRANT UPDATE (match_result, why, resolution, resolved_by) ON bank_statement_lines TO wallet_service;
GRANT SELECT, UPDATE ON bank_rate_limit, bank_following TO wallet_service;
"""


def upgrade() -> None:
    """Add everything."""
    for statements in (ORDERS, BANK_STATEMENT_LINES, FOLLOWING, RESOLUTIONS, PACE, GRANTS):
        op.execute(statements)
