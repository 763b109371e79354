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
    Move,
    PaymentOrder,
    Purse,
    Record,
    Refused,
    Tariff,
)


@dataclass(slots=True, kw_only=True)
class LedgerState:
    """Everything, and the questions that all verbs ask."""

    began: datetime
    later: int = 0
    """How many hours the jobs' clock is ahead."""
    wallets: dict[str, Purse] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    orders: dict[UUID, PaymentOrder] = field(default_factory=dict)
    moves: dict[UUID, Move] = field(default_factory=dict)
    batches: dict[UUID, list[UUID]] = field(default_factory=dict)
    tariffs: dict[UUID, Tariff] = field(default_factory=dict)
    records: dict[object, Record] = field(default_factory=dict)
    happened: int = 0
    """How many rules began so far."""

    def aside(self) -> "LedgerState":
        """Return a copy to try things on: what happens to it happens to nothing else."""
        wallets = {name: copy(purse) for name, purse in self.wallets.items()}
        holds = {id_: copy(hold) for id_, hold in self.holds.items()}
        moves = {id_: copy(move) for id_, move in self.moves.items()}
        tariffs = {id_: copy(tariff) for id_, tariff in self.tariffs.items()}
        orders = {id_: replace(order, attempts=[*map(copy, order.attempts)]) for id_, order in self.orders.items()}
        batches, records = dict(self.batches), dict(self.records)
        return replace(
            self,
            wallets=wallets,
            holds=holds,
            moves=moves,
            tariffs=tariffs,
            orders=orders,
            batches=batches,
            records=records,
        )

    # Time.

    def hour_of(self, time: datetime | None) -> int:
        """Return the first whole hour at which a time has come."""
        return ceil((time - self.began) / timedelta(hours=1)) if time is not None else 0

    def past(self, time: datetime | None) -> bool:
        """Tell whether a time is over; times in these stories are hours away from now."""
        return time is not None and time < self.began

    # Wallets.

    def wallet(self, name: str) -> Purse:
        """Return a wallet that must be there."""
        if name not in self.wallets:
            raise Refused("ResourceNotFound", resource=f"wallets/{name}")
        return self.wallets[name]

    def held(self, name: str) -> int:
        """Return what is put aside in a wallet."""
        holds = sum(hold.left for hold in self.holds.values() if hold.wallet == name)
        return holds + sum(order.held for order in self.orders.values() if order.wallet == name)

    def available(self, name: str) -> int:
        """Return what can be taken from a wallet now."""
        purse = self.wallets[name]
        return purse.balance - self.held(name) + purse.limit

    def room(self, name: str, amount: int) -> bool:
        """Tell whether so much more can be counted in a wallet, also once nothing is put aside any more."""
        return self.wallets[name].balance + self.wallets[name].limit + amount <= MOST

    def giver(self, name: str, currency: str, *states: str) -> Purse:
        """Return a wallet that money may be taken from: an active one, or in one of these states too."""
        purse = self.wallet_in(name, currency)
        if purse.state not in {ACTIVE, *states}:
            raise Refused("WalletNotActive", resource=f"wallets/{name}", state=purse.state)
        return purse

    def taker(self, name: str, currency: str) -> Purse:
        """Return a wallet that money may be given to."""
        purse = self.wallet_in(name, currency)
        if purse.state == CLOSED:
            raise Refused("WalletNotActive", resource=f"wallets/{name}", state=purse.state)
        return purse

    def wallet_in(self, name: str, currency: str) -> Purse:
        """Return a wallet that must be there and hold this currency."""
        purse = self.wallet(name)
        if purse.currency != currency:
            raise Refused("CurrencyMismatch", resource=f"wallets/{name}", currency=purse.currency)
        return purse

    def open_systems(self, currency: str) -> None:
        """Open the service's own wallets in a currency."""
        for role in ("external", "in_transit", "commission"):
            self.wallets.setdefault(f"system:{role}:{currency}", Purse(currency=currency))

    # Money.

    def require(self, name: str, amount: int) -> None:
        """Refuse to take what is not there."""
        if self.available(name) < amount:
            currency = self.wallets[name].currency
            about = {"wallet": f"wallets/{name}", "currency": currency}
            raise Refused("InsufficientFunds", **about, available=self.available(name), required=amount)

    def post(self, move: Move) -> None:
        """Move money, if all of it is there and can be counted."""
        legs = {name: part for name, part in move.legs.items() if part}
        if sum(legs.values()) != 0:
            raise ValueError(move)
        for name, part in legs.items():
            if part < 0 and not name.startswith("system:external"):
                self.require(name, -part)
        # A caller's own wallet first; that one of the service's is full is no final answer to anybody.
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
        self.moves[move.id] = move

    def fee(self, amount: int, source: str, destination: str) -> Fee | None:
        """Return what a transfer costs now; what the service itself gives costs nothing."""
        if source.startswith("system:"):
            return None
        ends = {SOURCE: source, DESTINATION: destination}
        fitting = [
            (rank, tariff.started, id_)
            for id_, tariff in self.tariffs.items()
            if tariff.currency == self.wallets[source].currency
            and tariff.started is not None
            and not tariff.over
            and amount > tariff.threshold
            and (rank := self._rank(tariff, ends[tariff.payer]))
        ]
        if not fitting:
            return None
        id_ = max(fitting)[-1]
        tariff = self.tariffs[id_]
        with localcontext() as context:
            context.prec = 80
            exact = tariff.fixed + Decimal(amount) * tariff.rate / 1_000_000
            taken = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
        taken = max(taken, tariff.least)
        if tariff.most is not None and taken > tariff.most:
            taken = tariff.most
        largest = amount if tariff.payer == DESTINATION else MOST - amount
        if taken > largest:
            raise Refused("LimitExceeded", resource=f"commissionRules/{id_}", limit=largest)
        return Fee(amount=taken, payer=tariff.payer, rule=id_)

    def _rank(self, tariff: Tariff, payer: str) -> int:
        """Return how closely a rule fits who would pay; zero where it does not fit."""
        if tariff.wallet is not None:
            return 3 if tariff.wallet == payer else 0
        if tariff.label is not None:
            key, value = tariff.label
            return 2 if self.wallets[payer].labels.get(key) == value else 0
        return 1

    # What is told.

    def facts_of(self, subject: str) -> Facts:
        """Return what is told of something as it is now."""
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
                return {"moves": [self.move_facts(one) for one in self.batches[id_]]}
            case "transactions":
                cause = self.moves[id_].cause
                held = {"hold": self.hold_facts(cause)} if cause in self.holds else {}
                return {"moves": [self.move_facts(id_)]} | held
            case _:
                return {"order": self.order_facts(id_)}

    def wallet_facts(self, name: str) -> Facts:
        """Return what is told of a wallet."""
        purse = self.wallets[name]
        return {
            "wallet": name,
            "currency": purse.currency,
            "state": purse.state,
            "balance": purse.balance,
            "held": self.held(name),
            "limit": purse.limit,
            "labels": purse.labels,
            "title": purse.title,
        }

    def hold_facts(self, id_: UUID) -> Facts:
        """Return what is told of a hold."""
        hold = self.holds[id_]
        about = {"wallet": hold.wallet, "amount": hold.amount, "captured": hold.captured}
        return {"id": str(id_), **about, "state": hold.state, "left": hold.left}

    def order_facts(self, id_: UUID) -> Facts:
        """Return what is told of an order."""
        order = self.orders[id_]
        about = {"kind": order.kind, "wallet": order.wallet, "amount": order.amount, "state": order.state}
        about |= {"reserve": order.reserve, "collect": order.collect, "reason": order.reason}
        about |= {"unapplied": order.unapplied, "found_out": list(order.found_out)}
        answers = [attempt.answer for attempt in order.attempts]
        return {"id": str(id_), **about, "credit": order.credit, "answers": answers}

    def move_facts(self, id_: UUID) -> Facts:
        """Return what is told of a transaction."""
        move = self.moves[id_]
        fee = (move.fee.amount, move.fee.payer, move.fee.rule) if move.fee is not None else None
        about = {"kind": move.kind, "source": move.source, "destination": move.destination, "amount": move.amount}
        legs = {name: (part, move.after[name]) for name, part in move.legs.items()}
        return {"id": str(id_), **about, "fee": fee, "legs": legs, "cause": move.cause, "returned": move.returned}

    def rule_facts(self, id_: UUID) -> Facts:
        """Return what is told of a rule."""
        rule = self.tariffs[id_]
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
