"""Amounts of money: whole minor units of one ISO 4217 currency."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from wallet_core.domain.model.errors import InvalidField

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

_INT64_DIGITS = len(str(INT64_MAX))
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of a currency; 10.05 USD is ``Money("USD", 1005)``."""

    currency: str
    minor: int


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency, and how many decimals its amounts have: 1005 minor units of ``Currency("USD", 2)`` are 10.05 USD.

    Stored with the first wallet in it, and unchanged for ever, even where ISO 4217 changes it.
    """

    code: str
    exponent: int


def require_positive(amount: Money) -> None:
    """Raise ``InvalidField`` for an amount that is not positive."""
    if amount.minor <= 0:
        raise InvalidField("amount", "must be above zero")


@cache
def listed_currencies() -> Mapping[str, Currency]:
    """Return what ISO 4217 lists with minor units, by code, as this release knows it: not gold, not testing codes.

    For new currencies only: those that wallets are in are stored.
    """
    from iso4217 import Currency as Listed  # noqa: PLC0415  # half of this module's load time, and rarely used

    found = {one.code: Currency(one.code, one.exponent) for one in Listed if one.exponent is not None}
    return MappingProxyType(found)


def decimal_text(minor_units: int, exponent: int) -> str:
    """Return an amount as a program reads it: digits and a point, ``-10.05``; the currency's decimals always shown."""
    digits = str(abs(minor_units)).rjust(exponent + 1, "0")
    sign = "-" if minor_units < 0 else ""
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}" if exponent else f"{sign}{digits}"


def parse_amount(text: str, currency: Currency) -> Money:
    """Read a decimal amount as a person types it: 10.05 of ``Currency("USD", 2)`` is 1005 minor units.

    Digits and one point only. Raises ``InvalidField`` for anything else, for more decimals than the currency has, for
    zero, and for more than a 64-bit integer holds.
    """
    if not _DECIMAL.fullmatch(text):
        raise InvalidField("amount", f"{text!r} is not an amount; write it like 10.05")
    # By the digits: decimal arithmetic could round the input.
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > currency.exponent:
        raise InvalidField("amount", f"{text} has more decimals than {currency.code} has ({currency.exponent})")
    digits = (whole + fraction.ljust(currency.exponent, "0")).lstrip("0")
    if not digits:
        raise InvalidField("amount", "must be above zero")
    if len(digits) > _INT64_DIGITS or int(digits) > INT64_MAX:
        raise InvalidField("amount", f"is more {currency.code} than can be counted")
    return Money(currency.code, int(digits))
