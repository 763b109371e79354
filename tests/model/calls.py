"""Calls made to the model and to the product, alone or in a batch, with equal answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from hypothesis.stateful import RuleBasedStateMachine

from tests.model import payment_orders as orders
from tests.model.answers import answer
from tests.model.comparison import compare, same
from tests.model.ledger import LedgerState, refuse_systems
from tests.model.money_verbs import STILL_OPEN, open_item_in
from tests.model.product_facts import call_product, facts_of
from tests.model.records import ACTIVE, SCHEDULED, SOURCE, Facts, Refused
from tests.support.callers import everything
from tests.support.database import Database
from tests.support.scripted_bank import ScriptedBank
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.errors import Refusal
from wallet_core.domain.model.money import Money
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, PayoutSettings, new_id
from wallet_core.usecases.commission import quote_commission

CURRENCY_OF = {"alice": "USD", "bob": "USD", "carol": "USD", "dora": "EUR", "emil": "EUR", "fay": "USD"}
HALF_AN_HOUR = timedelta(minutes=30)


Work = Callable[[Any], None]


Item = TypeVar("Item")


REVERSIBLE = {"TRANSFER", "DEPOSIT"}


_FIRST = (CreateCommissionRule, EndCommissionRule)


class Calls(RuleBasedStateMachine):
    """One run: the calls that were made, and the model that they are compared with."""

    def __init__(self, app: App, database: Database, owner: psycopg.Connection, config: Settings) -> None:
        super().__init__()
        database.clean()
        self.bank = ScriptedBank()
        self.app = replace(app, bank=self.bank, jitter=lambda: 0.0, payouts=_unhurried(app.payouts))
        self.owner, self.config = owner, config
        self.books = LedgerState(began=_now(owner))
        self.commands: list[Command] = []
        self.line: list[Command] = []
        self.batch_size = 0
        self.before_batch = self.books
        self.coming: set[str] = set()
        """The transactions that the calls of the batch will make."""
        self.etags: dict[str, list[str]] = {}
        self.kept: list[tuple[Work, Any]] = []
        self.paused: list[SettlePayment] = []
        self.ended: Facts = {}
        self.resting = False
        """Whether the last step did nothing."""

    def call(self, command: Command) -> None:
        """Call the model, then the product; or add to the next batch. Every sixth call is validated first."""
        try_first = command.request is not None and len(self.commands) % 6 == 5
        first = replace(command, validate_only=True)
        if command.request is not None:
            self.commands.append(command)
        if self.batch_size:
            if try_first:
                self._add_to_batch(first)
            self._add_to_batch(command)
            if len(self.line) >= self.batch_size:
                self.post_batch()
        elif try_first:
            self._validate_and_call(first, command)
        else:
            foreseen = self.foreseen(command)
            compare(call_product(self.app, command), foreseen)

    def _validate_and_call(self, first: Command, command: Command) -> None:
        """Call with ``validate_only``, which leaves nothing.

        The real call is answered alike, and its refusal leaves nothing.
        """
        before = everything(self.owner)
        foreseen_first, foreseen = self.foreseen(first), self.foreseen(command)
        tried = call_product(self.app, first)
        compare(tried, foreseen_first)
        assert everything(self.owner) == before
        result = call_product(self.app, command)
        compare(result, foreseen)
        same(result, tried)
        if "refused" in result:
            after = everything(self.owner)
            assert {table for table in before if after[table] != before[table]} <= {"requests"}

    def foreseen(self, command: Command) -> Facts:
        """Return the model's answer; where an item is still open, the items that may be named."""
        result = answer(self.books, command)
        if result.get("because") == STILL_OPEN:
            names = open_item_in(self.books, str(result["resource"])[8:], ever=bool(result["replayed"]))
            result["because"] = {f"{name} is still open" for name in names}
        return result

    def begin_batch(self, length: int) -> None:
        """Post the next few calls in one batch."""
        self.post_batch()
        self.batch_size = length

    def _add_to_batch(self, command: Command) -> None:
        """Add to the batch. The model's answer so far is what later calls of the batch are made from."""
        if not self.line:
            self.before_batch = self.books.copy_of_all()
        result = answer(self.books, command)
        self.line.append(command)
        self.coming |= {str(move["id"]) for move in result.get("moves", ())}

    def post_batch(self) -> None:
        """Post the batch: answered in order, but rules that begin or end do so before all else."""
        line, self.line, self.batch_size = self.line, [], 0
        self.coming.clear()
        if not line:
            return
        self.books = self.before_batch
        places = sorted(range(len(line)), key=lambda place: not isinstance(line[place], _FIRST))
        foreseen = {place: self.foreseen(line[place]) for place in places}
        for place, result in enumerate(self.app.ledger.post_all(line)):
            compare(facts_of(result), foreseen[place])

    def quote(self, transfer: Transfer) -> None:
        """Quote what a transfer would cost now."""
        result: Facts
        try:
            quoted = quote_commission(self.app, transfer)
        except Refusal as refusal:
            result = facts_of(refusal)
        else:
            result = {"debit": quoted.source_debit.minor, "credit": quoted.destination_credit.minor}
        same(result, self._quoted(transfer.source, transfer.destination, transfer.amount))

    def _quoted(self, source: str, destination: str, money: Money) -> Facts:
        try:
            refuse_systems(source, destination)
            for name in (source, destination):
                self.books.wallet_in(name, money.currency)
            fee = self.books.fee(money.minor, source, destination)
        except Refused as no:
            return no.facts
        taken = fee.amount if fee is not None else 0
        by_source = fee is not None and fee.payer == SOURCE
        return {"debit": money.minor + taken * by_source, "credit": money.minor - taken * (not by_source)}

    def amount(self, drawn: int) -> int:
        """Return the amount for a drawn number."""
        return drawn

    def money(self, name: str, drawn: int, *, wrong: bool = False) -> Money:
        """Return an amount in a wallet's currency, or in the wrong one."""
        currency = CURRENCY_OF.get(name, "USD")
        if wrong:
            currency = "EUR" if currency == "USD" else "USD"
        return Money(currency, self.amount(drawn))

    def part(self, currency: str, drawn: int | None) -> Money | None:
        """Return an amount that may be left out."""
        return Money(currency, self.amount(drawn)) if drawn is not None else None

    def partner(self, name: str, drawn: str) -> str:
        """Return another wallet of the same currency for one that cannot be transferred to."""
        if drawn in CURRENCY_OF and (drawn == name or CURRENCY_OF[drawn] != CURRENCY_OF.get(name, "USD")):
            others = [one for one, currency in CURRENCY_OF.items() if currency == CURRENCY_OF.get(name, "USD")]
            return next(one for one in others if one != name)
        return drawn

    def time(self, hours: int) -> datetime:
        """Return the middle of an hour of the run; its effect begins with the next whole hour."""
        return self.books.began + timedelta(hours=hours) - HALF_AN_HOUR

    def etag(self, name: str, which: str) -> str:
        """Return the etag as it was last read, or the one before, or the given one."""
        seen = self.etags.get(name, [])
        if which == "now":
            return seen[-1] if seen else ""
        if which == "before":
            return seen[-2] if len(seen) > 1 else '"none"'
        return which

    def currency_of_transaction(self, id_: UUID) -> str:
        """Return what a transaction moved; of one that is not there, dollars."""
        return (
            self.books.wallets[self.books.transactions[id_].source].currency
            if id_ in self.books.transactions
            else "USD"
        )

    def currency_of_hold(self, id_: UUID) -> str:
        """Return a hold's currency; of a missing one, dollars."""
        return self.books.wallets[self.books.holds[id_].wallet].currency if id_ in self.books.holds else "USD"

    def transactions(self) -> list[UUID]:
        """Return the transactions that a caller can name: it learns of one from its answer, after the batch."""
        known = {id_: one for id_, one in self.books.transactions.items() if str(id_) not in self.coming}
        return _latest_last(known, lambda one: one.kind in REVERSIBLE and one.returned < one.amount)

    def holds(self) -> list[UUID]:
        """Return all holds."""
        return _latest_last(self.books.holds, lambda one: one.state == ACTIVE)

    def orders(self) -> list[UUID]:
        """Return all orders."""
        return _latest_last(self.books.orders, lambda one: one.state == SCHEDULED)


