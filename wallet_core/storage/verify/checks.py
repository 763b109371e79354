"""Verify: check every rule of the ledger, from the entries up, in one snapshot."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.model.errors import DatabaseUnavailable
from wallet_core.storage.verify.bank_statements import BANK_STATEMENTS
from wallet_core.storage.verify.payments import PAYMENTS
from wallet_core.storage.verify.records import RECORDS
from wallet_core.storage.verify.rules import Rules
from wallet_core.storage.verify.transactions import TRANSACTIONS
from wallet_core.storage.verify.wallets import WALLETS

RULES: Rules = {**WALLETS, **TRANSACTIONS, **PAYMENTS, **BANK_STATEMENTS, **RECORDS}
_ALL_RULES = text("SELECT " + ", ".join(f"({query})" for _, query in RULES.values()))


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, and how many rows break it."""

    name: str
    meaning: str
    broken: int

    def as_row(self) -> dict[str, str | int]:
        """Return it as a row of a table."""
        return asdict(self)


def verify(engine: Engine) -> list[Check]:
    """Return every rule with its count of broken rows: all zero in a correct ledger. Raises ``DatabaseUnavailable``."""
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            return checks(tx)
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig


def checks(tx: Connection) -> list[Check]:
    """Return every rule with its count, as one transaction reads the tables."""
    broken = tx.execute(_ALL_RULES).one()
    return [Check(name, meaning, count) for (name, (meaning, _)), count in zip(RULES.items(), broken, strict=True)]
