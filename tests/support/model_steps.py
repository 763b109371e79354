"""How a story is told to the model and to the product at once: calls alone or in a batch, and the work of jobs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from hypothesis.stateful import RuleBasedStateMachine

from scheduler.jobs import credit_due_deposits, expire_holds
from tests.support import model_orders as orders
from tests.support.callers import everything
from tests.support.database import Database
from tests.support.model_books import (
    ACTIVE,
    MOST,
    OPEN,
    SCHEDULED,
    SCHEDULED_DEPOSIT,
    SOURCE,
    WITHDRAWAL,
    Facts,
    LedgerState,
    Refused,
    refuse_systems,
)
from tests.support.model_verbs import STILL_OPEN, answer, open_item_in
from tests.support.stored_facts import expected, facts_due, facts_told, learn_names, stored
from tests.support.told_facts import asked, facts_of, hold_facts, move_facts, order_facts, rule_facts, wallet_facts
from tests.support.whimsical_bank import FellAsleep, WhimsicalBank
from wallet_core.bootstrap import verify
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.end_hold import ExpireHold
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.bank import Answer, AnswerKind
from wallet_core.domain.model.errors import Refusal
from wallet_core.domain.model.hold import HoldClaim
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import Claim, OrderKind, bank_key
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, PayoutSettings, new_id
from wallet_core.usecases.commission import quote_commission
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.expire_hold import expire_hold
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_order import reconcile

CURRENCY_OF = {"alice": "USD", "bob": "USD", "carol": "USD", "dora": "EUR", "emil": "EUR", "fay": "USD"}
HALF_AN_HOUR = timedelta(minutes=30)

Work = Callable[[Any], None]

Thing = TypeVar("Thing")

REVERSIBLE = {"TRANSFER", "DEPOSIT"}

_FIRST = (CreateCommissionRule, EndCommissionRule)


class Steps(RuleBasedStateMachine):
    """One story: what is asked, what was told, and what must hold between any two steps."""

    def __init__(self, app: App, database: Database, owner: psycopg.Connection, config: Settings) -> None:
        super().__init__()
        database.clean()
        self.bank = WhimsicalBank()
        self.app = replace(app, bank=self.bank, jitter=lambda: 0.0, payouts=_unhurried(app.payouts))
        self.owner, self.config = owner, config
        self.books = LedgerState(began=_now(owner))
        self.commands: list[Command] = []
        self.line: list[Command] = []
        self.line_length = 0
        self.before_line = self.books
        self.coming: set[str] = set()
        """The transactions that the calls in line will make."""
        self.etags: dict[str, list[str]] = {}
        self.kept: list[tuple[Work, Any]] = []
        self.sleepers: list[SettlePayment] = []
        self.ended: Facts = {}
        self.resting = False
        """Whether the last step did nothing."""

    # What callers ask.

    def ask(self, command: Command) -> None:
        """Ask the model, then the product; or put it in line for the next batch. Every sixth is tried first."""
        try_first = command.request is not None and len(self.commands) % 6 == 5
        first = replace(command, validate_only=True)
        if command.request is not None:
            self.commands.append(command)
        if self.line_length:
            if try_first:
                self._enter(first)
            self._enter(command)
            if len(self.line) >= self.line_length:
                self.post_line()
        elif try_first:
            self._try_and_ask(first, command)
        else:
            foreseen = self.foreseen(command)
            compare(asked(self.app, command), foreseen)

    def _try_and_ask(self, first: Command, command: Command) -> None:
        """Ask with ``validate_only``, which leaves nothing; the real call is told the same, and its no leaves none."""
        before = everything(self.owner)
        foreseen_first, foreseen = self.foreseen(first), self.foreseen(command)
        tried = asked(self.app, first)
        compare(tried, foreseen_first)
        assert everything(self.owner) == before
        told = asked(self.app, command)
        compare(told, foreseen)
        same(told, tried)
        if "refused" in told:
            after = everything(self.owner)
            assert {table for table in before if after[table] != before[table]} <= {"requests"}

    def foreseen(self, command: Command) -> Facts:
        """Return what the model tells; where something is still open, what that may be."""
        told = answer(self.books, command)
        if told.get("because") == STILL_OPEN:
            names = open_item_in(self.books, str(told["resource"])[8:], ever=bool(told["replayed"]))
            told["because"] = {f"{name} is still open" for name in names}
        return told

    def gather(self, length: int) -> None:
        """Post the next few calls in one batch."""
        self.post_line()
        self.line_length = length

    def _enter(self, command: Command) -> None:
        """Stand in line. What the model tells for now is what later calls of the batch are made from."""
        if not self.line:
            self.before_line = self.books.aside()
        told = answer(self.books, command)
        self.line.append(command)
        self.coming |= {str(move["id"]) for move in told.get("moves", ())}

    def post_line(self) -> None:
        """Post what is in line, in one batch: told in order, but rules that begin or end do so before all else."""
        line, self.line, self.line_length = self.line, [], 0
        self.coming.clear()
        if not line:
            return
        self.books = self.before_line
        places = sorted(range(len(line)), key=lambda place: not isinstance(line[place], _FIRST))
        foreseen = {place: self.foreseen(line[place]) for place in places}
        for place, told in enumerate(self.app.ledger.post_all(line)):
            compare(facts_of(told), foreseen[place])

    def quote(self, transfer: Transfer) -> None:
        """Ask what a transfer would cost now."""
        told: Facts
        try:
            quoted = quote_commission(self.app, transfer)
        except Refusal as refusal:
            told = facts_of(refusal)
        else:
            told = {"debit": quoted.source_debit.minor, "credit": quoted.destination_credit.minor}
        same(told, self._quoted(transfer.source, transfer.destination, transfer.amount))

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

    # What jobs do.

    def jobs(self) -> list[Callable[..., None]]:
        """Return the jobs that may find anything at all."""
        open_kinds = {one.kind for one in self.books.orders.values() if one.state in OPEN}
        jobs: list[Callable[..., None]] = []
        if any(hold.state == ACTIVE for hold in self.books.holds.values()):
            jobs.append(self.let_expire)
        for kind in OrderKind:
            if kind in open_kinds:
                jobs += [partial(self.let_pay, kind), partial(self.let_reconcile, kind)]
        return [*jobs, self.let_credit] if SCHEDULED_DEPOSIT in open_kinds else jobs

    @property
    def later(self) -> timedelta:
        """How far the jobs' clock is ahead."""
        return timedelta(hours=self.books.later)

    def let_expire(self, *, abandon: bool) -> None:
        """Let holds expire whose time is over, or claim them and do nothing."""
        due = orders.to_expire(self.books)
        if not abandon:
            counts = expire_holds.run_once(self.app, clock_offset=self.later)
            assert counts.outcomes == ({"EXPIRED": len(due)} if due else {})
            for id_ in due:
                self.books.holds[id_].state = "EXPIRED"
                self.books.holds[id_].fence += 1
            return
        claims = self.app.claims.to_expire(limit=100, lease=self._lease, clock_offset=self.later)
        assert {claim.hold for claim in claims} == due
        for claim in claims:
            orders.claimed(self.books, self.books.holds[claim.hold])
            self.kept.append((self.work_to_expire, claim))

    def let_credit(self, *, abandon: bool) -> None:
        """Credit what is due and need not be collected, or claim it and do nothing."""
        due = orders.to_credit(self.books)
        if not abandon:
            counts = credit_due_deposits.run_once(self.app, clock_offset=self.later)
            assert counts.claimed == len(due)
            for id_ in sorted(due, key=lambda one: (self.books.orders[one].next, one)):  # the longest due first
                self.books.orders[id_].fence += 1
                orders.credit(self.books, id_, self.books.orders[id_].fence, UUID(int=len(self.books.moves)))
            return
        claims = self.app.claims.to_credit(limit=100, lease=self._lease, clock_offset=self.later)
        self._work_on(claims, due, self.work_to_credit, abandon=abandon)

    def let_pay(self, kind: OrderKind, *, abandon: bool) -> None:
        """Pay out or collect what is due, or claim it and do nothing."""
        claiming = self.app.claims.to_pay if kind is OrderKind.WITHDRAWAL else self.app.claims.to_collect
        due = orders.to_pay(self.books, kind=kind)
        claims = claiming(limit=100, lease=self._lease, clock_offset=self.later)
        self._work_on(claims, due, self.work_to_pay, abandon=abandon)

    def let_reconcile(self, kind: OrderKind, *, abandon: bool) -> None:
        """Ask about what is in doubt or was left behind, or claim it and do nothing."""
        claims = self.app.claims
        claiming = claims.to_reconcile if kind is OrderKind.WITHDRAWAL else claims.to_reconcile_collections
        due = orders.to_reconcile(self.books, kind=kind)
        claimed = claiming(limit=100, lease=self._lease, clock_offset=self.later)
        self._work_on(claimed, due, self.work_to_reconcile, abandon=abandon)

    def work_to_expire(self, claim: HoldClaim) -> None:
        """Let one hold expire."""
        foreseen = answer(self.books, ExpireHold(claim=claim))
        told = expire_hold(self.app, claim, clock_offset=self.later)
        assert (told is None) == ("refused" in foreseen)

    def work_to_credit(self, claim: Claim) -> None:
        """Credit one deposit."""
        foreseen = answer(self.books, CreditDeposit(id=UUID(int=len(self.books.moves)), claim=claim))
        told = credit_deposit(self.app, claim)
        assert (told is None) == ("refused" in foreseen)

    def work_to_pay(self, claim: Claim) -> None:
        """Pay or collect one order, to the end of one attempt."""
        sent = False
        with suppress(Refused):
            sent = orders.begin(self.books, claim.order, claim.fence)
        self._listen(claim, lambda: pay_out(self.app, claim, clock_offset=self.later), sent=sent)

    def work_to_reconcile(self, claim: Claim) -> None:
        """Ask what has become of one order, and send it once more where that is right."""
        sent = False
        word = self.bank.status(claim.payment)
        with suppress(Refused):
            doubtful = claim.state != "PROCESSING" or orders.take_over(self.books, claim.order, claim.fence)
            if doubtful:
                fits = not self.bank.whim.miscounts
                sent = orders.hear(self.books, claim.order, claim.fence, word.kind, amount_fits=fits)
        self._listen(claim, lambda: reconcile(self.app, claim, clock_offset=self.later), sent=sent)

    @property
    def _lease(self) -> timedelta:
        return self.app.payouts.policy.lease

    def _work_on(self, claims: Sequence[Claim], due: set[UUID], work: Work, *, abandon: bool) -> None:
        """See that exactly what is due was claimed, and work on it or leave it alone."""
        assert {claim.order for claim in claims} == due
        for claim in claims:
            orders.claimed(self.books, self.books.orders[claim.order])
            assert claim.fence == self.books.orders[claim.order].fence
        for claim in claims:
            if abandon:
                self.kept.append((work, claim))
            else:
                work(claim)

    def _listen(self, claim: Claim, work: Callable[[], object], *, sent: bool) -> None:
        """Do the work; the bank is asked exactly if the model says so, and its answer is settled in both."""
        self.bank.answers.clear()
        number = len(self.books.orders[claim.order].attempts)
        try:
            work()
        except FellAsleep as asleep:
            assert sent
            self.sleepers.append(self._settlement(claim, number, asleep.answer))
            return
        assert len(self.bank.answers) == sent
        if sent:
            orders.settle(self.books, claim.order, claim.fence, number, self.bank.answers[0])

    def _settlement(self, claim: Claim, attempt: int, kind: AnswerKind) -> SettlePayment:
        """Return what a worker that fell asleep writes down when it wakes up."""
        return SettlePayment(
            id=new_id(),
            claim=claim,
            policy=self.app.payouts.policy,
            jitter=0.0,
            clock_offset=self.later,
            attempt=attempt,
            answer=Answer(kind=kind, reference="r", retry_after_s=0.0),
        )

    # What must hold.

    def look(self) -> None:
        """See that what is stored is what the model says, and that what must always hold does, whoever says it."""
        learn_names(self.owner, self.books)
        found = stored(self.owner)
        same(found, expected(self.books))
        totals: dict[str, int] = {}
        for name, facts in found.items():
            if name.startswith("wallets/"):
                currency, _, balance, held, available, *_ = facts
                totals[currency] = totals.get(currency, 0) + balance
                assert held >= 0
                assert name.startswith("wallets/system:external") or 0 <= available <= MOST
            if name.startswith("transactions/"):
                _, amount, fee, returned = facts
                assert 0 <= returned <= amount
                assert returned == 0 or fee >= 0
            if name.startswith("holds/") and facts[0] != ACTIVE:
                assert facts == self.ended.setdefault(name, facts)
        assert set(totals.values()) <= {0}

    def look_at_etags(self) -> None:
        """See that they change with what they name, and with nothing else."""
        ours = [WalletId(name) for name in self.books.wallets if not name.startswith("system:")]
        for view in self.app.reads.wallets(ours):
            purse, seen = self.books.wallets[view.id], self.etags.setdefault(view.id, [])
            if purse.etag is None:
                assert view.etag not in seen
                purse.etag = view.etag
                seen.append(view.etag)
            assert view.etag == purse.etag

    def look_at_the_bank(self) -> None:
        """See that nothing was done twice, told that was not done, or given back that was done or may be."""
        for id_, order in self.books.orders.items():
            key = bank_key(OrderKind(order.kind), id_)
            assert self.bank.executed(key) <= 1
            if order.state == "SUCCEEDED" and (order.kind == WITHDRAWAL or order.collect):
                assert self.bank.executed(key) == 1
            if order.state in {"FAILED", "CANCELLED", "SCHEDULED"}:
                assert not self.bank.executed(key)
                assert not self.bank.may_execute(key)

    def read_everything(self) -> None:
        """See that all that is listed, and all that others are told, is what the model says; and verify the books."""
        books, reads = self.books, self.app.reads
        page: dict[str, Any] = {"size": 1000, "before": None, "conditions": ()}
        for view in reads.wallets([WalletId(name) for name in books.wallets]):
            same(wallet_facts(view), books.wallet_facts(view.id))
        for name in map(WalletId, ("alice", "bob", "dora", "system:external:USD")):
            for moved in reads.list_transactions(name, **page).items:
                same(move_facts(moved), books.move_facts(moved.id))
        everywhere = {**page, "wallet": None}
        for hold in reads.list_holds(**everywhere).items:
            same(hold_facts(hold), books.hold_facts(hold.id))
        for order in (*reads.list_withdrawals(**everywhere).items, *reads.list_scheduled_deposits(**everywhere).items):
            same(order_facts(order), books.order_facts(order.id))
        for rule in reads.list_rules(**page).items:
            same(rule_facts(rule), books.rule_facts(rule.id))
        told = facts_told(self.owner)
        due = facts_due(books)
        same({str(fact): told[fact] for fact in due}, {str(fact): count for fact, count in due.items()})
        assert [check for check in verify(self.config) if check.broken] == []

    # What is drawn, in the story's own terms.

    def amount(self, drawn: int) -> int:
        """Return the amount that a drawn number stands for."""
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
        """Return the middle of an hour of the story; what it is good for comes with the next whole one."""
        return self.books.began + timedelta(hours=hours) - HALF_AN_HOUR

    def etag(self, name: str, which: str) -> str:
        """Return the etag as it was last read, or the one before, or what was asked for."""
        seen = self.etags.get(name, [])
        if which == "now":
            return seen[-1] if seen else ""
        if which == "before":
            return seen[-2] if len(seen) > 1 else '"none"'
        return which

    def currency_of_move(self, id_: UUID) -> str:
        """Return what a transaction moved; of one that is not there, dollars."""
        return self.books.wallets[self.books.moves[id_].source].currency if id_ in self.books.moves else "USD"

    def currency_of_hold(self, id_: UUID) -> str:
        """Return what a hold puts aside; of one that is not there, dollars."""
        return self.books.wallets[self.books.holds[id_].wallet].currency if id_ in self.books.holds else "USD"

    # What there is to choose from: what nothing can happen to any more comes first, and is chosen less often.

    def moves(self) -> list[UUID]:
        """Return the transactions that a caller can name: it learns of one from its answer, after the batch."""
        known = {id_: one for id_, one in self.books.moves.items() if str(id_) not in self.coming}
        return _latest_last(known, lambda one: one.kind in REVERSIBLE and one.returned < one.amount)

    def holds(self) -> list[UUID]:
        """Return all holds."""
        return _latest_last(self.books.holds, lambda one: one.state == ACTIVE)

    def orders(self) -> list[UUID]:
        """Return all orders."""
        return _latest_last(self.books.orders, lambda one: one.state == SCHEDULED)


