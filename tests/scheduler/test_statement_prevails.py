"""A payment that the bank statement shows is never released, failed, cancelled or sent, with any other answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import (
    collect_due_deposits,
    pay_due_withdrawals,
    reconcile_bank_statement,
    reconcile_collections,
    reconcile_withdrawals,
)
from tests.conftest import FAST, PATIENT
from tests.support.books import balance_of, deposit, open_wallet, request
from tests.support.commands import a_withdrawal
from tests.support.database import Cluster, Database
from tests.support.payouts import Bank, bank_key, schedule, withdrawal
from tests.support.processes import environment, process
from tests.support.scheduled import cancel_withdrawal, collection_key, schedule_deposit, scheduled_deposit
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.errors import Because, StateTransitionForbidden
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderState, PaymentOrder, order_id
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings, read_settings
from wallet_core.usecases.app import App
from wallet_core.usecases.change_payment_order import change_withdrawal

LATER = datetime(2100, 1, 1, tzinfo=UTC)
# Each round runs an hour after the one before, so that all that waits is due.
HOURS = (timedelta(hours=number) for number in count(1))
ALICE = WalletId("alice")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with time for a busy machine."""
    return settings.replaced(**PATIENT)


def pay(app: App, order: UUID) -> PaymentOrder:
    """Pay out what is due, at a time when everything is."""
    pay_due_withdrawals.run_once(app, clock_offset=next(HOURS))
    return withdrawal(app, order)


def collect(app: App, order: UUID) -> PaymentOrder:
    """Collect what is due, at a time when everything is."""
    collect_due_deposits.run_once(app, clock_offset=next(HOURS))
    return scheduled_deposit(app, order)


def settle_doubts(app: App) -> None:
    """Query all that is in doubt, at a time when all of it is due."""
    reconcile_withdrawals.run_once(app, clock_offset=next(HOURS))
    reconcile_collections.run_once(app, clock_offset=next(HOURS))


@pytest.mark.parametrize(
    ("answers", "asks"),
    [
        (
            (
                "declined_retryable",
                "declined_retryable",
                "declined_retryable",
                "declined_retryable",
                "declined_retryable",
            ),
            1,
        ),
        (("declined_retryable", "declined"), 1),
    ],
    ids=["attempts_used_up", "declined"],
)
def test_a_payout_that_the_statement_shows_as_paid_is_not_released(
    app: App, stub: Bank, alice: WalletId, answers: tuple[str, ...], asks: int
) -> None:
    """Row 21: the bank declines, and its statement shows the payment.

    No further call is made, and the money stays out.
    """

    id_ = schedule(app, alice, 100)
    for answer in answers:
        stub.order(answer, times=1)
    pay(app, id_)
    stub.execute(key=bank_key(id_), amount=100)
    reconcile_bank_statement.run_once(app)
    for _ in answers:
        doubted = pay(app, id_)

    assert (doubted.state, stub.posts(id_)) == (OrderState.IN_DOUBT, asks)
    stub.forgive()
    settle_doubts(app)
    assert withdrawal(app, id_).state is OrderState.SUCCEEDED
    assert (balance_of(app, alice), stub.executions(id_)) == (900, 1)


def test_a_refusal_that_comes_after_the_ledger_was_read_is_not_believed(app: App, stub: Bank, alice: WalletId) -> None:
    """The statement is read during the bank call: the decline is stored with its attempt, and settles nothing."""

    id_ = schedule(app, alice, 100)
    pay_no = partial(app.bank.pay)

    class Between:
        """The bank, between whose decision and answer its ledger is read."""

        def __getattr__(self, name: str) -> object:
            return getattr(app.bank, name)

        def pay(self, payment: object) -> object:
            stub.order("declined", times=1)
            answer = pay_no(payment)  # type: ignore[arg-type]  # a payment
            stub.execute(key=bank_key(id_), amount=100)
            reconcile_bank_statement.run_once(app)
            return answer

    pay_due_withdrawals.run_once(replace(app, bank=Between()))  # type: ignore[arg-type]  # the bank, but for one call
    found = withdrawal(app, id_)
    assert (found.state, found.attempts[0].answer) == (OrderState.IN_DOUBT, AnswerKind.DECLINED)
    settle_doubts(app)
    assert (withdrawal(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 900)


def test_a_collection_that_the_statement_shows_is_not_failed(app: App, stub: Bank, alice: WalletId) -> None:
    """The same rule: it is credited once."""

    id_ = schedule_deposit(app, alice, 70, collect=True)
    stub.order("declined_retryable", times=1)
    collect(app, id_)
    stub.execute(key=collection_key(id_), amount=70, kind="collection")
    reconcile_bank_statement.run_once(app)
    assert collect(app, id_).state is OrderState.IN_DOUBT
    settle_doubts(app)
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 1070)


