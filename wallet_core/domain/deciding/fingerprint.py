"""The fingerprint of a request: 16 bytes that are stored with its id for ever.

The hash covers names of its own, in the order of the form that each command has: renaming or reordering fields
in Python changes no fingerprint. A field that is added later is left out of the hash at the value that it has when a
caller does not send it, so stored fingerprints stay right. Golden values: ``tests/unit/test_fingerprint.py``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import ClassVar, Final
from uuid import UUID

from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionDetails

# Part of every fingerprint: raise it when the canonical form changes, and keep reading the old one.
_VERSION = 1

_NEVER: Final = object()


@dataclass(frozen=True, slots=True)
class HashedField:
    """A field of a request: its name in the hash, and the attribute that has its value."""

    name: str
    attribute: str
    left_out: object = _NEVER
    """The value at which the hash leaves it out."""


Form = tuple[HashedField, ...]
"""The fields that a fingerprint covers. Not among them: the caller, the request id, ids of ours, settings of ours."""


class Fingerprinted:
    """A request, or a part of one that is hashed field by field."""

    __slots__ = ()

    form: ClassVar[Form]


def always(*names: str) -> Form:
    """Return a form of fields that are always hashed."""
    return tuple(HashedField(name, name) for name in names)


def unless(**values: object) -> Form:
    """Return a form of fields that are left out of the hash at these values."""
    return tuple(HashedField(name, name, value) for name, value in values.items())


def fingerprint(method: str, request: Fingerprinted) -> bytes:
    """Return 16 bytes that are the same for two requests exactly if they request the same thing."""
    text = json.dumps([_VERSION, method, _fields(request)], separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _fields(request: Fingerprinted) -> list[list[object]]:
    values = [(field, getattr(request, field.attribute)) for field in request.form]
    return [[field.name, _canonical(value)] for field, value in values if value != field.left_out]


def _canonical(value: object) -> object:  # noqa: PLR0911  # one return for each kind of value
    """Return a form that JSON writes in one way only; unset stays unset.

    Of labels and details the fields themselves are hashed, by name and in order, each unless it is empty.
    """
    match value:
        case None | str() | int() | bool():
            return value
        case Money(currency, minor):
            return [currency, minor]
        case Mapping():
            return sorted([key, _canonical(one)] for key, one in value.items())
        case tuple():
            return [_canonical(one) for one in value]
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case Fingerprinted():
            return _fields(value)
        case Label() | TransactionDetails():
            return [
                [one.name, _canonical(getattr(value, one.name))] for one in fields(value) if getattr(value, one.name)
            ]
        case _:
            message = f"no canonical form for {type(value).__name__}"
            raise TypeError(message)
