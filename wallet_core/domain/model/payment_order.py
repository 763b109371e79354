"""Payment orders: withdrawals and scheduled deposits, as far as both are alike.

Their states and transitions, their attempts at the bank, and the policy of retries.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.model.access import NOBODY, Person
from wallet_core.domain.model.bank import AnswerKind, Payment
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId


class OrderState(StrEnum):
    """The state of an order."""

    SCHEDULED = "SCHEDULED"
    """Not due yet; no money has moved."""
    PROCESSING = "PROCESSING"
    """The bank is being called; a withdrawal's money is in transit."""
    IN_DOUBT = "IN_DOUBT"
    """The bank may or may not have executed it."""
    SUCCEEDED = "SUCCEEDED"
    """The bank has executed it; a scheduled deposit is credited."""
    FAILED = "FAILED"
    """The bank has not executed it and will not; the wallet has its money again."""
    CANCELLED = "CANCELLED"
    """Cancelled before its time; no money moved."""
    RETURNED = "RETURNED"
    """The bank paid and later gave the money back."""


# States in which the bank has executed it.
DONE_STATES = frozenset({OrderState.SUCCEEDED, OrderState.RETURNED})
# States that are not final. After a final one, only a return by the bank can follow.
OPEN_STATES = frozenset({OrderState.SCHEDULED, OrderState.PROCESSING, OrderState.IN_DOUBT})
FINAL_STATES = frozenset(OrderState) - OPEN_STATES

# docs/concepts/payouts.md has the same steps, and a CHECK of the database the same states; tests keep them equal.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.SCHEDULED: frozenset(
        {OrderState.PROCESSING, OrderState.IN_DOUBT, OrderState.FAILED, OrderState.CANCELLED}
    ),
    OrderState.PROCESSING: frozenset({OrderState.SUCCEEDED, OrderState.FAILED, OrderState.IN_DOUBT}),
    OrderState.IN_DOUBT: frozenset({OrderState.SUCCEEDED, OrderState.FAILED}),
    OrderState.SUCCEEDED: frozenset({OrderState.RETURNED}),
    OrderState.FAILED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.RETURNED: frozenset(),
}

# A collection has no return: a payer's claim on it is settled between people.
COLLECTION_TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    before: after - {OrderState.RETURNED} for before, after in TRANSITIONS.items() if before is not OrderState.RETURNED
}

# A deposit that is not collected has no state between before and after.
CREDIT_TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.SCHEDULED: frozenset({OrderState.SUCCEEDED, OrderState.FAILED, OrderState.CANCELLED}),
    OrderState.SUCCEEDED: frozenset(),
    OrderState.FAILED: frozenset(),
    OrderState.CANCELLED: frozenset(),
}


