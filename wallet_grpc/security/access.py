"""Scopes, the scope that each call requires (from the protos), and the authenticated caller of a call."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from weakref import WeakKeyDictionary

import grpc

from wallet_core.domain.model.access import NOBODY, Access, Person, Right
from wallet_grpc.descriptors import CALLS, SCOPE_WORDS


class Scope(StrEnum):
    """A permission of a caller."""

    WALLET_READ = "wallet.read"
    WALLET_WRITE = "wallet.write"
    WALLET_CREDIT = "wallet.credit"
    WALLET_LABEL = "wallet.label"
    WALLET_FREEZE = "wallet.freeze"
    MONEY_DEPOSIT = "money.deposit"
    MONEY_TRANSFER = "money.transfer"
    MONEY_WITHDRAW = "money.withdraw"
    MONEY_HOLD = "money.hold"
    COMMISSION_WRITE = "commission.write"
    EVENTS_READ = "events.read"
    OPERATIONS = "operations"
    WEBHOOKS_READ = "webhooks.read"
    WEBHOOKS_WRITE = "webhooks.write"
    AUDIT = "audit"


SCOPES: Mapping[str, Scope | None] = MappingProxyType(
    {call.path: Scope(call.scope) if call.scope is not None else None for call in CALLS.values()}
)
"""The scope that each call requires; None: every authenticated caller. A call that is missing here is denied."""

CONFINED = frozenset(scope for scope in Scope if not SCOPE_WORDS[scope])
"""The scopes that are effective for a caller that is confined to one owner."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: a system, by its name in the settings, with its scopes."""

    caller: str
    scopes: frozenset[Scope]
    owner: str | None = None
    """Confines it to the wallets of this owner; None: to none."""
    person: Person = NOBODY

    def __post_init__(self) -> None:
        """Remove the scopes that have no effect for a caller that is confined to an owner."""
        if self.owner is not None:
            object.__setattr__(self, "scopes", self.scopes & CONFINED)

    @property
    def sees_everything(self) -> bool:
        """Whether no response has to be redacted for it."""
        return self.owner is None and self.scopes >= _ALL_TO_SEE

    @property
    def access(self) -> Access:
        """Its access to wallets, for the domain."""
        return Access(self.owner, frozenset(right for right in Right if right.value in self.scopes))


_ALL_TO_SEE = {Scope.WALLET_READ, Scope.OPERATIONS}

# The caller where authentication is off.
LOCAL = Principal("local", frozenset(Scope))

# Kept while their calls are in progress.
_principals: WeakKeyDictionary[grpc.ServicerContext, Principal] = WeakKeyDictionary()


def remember(context: grpc.ServicerContext, principal: Principal) -> None:
    """Store the authenticated caller of a call."""
    _principals[context] = principal


def principal_of(context: grpc.ServicerContext) -> Principal:
    """Return the authenticated caller; a defect before authentication."""
    return _principals[context]


def is_known(context: grpc.ServicerContext) -> bool:
    """Return whether the caller was authenticated."""
    return context in _principals
