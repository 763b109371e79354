"""Fault matrix: answers that are lost, late, malformed or contradictory, to one scheduler with a payout for each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from tests.support.payout_faults import Fault, FaultyPayouts, answers_to
from tests.support.payout_service import PayoutService, end
from tests.support.payouts import bank_key
from tests.support.tcp_proxy import TcpProxy
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import FailureReason, OrderState, Withdrawal

ACCEPTED, NOT_SENT, UNKNOWN = AnswerKind.ACCEPTED, AnswerKind.NOT_SENT, AnswerKind.UNKNOWN
DECLINED_RETRYABLE, DECLINED = AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED

ATTEMPTS_MAX = 3
RETRY_AFTER_MAX = timedelta(seconds=5)
SETTINGS = {"payout_attempts_max": ATTEMPTS_MAX, "payout_retry_after_max_s": RETRY_AFTER_MAX.total_seconds()}

# What becomes of the first call, and whether the bank has paid all the same.
UNCLEAR: dict[str, tuple[Fault, bool]] = {
    "timeout": ({"fault": "execute_then_silence"}, True),
    "reset": ({"fault": "reset"}, False),
    "reset after it paid": ({"fault": "reset", "execute": True}, True),
    "502": ({"fault": "http_error", "status": 502}, False),
    "504 after it paid": ({"fault": "http_error", "status": 504, "execute": True}, True),
    "half a body": ({"fault": "half_body", "execute": False}, False),
    "trickle": ({"fault": "trickle"}, True),
}
LOST, LATE, CUT = "answer lost on the connection", "call late on the connection", "connection cut amid the call"

# The bank's answer to a second call while the first one is still in flight.
NO_AFTER_UNKNOWN: dict[str, tuple[Fault, AnswerKind]] = {
    "failed for now": ({"fault": "declined_retryable"}, DECLINED_RETRYABLE),
    "429": ({"fault": "too_many"}, DECLINED_RETRYABLE),
    "422": ({"fault": "http_error", "status": 422}, DECLINED),
}

REFUSED = "refused for good, and known to be"

UNREACHABLE = ("unreachable", "unreachable too")


@dataclass
class Scene:
    """The payouts, and as some of them were found meanwhile."""

    payouts: FaultyPayouts
    meanwhile: dict[str, Withdrawal] = field(default_factory=dict)


@pytest.fixture(scope="module")
def proxy(service: PayoutService) -> Iterator[TcpProxy]:
    """Return the connection between the scheduler and the bank."""
    with TcpProxy(("127.0.0.1", service.bank_port)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def scene(service: PayoutService, proxy: TcpProxy) -> Scene:
    """Have a scheduler pay while the bank cannot be reached, while its connection is bad, and while the bank is."""
    payouts = FaultyPayouts(service)
    scene = Scene(payouts)

    scheduler = service.start("scheduler", bank_url=f"http://127.0.0.1:{proxy.port}")
    payouts.warm_up()
    proxy.refuse()
    for name in UNREACHABLE:
        payouts.schedule(name)
    service.until(lambda: any(len(payouts.now(name).attempts) > ATTEMPTS_MAX for name in UNREACHABLE))
    scene.meanwhile |= {name: payouts.now(name) for name in UNREACHABLE}
    proxy.restore()
    payouts.until_all_final()

    proxy.drop_answers()
    payouts.schedule(LOST)
    payouts.until(LOST, UNKNOWN)
    proxy.hold()
    payouts.schedule(LATE)
    payouts.until(LATE, UNKNOWN)
    proxy.restore()
    cut = payouts.schedule(CUT, {"fault": "hold"})
    service.until(lambda: service.bank.executions(cut) == 1)
    proxy.cut()

    payouts.schedule("an hour", {"fault": "too_many", "seconds": 3600})
    scene.meanwhile["an hour"] = payouts.until("an hour", DECLINED_RETRYABLE)
    for name, (later, _) in NO_AFTER_UNKNOWN.items():
        payouts.schedule(name, {"fault": "hold", "before": True}, later)
    payouts.schedule(REFUSED, {"fault": "reset"}, {"fault": "declined"})
    for name, (fault, _) in UNCLEAR.items():
        payouts.schedule(name, fault)
    payouts.schedule("account closed", {"fault": "declined"})
    payouts.schedule("answered twice", {"fault": "answer_twice"})
    for name, (_, no) in NO_AFTER_UNKNOWN.items():
        scene.meanwhile[name] = payouts.until(name, UNKNOWN, no)
    service.bank.release()
    payouts.until_all_final()
    end(scheduler)
    return scene


def pause_between(found: Withdrawal) -> timedelta:
    """Return the time between two attempts."""
    first, second = found.attempts
    return second.start_time - first.start_time


@pytest.mark.parametrize("name", [*UNCLEAR, LOST, LATE, CUT], ids=lambda name: f"row 5 / E8, E10, R1, R4: {name}")
def test_unclear_answer_is_a_doubt_until_the_bank_was_queried(service: PayoutService, scene: Scene, name: str) -> None:
    """Row 5: queried; resent, with the same key, only where the bank does not know it and after the grace time."""

    found = scene.payouts.now(name)
    _, paid_at_once = UNCLEAR.get(name, ({}, True))

    assert answers_to(found) == ([UNKNOWN] if paid_at_once else [UNKNOWN, ACCEPTED])
    assert (found.state, service.bank.posts(found.id)) == (OrderState.SUCCEEDED, len(found.attempts))
    assert service.bank.stats()["asks"][bank_key(found.id)] >= 1
    assert paid_at_once or pause_between(found) >= service.grace
    service.assert_books_agree()


def test_declined_on_the_first_attempt_releases_the_money(service: PayoutService, scene: Scene) -> None:
    """Row 6: FAILED at once, on the one call that was made."""

    found = scene.payouts.now("account closed")

    assert (found.state, found.failure_reason) == (OrderState.FAILED, FailureReason.BANK_DECLINED)
    assert (answers_to(found), service.bank.posts(found.id)) == ([DECLINED], 1)
    service.assert_books_agree()


@pytest.mark.parametrize("name", NO_AFTER_UNKNOWN, ids=lambda name: f"row 7 / E9, R1: {name}")
def test_decline_after_an_unknown_is_still_a_doubt(service: PayoutService, scene: Scene, name: str) -> None:
    """Row 7: the bank executes the first call only after it has declined the second, and is queried again."""

    _, no = NO_AFTER_UNKNOWN[name]
    doubted, found = scene.meanwhile[name], scene.payouts.now(name)

    assert (doubted.state, answers_to(doubted)) == (OrderState.IN_DOUBT, [UNKNOWN, no])
    assert (found.state, answers_to(found)) == (OrderState.SUCCEEDED, [UNKNOWN, no])
    service.assert_books_agree()


def test_decline_after_an_unknown_fails_once_the_banks_status_confirms_it(service: PayoutService, scene: Scene) -> None:
    """Row 7 / R2: queried once more after the decline, and released on the bank's status of the whole payout."""

    found = scene.payouts.now(REFUSED)

    assert (found.state, answers_to(found)) == (OrderState.FAILED, [UNKNOWN, DECLINED])
    assert found.inquiries >= len(("not found", "not found after the grace time", "failed"))
    service.assert_books_agree()


