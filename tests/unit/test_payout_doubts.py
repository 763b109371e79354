"""Takeovers and doubts: only the bank's own word ends an unknown, and nothing is sent again lightly."""

from datetime import timedelta

import pytest

from tests.support.ledger_pages import NOW
from tests.support.payout_pages import LEASE_UNTIL, POLICY, Answered, Payout, a_payout
from wallet_core.domain.deciding.decision import Refused
from wallet_core.domain.model.bank import AnswerKind, Status, StatusKind
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import FailureReason, OrderState

ACCEPTED, DECLINED_RETRYABLE, DECLINED = AnswerKind.ACCEPTED, AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED
NOT_SENT, UNKNOWN = AnswerKind.NOT_SENT, AnswerKind.UNKNOWN
SCHEDULED, PROCESSING, IN_DOUBT = OrderState.SCHEDULED, OrderState.PROCESSING, OrderState.IN_DOUBT
SUCCEEDED, FAILED, CANCELLED = OrderState.SUCCEEDED, OrderState.FAILED, OrderState.CANCELLED
IN_TRANSIT, PAID, RELEASED = (90, 10), (90, 0), (100, 0)
STALE = Refused(StaleClaim("withdrawals/00000000-0000-0000-0000-000000000007"))
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def test_a_payout_that_was_left_amid_an_attempt_is_doubted() -> None:
    """A takeover never sends: it only queries."""

    payout = a_payout()
    payout.take_over()

    assert (payout.now.state, payout.money) == (IN_DOUBT, IN_TRANSIT)
    assert payout.now.lease_until == LEASE_UNTIL


@pytest.mark.parametrize("answers", [(DECLINED_RETRYABLE,), (NOT_SENT,), (DECLINED_RETRYABLE, NOT_SENT)])
def test_a_payout_that_was_left_between_attempts_goes_back_in_line(answers: tuple[Answered, ...]) -> None:
    """Every attempt was a clear no, or never sent."""

    payout = a_payout(PROCESSING, answers)
    payout.take_over()

    assert (payout.now.state, payout.now.lease_until, payout.now.next_attempt_time) == (PROCESSING, None, NOW)


@pytest.mark.parametrize("kind", [ACCEPTED, DECLINED, UNKNOWN])
def test_a_stale_answer_before_the_takeover_does_not_put_the_payout_back_in_line(kind: AnswerKind) -> None:
    """Nothing of a takeover may be sent: the late worker's answer proves that the bank did receive it."""

    payout = a_payout()
    stale = payout.claim()
    payout.claimed_again()
    payout.answer(kind, claim=stale)
    payout.take_over()
    payout.start()

    assert len(payout.now.attempts) == 1
    assert payout.now.state is not PROCESSING


def test_a_stale_last_decline_before_the_takeover_does_not_exceed_the_attempts() -> None:
    """Attempts are counted for all workers."""

    payout = a_payout(PROCESSING, (DECLINED_RETRYABLE, DECLINED_RETRYABLE, None))
    stale = payout.claim()
    payout.claimed_again()
    payout.answer(DECLINED_RETRYABLE, claim=stale)
    payout.take_over()
    payout.start()

    assert len(payout.now.attempts) == POLICY.attempts_max


def in_doubt(*answers: Answered, after: timedelta = HOUR, resends: bool = True) -> Payout:
    """Return a payout that has been in doubt for a while."""
    payout = a_payout(IN_DOUBT, answers or (UNKNOWN,), now=NOW + after)
    payout.resends = resends
    return payout


@pytest.mark.parametrize("answers", [(UNKNOWN,), (None,), (DECLINED_RETRYABLE, UNKNOWN), (UNKNOWN, DECLINED)])
@pytest.mark.parametrize(
    ("status", "state", "money"),
    [
        (StatusKind.EXECUTED, SUCCEEDED, PAID),
        (StatusKind.FAILED, FAILED, RELEASED),
        (StatusKind.PENDING, IN_DOUBT, IN_TRANSIT),
        (StatusKind.SILENT, IN_DOUBT, IN_TRANSIT),
    ],
)
def test_a_doubt_follows_the_banks_status(
    answers: tuple[Answered, ...], status: StatusKind, state: OrderState, money: tuple[int, int]
) -> None:
    """And nothing else: silence changes nothing."""

    payout = in_doubt(*answers)
    payout.apply_status(status)

    assert (state, money) == (payout.now.state, payout.money)
    assert (1, None, len(answers)) == (payout.now.inquiries, payout.now.lease_until, len(payout.now.attempts))


