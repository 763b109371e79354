"""Collections in doubt, and their workers: only the bank's status ends a doubt, and a takeover credits once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from tests.support.books import balance_of
from tests.support.collections import (
    CREDITED,
    EXTERNAL,
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
    with_short_deadline,
)
from tests.support.scheduled import CollectingBank, cancel_deposit, schedule_deposit, scheduled_deposit
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.payment_order import FailureReason, OrderState
from wallet_core.domain.model.wallet import WalletId
from wallet_core.gateways.bank import HttpBank
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import pay_out
from walletctl.local.waiting import wait_until

# Answers that neither accept nor decline; with an account each, so that one round meets them all.
UNCLEAR: dict[str, dict[str, object]] = {
    "500": {"fault": "http_error", "status": 500},
    "503-executed": {"fault": "http_error", "status": 503, "execute": True},
    "504-executed": {"fault": "http_error", "status": 504, "execute": True},
    "404": {"fault": "http_error", "status": 404},
    "302": {"fault": "http_error", "status": 302, "location": "/"},
    "garbage": {"fault": "garbage"},
    "half_body": {"fault": "half_body"},
    "trickle": {"fault": "trickle"},
    "reset": {"fault": "reset"},
    "reset-executed": {"fault": "reset", "execute": True},
}


def test_bank_that_collects_and_never_answers_leaves_a_doubt_and_no_credit(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """IN_DOUBT, nothing credited; then the bank is queried, reports the execution, and the wallet is credited once."""

    collecting_bank.order("execute_then_silence", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(with_short_deadline(app))

    assert (scheduled_deposit(app, id_).state, balances(app)) == (OrderState.IN_DOUBT, UNTOUCHED)

    for round_ in range(1, 4):
        run_all_jobs(app, round_ * SOON)

    (line,) = collecting_bank.ledger()
    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, line["reference"])
    assert (balances(app), collecting_bank.collect_calls(id_)) == (CREDITED, 1)


def test_unclear_answer_is_a_doubt_that_the_bank_then_clears(app: App, collecting_bank: CollectingBank) -> None:
    """5xx, garbage, a reset: IN_DOUBT; queried, resent only where the bank does not know it, credited once."""

    ids = collection_per_fault(app, collecting_bank, UNCLEAR)
    collect(with_short_deadline(app))
    assert states_and_balances(app, ids) == dict.fromkeys(UNCLEAR, (OrderState.IN_DOUBT, 0))
    for round_ in range(1, 4):
        run_all_jobs(app, round_ * PAST_GRACE)

    assert states_and_balances(app, ids) == dict.fromkeys(UNCLEAR, (OrderState.SUCCEEDED, 300))
    assert {account: collecting_bank.collected(id_) for account, id_ in ids.items()} == dict.fromkeys(UNCLEAR, 1)
    assert balance_of(app, EXTERNAL) == -300 * len(UNCLEAR)
    executed_first = {"503-executed", "504-executed", "garbage", "half_body", "trickle", "reset-executed"}
    calls = {account: collecting_bank.collect_calls(id_) for account, id_ in ids.items()}
    assert calls == {account: 1 if account in executed_first else 2 for account in UNCLEAR}


def test_unknown_collection_is_sent_again_only_after_the_grace_time(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """The bank does not know it: with the same key, once the first call cannot be in flight any more."""

    collecting_bank.order("reset", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    for round_ in range(1, 3):
        run_all_jobs(app, round_ * SOON)
    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_)) == (OrderState.IN_DOUBT, 1)
    reconcile(app, PAST_GRACE)

    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_), collecting_bank.collected(id_)) == (
        OrderState.SUCCEEDED,
        2,
        1,
    )
    assert balances(app) == CREDITED


def test_a_decline_after_an_unknown_is_still_a_doubt(app: App, collecting_bank: CollectingBank) -> None:
    """It is unknown whether the first attempt was executed: neither FAILED nor credited."""

    ids = collection_per_fault(
        app, collecting_bank, {no: {"fault": "reset"} for no in ("declined_retryable", "declined", "too_many")}
    )
    collect(app)
    for account in ids:
        collecting_bank.order(account, times=1, match={"account": account})
    reconcile(app, PAST_GRACE)

    assert states_and_balances(app, ids) == dict.fromkeys(ids, (OrderState.IN_DOUBT, 0))
    assert [collecting_bank.collect_calls(id_) for id_ in ids.values()] == [2, 2, 2]


@pytest.mark.parametrize("silence", ["status", "pending"])
def test_a_bank_without_status_leaves_the_order_in_doubt_and_needs_attention_when_old(
    app: App, collecting_bank: CollectingBank, alice: WalletId, silence: str
) -> None:
    """The status endpoint off, or "pending" always: in doubt, not credited, not resent."""

    if silence == "status":
        collecting_bank.mode(idempotent=True, status=False)
        collecting_bank.order("reset", execute=True, times=1)
    else:
        collecting_bank.order("pending")
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    for round_ in range(1, 4):
        run_all_jobs(app, round_ * PAST_GRACE)

    young = scheduled_deposit(app, id_)
    assert (young.state, young.attention, balances(app)) == (OrderState.IN_DOUBT, "", UNTOUCHED)

    impatient = replace(app.payouts.policy, attention_after=timedelta())
    reconcile(replace(app, payouts=replace(app.payouts, policy=impatient)), 5 * PAST_GRACE)

    old = scheduled_deposit(app, id_)
    assert (old.state, balances(app), collecting_bank.collect_calls(id_)) == (OrderState.IN_DOUBT, UNTOUCHED, 1)
    assert "in doubt for too long" in old.attention


def test_a_pending_payment_follows_the_banks_status(app: App, collecting_bank: CollectingBank) -> None:
    """202 and "pending", until a person at the bank decides."""

    ids = collection_per_fault(
        app, collecting_bank, {outcome: {"fault": "pending", "times": None} for outcome in ("executed", "failed")}
    )
    collect(app)
    reconcile(app)
    assert states_and_balances(app, ids) == dict.fromkeys(ids, (OrderState.IN_DOUBT, 0))
    for outcome, id_ in ids.items():
        collecting_bank.settle(id_, outcome)
    reconcile(app, 2 * SOON)

    assert states_and_balances(app, ids) == {"executed": (OrderState.SUCCEEDED, 300), "failed": (OrderState.FAILED, 0)}
    ended = [scheduled_deposit(app, id_) for id_ in ids.values()]
    assert [(one.failure_reason, one.attention) for one in ended] == [(None, ""), (FailureReason.BANK_DECLINED, "")]


def test_a_worker_that_dies_between_claim_and_attempt_leaves_it_to_the_next(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """A claim alone changes nothing: claimed again once its lease has run out, requested once."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    (stale,) = app.claims.to_collect(limit=10, lease=app.payouts.policy.lease, clock_offset=timedelta())
    collect(app)
    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_)) == (OrderState.SCHEDULED, 0)
    collect(app, PAST_LEASE)

    assert pay_out(app, stale) is None
    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_), balances(app)) == (
        OrderState.SUCCEEDED,
        1,
        CREDITED,
    )


