"""Scheduled deposits as callers schedule, watch and cancel them."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1.money_pb2 import Money

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, credit_due_deposits, reconcile_collections
from tests.support.asking import Asking
from tests.support.callers import BIGGEST, aware, count, everything
from tests.support.requests import a_close, money, new_id
from tests.support.scheduled import CollectingBank
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

ALICE = "wallets/alice"
SCHEDULED, SUCCEEDED = pb.ScheduledDeposit.STATE_SCHEDULED, pb.ScheduledDeposit.STATE_SUCCEEDED
CANCELLED, FAILED = pb.ScheduledDeposit.STATE_CANCELLED, pb.ScheduledDeposit.STATE_FAILED
JOBS = (credit_due_deposits, collect_due_deposits, reconcile_collections)
HALF_AN_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)

BOTH = pytest.mark.parametrize("collect", [False, True], ids=["plain", "collected"])


@pytest.fixture
def asking(server: str) -> Iterator[Asking]:
    """Return a asking who has opened a wallet for Alice with 1,000."""
    with Asking(server) as asking:
        asking.open("alice", 1000)
        yield asking


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank, to be asked what it was asked."""
    return CollectingBank(bank.url)


def wish(**fields: Any) -> pb.ScheduleDepositRequest:  # noqa: ANN401  # a request's fields
    """Ask for a deposit of 300 into Alice's wallet, now and without the bank, but for these fields."""
    asked = {"wallet": ALICE, "amount": money(300), "request_id": new_id(), **fields}
    return pb.ScheduleDepositRequest(**asked)


def schedule(asking: Asking, **fields: Any) -> pb.ScheduledDeposit:  # noqa: ANN401  # a request's fields
    """Schedule such a deposit; return it."""
    scheduled = asking.ok(wish(**fields)).scheduled_deposit
    assert isinstance(scheduled, pb.ScheduledDeposit)
    return scheduled


def cancel(name: str, **fields: Any) -> pb.CancelScheduledDepositRequest:  # noqa: ANN401  # a request's fields
    """Ask to cancel a scheduled deposit."""
    return pb.CancelScheduledDepositRequest(name=name, **{"request_id": new_id(), **fields})


def soon(asking: Asking, wait: timedelta = HALF_AN_HOUR) -> Timestamp:
    """Return a time that is *wait* after Alice's wallet was made, by the database's clock."""
    at = Timestamp()
    at.FromDatetime(aware(asking.wallet("alice").create_time) + wait)
    return at


def run_jobs(app: App, clock_offset: timedelta = timedelta()) -> int:
    """Run a round of every job that could touch a scheduled deposit; return how many pieces of work there were."""
    return sum(job.run_once(app, clock_offset=clock_offset).claimed for job in JOBS)


def kinds_told(owner: psycopg.Connection, name: str) -> list[str]:
    """Return what others were told about a resource, in order."""
    rows = owner.execute("SELECT type FROM outbox WHERE subject = %s ORDER BY position", [name]).fetchall()
    return [kind for (kind,) in rows]


@BOTH
def test_a_scheduled_deposit_waits_for_its_time_and_gives_nothing(
    asking: Asking, stub: CollectingBank, app: App, owner: psycopg.Connection, *, collect: bool
) -> None:
    """L1's first half: 300 in 30 minutes: SCHEDULED, as asked, the balance the same, before its time too."""

    at = soon(asking)
    words: dict[str, Any] = {"bank_account": "DE1", "description": "wages ✓", "external_reference": "standing-1"}

    made = asking.ok(wish(execute_time=at, collect=collect, **words))

    told = made.scheduled_deposit
    assert (made.replayed, told.state, told.wallet, told.amount, told.collect) == (
        *(False, SCHEDULED, ALICE, money(300)),
        collect,
    )
    assert (told.bank_account, told.description, told.external_reference) == tuple(words.values())
    assert (told.execute_time, told.next_attempt_time, told.create_time) == (at, at, told.update_time)
    assert (told.attempts, told.bank_reference, told.failure_reason, told.attention, told.transaction) == (
        *(0, "", 0, "", ""),
    )
    assert run_jobs(app, HALF_AN_HOUR - timedelta(minutes=1)) == 0
    assert asking.scheduled_deposit(told.name) == told
    assert (asking.funds("alice"), stub.stats()["posts"]) == ((1000, 0, 1000), {})
    assert kinds_told(owner, told.name) == ["scheduled_deposit.scheduled"]


