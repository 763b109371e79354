"""Who may do what to which wallet."""

from wallet_core.domain.errors import SystemWalletForbidden
from wallet_core.domain.wallet import WalletId, is_system, wallet_name


def refuse_system_wallets(*wallets: WalletId) -> None:
    """Refuse a call that would change one of the service's own wallets, whether or not it exists."""
    for wallet in wallets:
        if is_system(wallet):
            raise SystemWalletForbidden(wallet_name(wallet))
