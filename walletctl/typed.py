"""Parsing of arguments: names, amounts, percents, times, labels. Raises ``InvalidArgument``."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from wallet_client import Amount
from walletctl import currencies

_NOTHING = re.compile(r"0+(\.0+)?")
_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]+))?%")
_PERCENT_DECIMALS = 4
_MILLION = 1_000_000
_DURATION = re.compile(
    r"(?:(?P<days>[0-9]+)d)?(?:(?P<hours>[0-9]+)h)?(?:(?P<minutes>[0-9]+)m)?(?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)s?)?"
)


class InvalidArgument(Exception):
    """An argument cannot be parsed; the text says how to write it."""


def resource(collection: str, typed: str) -> str:
    """Return the resource name of an id that is typed with or without its collection."""
    return typed if typed.startswith(f"{collection}/") else f"{collection}/{typed}"


def wallet_name(typed: str) -> str:
    """Return the resource name of a wallet."""
    return resource("wallets", typed)


def amount(typed: str, currency: str, what: str = "amount") -> Amount:
    """Parse an amount above zero; *what* names the argument."""
    from wallet_core.domain.model import errors, money  # noqa: PLC0415  # most commands parse no amount

    try:
        parsed = money.parse_amount(typed, money.Currency(currency, _exponent(currency)))
    except errors.InvalidField as invalid:
        raise InvalidArgument(f"{what}: {invalid.description}") from None
    return Amount(parsed.currency, parsed.minor)


def amount_or_zero(typed: str, currency: str, what: str) -> Amount:
    """Parse an amount that may be zero."""
    if not _NOTHING.fullmatch(typed):
        return amount(typed, currency, what)
    _exponent(currency)
    return Amount(currency, 0)


def _exponent(code: str) -> int:
    found = currencies.exponent(code)
    if found is None:
        raise InvalidArgument(f"currency: {code!r} is unknown to the service; `walletctl wallet currencies` lists all")
    return found


def millionths(typed: str) -> int:
    """Parse a percent like ``1.5%``, exactly, as millionths."""
    found = _PERCENT.fullmatch(typed)
    if found is None:
        raise InvalidArgument(f"--rate: {typed!r} is not a percent; write it like 10% or 1.5%")
    fraction = (found[2] or "").rstrip("0")
    if len(fraction) > _PERCENT_DECIMALS:
        raise InvalidArgument(f"--rate: {typed} has more than {_PERCENT_DECIMALS} decimals")
    rate = int(found[1] + fraction.ljust(_PERCENT_DECIMALS, "0"))
    if rate > _MILLION:
        raise InvalidArgument(f"--rate: {typed} is more than 100%")
    return rate


def time(typed: str, what: str) -> datetime:
    """Parse a time, or a date, which means its midnight in UTC; a time without a zone is in UTC too."""
    try:
        read = datetime.fromisoformat(typed)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"{what}: {typed!r} is not a time; write it like 2026-12-01T09:00:00Z, or 2026-12-01 for midnight UTC"
        ) from None


def time_or_none(typed: str | None, what: str) -> datetime | None:
    """Parse an optional time."""
    return None if typed is None else time(typed, what)


def from_now(typed: str, what: str) -> datetime:
    """Parse a duration like ``90``, ``15m`` or ``1h30m``; return the time at its end."""
    found = _DURATION.fullmatch(typed)
    if not typed or found is None:
        raise InvalidArgument(f"{what}: {typed!r} is not a duration; write it like 90s, 15m, 1h30m or 7d")
    parts = {unit: float(count) for unit, count in found.groupdict().items() if count is not None}
    try:
        return now() + timedelta(**parts)
    except OverflowError:
        raise InvalidArgument(f"{what}: {typed} ends after the year 9999") from None


def either(duration: str | None, duration_option: str, at: str | None, at_option: str) -> datetime | None:
    """Parse a time that is given by one of two options, or by neither."""
    if duration is not None and at is not None:
        raise InvalidArgument(f"use {duration_option} or {at_option}, not both")
    return from_now(duration, duration_option) if duration is not None else time_or_none(at, at_option)


def now() -> datetime:
    """Return the time by this machine's clock; stored times are the database's."""
    return datetime.now(UTC)  # noqa: TID251  # the caller's own clock


def labels(typed: Sequence[str] | None) -> dict[str, str]:
    """Parse labels like ``tier=gold``."""
    read: dict[str, str] = {}
    for one in typed or ():
        key, value = label(one)
        if key in read:
            raise InvalidArgument(f"--label: {key!r} is given twice")
        read[key] = value
    return read


def label(typed: str) -> tuple[str, str]:
    """Parse one label."""
    key, equals, value = typed.partition("=")
    if not (key and equals):
        raise InvalidArgument(f"--label: {typed!r} is not a label; write it like tier=gold")
    return key, value