@BOTH
def test_a_scheduled_deposit_is_credited_once_when_its_time_has_come(
    asking: Asking, stub: CollectingBank, app: App, owner: psycopg.Connection, *, collect: bool
) -> None:
    """L1: after its time the balance has grown once; it names its transaction, and that one names it."""

    made = schedule(
        asking, execute_time=soon(asking), collect=collect, description="wages", external_reference="standing-1"
    )
    for minutes in (1, 2, 60):
        run_jobs(app, HALF_AN_HOUR + timedelta(minutes=minutes))

    told = asking.scheduled_deposit(made.name)
    reference = stub.ledger()[0]["reference"] if collect else ""
    assert (told.state, told.attempts, told.bank_reference, told.attention) == (SUCCEEDED, int(collect), reference, "")
    assert not told.HasField("next_attempt_time")
    assert asking.funds("alice") == (1300, 0, 1300)
    moved = asking.ok(transaction_pb.GetTransactionRequest(name=told.transaction)).transaction
    type_ = transaction_pb.Transaction.TYPE_COLLECTION if collect else transaction_pb.Transaction.TYPE_DEPOSIT
    assert (moved.type, moved.amount, moved.destination, moved.scheduled_deposit) == (
        *(type_, money(300), ALICE),
        told.name,
    )
    assert (moved.source, moved.description, moved.external_reference) == (
        "wallets/system:external:USD",
        "wages",
        "standing-1",
    )
    between = ["scheduled_deposit.processing"] if collect else []
    assert kinds_told(owner, told.name) == ["scheduled_deposit.scheduled", *between, "scheduled_deposit.succeeded"]
    assert kinds_told(owner, told.transaction) == ["transaction.posted"]
    assert len(stub.ledger()) == int(collect)


def test_a_scheduled_deposit_without_a_time_is_due_now(asking: Asking) -> None:
    """No time at all means now."""

    for collect in (False, True):
        told = schedule(asking, collect=collect)
        assert told.execute_time == told.create_time == told.next_attempt_time
        assert told.state == SCHEDULED


@BOTH
def test_a_cancelled_deposit_stays_so_when_it_is_due_and_the_bank_is_not_asked(
    asking: Asking, stub: CollectingBank, app: App, owner: psycopg.Connection, *, collect: bool
) -> None:
    """S6: CANCELLED, nothing moved; a second cancel is refused, a repeat of the first is not."""

    name = schedule(asking, execute_time=soon(asking), collect=collect).name
    first = cancel(name)

    answered = asking.ok(first)

    told = answered.scheduled_deposit
    assert (told.name, told.state, answered.replayed) == (name, CANCELLED, False)
    assert not told.HasField("next_attempt_time")
    assert run_jobs(app, HOUR) == 0
    assert (asking.scheduled_deposit(name), asking.funds("alice"), stub.stats()["posts"]) == (told, (1000, 0, 1000), {})
    again = asking.ok(first)
    assert (again.scheduled_deposit, again.replayed) == (told, True)
    second = cancel(name)
    for _ in range(2):
        refused = asking.answer(second)
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
        assert (refused.metadata["resourceName"], refused.metadata["state"]) == (name, "CANCELLED")
    assert kinds_told(owner, name) == ["scheduled_deposit.scheduled", "scheduled_deposit.cancelled"]


