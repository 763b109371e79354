"""Withdrawals whose money is held from the moment they are scheduled, as callers schedule, watch and cancel them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from bank_stub.server import BankServer
from scheduler.jobs import expire_holds, pay_due_withdrawals, reconcile_withdrawals
from tests.support.callers import BIGGEST, aware, everything
from tests.support.raw_calls import RawCaller, usd
from tests.support.scheduled import CollectingBank
from tests.support.wire import Answer
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

ALICE, BOB = "wallets/alice", "wallets/bob"
SCHEDULED, PROCESSING = pb.Withdrawal.STATE_SCHEDULED, pb.Withdrawal.STATE_PROCESSING
SUCCEEDED, FAILED, CANCELLED = (
    pb.Withdrawal.STATE_SUCCEEDED,
    pb.Withdrawal.STATE_FAILED,
    pb.Withdrawal.STATE_CANCELLED,
)
HALF_AN_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)


@pytest.fixture
def caller(server: str) -> Iterator[RawCaller]:
    """Return a caller who has opened wallets for Alice, with 1,000, and for Bob."""
    with RawCaller(server) as caller:
        caller.open("alice", 1000)
        caller.open("bob")
        yield caller


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank, to be ordered about."""
    return CollectingBank(bank.url)


def wish(**fields: Any) -> pb.ScheduleWithdrawalRequest:  # noqa: ANN401  # a request's fields
    """Ask for a payout of 300 from Alice's wallet, now and reserved, but for these fields."""
    asked = {"wallet": ALICE, "amount": usd(300), "request_id": str(uuid4()), "reserve": True, **fields}
    return pb.ScheduleWithdrawalRequest(**asked)


def schedule(caller: RawCaller, **fields: Any) -> pb.Withdrawal:  # noqa: ANN401  # a request's fields
    """Schedule such a payout; return it."""
    scheduled = caller.ask(wish(**fields)).withdrawal
    assert isinstance(scheduled, pb.Withdrawal)
    return scheduled


def cancel(name: str, **fields: Any) -> pb.CancelWithdrawalRequest:  # noqa: ANN401  # a request's fields
    """Ask to cancel a withdrawal."""
    return pb.CancelWithdrawalRequest(name=name, **{"request_id": str(uuid4()), **fields})


def soon(caller: RawCaller, wait: timedelta = HALF_AN_HOUR) -> Timestamp:
    """Return a time that is *wait* after Alice's wallet was made, by the database's clock."""
    at = Timestamp()
    at.FromDatetime(aware(caller.wallet(ALICE).create_time) + wait)
    return at


def allow_overdraft(caller: RawCaller, minor_units: int) -> Answer:
    """Set how far Alice may overdraw."""
    wanted = wallet_pb.Wallet(name=ALICE, overdraft_limit=usd(minor_units))
    mask = FieldMask(paths=["overdraft_limit"])
    return caller.answer(wallet_pb.UpdateWalletRequest(wallet=wanted, update_mask=mask, request_id=str(uuid4())))


def pay(app: App, clock_offset: timedelta = timedelta()) -> int:
    """Run one round of payouts and one of reconciliation; return how many pieces of work there were."""
    jobs = (pay_due_withdrawals, reconcile_withdrawals)
    return sum(job.run_once(app, clock_offset=clock_offset).claimed for job in jobs)


def test_a_withdrawal_without_a_time_is_due_now(caller: RawCaller, stub: CollectingBank, app: App) -> None:
    """No time at all means now: the next round pays it, reserved or not."""

    names = []
    for reserve in (False, True):
        told = schedule(caller, reserve=reserve)
        assert told.execute_time == told.create_time == told.next_attempt_time
        assert (told.state, told.reserve) == (SCHEDULED, reserve)
        names.append(told.name)
    pay(app)

    assert [caller.withdrawal(name).state for name in names] == [SUCCEEDED] * 2
    assert (caller.funds(ALICE), len(stub.ledger())) == ((400, 0, 400), 2)


def test_what_is_reserved_is_held_at_once_and_still_there(
    caller: RawCaller, app: App, owner: psycopg.Connection
) -> None:
    """Available falls with the answer, the balance does not; nothing is posted, and nothing happens before its time."""

    posted = everything(owner)["transactions"]

    told = schedule(caller, execute_time=soon(caller))

    assert (told.state, told.reserve, caller.withdrawal(told.name)) == (SCHEDULED, True, told)
    assert caller.funds(ALICE) == (1000, 300, 700)
    pay(app, HALF_AN_HOUR - timedelta(minutes=1))
    assert (caller.withdrawal(told.name), caller.funds(ALICE)) == (told, (1000, 300, 700))
    assert everything(owner)["transactions"] == posted


