"""Who may do what to which wallet."""

from collections.abc import Iterable
from dataclasses import dataclass

from wallet_core.domain.errors import PermissionMissing, SystemWalletForbidden
from wallet_core.domain.wallet import Wallet, WalletId, is_system, wallet_name

OWNER = "owner"
"""What is missing where a caller is confined to the wallets of one owner, and this is none of them, or none at all."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may reach by the calls that it may make."""

    owner: str | None = None
    """Confines the caller to this owner's wallets; None: all."""
    deposits: bool = True
    """Whether it may take a deposit back."""

    def require(self, wallets: Iterable[Wallet | None]) -> None:
        """Raise ``PermissionMissing`` unless all of them may be changed; one that is not there is nobody's."""
        for wallet in wallets:
            self.require_owner(wallet.owner if wallet is not None else None)

    def require_owner(self, owner: str | None) -> None:
        """Raise ``PermissionMissing`` unless this owner's wallets may be changed."""
        if self.owner is not None and owner != self.owner:
            raise PermissionMissing(OWNER)


EVERYTHING = Access()


def refuse_system_wallets(*wallets: WalletId) -> None:
    """Refuse a call that would change one of the service's own wallets, whether or not it exists."""
    for wallet in wallets:
        if is_system(wallet):
            raise SystemWalletForbidden(wallet_name(wallet))