def test_a_time_that_is_past_or_none_is_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """INVALID_FIELDS, no row; also outside the years 1 to 9999, and nanos outside a second."""

    times = [
        *[(1_000_000_000, 0), (0, 0), (-1, 0), (-62_135_596_800, 0)],
        *[(-62_135_596_801, 0), (-(2**63), 0), (253_402_300_800, 0), (2**63 - 1, 999_999_999)],
        *[(4_000_000_000, -1), (4_000_000_000, 1_000_000_000), (4_000_000_000, 2**31 - 1), (4_000_000_000, -(2**31))],
    ]
    before = everything(owner)

    answers = {
        (seconds, nanos): asking.answer(wish(execute_time=Timestamp(seconds=seconds, nanos=nanos)))
        for seconds, nanos in times
    }

    told = {time: (answer.code, answer.reason, answer.violations) for time, answer in answers.items()}
    assert told == dict.fromkeys(times, ("INVALID_ARGUMENT", "INVALID_FIELDS", ("execute_time",)))
    assert everything(owner) == before


def test_a_time_up_to_the_end_of_9999_is_kept_to_the_microsecond(asking: Asking) -> None:
    """The last second there is."""

    for nanos in (1, 999, 1000, 999_999_999):
        told = schedule(asking, execute_time=Timestamp(seconds=253_402_300_799, nanos=nanos))
        assert (told.execute_time.seconds, told.execute_time.nanos) == (253_402_300_799, nanos // 1000 * 1000)
        assert asking.scheduled_deposit(told.name) == told


def test_fields_beyond_their_bounds_are_refused_and_at_their_bounds_kept(
    asking: Asking, owner: psycopg.Connection
) -> None:
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
        (name, asking.answer(wish(**{name: value})).violations) for name, values in wrong.items() for value in values
    ]

    assert answers == [(name, (name,)) for name, values in wrong.items() for _ in values]
    assert everything(owner) == before
    most = {"bank_account": "x" * 64, "description": "é" * 256, "external_reference": "é" * 128}
    told = schedule(asking, amount=money(BIGGEST), **most)
    assert (told.amount.minor_units, {name: getattr(told, name) for name in most}) == (BIGGEST, most)
    assert asking.scheduled_deposit(told.name) == told


def test_a_repeat_schedules_nothing_and_shows_it_as_it_is_now(
    asking: Asking, app: App, owner: psycopg.Connection
) -> None:
    """The same id: scheduled, then credited; also once its time has passed, and as a validation."""

    at = asking.ok(wish(validate_only=True)).scheduled_deposit.create_time
    at.FromDatetime(aware(at) + timedelta(seconds=1))
    asked = wish(execute_time=at)
    first = asking.ok(asked).scheduled_deposit
    assert (asking.ok(asked).scheduled_deposit, asking.ok(asked).replayed) == (first, True)
    late = wish(execute_time=at, validate_only=True)
    assert wait_until(lambda: asking.answer(late).reason == "INVALID_FIELDS", timeout_s=30)
    run_jobs(app)

    repeated = asking.ok(asked)

    assert (repeated.scheduled_deposit.name, repeated.replayed) == (first.name, True)
    assert repeated.scheduled_deposit.state == SUCCEEDED
    assert repeated.scheduled_deposit == asking.scheduled_deposit(first.name)
    asked.validate_only = True
    assert asking.ok(asked) == repeated
    assert (count(owner, "scheduled_deposits"), asking.funds("alice")[0]) == (1, 1300)


def test_a_used_id_with_another_deposit_is_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """Other amount, time (none at all among them), collect flag, words, wallet or method: REQUEST_ID_REUSED."""

    asking.open("bob")
    first: dict[str, Any] = {"execute_time": soon(asking), "request_id": new_id()}
    made = schedule(asking, **first)
    changes: list[dict[str, Any]] = [
        {"amount": money(301)},
        {"amount": Money(currency_code="EUR", minor_units=300)},
        {"execute_time": soon(asking, HOUR)},
        {"execute_time": None},
        {"execute_time": Timestamp(seconds=1)},
        {"collect": True},
        {"bank_account": "x"},
        {"description": "x"},
        {"external_reference": "x"},
        {"wallet": "wallets/bob"},
        {"wallet": "wallets/nobody"},
    ]
    others: list[Message] = [wish(**{**first, **change}) for change in changes]
    others.append(pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(300), **first))
    others.append(cancel(made.name, request_id=first["request_id"]))
    before = everything(owner)

    answers = [asking.answer(other) for other in others]

    assert [(answer.code, answer.reason) for answer in answers] == [("ALREADY_EXISTS", "REQUEST_ID_REUSED")] * 13
    told = {"requestId": first["request_id"], "method": "ScheduleDeposit", "resourceName": made.name}
    assert [answer.metadata for answer in answers] == [told] * 13
    assert everything(owner) == before


