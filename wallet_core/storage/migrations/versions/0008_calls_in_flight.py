"""Attempts say themselves how long their call may be on its way, and whether the bank had not known the key."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Of attempts from before nobody wrote it down: an hour is longer than any call was allowed to take.
ATTEMPTS = """
ALTER TABLE bank_attempts
    ADD COLUMN in_flight_until timestamptz,
    ADD COLUMN is_resend boolean NOT NULL DEFAULT false;
UPDATE bank_attempts SET in_flight_until = start_time + interval '1 hour';
ALTER TABLE bank_attempts
    ALTER COLUMN in_flight_until SET NOT NULL,
    ALTER COLUMN is_resend DROP DEFAULT,
    ADD CONSTRAINT bank_attempts_in_flight_until CHECK (in_flight_until >= start_time);
"""


def upgrade() -> None:
    """Add both."""
    op.execute(ATTEMPTS)
