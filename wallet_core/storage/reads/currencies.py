"""Currencies, as they were stored with their first wallets."""

from collections.abc import Mapping

from sqlalchemy import text

from wallet_core.domain.model.money import Currency
from wallet_core.storage.connections.reader import Reader

_CURRENCIES = text("SELECT code, exponent FROM currencies")


class CurrencyReads(Reader):
    """Reads of currencies."""

    def currencies(self) -> Mapping[str, Currency]:
        """Return the currencies of all wallets, by code. Rows are added and never changed."""
        found = self.read(lambda tx: tx.execute(_CURRENCIES).all())
        return {row.code: Currency(row.code, row.exponent) for row in found}
