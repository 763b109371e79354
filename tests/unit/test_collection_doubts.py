"""Takeovers and doubts of collections: only the bank's status ends a doubt, and no wallet is credited twice."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.collection_pages import (
    ACCEPTED,
    CREDITED,
    DECLINED,
    DECLINED_RETRYABLE,
    DEPOSIT,
    FAILED,
    IN_DOUBT,
    PROCESSING,
    SCHEDULED,
    STALE,
    SUCCEEDED,
    UNKNOWN,
    UNTOUCHED,
    Collection,
    a_deposit_order,
)
from tests.support.consistent_bank import ConsistentBank, Workers
from tests.support.ledger_pages import NOW
from tests.support.payout_pages import AMOUNT, POLICY, Answered, Payout
from tests.support.toolchain import often
from wallet_core.domain.model.bank import AnswerKind, Status, StatusKind
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import FailureReason, OrderState

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def in_doubt_for(*answers: Answered, after: timedelta = HOUR, resends: bool = True) -> Collection:
    """Return a collection that has been in doubt for a while."""
    deposit = a_deposit_order(IN_DOUBT, answers or (UNKNOWN,), now=NOW + after)
    deposit.resends = resends
    return deposit


@pytest.mark.parametrize("answers", [(UNKNOWN,), (None,), (DECLINED_RETRYABLE, UNKNOWN), (UNKNOWN, DECLINED)])
@pytest.mark.parametrize(
    ("status", "state"),
    [
        (StatusKind.EXECUTED, SUCCEEDED),
        (StatusKind.FAILED, FAILED),
        (StatusKind.PENDING, IN_DOUBT),
        (StatusKind.SILENT, IN_DOUBT),
    ],
)
def test_a_doubt_follows_the_banks_status(answers: tuple[Answered, ...], status: StatusKind, state: OrderState) -> None:
    """And nothing else: silence credits nothing, and fails nothing."""

    deposit = in_doubt_for(*answers)
    deposit.apply_status(status)

    assert (state, CREDITED if state is SUCCEEDED else UNTOUCHED) == (deposit.now.state, deposit.money)
    assert (1, None, len(answers)) == (deposit.now.inquiries, deposit.now.lease_until, len(deposit.now.attempts))
    assert bool(deposit.now.attention) == (state is IN_DOUBT)


@pytest.mark.parametrize("amount", [Money("USD", 11), Money("USD", 1), Money("EUR", 10), None])
def test_executed_with_another_amount_credits_nothing_and_needs_an_operator(amount: Money | None) -> None:
    """Also after silence and once more; then the right word still ends it."""

    deposit = in_doubt_for()
    deposit.apply_status(Status(kind=StatusKind.EXECUTED, amount=amount, reference="ref"))
    deposit.apply_status(StatusKind.SILENT)

    assert (deposit.now.state, deposit.money, deposit.now.bank_reference) == (IN_DOUBT, UNTOUCHED, "")
    assert "another amount" in deposit.now.attention

    deposit.apply_status(StatusKind.EXECUTED)
    assert (deposit.now.state, deposit.money, deposit.now.attention) == (SUCCEEDED, CREDITED, "")


@pytest.mark.parametrize("after", [timedelta(), POLICY.grace - SECOND])
def test_not_found_before_grace_is_not_believed(after: timedelta) -> None:
    """The call may still be in flight: queried again when the grace time is over."""

    deposit = in_doubt_for(after=after)
    deposit.apply_status(StatusKind.NOT_FOUND)

    assert (deposit.now.state, len(deposit.now.attempts)) == (IN_DOUBT, 1)
    assert deposit.now.next_attempt_time == NOW + POLICY.grace


def test_not_found_after_grace_is_sent_again_with_the_same_key() -> None:
    """And credited once, by whichever answer."""

    deposit = in_doubt_for(after=POLICY.grace)
    deposit.apply_status(StatusKind.NOT_FOUND)
    first, second = deposit.now.attempts
    assert (first.key, None, deposit.money) == (second.key, second.answer, UNTOUCHED)
    deposit.answer(ACCEPTED)

    assert (deposit.now.state, deposit.money) == (SUCCEEDED, CREDITED)
    assert deposit.answer(ACCEPTED, attempt=1) == STALE
    assert deposit.money == CREDITED


def resent_for(times: int) -> Collection:
    """Return a collection that never reached the bank, however often it was sent again."""
    deposit = in_doubt_for()
    for _ in range(times):
        deposit.apply_status(StatusKind.NOT_FOUND)
        deposit.answer(UNKNOWN)
        deposit.books.now += HOUR
    return deposit


@pytest.mark.parametrize(
    ("deposit", "attention"),
    [
        (resent_for(POLICY.resends_max), "not sent again"),
        (in_doubt_for(resends=False), "not sent again"),
        (in_doubt_for(after=POLICY.bank_key_retention + SECOND), "older than the bank keeps keys"),
        (in_doubt_for(ACCEPTED), "the bank accepted it and now reports"),
    ],
)
def test_not_found_that_must_not_be_resent_needs_an_operator(deposit: Collection, attention: str) -> None:
    """Resent too often, a bank that ignores keys or has forgotten them, or one that had accepted: no credit."""

    attempts = deposit.now.attempts
    deposit.apply_status(StatusKind.NOT_FOUND)

    assert (deposit.now.state, deposit.money, deposit.now.attempts) == (IN_DOUBT, UNTOUCHED, attempts)
    assert attention in deposit.now.attention


@pytest.mark.parametrize(
    ("answers", "reason"),
    [((DECLINED,), FailureReason.BANK_DECLINED), ((DECLINED_RETRYABLE,) * 3, FailureReason.ATTEMPTS_EXHAUSTED)],
)
def test_not_found_after_clear_declines_only_fails(answers: tuple[Answered, ...], reason: FailureReason) -> None:
    """Nothing is in doubt, and nothing was ever moved."""

    deposit = in_doubt_for(*answers)
    deposit.apply_status(StatusKind.NOT_FOUND)

    assert (deposit.now.state, deposit.now.failure_reason, deposit.money) == (FAILED, reason, UNTOUCHED)


def test_a_takeover_queries_the_bank_and_accepts_an_acceptance_too_late_for_its_worker() -> None:
    """The late acceptance is stored with its attempt.

    The worker that takes over credits, the late one cannot any more.
    """

    deposit = a_deposit_order()
    stale = deposit.claim()
    deposit.claimed_again()
    deposit.answer(ACCEPTED, claim=stale)
    assert (deposit.now.state, deposit.money) == (PROCESSING, UNTOUCHED)
    deposit.take_over()

    assert (deposit.now.state, deposit.money, len(deposit.moved)) == (SUCCEEDED, CREDITED, 1)
    others = a_deposit_order()
    others.take_over()
    assert (others.now.state, others.money) == (IN_DOUBT, UNTOUCHED)


@dataclass(slots=True)
class Collectors(Workers):
    """All workers on the collection."""

    def check(self) -> None:
        """Raise unless the wallet has exactly what the bank's yes has brought, once."""
        w = self.payout.now
        credited = AMOUNT.minor if w.state is SUCCEEDED else 0
        page = cast("Collection", self.payout)
        assert page.money == (100 + credited, 0, -100 - credited)
        assert len(page.moved) == int(w.state is SUCCEEDED)
        assert self.bank.executions <= 1
        if w.state is SUCCEEDED:
            assert self.bank.executions == 1
        if w.state is FAILED:
            assert (self.bank.executions, self.bank.pending) == (0, False)


