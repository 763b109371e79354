"""A marketplace order: the buyer pays the seller, who bears the commission, and the courier, all or nothing."""

import sys
from uuid import uuid4

from wallet_client import Amount, Payer, TransferItem, WalletClient, new_request_id


def usd(minor_units: int) -> str:
    """Format minor units of USD."""
    return f"{minor_units // 100}.{minor_units % 100:02}"


def main(target: str) -> None:
    """Split one order among seller, courier and marketplace."""
    run = uuid4().hex[:8]  # so that the example can run again
    buyer, seller, courier = (f"wallets/{name}-{run}" for name in ("buyer", "seller", "courier"))
    with WalletClient(target) as client:
        for wallet in (buyer, courier):
            client.create_wallet(wallet.removeprefix("wallets/"), "USD")
        client.create_wallet(seller.removeprefix("wallets/"), "USD", labels={"market": run})
        client.deposit(buyer, Amount("USD", 200_00))

        # Wallets with the label market=… pay 10 % of what they get. Created once, by the marketplace's operator.
        client.create_commission_rule("USD", Payer.DESTINATION, rate_millionths=100_000, label=("market", run))
        quote = client.quote_commission(buyer, seller, Amount("USD", 100_00))
        print(f"the seller of an order of 100.00 will pay {usd(quote.commission.amount.minor_units)}")

        order = new_request_id()  # store it with the order: a repeat pays nothing twice
        items = [
            TransferItem(source=buyer, destination=seller, amount=Amount("USD", 100_00), description="order 17"),
            TransferItem(source=buyer, destination=courier, amount=Amount("USD", 5_00), description="delivery"),
        ]
        client.batch_transfer(items, atomic=True, request_id=order)
        client.batch_transfer(items, atomic=True, request_id=order)

        for after in client.batch_get_wallets([buyer, seller, courier]):
            name = after.name.removeprefix("wallets/").removesuffix(f"-{run}")
            print(f"{name:8}{usd(after.balance.minor_units):>8}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
