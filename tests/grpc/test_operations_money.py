"""Operations take from the commission wallet, and money back from frozen wallets; no other caller does."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import psycopg
import pytest
from wallet.v1 import operations_service_pb2 as operations_pb
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals, reconcile_bank_statement
from tests.support.api import Api, all_refused, refused
from tests.support.callers import everything
from tests.support.commission import COMMISSION_WALLET
from tests.support.issuer import Issuer, bearer
from tests.support.payouts import Bank
from tests.support.requests import (
    LATE,
    a_quote,
    a_reversal,
    a_transfer,
    an_item,
    atomic,
    changed,
    each,
    money,
    new_id,
)
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

Callers = Mapping[str, Api]


@pytest.fixture
def callers(app: App, guarded: Settings, issuer: Issuer) -> Iterator[Callers]:
    """Serve an operator, a clerk with all rights but operations, a writer without reads, and Anna for herself.

    Alice has 1000 and pays 10 on each transfer; 100 was earned.
    """
    without = " ".join(set(Scope) - {Scope.OPERATIONS})
    tokens = {
        "operator": issuer.token(" ".join(Scope)),
        "clerk": issuer.token(without),
        "anna": issuer.token(" ".join(Scope), owner="anna"),
        "writer": issuer.token(" ".join({Scope.OPERATIONS, Scope.MONEY_TRANSFER})),
    }
    with ExitStack() as stack:
        target = f"127.0.0.1:{stack.enter_context(serving(app, guarded, authentication(guarded)))}"
        callers = {who: stack.enter_context(Api(target, metadata=bearer(text))) for who, text in tokens.items()}
        operator = callers["operator"]
        operator.open("alice", 1110, owner="anna")
        operator.open("bob", owner="anna")
        operator.charge(fixed_minor_units=100, threshold_minor_units=9)
        operator.transfer("alice", "bob", 10)
        yield callers


def a_payout(units: int, **fields: Any) -> pb.ScheduleWithdrawalRequest:  # noqa: ANN401  # any field's value
    """Return a payout of what was earned."""
    requests = {"wallet": f"wallets/{COMMISSION_WALLET}", "amount": money(units), "request_id": new_id(), **fields}
    return pb.ScheduleWithdrawalRequest(**requests)


def a_cancel(name: str) -> pb.CancelWithdrawalRequest:
    """Return the cancelling of a payout."""
    return pb.CancelWithdrawalRequest(name=name, request_id=new_id())


def payout(operator: Api, units: int, **fields: Any) -> str:  # noqa: ANN401  # any field's value
    """Schedule a payout of what was earned; return its name."""
    return str(operator.ok(a_payout(units, **fields)).withdrawal.name)


def state(operator: Api, name: str) -> str:
    """Return a payout's state."""
    return pb.Withdrawal.State.Name(operator.withdrawal(name).state).removeprefix("STATE_")


def test_operations_transfer_it_and_are_charged_nothing(callers: Callers, owner: psycopg.Connection) -> None:
    """Though a rule would charge any caller; validated alike, repeated, and reversed like any transfer."""

    operator = callers["operator"]
    request = a_transfer(COMMISSION_WALLET, "bob", 60, max_commission=money(0))
    before = everything(owner)
    tried = operator.ok(changed(request, validate_only=True))
    assert everything(owner) == before

    made, again = operator.ok(request), operator.ok(request)

    assert (made.replayed, again.replayed, again.transaction) == (False, True, made.transaction)
    assert (tried.source_available, made.source_available) == (money(40), money(40))
    assert not made.transaction.HasField("commission")
    legs = {entry.wallet: entry.amount.minor_units for entry in made.transaction.entries}
    assert legs == {f"wallets/{COMMISSION_WALLET}": -60, "wallets/bob": 60}
    assert operator.balances(COMMISSION_WALLET, "bob") == [40, 70]
    short = refused(operator, owner, a_transfer(COMMISSION_WALLET, "bob", 41))
    assert (short.reason, short.metadata["available"]) == ("INSUFFICIENT_FUNDS", "40")
    operator.reverse(made.transaction, 20)
    assert operator.balances(COMMISSION_WALLET, "bob") == [60, 50]


def test_a_batch_takes_it_too_all_or_none_and_each_by_itself(callers: Callers) -> None:
    """Also what its own items before have earned."""

    operator = callers["operator"]
    together = operator.ok(atomic([an_item("alice", "bob", 10), an_item(COMMISSION_WALLET, "alice", 200)]))
    alone = operator.ok(each([an_item("alice", "bob", 10), an_item(COMMISSION_WALLET, "bob", 100)]))

    results = [*together.results, *alone.results]
    assert [result.HasField("error") for result in results] == [False] * 4
    assert [result.transaction.commission.amount.minor_units for result in results] == [100, 0, 100, 0]
    assert operator.balances(COMMISSION_WALLET) == [0]


