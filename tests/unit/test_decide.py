"""Decide: a batch of commands on open books, each seeing what those before it did."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.support import commands
from tests.support.commands import Fields
from tests.support.ledger_pages import (
    ALICE,
    BOB,
    CAROL,
    EXTERNAL,
    NOW,
    a_deposit,
    a_new_wallet,
    a_request,
    a_transfer,
    alice_and_bob,
    balances,
    books_of,
    done,
    one,
    refusal,
    wallet,
)
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.deciding.ledger_state import LedgerState, PendingWrites
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    InsufficientFunds,
    InvalidField,
    LimitExceeded,
    Refusal,
    RequestIdReused,
    ResourceExists,
    ResourceNotFound,
    StateTransitionForbidden,
    SystemWalletForbidden,
    WalletNotActive,
)
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.wallet import Role, WalletId, WalletState, system_wallet


def a_withdrawal(wallet: WalletId = ALICE, amount: Money | None = None, **changes: Fields) -> ScheduleWithdrawal:
    """Return a withdrawal of 10 minor units for now, with *changes*."""
    return commands.a_withdrawal(wallet, amount or Money("USD", 10), **changes)


def busy_books() -> LedgerState:
    """Return books with wallets in every state and two currencies."""
    return books_of(
        wallet(ALICE, 100, key=1),
        wallet(BOB, key=2),
        wallet(WalletId("frozen"), 50, key=3, state=WalletState.FROZEN),
        wallet(WalletId("closed"), key=4, state=WalletState.CLOSED),
        wallet(WalletId("euros"), key=5, currency="EUR"),
        wallet(WalletId("full"), INT64_MAX - 100, key=6),
    )


REFUSED = [
    (a_transfer(101), InsufficientFunds),
    (a_transfer(1, CAROL), ResourceNotFound),
    (a_transfer(1, ALICE, CAROL), ResourceNotFound),
    (a_transfer(1, WalletId("frozen")), WalletNotActive),
    (a_transfer(1, WalletId("closed")), WalletNotActive),
    (a_transfer(1, ALICE, WalletId("closed")), WalletNotActive),
    (a_transfer(1, ALICE, WalletId("euros")), CurrencyMismatch),
    (a_transfer(1, currency="EUR"), CurrencyMismatch),
    (a_transfer(1, ALICE, ALICE), InvalidField),
    (a_transfer(1, EXTERNAL, ALICE), SystemWalletForbidden),
    (a_transfer(1, ALICE, system_wallet(Role.IN_TRANSIT, "USD")), SystemWalletForbidden),
    (a_transfer(1, ALICE, WalletId("system:anything")), SystemWalletForbidden),
    (a_deposit(1, EXTERNAL), SystemWalletForbidden),
    (a_deposit(1, CAROL), ResourceNotFound),
    (a_deposit(1, WalletId("closed")), WalletNotActive),
    (a_deposit(101, WalletId("full")), LimitExceeded),
    (a_deposit(INT64_MAX, ALICE), LimitExceeded),
    (a_new_wallet(ALICE), ResourceExists),
    (a_withdrawal(CAROL), ResourceNotFound),
    (a_withdrawal(WalletId("frozen")), WalletNotActive),
    (a_withdrawal(amount=Money("EUR", 1)), CurrencyMismatch),
    (a_withdrawal(EXTERNAL), SystemWalletForbidden),
    (a_withdrawal(execute_time=NOW - timedelta(microseconds=1)), InvalidField),
    (commands.a_cancelled_withdrawal(uuid4()), ResourceNotFound),
]


@pytest.mark.parametrize(("command", "kind"), REFUSED)
def test_a_refused_command_leaves_nothing_but_its_record(command: Command, kind: type[Refusal]) -> None:
    """Wallets, withdrawals, keys and everything to be stored are as they were."""

    books = busy_books()
    before = deepcopy(books)
    refused = refusal(books, command)

    assert kind is type(refused)
    if kind.recorded:
        assert [record.refusal for record in books.pending.records] == [refused]
        assert command.request is not None
        del books.records[command.request]
        books.pending.records.clear()
    assert before == books


@pytest.mark.parametrize(
    "command",
    [a_transfer(100), a_transfer(100, ALICE, WalletId("full")), a_deposit(7), a_withdrawal()],
)
def test_validate_only_changes_nothing_and_returns_the_real_outcome(command: Command) -> None:
    """A caller may validate first: the answer is that of the real call, and the ledger is as it was."""

    books = busy_books()
    before = deepcopy(books)
    previewed = one(books, replace(command, validate_only=True))

    assert before == books
    assert one(before, command) == previewed


def test_a_new_wallet_that_is_only_validated_takes_no_key() -> None:
    """To decide changes nothing, the spare keys included."""

    books = busy_books()
    before = deepcopy(books)
    one(books, a_new_wallet(validate_only=True))

    assert before == books


@pytest.mark.parametrize("command", [command for command, _ in REFUSED])
def test_validate_only_refuses_as_the_real_call_would_and_keeps_no_record(command: Command) -> None:
    """A refusal that was only validated does not bind the request id."""

    books = busy_books()
    refused = one(books, replace(command, validate_only=True))

    assert PendingWrites() == books.pending
    assert books.records == {}
    assert one(books, command) == refused


def test_a_second_transfer_sees_what_the_first_one_left() -> None:
    """Order within a batch is order in time."""

    books = alice_and_bob(alice=100)
    first, second, third = decide(books, [a_transfer(70), a_transfer(70), a_transfer(30)])

    assert [done(first).available, done(third).available] == [30, 0]
    assert isinstance(second, Refused)
    assert InsufficientFunds("wallets/alice", "USD", 30, 70) == second.refusal
    assert balances(books) == [0, 100]


def test_money_that_arrived_earlier_in_the_batch_can_be_spent() -> None:
    """A deposit makes the transfer behind it possible, and not the one before it."""

    books = alice_and_bob(alice=0)
    outcomes = decide(books, [a_transfer(5), a_deposit(5), a_transfer(5)])

    assert [isinstance(outcome, Done) for outcome in outcomes] == [False, True, True]


def test_a_wallet_opened_earlier_in_the_batch_can_be_paid_into() -> None:
    """It has its entries numbered from one, and is stored as a new wallet."""

    books = alice_and_bob()
    outcomes = decide(books, [a_new_wallet(CAROL), a_transfer(5, ALICE, CAROL), a_new_wallet(CAROL)])

    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, True, False]
    assert books.wallets[CAROL].sequence == 1
    assert [new.wallet.id for new in books.pending.opened] == [CAROL]


def test_the_first_wallets_of_a_currency_in_one_batch_open_its_system_wallets_once() -> None:
    """And each gets a key of its own."""

    books = LedgerState(now=NOW, wallets={}, fresh_keys=[1, 2])
    decide(books, [a_new_wallet(ALICE), a_new_wallet(BOB)])

    assert len(books.pending.opened) == 5
    assert len({new.wallet.key for new in books.pending.opened}) == 5


def test_entries_in_a_batch_chain_and_sum_to_zero() -> None:
    """Sequences have no gaps, balances follow, and time is constant within a batch."""

    books = alice_and_bob(alice=100)
    decide(books, [a_transfer(10), a_deposit(5), a_transfer(3, BOB, ALICE), a_transfer(1)])
    transactions = books.pending.transactions

    assert [sum(entry.amount for entry in t.entries) for t in transactions] == [0, 0, 0, 0]
    of_alice = [entry for t in transactions for entry in t.entries if entry.wallet == ALICE]
    assert [(entry.sequence, entry.balance_after) for entry in of_alice] == [(2, 90), (3, 95), (4, 98), (5, 97)]
    assert books.pending.touched == {ALICE: 1, BOB: 0, EXTERNAL: 1}


def test_time_is_raised_to_the_latest_of_the_wallets_in_a_transaction() -> None:
    """Within a wallet, time never runs against sequence; the others follow it."""

    books = alice_and_bob()
    books.wallets[BOB].last_time = ahead = NOW + timedelta(hours=1)
    first, second = decide(books, [a_transfer(1), a_deposit(1, ALICE)])

    assert [t.time for t in (done(first).transaction, done(second).transaction) if t] == [ahead, ahead]
    assert [books.wallets[id_].last_time for id_ in (ALICE, BOB, EXTERNAL)] == [ahead] * 3


def test_twins_in_one_batch_move_money_once() -> None:
    """The second one returns the first one's transaction, marked as a replay."""

    books = alice_and_bob(alice=100)
    transfer = a_transfer(60)
    first, second = decide(books, [transfer, replace(transfer, id=uuid4())])

    assert done(first).subject == done(second).subject
    assert [done(first).replayed, done(second).replayed] == [False, True]
    assert done(first).available == done(second).available == 40
    assert balances(books) == [40, 60]
    assert len(books.pending.records) == 1


