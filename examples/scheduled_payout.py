"""A scheduled payout: the money is reserved now, paid out through the bank when due, and watched to its end."""

import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from wallet.v1.event_service_pb2 import Event

from wallet_client import Amount, WalletClient

ENDED = {Event.TYPE_WITHDRAWAL_SUCCEEDED, Event.TYPE_WITHDRAWAL_FAILED, Event.TYPE_WITHDRAWAL_CANCELLED}


def usd(minor_units: int) -> str:
    """Format minor units of USD."""
    return f"{minor_units // 100}.{minor_units % 100:02}"


def main(target: str) -> None:
    """Schedule a payout in two seconds and print its events."""
    wallet = f"wallets/saver-{uuid4().hex[:8]}"  # a new one, so that the example can run again
    with WalletClient(target) as client:
        client.create_wallet(wallet.removeprefix("wallets/"), "USD")
        client.deposit(wallet, Amount("USD", 100_00))
        scheduled = client.schedule_withdrawal(
            wallet,
            Amount("USD", 40_00),
            execute_time=datetime.now(UTC) + timedelta(seconds=2),
            reserve=True,
            bank_account="checking-1",
        ).withdrawal
        print(f"reserved, available {usd(client.get_wallet(wallet).available.minor_units)}")

        # From the start of the journal: the wallet is new, so its first event is among the last ones. A consumer that
        # stores `event.resume_token` continues from there with `resume_token=…` after a restart.
        for event in client.watch_events(wallet=wallet, from_start=True):
            if event.resource == scheduled.name:
                print(Event.Type.Name(event.type).removeprefix("TYPE_WITHDRAWAL_"))
                if event.type in ENDED:
                    break

        paid = client.get_withdrawal(scheduled.name)
        print(f"attempts: {len(paid.bank_attempts)}, balance {usd(client.get_wallet(wallet).balance.minor_units)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
