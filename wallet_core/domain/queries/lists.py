"""Lists: their pages, and the fields that they can be filtered by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from wallet_core.domain.model.hold import HoldState
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.transaction import TransactionState, TransactionType
from wallet_core.domain.model.wallet import WalletState
from wallet_core.domain.model.webhook import DeliveryState, WebhookState
from wallet_core.domain.queries.filter import Field, Kind

Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page, the position of each row, and the position after which the next page begins; None on the last page."""

    items: list[Item]
    positions: list[tuple[Any, ...]]
    next: tuple[Any, ...] | None

    def showing(self, items: list[Other]) -> "Page[Other]":
        """Return the same page with other items."""
        return Page(items, self.positions, self.next)


def _words(prefix: str, words: Iterable[StrEnum]) -> Field:
    """Return a field of words that may be written with their prefix or without it."""
    return Field(Kind.WORD, words={written: word for word in words for written in (word.value, f"{prefix}_{word}")})


WALLET_FIELDS: Mapping[str, Field] = {
    "state": _words("STATE", WalletState),
    "currency_code": Field(Kind.TEXT),
    "owner": Field(Kind.TEXT),
    "display_name": Field(Kind.TEXT),
    "create_time": Field(Kind.TIME),
    "labels": Field(Kind.LABEL),
}

TRANSACTION_FIELDS: Mapping[str, Field] = {
    "type": _words("TYPE", TransactionType),
    "state": _words("STATE", TransactionState),
    "source": Field(Kind.TEXT),
    "destination": Field(Kind.TEXT),
    "amount": Field(Kind.INTEGER),
    "execute_time": Field(Kind.TIME),
    "external_reference": Field(Kind.TEXT),
    "labels": Field(Kind.LABEL),
    "caller": Field(Kind.TEXT),
}

WITHDRAWAL_FIELDS: Mapping[str, Field] = {
    "state": _words("STATE", OrderState),
    "amount": Field(Kind.INTEGER),
    "execute_time": Field(Kind.TIME),
    "create_time": Field(Kind.TIME),
    "caller": Field(Kind.TEXT),
}

SCHEDULED_DEPOSIT_FIELDS: Mapping[str, Field] = {**WITHDRAWAL_FIELDS, "external_reference": Field(Kind.TEXT)}

HOLD_FIELDS: Mapping[str, Field] = {
    "state": _words("STATE", HoldState),
    "amount": Field(Kind.INTEGER),
    "expire_time": Field(Kind.TIME),
    "create_time": Field(Kind.TIME),
    "caller": Field(Kind.TEXT),
}

RULE_FIELDS: Mapping[str, Field] = {
    "currency_code": Field(Kind.TEXT),
    "wallet": Field(Kind.TEXT),
    "start_time": Field(Kind.TIME),
    "end_time": Field(Kind.TIME),
    "create_time": Field(Kind.TIME),
}

WEBHOOK_FIELDS: Mapping[str, Field] = {
    "state": _words("STATE", (WebhookState.ENABLED, WebhookState.DISABLED)),
    "create_time": Field(Kind.TIME),
}

DELIVERY_FIELDS: Mapping[str, Field] = {
    "state": _words("STATE", DeliveryState),
    "create_time": Field(Kind.TIME),
}
