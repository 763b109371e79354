"""Texts that are looked up by an index are in the order of their bytes, which no upgrade of a C library changes.

In another order an index goes on as if nothing was, and no longer finds what is there: a repeat would not find the
record of its request, and its money would move a second time.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = (
    *("requests.caller", "bank_attempts.key", "bank_statement_lines.key", "resolutions.subject", "wallets.owner"),
    *("transactions.type", "entries.type", "entry_totals.type", "commission_rules.currency"),
)


def upgrade() -> None:
    """Give each its order; the tables stay as they are, their indexes are made anew."""
    for table, column in (name.split(".") for name in COLUMNS):
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"')
