"""Another ledger of the bank can be accepted in place of the one that was followed."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LEDGERS = """
-- The bank's ledgers that were followed, one after the other, and who accepted each but the first.
CREATE TABLE bank_statements (
    number      integer     NOT NULL CONSTRAINT bank_statements_pkey PRIMARY KEY,
    reason      text        NOT NULL CONSTRAINT bank_statements_reason CHECK ((number = 1) = (reason = '')),
    accepted_by text        NOT NULL,
    time        timestamptz NOT NULL
);
INSERT INTO bank_statements VALUES (1, '', '', clock_timestamp());
CREATE TRIGGER bank_statements_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_statements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();

-- Lines are numbered on from ledger to ledger: base is the last number before the one that is followed now.
ALTER TABLE bank_statement_lines ADD COLUMN ledger integer NOT NULL DEFAULT 1;
ALTER TABLE bank_statement_lines ALTER COLUMN ledger DROP DEFAULT;
ALTER TABLE bank_following
    ADD COLUMN ledger integer NOT NULL DEFAULT 1,
    ADD COLUMN base bigint NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    """Begin with the ledger that is followed."""
    op.execute(LEDGERS)
