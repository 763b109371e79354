"""Requests about scheduled deposits: refused, repeated, validated and listed."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1.money_pb2 import Money

from tests.support.api import Api
from tests.support.callers import aware, count, everything
from tests.support.deposit_requests import (
    ALICE,
    CANCELLED,
    HOUR,
    SCHEDULED,
    SUCCEEDED,
    cancel_request,
    run_jobs,
    schedule,
    schedule_request,
    time_after_opening,
)
from tests.support.requests import money, new_id
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("alice")


def test_a_repeat_schedules_nothing_and_shows_it_as_it_is_now(api: Api, app: App, owner: psycopg.Connection) -> None:
    """The same id: scheduled, then credited; also once its time has passed, and as a validation."""

    at = api.ok(schedule_request(validate_only=True)).scheduled_deposit.create_time
    at.FromDatetime(aware(at) + timedelta(seconds=1))
    request = schedule_request(execute_time=at)
    first = api.ok(request).scheduled_deposit
    assert (api.ok(request).scheduled_deposit, api.ok(request).replayed) == (first, True)
    late = schedule_request(execute_time=at, validate_only=True)
    assert wait_until(lambda: api.answer(late).reason == "INVALID_FIELDS", timeout_s=30)
    run_jobs(app)

    repeated = api.ok(request)

    assert (repeated.scheduled_deposit.name, repeated.replayed) == (first.name, True)
    assert repeated.scheduled_deposit.state == SUCCEEDED
    assert repeated.scheduled_deposit == api.scheduled_deposit(first.name)
    request.validate_only = True
    assert api.ok(request) == repeated
    assert (count(owner, "scheduled_deposits"), api.funds("alice")[0]) == (1, 1300)


def test_a_used_id_with_another_deposit_is_refused(api: Api, owner: psycopg.Connection) -> None:
    """Other amount, time (none at all among them), collect flag, words, wallet or method: REQUEST_ID_REUSED."""

    api.open("bob")
    first: dict[str, Any] = {"execute_time": time_after_opening(api), "request_id": new_id()}
    made = schedule(api, **first)
    changes: list[dict[str, Any]] = [
        {"amount": money(301)},
        {"amount": Money(currency_code="EUR", minor_units=300)},
        {"execute_time": time_after_opening(api, HOUR)},
        {"execute_time": None},
        {"execute_time": Timestamp(seconds=1)},
        {"collect": True},
        {"bank_account": "x"},
        {"description": "x"},
        {"external_reference": "x"},
        {"wallet": "wallets/bob"},
        {"wallet": "wallets/nobody"},
    ]
    others: list[Message] = [schedule_request(**{**first, **change}) for change in changes]
    others.append(pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(300), **first))
    others.append(cancel_request(made.name, request_id=first["request_id"]))
    before = everything(owner)

    answers = [api.answer(other) for other in others]

    assert [(answer.code, answer.reason) for answer in answers] == [("ALREADY_EXISTS", "REQUEST_ID_REUSED")] * 13
    found = {"requestId": first["request_id"], "method": "ScheduleDeposit", "resourceName": made.name}
    assert [answer.metadata for answer in answers] == [found] * 13
    assert everything(owner) == before


def test_a_refusal_is_repeated_though_its_cause_has_gone(api: Api) -> None:
    """Final: another try needs a new id."""

    late = schedule_request(wallet="wallets/late")
    euros = schedule_request(wallet="wallets/late", amount=Money(currency_code="EUR", minor_units=1))
    first = api.answer(late)
    api.open("late", currency="EUR")

    assert (first.code, first.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert api.answer(late) == first
    assert api.answer(euros).code == "OK"


def test_validating_answers_as_the_real_call_does_and_stores_nothing(api: Api, owner: psycopg.Connection) -> None:
    """Every refusal there is, and a success: which names nothing, for there is nothing."""

    api.open("frozen")
    api.freeze("frozen")
    api.open("closed")
    api.close("closed")
    used = new_id()
    schedule(api, request_id=used)
    wishes: dict[str, dict[str, Any]] = {
        "INVALID_FIELDS": {"amount": money(0)},
        "INVALID_FIELDS past": {"execute_time": Timestamp(seconds=1)},
        "PERMISSION_MISSING": {"wallet": "wallets/system:external:USD"},
        "PERMISSION_MISSING in_transit": {"wallet": "wallets/system:in_transit:USD"},
        "PERMISSION_MISSING nowhere": {"wallet": "wallets/system:external:XXX"},
        "REQUEST_ID_REUSED": {"request_id": used, "collect": True},
        "RESOURCE_NOT_FOUND": {"wallet": "wallets/nobody"},
        "CURRENCY_MISMATCH": {"amount": Money(currency_code="EUR", minor_units=1)},
        "WALLET_NOT_ACTIVE": {"wallet": "wallets/closed"},
        "": {"execute_time": time_after_opening(api), "collect": True},
        " frozen": {"wallet": "wallets/frozen"},
    }
    requests = {what: schedule_request(**fields) for what, fields in wishes.items()}
    before = everything(owner)
    for request in requests.values():
        request.validate_only = True
    tried = {what: api.answer(request) for what, request in requests.items()}
    untouched = everything(owner)
    for request in requests.values():
        request.validate_only = False
    real = {what: api.answer(request) for what, request in requests.items()}

    assert untouched == before
    assert {what: answer.reason for what, answer in tried.items()} == {what: what.split(" ")[0] for what in wishes}
    for what, answer in tried.items():
        shown = (answer.code, answer.reason, answer.metadata, answer.violations, answer.message)
        other = real[what]
        assert shown == (other.code, other.reason, other.metadata, other.violations, other.message), what
    yes, made = (pb.ScheduleDepositResponse.FromString(answers[""].body) for answers in (tried, real))
    assert (yes.scheduled_deposit.name, yes.scheduled_deposit.state, yes.replayed) == ("", SCHEDULED, False)
    assert made.scheduled_deposit.name
    for given in ("wallet", "amount", "execute_time", "collect", "next_attempt_time"):
        assert getattr(yes.scheduled_deposit, given) == getattr(made.scheduled_deposit, given)


def test_of_two_faults_the_one_listed_first_is_reported(api: Api) -> None:
    """The order of the errors at the call: fields, system wallet, used id, past time, not found, currency, closed."""

    api.open("closed")
    api.close("closed")
    used = new_id()
    schedule(api, request_id=used)
    past, euro = Timestamp(seconds=1), Money(currency_code="EUR", minor_units=1)
    pairs: list[tuple[str, dict[str, Any]]] = [
        ("INVALID_FIELDS", {"amount": money(0), "wallet": "wallets/system:external:USD"}),
        ("PERMISSION_MISSING", {"wallet": "wallets/system:external:USD", "request_id": used}),
        ("PERMISSION_MISSING", {"wallet": "wallets/system:external:USD", "execute_time": past}),
        ("REQUEST_ID_REUSED", {"request_id": used, "execute_time": past}),
        ("REQUEST_ID_REUSED", {"request_id": used, "wallet": "wallets/nobody"}),
        ("INVALID_FIELDS", {"execute_time": past, "wallet": "wallets/nobody"}),
        ("RESOURCE_NOT_FOUND", {"wallet": "wallets/nobody", "amount": euro}),
        ("CURRENCY_MISMATCH", {"wallet": "wallets/closed", "amount": euro}),
    ]

    assert [api.answer(schedule_request(**fields)).reason for _, fields in pairs] == [reason for reason, _ in pairs]


def test_validating_a_cancel_answers_as_the_real_one_does_and_stores_nothing(
    api: Api, app: App, owner: psycopg.Connection
) -> None:
    """Cancelled, credited, unknown, a withdrawal's id, a used request id; and a success."""

    credited = schedule(api).name
    run_jobs(app)
    gone, open_ = (schedule(api, execute_time=time_after_opening(api)).name for _ in range(2))
    first = cancel_request(gone)
    api.ok(first)
    payout = pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(1), request_id=new_id())
    payout_id = api.ok(payout).withdrawal.name.partition("/")[2]
    fields = {
        "STATE_TRANSITION_FORBIDDEN": cancel_request(gone),
        "STATE_TRANSITION_FORBIDDEN credited": cancel_request(credited),
        "RESOURCE_NOT_FOUND": cancel_request(f"scheduledDeposits/{uuid4()}"),
        "RESOURCE_NOT_FOUND payout": cancel_request(f"scheduledDeposits/{payout_id}"),
        "REQUEST_ID_REUSED": cancel_request(open_, request_id=first.request_id),
        "INVALID_FIELDS": cancel_request(f"withdrawals/{payout_id}"),
        "": cancel_request(open_),
    }
    before = everything(owner)
    for request in fields.values():
        request.validate_only = True
    tried = {what: api.answer(request) for what, request in fields.items()}
    untouched = everything(owner)
    for request in fields.values():
        request.validate_only = False
    real = {what: api.answer(request) for what, request in fields.items()}

    assert untouched == before
    assert {what: answer.reason for what, answer in tried.items()} == {what: what.split(" ")[0] for what in fields}
    assert {what: (answer.code, answer.metadata) for what, answer in tried.items()} == {
        what: (answer.code, answer.metadata) for what, answer in real.items()
    }
    shown = pb.CancelScheduledDepositResponse.FromString(tried[""].body).scheduled_deposit
    assert (shown.name, shown.state) == (open_, CANCELLED)
    assert api.scheduled_deposit(open_).state == CANCELLED


