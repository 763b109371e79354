"""The ledger as a few dictionaries: an implementation of its own of what the documents promise.

Written from the protos' comments, ARCHITECTURE.md and docs/. Nothing here calls the product's arithmetic: what is held
is counted anew on each read, commission is a decimal number, times are whole hours since the beginning.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from math import ceil
from uuid import UUID

from tests.model.records import (
    ACTIVE,
    CLOSED,
    DESTINATION,
    LEAST,
    MOST,
    SOURCE,
    Facts,
    Fee,
    Hold,
    PaymentOrder,
    Record,
    Refused,
    RuleRecord,
    TransactionRecord,
    WalletRecord,
)


@dataclass(slots=True, kw_only=True)
class LedgerState:
    """Everything, and the checks that all verbs share."""

    began: datetime
    later: int = 0
    """How many hours the jobs' clock is ahead."""
    wallets: dict[str, WalletRecord] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    orders: dict[UUID, PaymentOrder] = field(default_factory=dict)
    transactions: dict[UUID, TransactionRecord] = field(default_factory=dict)
    batches: dict[UUID, list[UUID]] = field(default_factory=dict)
    rules: dict[UUID, RuleRecord] = field(default_factory=dict)
    records: dict[object, Record] = field(default_factory=dict)
    happened: int = 0
    """How many rules began so far."""

    def copy_of_all(self) -> "LedgerState":
        """Return a copy to try changes on."""
        wallets = {name: copy(wallet_record) for name, wallet_record in self.wallets.items()}
        holds = {id_: copy(hold) for id_, hold in self.holds.items()}
        transactions = {id_: copy(move) for id_, move in self.transactions.items()}
        rules = {id_: copy(rule_record) for id_, rule_record in self.rules.items()}
        orders = {id_: replace(order, attempts=[*map(copy, order.attempts)]) for id_, order in self.orders.items()}
        batches, records = dict(self.batches), dict(self.records)
        return replace(
            self,
            wallets=wallets,
            holds=holds,
            transactions=transactions,
            rules=rules,
            orders=orders,
            batches=batches,
            records=records,
        )

    # Time.

    def hour_of(self, time: datetime | None) -> int:
        """Return the first whole hour at which a time has come."""
        return ceil((time - self.began) / timedelta(hours=1)) if time is not None else 0

    def past(self, time: datetime | None) -> bool:
        """Return whether a time is over; times in these runs are hours away from now."""
        return time is not None and time < self.began

    # Wallets.

    def wallet(self, name: str) -> WalletRecord:
        """Return a wallet that must be there."""
        if name not in self.wallets:
            raise Refused("ResourceNotFound", resource=f"wallets/{name}")
        return self.wallets[name]

    def held(self, name: str) -> int:
        """Return what is held in a wallet."""
        holds = sum(hold.left for hold in self.holds.values() if hold.wallet == name)
        return holds + sum(order.held for order in self.orders.values() if order.wallet == name)

    def available(self, name: str) -> int:
        """Return what can be taken from a wallet now."""
        wallet_record = self.wallets[name]
        return wallet_record.balance - self.held(name) + wallet_record.limit

    def room(self, name: str, amount: int) -> bool:
        """Return whether an amount more fits into a wallet, also once nothing is held any more."""
        return self.wallets[name].balance + self.wallets[name].limit + amount <= MOST

    def debit_wallet(self, name: str, currency: str, *states: str) -> WalletRecord:
        """Return a wallet that money may be taken from: an active one, or in one of these states too."""
        wallet_record = self.wallet_in(name, currency)
        if wallet_record.state not in {ACTIVE, *states}:
            raise Refused("WalletNotActive", resource=f"wallets/{name}", state=wallet_record.state)
        return wallet_record

    def credit_wallet(self, name: str, currency: str) -> WalletRecord:
        """Return a wallet that money may be given to."""
        wallet_record = self.wallet_in(name, currency)
        if wallet_record.state == CLOSED:
            raise Refused("WalletNotActive", resource=f"wallets/{name}", state=wallet_record.state)
        return wallet_record

    def wallet_in(self, name: str, currency: str) -> WalletRecord:
        """Return a wallet that must be there and hold this currency."""
        wallet_record = self.wallet(name)
        if wallet_record.currency != currency:
            raise Refused("CurrencyMismatch", resource=f"wallets/{name}", currency=wallet_record.currency)
        return wallet_record

    def open_systems(self, currency: str) -> None:
        """Open the service's own wallets in a currency."""
        for role in ("external", "in_transit", "commission"):
            self.wallets.setdefault(f"system:{role}:{currency}", WalletRecord(currency=currency))

    # Money.

    def require(self, name: str, amount: int) -> None:
        """Refuse to take what is not there."""
        if self.available(name) < amount:
            currency = self.wallets[name].currency
            about = {"wallet": f"wallets/{name}", "currency": currency}
            raise Refused("InsufficientFunds", **about, available=self.available(name), required=amount)

    def post(self, move: TransactionRecord) -> None:
        """Move money, if all of it is there and can be counted."""
        legs = {name: part for name, part in move.legs.items() if part}
        if sum(legs.values()) != 0:
            raise ValueError(move)
        for name, part in legs.items():
            if part < 0 and not name.startswith("system:external"):
                self.require(name, -part)
        # A caller's own wallet first; a full system wallet is no final refusal.
        for name, part in sorted(legs.items(), key=lambda leg: leg[0].startswith("system:")):
            kind = "ServiceWalletFull" if name.startswith("system:") else "LimitExceeded"
            if part > 0 and not self.room(name, part):
                raise Refused(kind, resource=f"wallets/{name}", limit=MOST)
            if self.wallets[name].balance + part < LEAST:
                raise Refused(kind, resource=f"wallets/{name}", limit=LEAST)
        for name, part in legs.items():
            self.wallets[name].balance += part
            move.after[name] = self.wallets[name].balance
        move.legs = legs
        self.transactions[move.id] = move

    def fee(self, amount: int, source: str, destination: str) -> Fee | None:
        """Return what a transfer costs now; what the service itself gives costs nothing."""
        if source.startswith("system:"):
            return None
        ends = {SOURCE: source, DESTINATION: destination}
        fitting = [
            (rank, rule_record.started, id_)
            for id_, rule_record in self.rules.items()
            if rule_record.currency == self.wallets[source].currency
            and rule_record.started is not None
            and not rule_record.over
            and amount > rule_record.threshold
            and (rank := self._rank(rule_record, ends[rule_record.payer]))
        ]
        if not fitting:
            return None
        id_ = max(fitting)[-1]
        rule_record = self.rules[id_]
        with localcontext() as context:
            context.prec = 80
            exact = rule_record.fixed + Decimal(amount) * rule_record.rate / 1_000_000
            taken = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
        taken = max(taken, rule_record.least)
        if rule_record.most is not None and taken > rule_record.most:
            taken = rule_record.most
        largest = amount if rule_record.payer == DESTINATION else MOST - amount
        if taken > largest:
            raise Refused("LimitExceeded", resource=f"commissionRules/{id_}", limit=largest)
        return Fee(amount=taken, payer=rule_record.payer, rule=id_)

    def _rank(self, rule_record: RuleRecord, payer: str) -> int:
        """Return how closely a rule's scope fits the paying wallet; zero where it does not fit."""
        if rule_record.wallet is not None:
            return 3 if rule_record.wallet == payer else 0
        if rule_record.label is not None:
            key, value = rule_record.label
            return 2 if self.wallets[payer].labels.get(key) == value else 0
        return 1

    # Facts of resources.

    def facts_of(self, subject: str) -> Facts:
        """Return a resource's present facts."""
        collection, _, name = subject.partition("/")
        if collection == "wallets":
            return {"wallet": self.wallet_facts(name)}
        id_ = UUID(name)
        match collection:
            case "holds":
                return {"hold": self.hold_facts(id_)}
            case "commissionRules":
                return {"rule": self.rule_facts(id_)}
            case "batches":
                return {"moves": [self.transaction_facts(one) for one in self.batches[id_]]}
            case "transactions":
                cause = self.transactions[id_].cause
                held = {"hold": self.hold_facts(cause)} if cause in self.holds else {}
                return {"moves": [self.transaction_facts(id_)]} | held
            case _:
                return {"order": self.order_facts(id_)}

    def wallet_facts(self, name: str) -> Facts:
        """Return a wallet's facts."""
        wallet_record = self.wallets[name]
        return {
            "wallet": name,
            "currency": wallet_record.currency,
            "state": wallet_record.state,
            "balance": wallet_record.balance,
            "held": self.held(name),
            "limit": wallet_record.limit,
            "labels": wallet_record.labels,
            "title": wallet_record.title,
        }

    def hold_facts(self, id_: UUID) -> Facts:
        """Return a hold's facts."""
        hold = self.holds[id_]
        about = {"wallet": hold.wallet, "amount": hold.amount, "captured": hold.captured}
        return {"id": str(id_), **about, "state": hold.state, "left": hold.left}

    def order_facts(self, id_: UUID) -> Facts:
        """Return an order's facts."""
        order = self.orders[id_]
        about = {"kind": order.kind, "wallet": order.wallet, "amount": order.amount, "state": order.state}
        about |= {"reserve": order.reserve, "collect": order.collect, "reason": order.reason}
        about |= {"unapplied": order.unapplied, "found_out": list(order.found_out)}
        answers = [attempt.answer for attempt in order.attempts]
        return {"id": str(id_), **about, "credit": order.credit, "answers": answers}

    def transaction_facts(self, id_: UUID) -> Facts:
        """Return a transaction's facts."""
        move = self.transactions[id_]
        fee = (move.fee.amount, move.fee.payer, move.fee.rule) if move.fee is not None else None
        about = {"kind": move.kind, "source": move.source, "destination": move.destination, "amount": move.amount}
        legs = {name: (part, move.after[name]) for name, part in move.legs.items()}
        return {"id": str(id_), **about, "fee": fee, "legs": legs, "cause": move.cause, "returned": move.returned}

    def rule_facts(self, id_: UUID) -> Facts:
        """Return a rule's facts."""
        rule = self.rules[id_]
        about = {"currency": rule.currency, "threshold": rule.threshold, "rate": rule.rate, "fixed": rule.fixed}
        about |= {"least": rule.least, "most": rule.most, "payer": rule.payer}
        return {"id": str(id_), **about, "wallet": rule.wallet, "label": rule.label, "ends": rule.end is not None}


def simple_legs(source: str, destination: str, amount: int) -> dict[str, int]:
    """Return what goes where without any commission."""
    return {source: -amount, destination: amount}


def refuse_systems(*names: str) -> None:
    """Refuse the service's own wallets."""
    for name in names:
        if name.startswith("system:"):
            raise Refused("SystemWalletForbidden", wallet=f"wallets/{name}")


def labels_of(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels as a dictionary of one's own."""
    return dict(labels)
