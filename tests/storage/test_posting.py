"""Posting: one database transaction for all queued commands, and no command fails by a neighbour."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import ClassVar
from uuid import uuid4

import psycopg
import pytest

from tests.support.batching import post_as_one_batch
from tests.support.books import balance_of, deposit, open_wallet, transfer
from tests.support.commands import a_withdrawal
from tests.support.ledger_pages import a_deposit, a_new_wallet, a_transfer
from tests.support.raw_bank import answering, http_200
from tests.support.rows import without_triggers
from tests.support.together import together
from wallet_core.bootstrap import open_app
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, Done, LockSet
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import InsufficientFunds, LedgerBroken, ResourceExists, ServiceError, WalletError
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.transaction import Transaction, TransactionDetails
from wallet_core.domain.model.wallet import WalletId
from wallet_core.gateways.bank import HttpBank
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.move_money import MoneyMoved
from wallet_core.usecases.pay_out import pay_out

ALICE, BOB = WalletId("alice"), WalletId("bob")


@pytest.fixture
def patient(settings: Settings) -> Iterator[App]:
    """Return an app that waits long for locks, with funded wallets and a gate."""
    with open_app(settings.replaced(lock_timeout_s=10.0), name="patient") as app:
        open_wallet(app, "gate")
        open_wallet(app, "alice", 100)
        open_wallet(app, "bob", 100)
        yield app


@pytest.fixture
def apps(app: App, settings: Settings) -> Iterator[tuple[App, App]]:
    """Return two apps on one database, as two servers are."""
    with open_app(settings, name="other") as other:
        yield app, other


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken(Command):
    """A command with a defect: it raises what is no refusal."""

    method: ClassVar[str] = "Broken"
    error: Exception

    def lock_set(self) -> LockSet:
        """Need nothing."""
        return LockSet()

    def decide(self, books: LedgerState) -> Decision:
        """Break."""
        del books
        raise self.error


def test_commands_that_were_queued_together_are_one_database_transaction(
    patient: App, owner: psycopg.Connection
) -> None:
    """All rows of a batch were written by the same transaction, and those before it by others."""

    commands = [a_transfer(1), a_deposit(5, BOB), a_transfer(2, BOB, ALICE), a_new_wallet(), a_transfer(1000)]
    outcomes = post_as_one_batch(patient, commands)

    assert [type(outcome) for outcome in outcomes] == [Done, Done, Done, Done, InsufficientFunds]
    of_batch = [outcome.transaction.id for outcome in outcomes if isinstance(outcome, Done) and outcome.transaction]
    rows = owner.execute(
        """
        SELECT xmin::text FROM entries WHERE transaction = ANY(%(ids)s)
        UNION SELECT xmin::text FROM transactions WHERE id = ANY(%(ids)s)
        UNION SELECT xmin::text FROM wallets WHERE id = 'carol'
        UNION SELECT xmin::text FROM requests WHERE refusal IS NOT NULL
        """,
        {"ids": of_batch},
    ).fetchall()
    assert len(rows) == 1
    assert owner.execute("SELECT count(DISTINCT xmin::text) > 1 FROM entries").fetchone() == (True,)


@pytest.mark.parametrize("error", [LedgerBroken(), ValueError("a defect"), OverflowError("of a clock")])
def test_a_command_that_breaks_fails_alone(patient: App, error: Exception) -> None:
    """Its neighbours in the batch are served."""

    commands = [a_transfer(1), Broken(error=error), a_transfer(2)]
    outcomes = post_as_one_batch(patient, commands)

    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, False, True]
    assert balance_of(patient, ALICE) == 97


@pytest.mark.parametrize(
    "command",
    [
        replace(a_transfer(1), details=TransactionDetails(description="\x00")),
        a_transfer(0),
        a_transfer(-1),
        replace(a_new_wallet(), id=WalletId("Not A Slug")),
        replace(a_new_wallet(), currency="XX1"),
    ],
)
def test_a_command_that_cannot_be_stored_fails_alone(patient: App, command: Command) -> None:
    """The batch is halved until the command is alone; the database decides."""

    outcomes = post_as_one_batch(patient, [a_transfer(1), a_transfer(2), command, a_transfer(3)])

    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, True, False, True]
    assert isinstance(outcomes[2], WalletError)
    assert balance_of(patient, ALICE) == 94


def test_twins_in_one_batch_are_one_transaction(patient: App) -> None:
    """And so they are again when they come a third time."""

    twin = a_transfer(1)
    outcomes = post_as_one_batch(patient, [twin, replace(twin, id=new_id())])
    again = patient.ledger.post(replace(twin, id=new_id()))

    assert [outcome.replayed for outcome in outcomes if isinstance(outcome, Done)] == [False, True]
    assert {outcome.subject for outcome in [*outcomes, again] if isinstance(outcome, Done)} == {
        f"transactions/{twin.id}"
    }
    assert balance_of(patient, ALICE) == 99


def test_time_never_runs_backward_within_a_wallet(app: App, owner: psycopg.Connection) -> None:
    """A clock that was set back a little: new entries wait at the wallet's last time, and so do their neighbours'."""

    alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob", 100)
    with without_triggers(owner), owner.transaction():
        owner.execute("UPDATE wallets SET last_time = last_time + interval '50 seconds' WHERE id = 'alice'")
        owner.execute(
            "UPDATE entries SET time = wallets.last_time FROM wallets"
            " WHERE wallets.key = entries.wallet AND wallets.id = 'alice' AND entries.sequence = wallets.sequence"
        )
    ahead = owner.execute("SELECT last_time FROM wallets WHERE id = 'alice'").fetchone()
    first, second = transfer(app, alice, bob, 1), transfer(app, bob, alice, 2)
    third = deposit(app, bob, 3)

    assert ahead is not None
    assert [moved.transaction.time for moved in (first, second, third)] == [ahead[0]] * 3
    with without_triggers(owner), owner.transaction():  # what was set ahead by hand is put right
        owner.execute(
            "UPDATE entries SET time = transactions.time FROM transactions"
            " WHERE transactions.id = entries.transaction AND entries.sequence = 1"
        )


def test_a_replay_returns_what_the_first_call_returned(app: App) -> None:
    """The transaction as it was, the balance as it was, after any later changes."""

    alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
    id_ = uuid4()
    first = transfer(app, alice, bob, 60, id_)
    transfer(app, alice, bob, 1)
    again = transfer(app, alice, bob, 60, id_)

    assert again == MoneyMoved(first.transaction, first.available, replayed=True)
    assert isinstance(again.transaction, Transaction)


def test_validate_only_stores_nothing(app: App, owner: psycopg.Connection) -> None:
    """Not even the request's record."""

    open_wallet(app, "alice", 100)
    open_wallet(app, "bob")
    counts = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM requests), (SELECT count(*) FROM outbox)"
    before = owner.execute(counts).fetchone()
    for command in (
        a_transfer(60, validate_only=True),
        a_deposit(5, validate_only=True),
        a_new_wallet(validate_only=True),
    ):
        app.ledger.post(command)
    with pytest.raises(InsufficientFunds):
        app.ledger.post(a_transfer(101, validate_only=True))

    assert owner.execute(counts).fetchone() == before


