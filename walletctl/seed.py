"""The seed of the demo and of ``up``: two wallets and a commission rule; a second seeding changes nothing."""

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from wallet_client import Payer, WalletClient, as_dict
from walletctl.output import Row

CURRENCY = "USD"
# The first wallet of a currency creates the system wallets, the commission wallet among them.
SEEDED = ("wallets/alice", "wallets/bob", f"wallets/system:commission:{CURRENCY}")

# 10 % on top, of amounts of more than 1,000.00.
_RATE_MILLIONTHS = 100_000
_THRESHOLD_MINOR = 100_000


def seed(client: WalletClient) -> tuple[Sequence[Row], Row]:
    """Create alice, bob and the rule, unless they exist; return both and the commission wallet, and the rule."""
    for wallet in ("alice", "bob"):
        client.create_wallet(
            wallet, CURRENCY, owner=f"{wallet}@example.com", display_name=wallet.title(), request_id=_always(wallet)
        )
    rule = client.create_commission_rule(
        CURRENCY,
        Payer.SOURCE,
        threshold_minor_units=_THRESHOLD_MINOR,
        rate_millionths=_RATE_MILLIONTHS,
        request_id=_always("commission"),
    ).rule
    return [as_dict(wallet) for wallet in client.batch_get_wallets(list(SEEDED))], as_dict(rule)


def _always(what: str) -> str:
    """Return the same request id every time: a repeat returns the first result."""
    return str(uuid5(NAMESPACE_URL, f"walletctl/seed/{what}/{CURRENCY}"))
