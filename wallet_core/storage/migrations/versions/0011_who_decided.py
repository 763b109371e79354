"""Beside the system that an operator's decision came through stands the person who made it."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PERSONS = """
-- As the credentials of the call said it, empty where they did not: a token's `sub` and `jti`, a certificate's name.
-- Of what was decided before it is not known.
ALTER TABLE resolutions ADD COLUMN person text NOT NULL DEFAULT '', ADD COLUMN token_id text NOT NULL DEFAULT '';
ALTER TABLE resolutions ALTER COLUMN person DROP DEFAULT, ALTER COLUMN token_id DROP DEFAULT;
ALTER TABLE bank_statements ADD COLUMN person text NOT NULL DEFAULT '', ADD COLUMN token_id text NOT NULL DEFAULT '';
ALTER TABLE bank_statements ALTER COLUMN person DROP DEFAULT, ALTER COLUMN token_id DROP DEFAULT;
-- A line has none until a person has looked into it.
ALTER TABLE bank_statement_lines ADD COLUMN person text NOT NULL DEFAULT '',
    ADD COLUMN token_id text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    """Add it to each table that keeps decisions."""
    op.execute(PERSONS)
