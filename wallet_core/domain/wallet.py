"""Wallets as *decide* sees them, and the service's own wallets."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from wallet_core.domain.money import INT64_MAX, Money

WalletId = NewType("WalletId", str)


class Role(StrEnum):
    """What a wallet is for."""

    ORDINARY = "ORDINARY"
    """A caller's."""
    EXTERNAL = "EXTERNAL"
    """The world outside; the only wallet without a floor."""
    IN_TRANSIT = "IN_TRANSIT"
    """Money on its way to the bank."""
    COMMISSION = "COMMISSION"
    """What the service has earned."""


class WalletState(StrEnum):
    """What may happen to the money in a wallet."""

    ACTIVE = "ACTIVE"
    """Money may come and go."""
    FROZEN = "FROZEN"
    """Money may come but not go."""
    CLOSED = "CLOSED"
    """Empty for good; nothing may come or go."""


SYSTEM_ROLES = (Role.EXTERNAL, Role.IN_TRANSIT, Role.COMMISSION)

# Above every key that the identity sequence will ever give, so that system wallets are locked last and shortest.
_SYSTEM_KEYS_FROM = 2**62


def wallet_name(wallet: WalletId) -> str:
    """Return the resource name of a wallet."""
    return f"wallets/{wallet}"


def system_wallet(role: Role, currency: str) -> WalletId:
    """Return the id of the service's wallet of a role in a currency: outside the grammar that callers may use."""
    return WalletId(f"system:{role.lower()}:{currency}")


def is_system(wallet: WalletId) -> bool:
    """Tell by its name whether a wallet is the service's own."""
    return wallet.startswith("system:")


def system_wallet_key(role: Role, currency: str) -> int:
    """Return the key of a system wallet: the currency's letters as a number, then the role."""
    number = 0
    for letter in currency:
        number = number * 26 + ord(letter) - ord("A")
    return _SYSTEM_KEYS_FROM + number * len(SYSTEM_ROLES) + SYSTEM_ROLES.index(role)


@dataclass(slots=True, kw_only=True)
class Wallet:
    """A wallet's row while it is locked. ``Books`` alone changes it."""

    key: int
    id: WalletId
    role: Role
    currency: str
    state: WalletState
    balance: int
    held: int
    overdraft_limit: int
    sequence: int
    last_time: datetime

    @property
    def name(self) -> str:
        """The resource name."""
        return wallet_name(self.id)

    @property
    def available(self) -> int:
        """What can be taken now, in minor units."""
        return self.balance - self.held + self.overdraft_limit

    def can_take(self, amount: int) -> bool:
        """Whether so many minor units more can still be counted."""
        return max(self.balance, self.available) + amount <= INT64_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWallet:
    """What a wallet is opened with, beside what ``Wallet`` says."""

    wallet: Wallet
    owner: str
    display_name: str

    def view(self) -> "WalletView":
        """Return it for showing, as it is the moment it is opened."""
        wallet = self.wallet
        return WalletView(
            id=wallet.id,
            currency=wallet.currency,
            owner=self.owner,
            display_name=self.display_name,
            state=wallet.state,
            balance=0,
            held=wallet.held,
            overdraft_limit=wallet.overdraft_limit,
            create_time=wallet.last_time,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """A wallet as it was read, for showing."""

    id: WalletId
    currency: str
    owner: str
    display_name: str
    state: WalletState
    balance: int
    held: int
    overdraft_limit: int
    create_time: datetime

    @property
    def available(self) -> Money:
        """What could be taken at that instant."""
        return Money(self.currency, self.balance - self.held + self.overdraft_limit)