def test_a_deposits_id_is_not_a_withdrawals_nor_the_other_way_around(api: Api) -> None:
    """To read and to cancel: NOT_FOUND, under the requested name."""

    deposit = schedule(api, execute_time=time_after_opening(api)).name.partition("/")[2]
    payout = pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(1), request_id=new_id())
    withdrawal = api.ok(payout).withdrawal.name.partition("/")[2]
    no_deposit, no_withdrawal = f"scheduledDeposits/{withdrawal}", f"withdrawals/{deposit}"
    requests: list[tuple[str, Message]] = [
        (no_deposit, pb.GetScheduledDepositRequest(name=no_deposit)),
        (no_deposit, cancel_request(no_deposit)),
        (no_withdrawal, pb.GetWithdrawalRequest(name=no_withdrawal)),
        (no_withdrawal, pb.CancelWithdrawalRequest(name=no_withdrawal, request_id=new_id())),
    ]

    for name, request in requests:
        refused = api.answer(request)
        assert (refused.code, refused.reason, refused.metadata) == (
            "NOT_FOUND",
            "RESOURCE_NOT_FOUND",
            {"resourceName": name},
        )


def pages(api: Api, sizes: list[int], **fields: Any) -> list[str]:  # noqa: ANN401  # a request's fields
    """Return the names on all pages of a list, in order."""
    names: list[str] = []
    token = ""
    for size in itertools.cycle(sizes):
        request = pb.ListScheduledDepositsRequest(page_size=size, page_token=token, **fields)
        response = api.ok(request)
        names += [one.name for one in response.scheduled_deposits]
        token = response.next_page_token
        if not token:
            return names
    raise AssertionError


