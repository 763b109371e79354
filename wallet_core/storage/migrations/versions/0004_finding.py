"""Finding payments: by caller, reference, label and time across wallets; and unique external references.

Callers and labels of what is there already are filled in, from the records of its requests.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UNIQUE_REFERENCES = """
CREATE TABLE unique_references (
    caller    text NOT NULL COLLATE "C",
    reference text NOT NULL COLLATE "C",
    payment   text NOT NULL,
    CONSTRAINT unique_references_pkey PRIMARY KEY (caller, reference)
);
COMMENT ON TABLE unique_references IS
    'External references that one payment of a caller may have, of payments that asked for it. Never changed.';
COMMENT ON COLUMN unique_references.payment IS 'Name of the transaction or the scheduled deposit that has it.';
CREATE TRIGGER unique_references_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON unique_references
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
"""


# A caller is stored with what it asked for: to find it by the records of requests, each list would have to join them
# and give up its order. The history's guard is for everybody else.
CALLERS = """
ALTER TABLE transactions ADD COLUMN caller text NOT NULL DEFAULT '' COLLATE "C";
ALTER TABLE withdrawals ADD COLUMN caller text NOT NULL DEFAULT '' COLLATE "C";
ALTER TABLE scheduled_deposits ADD COLUMN caller text NOT NULL DEFAULT '' COLLATE "C";
ALTER TABLE holds ADD COLUMN caller text NOT NULL DEFAULT '' COLLATE "C";
COMMENT ON COLUMN transactions.caller IS
    'The calling system whose request moved the money; empty where a job of the service did.';

ALTER TABLE transactions DISABLE TRIGGER transactions_guarded;
UPDATE transactions SET caller = r.caller
FROM requests AS r
WHERE r.subject = 'transactions/' || transactions.id;
UPDATE transactions SET caller = r.caller
FROM requests AS r
WHERE batch IS NOT NULL AND r.subject = 'batches/' || batch;
ALTER TABLE transactions ENABLE TRIGGER transactions_guarded;
UPDATE withdrawals SET caller = r.caller
FROM requests AS r
WHERE r.method = 'ScheduleWithdrawal' AND r.subject = 'withdrawals/' || withdrawals.id;
UPDATE scheduled_deposits SET caller = r.caller
FROM requests AS r
WHERE r.method = 'ScheduleDeposit' AND r.subject = 'scheduledDeposits/' || scheduled_deposits.id;
UPDATE holds SET caller = r.caller
FROM requests AS r
WHERE r.method = 'PlaceHold' AND r.subject = 'holds/' || holds.id;
"""

LABELS = """
CREATE TABLE transaction_labels (
    key         text        NOT NULL COLLATE "C",
    value       text        NOT NULL COLLATE "C",
    time        timestamptz NOT NULL,
    transaction uuid        NOT NULL,
    CONSTRAINT transaction_labels_pkey PRIMARY KEY (key, value, time, transaction)
);
COMMENT ON TABLE transaction_labels IS
    'Labels of transactions, ordered to be listed by: what transactions.labels has, a row each. Never changed.';
INSERT INTO transaction_labels
SELECT label.key, label.value, time, id
FROM transactions
CROSS JOIN LATERAL jsonb_each_text(labels) AS label
WHERE labels <> '{}';
CREATE TRIGGER transaction_labels_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON transaction_labels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
"""

# Made once the rows are there. The service's own work, and payments without a reference, are in the first alone.
INDEXES = """
ALTER TABLE transactions ALTER COLUMN external_reference TYPE text COLLATE "C";
ALTER TABLE scheduled_deposits ALTER COLUMN external_reference TYPE text COLLATE "C";
CREATE INDEX transactions_by_time ON transactions (time, id);
CREATE INDEX transactions_by_caller ON transactions (caller, time, id) WHERE caller <> '';
CREATE INDEX transactions_by_reference ON transactions (external_reference, time, id) WHERE external_reference <> '';
CREATE INDEX withdrawals_by_caller ON withdrawals (caller, create_time, id) WHERE caller <> '';
CREATE INDEX scheduled_deposits_by_caller ON scheduled_deposits (caller, create_time, id) WHERE caller <> '';
CREATE INDEX scheduled_deposits_by_reference ON scheduled_deposits (external_reference, create_time, id)
    WHERE external_reference <> '';
CREATE INDEX holds_by_caller ON holds (caller, create_time, id) WHERE caller <> '';
"""


def upgrade() -> None:
    """Add what lists and unique references need."""
    for statements in (UNIQUE_REFERENCES, CALLERS, LABELS, INDEXES):
        op.execute(statements)
