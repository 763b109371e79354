"""Withdrawals as callers schedule and cancel them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1.money_pb2 import Money

from tests.support.callers import aware, balance, count, everything, open_funded, refusal, usd
from tests.support.rows import rewrite
from tests.support.wire import Wire
from wallet_client import Amount, WalletClient

ALICE = "wallets/alice"
SCHEDULE = "ScheduleService/ScheduleWithdrawal"


def soon(client: WalletClient, wait: timedelta = timedelta(minutes=30)) -> datetime:
    """Return a time that is *wait* after Alice's wallet was made, by the database's clock."""
    return aware(client.get_wallet(ALICE).create_time) + wait


def request_at(seconds: int, nanos: int = 0) -> pb.ScheduleWithdrawalRequest:
    """Return a valid withdrawal from Alice but for its time."""
    return pb.ScheduleWithdrawalRequest(
        wallet=ALICE,
        amount=Money(currency_code="USD", minor_units=50),
        request_id=str(uuid4()),
        execute_time=Timestamp(seconds=seconds, nanos=nanos),
    )


def test_a_withdrawal_waits_for_its_time_and_takes_nothing(client: WalletClient, owner: psycopg.Connection) -> None:
    """S1: 5000 of 10000 in 30 minutes: SCHEDULED, balance 10000."""

    open_funded(client, alice=10_000)
    at = soon(client)

    made = client.schedule_withdrawal(ALICE, usd(5000), execute_time=at, bank_account="DE1", description="rent")

    withdrawal = made.withdrawal
    assert (withdrawal.state, withdrawal.wallet, withdrawal.amount.minor_units) == (
        pb.Withdrawal.STATE_SCHEDULED,
        ALICE,
        5000,
    )
    assert (aware(withdrawal.execute_time), aware(withdrawal.next_attempt_time)) == (at, at)
    assert (withdrawal.bank_account, withdrawal.description, withdrawal.attempts, withdrawal.bank_reference) == (
        "DE1",
        "rent",
        0,
        "",
    )
    assert (withdrawal.failure_reason, withdrawal.attention, withdrawal.create_time) == (0, "", withdrawal.update_time)
    assert client.get_withdrawal(withdrawal.name) == withdrawal
    assert (balance(client, "alice"), made.replayed) == (10_000, False)
    facts = owner.execute("SELECT type FROM outbox WHERE subject = %s", [withdrawal.name]).fetchall()
    assert facts == [("withdrawal.scheduled",)]


def test_a_withdrawal_without_a_time_is_due_now(client: WalletClient) -> None:
    """S3: no time at all means now."""

    open_funded(client, alice=100)

    withdrawal = client.schedule_withdrawal(ALICE, usd(50)).withdrawal

    assert withdrawal.execute_time == withdrawal.create_time == withdrawal.next_attempt_time
    assert withdrawal.state == pb.Withdrawal.STATE_SCHEDULED


def test_a_withdrawal_beyond_the_balance_is_accepted(client: WalletClient) -> None:
    """S2: the balance is looked at when the time has come."""

    open_funded(client, alice=100)

    withdrawal = client.schedule_withdrawal(ALICE, usd(500), execute_time=soon(client)).withdrawal

    assert (withdrawal.state, balance(client, "alice")) == (pb.Withdrawal.STATE_SCHEDULED, 100)


@pytest.mark.parametrize(
    "times",
    [
        [(1_000_000_000, 0), (0, 0), (-1, 0), (-62_135_596_800, 0)],
        [(-62_135_596_801, 0), (-(2**63), 0), (253_402_300_800, 0), (2**63 - 1, 999_999_999)],
        [(4_000_000_000, -1), (4_000_000_000, 1_000_000_000), (4_000_000_000, 2**31 - 1), (4_000_000_000, -(2**31))],
    ],
    ids=["past", "outside_the_years_1_to_9999", "nanos_outside_a_second"],
)
def test_a_time_that_is_past_or_none_is_refused(
    client: WalletClient, server: str, owner: psycopg.Connection, times: list[tuple[int, int]]
) -> None:
    """S3: INVALID_ARGUMENT, no row; also year 10000 and nanos that protobuf forbids."""

    open_funded(client, alice=100)
    before = everything(owner)

    with Wire(server) as wire:
        answers = {time: wire.call(SCHEDULE, request_at(*time)) for time in times}

    found = {time: (answer.code, answer.reason, answer.violations) for time, answer in answers.items()}
    assert found == dict.fromkeys(times, ("INVALID_ARGUMENT", "INVALID_FIELDS", ("execute_time",)))
    assert everything(owner) == before


def test_a_time_up_to_the_end_of_9999_is_kept_to_the_microsecond(client: WalletClient, server: str) -> None:
    """S3: the last second there is."""

    open_funded(client, alice=100)

    for nanos in (1, 999, 1000, 999_999_999):
        with Wire(server) as wire:
            answer = wire.call(SCHEDULE, request_at(253_402_300_799, nanos))
        withdrawal = pb.ScheduleWithdrawalResponse.FromString(answer.body).withdrawal
        assert (withdrawal.execute_time.seconds, withdrawal.execute_time.nanos) == (
            253_402_300_799,
            nanos // 1000 * 1000,
        )
        assert client.get_withdrawal(withdrawal.name) == withdrawal


@pytest.mark.parametrize("minor_units", [0, -1, -(2**63)])
def test_an_amount_that_is_none_is_refused(client: WalletClient, owner: psycopg.Connection, minor_units: int) -> None:
    """S3: amount 0 or -1, no row."""

    open_funded(client, alice=100)
    before = everything(owner)

    refused = refusal(lambda: client.schedule_withdrawal(ALICE, usd(minor_units)))

    assert (refused.code, refused.reason, list(refused.violations)) == (
        "INVALID_ARGUMENT",
        "INVALID_FIELDS",
        ["amount"],
    )
    assert everything(owner) == before


def test_a_repeated_withdrawal_is_scheduled_once(client: WalletClient, owner: psycopg.Connection) -> None:
    """S4: the same id, as the withdrawal is now."""

    open_funded(client, alice=100)
    again = partial(client.schedule_withdrawal, ALICE, usd(50), execute_time=soon(client), request_id=str(uuid4()))
    first = again()
    client.cancel_withdrawal(first.withdrawal.name)

    repeated = again()

    assert (repeated.withdrawal.name, repeated.replayed) == (first.withdrawal.name, True)
    assert repeated.withdrawal.state == pb.Withdrawal.STATE_CANCELLED
    assert count(owner, "withdrawals") == 1


def test_a_repeat_whose_time_has_passed_meanwhile_is_still_the_first(
    client: WalletClient, owner: psycopg.Connection
) -> None:
    """S4: the request is looked up before anything that depends on time."""

    open_funded(client, alice=100)
    at = soon(client, timedelta(seconds=1))
    again = partial(client.schedule_withdrawal, ALICE, usd(50), execute_time=at, request_id=str(uuid4()))
    first = again()
    owner.execute("SELECT pg_sleep(1.1)")

    assert (again().withdrawal.name, again().replayed) == (first.withdrawal.name, True)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": usd(51)},
        {"execute_time": datetime(2999, 1, 1, tzinfo=UTC)},
        {"execute_time": None},
        {"bank_account": "x"},
        {"description": "x"},
        {"wallet": "wallets/bob"},
    ],
)
def test_a_used_id_with_another_withdrawal_is_refused(
    client: WalletClient, owner: psycopg.Connection, change: dict[str, Any]
) -> None:
    """S4: other amount, other time (none at all among them): ALREADY_EXISTS."""

    open_funded(client, alice=100, bob=0)
    id_ = str(uuid4())
    first: dict[str, Any] = {"wallet": ALICE, "amount": usd(50), "execute_time": soon(client), "request_id": id_}
    made = client.schedule_withdrawal(**first)
    before = everything(owner)

    refused = refusal(lambda: client.schedule_withdrawal(**{**first, **change}))

    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert refused.metadata == {
        "requestId": id_,
        "method": "ScheduleWithdrawal",
        "resourceName": made.withdrawal.name,
    }
    assert everything(owner) == before


def test_a_scheduled_withdrawal_is_cancelled_once(client: WalletClient) -> None:
    """S6's first half: CANCELLED; a second cancel is refused, a repeat of the first is not."""

    open_funded(client, alice=100)
    name = client.schedule_withdrawal(ALICE, usd(50), execute_time=soon(client)).withdrawal.name
    cancel = partial(client.cancel_withdrawal, name, request_id=str(uuid4()))
    second = partial(client.cancel_withdrawal, name, request_id=str(uuid4()))

    first = cancel()

    assert (first.withdrawal.state, first.replayed) == (pb.Withdrawal.STATE_CANCELLED, False)
    assert not first.withdrawal.HasField("next_attempt_time")
    for _ in range(2):
        refused = refusal(second)
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
        because = "only a scheduled order can be cancelled"
        assert refused.metadata == {"resourceName": name, "state": "CANCELLED", "explanation": because}
    again = cancel()
    assert (again.withdrawal, again.replayed) == (first.withdrawal, True)
    assert balance(client, "alice") == 100


