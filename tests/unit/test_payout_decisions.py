"""The payout machine, answer by answer: silence never releases money, and nothing ends twice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.ledger_pages import ALICE, NOW
from tests.support.payout_pages import LEASE_UNTIL, POLICY, Answered, a_payout
from tests.support.payouts import bank_key
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.model.bank import Answer, AnswerKind, StatusKind
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.payment_order import FailureReason, OrderState
from wallet_core.domain.model.wallet import WalletState

ACCEPTED, DECLINED_RETRYABLE, DECLINED = AnswerKind.ACCEPTED, AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED
NOT_SENT, UNKNOWN = AnswerKind.NOT_SENT, AnswerKind.UNKNOWN
SCHEDULED, PROCESSING, IN_DOUBT = OrderState.SCHEDULED, OrderState.PROCESSING, OrderState.IN_DOUBT
SUCCEEDED, FAILED, CANCELLED = OrderState.SUCCEEDED, OrderState.FAILED, OrderState.CANCELLED
IN_TRANSIT, PAID, RELEASED = (90, 10), (90, 0), (100, 0)
STALE = Refused(StaleClaim("withdrawals/00000000-0000-0000-0000-000000000007"))
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def test_starting_takes_the_money_and_opens_an_attempt_together() -> None:
    """One commit, before the bank is called."""

    payout = a_payout(SCHEDULED, ())
    payout.start()
    (attempt,) = payout.now.attempts

    assert (payout.now.state, payout.money) == (PROCESSING, IN_TRANSIT)
    assert (1, bank_key(payout.now.id), NOW, None) == (attempt.number, attempt.key, attempt.start_time, attempt.answer)
    assert payout.now.lease_until == LEASE_UNTIL


@pytest.mark.parametrize(
    ("balance", "state", "reason"),
    [
        (9, WalletState.ACTIVE, FailureReason.INSUFFICIENT_FUNDS),
        (0, WalletState.ACTIVE, FailureReason.INSUFFICIENT_FUNDS),
        (100, WalletState.FROZEN, FailureReason.WALLET_NOT_ACTIVE),
        (100, WalletState.CLOSED, FailureReason.WALLET_NOT_ACTIVE),
    ],
)
def test_a_wallet_that_cannot_pay_when_the_time_comes_fails_it_once_and_for_all(
    balance: int, state: WalletState, reason: FailureReason
) -> None:
    """No attempt, no movement, no second try."""

    payout = a_payout(SCHEDULED, (), balance=balance)
    payout.books.wallets[ALICE].state = state
    payout.start()

    assert (FAILED, reason, (balance, 0)) == (payout.now.state, payout.now.failure_reason, payout.money)
    assert payout.now.attempts == ()
    assert payout.start() == STALE


@pytest.mark.parametrize(
    ("before", "answer", "state", "money"),
    [
        # What each answer means to a first attempt.
        ((), ACCEPTED, SUCCEEDED, PAID),
        ((), DECLINED_RETRYABLE, PROCESSING, IN_TRANSIT),
        ((), DECLINED, FAILED, RELEASED),
        ((), NOT_SENT, PROCESSING, IN_TRANSIT),
        ((), UNKNOWN, IN_DOUBT, IN_TRANSIT),
        # After a clear no, or after nothing was sent, the same.
        ((DECLINED_RETRYABLE,), ACCEPTED, SUCCEEDED, PAID),
        ((DECLINED_RETRYABLE,), DECLINED, FAILED, RELEASED),
        ((DECLINED_RETRYABLE,), NOT_SENT, PROCESSING, IN_TRANSIT),
        ((DECLINED_RETRYABLE,), UNKNOWN, IN_DOUBT, IN_TRANSIT),
        ((NOT_SENT,), DECLINED, FAILED, RELEASED),
        # The third no for now uses the attempts up; an attempt that was not sent is none.
        ((DECLINED_RETRYABLE,), DECLINED_RETRYABLE, PROCESSING, IN_TRANSIT),
        ((DECLINED_RETRYABLE, DECLINED_RETRYABLE), DECLINED_RETRYABLE, FAILED, RELEASED),
        ((DECLINED_RETRYABLE, NOT_SENT), DECLINED_RETRYABLE, PROCESSING, IN_TRANSIT),
        ((DECLINED_RETRYABLE, NOT_SENT, NOT_SENT, DECLINED_RETRYABLE), DECLINED_RETRYABLE, FAILED, RELEASED),
        ((DECLINED_RETRYABLE, DECLINED_RETRYABLE), NOT_SENT, PROCESSING, IN_TRANSIT),
        ((NOT_SENT,) * 50, NOT_SENT, PROCESSING, IN_TRANSIT),
        # After an unknown one no No counts, nor does one while another is still open.
        ((UNKNOWN,), ACCEPTED, SUCCEEDED, PAID),
        ((UNKNOWN,), DECLINED_RETRYABLE, IN_DOUBT, IN_TRANSIT),
        ((UNKNOWN,), DECLINED, IN_DOUBT, IN_TRANSIT),
        ((UNKNOWN,), NOT_SENT, IN_DOUBT, IN_TRANSIT),
        ((UNKNOWN,), UNKNOWN, IN_DOUBT, IN_TRANSIT),
        ((UNKNOWN, DECLINED_RETRYABLE), DECLINED, IN_DOUBT, IN_TRANSIT),
        ((None,), ACCEPTED, SUCCEEDED, PAID),
        ((None,), DECLINED_RETRYABLE, IN_DOUBT, IN_TRANSIT),
        ((None,), DECLINED, IN_DOUBT, IN_TRANSIT),
        ((None,), NOT_SENT, IN_DOUBT, IN_TRANSIT),
    ],
)
@pytest.mark.parametrize("begun_in", [PROCESSING, IN_DOUBT])
def test_an_answer_means_what_the_attempts_before_it_allow(
    before: tuple[Answered, ...], answer: AnswerKind, state: OrderState, money: tuple[int, int], begun_in: object
) -> None:
    """A payout that is in doubt stays so on any decline: only the bank's status can end it."""

    payout = a_payout(OrderState(str(begun_in)), (*before, None))
    payout.answer(answer)
    in_doubt_still = begun_in is IN_DOUBT and state is not SUCCEEDED

    assert (IN_DOUBT if in_doubt_still else state) == payout.now.state
    assert (IN_TRANSIT if in_doubt_still else money) == payout.money
    assert payout.now.attempts[-1].answer is answer
    assert payout.now.lease_until is None
    assert payout.now.final == (payout.now.next_attempt_time is None)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [((DECLINED,), FailureReason.BANK_DECLINED), ((DECLINED_RETRYABLE,) * 3, FailureReason.ATTEMPTS_EXHAUSTED)],
)
def test_a_failed_payout_has_a_reason(answers: tuple[AnswerKind, ...], reason: FailureReason) -> None:
    """And gives the money back in a transaction that names it."""

    payout = a_payout(PROCESSING, (*answers[:-1], None))
    payout.answer(answers[-1])

    assert payout.now.failure_reason is reason
    assert [payout.now.id] == [t.movement.cause for t in payout.books.pending.transactions]


