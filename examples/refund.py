"""Refunds: a part of a payment, then the rest; more than was paid is refused."""

import sys
from uuid import uuid4

from wallet_client import Amount, CallFailed, WalletClient


def usd(minor_units: int) -> str:
    """Format minor units of USD."""
    return f"{minor_units // 100}.{minor_units % 100:02}"


def main(target: str) -> None:
    """Pay 80.00, refund 30.00, refund the rest, and try once more."""
    run = uuid4().hex[:8]  # so that the example can run again
    buyer, shop = f"wallets/buyer-{run}", f"wallets/shop-{run}"
    with WalletClient(target) as client:
        for wallet in (buyer, shop):
            client.create_wallet(wallet.removeprefix("wallets/"), "USD")
        client.deposit(buyer, Amount("USD", 80_00))
        payment = client.transfer(buyer, shop, Amount("USD", 80_00), description="shoes").transaction.name

        for amount in (Amount("USD", 30_00), None):  # None: all that is left
            refund = client.reverse_transaction(payment, amount=amount, description="returned")
            now = client.get_transaction(payment)
            print(
                f"refunded {usd(refund.transaction.amount.minor_units)}, "
                f"{usd(now.reversed_amount.minor_units)} of {usd(now.amount.minor_units)} in all"
            )
        try:
            client.reverse_transaction(payment, amount=Amount("USD", 1))
        except CallFailed as refused:
            print(f"another refund: {refused.reason}")
        print(f"buyer has {usd(client.get_wallet(buyer).balance.minor_units)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