@pytest.mark.parametrize("amount", [Money("USD", 11), Money("USD", 1), Money("EUR", 10), None])
def test_executed_with_another_amount_stays_in_doubt_for_an_operator(amount: Money | None) -> None:
    """A discrepancy is never a success, nor a release."""

    payout = in_doubt()
    payout.apply_status(Status(kind=StatusKind.EXECUTED, amount=amount))

    assert (payout.now.state, payout.money) == (IN_DOUBT, IN_TRANSIT)
    assert "another amount" in payout.now.attention


def test_a_discrepancy_is_not_forgotten_when_the_bank_falls_silent() -> None:
    """What a person must see is not covered up by "in doubt for too long"."""

    payout = in_doubt()
    payout.apply_status(Status(kind=StatusKind.EXECUTED, amount=Money("USD", 11)))
    payout.apply_status(StatusKind.SILENT)

    assert "another amount" in payout.now.attention


@pytest.mark.parametrize("after", [timedelta(), POLICY.grace - SECOND])
def test_not_found_before_grace_is_not_believed(after: timedelta) -> None:
    """The call may still be in flight."""

    payout = in_doubt(after=after)
    payout.apply_status(StatusKind.NOT_FOUND)

    assert (IN_DOUBT, 1, NOW + POLICY.grace) == (
        payout.now.state,
        len(payout.now.attempts),
        payout.now.next_attempt_time,
    )


def sent_again(times: int) -> Payout:
    """Return a payout that never reached the bank, however often it was sent again."""
    payout = in_doubt()
    for _ in range(times):
        payout.apply_status(StatusKind.NOT_FOUND)
        payout.answer(UNKNOWN)
        payout.books.now += HOUR
    assert payout.now.resends == times
    return payout


@pytest.mark.parametrize("answer", [DECLINED_RETRYABLE, DECLINED, NOT_SENT, UNKNOWN])
def test_a_silence_after_two_soft_declines_is_sent_again_until_the_bank_knows_it(answer: AnswerKind) -> None:
    """With any answer to the resend: an unanswered attempt may have been paid and forgotten, so nothing is released."""

    payout = in_doubt(DECLINED_RETRYABLE, DECLINED_RETRYABLE, UNKNOWN)
    payout.apply_status(StatusKind.NOT_FOUND)
    assert len(payout.now.attempts) == 4
    payout.answer(answer)
    payout.books.now += HOUR
    payout.apply_status(StatusKind.NOT_FOUND)
    assert (len(payout.now.attempts), payout.now.state, payout.money) == (5, IN_DOUBT, IN_TRANSIT)
    payout.answer(DECLINED)

    payout.apply_status(StatusKind.FAILED)

    settled = (payout.now.state, payout.now.failure_reason, payout.money)
    assert settled == (FAILED, FailureReason.BANK_DECLINED, RELEASED)


def test_what_a_resend_comes_to_decides() -> None:
    """An acceptance pays it, after any number of unanswered attempts."""

    payout = sent_again(3)
    payout.apply_status(StatusKind.NOT_FOUND)
    payout.answer(ACCEPTED)

    assert (payout.now.state, payout.money) == (SUCCEEDED, PAID)


@pytest.mark.parametrize("after", [POLICY.grace, HOUR, POLICY.bank_key_retention])
def test_not_found_after_grace_is_sent_again_with_the_same_key(after: timedelta) -> None:
    """Never failed, never released."""

    payout = in_doubt(after=after)
    payout.apply_status(StatusKind.NOT_FOUND)
    first, second = payout.now.attempts

    assert (first.key, 2, None, NOW + after) == (second.key, second.number, second.answer, second.start_time)
    assert (payout.now.state, payout.money) == (IN_DOUBT, IN_TRANSIT)
    assert payout.now.lease_until == NOW + after + POLICY.lease


