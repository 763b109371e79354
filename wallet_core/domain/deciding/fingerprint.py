"""The fingerprint of what a caller asks: 16 bytes that are kept for ever with its request id.

What is hashed has words of its own: a name for each field, in an order that stands here, so that no rename and no new
order of fields in Python changes a fingerprint. A field that is added later is left out where it has the value that it
has when it is not sent; so what was stored before stays right. Golden values: ``tests/unit/test_fingerprint.py``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.money import Money

# Part of every fingerprint: raise it when the canonical form changes, and keep reading the old one.
_VERSION = 1

_NEVER: Final = object()


@dataclass(frozen=True, slots=True)
class Kept:
    """A field of what is asked: the name that is kept for it, and which attribute has it."""

    name: str
    attribute: str
    left_out: object = _NEVER
    """The value with which it is left out."""


Form = tuple[Kept, ...]


def _always(*names: str) -> Form:
    return tuple(Kept(name, name) for name in names)


def _unless(**values: object) -> Form:
    return tuple(Kept(name, name, value) for name, value in values.items())


_WALLET_CHANGE = _always("wallet", "etag")
_TRANSFER = (
    *_always("source", "destination", "amount", "description"),
    *_unless(external_reference="", labels={}, max_commission=None),
)
_RESOLUTION = (
    *_always("order", "resolution", "reason", "bank_evidence"),
    *_unless(bank_reference="", destination=None),
)

_LABEL = _always("key", "value")

# By method. What a caller did not ask for is not here: who asks, under which id, ids that we made up, settings of ours.
FORMS: Mapping[str, Form] = {
    "CreateWallet": (
        *_always("asked_id", "currency", "owner", "display_name"),
        *_unless(labels={}, overdraft_limit=0),
    ),
    "UpdateWallet": (
        *_WALLET_CHANGE,
        *_always("display_name", "labels", "overdraft_limit"),
        *_unless(clear_overdraft_limit=False),
    ),
    "FreezeWallet": _WALLET_CHANGE,
    "UnfreezeWallet": _WALLET_CHANGE,
    "CloseWallet": _WALLET_CHANGE,
    "Deposit": (*_always("wallet", "amount", "description", "external_reference"), *_unless(labels={})),
    "Transfer": _TRANSFER,
    "BatchTransfer": _always("items"),
    "ReverseTransaction": _always("transaction", "amount", "keep_commission", "description"),
    "PlaceHold": _always("wallet", "amount", "expire_time", "description"),
    "CaptureHold": (*_always("hold", "destination", "amount", "final", "description"), *_unless(labels={})),
    "VoidHold": _always("hold"),
    "CreateCommissionRule": _always(
        *("currency", "threshold", "rate_millionths", "fixed", "minimum", "maximum", "payer", "wallet", "label"),
        *("start_time", "end_time"),
    ),
    "EndCommissionRule": _always("rule", "end_time"),
    "ScheduleWithdrawal": (
        *_always("wallet", "amount", "execute_time", "bank_account", "description"),
        *_unless(reserve=False),
    ),
    "CancelWithdrawal": (Kept("withdrawal", "order"),),
    "ScheduleDeposit": _always(
        *("wallet", "amount", "execute_time", "collect", "bank_account", "description", "external_reference")
    ),
    "CancelScheduledDeposit": _always("order"),
    "ResolveWithdrawal": _RESOLUTION,
    "ResolveScheduledDeposit": _RESOLUTION,
    "ResolveDiscrepancy": _always("line", "reason"),
    "AcceptBankStatement": _always("ledger", "reason"),
}


def fingerprint(command: Command) -> bytes:
    """Return 16 bytes that are the same for two commands exactly if they ask for the same thing."""
    form = [_VERSION, command.method, _asked(command, FORMS[command.method])]
    text = json.dumps(form, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _asked(asking: object, form: Form) -> list[list[object]]:
    values = [(kept, getattr(asking, kept.attribute)) for kept in form]
    return [[kept.name, _canonical(value)] for kept, value in values if value != kept.left_out]


def _canonical(value: object) -> object:  # noqa: PLR0911  # a case a kind
    """Return a form that JSON writes in one way only; unset stays unset."""
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
        case TransferTerms():
            return _asked(value, _TRANSFER)
        case Label():
            return _asked(value, _LABEL)
        case _:
            message = f"no canonical form for {type(value).__name__}"
            raise TypeError(message)
