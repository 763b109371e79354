"""Collected deposits: what each answer of the bank leads to, and that only its acceptance credits a wallet."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals
from tests.support.books import balance_of, deposit, open_wallet, transfer
from tests.support.callers import BIGGEST, count
from tests.support.collections import (
    CREDITED,
    EXTERNAL,
    IN_TRANSIT,
    PAST_GRACE,
    PAST_LEASE,
    SOON,
    UNTOUCHED,
    answers,
    balances,
    collect,
    collection_per_fault,
    reconcile,
    run_all_jobs,
    states_and_balances,
)
from tests.support.payouts import schedule
from tests.support.rows import rewrite
from tests.support.scheduled import CollectingBank, collection_key, schedule_deposit, scheduled_deposit
from tests.support.unreadable_statement import UnreadableStatement
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.model.payment_order import FailureReason, OrderState
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import WalletId
from wallet_core.gateways.bank import HttpBank
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until


@pytest.fixture
def ghost() -> Iterator[str]:
    """Return an address without a listener, now or later."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


def test_due_collection_is_requested_once_and_credited_as_the_bank_answers(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """One POST to the collections; then external → wallet, type COLLECTION, with the bank's reference."""

    id_ = schedule_deposit(app, alice, 300, collect=True, bank_account="acct-7", external_reference="standing-1")
    collect(app)

    found = scheduled_deposit(app, id_)
    (line,) = collecting_bank.ledger()
    assert (found.state, found.bank_reference, found.failure_reason) == (
        OrderState.SUCCEEDED,
        line["reference"],
        None,
    )
    assert (line["kind"], line["key"], line["account"]) == ("collection", f"sd-{id_}", "acct-7")
    (body,) = collecting_bank.sent(id_)
    assert json.loads(body) == {"amount": 300, "currency": "USD", "account": "acct-7", "owner": "alice"}
    assert balances(app) == CREDITED
    assert found.credit is not None
    moved = app.reads.transaction(found.credit).movement
    assert (moved.type, moved.source, moved.destination) == (
        TransactionType.COLLECTION,
        EXTERNAL,
        alice,
    )
    assert (moved.cause, moved.details.external_reference, moved.amount.minor) == (
        id_,
        "standing-1",
        300,
    )


def test_nothing_is_posted_while_the_bank_has_not_answered(
    app: App, collecting_bank: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The bank has executed and holds its answer back: no transaction, no lock, deposits pass; then one credit."""

    collecting_bank.order("hold", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    posted = count(owner, "transactions")
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(collect, app)
        assert wait_until(lambda: collecting_bank.held_back() == 1, timeout_s=30)
        during = scheduled_deposit(app, id_)
        posted_during = count(owner, "transactions")
        deposit(app, alice, 50)
        collecting_bank.release()
        round_.result()

    assert (during.state, during.credit, during.bank_reference) == (OrderState.PROCESSING, None, "")
    assert (posted_during, collecting_bank.collected(id_)) == (posted, 1)
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 1350)


def test_credit_and_success_are_one_transaction(
    app: App, collecting_bank: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The state, the entries and the transaction carry one and the same database transaction."""

    del collecting_bank
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)

    stamps = owner.execute(
        "SELECT xmin::text FROM scheduled_deposits WHERE id = %(id)s"
        " UNION SELECT xmin::text FROM transactions WHERE cause = %(id)s"
        " UNION SELECT xmin::text FROM wallets WHERE id = 'alice'"
        " UNION SELECT e.xmin::text FROM entries e JOIN transactions t ON t.id = e.transaction WHERE t.cause = %(id)s",
        {"id": id_},
    ).fetchall()
    assert len(stamps) == 1


def test_final_collection_is_not_requested_again(app: App, collecting_bank: CollectingBank, alice: WalletId) -> None:
    """Later rounds of every job find nothing to do."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    found = scheduled_deposit(app, id_)
    for offset in (timedelta(), PAST_LEASE, PAST_GRACE):
        run_all_jobs(app, offset)

    assert (found, 1, CREDITED) == (scheduled_deposit(app, id_), collecting_bank.collect_calls(id_), balances(app))


def test_declined_retryable_is_retried_with_the_same_key_until_the_bank_collects(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """Two declines, then an acceptance: nothing is posted in between."""

    collecting_bank.order("declined_retryable", times=2)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    waiting = scheduled_deposit(app, id_)
    assert (waiting.state, waiting.lease_until, balances(app)) == (OrderState.PROCESSING, None, UNTOUCHED)
    collect(app, SOON)
    collect(app, 2 * SOON)

    found = scheduled_deposit(app, id_)
    assert answers(found) == [AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED_RETRYABLE, AnswerKind.ACCEPTED]
    assert {attempt.key for attempt in found.attempts} == {collection_key(id_)}
    assert (found.state, balances(app), collecting_bank.collect_calls(id_), collecting_bank.collected(id_)) == (
        OrderState.SUCCEEDED,
        CREDITED,
        3,
        1,
    )


def test_declined_retryable_as_often_as_allowed_fails_and_has_moved_nothing(
    app: App, collecting_bank: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """Requested three times, with backoff; then FAILED, and never again."""

    collecting_bank.order("declined_retryable")
    id_ = schedule_deposit(app, alice, 300, collect=True)
    posted = count(owner, "transactions")
    for round_ in range(6):
        run_all_jobs(app, round_ * SOON)

    found = scheduled_deposit(app, id_)
    assert (found.state, found.failure_reason, found.credit) == (
        OrderState.FAILED,
        FailureReason.ATTEMPTS_EXHAUSTED,
        None,
    )
    assert (found.next_attempt_time, found.bank_reference, found.attempts_counted) == (None, "", 3)
    assert (
        balances(app),
        collecting_bank.collect_calls(id_),
        collecting_bank.collected(id_),
        count(owner, "transactions"),
    ) == (
        UNTOUCHED,
        3,
        0,
        posted,
    )


def test_retry_after_is_waited_for(app: App, collecting_bank: CollectingBank, alice: WalletId) -> None:
    """A 429 with Retry-After: a round before it sends nothing, one after it collects."""

    collecting_bank.order("too_many", seconds=20, times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    collect(app, 10 * SOON)

    assert (collecting_bank.collect_calls(id_), balances(app)) == (1, UNTOUCHED)

    collect(app, 21 * SOON)
    assert (scheduled_deposit(app, id_).state, balances(app)) == (OrderState.SUCCEEDED, CREDITED)


def test_final_refusal_fails_and_has_moved_nothing(
    app: App, collecting_bank: CollectingBank, owner: psycopg.Connection
) -> None:
    """A hard decline: in the body of a 200, or in the status line."""

    noes: dict[str, dict[str, object]] = {
        "rejected": {"fault": "declined", "reason": "account closed"},
        "422": {"fault": "http_error", "status": 422},
        "400": {"fault": "http_error", "status": 400},
    }
    ids = collection_per_fault(app, collecting_bank, noes)
    for offset in (timedelta(), SOON, PAST_GRACE):
        run_all_jobs(app, offset)

    assert states_and_balances(app, ids) == dict.fromkeys(noes, (OrderState.FAILED, 0))
    for id_ in ids.values():
        found = scheduled_deposit(app, id_)
        assert (found.failure_reason, found.credit, found.attention) == (FailureReason.BANK_DECLINED, None, "")
        assert collecting_bank.collect_calls(id_) == 1
    assert count(owner, "transactions") == 0


def test_bank_that_refuses_connections_uses_no_attempt_and_is_called_when_it_is_back(
    app: App, collecting_bank: CollectingBank, alice: WalletId, ghost: str
) -> None:
    """Not sent: nothing failed, nothing posted, no attempt counted, however often."""

    nobody = replace(app, bank=HttpBank(url=ghost, deadline_s=0.5, answer_max_bytes=65536))
    id_ = schedule_deposit(app, alice, 300, collect=True)
    for round_ in range(5):
        collect(nobody, round_ * SOON)
    found = scheduled_deposit(app, id_)
    assert (found.state, found.attempts_counted, balances(app)) == (OrderState.PROCESSING, 0, UNTOUCHED)
    assert answers(found) == [AnswerKind.NOT_SENT] * 5

    collect(app, 5 * SOON)
    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_), balances(app)) == (
        OrderState.SUCCEEDED,
        1,
        CREDITED,
    )


def test_bank_that_does_not_let_us_in_uses_no_attempt(app: App, collecting_bank: CollectingBank) -> None:
    """The bank has not received the collection: the fault is ours, and no reason to fail it."""

    shut: dict[str, dict[str, object]] = {
        str(status): {"fault": "http_error", "status": status, "times": 4} for status in (401, 403)
    }
    ids = collection_per_fault(app, collecting_bank, shut)
    for round_ in range(5):
        collect(app, round_ * SOON)

    assert states_and_balances(app, ids) == dict.fromkeys(shut, (OrderState.SUCCEEDED, 300))
    assert [scheduled_deposit(app, id_).attempts_counted for id_ in ids.values()] == [1, 1]


class BankWithoutReferences(UnreadableStatement):
    """A bank that accepts and gives no reference."""

    def pay(self, payment: Payment) -> Answer:
        """Accept."""
        del payment
        return Answer(kind=AnswerKind.ACCEPTED)

    def status(self, payment: Payment) -> Status:
        """Report nothing."""
        del payment
        return Status(kind=StatusKind.SILENT)


def test_collection_without_a_reference_gets_the_key_as_its_reference(app: App, alice: WalletId) -> None:
    """Something to find it by at the bank."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(replace(app, bank=BankWithoutReferences()))

    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, f"sd-{id_}")


