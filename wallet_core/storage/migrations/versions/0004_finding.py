"""Finding payments: unique external references."""

from alembic import op

revision = "0004"
down_revision = "0001"
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


def upgrade() -> None:
    """Add what lists and unique references need."""
    op.execute(UNIQUE_REFERENCES)
