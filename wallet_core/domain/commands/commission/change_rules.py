"""Create and end commission rules. A rule never changes: a change is a new rule."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.commands.wallets.create_wallet import missing_system_wallets, not_listed, system_wallets
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import refuse_system_wallets
from wallet_core.domain.model.commission_rule import MILLION, CommissionRule, Label, Payer, rule_name
from wallet_core.domain.model.errors import (
    Because,
    CurrencyMismatch,
    InvalidField,
    ResourceNotFound,
    StateTransitionForbidden,
)
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.money import Currency
from wallet_core.domain.model.wallet import WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCommissionRule(Command):
    """Charge transfers from a time on by a new rule."""

    method: ClassVar[str] = "CreateCommissionRule"
    form: ClassVar[Form] = always(
        *("currency", "threshold", "rate_millionths", "fixed", "minimum", "maximum", "payer", "wallet", "label"),
        *("start_time", "end_time"),
    )
    runs_before_batch: ClassVar[bool] = True

    id: UUID
    currency: str
    listed: Currency | None
    """The currency as ISO 4217 lists it in this release; None where it does not, or no longer."""
    threshold: int
    rate_millionths: int
    fixed: int
    minimum: int
    maximum: int | None
    payer: Payer
    wallet: WalletId | None
    label: Label | None
    start_time: datetime | None
    """None means now, and stays None in the fingerprint."""
    end_time: datetime | None

    def lock_set(self) -> LockSet:
        """Lock the rules exclusively, so that no transfer is decided meanwhile, and the service wallets."""
        named = {self.wallet} if self.wallet is not None else set[WalletId]()
        return LockSet(wallets=system_wallets(self.currency) | named, changes_rules=True)

    def authorize(self) -> None:
        """Refuse numbers out of range."""
        for field, value in (
            ("threshold_minor_units", self.threshold),
            ("rate_millionths", self.rate_millionths),
            ("fixed_minor_units", self.fixed),
            ("minimum_minor_units", self.minimum),
        ):
            if value < 0:
                raise InvalidField(f"rule.{field}", "must not be below zero")
        if self.rate_millionths > MILLION:
            raise InvalidField("rule.rate_millionths", "must not be above one million, which is the whole amount")
        if self.maximum is not None and self.maximum < self.minimum:
            raise InvalidField("rule.maximum_minor_units", "must not be below the minimum")
        if self.wallet is not None:
            refuse_system_wallets(self.wallet)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a start in the past by the database's clock; open the service wallets if they do not exist."""
        missing = missing_system_wallets(ledger, self.currency)
        if missing and self.listed is None:
            raise not_listed("rule.currency_code", self.currency)
        start = self.start_time or ledger.now
        if start < ledger.now:
            raise InvalidField("rule.start_time", "must not be in the past; leave it out for now")
        if self.end_time is not None and self.end_time <= start:
            raise InvalidField("rule.end_time", "must be after the start")
        if self.wallet is not None and ledger.wallet(self.wallet).currency != self.currency:
            raise CurrencyMismatch(ledger.wallet(self.wallet).name, ledger.wallet(self.wallet).currency)
        rule = CommissionRule(
            id=self.id,
            currency=self.currency,
            threshold=self.threshold,
            rate_millionths=self.rate_millionths,
            fixed=self.fixed,
            minimum=self.minimum,
            maximum=self.maximum,
            payer=self.payer,
            wallet=self.wallet,
            label=self.label,
            start_time=start,
            end_time=self.end_time,
            create_time=ledger.now,
        )
        return Decision(
            subject=rule.name,
            opens=missing,
            first_of=self.listed if missing else None,
            rule=rule,
            event=EventType.COMMISSION_RULE_CREATED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCommissionRule(Command):
    """End a rule at a time."""

    method: ClassVar[str] = "EndCommissionRule"
    form: ClassVar[Form] = always("rule", "end_time")
    runs_before_batch: ClassVar[bool] = True

    rule: UUID
    end_time: datetime | None
    """None means now, and stays None in the fingerprint."""

    def lock_set(self) -> LockSet:
        """Lock the rules exclusively, so that no transfer is decided meanwhile."""
        return LockSet(rules=frozenset({self.rule}), changes_rules=True)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a rule that has ended, an end in the past, and one later than the present end."""
        end = self.end_time or ledger.now
        if end < ledger.now:
            raise InvalidField("end_time", "must not be in the past; leave it out for now")
        rule = ledger.rules.get(self.rule)
        if rule is None:
            raise ResourceNotFound(rule_name(self.rule))
        if rule.ended(ledger.now):
            raise StateTransitionForbidden(rule.name, "ENDED", Because.RULE_ENDED)
        if rule.end_time is not None and end > rule.end_time:
            raise StateTransitionForbidden(rule.name, "ENDING", Because.RULE_ENDS_EARLIER)
        return Decision(subject=rule.name, rule=replace(rule, end_time=end), event=EventType.COMMISSION_RULE_ENDED)
