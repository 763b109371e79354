"""Receipts: what is written down for people about one transaction."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionType


class Language(StrEnum):
    """What a receipt can be written in."""

    ENGLISH = "en"
    PERSIAN = "fa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says: only what never changes, so that it can be written anew at any time."""

    transaction: str
    """The transaction's resource name."""
    type: TransactionType
    time: datetime
    amount: Money
    exponent: int
    """How many decimals all amounts here have, as was written down with their currency's first wallet."""
    source: str
    """The wallet's id; the service's own wallets are told by theirs."""
    destination: str
    commission: Money | None
    source_debited: Money
    """What left the source in all."""
    destination_credited: Money
    """What reached the destination in all."""
    description: str
    external_reference: str
    reverses: str
    """The resource name of the transaction that this one reverses; empty where it reverses none."""
    payer: Payer | None = None
    """Who paid the commission, where the receipt is to say so."""
