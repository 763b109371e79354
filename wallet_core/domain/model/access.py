"""Authorization: owners, rights, and persons behind a calling system."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from wallet_core.domain.model.errors import PermissionMissing, SystemWalletForbidden
from wallet_core.domain.model.wallet import Role, Wallet, WalletId, is_system, role_of, wallet_name

OWNER = "owner"
"""The missing permission of a caller that is confined to one owner, on any wallet that is not this owner's."""


class Right(StrEnum):
    """Rights that some calls need beyond their scope, depending on the request or on the locked rows."""

    DEPOSIT = "money.deposit"
    """To reverse a deposit."""
    CREDIT = "wallet.credit"
    """To set an overdraft limit."""
    LABEL = "wallet.label"
    """To set labels, by which commission rules apply."""
    EVENTS = "events.read"
    """To send events to an endpoint."""
    READ = "wallet.read"
    """To see, in an event, what it shows of a wallet."""
    OPERATIONS = "operations"
    """To pay out earned commission, and to reverse a transaction out of a frozen wallet."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may do with the calls in its scopes."""

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
        """Raise ``PermissionMissing`` unless all of them may be changed; a wallet that does not exist may not."""
        for wallet in wallets:
            self.require_owner(wallet.owner if wallet is not None else None)

    def require_owner(self, owner: str | None) -> None:
        """Raise ``PermissionMissing`` unless this owner's wallets may be changed."""
        if self.owner is not None and owner != self.owner:
            raise PermissionMissing(OWNER)

    def require_source(self, wallet: WalletId) -> None:
        """Refuse to debit service wallets, except the commission wallet by operations."""
        if not (self.may(Right.OPERATIONS) and role_of(wallet) is Role.COMMISSION):
            refuse_system_wallets(wallet)


EVERYTHING = Access()


@dataclass(frozen=True, slots=True)
class Person:
    """The person who made a call, by its verified credentials: many persons may use one calling system."""

    name: str = ""
    """A token's `sub`, or the certificate's name; empty where neither says."""
    token_id: str = ""
    """A token's `jti`; empty where it has none."""


NOBODY = Person()


def refuse_system_wallets(*wallets: WalletId) -> None:
    """Refuse a call that would change a service wallet, whether or not it exists."""
    for wallet in wallets:
        if is_system(wallet):
            raise SystemWalletForbidden(wallet_name(wallet))
