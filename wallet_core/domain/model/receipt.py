"""Receipts: documents about one transaction, for people."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionType


class Language(StrEnum):
    """The languages of receipts."""

    ENGLISH = "en"
    PERSIAN = "fa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The content of a receipt: only what never changes, so that it can be made again at any time."""

    transaction: str
    """The transaction's resource name."""
    type: TransactionType
    time: datetime
    amount: Money
    exponent: int
    """The decimals of all amounts here, as stored with their currency."""
    source: str
    """The wallet's id, a service wallet's too."""
    destination: str
    commission: Money | None
    source_debited: Money
    """What the source was debited in all."""
    destination_credited: Money
    """What the destination was credited in all."""
    description: str
    external_reference: str
    reverses: str
    """The resource name of the transaction that this one reverses; empty where it reverses none."""
    payer: Payer | None = None
    """The side that paid the commission, where the receipt shows it."""