def test_lists_are_newest_first_of_one_wallet_or_of_all_on_pages_of_any_size(api: Api) -> None:
    """Nothing missing, nothing twice, also where more are scheduled between pages."""

    api.open("bob")
    made = [
        schedule(api, wallet=wallet, collect=n % 2 == 1).name for n in range(3) for wallet in (ALICE, "wallets/bob")
    ]
    whole = pages(api, [0])
    assert whole == made[::-1]
    assert pages(api, [1, 2]) == whole == pages(api, [5000])
    assert pages(api, [2], wallet=ALICE) == made[::2][::-1]
    first = api.ok(pb.ListScheduledDepositsRequest(page_size=2))
    assert list(first.scheduled_deposits) == [api.scheduled_deposit(name) for name in whole[:2]]
    schedule(api)
    rest = api.ok(pb.ListScheduledDepositsRequest(page_size=100, page_token=first.next_page_token))
    assert [one.name for one in rest.scheduled_deposits] == whole[2:]


def test_lists_are_filtered_by_state_amount_and_times(api: Api, app: App) -> None:
    """With the words of the contract, joined by AND."""

    credited = schedule(api, amount=money(100)).name
    run_jobs(app)
    early, late = (schedule(api, amount=money(n), execute_time=time_after_opening(api, n * HOUR)).name for n in (1, 2))
    api.ok(cancel_request(late))
    created = api.scheduled_deposit(credited).create_time.ToJsonString()
    between = (aware(api.wallet("alice").create_time) + 1.5 * HOUR).isoformat()
    wanted = {
        "": [late, early, credited],
        "state = SCHEDULED": [early],
        "state = STATE_CANCELLED": [late],
        "state != SCHEDULED": [late, credited],
        "amount >= 2": [late, credited],
        "amount < 2 AND state = SCHEDULED": [early],
        "amount = 1 AND state = SUCCEEDED": [],
        f'execute_time < "{between}"': [early, credited],
        f'execute_time > "{between}" AND amount = 2': [late],
        f'create_time <= "{created}"': [credited],
        f'create_time > "{created}"': [late, early],
    }

    found = {text: pages(api, [1], filter=text) for text in wanted}

    assert found == wanted


def test_a_list_that_makes_no_sense_is_refused(api: Api) -> None:
    """Another list's token or another filter's, a field there is not, a wallet there is not, a size below zero."""

    for _ in range(2):
        schedule(api)
        api.ok(pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(1), request_id=new_id()))
    token = api.ok(pb.ListScheduledDepositsRequest(page_size=1)).next_page_token
    others = api.ok(pb.ListWithdrawalsRequest(page_size=1)).next_page_token
    requests: list[tuple[str, dict[str, Any]]] = [
        ("PAGE_TOKEN_INVALID", {"page_token": others}),
        ("PAGE_TOKEN_INVALID", {"page_token": token, "filter": "amount = 300"}),
        ("PAGE_TOKEN_INVALID", {"page_token": token, "wallet": ALICE}),
        ("PAGE_TOKEN_INVALID", {"page_token": token[:-1]}),
        ("FILTER_INVALID", {"filter": "collect = true"}),
        ("FILTER_INVALID", {"filter": "state = POSTED"}),
        ("FILTER_INVALID", {"filter": "state < SCHEDULED"}),
        ("RESOURCE_NOT_FOUND", {"wallet": "wallets/nobody"}),
        ("INVALID_FIELDS", {"page_size": -1}),
        ("INVALID_FIELDS", {"wallet": "nobody"}),
    ]

    answers = [api.answer(pb.ListScheduledDepositsRequest(**fields)).reason for _, fields in requests]

    assert answers == [reason for reason, _ in requests]