def test_no_other_worker_takes_it(callers: Callers, owner: psycopg.Connection) -> None:
    """Not with every other scope, not for an owner with any token; and no caller transfers to it."""

    takes = [a_transfer(COMMISSION_WALLET, "bob", 1), atomic([an_item(COMMISSION_WALLET, "bob", 1)]), a_payout(1)]
    gives = [
        a_transfer("alice", COMMISSION_WALLET, 1),
        atomic([an_item("alice", COMMISSION_WALLET, 1)]),
        a_quote(COMMISSION_WALLET, "bob", 1),
    ]
    before = everything(owner)

    refusals = [*all_refused(callers["clerk"], owner, takes), *all_refused(callers["anna"], owner, takes)]
    refusals += [callers["operator"].refused(request) for request in gives]
    items = callers["clerk"].ok(each([an_item(COMMISSION_WALLET, "bob", 1)])).results

    assert {(no.reason, no.metadata["permission"], no.outcome) for no in refusals} == {
        ("PERMISSION_MISSING", "none", "NOT_DONE_RETRY")
    }
    assert [result.HasField("error") for result in items] == [True]
    assert everything(owner) == before


@pytest.mark.parametrize("wallet", ["system:external:USD", "system:in_transit:USD", "system:nonsense:USD"])
def test_no_other_system_wallet_is_a_source(callers: Callers, owner: psycopg.Connection, wallet: str) -> None:
    """For operations neither."""

    requests = [
        a_transfer(wallet, "bob", 1),
        a_payout(1, wallet=f"wallets/{wallet}"),
        atomic([an_item(wallet, "bob", 1)]),
    ]
    refusals = all_refused(callers["operator"], owner, requests)

    assert [(no.reason, no.metadata["permission"]) for no in refusals] == [("PERMISSION_MISSING", "none")] * 3


def test_of_a_currency_that_has_earned_nothing_there_is_nothing(callers: Callers, owner: psycopg.Connection) -> None:
    """RESOURCE_NOT_FOUND where the wallet is not there yet, CURRENCY_MISMATCH where it is another's."""

    euros = "system:commission:EUR"
    absent = refused(callers["operator"], owner, a_transfer(euros, "bob", 1, "EUR"))
    other = refused(callers["operator"], owner, a_transfer(COMMISSION_WALLET, "bob", 1, "EUR"))

    assert [absent.reason, other.reason] == ["RESOURCE_NOT_FOUND", "CURRENCY_MISMATCH"]


def test_it_is_paid_out_by_the_bank(callers: Callers, app: App, bank: BankServer) -> None:
    """Reserved, then paid; given back by the bank later; refused by the bank, and released."""

    operator, stub = callers["operator"], Bank(bank.url)
    paid = payout(operator, 70, reserve=True)
    assert operator.funds(COMMISSION_WALLET) == (100, 70, 30)
    pay_due_withdrawals.run_once(app)
    assert (state(operator, paid), operator.funds(COMMISSION_WALLET)) == ("SUCCEEDED", (30, 0, 30))
    stub.give_back(UUID(paid.rpartition("/")[2]))
    reconcile_bank_statement.run_once(app)
    assert (state(operator, paid), operator.funds(COMMISSION_WALLET)) == ("RETURNED", (100, 0, 100))

    stub.order("declined", times=1)
    unpaid = payout(operator, 100)
    pay_due_withdrawals.run_once(app)
    assert (state(operator, unpaid), operator.funds(COMMISSION_WALLET)) == ("FAILED", (100, 0, 100))
    beyond = payout(operator, 101)
    pay_due_withdrawals.run_once(app)
    assert operator.withdrawal(beyond).failure_reason == pb.Withdrawal.FAILURE_REASON_INSUFFICIENT_FUNDS


def test_a_doubtful_payout_of_it_is_settled_by_hand(
    callers: Callers, app: App, bank: BankServer, owner: psycopg.Connection
) -> None:
    """Like any other."""

    operator, stub = callers["operator"], Bank(bank.url)
    stub.mode(status=False)
    stub.order("reset", times=1)
    name = payout(operator, 70)
    pay_due_withdrawals.run_once(app)
    assert (state(operator, name), operator.balances(COMMISSION_WALLET)) == ("IN_DOUBT", [30])
    owner.execute("UPDATE bank_attempts SET in_flight_until = start_time")

    found_out = operations_pb.ResolveWithdrawalRequest(
        name=name, resolution=pb.RESOLUTION_KIND_NOT_EXECUTED, reason="asked by phone", request_id=new_id()
    )
    operator.ok(found_out)

    assert (state(operator, name), operator.balances(COMMISSION_WALLET)) == ("FAILED", [100])


