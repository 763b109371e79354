"""The first schema: ledger, commission, holds, payments and bank, idempotency records, events.

The statements are in ``0001_ledger/``, a file for each subject.

Names are never schema-qualified, so that a tenant can be a schema. There is no downgrade: posted money is not undone.
``connections/grants.py`` has what the service's role may do with each table. Texts that an index looks up have the
collation "C": the order of their bytes, which no upgrade of a C library changes. In another order an index would
silently stop finding its rows, and a repeat of a request would move money a second time.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).with_suffix("")
SUBJECTS = (
    "wallets",
    "transactions",
    "entry_checks",
    "commission_rules",
    "holds",
    "payment_orders",
    "bank",
    "requests",
    "events",
    "history",
)
NEVER_CHANGED = (
    *("currencies", "transactions", "entries", "entry_totals", "requests", "journal", "resolutions", "bank_statements"),
)


def upgrade() -> None:
    """Execute each subject's statements, and let no row of the history be changed."""
    for subject in SUBJECTS:
        op.execute((SQL / f"{subject}.sql").read_text(encoding="utf-8"))
    for table in NEVER_CHANGED:
        op.execute(
            f"CREATE TRIGGER {table}_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history()"
        )
