"""Withdrawals with a reserve: the amount is held from scheduling until execution, cancellation or failure."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from scheduler.jobs import expire_holds, pay_due_withdrawals
from tests.support.api import Api
from tests.support.callers import BIGGEST, everything
from tests.support.deposit_requests import HALF_AN_HOUR, HOUR, time_after_opening
from tests.support.requests import a_close, a_transfer, money, new_id
from tests.support.reserved_withdrawals import (
    ALICE,
    BOB,
    allow_overdraft,
    cancel_request,
    run_jobs,
    schedule,
    schedule_request,
)
from tests.support.scheduled import CollectingBank
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("alice_and_bob")


SCHEDULED, PROCESSING = pb.Withdrawal.STATE_SCHEDULED, pb.Withdrawal.STATE_PROCESSING
SUCCEEDED, FAILED, CANCELLED = (
    pb.Withdrawal.STATE_SUCCEEDED,
    pb.Withdrawal.STATE_FAILED,
    pb.Withdrawal.STATE_CANCELLED,
)


def test_a_withdrawal_without_a_time_is_due_now(api: Api, stub: CollectingBank, app: App) -> None:
    """No time at all means now: the next round pays it, reserved or not."""

    names = []
    for reserve in (False, True):
        scheduled = schedule(api, reserve=reserve)
        assert scheduled.execute_time == scheduled.create_time == scheduled.next_attempt_time
        assert (scheduled.state, scheduled.reserve) == (SCHEDULED, reserve)
        names.append(scheduled.name)
    run_jobs(app)

    assert [api.withdrawal(name).state for name in names] == [SUCCEEDED] * 2
    assert (api.funds("alice"), len(stub.ledger())) == ((400, 0, 400), 2)


def test_what_is_reserved_is_held_at_once_and_still_there(api: Api, app: App, owner: psycopg.Connection) -> None:
    """Available falls with the answer, the balance does not; nothing is posted, and nothing happens before its time."""

    posted = everything(owner)["transactions"]

    scheduled = schedule(api, execute_time=time_after_opening(api))

    assert (scheduled.state, scheduled.reserve, api.withdrawal(scheduled.name)) == (SCHEDULED, True, scheduled)
    assert api.funds("alice") == (1000, 300, 700)
    run_jobs(app, HALF_AN_HOUR - timedelta(minutes=1))
    assert (api.withdrawal(scheduled.name), api.funds("alice")) == (scheduled, (1000, 300, 700))
    assert everything(owner)["transactions"] == posted


def test_execution_debits_and_frees_the_hold_in_one_step(api: Api, stub: CollectingBank, app: App) -> None:
    """Read while the bank holds its answer back: the money is in transit and nothing is held; then it is paid."""

    stub.order("hold", times=1)
    name = schedule(api).name
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(pay_due_withdrawals.run_once, app)
        assert wait_until(lambda: stub.held_back() == 1, timeout_s=30)
        during = api.withdrawal(name).state, api.funds("alice"), api.funds("system:in_transit:USD")[0]
        stub.release()
        round_.result()

    assert during == (PROCESSING, (700, 0, 700), 300)
    assert (api.withdrawal(name).state, api.funds("alice")) == (SUCCEEDED, (700, 0, 700))
    assert api.funds("system:in_transit:USD") == (0, 0, 0)


def test_debit_and_freed_hold_are_one_database_transaction(
    api: Api, stub: CollectingBank, app: App, owner: psycopg.Connection
) -> None:
    """The wallet's row, the withdrawal's entry and the attempt carry one and the same stamp."""

    stub.order("declined_retryable", times=1)
    name = schedule(api).name
    pay_due_withdrawals.run_once(app)

    stamps = owner.execute(
        "SELECT xmin::text FROM wallets WHERE id = 'alice'"
        " UNION SELECT xmin::text FROM transactions WHERE cause = %(id)s AND type = 'WITHDRAWAL'",
        {"id": name.partition("/")[2]},
    ).fetchall()
    assert (len(stamps), api.funds("alice")) == (1, (700, 0, 700))


def test_more_than_is_available_cannot_be_reserved(api: Api, owner: psycopg.Connection) -> None:
    """INSUFFICIENT_FUNDS when it is scheduled, final: the same again though money has come since; no row, no hold."""

    first = schedule(api, execute_time=time_after_opening(api))
    request = schedule_request(amount=money(701), execute_time=time_after_opening(api))
    withdrawals = everything(owner)["withdrawals"]

    refused = api.answer(request)

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS")
    found = {"wallet": ALICE, "currencyCode": "USD", "available": "700", "required": "701"}
    assert (refused.metadata, api.funds("alice")) == (found, (1000, 300, 700))
    assert everything(owner)["withdrawals"] == withdrawals
    api.ok(cancel_request(first.name))
    assert api.answer(request) == refused
    assert schedule(api, amount=money(1000)).state == SCHEDULED
    assert api.funds("alice") == (1000, 1000, 0)


def test_reserved_money_is_available_to_no_other_use(api: Api, app: App, stub: CollectingBank) -> None:
    """Not a transfer's, not a hold's, not another payout's; the part that is not reserved is."""

    schedule(api, amount=money(600), execute_time=time_after_opening(api))
    loose = schedule(api, amount=money(401), reserve=False).name
    hold = hold_pb.PlaceHoldRequest(
        wallet=ALICE, amount=money(401), expire_time=time_after_opening(api), request_id=new_id()
    )

    assert api.answer(a_transfer("alice", "bob", 401)).reason == "INSUFFICIENT_FUNDS"
    assert api.answer(hold).reason == "INSUFFICIENT_FUNDS"
    assert api.answer(schedule_request(amount=money(401))).reason == "INSUFFICIENT_FUNDS"
    run_jobs(app)
    withdrawal = api.withdrawal(loose)
    assert (withdrawal.state, withdrawal.failure_reason) == (FAILED, pb.Withdrawal.FAILURE_REASON_INSUFFICIENT_FUNDS)
    assert (stub.ledger(), api.answer(a_transfer("alice", "bob", 400)).code) == ([], "OK")
    assert api.funds("alice") == (600, 600, 0)


