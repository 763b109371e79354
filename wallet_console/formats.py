"""Amounts, numbers and times as people of one language write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from babel.numbers import format_decimal
from google.protobuf.timestamp_pb2 import Timestamp
from jdatetime import datetime as persian_datetime
from wallet.v1.money_pb2 import Money

from wallet_client import Amount
from wallet_console.texts import PERSIAN, Texts

# Digits and separators of numbers.
_PERSIAN = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")
_MINUS = "\N{MINUS SIGN}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MOST = 2**63 - 1


class NotReadable(Exception):
    """What was typed cannot be read; the text, in English, is a key of the translations."""


def now() -> datetime:
    """Return this machine's time: for ages that are shown, and for ranges that a page begins with."""
    return datetime.now(UTC)  # noqa: TID251  # shown to people; what counts is by the database's clock


def stamp(time: datetime) -> Timestamp:
    """Return the message of a time."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


@dataclass(frozen=True, slots=True)
class Formats:
    """Writes values in one language."""

    texts: Texts
    exponents: Mapping[str, int]
    """The number of decimals of each currency."""

    @property
    def _persian(self) -> bool:
        return self.texts.language == PERSIAN

    def number(self, value: float | Decimal, decimals: int = 0) -> str:
        """Return a number with separators."""
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        text = format_decimal(abs(Decimal(value)), pattern, locale="en")
        text = text.translate(_PERSIAN) if self._persian else text
        return f"{_MINUS}{text}" if value < 0 else text

    def amount(self, money: Money, *, signed: bool = False) -> str:
        """Return an amount without its currency; *signed*: with a plus, too."""
        exponent = self.exponents.get(money.currency_code, 0)
        text = self.number(Decimal(money.minor_units).scaleb(-exponent), exponent)
        return f"+{text}" if signed and money.minor_units > 0 else text

    def minor(self, units: int, currency: str) -> str:
        """Return an amount, given in minor units."""
        return self.amount(Money(currency_code=currency, minor_units=units))

    def percent(self, millionths: int) -> str:
        """Return a rate in percent, with as many decimals as it has."""
        percent = Decimal(millionths) / 10_000
        decimals = max(0, -int(percent.normalize().as_tuple().exponent))
        return self.number(percent, decimals) + ("٪" if self._persian else "%")

    def time(self, moment: Timestamp | datetime, *, seconds: bool = True) -> str:
        """Return a time in UTC; in Persian by the Persian calendar."""
        shown = moment if isinstance(moment, datetime) else moment.ToDatetime(UTC)
        clock = "%H:%M:%S" if seconds else "%H:%M"
        if self._persian:
            text: str = persian_datetime.fromgregorian(datetime=shown).strftime(f"%Y/%m/%d {clock}")
            return text.translate(_PERSIAN)
        return shown.strftime(f"%Y-%m-%d {clock}")

    def age(self, moment: Timestamp | datetime) -> str:
        """Return how long ago a time is, or how far ahead, in one unit."""
        shown = moment if isinstance(moment, datetime) else moment.ToDatetime(UTC)
        seconds = (now() - shown).total_seconds()
        length = self.duration(abs(seconds))
        return self.texts("{length} ago", length=length) if seconds >= 0 else self.texts("in {length}", length=length)

    def duration(self, seconds: float | timedelta) -> str:
        """Return a length of time, in its largest unit."""
        whole = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
        for size, unit in ((_DAY, "{count} d"), (_HOUR, "{count} h"), (_MINUTE, "{count} min")):
            if whole >= size:
                return self.texts(unit, count=self.number(whole // size))
        return self.texts("{count} s", count=self.number(whole))

    def parse_amount(self, typed: str, currency: str) -> Amount:
        """Read an amount above zero, as people type it; raise ``NotReadable``."""
        exponent = self.exponents.get(currency)
        if exponent is None:
            raise NotReadable("This currency is not known.")
        plain = typed.strip().replace(",", "").replace("٬", "").replace("٫", ".").replace(" ", "")
        try:
            minor = Decimal(plain).scaleb(exponent)
        except InvalidOperation:
            raise NotReadable("Write the amount in digits, with a point before the decimals.") from None
        if not minor.is_finite() or minor != minor.to_integral_value():
            raise NotReadable("The amount has more decimals than its currency.")
        if abs(minor) > _MOST:
            raise NotReadable("The amount is too large.")
        return Amount(currency, int(minor))


def parse_time(typed: str) -> datetime | None:
    """Read a time in UTC as a browser's field writes it, None where it is empty; raise ``NotReadable``."""
    if not typed.strip():
        return None
    try:
        parsed = datetime.fromisoformat(typed.strip())
    except ValueError:
        raise NotReadable("Write a time as 2026-01-31T12:00.") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
