"""Cancel against claim, many rounds: exactly one wins, and the money agrees with the state."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals
from tests.conftest import PATIENT
from tests.support.batching import post_as_one_batch
from tests.support.books import balance_of, open_wallet, request, transfer
from tests.support.commands import a_cancelled_deposit, a_cancelled_withdrawal, a_withdrawal
from tests.support.database import Database
from tests.support.payouts import schedule, withdrawal
from tests.support.scheduled import (
    CollectingBank,
    cancel_deposit,
    cancel_withdrawal,
    reserve,
    schedule_deposit,
    scheduled_deposit,
)
from tests.support.together import together
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.payments.attempt_payment import StartPayment
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.errors import InsufficientFunds, StaleClaim, StateTransitionForbidden, WalletNotActive
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import Claim, OrderState, PaymentOrder, ScheduledDeposit, Withdrawal
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.change_payment_order import OrderChanged, change_scheduled_deposit, change_withdrawal
from wallet_core.usecases.change_wallet import WalletChanged, change_wallet
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.pay_out import pay_out

ROUNDS = 16
AMOUNT = 10
NOW = timedelta()


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank stub, for reading its own records."""
    return CollectingBank(bank.url)


@pytest.fixture
def apps(settings: Settings, database: Database, stub: CollectingBank) -> Iterator[tuple[App, App]]:
    """Return a server's core and a scheduler's; patient, for both share one interpreter with their bank here."""
    del stub
    patient = settings.replaced(**PATIENT)
    with open_app(patient, name="server") as server, open_app(patient, name="scheduler") as scheduler:
        yield server, scheduler
    assert database.broken_rules() == []


def held_in(app: App, wallet: WalletId) -> int:
    """Return how much of a wallet is held now."""
    return app.reads.wallets([wallet])[0].held


def race(cancel: Callable[[], PaymentOrder], work: Callable[[], object], look: Callable[[], PaymentOrder]) -> str:
    """Run a cancel against the work on an order; return the winner, and raise where none or both win."""
    calls: list[Callable[[], object]] = [cancel, work]
    cancelled, worked = together(calls)
    assert not isinstance(worked, Exception), worked
    order = look()
    if isinstance(cancelled, Exception):
        assert isinstance(cancelled, StateTransitionForbidden), cancelled
        assert order.state is OrderState.SUCCEEDED
        return "work"
    assert order.state is OrderState.CANCELLED
    return "cancel"


def begun(claims: Sequence[Claim], work: Callable[[Claim], object]) -> object:
    """Work on what was claimed, as the worker would."""
    return [work(claim) for claim in claims]


def test_cancel_and_credit_never_both_happen(apps: tuple[App, App]) -> None:
    """A deposit from outside by itself: against a whole round, and against work on a claim made just before."""

    server, scheduler = apps
    alice = open_wallet(server, "alice")
    won: Counter[str] = Counter()
    for round_ in range(2 * ROUNDS):
        id_ = schedule_deposit(server, alice, AMOUNT, collect=False)
        work: Callable[[], object] = partial(credit_due_deposits.run_once, scheduler)
        if round_ % 2:
            claims = scheduler.claims.to_credit(limit=1, lease=timedelta(seconds=30), clock_offset=NOW)
            work = partial(begun, claims, partial(credit_deposit, scheduler))
        won[race(partial(cancel_deposit, server, id_), work, partial(scheduled_deposit, server, id_))] += 1

    assert balance_of(server, alice) == won["work"] * AMOUNT
    assert won.total() == 2 * ROUNDS


def test_cancel_and_collection_never_both_happen(apps: tuple[App, App], stub: CollectingBank) -> None:
    """The bank has collected exactly what was not cancelled, and the wallet has been credited with just that."""

    server, scheduler = apps
    alice = open_wallet(server, "alice")
    won: Counter[str] = Counter()
    for round_ in range(ROUNDS):
        id_ = schedule_deposit(server, alice, AMOUNT, collect=True)
        work: Callable[[], object] = partial(collect_due_deposits.run_once, scheduler)
        if round_ % 2:
            claims = scheduler.claims.to_collect(limit=1, lease=timedelta(seconds=30), clock_offset=NOW)
            work = partial(begun, claims, partial(pay_out, scheduler))
        won[race(partial(cancel_deposit, server, id_), work, partial(scheduled_deposit, server, id_))] += 1

    assert balance_of(server, alice) == won["work"] * AMOUNT == sum(int(line["amount"]) for line in stub.ledger())


