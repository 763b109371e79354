"""Events state their facts, which the journal's hash covers; checkpoints sign the journal.

Records of release 0.2 have no facts, and a hash without them.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FACTS = """
ALTER TABLE outbox ADD COLUMN facts text;
ALTER TABLE journal ADD COLUMN facts text;
COMMENT ON COLUMN journal.facts IS
    'What the event reports, as JSON, hashed as it is written here. NULL in records of release 0.2.';


ALTER TABLE outbox ALTER COLUMN subject TYPE text COLLATE "C";
ALTER TABLE journal ALTER COLUMN subject TYPE text COLLATE "C";
CREATE UNIQUE INDEX journal_posted_once ON journal (subject) WHERE type = 'transaction.posted';
CREATE INDEX journal_by_subject ON journal (subject, number) WHERE type <> 'transaction.posted';
"""

CHECKPOINTS = """
CREATE TABLE checkpoints (
    number     bigint      NOT NULL CONSTRAINT checkpoints_pkey PRIMARY KEY
               CONSTRAINT checkpoints_number CHECK (number > 0),
    statement  text        NOT NULL,
    key_id     text        NOT NULL COLLATE "C",
    signature  bytea       NOT NULL CONSTRAINT checkpoints_signature CHECK (length(signature) = 64),
    time       timestamptz NOT NULL
);
COMMENT ON TABLE checkpoints IS 'Signed states of the journal and of the money. Never changed.';
COMMENT ON COLUMN checkpoints.number IS 'Of the last journal record that it covers.';
COMMENT ON COLUMN checkpoints.statement IS
    'What is signed, as JSON: number, hash, time, wallets, totals by currency and role.';
COMMENT ON COLUMN checkpoints.key_id IS 'Which key signed it: the first bytes of the hash of its public half.';

CREATE TABLE checkpoint_keys (
    key_id     text        NOT NULL COLLATE "C" CONSTRAINT checkpoint_keys_pkey PRIMARY KEY,
    public_key bytea       NOT NULL CONSTRAINT checkpoint_keys_public_key CHECK (length(public_key) = 32),
    time       timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE checkpoint_keys IS
    'Public halves of the keys that have signed checkpoints. An auditor keeps a copy elsewhere. Never changed.';

CREATE TRIGGER checkpoints_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
CREATE TRIGGER checkpoint_keys_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint_keys
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
"""


def upgrade() -> None:
    """Add the columns and the table."""
    op.execute(FACTS)
    op.execute(CHECKPOINTS)