def test_execution_debits_and_frees_the_hold_in_one_step(caller: RawCaller, stub: CollectingBank, app: App) -> None:
    """Seen while the bank holds its answer back: the money is on its way and nothing is held; then it is paid."""

    stub.order("hold", times=1)
    name = schedule(caller).name
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(pay_due_withdrawals.run_once, app)
        assert wait_until(lambda: stub.held_back() == 1, timeout_s=5)
        during = caller.withdrawal(name).state, caller.funds(ALICE), caller.funds("wallets/system:in_transit:USD")[0]
        stub.release()
        round_.result()

    assert during == (PROCESSING, (700, 0, 700), 300)
    assert (caller.withdrawal(name).state, caller.funds(ALICE)) == (SUCCEEDED, (700, 0, 700))
    assert caller.funds("wallets/system:in_transit:USD") == (0, 0, 0)


def test_debit_and_freed_hold_are_one_database_transaction(
    caller: RawCaller, stub: CollectingBank, app: App, owner: psycopg.Connection
) -> None:
    """The wallet's row, the withdrawal's entry and the attempt carry one and the same stamp."""

    stub.order("no_for_now", times=1)
    name = schedule(caller).name
    pay_due_withdrawals.run_once(app)

    stamps = owner.execute(
        "SELECT xmin::text FROM wallets WHERE id = 'alice'"
        " UNION SELECT xmin::text FROM transactions WHERE cause = %(id)s AND type = 'WITHDRAWAL'",
        {"id": name.partition("/")[2]},
    ).fetchall()
    assert (len(stamps), caller.funds(ALICE)) == (1, (700, 0, 700))


def test_more_than_is_available_cannot_be_reserved(caller: RawCaller, owner: psycopg.Connection) -> None:
    """INSUFFICIENT_FUNDS when it is scheduled, final: the same again though money has come since; no row, no hold."""

    first = schedule(caller, execute_time=soon(caller))
    asked = wish(amount=usd(701), execute_time=soon(caller))
    withdrawals = everything(owner)["withdrawals"]

    refused = caller.answer(asked)

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS")
    told = {"wallet": ALICE, "currencyCode": "USD", "available": "700", "required": "701"}
    assert (refused.metadata, caller.funds(ALICE)) == (told, (1000, 300, 700))
    assert everything(owner)["withdrawals"] == withdrawals
    caller.ask(cancel(first.name))
    assert caller.answer(asked) == refused
    assert schedule(caller, amount=usd(1000)).state == SCHEDULED
    assert caller.funds(ALICE) == (1000, 1000, 0)


def test_reserved_money_is_nobody_elses(caller: RawCaller, app: App, stub: CollectingBank) -> None:
    """Not a transfer's, not a hold's, not another payout's; the part that is not reserved is."""

    schedule(caller, amount=usd(600), execute_time=soon(caller))
    loose = schedule(caller, amount=usd(401), reserve=False).name
    hold = hold_pb.PlaceHoldRequest(wallet=ALICE, amount=usd(401), expire_time=soon(caller), request_id=str(uuid4()))

    assert caller.transfer(ALICE, BOB, 401).reason == "INSUFFICIENT_FUNDS"
    assert caller.answer(hold).reason == "INSUFFICIENT_FUNDS"
    assert caller.answer(wish(amount=usd(401))).reason == "INSUFFICIENT_FUNDS"
    pay(app)
    told = caller.withdrawal(loose)
    assert (told.state, told.failure_reason) == (FAILED, pb.Withdrawal.FAILURE_REASON_INSUFFICIENT_FUNDS)
    assert (stub.ledger(), caller.transfer(ALICE, BOB, 400).code) == ([], "OK")
    assert caller.funds(ALICE) == (600, 600, 0)


def test_execution_cannot_fail_for_funds_though_all_else_was_spent(
    caller: RawCaller, app: App, stub: CollectingBank
) -> None:
    """Transferred, held and captured meanwhile: what was reserved is there, to the last unit."""

    name = schedule(caller, execute_time=soon(caller)).name
    hold = hold_pb.PlaceHoldRequest(wallet=ALICE, amount=usd(200), expire_time=soon(caller), request_id=str(uuid4()))
    held = caller.ask(hold).hold.name
    assert caller.transfer(ALICE, BOB, 400).code == "OK"
    capture = hold_pb.CaptureHoldRequest(name=held, destination=BOB, amount=usd(150), request_id=str(uuid4()))
    caller.ask(capture)
    assert caller.transfer(ALICE, BOB, caller.funds(ALICE)[2]).code == "OK"
    assert caller.funds(ALICE)[2] == 0

    pay(app, HOUR)

    assert caller.withdrawal(name).state == SUCCEEDED
    assert caller.funds(ALICE)[0] + caller.funds(BOB)[0] == 700
    assert [int(line["amount"]) for line in stub.ledger()] == [300]