def test_cancel_and_payout_of_reserved_money_never_both_happen(apps: tuple[App, App], stub: CollectingBank) -> None:
    """One winner a round; nothing stays held or in transit, and what left the wallet is what the bank paid."""

    server, scheduler = apps
    alice = open_wallet(server, "alice", ROUNDS * AMOUNT)
    won: Counter[str] = Counter()
    for round_ in range(ROUNDS):
        id_ = reserve(server, alice, AMOUNT)
        work: Callable[[], object] = partial(pay_due_withdrawals.run_once, scheduler)
        if round_ % 2:
            claims = scheduler.claims.to_pay(limit=1, lease=timedelta(seconds=30), clock_offset=NOW)
            work = partial(begun, claims, partial(pay_out, scheduler))
        won[race(partial(cancel_withdrawal, server, id_), work, partial(withdrawal, server, id_))] += 1
        assert held_in(server, alice) == 0

    assert balance_of(server, system_wallet(Role.IN_TRANSIT, "USD")) == 0
    assert ROUNDS * AMOUNT - balance_of(server, alice) == won["work"] * AMOUNT == len(stub.ledger()) * AMOUNT


@pytest.mark.parametrize("cancel_first", [True, False])
def test_cancel_and_work_in_one_batch_are_decided_in_their_order(
    app: App, bank: BankServer, *, cancel_first: bool
) -> None:
    """Both are in the same commit: the second sees what the first did, for a credit, a collection and a payout."""

    del bank
    alice = open_wallet(app, "alice", AMOUNT)
    plain, collected = (schedule_deposit(app, alice, AMOUNT, collect=collect) for collect in (False, True))
    reserved = reserve(app, alice, AMOUNT)
    lease = app.payouts.policy.lease
    ((credit,), (collection,), (payout,)) = (
        claim(limit=1, lease=lease, clock_offset=NOW)
        for claim in (app.claims.to_credit, app.claims.to_collect, app.claims.to_pay)
    )
    policy = app.payouts.policy
    pairs: list[tuple[Command, Command]] = [
        (a_cancelled_deposit(plain), CreditDeposit(id=new_id(), claim=credit)),
        (
            a_cancelled_deposit(collected),
            StartPayment(id=new_id(), claim=collection, policy=policy, jitter=1.0),
        ),
        (
            a_cancelled_withdrawal(reserved),
            StartPayment(id=new_id(), claim=payout, policy=policy, jitter=1.0),
        ),
    ]
    outcomes = post_as_one_batch(app, [one for pair in pairs for one in (pair if cancel_first else pair[::-1])])

    assert [type(one) for one in outcomes[::2]] == [Done] * 3
    assert [type(one) for one in outcomes[1::2]] == [StaleClaim if cancel_first else StateTransitionForbidden] * 3
    after: list[PaymentOrder] = [
        *(scheduled_deposit(app, id_) for id_ in (plain, collected)),
        withdrawal(app, reserved),
    ]
    begun_as = [OrderState.SUCCEEDED, OrderState.PROCESSING, OrderState.PROCESSING]
    assert [one.state for one in after] == ([OrderState.CANCELLED] * 3 if cancel_first else begun_as)
    assert (balance_of(app, alice), held_in(app, alice)) == (AMOUNT, 0)


def test_of_many_cancels_one_wins_and_its_repeats_get_the_same(apps: tuple[App, App]) -> None:
    """Through two servers: eight callers with ids of their own, and one id sent eight times."""

    alice = open_wallet(apps[0], "alice")
    own, shared = (schedule_deposit(apps[0], alice, AMOUNT, collect=True) for _ in range(2))
    outcomes = together([partial(cancel_deposit, apps[n % 2], own) for n in range(8)])
    same = a_cancelled_deposit(shared)
    again: list[Callable[[], OrderChanged[ScheduledDeposit]]] = [
        partial(change_scheduled_deposit, apps[n % 2], same) for n in range(8)
    ]
    repeated = together(again)

    kinds = Counter(type(one).__name__ for one in outcomes)
    assert kinds == {"ScheduledDeposit": 1, "StateTransitionForbidden": 7}
    assert not [one for one in repeated if isinstance(one, Exception)]
    assert Counter(one.replayed for one in repeated if not isinstance(one, Exception)) == {False: 1, True: 7}


