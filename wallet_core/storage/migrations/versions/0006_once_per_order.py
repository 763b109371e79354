"""The database stops a second step of one order; when the bank's ledger was last read to its end.

A withdrawal is debited, settled or released, returned, and given another wallet once each, whatever the service does.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ONCE = """
CREATE UNIQUE INDEX transactions_once_per_order ON transactions (
    cause,
    -- One order ends once: settled or released.
    (CASE WHEN type = 'WITHDRAWAL_RELEASE' THEN 'WITHDRAWAL_SETTLEMENT' ELSE type END)
) WHERE cause IS NOT NULL AND type NOT IN ('REVERSAL', 'HOLD_CAPTURE');
"""
FOLLOWED = """
ALTER TABLE bank_following ADD COLUMN read_to_end_at timestamptz;
"""


def upgrade() -> None:
    """Add both."""
    op.execute(ONCE)
    op.execute(FOLLOWED)