def test_a_worker_that_resumes_after_the_cancel_does_not_call_the_bank(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """S6: claimed, then cancelled, then begun: the bank is not called."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    (claim,) = app.claims.to_collect(limit=10, lease=app.payouts.policy.lease, clock_offset=timedelta())
    cancel_deposit(app, id_)

    assert pay_out(app, claim) is None
    run_all_jobs(app, PAST_GRACE)
    assert (scheduled_deposit(app, id_).state, collecting_bank.collect_calls(id_), balances(app)) == (
        OrderState.CANCELLED,
        0,
        UNTOUCHED,
    )


def test_a_slow_worker_and_the_one_that_takes_over_credit_once(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """The first one's answer is held back beyond its lease.

    The second queries the bank, gets "executed", and credits.
    """

    assert isinstance(app.bank, HttpBank)
    patient = replace(app, bank=replace(app.bank, deadline_s=20.0))
    collecting_bank.order("hold", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(collect, patient)
        assert wait_until(lambda: collecting_bank.held_back() == 1, timeout_s=30)
        reconcile(app, PAST_LEASE)
        first = scheduled_deposit(app, id_)
        collecting_bank.release()
        slow.result()

    found = scheduled_deposit(app, id_)
    assert (first.state, found.state, found.credit) == (OrderState.SUCCEEDED, OrderState.SUCCEEDED, first.credit)
    assert (answers(found), balances(app), collecting_bank.collected(id_)) == ([AnswerKind.ACCEPTED], CREDITED, 1)


def test_an_answer_that_cannot_be_stored_is_queried_again(
    app: App, settings: Settings, collecting_bank: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The wallet is locked by another session while the bank accepts: taken over after the lease, credited once."""

    impatient = settings.replaced(lock_timeout_s=0.05, payout_send_window_s=0.2)
    collecting_bank.order("hold", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    with open_app(impatient, name="impatient") as other, ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(collect, other)
        assert wait_until(lambda: collecting_bank.held_back() == 1, timeout_s=30)
        with owner.transaction():
            owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
            collecting_bank.release()
            assert round_.result().outcomes == {"AnswerNotStored": 1}
    left = scheduled_deposit(app, id_)
    assert (left.state, answers(left), balances(app)) == (OrderState.PROCESSING, [None], UNTOUCHED)
    for offset in (SOON, PAST_LEASE, PAST_GRACE):
        run_all_jobs(app, offset)

    assert (scheduled_deposit(app, id_).state, balances(app), collecting_bank.collect_calls(id_)) == (
        OrderState.SUCCEEDED,
        CREDITED,
        1,
    )


def test_collection_of_another_amount_is_a_discrepancy_not_a_success(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """The bank executed it, with another amount: nothing is credited, an operator must look."""

    collecting_bank.order("reset", execute=True, times=1)
    collecting_bank.order("wrong_amount")
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect(app)
    for round_ in range(1, 4):
        run_all_jobs(app, round_ * PAST_GRACE)

    found = scheduled_deposit(app, id_)
    assert (found.state, found.credit, balances(app)) == (OrderState.IN_DOUBT, None, UNTOUCHED)
    assert "another amount" in found.attention
    assert collecting_bank.collect_calls(id_) == 1


def test_a_key_that_the_bank_has_used_for_something_else_credits_nothing(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """409 on the first call: in doubt; queried, the bank reports another amount: attention, and not credited."""

    id_ = schedule_deposit(app, alice, 300, collect=True)
    collecting_bank.take_key(id_, 299)
    for round_ in range(4):
        run_all_jobs(app, round_ * PAST_GRACE)

    found = scheduled_deposit(app, id_)
    assert (found.state, balances(app)) == (OrderState.IN_DOUBT, UNTOUCHED)
    assert "another amount" in found.attention


def test_a_bank_that_ignores_keys_is_called_to_collect_once(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """One attempt at most.

    A soft decline is final, and what it does not know is not resent but listed for an operator.
    """

    once = replace(app.payouts, policy=replace(app.payouts.policy, attempts_max=1), resends=False)
    careful = replace(app, payouts=once)
    collecting_bank.mode(idempotent=False)
    collecting_bank.order("declined_retryable", times=1, match={"account": "refused"})
    collecting_bank.order("reset", times=1, match={"account": "lost"})
    refused = schedule_deposit(app, alice, 300, collect=True, bank_account="refused")
    lost = schedule_deposit(app, alice, 300, collect=True, bank_account="lost")
    for round_ in range(4):
        run_all_jobs(careful, round_ * PAST_GRACE)

    assert scheduled_deposit(app, refused).failure_reason is FailureReason.ATTEMPTS_EXHAUSTED
    found = scheduled_deposit(app, lost)
    assert (found.state, "not sent again" in found.attention) == (OrderState.IN_DOUBT, True)
    assert (collecting_bank.collect_calls(refused), collecting_bank.collect_calls(lost), balances(app)) == (
        1,
        1,
        UNTOUCHED,
    )


def test_a_collection_that_has_begun_cannot_be_cancelled(app: App, collecting_bank: CollectingBank) -> None:
    """PROCESSING or IN_DOUBT: the bank was called, and may yet accept."""

    ids = collection_per_fault(
        app, collecting_bank, {fault: {"fault": fault} for fault in ("declined_retryable", "reset")}
    )
    collect(app)
    begun = states_and_balances(app, ids)
    assert begun == {"declined_retryable": (OrderState.PROCESSING, 0), "reset": (OrderState.IN_DOUBT, 0)}
    for id_ in ids.values():
        with pytest.raises(StateTransitionForbidden):
            cancel_deposit(app, id_)
    assert begun == states_and_balances(app, ids)
    run_all_jobs(app, PAST_GRACE)

    assert states_and_balances(app, ids) == dict.fromkeys(ids, (OrderState.SUCCEEDED, 300))
