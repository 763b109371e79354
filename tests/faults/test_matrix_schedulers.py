"""Fault matrix: four schedulers, two of them with wrong clocks, and callers that cancel and deposit meanwhile."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from tests.support.books import open_wallet
from tests.support.callers import usd
from tests.support.payout_service import Child, PayoutService, end
from tests.support.payouts import bank_key, schedule
from wallet_client import CallError, WalletClient
from wallet_core.domain.model.payment_order import OrderState

RIGHT = ("scheduler",)
AHEAD = ("tests.support.clock_off", "300", *RIGHT)
BEHIND = ("tests.support.clock_off", "-300", *RIGHT)

# No worker is to time out here: each claim is finished by its claimer.
SETTINGS = {
    "bank_call_deadline_s": 20.0,
    "lock_timeout_s": 5.0,
    "payout_lease_s": 60.0,
    "payout_send_window_s": 10.0,
    "payout_grace_s": 100.0,
    "payout_poll_s": 0.2,
    "payout_parallelism": 10,
}
AT_ONCE = 4 * 10
LEASE_OF_THE_DEAD = timedelta(seconds=3)

LOCKED_FOR_A_CALL = """
SELECT count(*)
FROM pg_locks
JOIN pg_stat_activity USING (pid)
JOIN pg_class ON pg_class.oid = relation
WHERE application_name = 'wallet-scheduler' AND datname = current_database()
    AND relname IN ('wallets', 'withdrawals', 'bank_attempts', 'entries')
"""


@dataclass
class Scene:
    """What there was to pay, and what was seen of it."""

    schedulers: list[Child]
    due: list[UUID]
    to_come: UUID
    abandoned: UUID
    abandoned_until: datetime
    in_flight: list[int]
    cancels: dict[UUID, str]


@pytest.fixture(scope="module")
def scene(service: PayoutService) -> Scene:
    """Have a hundred payouts paid; the bank holds its answers back until as many as can be are in flight."""
    server = service.start("wallet_grpc")
    schedulers = [service.start(*command) for command in (AHEAD, BEHIND, RIGHT, RIGHT)]
    for child in schedulers:
        child.until_event("running")
    port = server.until_event("serving")["port"]
    bank, app = service.bank, service.app
    wallets = [open_wallet(app, f"w{n}", 1000) for n in range(5)]

    bank.order("hold")
    due = [schedule(app, wallets[n % 5], 10) for n in range(100)]
    to_come = schedule(app, wallets[0], 10, execute_time=service.now(due[0]).create_time + timedelta(minutes=2))
    service.until(lambda: bank.in_flight()[0] == AT_ONCE)
    # One is claimed by a worker that dies before it does anything.
    (abandoned,) = app.claims.to_pay(limit=1, lease=LEASE_OF_THE_DEAD, clock_offset=timedelta())
    abandoned_until = service.now(abandoned.order).lease_until
    assert abandoned_until is not None

    with WalletClient(f"127.0.0.1:{port}") as client:
        client.deposit("wallets/w0", usd(500))
        service.until(lambda: nothing_is_locked(service))
        in_flight = [bank.in_flight()[0]]
        cancels = {id_: answer_to_cancel(client, id_) for id_ in (due[0], due[-1])}

        bank.forgive()
        bank.release()
        service.until_final(*due)
        # The more are scheduled before the first is cancelled, the more of them are claimed by then.
        for many in range(1, 8):
            racing = [schedule(app, wallets[n % 5], 10) for n in range(many)]
            cancels |= {id_: answer_to_cancel(client, id_) for id_ in racing}
    service.until_final(*cancels)
    in_flight.append(bank.in_flight()[1])
    end(server, *schedulers)
    return Scene(schedulers, due, to_come, abandoned.order, abandoned_until, in_flight, cancels)


def nothing_is_locked(service: PayoutService) -> bool:
    """Return whether no scheduler has anything locked at this moment; one that looks for work has, for a moment."""
    with psycopg.connect(service.database.url) as owner:
        return owner.execute(LOCKED_FOR_A_CALL).fetchone() == (0,)


def answer_to_cancel(client: WalletClient, id_: UUID) -> str:
    """Cancel a withdrawal; return the code that this is answered with."""
    try:
        client.cancel_withdrawal(f"withdrawals/{id_}")
    except CallError as error:
        return error.code
    return "OK"


def clock_of(child: Child) -> datetime:
    """Return the time that a process had when it began to run."""
    return datetime.fromisoformat(child.until_event("running")["timestamp"])


def test_hundred_due_payouts_are_sent_once_each_ten_at_a_time_by_each_scheduler(
    service: PayoutService, scene: Scene
) -> None:
    """Row 16 / E7, E18: disjoint claims; forty in flight at once, and never one more."""

    paid = [id_ for id_ in scene.due if scene.cancels.get(id_) != "OK"]

    assert {service.now(id_).state for id_ in paid} == {OrderState.SUCCEEDED}
    posts = service.bank.stats()["posts"]
    assert [posts[bank_key(id_)] for id_ in paid] == [1] * 99
    assert scene.in_flight == [AT_ONCE, AT_ONCE]
    service.assert_books_agree()


def test_wrong_clocks_of_schedulers_change_nothing(service: PayoutService, scene: Scene) -> None:
    """Row 9: one claim each; no lease is taken while it lasts and nothing is due early, by the database's clock."""

    ahead, behind, *_ = (clock_of(child) for child in scene.schedulers)
    assert timedelta(minutes=9) < ahead - behind < timedelta(minutes=11)

    abandoned, to_come = service.now(scene.abandoned), service.now(scene.to_come)
    claims = {id_: service.now(id_).fence for id_ in scene.due if scene.cancels.get(id_) != "OK"}
    assert {id_ for id_, times in claims.items() if times != 1} == {scene.abandoned}
    assert (abandoned.fence, len(abandoned.attempts)) == (2, 1)
    assert abandoned.attempts[0].start_time >= scene.abandoned_until
    assert (to_come.state, to_come.fence) == (OrderState.SCHEDULED, 0)
    service.assert_books_agree()


def test_deposit_passes_while_the_bank_holds_its_answers_back(service: PayoutService, scene: Scene) -> None:
    """Row 14 / E15: forty calls are in flight, five of them for each wallet, and no lock is held."""

    in_flight_after_the_deposit, _ = scene.in_flight

    assert in_flight_after_the_deposit == AT_ONCE
    service.assert_books_agree()


def test_cancel_and_claim_have_one_winner(service: PayoutService, scene: Scene) -> None:
    """Row 10 / S6: a cancelled payout is never sent; a sent one is never cancelled, and the cancel is refused."""

    sent, unclaimed = scene.due[0], scene.due[-1]
    assert (scene.cancels[sent], scene.cancels[unclaimed]) == ("FAILED_PRECONDITION", "OK")

    posts = service.bank.stats()["posts"]
    outcomes = {(answer, service.now(id_).state, posts.get(bank_key(id_), 0)) for id_, answer in scene.cancels.items()}
    assert outcomes == {("OK", OrderState.CANCELLED, 0), ("FAILED_PRECONDITION", OrderState.SUCCEEDED, 1)}
    service.assert_books_agree()