class FailureReason(StrEnum):
    """Why an order failed."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    """The wallet had too little available when the order was due; the bank was not called."""
    WALLET_NOT_ACTIVE = "WALLET_NOT_ACTIVE"
    """The wallet was frozen or closed when the order was due; the bank was not called."""
    BANK_DECLINED = "BANK_DECLINED"
    """The bank declined it for good."""
    ATTEMPTS_EXHAUSTED = "ATTEMPTS_EXHAUSTED"
    """The bank declined the last attempt, each time retryably."""
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    """The credit would have taken a balance out of 64 bits."""
    RESOLVED = "RESOLVED"
    """An operator found out that the bank did not execute it."""


class OrderKind(StrEnum):
    """The kind of an order; its value is the first part of resource names."""

    WITHDRAWAL = "withdrawals"
    """Pay money out of a wallet."""
    SCHEDULED_DEPOSIT = "scheduledDeposits"
    """Credit money to a wallet."""


# The bank's own records show what a key is for.
_KEY_PREFIX = {OrderKind.WITHDRAWAL: "wd", OrderKind.SCHEDULED_DEPOSIT: "sd"}


def order_id(caller: str, request_id: UUID) -> UUID:
    """Return the id of the order that a request makes: it follows from the request alone.

    So does the key for the bank: after a restore, or a failover to a standby that was behind, a repeat of the request
    reaches the bank with the same key. A UUIDv8 that begins like the request's id: where that is a UUIDv7, orders of
    one time are together in an index.
    """
    digest = hashlib.blake2b(f"{request_id}\n{caller}".encode(), digest_size=16).digest()
    made = bytearray(request_id.bytes[:6] + digest[6:])
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    return UUID(bytes=bytes(made))


def order_name(kind: OrderKind, order: UUID) -> str:
    """Return the resource name of an order."""
    return f"{kind}/{order}"


def bank_key(kind: OrderKind, order: UUID) -> str:
    """Return the idempotency key for the bank, the same for all attempts of an order."""
    return f"{_KEY_PREFIX[kind]}-{order}"


def order_of_key(key: str) -> tuple[OrderKind, UUID] | None:
    """Return the order that has this key, None where the key is not one of ours."""
    for kind, prefix in _KEY_PREFIX.items():
        head, _, id_ = key.partition("-")
        if head == prefix:
            try:
                order = UUID(id_)
            except ValueError:
                return None
            return (kind, order) if bank_key(kind, order) == key else None
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to the bank, recorded before it is made. Without an answer the bank may have executed the payment."""

    number: int
    key: str
    start_time: datetime
    in_flight_until: datetime
    """Until when the call may reach the bank, by the settings of the process that makes it."""
    is_resend: bool = False
    """Whether the bank did not know the key after every earlier call had ended."""
    request: str = ""
    """The request as it is stored: of the account only the last characters."""
    answer: AnswerKind | None = None
    reference: str = ""
    detail: str = ""
    """The answer as it is stored."""

    @property
    def may_have_paid(self) -> bool:
        """Whether the bank may have paid on this attempt, as far as is known."""
        return self.answer in {None, AnswerKind.UNKNOWN}

    @property
    def counts(self) -> bool:
        """Whether the bank may have got the request."""
        return self.answer is not AnswerKind.NOT_SENT