def test_a_frozen_wallet_still_gets_what_the_bank_has_collected(
    app: App, collecting_bank: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """Frozen before the time came, and frozen while in doubt: money may come."""

    collecting_bank.order("reset", execute=True, times=1, match={"account": "late"})
    early = schedule_deposit(app, alice, 100, collect=True, bank_account="early")
    late = schedule_deposit(app, alice, 200, collect=True, bank_account="late")
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'alice'")
    collect(app)
    reconcile(app)

    assert [scheduled_deposit(app, id_).state for id_ in (early, late)] == [OrderState.SUCCEEDED] * 2
    assert balances(app) == CREDITED


@pytest.mark.parametrize("in_doubt", [False, True])
def test_collected_money_for_a_full_wallet_waits_in_transit_for_an_operator(
    app: App, collecting_bank: CollectingBank, owner: psycopg.Connection, *, in_doubt: bool
) -> None:
    """SUCCEEDED with attention: the bank has the money out of its account, so the ledger must have it somewhere."""

    alice, debtor = open_wallet(app, "alice"), open_wallet(app, "debtor")
    rewrite(owner, "UPDATE wallets SET overdraft_limit = 1000 WHERE id = 'debtor'")
    transfer(app, debtor, alice, 1000)  # so that the external wallet owes less than Alice has
    deposit(app, alice, BIGGEST - 1000 - 299)
    if in_doubt:
        collecting_bank.order("reset", execute=True, times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    if in_doubt:
        reconcile(app)

    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, collecting_bank.ledger()[0]["reference"])
    assert "too full" in found.attention
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (BIGGEST - 299, 300)
    assert found.credit is not None
    moved = app.reads.transaction(found.credit).movement
    assert (moved.type, moved.destination, moved.cause) == (
        TransactionType.COLLECTION,
        IN_TRANSIT,
        id_,
    )

    for offset in (PAST_LEASE, PAST_GRACE):
        run_all_jobs(app, offset)
    assert (found, balance_of(app, IN_TRANSIT), collecting_bank.collect_calls(id_)) == (
        scheduled_deposit(app, id_),
        300,
        1,
    )


def test_a_collection_that_just_fits_is_credited(app: App, collecting_bank: CollectingBank) -> None:
    """Up to the largest balance there is, and the next single unit waits in transit."""

    alice = open_wallet(app, "alice", BIGGEST - 300)
    fits, one_more = (schedule_deposit(app, alice, amount, collect=True) for amount in (300, 1))
    collect_due_deposits.run_once(app, limit=1)
    collect(app)

    assert (scheduled_deposit(app, fits).attention, balance_of(app, alice)) == ("", BIGGEST)
    assert "too full" in scheduled_deposit(app, one_more).attention
    assert (balance_of(app, IN_TRANSIT), len(collecting_bank.ledger())) == (1, 2)


def test_a_collection_that_overflows_the_external_wallet_needs_attention(
    app: App, collecting_bank: CollectingBank
) -> None:
    """One wallet holds all that the external wallet can owe.

    It is listed for an operator, and credited once there is room.
    """

    alice = open_wallet(app, "alice", BIGGEST)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    rounds = [collect(app), collect(app, PAST_GRACE), reconcile(app, PAST_GRACE)]

    assert collecting_bank.collected(id_) == 1
    assert {word for counts in rounds for word in counts.outcomes} <= set(OrderState)
    assert scheduled_deposit(app, id_).attention
    schedule(app, alice, 1000)
    for round_ in range(2, 4):
        run_all_jobs(app, round_ * PAST_GRACE)
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, BIGGEST - 700)


def test_each_job_takes_its_own_kind_of_order_only(app: App, collecting_bank: CollectingBank, alice: WalletId) -> None:
    """A withdrawal's jobs pass collections over, and the credits' job leaves them to the bank."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    pay_due_withdrawals.run_once(app, clock_offset=PAST_GRACE)
    credit_due_deposits.run_once(app, clock_offset=PAST_GRACE)

    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_), balances(app)) == (
        OrderState.SCHEDULED,
        0,
        UNTOUCHED,
    )