def test_execution_cannot_fail_for_funds_though_all_else_was_spent(api: Api, app: App, stub: CollectingBank) -> None:
    """Transferred, held and captured meanwhile: what was reserved is there, to the last unit."""

    name = schedule(api, execute_time=time_after_opening(api)).name
    hold = hold_pb.PlaceHoldRequest(
        wallet=ALICE, amount=money(200), expire_time=time_after_opening(api), request_id=new_id()
    )
    held = api.ok(hold).hold.name
    api.transfer("alice", "bob", 400)
    capture = hold_pb.CaptureHoldRequest(name=held, destination=BOB, amount=money(150), request_id=new_id())
    api.ok(capture)
    api.transfer("alice", "bob", api.funds("alice")[2])
    assert api.funds("alice")[2] == 0

    run_jobs(app, HOUR)

    assert api.withdrawal(name).state == SUCCEEDED
    assert api.funds("alice")[0] + api.funds("bob")[0] == 700
    assert [int(line["amount"]) for line in stub.ledger()] == [300]


def test_an_overdraft_can_be_reserved_and_is_kept_for_it(api: Api, app: App, stub: CollectingBank) -> None:
    """The limit cannot be lowered below what is reserved; at its time the payout uses it."""

    assert allow_overdraft(api, 500).code == "OK"
    name = schedule(api, amount=money(1400)).name
    assert api.funds("alice") == (1000, 1400, 100)

    refused = allow_overdraft(api, 399)
    assert (refused.reason, refused.metadata) == ("LIMIT_EXCEEDED", {"resourceName": ALICE, "limit": "400"})
    assert allow_overdraft(api, 400).code == "OK"
    assert api.answer(a_transfer("alice", "bob", 1)).reason == "INSUFFICIENT_FUNDS"
    run_jobs(app)

    assert (api.withdrawal(name).state, api.funds("alice")) == (SUCCEEDED, (-400, 0, 0))
    assert [int(line["amount"]) for line in stub.ledger()] == [1400]


def test_cancelling_makes_it_available_again(
    api: Api, app: App, stub: CollectingBank, owner: psycopg.Connection
) -> None:
    """S6: freed with the answer, once; its time passes, and the bank is not called."""

    name = schedule(api, execute_time=time_after_opening(api)).name
    other = schedule(api, amount=money(100), execute_time=time_after_opening(api)).name
    request = cancel_request(name, validate_only=True)
    before = everything(owner)
    shown = api.ok(request).withdrawal
    assert (shown.state, everything(owner), api.funds("alice")) == (CANCELLED, before, (1000, 400, 600))
    request.validate_only = False

    withdrawal = api.ok(request).withdrawal

    assert (withdrawal.state, withdrawal.reserve, api.funds("alice")) == (CANCELLED, True, (1000, 100, 900))
    assert (api.ok(request).replayed, api.answer(cancel_request(name)).reason) == (
        True,
        "STATE_TRANSITION_FORBIDDEN",
    )
    assert api.funds("alice") == (1000, 100, 900)
    api.ok(cancel_request(other))
    assert (run_jobs(app, HOUR), stub.stats()["posts"], api.funds("alice")) == (0, {}, (1000, 0, 1000))


