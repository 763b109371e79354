"""Payroll as a batch: each salary by itself, so that one closed wallet does not stop the others; then a safe repeat."""

import sys
from uuid import uuid4

from wallet_client import Amount, OutcomeUnknown, TransferItem, WalletClient, item_failed, new_request_id


def usd(minor_units: int) -> str:
    """Format minor units of USD."""
    return f"{minor_units // 100}.{minor_units % 100:02}"


def main(target: str) -> None:
    """Pay three salaries, one of which is refused, and repeat the whole file."""
    run = uuid4().hex[:8]  # so that the example can run again
    company = f"wallets/company-{run}"
    people = {name: f"wallets/{name}-{run}" for name in ("ada", "grace", "linus")}
    with WalletClient(target) as client:
        for wallet in (company, *people.values()):
            client.create_wallet(wallet.removeprefix("wallets/"), "USD")
        client.deposit(company, Amount("USD", 3_000_00))
        client.close_wallet(people["linus"])

        salaries = [  # the ids are stored with the payroll, so that a repeat pays each salary once
            TransferItem(source=company, destination=wallet, amount=Amount("USD", 900_00), request_id=new_request_id())
            for wallet in people.values()
        ]
        for attempt in ("first", "repeat"):
            response = client.batch_transfer(salaries, atomic=False)
            for name, item, result in zip(people, salaries, response.results, strict=True):
                failed = item_failed(result, item.request_id)
                if isinstance(failed, OutcomeUnknown):
                    outcome = "unknown: repeat"
                elif failed is not None:
                    outcome = failed.reason
                else:
                    outcome = "paid before" if result.replayed else "paid"
                print(f"{attempt:7} {name:6} {outcome}")
        print(f"company has {usd(client.get_wallet(company).balance.minor_units)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