def test_a_refusal_is_repeated_though_its_cause_has_gone(asking: Asking) -> None:
    """Final: another try needs a new id."""

    late = wish(wallet="wallets/late")
    euros = wish(wallet="wallets/late", amount=Money(currency_code="EUR", minor_units=1))
    first = asking.answer(late)
    asking.open("late", currency="EUR")

    assert (first.code, first.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert asking.answer(late) == first
    assert asking.answer(euros).code == "OK"


def test_validating_answers_as_the_real_call_does_and_stores_nothing(asking: Asking, owner: psycopg.Connection) -> None:
    """Every refusal there is, and a yes: which names nothing, for there is nothing."""

    asking.open("frozen")
    asking.freeze("frozen")
    asking.open("closed")
    asking.close("closed")
    used = new_id()
    schedule(asking, request_id=used)
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
        "": {"execute_time": soon(asking), "collect": True},
        " frozen": {"wallet": "wallets/frozen"},
    }
    asked = {what: wish(**fields) for what, fields in wishes.items()}
    before = everything(owner)
    for request in asked.values():
        request.validate_only = True
    tried = {what: asking.answer(request) for what, request in asked.items()}
    untouched = everything(owner)
    for request in asked.values():
        request.validate_only = False
    real = {what: asking.answer(request) for what, request in asked.items()}

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


def test_of_two_faults_the_one_that_is_listed_first_is_told(asking: Asking) -> None:
    """The order of the errors at the call: fields, system wallet, used id, past time, not found, currency, closed."""

    asking.open("closed")
    asking.close("closed")
    used = new_id()
    schedule(asking, request_id=used)
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

    assert [asking.answer(wish(**fields)).reason for _, fields in pairs] == [reason for reason, _ in pairs]


def test_validating_a_cancel_answers_as_the_real_one_does_and_stores_nothing(
    asking: Asking, app: App, owner: psycopg.Connection
) -> None:
    """Cancelled, credited, unknown, a withdrawal's id, a used request id; and a yes."""

    credited = schedule(asking).name
    run_jobs(app)
    gone, open_ = (schedule(asking, execute_time=soon(asking)).name for _ in range(2))
    first = cancel(gone)
    asking.ok(first)
    payout = pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(1), request_id=new_id())
    payout_id = asking.ok(payout).withdrawal.name.partition("/")[2]
    asked = {
        "STATE_TRANSITION_FORBIDDEN": cancel(gone),
        "STATE_TRANSITION_FORBIDDEN credited": cancel(credited),
        "RESOURCE_NOT_FOUND": cancel(f"scheduledDeposits/{uuid4()}"),
        "RESOURCE_NOT_FOUND payout": cancel(f"scheduledDeposits/{payout_id}"),
        "REQUEST_ID_REUSED": cancel(open_, request_id=first.request_id),
        "INVALID_FIELDS": cancel(f"withdrawals/{payout_id}"),
        "": cancel(open_),
    }
    before = everything(owner)
    for request in asked.values():
        request.validate_only = True
    tried = {what: asking.answer(request) for what, request in asked.items()}
    untouched = everything(owner)
    for request in asked.values():
        request.validate_only = False
    real = {what: asking.answer(request) for what, request in asked.items()}

    assert untouched == before
    assert {what: answer.reason for what, answer in tried.items()} == {what: what.split(" ")[0] for what in asked}
    assert {what: (answer.code, answer.metadata) for what, answer in tried.items()} == {
        what: (answer.code, answer.metadata) for what, answer in real.items()
    }
    shown = pb.CancelScheduledDepositResponse.FromString(tried[""].body).scheduled_deposit
    assert (shown.name, shown.state) == (open_, CANCELLED)
    assert asking.scheduled_deposit(open_).state == CANCELLED


