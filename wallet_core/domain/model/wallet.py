"""Wallets as *decide* sees them, and the service's own wallets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from wallet_core.domain.model.money import INT64_MAX, INT64_MIN, Money

WalletId = NewType("WalletId", str)

# What callers have marked something with, for themselves and for rules.
Labels = Mapping[str, str]


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
SYSTEM_KEYS_FROM = 2**62


def wallet_name(wallet: WalletId) -> str:
    """Return the resource name of a wallet."""
    return f"wallets/{wallet}"


def system_wallet(role: Role, currency: str) -> WalletId:
    """Return the id of the service's wallet of a role in a currency: outside the grammar that callers may use."""
    return WalletId(f"system:{role.lower()}:{currency}")


def is_system(wallet: WalletId) -> bool:
    """Tell by its name whether a wallet is the service's own."""
    return wallet.startswith("system:")


def role_of(wallet: WalletId) -> Role | None:
    """Tell by its name what a wallet is for, whether or not it exists; None where there is no such role."""
    if not is_system(wallet):
        return Role.ORDINARY
    name = wallet.split(":")[1].upper()
    return next((role for role in SYSTEM_ROLES if role == name), None)


def system_wallet_key(role: Role, currency: str) -> int:
    """Return the key of a system wallet: the currency's letters as a number, then the role."""
    number = 0
    for letter in currency:
        number = number * 26 + ord(letter) - ord("A")
    return SYSTEM_KEYS_FROM + number * len(SYSTEM_ROLES) + SYSTEM_ROLES.index(role)


@dataclass(slots=True, kw_only=True)
class Wallet:
    """A wallet's row while it is locked. ``LedgerState`` alone changes it."""

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
    owner: str = ""
    labels: Labels = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The resource name."""
        return wallet_name(self.id)

    @property
    def available(self) -> int:
        """What can be taken now, in minor units."""
        return self.balance - self.held + self.overdraft_limit

    def can_take(self, amount: int) -> bool:
        """Whether so many minor units more can still be counted, also once nothing is held any more."""
        return self.balance + self.overdraft_limit + amount <= INT64_MAX

    def can_give(self, amount: int) -> bool:
        """Whether so many minor units fewer can still be counted; whether they are there is another question."""
        return self.balance - amount >= INT64_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletDetails:
    """What decides nothing about money, and is read only where it is shown or changed."""

    display_name: str
    create_time: datetime
    revision: int = 1
    """Counts the changes of anything but the balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """A wallet as it was read, for showing."""

    id: WalletId
    currency: str
    owner: str
    display_name: str
    labels: Labels
    state: WalletState
    balance: int
    held: int
    overdraft_limit: int
    create_time: datetime
    revision: int

    @property
    def name(self) -> str:
        """The resource name."""
        return wallet_name(self.id)

    @property
    def available(self) -> Money:
        """What could be taken at that instant."""
        return Money(self.currency, self.balance - self.held + self.overdraft_limit)

    @property
    def etag(self) -> str:
        """Names this state of all but the balance."""
        return etag_of(self.revision)


def etag_of(revision: int) -> str:
    """Return the etag of a wallet at a revision."""
    return f'"{revision}"'


def view_of(wallet: Wallet, details: WalletDetails) -> WalletView:
    """Return a locked wallet for showing."""
    return WalletView(
        id=wallet.id,
        currency=wallet.currency,
        owner=wallet.owner,
        display_name=details.display_name,
        labels=dict(wallet.labels),
        state=wallet.state,
        balance=wallet.balance,
        held=wallet.held,
        overdraft_limit=wallet.overdraft_limit,
        create_time=details.create_time,
        revision=details.revision,
    )