def test_a_wallet_frozen_when_the_time_comes_fails_it_and_frees_it(api: Api, app: App, stub: CollectingBank) -> None:
    """WALLET_NOT_ACTIVE, the bank not called, nothing held; a cancel before that would have worked too."""

    name, cancelled = (schedule(api, execute_time=time_after_opening(api)).name for _ in range(2))
    api.freeze("alice")
    api.ok(cancel_request(cancelled))
    assert api.funds("alice") == (1000, 300, 700)

    run_jobs(app, HOUR)

    withdrawal = api.withdrawal(name)
    assert (withdrawal.state, withdrawal.failure_reason, withdrawal.attempts) == (
        *(FAILED, pb.Withdrawal.FAILURE_REASON_WALLET_NOT_ACTIVE),
        0,
    )
    assert (api.funds("alice"), stub.stats()["posts"]) == ((1000, 0, 1000), {})


def test_a_final_no_gives_the_money_back_and_leaves_nothing_held(api: Api, app: App, stub: CollectingBank) -> None:
    """Released to the wallet, available, not held again; another one's hold is untouched."""

    noes = {
        "declined": (pb.Withdrawal.FAILURE_REASON_BANK_DECLINED, 1),
        "declined_retryable": (pb.Withdrawal.FAILURE_REASON_ATTEMPTS_EXHAUSTED, 3),
    }
    other = schedule(api, amount=money(50), execute_time=time_after_opening(api)).name
    for fault in noes:
        stub.order(fault, match={"account": fault})
    names = {fault: schedule(api, bank_account=fault).name for fault in noes}
    for seconds in range(5):
        run_jobs(app, timedelta(seconds=seconds))

    found = {fault: api.withdrawal(name) for fault, name in names.items()}
    assert {fault: (one.failure_reason, one.attempts) for fault, one in found.items()} == noes
    assert [one.state for one in found.values()] == [FAILED] * 2
    assert (api.funds("alice"), api.withdrawal(other).state) == ((1000, 50, 950), SCHEDULED)
    listed = api.ok(transaction_pb.ListTransactionsRequest(wallet=ALICE)).transactions
    for name in names.values():
        kinds = [transaction_pb.Transaction.Type.Name(one.type)[5:] for one in listed if one.withdrawal == name]
        assert kinds == ["WITHDRAWAL_RELEASE", "WITHDRAWAL"]


def test_in_doubt_nothing_is_held_and_nothing_is_back(api: Api, app: App, stub: CollectingBank) -> None:
    """The bank may have paid: the money stays in transit until the bank's status confirms it."""

    stub.order("reset", execute=True, times=1)
    name = schedule(api).name
    pay_due_withdrawals.run_once(app)

    assert api.withdrawal(name).state == pb.Withdrawal.STATE_IN_DOUBT
    assert (api.funds("alice"), api.funds("system:in_transit:USD")[0]) == ((700, 0, 700), 300)
    assert api.answer(cancel_request(name)).metadata["state"] == "IN_DOUBT"
    run_jobs(app, timedelta(seconds=1))
    assert (api.withdrawal(name).state, api.funds("alice")) == (SUCCEEDED, (700, 0, 700))


def test_without_reserve_nothing_is_held_or_looked_at_before_its_time(api: Api, app: App, stub: CollectingBank) -> None:
    """As ever: accepted beyond the balance; then paid if the money has come, else FAILED."""

    comes, does_not = (
        schedule(api, amount=money(amount), execute_time=time_after_opening(api, wait), reserve=False).name
        for amount, wait in ((1500, HALF_AN_HOUR), (900, HOUR))
    )
    assert api.funds("alice") == (1000, 0, 1000)
    api.ok(transaction_pb.DepositRequest(wallet=ALICE, amount=money(500), request_id=new_id()))
    run_jobs(app, HALF_AN_HOUR + timedelta(minutes=1))
    run_jobs(app, 2 * HOUR)

    assert [api.withdrawal(name).state for name in (comes, does_not)] == [SUCCEEDED, FAILED]
    assert (api.funds("alice"), len(stub.ledger())) == ((0, 0, 0), 1)


def test_reservations_are_not_the_holds_that_expire(api: Api, app: App) -> None:
    """The job that ends holds passes them over, however late it is."""

    name = schedule(api, execute_time=time_after_opening(api)).name
    hold = hold_pb.PlaceHoldRequest(
        wallet=ALICE, amount=money(100), expire_time=time_after_opening(api), request_id=new_id()
    )
    api.ok(hold)
    assert api.funds("alice") == (1000, 400, 600)
    expire_holds.run_once(app, clock_offset=365 * 24 * HOUR)

    assert (api.withdrawal(name).state, api.funds("alice")) == (SCHEDULED, (1000, 300, 700))


