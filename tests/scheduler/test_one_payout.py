"""One withdrawal at a time: what each answer of the bank comes to."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals, reconcile_withdrawals
from tests.conftest import PATIENT
from tests.support.books import balance_of, deposit
from tests.support.payouts import Bank, bank_key, schedule, withdrawal
from tests.support.unreadable_statement import UnreadableStatement
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.model.payment_order import FailureReason, OrderState, Withdrawal
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

SOON = timedelta(seconds=1)  # past any backoff of the tests' settings, within the lease
PAST_LEASE = timedelta(seconds=2)
PAST_GRACE = timedelta(seconds=10)

IN_TRANSIT = system_wallet(Role.IN_TRANSIT, "USD")


def pay(app: App, clock_offset: timedelta = timedelta()) -> None:
    """Run one round of payouts."""
    pay_due_withdrawals.run_once(app, clock_offset=clock_offset)


def reconcile(app: App, clock_offset: timedelta = SOON) -> None:
    """Run one round of reconciliation."""
    reconcile_withdrawals.run_once(app, clock_offset=clock_offset)


def answers(found: Withdrawal) -> list[AnswerKind | None]:
    """Return the bank's answer to each attempt."""
    return [attempt.answer for attempt in found.attempts]


def test_due_withdrawal_is_paid_once_with_key_owner_and_amount(app: App, stub: Bank, alice: WalletId) -> None:
    """E1: debited, paid by one call to the bank, its reference kept."""

    id_ = schedule(app, alice, 300, bank_account="acct-7")
    pay(app)

    found = withdrawal(app, id_)
    (line,) = stub.ledger()
    assert (OrderState.SUCCEEDED, line["reference"]) == (found.state, found.bank_reference)
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (700, 0)
    assert (1, bank_key(id_)) == (stub.posts(id_), line["key"])
    (body,) = stub.bodies(id_)
    assert json.loads(body) == {"amount": 300, "currency": "USD", "account": "acct-7", "owner": "alice"}