@pytest.mark.parametrize("call", ["get_withdrawal", "cancel_withdrawal"])
def test_an_unknown_withdrawal_is_not_found(client: WalletClient, call: str) -> None:
    """Both to read and to cancel, also where nothing exists at all."""

    name = f"withdrawals/{uuid4()}"

    refused = refusal(lambda: getattr(client, call)(name))

    assert (refused.code, refused.reason, refused.metadata) == (
        "NOT_FOUND",
        "RESOURCE_NOT_FOUND",
        {"resourceName": name},
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"amount": Amount("EUR", 1)}, "CURRENCY_MISMATCH"),
        ({"wallet": "wallets/nobody"}, "RESOURCE_NOT_FOUND"),
        ({"wallet": "wallets/cold"}, "WALLET_NOT_ACTIVE"),
        ({"execute_time": datetime(2001, 1, 1, tzinfo=UTC)}, "INVALID_FIELDS"),
    ],
)
def test_validating_a_withdrawal_answers_alike_and_stores_nothing(
    client: WalletClient, owner: psycopg.Connection, change: dict[str, Any], reason: str
) -> None:
    """Not even the request; the real call then returns the same."""

    open_funded(client, alice=100, cold=100)
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'cold'")
    call: Callable[..., pb.ScheduleWithdrawalResponse] = partial(
        client.schedule_withdrawal, **{"wallet": ALICE, "amount": usd(50), "request_id": str(uuid4()), **change}
    )
    before = everything(owner)

    if reason:
        tried, real = refusal(partial(call, validate_only=True)), everything(owner)
        assert (tried.reason, real) == (reason, before)
        assert (refusal(call).reason, refusal(call).metadata) == (reason, tried.metadata)
    else:
        shown = call(validate_only=True)
        assert (shown.withdrawal.name, shown.withdrawal.state) == ("", pb.Withdrawal.STATE_SCHEDULED)
        assert (shown.replayed, everything(owner)) == (False, before)
        assert not call().replayed
