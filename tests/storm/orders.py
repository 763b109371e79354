"""Withdrawals and scheduled deposits alike, as the API shows them."""

from typing import TypeAlias

from wallet.v1.schedule_service_pb2 import ScheduledDeposit, Withdrawal

from wallet_client import as_dict

PaymentOrder: TypeAlias = Withdrawal | ScheduledDeposit


def order_key(order: PaymentOrder) -> str:
    """Return the key that the bank knows an order by."""
    kind, _, id_ = order.name.partition("/")
    return f"{'wd' if kind == 'withdrawals' else 'sd'}-{id_}"


def state_of(order: PaymentOrder) -> str:
    """Return the state's name without its prefix."""
    return str(as_dict(order)["state"]).removeprefix("STATE_")


def is_the_banks(order: PaymentOrder) -> bool:
    """Return whether the bank is called for an order at all."""
    return isinstance(order, Withdrawal) or order.collect