def test_withdrawal_beyond_the_balance_fails_finally_and_the_bank_is_not_called(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """E2: it stays FAILED though money comes later."""

    id_ = schedule(app, alice, 1500)
    pay(app)
    deposit(app, alice, 5000)
    pay(app)

    found = withdrawal(app, id_)
    assert (found.state, found.failure_reason) == (OrderState.FAILED, FailureReason.INSUFFICIENT_FUNDS)
    assert (balance_of(app, alice), stub.posts(id_)) == (6000, 0)


def test_declined_retryable_is_retried_with_the_same_key_until_the_bank_pays(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """E3: two declines in the body of a 200, then an acceptance."""

    stub.order("declined_retryable", times=2)
    id_ = schedule(app, alice, 300)
    pay(app)
    waiting = withdrawal(app, id_)
    assert (waiting.state, waiting.lease_until) == (OrderState.PROCESSING, None)
    pay(app, SOON)
    pay(app, 2 * SOON)

    found = withdrawal(app, id_)
    assert OrderState.SUCCEEDED is found.state
    assert answers(found) == [AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED_RETRYABLE, AnswerKind.ACCEPTED]
    assert (balance_of(app, alice), stub.executions(id_), stub.posts(id_)) == (700, 1, 3)


def test_declined_retryable_as_often_as_allowed_fails_and_releases_once(app: App, stub: Bank, alice: WalletId) -> None:
    """E3: up to N attempts with backoff, then FAILED and the money is back."""

    stub.order("declined_retryable")
    id_ = schedule(app, alice, 300)
    for round_ in range(6):
        pay(app, round_ * SOON)

    found = withdrawal(app, id_)
    assert (found.state, found.failure_reason) == (OrderState.FAILED, FailureReason.ATTEMPTS_EXHAUSTED)
    assert (balance_of(app, alice), stub.posts(id_), stub.executions(id_)) == (1000, 3, 0)


def test_declined_retryable_is_not_retried_before_its_backoff(app: App, stub: Bank, alice: WalletId) -> None:
    """E3: a round right after a refusal with Retry-After sends nothing."""

    stub.order("too_many", seconds=20, times=1)
    id_ = schedule(app, alice, 300)
    pay(app)
    pay(app, 10 * SOON)

    assert stub.posts(id_) == 1

    pay(app, 21 * SOON)
    assert OrderState.SUCCEEDED is withdrawal(app, id_).state


def test_withdrawal_not_yet_due_is_untouched(app: App, stub: Bank, alice: WalletId) -> None:
    """E4: nothing moves before its time."""

    id_ = schedule(app, alice, 300, execute_time=datetime.now(UTC) + timedelta(minutes=30))  # noqa: TID251  # a caller's clock
    before = withdrawal(app, id_)
    pay(app)

    assert before == withdrawal(app, id_)
    assert (balance_of(app, alice), stub.posts(id_)) == (1000, 0)


def test_final_withdrawal_is_not_sent_again(app: App, stub: Bank, alice: WalletId) -> None:
    """E5: later rounds of every job find nothing to do."""

    id_ = schedule(app, alice, 300)
    pay(app)
    found = withdrawal(app, id_)
    for offset in (timedelta(), PAST_LEASE, PAST_GRACE):
        pay(app, offset)
        reconcile(app, offset)

    assert (found, 1) == (withdrawal(app, id_), stub.posts(id_))


def test_bank_that_pays_and_never_answers_leaves_a_doubt_and_no_refund(app: App, stub: Bank, alice: WalletId) -> None:
    """E8: IN_DOUBT, the debit kept; then the bank is queried, and reports that it paid."""

    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay(app)

    assert OrderState.IN_DOUBT is withdrawal(app, id_).state
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (700, 300)

    reconcile(app)

    assert OrderState.SUCCEEDED is withdrawal(app, id_).state
    assert (
        balance_of(app, alice),
        balance_of(app, IN_TRANSIT),
        stub.executions(id_),
        stub.posts(id_),
    ) == (700, 0, 1, 1)


@pytest.mark.parametrize("later", ["declined_retryable", "declined", "too_many"])
def test_a_decline_after_an_unknown_is_still_a_doubt(app: App, stub: Bank, alice: WalletId, later: str) -> None:
    """E9: paid without an answer, then a decline of the resend: never FAILED by itself, never released."""

    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay(app)
    stub.forget(id_)  # so that the status is "not found" and the payout is resent
    stub.order(later, times=1, **({"seconds": 1} if later == "too_many" else {}))
    reconcile(app, PAST_GRACE)

    found = withdrawal(app, id_)
    assert OrderState.IN_DOUBT is found.state
    assert (found.attempts[0].answer, stub.posts(id_)) == (AnswerKind.UNKNOWN, 2)
    assert (balance_of(app, alice), stub.executions(id_)) == (700, 1)


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ("", (OrderState.SUCCEEDED, 700, 1)),
        ("declined_retryable", (OrderState.SUCCEEDED, 700, 1)),
        ("declined", (OrderState.FAILED, 1000, 0)),
    ],
)
def test_a_silence_after_two_soft_declines_is_sent_again_and_the_bank_decides(
    app: App, stub: Bank, alice: WalletId, answer: str, ending: tuple[OrderState, int, int]
) -> None:
    """No person has to end it: it is sent again, also after another soft decline."""

    id_ = schedule(app, alice, 300)
    stub.order("declined_retryable", times=2)
    pay(app)
    pay(app, SOON)
    stub.order("reset", times=1)
    pay(app, 2 * SOON)
    assert withdrawal(app, id_).attempts_counted == app.payouts.policy.attempts_max
    if answer:
        stub.order(answer, times=1)
    for number in range(1, 4):
        reconcile(app, number * PAST_GRACE)

    found = withdrawal(app, id_)
    assert (found.state, balance_of(app, alice), stub.executions(id_)) == ending
    assert (found.resends, found.attention, balance_of(app, IN_TRANSIT)) == (
        1 + (answer == "declined_retryable"),
        "",
        0,
    )


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("http_error", {"status": 500}),
        ("http_error", {"status": 502}),
        ("http_error", {"status": 504, "execute": True}),
        ("http_error", {"status": 404}),
        ("http_error", {"status": 302, "location": "/"}),
        ("garbage", {}),
        ("half_body", {}),
        ("trickle", {}),
        ("reset", {}),
    ],
)
def test_unclear_answer_is_a_doubt_that_the_bank_then_clears(
    app: App, stub: Bank, alice: WalletId, fault: str, parameters: dict[str, object]
) -> None:
    """E10: 5xx, garbage, a reset: IN_DOUBT; queried, and resent only where the bank does not know it."""

    stub.order(fault, times=1, **parameters)
    id_ = schedule(app, alice, 300)
    pay(app)
    assert (withdrawal(app, id_).state, balance_of(app, alice)) == (OrderState.IN_DOUBT, 700)
    for round_ in range(1, 4):
        reconcile(app, round_ * PAST_GRACE)

    assert (withdrawal(app, id_).state, stub.executions(id_)) == (OrderState.SUCCEEDED, 1)
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (700, 0)


@pytest.mark.parametrize("outcome", ["executed", "failed"])
def test_payment_that_pends_stays_a_doubt_until_the_bank_has_decided(
    app: App, stub: Bank, alice: WalletId, outcome: str
) -> None:
    """R3, R2: pending is neither success nor failure, however old; then the bank's final status counts, once."""

    stub.order("pending", times=None)
    id_ = schedule(app, alice, 300)
    pay(app)
    for round_ in range(1, 4):
        reconcile(app, round_ * PAST_GRACE)
        assert (withdrawal(app, id_).state, balance_of(app, IN_TRANSIT)) == (OrderState.IN_DOUBT, 300)
    stub.settle(id_, outcome)
    reconcile(app, 4 * PAST_GRACE)
    reconcile(app, 5 * PAST_GRACE)

    ended = {"executed": (OrderState.SUCCEEDED, 700), "failed": (OrderState.FAILED, 1000)}[outcome]
    assert (withdrawal(app, id_).state, balance_of(app, alice)) == ended
    assert (balance_of(app, IN_TRANSIT), stub.posts(id_)) == (0, 1)


