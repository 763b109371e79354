"""A command: what a caller or a job asks, as a value that knows which rows it needs and how it decides."""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from wallet_core.domain.errors import Refusal
from wallet_core.domain.money import Money
from wallet_core.domain.transaction import Movement, Transaction
from wallet_core.domain.wallet import NewWallet, WalletId, WalletView
from wallet_core.domain.withdrawal import Attempt, Withdrawal

if TYPE_CHECKING:
    from wallet_core.domain.books import Books

# Part of every fingerprint: raise it when the canonical form changes, and keep reading the old one.
_FINGERPRINT_VERSION = 1

# What a caller did not ask for: who asks, under which id, and ids that we made up.
_NOT_ASKED = frozenset({"request", "validate_only", "id"})


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's promise that all calls with this id ask for the same thing."""

    caller: str
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The rows that a command decides on. A withdrawal brings its wallet."""

    wallets: frozenset[WalletId] = frozenset()
    withdrawals: frozenset[UUID] = frozenset()
    new_wallets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A yes, before it is booked: what moves, what opens, what changes."""

    subject: str
    """The resource that the answer is about."""
    movement: Movement | None = None
    available_of: WalletId | None = None
    """The wallet whose available balance the caller is told."""
    opens: tuple[NewWallet, ...] = ()
    """The wallet asked for comes last, after the service's own that it needs."""
    withdrawal: Withdrawal | None = None
    """A withdrawal that is new or has changed."""
    attempt: Attempt | None = None
    """An attempt of that withdrawal that is new or has been answered."""
    fact: str | None = None
    """What others are told, e.g. ``withdrawal.scheduled``; a movement tells itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A yes, booked. A replayed one carries only its subject: the first one's result is read again."""

    subject: str
    transaction: Transaction | None = None
    available: int | None = None
    """In minor units, of the wallet that the decision named."""
    opened: WalletView | None = None
    withdrawal: Withdrawal | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A no."""

    refusal: Refusal


Outcome = Done | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(ABC):
    """Something to be decided on locked rows."""

    method: ClassVar[str]

    request: Request | None = None
    """None for the service's own jobs: state and fence guard them."""
    validate_only: bool = False

    @abstractmethod
    def needs(self) -> Needs:
        """Say which rows to lock and read before deciding."""

    def permit(self) -> None:  # noqa: B027  # most commands are permitted to all who may call
        """Raise if the caller may not ask this at all; asked before anything is looked up."""

    @abstractmethod
    def decide(self, books: "Books") -> Decision:
        """Decide, changing nothing; raise a ``Refusal`` to say no."""


def fingerprint(command: Command) -> bytes:
    """Return 16 bytes that are the same for two commands exactly if they ask for the same thing."""
    asked = [[f.name, _canonical(getattr(command, f.name))] for f in fields(command) if f.name not in _NOT_ASKED]
    text = json.dumps([_FINGERPRINT_VERSION, command.method, asked], separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _canonical(value: object) -> object:
    """Return a form that JSON writes in one way only; unset stays unset."""
    match value:
        case None | str() | int() | bool():
            return value
        case Money(currency, minor):
            return [currency, minor]
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case _:
            message = f"no canonical form for {type(value).__name__}"
            raise TypeError(message)
