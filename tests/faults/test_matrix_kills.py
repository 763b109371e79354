"""Fault matrix: schedulers that are killed or stopped at named points of a payout, and one that comes after them."""

import signal
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest

from scheduler.jobs import reconcile_withdrawals
from tests.support.books import open_wallet
from tests.support.payout_faults import answers_to
from tests.support.payout_service import FOR_FIRST_CALLS, PAST_LEASE, PayoutService, end
from tests.support.payouts import schedule
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import OrderState, Withdrawal

SETTINGS = FOR_FIRST_CALLS
# Of the one that dies before it has done anything: the last one, since its payout is claimed again soonest.
SHORT_LEASE: dict[str, object] = {"bank_call_deadline_s": 0.5, "payout_lease_s": 1.5}

PAY = "wallet_core.gateways.bank:HttpBank.pay"


@dataclass(frozen=True)
class Kill:
    """A kill point; the state that this leaves, and how many calls to pay the bank has received by then."""

    row: str
    moment: str
    point: str
    state: OrderState
    posts: int


KILLS = (
    Kill("row 2 / E13, R6: after the attempt commits, before the call", "before", PAY, OrderState.PROCESSING, 0),
    Kill(
        "row 3 / E14, R6: after the bank executed, before the answer is read",
        "before",
        "httpx:Response.aiter_bytes",
        OrderState.PROCESSING,
        1,
    ),
    Kill("row 4 / E14, R6: after the answer, before our commit", "after", PAY, OrderState.PROCESSING, 1),
    Kill(
        "row 1: before the attempt commits",
        "before",
        "wallet_core.storage.posting.load_and_store:store",
        OrderState.SCHEDULED,
        0,
    ),
)


@dataclass(frozen=True)
class Scene:
    """The withdrawals of the killed and stopped schedulers, as they left them and as they are now."""

    killed: dict[Kill, UUID]
    left: dict[UUID, tuple[OrderState, int]]
    unsent: UUID
    too_early: tuple[OrderState, int]
    refused: UUID
    before_waking: dict[UUID, Withdrawal]


@pytest.fixture(scope="module")
def scene(service: PayoutService) -> Scene:
    """Stop two schedulers and kill four, each within a payout of its own, and let another one finish their work.

    When it has, the stopped ones resume with their old claims.
    """
    alice = open_wallet(service.app, "alice", 1000)
    unsent = schedule(service.app, alice, 10)
    sleepers = [service.stop_at("before", "wallet_core.usecases.pay_out:send")]
    # The first to look after the lease has run out comes before the grace time is over.
    reconcile_withdrawals.run_once(service.app, clock_offset=PAST_LEASE)
    too_early = (service.now(unsent).state, service.bank.posts(unsent))
    service.bank.order("declined_retryable", times=1)
    refused = schedule(service.app, alice, 20)
    sleepers.append(service.stop_at("after", PAY))

    killed, left = {}, {}
    for kill in KILLS:
        killed[kill] = id_ = schedule(service.app, alice, 30)
        service.kill_at(kill.moment, kill.point, **(SHORT_LEASE if kill.state is OrderState.SCHEDULED else {}))
        left[id_] = (service.now(id_).state, service.bank.posts(id_))

    scheduler = service.start("scheduler")
    service.until_final(unsent, refused, *killed.values())
    end(scheduler)
    before_waking = {id_: service.now(id_) for id_ in (unsent, refused)}
    end(*sleepers, by=signal.SIGCONT)
    return Scene(killed, left, unsent, too_early, refused, before_waking)


def assert_sent_again_after(grace: timedelta, found: Withdrawal) -> None:
    """Raise unless there were two attempts, the second one when the first could no longer be in flight."""
    first, second = found.attempts
    assert second.start_time - first.start_time >= grace
    assert second.key == first.key


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.row)
def test_killed_scheduler_leaves_one_payout(service: PayoutService, scene: Scene, kill: Kill) -> None:
    """Rows 1 to 4: the worker that takes over queries first, and the bank is called to pay once in all."""

    id_ = scene.killed[kill]
    assert scene.left[id_] == (kill.state, kill.posts)
    found = service.now(id_)

    assert (found.state, service.bank.posts(id_)) == (OrderState.SUCCEEDED, 1)
    if kill.posts == 1:
        assert len(found.attempts) == 1
    elif kill.state is OrderState.PROCESSING:
        assert_sent_again_after(service.grace, found)
    service.assert_books_agree()


def test_worker_that_overslept_its_lease_does_not_send(service: PayoutService, scene: Scene) -> None:
    """Row 8: it was stopped just before the call; awake, it records that it did not make it."""

    assert scene.too_early == (OrderState.IN_DOUBT, 0)
    assert scene.before_waking[scene.unsent].state is OrderState.SUCCEEDED
    found = service.now(scene.unsent)

    assert answers_to(found) == [AnswerKind.NOT_SENT, AnswerKind.ACCEPTED]
    assert_sent_again_after(service.grace, found)
    assert service.bank.posts(scene.unsent) == 1
    service.assert_books_agree()


def test_answer_that_comes_after_the_next_one_is_kept_and_changes_nothing(service: PayoutService, scene: Scene) -> None:
    """Rows 8 and 12: stopped with a decline, resumed when another worker had queried and resent and was accepted."""

    before, found = scene.before_waking[scene.refused], service.now(scene.refused)

    assert answers_to(before) == [None, AnswerKind.ACCEPTED]
    assert answers_to(found) == [AnswerKind.DECLINED_RETRYABLE, AnswerKind.ACCEPTED]
    assert replace(found, attempts=()) == replace(before, attempts=())
    assert_sent_again_after(service.grace, found)
    assert service.bank.posts(scene.refused) == 2
    service.assert_books_agree()