def test_a_deposits_id_is_not_a_withdrawals_nor_the_other_way_around(asking: Asking) -> None:
    """To read and to cancel: NOT_FOUND, under the name that was asked for."""

    deposit = schedule(asking, execute_time=soon(asking)).name.partition("/")[2]
    payout = pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(1), request_id=new_id())
    withdrawal = asking.ok(payout).withdrawal.name.partition("/")[2]
    no_deposit, no_withdrawal = f"scheduledDeposits/{withdrawal}", f"withdrawals/{deposit}"
    asked: list[tuple[str, Message]] = [
        (no_deposit, pb.GetScheduledDepositRequest(name=no_deposit)),
        (no_deposit, cancel(no_deposit)),
        (no_withdrawal, pb.GetWithdrawalRequest(name=no_withdrawal)),
        (no_withdrawal, pb.CancelWithdrawalRequest(name=no_withdrawal, request_id=new_id())),
    ]

    for name, request in asked:
        refused = asking.answer(request)
        assert (refused.code, refused.reason, refused.metadata) == (
            "NOT_FOUND",
            "RESOURCE_NOT_FOUND",
            {"resourceName": name},
        )


def pages(asking: Asking, sizes: list[int], **fields: Any) -> list[str]:  # noqa: ANN401  # a request's fields
    """Return the names on all pages of a list, in order."""
    names: list[str] = []
    token = ""
    for size in itertools.cycle(sizes):
        request = pb.ListScheduledDepositsRequest(page_size=size, page_token=token, **fields)
        response = asking.ok(request)
        names += [one.name for one in response.scheduled_deposits]
        token = response.next_page_token
        if not token:
            return names
    raise AssertionError


def test_lists_are_newest_first_of_one_wallet_or_of_all_on_pages_of_any_size(asking: Asking) -> None:
    """Nothing missing, nothing twice, also where more are scheduled while somebody pages."""

    asking.open("bob")
    made = [
        schedule(asking, wallet=wallet, collect=n % 2 == 1).name for n in range(3) for wallet in (ALICE, "wallets/bob")
    ]
    whole = pages(asking, [0])
    assert whole == made[::-1]
    assert pages(asking, [1, 2]) == whole == pages(asking, [5000])
    assert pages(asking, [2], wallet=ALICE) == made[::2][::-1]
    first = asking.ok(pb.ListScheduledDepositsRequest(page_size=2))
    assert list(first.scheduled_deposits) == [asking.scheduled_deposit(name) for name in whole[:2]]
    schedule(asking)
    rest = asking.ok(pb.ListScheduledDepositsRequest(page_size=100, page_token=first.next_page_token))
    assert [one.name for one in rest.scheduled_deposits] == whole[2:]


def test_lists_are_filtered_by_state_amount_and_times(asking: Asking, app: App) -> None:
    """With the words of the contract, joined by AND."""

    credited = schedule(asking, amount=money(100)).name
    run_jobs(app)
    early, late = (schedule(asking, amount=money(n), execute_time=soon(asking, n * HOUR)).name for n in (1, 2))
    asking.ok(cancel(late))
    created = asking.scheduled_deposit(credited).create_time.ToJsonString()
    between = (aware(asking.wallet("alice").create_time) + 1.5 * HOUR).isoformat()
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

    found = {text: pages(asking, [1], filter=text) for text in wanted}

    assert found == wanted


