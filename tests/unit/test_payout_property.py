"""With any answers of the bank and any pauses of workers.

What was paid is never released, and nothing is paid twice.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.consistent_bank import ConsistentBank, Workers
from tests.support.payout_pages import POLICY, a_payout
from tests.support.toolchain import often
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import OrderState

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
STORIES = st.builds(lambda first, later: [*first, *later], FIRST_CALL, st.lists(STEPS, min_size=10, max_size=60))


def assert_invariants_after_each(steps: Sequence[tuple[object, ...]], *, honours_keys: bool) -> Workers:
    """Take the steps, checking the ledger and the bank after each."""
    payout = a_payout(OrderState.SCHEDULED, ())
    payout.books.orders[payout.now.id] = replace(payout.now, lease_until=None)
    payout.resends = honours_keys
    payout.policy = POLICY if honours_keys else replace(POLICY, attempts_max=1)
    workers = Workers(payout, ConsistentBank(honours_keys))
    for step in steps:
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
                payout.books.now += timedelta(seconds=seconds)
        workers.check()
    return workers


@given(steps=STORIES)
@settings(max_examples=often(400), deadline=None)
def test_nothing_is_released_that_the_bank_paid_or_will_pay(steps: list[tuple[object, ...]]) -> None:
    """A bank that honours keys executes once however often it is called."""

    assert_invariants_after_each(steps, honours_keys=True)


@given(steps=STORIES)
@settings(max_examples=often(400), deadline=None)
def test_a_bank_that_ignores_keys_is_called_to_pay_once(steps: list[tuple[object, ...]]) -> None:
    """With one attempt at the most there is nothing it could pay twice."""

    assert_invariants_after_each(steps, honours_keys=False)


def test_a_worker_that_wakes_up_before_the_takeover_does_not_make_a_second_payment() -> None:
    """Its lease ran out, another worker claimed, and only then it settled its answer: the bank ignores keys."""

    paid_late = [
        *[("claim", True), ("work", 0), ("send", 0, AnswerKind.ACCEPTED, True), ("wait", 31)],
        *[("claim", False), ("settle", 0), ("work", 0), ("claim", True), ("work", 0)],
        *[("send", 0, AnswerKind.ACCEPTED, True), ("settle", 0)],
    ]
    workers = assert_invariants_after_each(paid_late, honours_keys=False)

    assert workers.bank.executions == 1


def test_every_step_is_possible() -> None:
    """A straight run through the simulation: sent, lost, queried, resent, paid."""

    workers = assert_invariants_after_each(
        [
            *[("claim", True), ("work", 0), ("send", 0, AnswerKind.UNKNOWN, False), ("settle", 0), ("wait", 61)],
            *[("claim", False), ("work", 0), ("send", 0, AnswerKind.ACCEPTED, True), ("settle", 0)],
        ],
        honours_keys=True,
    )

    assert workers.payout.now.state is OrderState.SUCCEEDED
    assert len(workers.payout.now.attempts) == 2
