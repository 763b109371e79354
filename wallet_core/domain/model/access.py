"""Who may do what to which wallet."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from wallet_core.domain.model.errors import PermissionMissing, SystemWalletForbidden
from wallet_core.domain.model.wallet import Role, Wallet, WalletId, is_system, role_of, wallet_name

OWNER = "owner"
"""What is missing where a caller is confined to the wallets of one owner, and this is none of them, or none at all."""


class Right(StrEnum):
    """What some calls take beyond their own scope, seen only from the request or from the locked rows."""

    DEPOSIT = "money.deposit"
    """To take a deposit back."""
    CREDIT = "wallet.credit"
    """To say how far below zero a wallet may go."""
    LABEL = "wallet.label"
    """To say which labels a wallet has: commission rules go by them."""
    OPERATIONS = "operations"
    """To take out what the service has earned, and to take money back from a frozen wallet."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may reach by the calls that it may make."""

    owner: str | None = None
    """Confines the caller to this owner's wallets; None: all."""
    rights: frozenset[Right] = frozenset(Right)

    def may(self, right: Right) -> bool:
        """Whether the caller has this right."""
        return right in self.rights

    def require_right(self, right: Right) -> None:
        """Raise ``PermissionMissing`` unless the caller has this right."""
        if right not in self.rights:
            raise PermissionMissing(right.value)

    def require(self, wallets: Iterable[Wallet | None]) -> None:
        """Raise ``PermissionMissing`` unless all of them may be changed; one that is not there is nobody's."""
        for wallet in wallets:
            self.require_owner(wallet.owner if wallet is not None else None)

    def require_owner(self, owner: str | None) -> None:
        """Raise ``PermissionMissing`` unless this owner's wallets may be changed."""
        if self.owner is not None and owner != self.owner:
            raise PermissionMissing(OWNER)

    def require_source(self, wallet: WalletId) -> None:
        """Refuse to take money out of one of the service's own wallets, but for what it has earned, by operations."""
        if not (self.may(Right.OPERATIONS) and role_of(wallet) is Role.COMMISSION):
            refuse_system_wallets(wallet)


EVERYTHING = Access()


@dataclass(frozen=True, slots=True)
class Person:
    """Who made a call, as its verified credentials say: behind the name of a system there may be many."""

    name: str = ""
    """A token's `sub`, or the certificate's name; empty where neither says."""
    token_id: str = ""
    """A token's `jti`; empty where it has none."""


NOBODY = Person()


def refuse_system_wallets(*wallets: WalletId) -> None:
    """Refuse a call that would change one of the service's own wallets, whether or not it exists."""
    for wallet in wallets:
        if is_system(wallet):
            raise SystemWalletForbidden(wallet_name(wallet))