def test_an_overdraft_can_be_reserved_and_is_kept_for_it(caller: RawCaller, app: App, stub: CollectingBank) -> None:
    """The limit cannot be lowered below what is reserved; at its time the payout uses it."""

    assert allow_overdraft(caller, 500).code == "OK"
    name = schedule(caller, amount=usd(1400)).name
    assert caller.funds(ALICE) == (1000, 1400, 100)

    refused = allow_overdraft(caller, 399)
    assert (refused.reason, refused.metadata) == ("LIMIT_EXCEEDED", {"resourceName": ALICE, "limit": "400"})
    assert allow_overdraft(caller, 400).code == "OK"
    assert caller.transfer(ALICE, BOB, 1).reason == "INSUFFICIENT_FUNDS"
    pay(app)

    assert (caller.withdrawal(name).state, caller.funds(ALICE)) == (SUCCEEDED, (-400, 0, 0))
    assert [int(line["amount"]) for line in stub.ledger()] == [1400]


def test_cancelling_makes_it_available_again(
    caller: RawCaller, app: App, stub: CollectingBank, owner: psycopg.Connection
) -> None:
    """S6: freed with the answer, once; its time passes, and the bank is not asked."""

    name = schedule(caller, execute_time=soon(caller)).name
    other = schedule(caller, amount=usd(100), execute_time=soon(caller)).name
    asked = cancel(name, validate_only=True)
    before = everything(owner)
    shown = caller.ask(asked).withdrawal
    assert (shown.state, everything(owner), caller.funds(ALICE)) == (CANCELLED, before, (1000, 400, 600))
    asked.validate_only = False

    told = caller.ask(asked).withdrawal

    assert (told.state, told.reserve, caller.funds(ALICE)) == (CANCELLED, True, (1000, 100, 900))
    assert (caller.ask(asked).replayed, caller.answer(cancel(name)).reason) == (True, "STATE_TRANSITION_FORBIDDEN")
    assert caller.funds(ALICE) == (1000, 100, 900)
    caller.ask(cancel(other))
    assert (pay(app, HOUR), stub.stats()["posts"], caller.funds(ALICE)) == (0, {}, (1000, 0, 1000))


def test_a_wallet_frozen_when_the_time_comes_fails_it_and_frees_it(
    caller: RawCaller, app: App, stub: CollectingBank
) -> None:
    """WALLET_NOT_ACTIVE, the bank not asked, nothing held; a cancel before that would have worked too."""

    name, cancelled = (schedule(caller, execute_time=soon(caller)).name for _ in range(2))
    caller.freeze(ALICE)
    caller.ask(cancel(cancelled))
    assert caller.funds(ALICE) == (1000, 300, 700)

    pay(app, HOUR)

    told = caller.withdrawal(name)
    assert (told.state, told.failure_reason, told.attempts) == (
        *(FAILED, pb.Withdrawal.FAILURE_REASON_WALLET_NOT_ACTIVE),
        0,
    )
    assert (caller.funds(ALICE), stub.stats()["posts"]) == ((1000, 0, 1000), {})


def test_a_final_no_gives_the_money_back_and_leaves_nothing_held(
    caller: RawCaller, app: App, stub: CollectingBank
) -> None:
    """Released to the wallet, available, not held again; another one's hold is untouched."""

    noes = {
        "no_for_good": (pb.Withdrawal.FAILURE_REASON_BANK_REFUSED, 1),
        "no_for_now": (pb.Withdrawal.FAILURE_REASON_ATTEMPTS_USED_UP, 3),
    }
    other = schedule(caller, amount=usd(50), execute_time=soon(caller)).name
    for fault in noes:
        stub.order(fault, match={"account": fault})
    names = {fault: schedule(caller, bank_account=fault).name for fault in noes}
    for seconds in range(5):
        pay(app, timedelta(seconds=seconds))

    told = {fault: caller.withdrawal(name) for fault, name in names.items()}
    assert {fault: (one.failure_reason, one.attempts) for fault, one in told.items()} == noes
    assert [one.state for one in told.values()] == [FAILED] * 2
    assert (caller.funds(ALICE), caller.withdrawal(other).state) == ((1000, 50, 950), SCHEDULED)
    listed = caller.ask(transaction_pb.ListTransactionsRequest(wallet=ALICE)).transactions
    for name in names.values():
        kinds = [transaction_pb.Transaction.Type.Name(one.type)[5:] for one in listed if one.withdrawal == name]
        assert kinds == ["WITHDRAWAL_RELEASE", "WITHDRAWAL"]


