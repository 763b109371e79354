"""A card payment: authorise at the pump, capture what was filled, release the rest."""

import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from wallet_client import Amount, CallFailed, WalletClient


def usd(minor_units: int) -> str:
    """Format minor units of USD."""
    return f"{minor_units // 100}.{minor_units % 100:02}"


def main(target: str) -> None:
    """Hold 100.00, capture 62.50."""
    run = uuid4().hex[:8]  # so that the example can run again
    card, station = f"wallets/card-{run}", f"wallets/station-{run}"
    with WalletClient(target) as client:
        for wallet in (card, station):
            client.create_wallet(wallet.removeprefix("wallets/"), "USD")
        client.deposit(card, Amount("USD", 120_00))

        tomorrow = datetime.now(UTC) + timedelta(days=1)  # then the hold expires by itself
        placed = client.place_hold(card, Amount("USD", 100_00), tomorrow, description="pump 4")
        print(f"authorised 100.00, available {usd(placed.available.minor_units)}")
        try:
            client.transfer(card, station, Amount("USD", 50_00))
        except CallFailed as refused:
            print(f"a payment of 50.00 meanwhile: {refused.reason}")

        captured = client.capture_hold(placed.hold.name, station, amount=Amount("USD", 62_50), final=True)
        print(f"captured {usd(captured.transaction.amount.minor_units)}")
        after = client.get_wallet(card)
        print(f"card: balance {usd(after.balance.minor_units)}, available {usd(after.available.minor_units)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
