"""Amounts of money: whole minor units of one ISO 4217 currency."""

import re
from dataclasses import dataclass
from functools import cache

from iso4217 import Currency

from wallet_core.domain.errors import InvalidField

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

_INT64_DIGITS = len(str(INT64_MAX))
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Money:
    """So many minor units of a currency; 10.05 USD is ``Money("USD", 1005)``."""

    currency: str
    minor: int


def require_positive(amount: Money) -> None:
    """Raise ``InvalidField`` for an amount that moves nothing, or the other way."""
    if amount.minor <= 0:
        raise InvalidField("amount", "must be above zero")


@cache
def exponent_of(currency: str) -> int:
    """Return how many decimals a currency has by ISO 4217.

    Raises ``InvalidField`` for a code that ISO 4217 does not list, or lists without minor units (gold, testing codes).
    """
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        raise InvalidField("currency_code", f"{currency!r} is not an ISO 4217 currency with minor units")
    return exponent


def decimal_text(amount: Money) -> str:
    """Return an amount as a program reads it: digits and a point, ``-10.05``; the currency's decimals always shown."""
    exponent = exponent_of(amount.currency)
    digits = str(abs(amount.minor)).rjust(exponent + 1, "0")
    sign = "-" if amount.minor < 0 else ""
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}" if exponent else f"{sign}{digits}"


def parse_amount(text: str, currency: str) -> Money:
    """Read a decimal amount as a person types it: ``parse_amount("10.05", "USD")`` is 1005 minor units.

    Digits and one point only. Raises ``InvalidField`` for anything else, for more decimals than the currency has, for
    zero, and for more than a 64-bit integer holds.
    """
    exponent = exponent_of(currency)
    if not _DECIMAL.fullmatch(text):
        raise InvalidField("amount", f"{text!r} is not an amount; write it like 10.05")
    # On the digits themselves: decimal arithmetic would round what a person typed.
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > exponent:
        raise InvalidField("amount", f"{text} has more decimals than {currency} has ({exponent})")
    digits = (whole + fraction.ljust(exponent, "0")).lstrip("0")
    if not digits:
        raise InvalidField("amount", "must be above zero")
    if len(digits) > _INT64_DIGITS or int(digits) > INT64_MAX:
        raise InvalidField("amount", f"is more {currency} than can be counted")
    return Money(currency, int(digits))