def test_grace_counts_from_the_latest_attempt() -> None:
    """An answer "not found" proves nothing of a call that was just made."""

    payout = in_doubt()
    payout.apply_status(StatusKind.NOT_FOUND)
    payout.answer(UNKNOWN)
    payout.apply_status(StatusKind.NOT_FOUND)

    assert (2, NOW + HOUR + POLICY.grace) == (len(payout.now.attempts), payout.now.next_attempt_time)


@pytest.mark.parametrize(
    ("payout", "attention"),
    [
        (sent_again(POLICY.resends_max), "not sent again"),
        (in_doubt(resends=False), "not sent again"),
        (in_doubt(after=POLICY.bank_key_retention + SECOND), "older than the bank keeps keys"),
        (in_doubt(ACCEPTED), ""),
    ],
)
def test_not_found_that_must_not_be_resent_needs_an_operator(payout: Payout, attention: str) -> None:
    """Resent too often, a bank that ignores keys or has forgotten them, or one that had accepted."""

    attempts = payout.now.attempts
    payout.apply_status(StatusKind.NOT_FOUND)

    assert (IN_DOUBT, IN_TRANSIT, attempts) == (payout.now.state, payout.money, payout.now.attempts)
    assert attention in payout.now.attention
    assert payout.now.attention


def test_resends_that_were_not_sent_use_no_attempt() -> None:
    """The fourth row is only the third call."""

    payout = in_doubt(UNKNOWN, NOT_SENT, UNKNOWN)
    payout.apply_status(StatusKind.NOT_FOUND)

    assert len(payout.now.attempts) == 4


def test_a_bank_that_fails_an_accepted_payment_releases_nothing() -> None:
    """Accepted is always final; a bank that takes it back is a discrepancy for a person."""

    payout = in_doubt(ACCEPTED)
    payout.apply_status(StatusKind.FAILED)

    assert payout.money == IN_TRANSIT


@pytest.mark.parametrize("status", [StatusKind.SILENT, StatusKind.PENDING, StatusKind.EXECUTED])
def test_an_acceptance_too_late_for_its_worker_is_accepted(status: StatusKind) -> None:
    """Accepted is always final, also where the bank has no status."""

    payout = in_doubt(ACCEPTED)
    payout.apply_status(status)

    assert (payout.now.state, payout.money) == (SUCCEEDED, PAID)


def test_a_takeover_accepts_an_acceptance_too_late_for_its_worker() -> None:
    """Without a status call: the bank has answered."""

    payout = a_payout()
    stale = payout.claim()
    payout.claimed_again()
    payout.answer(ACCEPTED, claim=stale)
    payout.take_over()

    assert (payout.now.state, payout.money) == (SUCCEEDED, PAID)


@pytest.mark.parametrize("answers", [(DECLINED,), (DECLINED_RETRYABLE, DECLINED_RETRYABLE, DECLINED_RETRYABLE)])
def test_not_found_after_clear_declines_only_releases(answers: tuple[Answered, ...]) -> None:
    """Nothing is in doubt: every attempt has the bank's own no, and it knows of no payment."""

    payout = in_doubt(*answers)
    payout.apply_status(StatusKind.NOT_FOUND)

    assert (payout.now.state, payout.money) == (FAILED, RELEASED)


def test_a_doubt_is_queried_at_growing_intervals() -> None:
    """With attention once it is old."""

    payout = in_doubt(after=timedelta())
    waits = []
    for _ in range(8):
        payout.apply_status(StatusKind.SILENT)
        assert payout.now.next_attempt_time is not None
        waits.append((payout.now.next_attempt_time - NOW).total_seconds())

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert payout.now.attention == ""


@pytest.mark.parametrize("status", [StatusKind.PENDING, StatusKind.SILENT])
def test_an_old_doubt_is_brought_to_attention(status: StatusKind) -> None:
    """And the bank's next status can still end it."""

    payout = in_doubt()
    payout.apply_status(status)
    assert "in doubt for too long" in payout.now.attention

    payout.apply_status(StatusKind.EXECUTED)
    assert (payout.now.state, payout.now.attention) == (SUCCEEDED, "")
