"""The errors of the service.

A ``Refusal`` is a decision: it is final and recorded with its request, so that a repeat gets the same. A comment says
why, where one is not recorded.

A ``ServiceError`` means that no decision was made, or that it is not known which.

Fields are text and integers, because a recorded refusal is stored and read back, under names that ``stored_refusals``
has. The docstring is the default message.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar


class WalletError(Exception):
    """Base of all errors that a caller may get."""

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value}" for name, value in self.fields().items())
        first_line = (type(self).__doc__ or "").partition("\n")[0]
        return f"{first_line} ({details})" if details else first_line

    def fields(self) -> dict[str, str | int]:
        """Return what the error is about, by field name."""
        return {}


class Refusal(WalletError):
    """The service decided against it."""

    recorded: ClassVar[bool] = True
    item: int | None = None
    """In a batch, the index of the refused item, from 0."""
    replayed: bool = False
    """Whether it repeats the recorded refusal of the same request."""

    def fields(self) -> dict[str, str | int]:
        """Return what the refusal is about, by field name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]  # all are dataclasses
        return found if self.item is None else found | {"item": self.item}


@dataclass
class InvalidField(Refusal):
    """A field of the request is invalid."""

    recorded: ClassVar[bool] = False  # a repeat is as invalid as the first call
    field: str
    description: str


@dataclass
class FilterInvalid(Refusal):
    """The filter is not valid."""

    recorded: ClassVar[bool] = False  # only reads have filters
    position: int
    """The position in the filter, in characters from 0."""
    token: str
    """The text there; empty at the end."""
    description: str


@dataclass
class SystemWalletForbidden(Refusal):
    """A caller must not change a wallet of the service itself."""

    recorded: ClassVar[bool] = False  # refused before any record is looked up
    wallet: str


@dataclass
class PermissionMissing(Refusal):
    """The caller lacks a permission."""

    recorded: ClassVar[bool] = False  # rights change, and a request does not
    permission: str
    """The right that is missing; ``none`` where no right is enough."""


@dataclass
class RequestIdReused(Refusal):
    """The request id was used before, for another request."""

    recorded: ClassVar[bool] = False  # the id belongs to the first use
    request_id: str
    method: str
    resource: str


@dataclass
class ExternalReferenceReused(Refusal):
    """The external reference must be unique, and an earlier payment of the caller has it."""

    reference: str
    resource: str
    """The earlier payment."""


@dataclass
class ResourceNotFound(Refusal):
    """The resource does not exist."""

    resource: str


@dataclass
class ResourceExists(Refusal):
    """A resource with this name already exists."""

    resource: str


@dataclass
class CurrencyMismatch(Refusal):
    """The amount is not in the wallet's currency."""

    resource: str
    currency: str


@dataclass
class WalletNotActive(Refusal):
    """The wallet is frozen or closed."""

    resource: str
    state: str


@dataclass
class InsufficientFunds(Refusal):
    """The wallet's available balance is too low."""

    wallet: str
    currency: str
    available: int | None
    required: int | None
    """Both None for a caller that may not read the wallet."""


@dataclass
class LimitExceeded(Refusal):
    """A limit would be exceeded."""

    resource: str
    limit: int | None
    """None for a caller that may not read the wallet."""


@dataclass
class ServiceWalletFull(LimitExceeded):
    """A wallet of the service's own cannot be counted that far: no request is refused for good because of that."""

    recorded: ClassVar[bool] = False


class Because(StrEnum):
    """Why a change is not allowed, where the state alone does not show it."""

    NOT_SCHEDULED = "only a scheduled order can be cancelled"
    NOT_IN_PROGRESS = "only an order in progress or in doubt can be resolved"
    CALL_IN_FLIGHT = "a call to the bank may still be in flight"
    NO_UNAPPLIED_FUNDS = "it has no unapplied funds"
    BANK_SAYS_EXECUTED = "the bank statement shows it as executed"
    NOTHING_TO_ACKNOWLEDGE = "only an ended order that the bank statement does not confirm can be acknowledged"
    NO_DISCREPANCY = "only an open discrepancy can be resolved"
    STATEMENT_NOT_REPLACED = "the bank provides no other statement in its place"
    HOLD_ENDED = "the hold has ended"
    HOLD_TIME_OVER = "the hold has expired"
    NOT_REVERSIBLE = "only transfers and deposits can be reversed"
    NOTHING_LEFT = "all of it was reversed already"
    NOT_ACTIVE = "only an active wallet can be frozen"
    NOT_FROZEN = "only a frozen wallet can be unfrozen"
    CLOSED = "the wallet is closed"
    BALANCE = "the balance is not zero"
    STILL_OPEN = "is still open"
    """Follows the name of the open order or hold."""
    RULE_ENDED = "the rule has ended"
    WEBHOOK_DELETED = "the webhook is deleted"
    RULE_ENDS_EARLIER = "the rule ends earlier; its end can only be moved to an earlier time"


@dataclass
class StateTransitionForbidden(Refusal):
    """The state of the resource does not allow this."""

    resource: str
    state: str
    because: str = ""


@dataclass
class EtagMismatch(Refusal):
    """The resource has changed since it was read."""

    resource: str


@dataclass
class StaleClaim(Refusal):
    """The work was taken over by another worker, or is done."""

    recorded: ClassVar[bool] = False  # raised to workers, never to callers
    resource: str


class ServiceError(WalletError):
    """No decision was reached, or it is not known which."""


class DeadlineTooShort(ServiceError):
    """The deadline passed before the work began: this attempt did nothing."""


class OutcomeUnknown(ServiceError):
    """The deadline passed while the work was in progress: it may still be done."""


class ResultLost(ServiceError):
    """The work was done, now or by an earlier call, but its result could not be returned."""


class ServerOverloaded(ServiceError):
    """The server is at its limits: this attempt did nothing."""


class ServerDraining(ServiceError):
    """The server is shutting down; retry with the same request id: another server answers."""


class TransactionConflict(ServiceError):
    """Other work on the same wallets interfered: this attempt did nothing."""


class DatabaseUnavailable(ServiceError):
    """The database did not answer: the work may or may not be done."""


class DatabaseNotServing(DatabaseUnavailable):
    """The database cannot be reached, or cannot serve now: this attempt did nothing."""


@dataclass
class DatabaseNotReady(DatabaseNotServing):
    """This release cannot serve from the database as it is: this attempt did nothing."""

    because: str
    """For operators: what is wrong and what to do."""

    def __str__(self) -> str:
        return self.because


class ClockBehind(ServiceError):
    """The database's clock is behind what is in the books: this attempt did nothing."""

    recorded: ClassVar[bool] = False


class LedgerBroken(ServiceError):
    """A rule that must never fail has failed: nothing was stored."""


def cause_of(error: Exception) -> str:
    """Return an error with its first cause, for operators: e.g. the first line of the driver's message."""
    cause = error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    first_line = str(cause).strip().partition("\n")[0] if cause is not None else ""
    return f"{error} [{first_line}]" if first_line else str(error)