def nth_of(ids: Sequence[UUID], nth: int) -> UUID:
    """Return one of some ids, the last ones rather than the first; now and then one that is not there."""
    within = len(ids) if nth >= 20 else min(len(ids), 5)
    return ids[-1 - nth % within] if ids and nth < 30 else uuid4()


def _latest_last(records: Mapping[UUID, Item], lives: Callable[[Item], bool]) -> list[UUID]:
    return sorted(records, key=lambda id_: lives(records[id_]))


def with_new_id(command: Command) -> Command:
    """Return a command as a repeat of its call makes it: ids that the service makes up are others."""
    if isinstance(command, BatchTransfer):
        items = tuple(replace(item, id=new_id()) for item in command.items)
        return replace(command, id=new_id(), items=items)
    if isinstance(command, CreateWallet) or "id" not in {field.name for field in fields(command)}:
        return replace(command)
    return replace(command, id=new_id())  # type: ignore[call-arg]  # it has one


def _unhurried(payouts: PayoutSettings) -> PayoutSettings:
    """Return settings in whole hours, so that the seconds of a run never matter."""
    policy = replace(
        payouts.policy,
        attempts_max=orders.ATTEMPTS_MOST,
        resends_max=orders.RESENDS_MOST,
        lease=timedelta(hours=orders.LEASE) - HALF_AN_HOUR,
        grace=timedelta(hours=orders.GRACE) - HALF_AN_HOUR,
        bank_key_retention=timedelta(hours=orders.KEPT) - HALF_AN_HOUR,
        backoff_max=timedelta(hours=orders.A_WHILE) - HALF_AN_HOUR,
    )
    return replace(payouts, policy=policy, parallelism=1, send_window_s=3600.0)


def _now(owner: psycopg.Connection) -> datetime:
    row = owner.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    time: datetime = row[0]
    return time