def test_a_payout_without_a_reference_is_referred_to_by_its_key() -> None:
    """The bank gave none, so the key is what to inquire by."""

    payout = a_payout()
    payout.answer(Answer(kind=ACCEPTED))

    assert payout.now.bank_reference == bank_key(payout.now.id)


@pytest.mark.parametrize(
    ("retry_after_s", "wait"),
    [
        (0.0, timedelta()),
        (7.0, timedelta(seconds=7)),
        (300.0, POLICY.retry_after_max),
        (3600.0, POLICY.retry_after_max),
        (1e14, POLICY.retry_after_max),
        (float("inf"), POLICY.retry_after_max),
        (None, SECOND),
    ],
)
def test_retry_after_is_honoured_up_to_a_cap(retry_after_s: float | None, wait: timedelta) -> None:
    """However long the bank would like us to wait."""

    payout = a_payout()
    payout.answer(Answer(kind=DECLINED_RETRYABLE, retry_after_s=retry_after_s))

    assert payout.now.next_attempt_time == NOW + wait


@pytest.mark.parametrize(
    ("before", "answer", "wait_s"),
    [
        ((), DECLINED_RETRYABLE, 1),
        ((DECLINED_RETRYABLE,), DECLINED_RETRYABLE, 2),
        ((), NOT_SENT, 1),
        ((NOT_SENT,), NOT_SENT, 2),
        ((NOT_SENT,) * 3, NOT_SENT, 8),
        ((NOT_SENT,) * 40, NOT_SENT, 60),
        ((DECLINED_RETRYABLE, NOT_SENT), NOT_SENT, 2),
        ((), UNKNOWN, 1),
    ],
)
def test_each_wait_is_twice_the_one_before_it(before: tuple[Answered, ...], answer: AnswerKind, wait_s: int) -> None:
    """Up to the longest."""

    payout = a_payout(PROCESSING, (*before, None))
    payout.answer(answer)

    assert payout.now.next_attempt_time == NOW + timedelta(seconds=wait_s)


