"""Scheduled deposits: credited once at their time, or cancelled, or failed with a reason."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb

from scheduler.jobs import collect_due_deposits
from tests.support.api import Api
from tests.support.callers import BIGGEST, events_of, everything
from tests.support.deposit_requests import (
    ALICE,
    CANCELLED,
    FAILED,
    HALF_AN_HOUR,
    HOUR,
    SCHEDULED,
    SUCCEEDED,
    cancel_request,
    run_jobs,
    schedule,
    schedule_request,
    time_after_opening,
)
from tests.support.requests import a_close, money, new_id
from tests.support.scheduled import CollectingBank
from wallet_core.usecases.app import App

pytestmark = pytest.mark.usefixtures("alice")


BOTH = pytest.mark.parametrize("collect", [False, True], ids=["plain", "collected"])


@BOTH
def test_a_scheduled_deposit_waits_for_its_time_and_gives_nothing(
    api: Api, stub: CollectingBank, app: App, owner: psycopg.Connection, *, collect: bool
) -> None:
    """L1's first half: 300 in 30 minutes: SCHEDULED, as requested, the balance the same, before its time too."""

    at = time_after_opening(api)
    words: dict[str, Any] = {"bank_account": "DE1", "description": "wages ✓", "external_reference": "standing-1"}

    made = api.ok(schedule_request(execute_time=at, collect=collect, **words))

    deposit = made.scheduled_deposit
    assert (made.replayed, deposit.state, deposit.wallet, deposit.amount, deposit.collect) == (
        *(False, SCHEDULED, ALICE, money(300)),
        collect,
    )
    assert (deposit.bank_account, deposit.description, deposit.external_reference) == tuple(words.values())
    assert (deposit.execute_time, deposit.next_attempt_time, deposit.create_time) == (at, at, deposit.update_time)
    assert (
        deposit.attempts,
        deposit.bank_reference,
        deposit.failure_reason,
        deposit.attention,
        deposit.transaction,
    ) == (*(0, "", 0, "", ""),)
    assert run_jobs(app, HALF_AN_HOUR - timedelta(minutes=1)) == 0
    assert api.scheduled_deposit(deposit.name) == deposit
    assert (api.funds("alice"), stub.stats()["posts"]) == ((1000, 0, 1000), {})
    assert events_of(owner, deposit.name) == ["scheduled_deposit.scheduled"]


@BOTH
def test_a_scheduled_deposit_is_credited_once_when_its_time_has_come(
    api: Api, stub: CollectingBank, app: App, owner: psycopg.Connection, *, collect: bool
) -> None:
    """L1: after its time the balance has grown once; it names its transaction, and that one names it."""

    made = schedule(
        api,
        execute_time=time_after_opening(api),
        collect=collect,
        description="wages",
        external_reference="standing-1",
    )
    for minutes in (1, 2, 60):
        run_jobs(app, HALF_AN_HOUR + timedelta(minutes=minutes))

    deposit = api.scheduled_deposit(made.name)
    reference = stub.ledger()[0]["reference"] if collect else ""
    assert (deposit.state, deposit.attempts, deposit.bank_reference, deposit.attention) == (
        SUCCEEDED,
        int(collect),
        reference,
        "",
    )
    assert not deposit.HasField("next_attempt_time")
    assert api.funds("alice") == (1300, 0, 1300)
    moved = api.ok(transaction_pb.GetTransactionRequest(name=deposit.transaction)).transaction
    type_ = transaction_pb.Transaction.TYPE_COLLECTION if collect else transaction_pb.Transaction.TYPE_DEPOSIT
    assert (moved.type, moved.amount, moved.destination, moved.scheduled_deposit) == (
        *(type_, money(300), ALICE),
        deposit.name,
    )
    assert (moved.source, moved.description, moved.external_reference) == (
        "wallets/system:external:USD",
        "wages",
        "standing-1",
    )
    between = ["scheduled_deposit.processing"] if collect else []
    assert events_of(owner, deposit.name) == ["scheduled_deposit.scheduled", *between, "scheduled_deposit.succeeded"]
    assert events_of(owner, deposit.transaction) == ["transaction.posted"]
    assert len(stub.ledger()) == int(collect)