class ResolutionKind(StrEnum):
    """An operator's finding about an order, or decision about its money."""

    EXECUTED = "EXECUTED"
    """The bank executed it."""
    NOT_EXECUTED = "NOT_EXECUTED"
    """The bank did not execute it and will not."""
    APPLIED_TO_WALLET = "APPLIED_TO_WALLET"
    """Unapplied funds are credited to a wallet."""
    ACKNOWLEDGED = "ACKNOWLEDGED"
    """An operator has looked into an end that the bank contradicts or does not confirm; nothing moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """An operator's decision, stored for ever with its reason."""

    kind: ResolutionKind
    reason: str
    bank_evidence: str
    """The bank's evidence that the operator names; empty without any."""
    operator: str
    """The system that made the call."""
    time: datetime
    person: Person = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOrder(ABC):
    """What both kinds have in common. Its wallet's lock protects it."""

    kind: ClassVar[OrderKind]

    id: UUID
    wallet: WalletId
    amount: Money
    bank_account: str
    description: str
    execute_time: datetime
    create_time: datetime
    update_time: datetime
    state: OrderState = OrderState.SCHEDULED
    next_attempt_time: datetime | None
    lease_until: datetime | None = None
    fence: int = 0
    inquiries: int = 0
    bank_reference: str = ""
    failure_reason: FailureReason | None = None
    attention: str = ""
    unapplied: bool = False
    """Whether money of it could not be credited and is in transit, for an operator."""
    reconciled: bool = False
    """Whether the bank statement confirms it, or an operator has acknowledged that it does not."""
    caller: str = ""
    """The calling system that requested it."""
    attempts: tuple[Attempt, ...] = ()
    resolutions: tuple[Resolution, ...] = ()

    @property
    @abstractmethod
    def held(self) -> int:
        """What it reserves of its wallet now, in minor units."""

    @property
    def asks_bank(self) -> bool:
        """Whether the bank executes it."""
        return True

    @property
    def transitions(self) -> Mapping[OrderState, frozenset[OrderState]]:
        """The allowed transitions."""
        return TRANSITIONS

    @property
    def name(self) -> str:
        """The resource name."""
        return order_name(self.kind, self.id)

    @property
    def key(self) -> str:
        """The idempotency key for the bank."""
        return bank_key(self.kind, self.id)

    @property
    def attempts_counted(self) -> int:
        """How many attempts may have reached the bank."""
        return sum(attempt.counts for attempt in self.attempts)

    @property
    def resends(self) -> int:
        """How often it was sent again because the bank did not know the key."""
        return sum(attempt.is_resend and attempt.counts for attempt in self.attempts)

    @property
    def may_have_paid(self) -> bool:
        """Whether the bank may have paid on any attempt, as far as is known."""
        return any(attempt.may_have_paid for attempt in self.attempts)

    @property
    def final(self) -> bool:
        """Whether its state is final."""
        return self.state in FINAL_STATES

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt without an answer."""
        return next((attempt for attempt in self.attempts if attempt.answer is None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal(PaymentOrder):
    """Money to be paid out through the bank at a time."""

    kind: ClassVar[OrderKind] = OrderKind.WITHDRAWAL

    reserve: bool = False
    """Whether its amount is held from the time of scheduling."""

    @property
    def held(self) -> int:
        """What it reserves of its wallet now, in minor units."""
        return self.amount.minor if self.reserve and self.state is OrderState.SCHEDULED else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledDeposit(PaymentOrder):
    """Money to be credited at a time, collected from the bank first where *collect* is set."""

    kind: ClassVar[OrderKind] = OrderKind.SCHEDULED_DEPOSIT

    collect: bool = False
    external_reference: str = ""
    credit: UUID | None = None
    """The transaction that credited it."""

    @property
    def held(self) -> int:
        """Nothing: it only credits."""
        return 0

    @property
    def asks_bank(self) -> bool:
        """Whether the bank collects it."""
        return self.collect

    @property
    def transitions(self) -> Mapping[OrderState, frozenset[OrderState]]:
        """The allowed transitions."""
        return COLLECTION_TRANSITIONS if self.collect else CREDIT_TRANSITIONS


def event_of(order: PaymentOrder, event: str | None = None) -> EventType:
    """Return the event of an order: the one of its state, or another one by name."""
    kind = "withdrawal" if order.kind is OrderKind.WITHDRAWAL else "scheduled_deposit"
    return EventType(f"{kind}.{event or order.state.lower()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on one order until the lease runs out, proved by the fence."""

    kind: OrderKind
    order: UUID
    fence: int
    state: OrderState
    wallet: WalletId
    owner: str
    amount: Money
    bank_account: str

    @property
    def payment(self) -> Payment:
        """The payment or collection that is requested from the bank: the same on every attempt."""
        return Payment(
            key=bank_key(self.kind, self.order),
            amount=self.amount,
            account=self.bank_account,
            owner=self.owner or self.wallet,
            collect=self.kind is OrderKind.SCHEDULED_DEPOSIT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPolicy:
    """How often and when the bank is called. Values come from the settings, which explain them."""

    attempts_max: int
    resends_max: int
    backoff_first: timedelta
    backoff_max: timedelta
    retry_after_max: timedelta
    lease: timedelta
    grace: timedelta
    bank_key_retention: timedelta
    attention_after: timedelta

    def backoff(self, times: int, jitter: float) -> timedelta:
        """Return how long to wait after *times* tries: exponential, with full jitter (*jitter* is in [0, 1))."""
        longest: timedelta = self.backoff_first * (1 << max(0, min(times, 30)))
        return min(self.backoff_max, longest) * jitter