def test_answer_that_comes_twice_counts_once(service: PayoutService, scene: Scene) -> None:
    """Row 12: the bank accepts, and repeats its acceptance."""

    found = scene.payouts.now("answered twice")

    assert (found.state, answers_to(found)) == (OrderState.SUCCEEDED, [ACCEPTED])
    service.assert_books_agree()


def test_retry_after_an_hour_is_honoured_up_to_the_cap_and_holds_no_lease(service: PayoutService, scene: Scene) -> None:
    """Row 17 / E11: queued again, unclaimed, until the longest permitted wait is over."""

    waiting, found = scene.meanwhile["an hour"], scene.payouts.now("an hour")

    assert (waiting.state, waiting.lease_until) == (OrderState.PROCESSING, None)
    assert waiting.next_attempt_time is not None
    assert RETRY_AFTER_MAX <= waiting.next_attempt_time - waiting.attempts[0].start_time < 2 * RETRY_AFTER_MAX
    assert (found.state, answers_to(found)) == (OrderState.SUCCEEDED, [DECLINED_RETRYABLE, ACCEPTED])
    assert pause_between(found) >= RETRY_AFTER_MAX
    service.assert_books_agree()


def test_bank_that_cannot_be_reached_costs_no_attempt_and_all_is_paid_once_it_is_back(
    service: PayoutService, scene: Scene
) -> None:
    """Row 18 / E10b: tried more often than the bank may be called, and none of it counts."""

    before = [scene.meanwhile[name] for name in UNREACHABLE]
    after = [scene.payouts.now(name) for name in UNREACHABLE]

    assert {found.state for found in before} == {OrderState.PROCESSING}
    assert {answer for found in before for answer in answers_to(found)} <= {NOT_SENT, None}
    assert {(found.state, found.attempts_counted) for found in after} == {(OrderState.SUCCEEDED, 1)}
    assert {service.bank.posts(found.id) for found in after} == {1}
    service.assert_books_agree()