def test_a_scheduled_deposit_without_a_time_is_due_now(api: Api) -> None:
    """No time at all means now."""

    for collect in (False, True):
        scheduled = schedule(api, collect=collect)
        assert scheduled.execute_time == scheduled.create_time == scheduled.next_attempt_time
        assert scheduled.state == SCHEDULED


@BOTH
def test_a_cancelled_deposit_stays_cancelled_when_due_and_the_bank_is_not_called(
    api: Api, stub: CollectingBank, app: App, owner: psycopg.Connection, *, collect: bool
) -> None:
    """S6: CANCELLED, nothing moved; a second cancel is refused, a repeat of the first is not."""

    name = schedule(api, execute_time=time_after_opening(api), collect=collect).name
    first = cancel_request(name)

    answered = api.ok(first)

    deposit = answered.scheduled_deposit
    assert (deposit.name, deposit.state, answered.replayed) == (name, CANCELLED, False)
    assert not deposit.HasField("next_attempt_time")
    assert run_jobs(app, HOUR) == 0
    assert (api.scheduled_deposit(name), api.funds("alice"), stub.stats()["posts"]) == (
        deposit,
        (1000, 0, 1000),
        {},
    )
    again = api.ok(first)
    assert (again.scheduled_deposit, again.replayed) == (deposit, True)
    second = cancel_request(name)
    for _ in range(2):
        refused = api.answer(second)
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
        assert (refused.metadata["resourceName"], refused.metadata["state"]) == (name, "CANCELLED")
    assert events_of(owner, name) == ["scheduled_deposit.scheduled", "scheduled_deposit.cancelled"]


def test_a_time_that_is_past_or_none_is_refused(api: Api, owner: psycopg.Connection) -> None:
    """INVALID_FIELDS, no row; also outside the years 1 to 9999, and nanos outside a second."""

    times = [
        *[(1_000_000_000, 0), (0, 0), (-1, 0), (-62_135_596_800, 0)],
        *[(-62_135_596_801, 0), (-(2**63), 0), (253_402_300_800, 0), (2**63 - 1, 999_999_999)],
        *[(4_000_000_000, -1), (4_000_000_000, 1_000_000_000), (4_000_000_000, 2**31 - 1), (4_000_000_000, -(2**31))],
    ]
    before = everything(owner)

    answers = {
        (seconds, nanos): api.answer(schedule_request(execute_time=Timestamp(seconds=seconds, nanos=nanos)))
        for seconds, nanos in times
    }

    found = {time: (answer.code, answer.reason, answer.violations) for time, answer in answers.items()}
    assert found == dict.fromkeys(times, ("INVALID_ARGUMENT", "INVALID_FIELDS", ("execute_time",)))
    assert everything(owner) == before