def compare(told: Facts, foreseen: Facts) -> None:
    """Hold what the product told to what the model foresaw; a replay in a batch carries only its subject."""
    because = foreseen.get("because")
    if isinstance(because, set) and told.get("because") in because:
        foreseen = {**foreseen, "because": told["because"]}
    if "refused" in told or "refused" in foreseen:
        same(told, foreseen)
    else:
        same(told, {key: foreseen.get(key) for key in told})


def same(found: Facts, expected: Facts) -> None:
    """Hold two tellings of the same to each other; tell only where they differ."""
    differing = {key: (found.get(key), expected.get(key)) for key in found | expected}
    differing = {key: (one, other) for key, (one, other) in differing.items() if one != other}
    assert differing == {}, f"(product, model): {differing}"


def nth_of(ids: Sequence[UUID], nth: int) -> UUID:
    """Return one of some ids, the last ones rather than the first; now and then one that is not there."""
    within = len(ids) if nth >= 20 else min(len(ids), 5)
    return ids[-1 - nth % within] if ids and nth < 30 else uuid4()


def _latest_last(things: Mapping[UUID, Thing], lives: Callable[[Thing], bool]) -> list[UUID]:
    return sorted(things, key=lambda id_: lives(things[id_]))


def with_new_id(command: Command) -> Command:
    """Return a command as a repeat of its call makes it: ids that the service makes up are others."""
    if isinstance(command, BatchTransfer):
        items = tuple(replace(item, id=new_id()) for item in command.items)
        return replace(command, id=new_id(), items=items)
    if isinstance(command, CreateWallet) or "id" not in {field.name for field in fields(command)}:
        return replace(command)
    return replace(command, id=new_id())  # type: ignore[call-arg]  # it has one


def _unhurried(payouts: PayoutSettings) -> PayoutSettings:
    """Return a pace of whole hours, so that the seconds of a story never matter."""
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