def test_twins_of_a_refused_command_are_refused_alike_even_when_it_would_now_be_possible() -> None:
    """A refusal is final for its request."""

    books = alice_and_bob(alice=0)
    transfer = a_transfer(60)
    outcomes = decide(books, [transfer, a_deposit(100), transfer, a_transfer(60)])

    assert [isinstance(outcome, Refused) for outcome in outcomes] == [True, False, True, False]
    assert outcomes[0] == outcomes[2]


def test_a_request_id_used_for_something_else_is_refused_and_names_the_first_use() -> None:
    """Within one batch as later; another caller's id is another id."""

    books = alice_and_bob(alice=100)
    request = a_request()
    first = a_transfer(1, request=request)
    other_caller = a_transfer(2, request=replace(request, caller="another"))
    deposit = replace(a_deposit(1), request=request)
    outcomes = decide(books, [first, a_transfer(2, request=request), deposit, other_caller])

    reused = Refused(RequestIdReused(str(request.id), "Transfer", f"transactions/{first.id}"))
    assert outcomes[1:3] == [reused, reused]
    assert isinstance(outcomes[3], Done)
    assert balances(books) == [97, 3]


def test_a_replayed_schedule_is_not_refused_for_its_past_time() -> None:
    """The record is looked up before anything that depends on time."""

    books = alice_and_bob()
    command = a_withdrawal(execute_time=NOW + timedelta(seconds=1))
    first = one(books, command)
    books.now = NOW + timedelta(hours=1)

    assert done(one(books, command)) == Done(subject=done(first).subject, replayed=True)


def test_validate_only_of_an_answered_request_is_a_replay() -> None:
    """It has happened, so there is nothing left to validate."""

    books = alice_and_bob()
    transfer = a_transfer(1)
    first, again = decide(books, [transfer, replace(transfer, validate_only=True)])

    assert Done(subject=done(first).subject, available=99, replayed=True) == again


def test_a_cancelled_withdrawal_is_cancelled_once() -> None:
    """The second cancel in the same batch sees the first one's."""

    books = alice_and_bob()
    scheduled = a_withdrawal()
    cancel = commands.a_cancelled_withdrawal(scheduled.id)
    outcomes = decide(books, [scheduled, cancel, replace(cancel, request=a_request())])

    assert [isinstance(outcome, Done) for outcome in outcomes] == [True, True, False]
    because = "only a scheduled order can be cancelled"
    assert outcomes[2] == Refused(StateTransitionForbidden(f"withdrawals/{scheduled.id}", "CANCELLED", because))
