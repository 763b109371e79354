"""A wallet that somebody holds for long: its own callers wait, the others do not."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

import psycopg
import pytest

from tests.support.books import balance_of, deposit, open_wallet
from wallet_core.domain.deposit import Deposit
from wallet_core.domain.errors import NotServed
from wallet_core.domain.money import Money
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.alone

DEPOSITS = 30


def test_callers_that_keep_at_a_stuck_wallet_do_not_hold_up_the_others(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """The first batch that meets it waits once; from then on its calls go to a lane of their own."""

    stuck, bob = open_wallet(app, "stuck", 100), open_wallet(app, "bob")
    done = threading.Event()

    def keep_at_it() -> None:
        while not done.is_set():
            with suppress(NotServed):
                app.ledger.post(
                    Deposit(id=new_id(), wallet=stuck, amount=Money("USD", 1), description="", external_reference=""),
                    monotonic() + 0.2,
                )

    with ThreadPoolExecutor(4) as pool, owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'stuck' FOR UPDATE")
        callers = [pool.submit(keep_at_it) for _ in range(4)]
        deposit(app, bob, 1)  # meets the lock with the others, or finds them already in their lane
        started_at = monotonic()
        for _ in range(DEPOSITS):
            deposit(app, bob, 1)
        took_s = monotonic() - started_at
        done.set()
        for caller in callers:
            caller.result()

    # Each deposit behind a lock wait of its own would take DEPOSITS lock timeouts.
    assert took_s < DEPOSITS * settings.lock_timeout_s / 3
    assert balance_of(app, bob) == DEPOSITS + 1
    assert wait_until(lambda: deposit(app, stuck, 1).replayed is False, timeout_s=10)
