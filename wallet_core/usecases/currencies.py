"""Currencies: their stored decimals, and which of them new wallets may be in."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from wallet_core.domain.model.errors import LedgerBroken, ServiceError
from wallet_core.domain.model.money import Currency, listed_currencies


@dataclass(frozen=True, slots=True)
class Offered:
    """A currency as callers see it."""

    currency: Currency
    is_open: bool
    """Whether new wallets may be in it: ISO 4217 lists it in this release."""


class Currencies:
    """Stored currencies, read once each, because they never change. Threads may share it."""

    def __init__(self, read: Callable[[], Mapping[str, Currency]]) -> None:
        self._read = read
        self._known: Mapping[str, Currency] = {}

    def exponent_of(self, code: str) -> int:
        """Return the decimals of a currency that a wallet is in; needed only where an amount becomes text.

        Raises ``ServiceError`` where it is not known yet and the database fails.
        """
        if code not in self._known:
            self._known = self._read()
        if code not in self._known:
            raise LedgerBroken
        return self._known[code].exponent

    def exponent_if_known(self, code: str) -> int | None:
        """Return the same, or None where it cannot be read: for error messages, which must not fail themselves."""
        with suppress(ServiceError):
            return self.exponent_of(code)
        return None

    @staticmethod
    def open() -> list[str]:
        """Return the codes of the currencies that new wallets may be in."""
        return sorted(listed_currencies())

    def all(self) -> list[Offered]:
        """Return all currencies, by code: the stored ones of wallets, and those that ISO 4217 lists."""
        listed = listed_currencies()
        self._known = self._read()
        every = {**listed, **self._known}
        return [Offered(every[code], code in listed) for code in sorted(every)]
