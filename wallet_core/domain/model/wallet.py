"""Wallets, and the service wallets of each currency."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from wallet_core.domain.model.money import INT64_MAX, INT64_MIN, Money

WalletId = NewType("WalletId", str)

# Key-value pairs that callers set, for themselves and for commission rules.
Labels = Mapping[str, str]


class Role(StrEnum):
    """The role of a wallet."""

    ORDINARY = "ORDINARY"
    """A caller's wallet."""
    EXTERNAL = "EXTERNAL"
    """The money outside the service; the only wallet without a lower limit."""
    IN_TRANSIT = "IN_TRANSIT"
    """Money in transit between wallets and the bank."""
    COMMISSION = "COMMISSION"
    """Earned commission."""


class WalletState(StrEnum):
    """The state of a wallet."""

    ACTIVE = "ACTIVE"
    """Credits and debits are allowed."""
    FROZEN = "FROZEN"
    """Credits are allowed, debits are not."""
    CLOSED = "CLOSED"
    """Empty for good: no credits and no debits."""


SYSTEM_ROLES = (Role.EXTERNAL, Role.IN_TRANSIT, Role.COMMISSION)

# Above every key of the sequence, so that service wallets are locked last and for the shortest time.
SYSTEM_KEYS_FROM = 2**62


def wallet_name(wallet: WalletId) -> str:
    """Return the resource name of a wallet."""
    return f"wallets/{wallet}"


def system_wallet(role: Role, currency: str) -> WalletId:
    """Return the id of a service wallet, which no caller's wallet can have."""
    return WalletId(f"system:{role.lower()}:{currency}")


def is_system(wallet: WalletId) -> bool:
    """Return whether an id is that of a service wallet."""
    return wallet.startswith("system:")


def role_of(wallet: WalletId) -> Role | None:
    """Return the role of a wallet by its id, whether or not it exists; None where the id names no role."""
    if not is_system(wallet):
        return Role.ORDINARY
    name = wallet.split(":")[1].upper()
    return next((role for role in SYSTEM_ROLES if role == name), None)


def system_wallet_key(role: Role, currency: str) -> int:
    """Return the key of a service wallet: the currency's letters as a number, then the role."""
    number = 0
    for letter in currency:
        number = number * 26 + ord(letter) - ord("A")
    return SYSTEM_KEYS_FROM + number * len(SYSTEM_ROLES) + SYSTEM_ROLES.index(role)


@dataclass(slots=True, kw_only=True)
class Wallet:
    """A wallet's row while it is locked. ``apply`` alone changes it."""

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
        """What may be debited now, in minor units."""
        return self.balance - self.held + self.overdraft_limit

    def can_take(self, amount: int) -> bool:
        """Whether a credit of *amount* stays within 64 bits, also after all holds have ended."""
        return self.balance + self.overdraft_limit + amount <= INT64_MAX

    def can_give(self, amount: int) -> bool:
        """Whether a debit of *amount* stays within 64 bits, whatever is available."""
        return self.balance - amount >= INT64_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletDetails:
    """Details that decide nothing about money, read only where they are returned or changed."""

    display_name: str
    create_time: datetime
    revision: int = 1
    """Counts the changes of everything but the balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """A wallet as it was read, for callers."""

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
        """What could be debited at that instant."""
        return Money(self.currency, self.balance - self.held + self.overdraft_limit)

    @property
    def etag(self) -> str:
        """Identifies the revision, which counts the changes of everything but the balance."""
        return etag_of(self.revision)


def etag_of(revision: int) -> str:
    """Return the etag of a wallet at a revision."""
    return f'"{revision}"'


def view_of(wallet: Wallet, details: WalletDetails) -> WalletView:
    """Return a locked wallet as callers read it."""
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
