"""A wallet that is locked for long: its own callers wait, the others do not."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from tests.model.refusal_ledger import LATE, usd
from tests.support.books import balance_of, deposit, open_wallet, transfer
from tests.support.commands import (
    a_cancelled_withdrawal,
    a_deposit,
    a_hold,
    a_rule,
    a_transfer,
    a_void,
    a_withdrawal,
)
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.errors import ServiceError
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.alone

STUCK, ALICE, BOB = WalletId("stuck"), WalletId("alice"), WalletId("bob")
TRANSFERS = 30

# What its callers keep requesting; an order and a hold lock their wallet, which the call itself does not name.
KEPT_CALLS: dict[str, Callable[[UUID, UUID], Command]] = {
    "a_deposit": lambda _order, _hold: a_deposit("stuck", usd(1)),
    "a_transfer": lambda _order, _hold: a_transfer("stuck", "alice", usd(1)),
    "a_rule_for_it": lambda _order, _hold: a_rule(wallet=STUCK, fixed=1),
    "a_cancelled_order": lambda order, _hold: a_cancelled_withdrawal(order),
    "a_voided_hold": lambda _order, hold: a_void(hold),
}


@pytest.mark.parametrize("kept_call", KEPT_CALLS)
def test_callers_that_keep_at_a_stuck_wallet_do_not_hold_up_the_others(
    app: App, settings: Settings, owner: psycopg.Connection, kept_call: str
) -> None:
    """The first batch that meets it waits once; from then on its calls go to a worker of their own.

    They wait there without the rules' lock: others are charged by them, and change them, as if nothing were stuck.
    """
    open_wallet(app, STUCK, 100)
    open_wallet(app, ALICE, 100)
    open_wallet(app, BOB)
    order = app.ledger.post(a_withdrawal(STUCK, usd(5), LATE, reserve=True)).order
    hold = app.ledger.post(a_hold(STUCK, usd(5), LATE)).hold
    assert order is not None
    assert hold is not None

    with held(owner, STUCK), kept_at(app, lambda: KEPT_CALLS[kept_call](order.id, hold.id)):
        transfer(app, ALICE, BOB, 1)  # meets the lock with the others, or finds them already in their worker
        started_at = monotonic()
        for _ in range(TRANSFERS):
            transfer(app, ALICE, BOB, 1)
            app.ledger.post(a_rule("EUR"))
        took_s = monotonic() - started_at

    # Each transfer behind a lock wait of its own would take TRANSFERS lock timeouts.
    assert took_s < TRANSFERS * settings.connections.lock_timeout_s / 3
    assert balance_of(app, BOB) == TRANSFERS + 1
    assert wait_until(lambda: deposit(app, STUCK, 1).replayed is False, timeout_s=30)


@contextmanager
def held(owner: psycopg.Connection, wallet: WalletId) -> Iterator[None]:
    """Hold a wallet's row."""
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = %s FOR UPDATE", [wallet])
        yield


@contextmanager
def kept_at(app: App, ask: Callable[[], Command]) -> Iterator[None]:
    """Run four callers that repeat a call, each time with a short deadline."""
    done = threading.Event()

    def keep_at_it() -> None:
        while not done.is_set():
            with suppress(ServiceError):
                app.ledger.post(ask(), monotonic() + 0.2)

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(keep_at_it) for _ in range(4)]
        try:
            yield
        finally:
            done.set()
        for caller in callers:
            caller.result()
