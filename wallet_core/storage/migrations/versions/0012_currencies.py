"""The decimals of a currency are written down with its first wallet, and hold whatever ISO 4217 says of it later."""

import sqlalchemy as sa
from alembic import op
from iso4217 import Currency

from wallet_core.domain.model.errors import LedgerBroken

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE currencies (
    code     text     NOT NULL COLLATE "C"
                      CONSTRAINT currencies_pkey PRIMARY KEY CONSTRAINT currencies_code CHECK (code ~ '^[A-Z]{3}$'),
    -- How many decimals an amount has: 1005 minor units are 10.05 where it is 2.
    exponent smallint NOT NULL CONSTRAINT currencies_exponent CHECK (exponent BETWEEN 0 AND 9)
);
CREATE TRIGGER currencies_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON currencies
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
"""

# Checked where a wallet is opened, never where money moves.
FOREIGN_KEY = "ALTER TABLE wallets ADD CONSTRAINT wallets_currency_fkey FOREIGN KEY (currency) REFERENCES currencies"

# What ISO 4217 has withdrawn, and so the library no longer lists, with the decimals that it had.
WITHDRAWN = {
    **dict.fromkeys(
        ("ANG", "BGN", "CUC", "EEK", "HRK", "LTL", "LVL", "MRO", "SLL", "STD", "VEF", "ZMK", "ZWL"),
        2,
    ),
    "BYR": 0,
}


def upgrade() -> None:
    """Make the table, and write down the currencies of all wallets that there are."""
    op.execute(TABLE)
    connection = op.get_bind()
    listed = {one.code: one.exponent for one in Currency}
    for code in connection.execute(sa.text("SELECT DISTINCT currency FROM wallets ORDER BY 1")).scalars():
        exponent = listed.get(code, WITHDRAWN.get(code))
        if exponent is None:
            raise LedgerBroken from LookupError(
                f"there are wallets in {code}, whose decimals this release does not know; nothing was migrated: "
                "add them to WITHDRAWN in 0012_currencies.py, as its amounts were entered"
            )
        connection.execute(
            sa.text("INSERT INTO currencies VALUES (:code, :exponent)"), {"code": code, "exponent": exponent}
        )
    op.execute(FOREIGN_KEY)