def test_an_unreachable_bank_is_brought_to_attention_once_it_is_old() -> None:
    """Nothing fails, no attempt is used."""

    young, old = a_payout(now=NOW + POLICY.attention_after), a_payout(now=NOW + POLICY.attention_after + SECOND)
    young.answer(NOT_SENT)
    old.answer(NOT_SENT)

    assert (young.now.attention, old.now.attention) == ("", "the bank cannot be reached")
    assert old.now.attempts_counted == 0


@pytest.mark.parametrize("kind", AnswerKind)
def test_a_stale_worker_keeps_its_answer_and_moves_nothing(kind: AnswerKind) -> None:
    """The fence guards the state only."""

    payout = a_payout()
    stale = payout.claim()
    payout.claimed_again()
    before = payout.now
    payout.answer(kind, claim=stale)

    assert payout.now.attempts[0].answer is kind
    assert replace(payout.now, attempts=before.attempts) == before
    assert payout.money == IN_TRANSIT


@pytest.mark.parametrize("state", [SUCCEEDED, FAILED, CANCELLED])
@pytest.mark.parametrize("kind", AnswerKind)
def test_a_final_payout_keeps_a_late_answer_and_never_moves(state: OrderState, kind: AnswerKind) -> None:
    """Not even with the right fence; an acceptance of what had failed is listed for an operator."""

    payout = a_payout(state, (None,))
    before, money = payout.now, payout.money
    payout.answer(kind)

    assert payout.now.attempts[0].answer is kind
    assert (replace(payout.now, attempts=before.attempts, attention=""), payout.money) == (before, money)
    assert (payout.now.attention != "") == ((state, kind) == (FAILED, ACCEPTED))
    assert [payout.start(), payout.take_over(), payout.apply_status(StatusKind.FAILED)] == [STALE] * 3


def test_an_answer_is_kept_once() -> None:
    """What comes in twice counts once."""

    payout = a_payout()
    payout.answer(DECLINED_RETRYABLE)

    assert payout.answer(ACCEPTED) == STALE
    assert payout.now.attempts[0].answer is DECLINED_RETRYABLE


@pytest.mark.parametrize("state", [SCHEDULED, PROCESSING, IN_DOUBT])
def test_a_stale_claim_starts_takes_over_and_settles_nothing(state: OrderState) -> None:
    """Its fence has moved on."""

    payout = a_payout(state, () if state is SCHEDULED else (None,))
    stale = payout.claim()
    payout.claimed_again()

    assert [payout.start(stale), payout.take_over(stale), payout.apply_status(StatusKind.FAILED, stale)] == [STALE] * 3


def test_a_payout_is_not_started_while_another_attempt_awaits_its_answer() -> None:
    """One open attempt at a time, doubt aside."""

    payout = a_payout(PROCESSING, (None,))

    assert payout.start() == STALE
    assert isinstance(a_payout(PROCESSING, (DECLINED_RETRYABLE,)).start(), Done)
