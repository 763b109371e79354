"""What people type, read exactly: names, amounts, percents, times, labels. What cannot be read raises ``Mistyped``."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from wallet_client import Amount
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.money import Currency, parse_amount
from walletctl import currencies

_NOTHING = re.compile(r"0+(\.0+)?")
_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]+))?%")
_PERCENT_DECIMALS = 4
_MILLION = 1_000_000
_DURATION = re.compile(
    r"(?:(?P<days>[0-9]+)d)?(?:(?P<hours>[0-9]+)h)?(?:(?P<minutes>[0-9]+)m)?(?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)s?)?"
)


class Mistyped(Exception):
    """What was typed cannot be read; the text says how to write it."""


def resource(collection: str, typed: str) -> str:
    """Return the resource name of what was typed with or without its collection."""
    return typed if typed.startswith(f"{collection}/") else f"{collection}/{typed}"


def wallet_name(typed: str) -> str:
    """Return the resource name of a wallet."""
    return resource("wallets", typed)


def amount(typed: str, currency: str, what: str = "amount") -> Amount:
    """Read an amount above zero; *what* is what it was typed as."""
    try:
        money = parse_amount(typed, _known(currency))
    except InvalidField as invalid:
        raise Mistyped(f"{what}: {invalid.description}") from None
    return Amount(money.currency, money.minor)


def amount_or_zero(typed: str, currency: str, what: str) -> Amount:
    """Read an amount that may be zero."""
    if not _NOTHING.fullmatch(typed):
        return amount(typed, currency, what)
    return Amount(_known(currency).code, 0)


def _known(code: str) -> Currency:
    found = currencies.currency(code)
    if found is None:
        raise Mistyped(f"currency: the service knows no {code!r}; `walletctl wallet currencies` shows what it knows")
    return found


def millionths(typed: str) -> int:
    """Read a percent like ``1.5%``, exactly."""
    found = _PERCENT.fullmatch(typed)
    if found is None:
        raise Mistyped(f"--rate: {typed!r} is not a percent; write it like 10% or 1.5%")
    fraction = (found[2] or "").rstrip("0")
    if len(fraction) > _PERCENT_DECIMALS:
        raise Mistyped(f"--rate: {typed} has more than {_PERCENT_DECIMALS} decimals")
    rate = int(found[1] + fraction.ljust(_PERCENT_DECIMALS, "0"))
    if rate > _MILLION:
        raise Mistyped(f"--rate: {typed} is more than 100%")
    return rate


def time(typed: str, what: str) -> datetime:
    """Read a time, or a date, which is its midnight in UTC; a time without a zone is in UTC too."""
    try:
        read = datetime.fromisoformat(typed)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Mistyped(
            f"{what}: {typed!r} is not a time; write it like 2026-12-01T09:00:00Z, or 2026-12-01 for midnight UTC"
        ) from None


def time_or_none(typed: str | None, what: str) -> datetime | None:
    """Read a time that need not be given."""
    return None if typed is None else time(typed, what)


def from_now(typed: str, what: str) -> datetime:
    """Read a duration like ``90``, ``15m`` or ``1h30m``; return when it will have passed."""
    found = _DURATION.fullmatch(typed)
    if not typed or found is None:
        raise Mistyped(f"{what}: {typed!r} is not a duration; write it like 90s, 15m, 1h30m or 7d")
    parts = {unit: float(count) for unit, count in found.groupdict().items() if count is not None}
    try:
        return now() + timedelta(**parts)
    except OverflowError:
        raise Mistyped(f"{what}: {typed} ends after the year 9999") from None


def either(duration: str | None, duration_option: str, at: str | None, at_option: str) -> datetime | None:
    """Read a time that is told by one of two options, or by neither."""
    if duration is not None and at is not None:
        raise Mistyped(f"say {duration_option} or {at_option}, not both")
    return from_now(duration, duration_option) if duration is not None else time_or_none(at, at_option)


def now() -> datetime:
    """Return the time by the caller's own clock; what is stored has the database's."""
    return datetime.now(UTC)  # noqa: TID251  # the caller's own clock


def labels(typed: Sequence[str] | None) -> dict[str, str]:
    """Read labels like ``tier=gold``."""
    read: dict[str, str] = {}
    for one in typed or ():
        key, value = label(one)
        if key in read:
            raise Mistyped(f"--label: {key!r} is said twice")
        read[key] = value
    return read


def label(typed: str) -> tuple[str, str]:
    """Read one label."""
    key, equals, value = typed.partition("=")
    if not (key and equals):
        raise Mistyped(f"--label: {typed!r} is not a label; write it like tier=gold")
    return key, value