def test_twins_through_two_servers_move_money_once(apps: tuple[App, App]) -> None:
    """One does the work, the others replay it."""

    alice = open_wallet(apps[0], "alice")
    for _ in range(15):
        id_ = uuid4()
        moved = together([partial(deposit, app, alice, 1, id_=id_) for app in apps * 3])
        results = [m for m in moved if isinstance(m, MoneyMoved)]
        assert len(results) == 6, moved
        assert sorted(m.replayed for m in results) == [False, *[True] * 5]
        assert len({m.transaction.id for m in results}) == 1
        assert len({m.available for m in results}) == 1

    assert balance_of(apps[0], alice) == 15


def test_one_name_wanted_through_two_servers_is_given_once(apps: tuple[App, App]) -> None:
    """The others learn that it exists, and none that the ledger is broken."""

    for nth in range(10):
        name, currency = WalletId(f"wallet-{nth}"), ("EUR", "GBP", "JPY", "CHF", "SEK")[nth % 5]
        outcomes = together([partial(app.ledger.post, a_new_wallet(name, currency)) for app in apps * 2])
        assert [type(outcome) for outcome in outcomes if not isinstance(outcome, Done)] == [ResourceExists] * 3, (
            outcomes
        )


def test_first_wallets_of_a_currency_through_two_servers_are_all_opened(apps: tuple[App, App]) -> None:
    """They race for the currency's system wallets, and none loses."""

    for nth, currency in enumerate(("EUR", "GBP", "JPY", "CHF", "SEK", "NOK")):
        commands = [a_new_wallet(WalletId(f"w-{nth}-{place}"), currency) for place in range(4)]
        outcomes = together(
            [partial(app.ledger.post, command) for app, command in zip(apps * 2, commands, strict=True)]
        )
        assert [type(outcome) for outcome in outcomes] == [Done] * 4, outcomes


def test_transfers_to_and_fro_through_two_servers_neither_block_nor_lose(apps: tuple[App, App]) -> None:
    """Locks are taken in one order for both directions."""

    wallets = [open_wallet(apps[0], name, 1000) for name in ("alice", "bob", "carol", "dave")]

    def call(app: App, start: int) -> list[MoneyMoved]:
        return [
            transfer(app, wallets[(start + nth) % 4], wallets[(start + nth * 3 + 1 + nth % 2) % 4], 1)
            for nth in range(15)
            if (start + nth) % 4 != (start + nth * 3 + 1 + nth % 2) % 4
        ]

    outcomes = together([partial(call, app, start) for start in range(4) for app in apps])

    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert sum(balance_of(apps[0], wallet) for wallet in wallets) == 4000


def test_an_acceptance_is_stored_with_any_text_from_the_bank(app: App) -> None:
    """Money that was paid must not stay in transit because of a zero byte in a text."""

    open_wallet(app, "alice", 100)
    command = a_withdrawal("alice", Money("USD", 5))
    app.ledger.post(command)
    (claim,) = app.claims.to_pay(limit=1, lease=timedelta(seconds=30), clock_offset=timedelta())
    with answering(http_200(rb'{"data": "success", "status": 200, "reference": "r\u0000"}')) as url:
        bank = HttpBank(url=url, deadline_s=3, answer_max_bytes=65536)
        try:
            pay_out(replace(app, bank=bank), claim)
        except ServiceError as error:
            pytest.fail(f"the answer was lost: {error!r}")

    assert app.reads.withdrawal(command.id).state is OrderState.SUCCEEDED