def test_in_doubt_nothing_is_held_and_nothing_is_back(caller: RawCaller, app: App, stub: CollectingBank) -> None:
    """The bank may have paid: the money stays on its way until the bank says that it did."""

    stub.order("reset", execute=True, times=1)
    name = schedule(caller).name
    pay_due_withdrawals.run_once(app)

    assert caller.withdrawal(name).state == pb.Withdrawal.STATE_IN_DOUBT
    assert (caller.funds(ALICE), caller.funds("wallets/system:in_transit:USD")[0]) == ((700, 0, 700), 300)
    assert caller.answer(cancel(name)).metadata["state"] == "IN_DOUBT"
    pay(app, timedelta(seconds=1))
    assert (caller.withdrawal(name).state, caller.funds(ALICE)) == (SUCCEEDED, (700, 0, 700))


def test_without_reserve_nothing_is_held_or_looked_at_before_its_time(
    caller: RawCaller, app: App, stub: CollectingBank
) -> None:
    """As ever: accepted beyond the balance; then paid if the money has come, else FAILED."""

    comes, does_not = (
        schedule(caller, amount=usd(amount), execute_time=soon(caller, wait), reserve=False).name
        for amount, wait in ((1500, HALF_AN_HOUR), (900, HOUR))
    )
    assert caller.funds(ALICE) == (1000, 0, 1000)
    caller.ask(transaction_pb.DepositRequest(wallet=ALICE, amount=usd(500), request_id=str(uuid4())))
    pay(app, HALF_AN_HOUR + timedelta(minutes=1))
    pay(app, 2 * HOUR)

    assert [caller.withdrawal(name).state for name in (comes, does_not)] == [SUCCEEDED, FAILED]
    assert (caller.funds(ALICE), len(stub.ledger())) == ((0, 0, 0), 1)


def test_reservations_are_not_the_holds_that_expire(caller: RawCaller, app: App) -> None:
    """The job that ends holds passes them over, however late it is."""

    name = schedule(caller, execute_time=soon(caller)).name
    hold = hold_pb.PlaceHoldRequest(wallet=ALICE, amount=usd(100), expire_time=soon(caller), request_id=str(uuid4()))
    caller.ask(hold)
    assert caller.funds(ALICE) == (1000, 400, 600)
    expire_holds.run_once(app, clock_offset=365 * 24 * HOUR)

    assert (caller.withdrawal(name).state, caller.funds(ALICE)) == (SCHEDULED, (1000, 300, 700))


def test_the_reserve_flag_is_part_of_what_is_asked(caller: RawCaller, owner: psycopg.Connection) -> None:
    """A used id with the other flag is refused, either way; with the same one it is a repeat that holds no more."""

    at = soon(caller)
    for reserve in (False, True):
        asked = wish(execute_time=at, reserve=reserve)
        made = caller.ask(asked).withdrawal
        before = everything(owner)
        asked.reserve = not reserve
        assert caller.answer(asked).reason == "REQUEST_ID_REUSED"
        asked.reserve = reserve
        again = caller.ask(asked)
        assert (again.withdrawal, again.replayed, everything(owner)) == (made, True, before)
    assert caller.funds(ALICE) == (1000, 300, 700)