def test_one_request_sent_many_times_reserves_once(apps: tuple[App, App]) -> None:
    """Eight at once through two servers: one withdrawal, held once, and seven repeats of it."""

    alice = open_wallet(apps[0], "alice", 1000)
    requested = request()

    def again(app: App) -> OrderChanged[Withdrawal]:
        return change_withdrawal(app, a_withdrawal(alice, Money("USD", 300), reserve=True, request=requested))

    outcomes = together([partial(again, apps[n % 2]) for n in range(8)])

    made = [one for one in outcomes if not isinstance(one, Exception)]
    assert Counter(one.replayed for one in made) == {False: 1, True: 7}
    assert (len({one.order.id for one in made}), held_in(apps[0], alice)) == (1, 300)


def test_reservations_at_once_never_exceed_what_is_there(apps: tuple[App, App]) -> None:
    """Sixteen of 100 and eight transfers of 100 on 1,000, through two servers: ten pass."""

    alice, bob = open_wallet(apps[0], "alice", 1000), open_wallet(apps[0], "bob")
    calls: list[Callable[[], object]] = [partial(reserve, apps[n % 2], alice, 100) for n in range(16)]
    calls += [partial(transfer, apps[n % 2], alice, bob, 100) for n in range(8)]
    outcomes = together(calls)

    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert [type(one) for one in refused] == [InsufficientFunds] * 14
    reserved = sum(isinstance(one, UUID) for one in outcomes)
    assert (held_in(apps[0], alice), balance_of(apps[0], alice)) == (100 * reserved, 1000 - balance_of(apps[0], bob))
    assert 100 * reserved + balance_of(apps[0], bob) == 1000


def test_reserved_payouts_and_spenders_at_once_leave_no_payout_short(
    apps: tuple[App, App], stub: CollectingBank
) -> None:
    """All else is spent while five reserved payouts and one that is not are executed: the five cannot fail."""

    server, scheduler = apps
    alice, bob = open_wallet(server, "alice", 100), open_wallet(server, "bob")
    reserved = [reserve(server, alice, 10) for _ in range(5)]
    loose = schedule(server, alice, 50)
    spend: list[Callable[[], object]] = [partial(transfer, server, alice, bob, 10) for _ in range(8)]
    spend.append(partial(pay_due_withdrawals.run_once, scheduler))
    together(spend)

    assert [withdrawal(server, id_).state for id_ in reserved] == [OrderState.SUCCEEDED] * 5
    paid = [10] * 5 + ([50] if withdrawal(server, loose).state is OrderState.SUCCEEDED else [])
    assert sorted(int(line["amount"]) for line in stub.ledger()) == paid
    assert (balance_of(server, alice), held_in(server, alice)) == (100 - sum(paid) - balance_of(server, bob), 0)


def test_a_wallet_is_closed_or_scheduled_into_and_never_both(apps: tuple[App, App]) -> None:
    """Close against ScheduleDeposit through two servers: the second one is refused."""

    outcomes: Counter[str] = Counter()
    for round_ in range(ROUNDS // 2):
        wallet = open_wallet(apps[0], f"w{round_}")
        close = CloseWallet(request=request(), wallet=wallet, etag="")
        calls: list[Callable[[], WalletChanged | UUID]] = [
            partial(change_wallet, apps[0], close),
            partial(schedule_deposit, apps[1], wallet, AMOUNT, collect=bool(round_ % 2)),
        ]
        closed, scheduled = together(calls)
        if isinstance(closed, Exception):
            assert isinstance(closed, StateTransitionForbidden)
            assert isinstance(scheduled, UUID)
            outcomes["scheduled"] += 1
        else:
            assert isinstance(scheduled, WalletNotActive)
            outcomes["closed"] += 1
    assert outcomes.total() == ROUNDS // 2