def test_only_operations_call_a_payout_of_it_off(callers: Callers, owner: psycopg.Connection) -> None:
    """The clerk gets the scope's name, and nothing is recorded; Anna learns nothing.

    A repeat of what was done is replayed.
    """

    operator, clerk = callers["operator"], callers["clerk"]
    name = payout(operator, 70, execute_time=LATE, reserve=True)
    request = a_cancel(name)

    no = refused(clerk, owner, request)
    nothing = refused(callers["anna"], owner, request)
    assert (no.reason, no.metadata) == ("PERMISSION_MISSING", {"permission": "operations"})
    assert (nothing.reason, nothing.metadata) == ("PERMISSION_MISSING", {"permission": "owner"})
    assert operator.funds(COMMISSION_WALLET) == (100, 70, 30)

    assert operator.ok(request).withdrawal.state == pb.Withdrawal.STATE_CANCELLED
    assert operator.funds(COMMISSION_WALLET) == (100, 0, 100)
    assert clerk.ok(request).replayed


def test_what_was_taken_out_cannot_be_given_back(callers: Callers, owner: psycopg.Connection) -> None:
    """INSUFFICIENT_FUNDS for the commission, without the wallet where it may not be read.

    The rest goes back without it.
    """

    operator, clerk = callers["operator"], callers["clerk"]
    paid = operator.transfer("alice", "bob", 10)
    operator.transfer(COMMISSION_WALLET, "alice", 150)

    seen = refused(operator, owner, a_reversal(paid.name))
    hidden = refused(clerk, owner, a_reversal(paid.name))

    assert (seen.metadata["wallet"], seen.metadata["available"], seen.metadata["required"]) == (
        f"wallets/{COMMISSION_WALLET}",
        "50",
        "100",
    )
    assert (hidden.reason, hidden.metadata["available"], hidden.metadata["required"]) == ("INSUFFICIENT_FUNDS", "", "")
    clerk.ok(a_reversal(paid.name, keep_commission=True))
    assert operator.balances("bob", COMMISSION_WALLET) == [10, 50]


def test_a_caller_that_may_not_read_wallets_gets_no_available_amount(callers: Callers) -> None:
    """Operations without ``wallet.read`` move it and see no balance."""

    made = callers["writer"].ok(a_transfer(COMMISSION_WALLET, "bob", 60))

    assert not made.HasField("source_available")
    assert not any(entry.HasField("balance_after") for entry in made.transaction.entries)


def test_a_frozen_wallets_money_is_taken_back_by_operations_alone(callers: Callers, owner: psycopg.Connection) -> None:
    """It stays frozen; a repeat with its id gets the first answer; from a closed one nothing is taken."""

    operator, clerk = callers["operator"], callers["clerk"]
    operator.open("cold", 5, owner="anna")
    operator.open("gone", owner="anna")
    stolen, spent = operator.transfer("alice", "cold", 9), operator.transfer("alice", "gone", 9)
    operator.transfer("gone", "bob", 9)
    operator.freeze("cold")
    operator.close("gone")
    request = a_reversal(stolen.name, 4)

    no = refused(clerk, owner, request)
    confined = refused(callers["anna"], owner, a_reversal(stolen.name, 4))
    assert {(one.reason, one.metadata["state"]) for one in (no, confined)} == {("WALLET_NOT_ACTIVE", "FROZEN")}
    assert operator.refused(request) == no
    before = everything(owner)
    tried = operator.ok(changed(a_reversal(stolen.name, 4), validate_only=True))
    assert (everything(owner), tried.transaction.amount) == (before, money(4))

    part = a_reversal(stolen.name, 4)
    first = operator.ok(part)
    rest = operator.ok(a_reversal(stolen.name))

    assert clerk.ok(part).transaction == first.transaction
    assert (rest.transaction.amount, operator.balances("cold")) == (money(5), [5])
    assert operator.transaction(stolen.name).state == transaction_pb.Transaction.STATE_REVERSED
    assert operator.refused(a_transfer("cold", "bob", 1)).reason == "WALLET_NOT_ACTIVE"
    closed = refused(operator, owner, a_reversal(spent.name))
    assert (closed.reason, closed.metadata["state"]) == ("WALLET_NOT_ACTIVE", "CLOSED")


def test_what_a_frozen_wallet_does_not_have_cannot_be_taken_back(callers: Callers, owner: psycopg.Connection) -> None:
    """What it holds neither; and a deposit takes its own scope, from operations too."""

    operator = callers["operator"]
    operator.open("cold", owner="anna")
    brought = operator.deposit("cold", 50)
    operator.transfer("cold", "bob", 8)
    operator.freeze("cold")

    short = refused(operator, owner, a_reversal(brought.name, 43))
    without = refused(callers["writer"], owner, a_reversal(brought.name, 42))

    assert (short.reason, short.metadata["available"]) == ("INSUFFICIENT_FUNDS", "42")
    assert without.metadata == {"permission": "money.deposit"}
    operator.ok(a_reversal(brought.name, 42))
    assert operator.balances("cold") == [0]
