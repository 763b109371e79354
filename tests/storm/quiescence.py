"""After the storm: wait until nothing is open that is due, with the bank's operators at work again."""

import random
import threading
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from tests.storm.bank import StormyBank
from tests.storm.orders import PaymentOrder, order_key, state_of
from tests.storm.system import System
from wallet_client import WalletClient
from walletctl import typed
from walletctl.local.waiting import wait_until

_READY_LONGEST_S = 30.0
_OPEN_LONGEST_S = 60.0
_POLL_S = 0.2
# Schedules of the load are due within seconds or in an hour; a minute separates them.
_DUE = timedelta(minutes=1)
# The attention of an order whose attempts are used up and that the bank has never received.
_FOR_A_PERSON = "the bank does not know it; not sent again"


@dataclass(slots=True)
class Quiescence:
    """How the calm was reached."""

    decided: int = 0
    """Payments that the bank had taken without deciding, and that a person at the bank decided on."""
    by_hand: int = 0
    """Payments that never arrived as often as they may be sent, and that a person had the bank do."""
    left: tuple[str, ...] = ()
    """What is open and due all the same."""


def wait_for_service(system: System, bank: StormyBank) -> bool:
    """Wait until the server serves and the bank answers."""
    with WalletClient(system.target) as client:
        return wait_until(
            lambda: client.is_serving() and bank.is_listening(), timeout_s=_READY_LONGEST_S, poll_s=_POLL_S
        )


def wait_for_orders(system: System, bank: StormyBank, seed: int) -> Quiescence:
    """Wait until every order that is due has ended and every hold that is over has expired."""
    quiet = Quiescence()
    chance = random.Random(f"{seed}/bank")  # noqa: S311  # fault injection, not secrets
    deadline = monotonic() + _OPEN_LONGEST_S
    pause = threading.Event()
    with WalletClient(system.target) as client:
        while True:
            orders, holds = _open_orders(client), _open_holds(client)
            quiet.left = (*(f"{order.name} is {_shown(order)}" for order in orders), *holds)
            if not quiet.left or monotonic() >= deadline:
                return quiet
            for order in orders:
                _see_to(bank, order, chance, quiet)
            pause.wait(_POLL_S)


def _see_to(bank: StormyBank, order: PaymentOrder, chance: random.Random, quiet: Quiescence) -> None:
    """Do what the bank's operators do about an order in doubt: nothing, unless it waits for one."""
    if state_of(order) != "IN_DOUBT":
        return
    key = order_key(order)
    known = bank.state(key)
    if known == "not_found" and order.attention == _FOR_A_PERSON:
        bank.execute_by_hand(key, order.amount.minor_units, order.amount.currency_code)
        quiet.by_hand += 1
    elif known == "pending":
        bank.decide(key, execute=chance.random() < 0.5)
        quiet.decided += 1


def _open_orders(client: WalletClient) -> list[PaymentOrder]:
    due = f'execute_time < "{(typed.now() + _DUE).isoformat()}"'
    filter_ = f"state != SUCCEEDED AND state != FAILED AND state != CANCELLED AND {due}"
    withdrawals = list(client.list_withdrawals(filter=filter_))
    return [*withdrawals, *client.list_scheduled_deposits(filter=filter_)]


def _open_holds(client: WalletClient) -> list[str]:
    over = f'state = ACTIVE AND expire_time < "{(typed.now() + _DUE).isoformat()}"'
    return [f"{hold.name} is ACTIVE and over" for hold in client.list_holds(filter=over)]


def _shown(order: PaymentOrder) -> str:
    return f"{state_of(order)} after {order.attempts} attempts {order.attention}".rstrip()
