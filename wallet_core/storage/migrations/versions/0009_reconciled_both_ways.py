"""Orders know whether the bank's ledger says the same of them, and whether money of theirs found no room."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What is done and not reconciled is few rows: those whose line is still to come, and those that a person must look at.
ORDERS = """
ALTER TABLE {table}
    ADD COLUMN unapplied boolean NOT NULL DEFAULT false,
    ADD COLUMN reconciled boolean NOT NULL DEFAULT false;
UPDATE {table} SET unapplied = true WHERE state IN ('SUCCEEDED', 'RETURNED') AND attention <> '';
UPDATE {table}
SET reconciled = true
FROM bank_statement_lines
WHERE bank_statement_lines.order_id = {table}.id AND bank_statement_lines.key = '{prefix}-' || {table}.id
    AND bank_statement_lines.match_result = 'ORDER' AND bank_statement_lines.kind = '{kind}';
ALTER TABLE {table}
    ADD CONSTRAINT {table}unapplied CHECK (NOT unapplied OR state IN ('SUCCEEDED', 'RETURNED') AND attention <> '');
CREATE INDEX {table}_unreconciled ON {table} (update_time, id) WHERE {asked} AND NOT reconciled;
"""


def upgrade() -> None:
    """Add both to both kinds of orders."""
    done = "state IN ('SUCCEEDED', 'RETURNED')"
    op.execute(ORDERS.format(table="withdrawals", prefix="wd", kind="EXECUTION", asked=done))
    op.execute(ORDERS.format(table="scheduled_deposits", prefix="sd", kind="COLLECTION", asked=f"collect AND {done}"))
