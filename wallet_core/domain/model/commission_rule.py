"""Commission: what the service charges on a transfer, by rules that are data.

A rule never changes: a change is a new rule. Of the rules that apply, one is used: a wallet's before a label's before
the currency's, then the one with the later start, then the newer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.model.errors import LimitExceeded
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.wallet import Labels, WalletId

MILLION = 1_000_000


class Payer(StrEnum):
    """Which side of a transfer pays its commission."""

    SOURCE = "SOURCE"
    """The source, on top of the amount."""
    DESTINATION = "DESTINATION"
    """The destination, out of the amount."""

    @property
    def other(self) -> "Payer":
        """The side that gets it back when the transfer is reversed."""
        return Payer.DESTINATION if self is Payer.SOURCE else Payer.SOURCE


def rule_name(rule: UUID) -> str:
    """Return the resource name of a commission rule."""
    return f"commissionRules/{rule}"


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a wallet."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a transfer, as far as rules depend on it."""

    wallet: WalletId
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionRule:
    """What is charged on which transfers, and in which time. Amounts are in minor units."""

    id: UUID
    currency: str
    threshold: int
    """It applies to amounts above this."""
    rate_millionths: int
    fixed: int
    minimum: int
    maximum: int | None
    payer: Payer
    wallet: WalletId | None
    """The only wallet that it charges; None for more than one."""
    label: Label | None
    """The label of the wallets that it charges; None for one wallet, or for all in the currency."""
    start_time: datetime
    end_time: datetime | None
    create_time: datetime

    @property
    def name(self) -> str:
        """The resource name."""
        return rule_name(self.id)

    def ended(self, now: datetime) -> bool:
        """Whether it is over for good."""
        return self.end_time is not None and self.end_time <= now

    def take_of(self, amount: int) -> int:
        """Return the commission on *amount*: fixed part and rate, rounded half up once, within minimum and maximum."""
        exact = amount * self.rate_millionths
        rounded = self.fixed + (2 * exact + MILLION) // (2 * MILLION)
        raised = max(rounded, self.minimum)
        return raised if self.maximum is None else min(raised, self.maximum)

    def applies_to(self, amount: int, source: Side, destination: Side, now: datetime) -> bool:
        """Whether it is live, is for the side that would pay, and the amount is above its threshold."""
        payer = source if self.payer is Payer.SOURCE else destination
        return (
            self.start_time <= now
            and not self.ended(now)
            and amount > self.threshold
            and self.wallet in {None, payer.wallet}
            and (self.label is None or payer.labels.get(self.label.key) == self.label.value)
        )

    @property
    def precedence(self) -> tuple[bool, bool, datetime, datetime, UUID]:
        """Of the rules that apply, the one with the highest precedence is used."""
        return self.wallet is not None, self.label is not None, self.start_time, self.create_time, self.id


@dataclass(frozen=True, slots=True)
class Commission:
    """The commission on a transfer, and its rule; negative where a reversal gives it back."""

    amount: Money
    rule: UUID
    payer: Payer


def commission_on(
    amount: Money, source: Side, destination: Side, rules: Iterable[CommissionRule], now: datetime
) -> Commission | None:
    """Return what a transfer of *amount* is charged by the *rules* of its currency; None where none applies.

    Raises ``LimitExceeded`` where the destination would pay more than it gets, or an amount would leave 64 bits.
    """
    applying = [rule for rule in rules if rule.applies_to(amount.minor, source, destination, now)]
    if not applying:
        return None
    rule = max(applying, key=lambda one: one.precedence)
    charged = rule.take_of(amount.minor)
    limit = amount.minor if rule.payer is Payer.DESTINATION else INT64_MAX - amount.minor
    if charged > limit:
        raise LimitExceeded(rule.name, limit)
    return Commission(Money(amount.currency, charged), rule.id, rule.payer)


def share_of(commission: int, part: int, whole: int) -> int:
    """Return the part of a commission that belongs to a part of the amount, rounded down."""
    return commission * part // whole