def test_unknown_payment_is_sent_again_only_after_the_grace_time(app: App, stub: Bank, alice: WalletId) -> None:
    """R4: the bank does not know it; a resend at once could cross the first one in flight."""

    stub.order("reset", times=1)
    id_ = schedule(app, alice, 300)
    pay(app)
    reconcile(app, SOON)
    reconcile(app, 2 * SOON)
    assert (withdrawal(app, id_).state, stub.posts(id_)) == (OrderState.IN_DOUBT, 1)
    reconcile(app, PAST_GRACE)

    assert (withdrawal(app, id_).state, stub.posts(id_)) == (OrderState.SUCCEEDED, 2)


def test_bank_that_refuses_connections_uses_no_attempt_and_is_paid_when_it_is_back(
    app: App, stub: Bank, bank: BankServer, alice: WalletId
) -> None:
    """E10b: not sent, nothing failed, the money in transit until the bank is back."""

    bank.refuse(1.5)
    id_ = schedule(app, alice, 300)
    for round_ in range(5):
        pay(app, round_ * SOON)
    found = withdrawal(app, id_)
    assert (found.state, found.attempts_counted) == (OrderState.PROCESSING, 0)
    assert {AnswerKind.NOT_SENT} == set(answers(found))

    assert wait_until(stub.is_listening, timeout_s=30)
    pay(app, PAST_GRACE)

    assert (withdrawal(app, id_).state, stub.executions(id_)) == (OrderState.SUCCEEDED, 1)


def test_while_the_bank_cannot_be_reached_one_payout_at_a_time_is_tried(
    app: App, settings: Settings, stub: Bank, bank: BankServer, alice: WalletId
) -> None:
    """A hundred that are due do not knock a hundred times a second; once it is back all are paid."""

    ids = [schedule(app, alice, 1) for _ in range(30)]
    with (
        open_app(settings.model_copy(update=PATIENT), name="patient") as patient,
        closing(pay_due_withdrawals.worker(patient)) as worker,
    ):
        began_at = monotonic()
        bank.refuse(2.0)
        while not stub.is_listening():
            worker.drain()
        # The first ten at once, then one after each pause of at least the first backoff.
        most = 10 + (monotonic() - began_at) / app.payouts.policy.backoff_first.total_seconds() + 1
        assert 10 <= sum(len(withdrawal(app, id_).attempts) for id_ in ids) <= most

        def paid() -> bool:
            worker.drain()
            return all(withdrawal(app, id_).state is OrderState.SUCCEEDED for id_ in ids)

        assert wait_until(paid, timeout_s=30)


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


def test_payment_without_a_reference_gets_the_key_as_its_reference(app: App, alice: WalletId) -> None:
    """E12: something to find it by at the bank."""

    id_ = schedule(app, alice, 300)
    pay(replace(app, bank=BankWithoutReferences()))

    found = withdrawal(app, id_)
    assert (found.state, found.bank_reference) == (OrderState.SUCCEEDED, bank_key(id_))


def test_final_refusal_fails_and_releases_once(app: App, stub: Bank, alice: WalletId) -> None:
    """Row 6 of the faults: the first attempt is declined."""

    stub.order("declined", reason="account closed", times=1)
    id_ = schedule(app, alice, 300)
    pay(app)
    pay(app, PAST_GRACE)
    reconcile(app, PAST_GRACE)

    found = withdrawal(app, id_)
    assert (found.state, found.failure_reason) == (OrderState.FAILED, FailureReason.BANK_DECLINED)
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT), stub.posts(id_)) == (1000, 0, 1)


def test_bank_without_status_does_not_count_as_a_decline(app: App, stub: Bank, alice: WalletId) -> None:
    """E8 with a bank without status: it stays in doubt, and the money stays in transit."""

    stub.mode(idempotent=True, status=False)
    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay(app)
    for round_ in range(1, 5):
        reconcile(app, round_ * PAST_GRACE)

    assert (withdrawal(app, id_).state, balance_of(app, alice)) == (OrderState.IN_DOUBT, 700)
    assert stub.posts(id_) == 1


def test_payment_of_another_amount_is_a_discrepancy_not_a_success(app: App, stub: Bank, alice: WalletId) -> None:
    """The bank paid, with another amount: an operator must look."""

    stub.order("execute_then_silence", times=1)
    stub.order("wrong_amount")
    id_ = schedule(app, alice, 300)
    pay(app)
    reconcile(app)

    found = withdrawal(app, id_)
    assert OrderState.IN_DOUBT is found.state
    assert "another amount" in found.attention