def test_a_list_that_makes_no_sense_is_refused(asking: Asking) -> None:
    """Another list's token or another filter's, a field there is not, a wallet there is not, a size below zero."""

    for _ in range(2):
        schedule(asking)
        asking.ok(pb.ScheduleWithdrawalRequest(wallet=ALICE, amount=money(1), request_id=new_id()))
    token = asking.ok(pb.ListScheduledDepositsRequest(page_size=1)).next_page_token
    others = asking.ok(pb.ListWithdrawalsRequest(page_size=1)).next_page_token
    asked: list[tuple[str, dict[str, Any]]] = [
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

    answers = [asking.answer(pb.ListScheduledDepositsRequest(**fields)).reason for _, fields in asked]

    assert answers == [reason for reason, _ in asked]


def test_a_wallet_with_an_open_scheduled_deposit_cannot_be_closed(
    asking: Asking, stub: CollectingBank, app: App
) -> None:
    """Scheduled, being collected, in doubt: whichever it is, named; ended, it is in nobody's way."""

    stub.order("declined_retryable", match={"account": "asked"})
    stub.order("reset", match={"account": "doubted"})
    names = {}
    wishes: dict[str, dict[str, Any]] = {
        "plain": {"execute_time": soon(asking)},
        "later": {"execute_time": soon(asking), "collect": True},
        "asked": {"collect": True},
        "doubted": {"collect": True},
    }
    for wallet, fields in wishes.items():
        asking.open(wallet)
        names[wallet] = schedule(asking, wallet=f"wallets/{wallet}", bank_account=wallet, **fields).name
    collect_due_deposits.run_once(app)

    states = [pb.ScheduledDeposit.State.Name(asking.scheduled_deposit(name).state)[6:] for name in names.values()]
    assert states == ["SCHEDULED", "SCHEDULED", "PROCESSING", "IN_DOUBT"]
    for wallet, name in names.items():
        refused = asking.refused(a_close(wallet))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
        assert name in refused.metadata["explanation"]
    for wallet in ("plain", "later"):
        asking.ok(cancel(names[wallet]))
        asking.close(wallet)


def test_a_frozen_wallet_is_scheduled_into_and_credited(asking: Asking, stub: CollectingBank, app: App) -> None:
    """Money may come."""

    asking.freeze("alice")
    names = [schedule(asking, collect=collect).name for collect in (False, True)]
    run_jobs(app)

    assert [asking.scheduled_deposit(name).state for name in names] == [SUCCEEDED] * 2
    assert (asking.funds("alice")[0], len(stub.ledger())) == (1600, 1)


def test_each_currency_is_collected_in_its_own(asking: Asking, stub: CollectingBank, app: App) -> None:
    """Yen from the yen outside: the bank is told which, and the dollars stay as they were."""

    asking.open("yen", currency="JPY")
    name = schedule(asking, wallet="wallets/yen", amount=money(7, "JPY"), collect=True).name
    run_jobs(app)

    assert asking.scheduled_deposit(name).state == SUCCEEDED
    assert [(line["currency"], int(line["amount"])) for line in stub.ledger()] == [("JPY", 7)]
    assert (asking.funds("yen"), asking.funds("system:external:JPY")[0]) == ((7, 0, 7), -7)
    assert asking.funds("system:external:USD")[0] == -1000


def test_a_failed_deposit_says_why(asking: Asking, stub: CollectingBank, app: App) -> None:
    """By its reason, with no transaction and no reference; its wallet has what it had."""

    stub.order("declined", match={"account": "refused"})
    stub.order("declined_retryable", match={"account": "busy"})
    asking.open("full", BIGGEST - 1000)
    made = {
        pb.ScheduledDeposit.FAILURE_REASON_BANK_DECLINED: schedule(asking, collect=True, bank_account="refused").name,
        pb.ScheduledDeposit.FAILURE_REASON_ATTEMPTS_EXHAUSTED: schedule(asking, collect=True, bank_account="busy").name,
        pb.ScheduledDeposit.FAILURE_REASON_LIMIT_EXCEEDED: schedule(
            asking, wallet="wallets/full", amount=money(1001)
        ).name,
    }
    for seconds in range(4):
        run_jobs(app, timedelta(seconds=seconds))

    told = {reason: asking.scheduled_deposit(name) for reason, name in made.items()}
    assert {reason: one.failure_reason for reason, one in told.items()} == {reason: reason for reason in told}
    assert [one.attempts for one in told.values()] == [1, 3, 0]
    for one in told.values():
        assert (one.state, one.transaction, one.bank_reference) == (FAILED, "", "")
    assert (asking.funds("alice")[0], asking.funds("full")[0]) == (1000, BIGGEST - 1000)
