"""The wallets that the demo and a first look need; seeding twice makes nothing twice."""

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from wallet_grpc.client import WalletClient, as_dict
from walletctl.output import Row

CURRENCY = "USD"
# The first wallet of a currency brings the service's own with it, the commission wallet among them.
SEEDED = ("wallets/alice", "wallets/bob", f"wallets/system:commission:{CURRENCY}")


def seed(client: WalletClient) -> Sequence[Row]:
    """Create alice and bob, unless they are there; return them and the commission wallet."""
    for wallet in ("alice", "bob"):
        # The same request id every time: a repeat returns the wallet that the first call made.
        request_id = str(uuid5(NAMESPACE_URL, f"walletctl/seed/{wallet}/{CURRENCY}"))
        client.create_wallet(
            wallet, CURRENCY, owner=f"{wallet}@example.com", display_name=wallet.title(), request_id=request_id
        )
    return [as_dict(wallet) for wallet in client.batch_get_wallets(list(SEEDED))]