def test_what_was_paid_before_it_began_is_taken_from_the_wallet_and_not_sent(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """As after a restore: the wallet is debited, the bank is not called to pay, and its statement ends it."""

    id_ = schedule(app, alice, 100)
    stub.execute(key=bank_key(id_), amount=100)
    reconcile_bank_statement.run_once(app)
    begun = pay(app, id_)

    assert (begun.state, balance_of(app, alice), stub.posts(id_)) == (OrderState.IN_DOUBT, 900, 0)
    settle_doubts(app)
    assert withdrawal(app, id_).state is OrderState.SUCCEEDED


def test_a_payment_that_the_wallet_cannot_cover_is_left_to_an_operator(app: App, stub: Bank) -> None:
    """It is neither failed nor sent; once the money is there it continues."""

    poor = open_wallet(app, "poor", 40)
    id_ = schedule(app, poor, 100)
    stub.execute(key=bank_key(id_), amount=100)
    reconcile_bank_statement.run_once(app)
    waiting = pay(app, id_)
    assert (waiting.state, "the wallet has too little" in waiting.attention) == (OrderState.SCHEDULED, True)

    deposit(app, poor, 60)
    pay(app, id_)
    settle_doubts(app)
    assert (withdrawal(app, id_).state, stub.posts(id_)) == (OrderState.SUCCEEDED, 0)


def test_what_was_paid_is_not_cancelled(app: App, stub: Bank, alice: WalletId) -> None:
    """The caller gets the reason."""

    id_ = schedule(app, alice, 100, execute_time=LATER)
    stub.execute(key=bank_key(id_), amount=100)
    reconcile_bank_statement.run_once(app)
    with pytest.raises(StateTransitionForbidden) as refused:
        cancel_withdrawal(app, id_)

    assert refused.value.because == Because.BANK_SAYS_EXECUTED


@contextmanager
def copy_of(cluster: Cluster, database: Database) -> Iterator[Database]:
    """Return a copy of a database as it is now, as a restore brings it back; it may have no connections."""
    name = urlsplit(database.url).path.removeprefix("/")
    with cluster.clone(f"restored_{uuid4().hex[:8]}", template=name) as restored:
        yield restored


def test_an_order_that_a_restore_forgot_reaches_the_bank_with_the_same_key(
    cluster: Cluster, own_database: Database, bank: BankServer
) -> None:
    """Its caller, who never got the answer, repeats: the same order by name, and one payment at the bank."""

    stub, id_ = Bank(bank.url), uuid4()

    def opened(database: Database) -> Settings:
        return read_settings(**{**FAST, **PATIENT, "database_url": database.url, "bank_url": bank.url})

    def ask(app: App) -> UUID:
        return change_withdrawal(app, a_withdrawal("alice", Money("USD", 100), request=request(id_))).order.id

    with open_app(opened(own_database), name="before") as app:
        open_wallet(app, ALICE, 1000)
    with copy_of(cluster, own_database) as restored:
        with open_app(opened(own_database), name="first") as app:
            first = ask(app)
            assert pay(app, first).state is OrderState.SUCCEEDED
        with open_app(opened(restored), name="second") as app:
            again = ask(app)
            assert pay(app, again).state is OrderState.SUCCEEDED
            assert balance_of(app, ALICE) == 900
        assert restored.broken_rules() == []
    assert first == again == order_id("tests", id_)
    assert len(stub.ledger()) == 1


def test_a_scheduler_pays_nothing_before_it_has_read_the_banks_ledger_to_its_end(
    app: App, settings: Settings, bank: BankServer, tmp_path: Path
) -> None:
    """While the ledger cannot be read nothing is claimed; once it was read all is paid, and what was paid is not."""

    stub, alice = Bank(bank.url), open_wallet(app, ALICE, 1000)
    due, paid_before = schedule(app, alice, 10), schedule(app, alice, 20)
    stub.execute(key=bank_key(paid_before), amount=20)
    log = tmp_path / "out"
    env = environment({**FAST, **PATIENT, "database_url": settings.required_database_url(), "bank_url": bank.url})

    def once() -> str:
        with process(["-m", "scheduler", "--once"], env=env, log=log) as child:
            assert child.wait(30) == 0, log.read_text()
        return log.read_text()

    stub.order("http_error", match={"path": "/ledger"})
    assert "pay-due-withdrawals: nothing claimed: the bank statement has not been read to its end" in once()
    assert [withdrawal(app, id_).state for id_ in (due, paid_before)] == [OrderState.SCHEDULED] * 2
    stub.forgive()
    once()
    assert withdrawal(app, due).state is OrderState.SUCCEEDED
    assert stub.posts(paid_before) == 0
    settle_doubts(app)
    assert (withdrawal(app, paid_before).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 970)


def test_not_found_is_not_believed_of_another_ledger(
    app: App, stub: Bank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """While the bank shows another ledger than the one that was followed, nothing is sent again."""

    id_ = schedule(app, alice, 100)
    stub.order("reset", times=1)
    pay(app, id_)
    owner.execute("UPDATE bank_statement_cursor SET error = 'line 1 is no longer what it was', error_since = now()")
    posts = stub.posts(id_)
    settle_doubts(app)

    assert (withdrawal(app, id_).state, stub.posts(id_)) == (OrderState.IN_DOUBT, posts)
