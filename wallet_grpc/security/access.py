"""Who may call what: the scopes, which of them each call takes, as the protos declare it, and who is calling."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from weakref import WeakKeyDictionary

import grpc

from wallet_core.domain.model.access import NOBODY, Access, Person, Right
from wallet_grpc.descriptors import CALLS, SCOPE_WORDS


class Scope(StrEnum):
    """What a caller may be allowed to do."""

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


SCOPES: Mapping[str, Scope | None] = MappingProxyType(
    {call.path: Scope(call.scope) if call.scope is not None else None for call in CALLS.values()}
)
"""The scope that each call takes, None where every known caller may make it. A call that is not here is nobody's."""

CONFINED = frozenset(scope for scope in Scope if not SCOPE_WORDS[scope])
"""What counts for a caller that is confined to one owner. The rest is about everybody, or is decided about owners."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: a system by the name that the settings give it, and what it may do."""

    caller: str
    scopes: frozenset[Scope]
    owner: str | None = None
    """Confines it to the wallets of this owner; None: all."""
    person: Person = NOBODY

    def __post_init__(self) -> None:
        """Leave out what does not count for a caller that is confined to an owner."""
        if self.owner is not None:
            object.__setattr__(self, "scopes", self.scopes & CONFINED)

    @property
    def sees_everything(self) -> bool:
        """Whether nothing has to be left out for it."""
        return self.owner is None and self.scopes >= _ALL_TO_SEE

    @property
    def access(self) -> Access:
        """What it may reach by the calls that it may make."""
        return Access(self.owner, frozenset(right for right in Right if right.value in self.scopes))


_ALL_TO_SEE = {Scope.WALLET_READ, Scope.OPERATIONS}

# Where nobody has to say who they are.
LOCAL = Principal("local", frozenset(Scope))

# For as long as their calls are under way.
_principals: WeakKeyDictionary[grpc.ServicerContext, Principal] = WeakKeyDictionary()


def remember(context: grpc.ServicerContext, principal: Principal) -> None:
    """Keep who is calling, for those who ask later in the same call."""
    _principals[context] = principal


def principal_of(context: grpc.ServicerContext) -> Principal:
    """Return who is calling; a defect where nobody has looked."""
    return _principals[context]


def is_known(context: grpc.ServicerContext) -> bool:
    """Tell whether it was found out who is calling."""
    return context in _principals
