"""History cannot be rewritten by a slip, not even the owner's; what entries are checked by cannot be shadowed."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Superusers who mean it can still disable triggers; whoever merely forgets a WHERE cannot.
GUARD = """
CREATE FUNCTION refuse_change_of_history() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'history is never changed: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Correct it by a transaction of its own.';
END
$$;
"""
GUARDED = ("entries", "entry_totals", "transactions", "requests", "journal", "resolutions")

# Temporary tables come last, so that none of the same name is read instead; the schema is the one that is migrated.
SEARCH_PATH = """
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION check_entries() SET search_path = %I, pg_catalog, pg_temp', current_schema());
END
$$;
"""


def upgrade() -> None:
    """Guard every table of history, and the function that checks entries."""
    op.execute(GUARD)
    for table in GUARDED:
        op.execute(
            f"CREATE TRIGGER {table}_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history()"
        )
    op.execute(SEARCH_PATH)