NTH = st.integers(min_value=0, max_value=9)
STEPS = st.one_of(
    st.tuples(st.just("claim"), st.booleans()),
    st.tuples(st.just("work"), NTH),
    st.tuples(st.just("send"), NTH, st.sampled_from(AnswerKind), st.booleans()),
    st.tuples(st.just("settle"), NTH),
    st.tuples(st.just("decide"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([5, 31, 61, 3600])),
)
# Most of the run lies behind the first call, so that each one begins with it.
FIRST_CALL = st.tuples(
    st.just(("claim", True)),
    st.just(("work", 0)),
    st.tuples(st.just("send"), NTH, st.sampled_from(AnswerKind), st.booleans()),
)


@pytest.mark.parametrize("honours_keys", [True, False])
@given(first=FIRST_CALL, later=st.lists(STEPS, min_size=10, max_size=60))
@settings(max_examples=often(80), deadline=None)
def test_a_wallet_is_credited_with_what_the_bank_collected_under_any_pauses(
    first: tuple[tuple[object, ...], ...], later: list[tuple[object, ...]], *, honours_keys: bool
) -> None:
    """Any pauses, any behaviour, any number of workers: never without the bank's execution, never twice."""

    deposit = a_deposit_order(SCHEDULED, ())
    deposit.books.orders[DEPOSIT] = replace(deposit.now, lease_until=None)
    deposit.resends = honours_keys
    deposit.policy = POLICY if honours_keys else replace(POLICY, attempts_max=1)
    workers = Collectors(cast("Payout", deposit), ConsistentBank(honours_keys))
    for step in (*first, *later):
        match step:
            case "claim", bool(to_pay):
                workers.claim(to_pay=to_pay)
            case "work", int(nth):
                workers.work(nth)
            case "send", int(nth), AnswerKind() as behaviour, bool(arrives):
                workers.send(nth, behaviour, arrives=arrives)
            case "settle", int(nth):
                workers.settle(nth)
            case "decide", bool(execute):
                workers.bank.decide_pending(execute=execute)
            case "wait", int(seconds):
                deposit.books.now += timedelta(seconds=seconds)
        workers.check()