def test_validating_a_reservation_answers_as_the_real_call_does_and_holds_nothing(
    caller: RawCaller, owner: psycopg.Connection
) -> None:
    """Every refusal there is, in its order, and a yes."""

    for name, ended in (("frozen", caller.freeze), ("closed", caller.close)):
        caller.open(name)
        ended(f"wallets/{name}")
    used = str(uuid4())
    schedule(caller, amount=usd(1), request_id=used, execute_time=soon(caller))
    past, euro, much = Timestamp(seconds=1), Money(currency_code="EUR", minor_units=1), usd(1000)
    wishes: dict[str, dict[str, Any]] = {
        "INVALID_FIELDS": {"amount": usd(0), "wallet": "wallets/system:external:USD"},
        "PERMISSION_MISSING": {"wallet": "wallets/system:external:USD", "request_id": used},
        "REQUEST_ID_REUSED": {"request_id": used, "execute_time": past},
        "INVALID_FIELDS past": {"execute_time": past, "wallet": "wallets/nobody"},
        "RESOURCE_NOT_FOUND": {"wallet": "wallets/nobody", "amount": euro},
        "CURRENCY_MISMATCH": {"wallet": "wallets/closed", "amount": euro},
        "WALLET_NOT_ACTIVE": {"wallet": "wallets/frozen", "amount": much},
        "WALLET_NOT_ACTIVE closed": {"wallet": "wallets/closed", "amount": much},
        "INSUFFICIENT_FUNDS": {"amount": much},
        "": {"amount": usd(999), "execute_time": soon(caller)},
    }
    asked = {what: wish(**fields) for what, fields in wishes.items()}
    before = everything(owner)
    for request in asked.values():
        request.validate_only = True
    tried = {what: caller.answer(request) for what, request in asked.items()}
    untouched = everything(owner)
    for request in asked.values():
        request.validate_only = False
    real = {what: caller.answer(request) for what, request in asked.items()}

    assert untouched == before
    assert {what: answer.reason for what, answer in tried.items()} == {what: what.split(" ")[0] for what in wishes}
    for what, answer in tried.items():
        shown = (answer.code, answer.reason, answer.metadata, answer.violations, answer.message)
        other = real[what]
        assert shown == (other.code, other.reason, other.metadata, other.violations, other.message), what
    yes = pb.ScheduleWithdrawalResponse.FromString(tried[""].body).withdrawal
    assert (yes.name, yes.state, yes.reserve) == ("", SCHEDULED, True)
    assert caller.funds(ALICE) == (1000, 1000, 0)


def test_a_wallet_with_a_reservation_cannot_be_closed(caller: RawCaller) -> None:
    """Also where the balance is zero because an overdraft was reserved; cancelled, it is in nobody's way."""

    caller.open("credit", overdraft_limit=100)
    name = schedule(caller, wallet="wallets/credit", amount=usd(100)).name

    refused = caller.close("wallets/credit")

    assert (refused.reason, name in refused.metadata["because"]) == ("STATE_TRANSITION_FORBIDDEN", True)
    caller.ask(cancel(name))
    assert caller.close("wallets/credit").code == "OK"


@pytest.mark.parametrize("ended_by", ["cancel", "void"])
def test_what_was_held_can_be_freed_in_a_wallet_filled_meanwhile(caller: RawCaller, ended_by: str) -> None:
    """An overdraft was held and the wallet then filled to the brim: freed, what is available can still be told."""

    full = caller.open("full", overdraft_limit=100)
    if ended_by == "cancel":
        name = schedule(caller, wallet=full, amount=usd(100), execute_time=soon(caller)).name
        end: Any = cancel(name)
    else:
        hold = hold_pb.PlaceHoldRequest(wallet=full, amount=usd(100), expire_time=soon(caller), request_id=str(uuid4()))
        end = hold_pb.VoidHoldRequest(name=caller.ask(hold).hold.name, request_id=str(uuid4()))
    room = BIGGEST - 1000
    filled = caller.answer(transaction_pb.DepositRequest(wallet=full, amount=usd(room), request_id=str(uuid4())))
    caller.transfer(ALICE, full, 1000)  # both may be refused: then there was no room to begin with
    assert filled.reason in {"", "LIMIT_EXCEEDED"}

    assert caller.answer(end).code == "OK"
    read = caller.answer(wallet_pb.GetWalletRequest(name=full))
    assert (read.code, read.reason) == ("OK", "")


def test_a_payout_that_the_world_outside_cannot_count_comes_to_a_persons_attention(
    caller: RawCaller, app: App, stub: CollectingBank
) -> None:
    """The bank has paid more than can be counted as gone outside: told, and settled once there is room."""

    rich, poor = caller.open("rich", overdraft_limit=BIGGEST), caller.open("poor", overdraft_limit=2000)
    first = schedule(caller, wallet=rich, amount=usd(BIGGEST)).name
    pay(app)
    name = schedule(caller, wallet=poor, amount=usd(1500)).name
    jobs = (pay_due_withdrawals, reconcile_withdrawals)
    rounds = [job.run_once(app, clock_offset=timedelta(seconds=10 * n)) for n in range(2) for job in jobs]

    assert (caller.withdrawal(first).state, len(stub.ledger())) == (SUCCEEDED, 2)
    assert {word for counts in rounds for word in counts.outcomes} <= {"PROCESSING", "IN_DOUBT"}
    assert caller.withdrawal(name).attention
    caller.ask(transaction_pb.DepositRequest(wallet=BOB, amount=usd(1000), request_id=str(uuid4())))
    pay(app, timedelta(seconds=30))
    assert (caller.withdrawal(name).state, len(stub.ledger())) == (SUCCEEDED, 2)