def test_a_time_up_to_the_end_of_9999_is_kept_to_the_microsecond(api: Api) -> None:
    """The last second there is."""

    for nanos in (1, 999, 1000, 999_999_999):
        scheduled = schedule(api, execute_time=Timestamp(seconds=253_402_300_799, nanos=nanos))
        assert (scheduled.execute_time.seconds, scheduled.execute_time.nanos) == (253_402_300_799, nanos // 1000 * 1000)
        assert api.scheduled_deposit(scheduled.name) == scheduled


def test_fields_beyond_their_bounds_are_refused_and_at_their_bounds_kept(api: Api, owner: psycopg.Connection) -> None:
    """Each alone, each by its name; nothing is stored."""

    wrong: dict[str, list[object]] = {
        "amount": [money(0), money(-1), money(-(2**63)), None],
        "bank_account": ["x" * 65, "DE 1", "é"],
        "description": ["x" * 257, "a\x00b"],
        "external_reference": ["x" * 129, "a\x00b"],
        "request_id": ["", "none", new_id()[:-1]],
        "wallet": ["", "alice", "wallets/", "wallets/Alice", f"wallets/{'x' * 64}", "wallets/alice/x"],
    }
    before = everything(owner)

    answers = [
        (name, api.answer(schedule_request(**{name: value})).violations)
        for name, values in wrong.items()
        for value in values
    ]

    assert answers == [(name, (name,)) for name, values in wrong.items() for _ in values]
    assert everything(owner) == before
    most = {"bank_account": "x" * 64, "description": "é" * 256, "external_reference": "é" * 128}
    scheduled = schedule(api, amount=money(BIGGEST), **most)
    assert (scheduled.amount.minor_units, {name: getattr(scheduled, name) for name in most}) == (BIGGEST, most)
    assert api.scheduled_deposit(scheduled.name) == scheduled


def test_a_wallet_with_an_open_scheduled_deposit_cannot_be_closed(api: Api, stub: CollectingBank, app: App) -> None:
    """Scheduled, being collected, in doubt: in each state it is named; ended, it prevents nothing."""

    stub.order("declined_retryable", match={"account": "asked"})
    stub.order("reset", match={"account": "doubted"})
    names = {}
    wishes: dict[str, dict[str, Any]] = {
        "plain": {"execute_time": time_after_opening(api)},
        "later": {"execute_time": time_after_opening(api), "collect": True},
        "asked": {"collect": True},
        "doubted": {"collect": True},
    }
    for wallet, fields in wishes.items():
        api.open(wallet)
        names[wallet] = schedule(api, wallet=f"wallets/{wallet}", bank_account=wallet, **fields).name
    collect_due_deposits.run_once(app)

    states = [pb.ScheduledDeposit.State.Name(api.scheduled_deposit(name).state)[6:] for name in names.values()]
    assert states == ["SCHEDULED", "SCHEDULED", "PROCESSING", "IN_DOUBT"]
    for wallet, name in names.items():
        refused = api.refused(a_close(wallet))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
        assert name in refused.metadata["explanation"]
    for wallet in ("plain", "later"):
        api.ok(cancel_request(names[wallet]))
        api.close(wallet)


def test_a_frozen_wallet_is_scheduled_into_and_credited(api: Api, stub: CollectingBank, app: App) -> None:
    """Money may come."""

    api.freeze("alice")
    names = [schedule(api, collect=collect).name for collect in (False, True)]
    run_jobs(app)

    assert [api.scheduled_deposit(name).state for name in names] == [SUCCEEDED] * 2
    assert (api.funds("alice")[0], len(stub.ledger())) == (1600, 1)


def test_each_currency_is_collected_in_its_own(api: Api, stub: CollectingBank, app: App) -> None:
    """Yen from the external wallet in yen: the bank gets the currency, and the dollars are unchanged."""

    api.open("yen", currency="JPY")
    name = schedule(api, wallet="wallets/yen", amount=money(7, "JPY"), collect=True).name
    run_jobs(app)

    assert api.scheduled_deposit(name).state == SUCCEEDED
    assert [(line["currency"], int(line["amount"])) for line in stub.ledger()] == [("JPY", 7)]
    assert (api.funds("yen"), api.funds("system:external:JPY")[0]) == ((7, 0, 7), -7)
    assert api.funds("system:external:USD")[0] == -1000


def test_a_failed_deposit_has_a_reason(api: Api, stub: CollectingBank, app: App) -> None:
    """By its reason, with no transaction and no reference; its wallet has what it had."""

    stub.order("declined", match={"account": "refused"})
    stub.order("declined_retryable", match={"account": "busy"})
    api.open("full", BIGGEST - 1000)
    made = {
        pb.ScheduledDeposit.FAILURE_REASON_BANK_DECLINED: schedule(api, collect=True, bank_account="refused").name,
        pb.ScheduledDeposit.FAILURE_REASON_ATTEMPTS_EXHAUSTED: schedule(api, collect=True, bank_account="busy").name,
        pb.ScheduledDeposit.FAILURE_REASON_LIMIT_EXCEEDED: schedule(
            api, wallet="wallets/full", amount=money(1001)
        ).name,
    }
    for seconds in range(4):
        run_jobs(app, timedelta(seconds=seconds))

    found = {reason: api.scheduled_deposit(name) for reason, name in made.items()}
    assert {reason: one.failure_reason for reason, one in found.items()} == {reason: reason for reason in found}
    assert [one.attempts for one in found.values()] == [1, 3, 0]
    for one in found.values():
        assert (one.state, one.transaction, one.bank_reference) == (FAILED, "", "")
    assert (api.funds("alice")[0], api.funds("full")[0]) == (1000, BIGGEST - 1000)
