"""Reversals: a transfer or a deposit goes back, whole or in parts, and never more than was moved."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as pb

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals
from tests.support.api import Api, refused
from tests.support.callers import BIGGEST, everything
from tests.support.commission import amounts_by_wallet
from tests.support.payouts import Bank
from tests.support.requests import (
    DESTINATION,
    a_capture,
    a_deposit,
    a_hold,
    a_reversal,
    an_item,
    atomic,
    changed,
    money,
    new_id,
)
from tests.support.reversals import PARTIALLY_REVERSED, POSTED, REVERSED, reversal_summary, transfer_name
from wallet_core.usecases.app import App

EXTERNAL = "system:external:USD"
NO_TRANSACTION = f"transactions/{uuid4()}"


@pytest.fixture
def rent(api: Api) -> str:
    """Return a transfer of 100 from Alice, who had 1000, to Bob, who had nothing."""
    api.open("alice", 1000)
    api.open("bob")
    return transfer_name(api, "alice", "bob", 100)


def test_a_transfer_goes_back_whole_and_both_name_each_other(api: Api, rent: str) -> None:
    """One transaction of its own; of the first nothing changes but its reversals."""

    before = api.transaction(rent)
    assert (before.state, before.reversed_amount, before.reverses) == (POSTED, money(0), "")

    made = api.ok(a_reversal(rent, description="wrong person"))

    back = made.transaction
    assert made.replayed is False
    assert (back.type, back.state, back.amount) == (pb.Transaction.TYPE_REVERSAL, POSTED, money(100))
    assert (back.source, back.destination, back.reverses) == ("wallets/bob", "wallets/alice", rent)
    assert (back.description, amounts_by_wallet(back)) == ("wrong person", {"bob": -100, "alice": 100})
    assert api.transaction(back.name) == back
    after = api.transaction(rent)
    assert (after.state, after.reversed_amount, list(after.reversals)) == (REVERSED, money(100), [back.name])
    for field in ("state", "reversed_amount", "reversals"):
        before.ClearField(field)
        after.ClearField(field)
    assert after == before
    assert api.balances("alice", "bob") == [1000, 0]


def test_a_transfer_goes_back_in_parts_and_not_a_unit_more(api: Api, owner: psycopg.Connection, rent: str) -> None:
    """POSTED, PARTIALLY_REVERSED, REVERSED; the limit in the error is what is left, and in the end nothing is."""

    api.deposit("bob", 500)
    first = api.ok(a_reversal(rent, 30)).transaction.name
    assert reversal_summary(api, rent) == (PARTIALLY_REVERSED, 30, [first])
    second = api.ok(a_reversal(rent, 30)).transaction.name
    too_much = refused(api, owner, a_reversal(rent, 41))
    assert (too_much.code, too_much.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert too_much.metadata == {"resourceName": rent, "limit": "40"}

    third = api.ok(a_reversal(rent)).transaction

    assert third.amount == money(40)
    assert reversal_summary(api, rent) == (REVERSED, 100, [first, second, third.name])
    for request in (a_reversal(rent), a_reversal(rent, 1)):
        nothing = refused(api, owner, request)
        assert (nothing.reason, nothing.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", rent)
        assert nothing.metadata["state"] == "REVERSED"
    assert api.balances("alice", "bob") == [1000, 500]
    listed = api.ok(pb.ListTransactionsRequest(wallet="wallets/alice", filter="state = REVERSED")).transactions
    assert [one.name for one in listed] == [rent]


def test_a_deposit_goes_back_to_the_outside(api: Api, owner: psycopg.Connection) -> None:
    """The wallet must have the money."""

    api.open("alice")
    paid_in = api.deposit("alice", 100).name
    api.ok(a_reversal(paid_in, 60))
    api.open("bob")
    api.transfer("alice", "bob", 1)

    short = refused(api, owner, a_reversal(paid_in))
    last = api.ok(a_reversal(paid_in, 39)).transaction

    assert short.reason == "INSUFFICIENT_FUNDS"
    assert short.metadata == {"wallet": "wallets/alice", "currencyCode": "USD", "available": "39", "required": "40"}
    assert (last.source, last.destination) == ("wallets/alice", f"wallets/{EXTERNAL}")
    assert api.balances("alice", "bob", EXTERNAL) == [0, 1, -1]
    assert reversal_summary(api, paid_in)[:2] == (PARTIALLY_REVERSED, 99)


def test_only_transfers_and_deposits_can_be_reversed(
    app: App, bank: BankServer, api: Api, owner: psycopg.Connection
) -> None:
    """Not what a withdrawal, a capture, a collection or a reversal has moved; but a scheduled deposit is a deposit."""

    others = every_other_transaction(app, bank, api, owner)

    assert set(others) == {
        "WITHDRAWAL",
        "WITHDRAWAL_SETTLEMENT",
        "WITHDRAWAL_RELEASE",
        "HOLD_CAPTURE",
        "COLLECTION",
        "REVERSAL",
    }
    for name in others.values():
        for request in (a_reversal(name), a_reversal(name, 1), a_reversal(name, 999_999)):
            no = refused(api, owner, request)
            assert (no.code, no.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
            assert (no.metadata["resourceName"], no.metadata["state"], bool(no.metadata["explanation"])) == (
                name,
                "POSTED",
                True,
            )
    (scheduled,) = owner.execute("SELECT id FROM transactions WHERE type = 'DEPOSIT' AND cause IS NOT NULL").fetchall()
    assert api.ok(a_reversal(f"transactions/{scheduled[0]}")).transaction.amount == money(7)


def every_other_transaction(app: App, bank: BankServer, api: Api, owner: psycopg.Connection) -> dict[str, str]:
    """Make a transaction of each type but transfers and plain deposits; return their names by type."""
    api.open("alice", 1000)
    api.open("bob")
    api.ok(schedule_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(5), request_id=new_id()))
    for collect in (True, False):
        scheduled = schedule_pb.ScheduleDepositRequest(wallet="wallets/alice", amount=money(7), collect=collect)
        api.ok(changed(scheduled, request_id=new_id()))
    for job in (pay_due_withdrawals, collect_due_deposits, credit_due_deposits):
        job.run_once(app)
    Bank(bank.url).order("declined", times=1)
    api.ok(schedule_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(6), request_id=new_id()))
    pay_due_withdrawals.run_once(app, clock_offset=timedelta(seconds=1))
    api.ok(a_capture(api.ok(a_hold("alice", 9)).hold.name, "bob"))
    api.ok(a_reversal(transfer_name(api, "alice", "bob", 3)))
    rows = owner.execute("SELECT type, id FROM transactions WHERE type NOT IN ('TRANSFER', 'DEPOSIT')").fetchall()
    return {type_: f"transactions/{id_}" for type_, id_ in rows}


def test_the_wallet_that_got_the_money_must_have_it(api: Api, owner: psycopg.Connection, rent: str) -> None:
    """Held money does not count; its overdraft does."""

    api.open("carol")
    api.ok(a_hold("bob", 30))
    short = refused(api, owner, a_reversal(rent, 71))
    assert short.metadata == {"wallet": "wallets/bob", "currencyCode": "USD", "available": "70", "required": "71"}
    assert reversal_summary(api, rent) == (POSTED, 0, [])
    api.open("dora", overdraft_limit=money(100))
    paid = transfer_name(api, "alice", "dora", 50)
    api.transfer("dora", "carol", 50)

    api.ok(a_reversal(paid))

    assert api.funds("dora") == (-50, 0, 50)


def test_money_goes_back_to_a_frozen_wallet_but_not_to_a_closed_one(api: Api, owner: psycopg.Connection) -> None:
    """And from a closed one nothing comes."""

    api.open("bob", 50)
    for name in ("cold", "gone", "empty"):
        api.open(name, 10)
    to_cold, to_gone = transfer_name(api, "cold", "bob", 10), transfer_name(api, "gone", "bob", 10)
    from_empty = transfer_name(api, "bob", "empty", 10)
    api.transfer("empty", "bob", 20)
    api.freeze("cold")
    api.close("gone")
    api.close("empty")

    for name, wallet in ((to_gone, "gone"), (from_empty, "empty")):
        no = refused(api, owner, a_reversal(name))
        assert (no.reason, no.metadata) == (
            "WALLET_NOT_ACTIVE",
            {"resourceName": f"wallets/{wallet}", "state": "CLOSED"},
        )
    api.ok(a_reversal(to_cold))
    assert api.balances("cold") == [10]


def test_a_reversal_into_a_full_wallet_is_refused(api: Api, owner: psycopg.Connection) -> None:
    """LIMIT_EXCEEDED of the giver; what fits goes back."""

    api.open("alice", BIGGEST)
    api.open("bob")
    paid = transfer_name(api, "alice", "bob", 10)
    api.deposit("alice", 1)

    full = refused(api, owner, a_reversal(paid))

    assert full.metadata == {"resourceName": "wallets/alice", "limit": str(BIGGEST)}
    assert full.reason == "LIMIT_EXCEEDED"
    api.ok(a_reversal(paid, 9))
    assert api.balances("alice") == [BIGGEST]


def test_one_transfer_of_a_batch_goes_back_alone(api: Api) -> None:
    """The batch made them together; they are reversed each by itself."""

    api.open("alice", 100)
    for name in ("bob", "carol"):
        api.open(name)
    first, second = api.ok(atomic([an_item("alice", "bob", 10), an_item("alice", "carol", 20)])).results

    back = api.ok(a_reversal(second.transaction.name)).transaction

    assert (back.batch, api.balances("alice", "bob", "carol")) == ("", [90, 10, 0])
    assert [reversal_summary(api, one.transaction.name)[0] for one in (first, second)] == [POSTED, REVERSED]


def test_a_repeat_returns_the_first_reversal_and_moves_nothing(api: Api, owner: psycopg.Connection, rent: str) -> None:
    """Also of "all that is left", though that is another amount by now; a refusal is repeated too."""

    part, short = a_reversal(rent, 30), a_reversal(rent, 10)
    first = api.ok(part)
    api.transfer("bob", "alice", 65)
    no = api.refused(short)
    api.deposit("bob", 100)
    rest = a_reversal(rent)
    last = api.ok(rest)
    before = everything(owner)

    again = [api.ok(request) for request in (part, rest)]

    assert [answer.replayed for answer in (first, last, *again)] == [False, False, True, True]
    assert [answer.transaction for answer in again] == [first.transaction, last.transaction]
    assert (no.reason, api.refused(short)) == ("INSUFFICIENT_FUNDS", no)
    assert api.ok(changed(part, validate_only=True)).transaction == first.transaction
    assert everything(owner) == before
    other: list[Any] = [
        changed(part, amount=money(31)),
        changed(part, keep_commission=True),
        changed(part, description="else"),
        changed(a_reversal(rent), request_id=part.request_id),
        changed(part, name=NO_TRANSACTION),
        changed(a_deposit("alice", 30), request_id=part.request_id),
    ]
    for request in other:
        reused = refused(api, owner, request)
        assert (reused.reason, reused.metadata) == (
            "REQUEST_ID_REUSED",
            {
                "requestId": part.request_id,
                "method": "ReverseTransaction",
                "resourceName": first.transaction.name,
            },
        )


def test_validating_a_reversal_answers_alike_and_stores_nothing(api: Api, owner: psycopg.Connection) -> None:
    """A part with its commission, then the rest without."""

    api.open("alice", 1000)
    api.open("bob")
    api.charge(payer=DESTINATION, rate_millionths=33_333, fixed_minor_units=1)
    paid = transfer_name(api, "alice", "bob", 100)
    api.deposit("bob", 100)

    for request in (a_reversal(paid, 33, description="d"), a_reversal(paid, keep_commission=True)):
        before = everything(owner)
        tried = api.ok(changed(request, validate_only=True))
        assert everything(owner) == before
        made = api.ok(request)
        assert (tried.transaction.name, tried.replayed) == ("", False)
        for answer in (tried, made):
            answer.transaction.ClearField("name")
            answer.transaction.ClearField("execute_time")
        assert tried == made


@pytest.mark.usefixtures("rent")
def test_of_two_faults_the_first_documented_is_reported(api: Api) -> None:
    """Shape, used id, existence, currency, states, what kind it is and what is left, funds, the largest balance."""

    api.open("shut", 10)
    api.open("gone", 10)
    api.open("full", BIGGEST - 5000)
    to_shut, from_gone = transfer_name(api, "alice", "shut", 10), transfer_name(api, "gone", "bob", 10)
    capture_to_shut = api.ok(a_capture(api.ok(a_hold("alice", 1)).hold.name, "shut")).transaction.name
    done = transfer_name(api, "alice", "bob", 5)
    api.ok(a_reversal(done))
    spent = transfer_name(api, "alice", "bob", 50)
    from_full = transfer_name(api, "full", "alice", 3000)
    api.transfer("alice", "full", api.funds("alice")[2])
    api.deposit("full", 3000)
    api.transfer("shut", "bob", 21)
    api.transfer("bob", "alice", api.funds("bob")[2])
    api.close("shut")
    api.close("gone")
    used = new_id()
    api.ok(changed(a_deposit("alice", 1), request_id=used))
    cases: list[tuple[Any, str, str | None]] = [
        (changed(a_reversal(NO_TRANSACTION, 0), request_id=used), "INVALID_FIELDS", "amount"),
        (changed(a_reversal(NO_TRANSACTION), request_id=used), "REQUEST_ID_REUSED", None),
        (a_reversal(NO_TRANSACTION, 1, currency="EUR"), "RESOURCE_NOT_FOUND", NO_TRANSACTION),
        (a_reversal(to_shut, 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/shut"),
        (a_reversal(done, 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/bob"),
        (a_reversal(to_shut, 999), "WALLET_NOT_ACTIVE", "wallets/shut"),
        (a_reversal(capture_to_shut), "WALLET_NOT_ACTIVE", "wallets/shut"),
        (a_reversal(from_gone, 999), "WALLET_NOT_ACTIVE", "wallets/gone"),
        (a_reversal(done, 999), "STATE_TRANSITION_FORBIDDEN", done),
        (a_reversal(spent, 51), "LIMIT_EXCEEDED", spent),
        (a_reversal(spent, 50), "INSUFFICIENT_FUNDS", None),
        (a_reversal(from_full, 3000), "INSUFFICIENT_FUNDS", None),
        (a_reversal("transactions/1"), "INVALID_FIELDS", "name"),
        (a_reversal(spent, 1, currency="xyz"), "INVALID_FIELDS", "amount.currency_code"),
        (a_reversal(spent, description="x" * 257), "INVALID_FIELDS", "description"),
        (changed(a_reversal(spent), request_id="me"), "INVALID_FIELDS", "request_id"),
    ]

    for request, reason, about in cases:
        no = api.refused(request)
        assert no.reason == reason, request
        assert about in {None, no.metadata.get("resourceName"), *no.violations}, request