def test_the_reserve_flag_is_part_of_the_request(api: Api, owner: psycopg.Connection) -> None:
    """A used id with the other flag is refused, either way; with the same one it is a repeat that holds no more."""

    at = time_after_opening(api)
    for reserve in (False, True):
        request = schedule_request(execute_time=at, reserve=reserve)
        made = api.ok(request).withdrawal
        before = everything(owner)
        request.reserve = not reserve
        assert api.answer(request).reason == "REQUEST_ID_REUSED"
        request.reserve = reserve
        again = api.ok(request)
        assert (again.withdrawal, again.replayed, everything(owner)) == (made, True, before)
    assert api.funds("alice") == (1000, 300, 700)


def test_validating_a_reservation_answers_as_the_real_call_does_and_holds_nothing(
    api: Api, owner: psycopg.Connection
) -> None:
    """Every refusal there is, in its order, and a success."""

    for name, ended in (("frozen", api.freeze), ("closed", api.close)):
        api.open(name)
        ended(name)
    used = new_id()
    schedule(api, amount=money(1), request_id=used, execute_time=time_after_opening(api))
    past, euro, much = Timestamp(seconds=1), Money(currency_code="EUR", minor_units=1), money(1000)
    wishes: dict[str, dict[str, Any]] = {
        "INVALID_FIELDS": {"amount": money(0), "wallet": "wallets/system:external:USD"},
        "PERMISSION_MISSING": {"wallet": "wallets/system:external:USD", "request_id": used},
        "REQUEST_ID_REUSED": {"request_id": used, "execute_time": past},
        "INVALID_FIELDS past": {"execute_time": past, "wallet": "wallets/nobody"},
        "RESOURCE_NOT_FOUND": {"wallet": "wallets/nobody", "amount": euro},
        "CURRENCY_MISMATCH": {"wallet": "wallets/closed", "amount": euro},
        "WALLET_NOT_ACTIVE": {"wallet": "wallets/frozen", "amount": much},
        "WALLET_NOT_ACTIVE closed": {"wallet": "wallets/closed", "amount": much},
        "INSUFFICIENT_FUNDS": {"amount": much},
        "": {"amount": money(999), "execute_time": time_after_opening(api)},
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
    yes = pb.ScheduleWithdrawalResponse.FromString(tried[""].body).withdrawal
    assert (yes.name, yes.state, yes.reserve) == ("", SCHEDULED, True)
    assert api.funds("alice") == (1000, 1000, 0)


def test_a_wallet_with_a_reservation_cannot_be_closed(api: Api) -> None:
    """Also where the balance is zero because an overdraft was reserved; cancelled, it prevents nothing."""

    api.open("credit", overdraft_limit=money(100))
    name = schedule(api, wallet="wallets/credit", amount=money(100)).name

    refused = api.refused(a_close("credit"))

    assert (refused.reason, name in refused.metadata["explanation"]) == ("STATE_TRANSITION_FORBIDDEN", True)
    api.ok(cancel_request(name))
    api.close("credit")


@pytest.mark.parametrize("ended_by", ["cancel", "void"])
def test_what_was_held_can_be_freed_in_a_wallet_filled_meanwhile(api: Api, ended_by: str) -> None:
    """An overdraft was held and the wallet then filled to the maximum: freed, what is available can still be read."""

    full = api.open("full", overdraft_limit=money(100)).name
    if ended_by == "cancel":
        name = schedule(api, wallet=full, amount=money(100), execute_time=time_after_opening(api)).name
        end: Any = cancel_request(name)
    else:
        hold = hold_pb.PlaceHoldRequest(
            wallet=full, amount=money(100), expire_time=time_after_opening(api), request_id=new_id()
        )
        end = hold_pb.VoidHoldRequest(name=api.ok(hold).hold.name, request_id=new_id())
    room = BIGGEST - 1000
    filled = api.answer(transaction_pb.DepositRequest(wallet=full, amount=money(room), request_id=new_id()))
    api.answer(a_transfer("alice", "full", 1000))  # both may be refused: then there was no room to begin with
    assert filled.reason in {"", "LIMIT_EXCEEDED"}

    assert api.answer(end).code == "OK"
    read = api.answer(wallet_pb.GetWalletRequest(name=full))
    assert (read.code, read.reason) == ("OK", "")
