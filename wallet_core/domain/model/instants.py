"""Instants as they are hashed, signed and stored in facts: in microseconds since 1970, as exact as the database."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds_of(time: datetime) -> int:
    """Return an instant as a number."""
    return (time - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """Return the instant of a number."""
    return _EPOCH + timedelta(microseconds=microseconds)
