"""Orders: withdrawals and scheduled deposits, where both are treated alike.

Their life as one table of states, their attempts at the bank, and the policy that paces them.
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
    """Where an order is in its life."""

    SCHEDULED = "SCHEDULED"
    """Waiting for its time; no money has moved."""
    PROCESSING = "PROCESSING"
    """The bank is being asked; a withdrawal's money has left its wallet."""
    IN_DOUBT = "IN_DOUBT"
    """The bank may or may not have done it."""
    SUCCEEDED = "SUCCEEDED"
    """The bank did it; a scheduled deposit is in its wallet."""
    FAILED = "FAILED"
    """The bank did not do it and will not; the wallet has what it had."""
    CANCELLED = "CANCELLED"
    """Cancelled before its time; no money moved."""
    RETURNED = "RETURNED"
    """The bank paid and later gave the money back."""


# States in which the bank has done it.
DONE_STATES = frozenset({OrderState.SUCCEEDED, OrderState.RETURNED})
# States in which something is still to be done; in all others only the bank's own return can follow.
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

# What was collected is not returned: the bank would collect it back, which is for people to agree on.
COLLECTION_TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    before: after - {OrderState.RETURNED} for before, after in TRANSITIONS.items() if before is not OrderState.RETURNED
}

# A deposit that nobody is asked for knows only before and after.
CREDIT_TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.SCHEDULED: frozenset({OrderState.SUCCEEDED, OrderState.FAILED, OrderState.CANCELLED}),
    OrderState.SUCCEEDED: frozenset(),
    OrderState.FAILED: frozenset(),
    OrderState.CANCELLED: frozenset(),
}


class FailureReason(StrEnum):
    """Why an order failed."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    """The wallet had too little when the time came; the bank was not asked."""
    WALLET_NOT_ACTIVE = "WALLET_NOT_ACTIVE"
    """The wallet was frozen or closed when the time came; the bank was not asked."""
    BANK_REFUSED = "BANK_REFUSED"
    """The bank said no for good."""
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    """The bank said "not now" as often as it is asked."""
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    """The wallet was too full to be credited when the time came."""
    RESOLVED = "RESOLVED"
    """An operator found out that the bank did not do it."""


class OrderKind(StrEnum):
    """What is ordered; the value is the collection that its names begin with."""

    WITHDRAWAL = "withdrawals"
    """Pay money out of a wallet."""
    SCHEDULED_DEPOSIT = "scheduledDeposits"
    """Credit money to a wallet."""


# So that the bank's own books tell what a key is for.
_KEY_PREFIX = {OrderKind.WITHDRAWAL: "wd", OrderKind.SCHEDULED_DEPOSIT: "sd"}


def order_id(caller: str, request_id: UUID) -> UUID:
    """Return the id of the order that a request asks for: it follows from the request alone.

    So the bank's key does too: after a restore, or a failover to a standby that was behind, a repeat of the same
    request reaches the bank with the same key. A UUIDv8 that begins like the request's id: where those are UUIDv7,
    what was asked for together lies together in an index.
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
    """Return the idempotency key that the bank gets for an order, the same for all its attempts."""
    return f"{_KEY_PREFIX[kind]}-{order}"


def order_of_key(key: str) -> tuple[OrderKind, UUID] | None:
    """Return the order that has this key, None where it is none of ours."""
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
    """One call to the bank, recorded before it is made; without an answer the bank may have done what was asked."""

    number: int
    key: str
    start_time: datetime
    in_flight_until: datetime
    """Until when the call may still be on its way, by who makes it: its settings may be others than a reader's."""
    is_resend: bool = False
    """Whether the bank did not know the key when it was asked after every earlier call had ended."""
    request: str = ""
    """What was asked, as it is kept: without the whole account."""
    answer: AnswerKind | None = None
    reference: str = ""
    detail: str = ""
    """What was answered, as it is kept."""

    @property
    def may_have_paid(self) -> bool:
        """Whether the bank may have paid on this attempt and nobody knows."""
        return self.answer in {None, AnswerKind.UNKNOWN}

    @property
    def counts(self) -> bool:
        """Whether the bank may have heard of it."""
        return self.answer is not AnswerKind.NOT_SENT


class ResolutionKind(StrEnum):
    """What an operator found out about an order, or wants done with its money."""

    EXECUTED = "EXECUTED"
    """The bank did it."""
    NOT_EXECUTED = "NOT_EXECUTED"
    """The bank did not do it and will not."""
    APPLIED_TO_WALLET = "APPLIED_TO_WALLET"
    """Money that had found no room is given to a wallet."""
    ACKNOWLEDGED = "ACKNOWLEDGED"
    """Somebody has looked into an ending that the bank contradicts, or does not confirm; nothing moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A person's decision where the machine could not: kept for ever, with who decided and why."""

    kind: ResolutionKind
    reason: str
    bank_evidence: str
    """What the bank said to the person who asked it; empty where no word could be had."""
    operator: str
    """The system."""
    time: datetime
    person: Person = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOrder(ABC):
    """What both kinds have in common. It hangs on its wallet: whoever decides on it holds that wallet's lock."""

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
    """Whether the bank gave money for it that found no room and is still on its way: for a person."""
    reconciled: bool = False
    """Whether the bank's ledger says the same of it, or a person has looked into that it does not."""
    attempts: tuple[Attempt, ...] = ()
    resolutions: tuple[Resolution, ...] = ()

    @property
    @abstractmethod
    def held(self) -> int:
        """How many minor units of its wallet it reserves now."""

    @property
    def asks_bank(self) -> bool:
        """Whether the bank is asked to do it."""
        return True

    @property
    def transitions(self) -> Mapping[OrderState, frozenset[OrderState]]:
        """Which states lead to which."""
        return TRANSITIONS

    @property
    def name(self) -> str:
        """The resource name."""
        return order_name(self.kind, self.id)

    @property
    def key(self) -> str:
        """The key that the bank knows it by."""
        return bank_key(self.kind, self.id)

    @property
    def attempts_counted(self) -> int:
        """How often the bank was asked."""
        return sum(attempt.counts for attempt in self.attempts)

    @property
    def resends(self) -> int:
        """How often it was sent again because the bank did not know it."""
        return sum(attempt.is_resend and attempt.counts for attempt in self.attempts)

    @property
    def may_have_paid(self) -> bool:
        """Whether the bank may have paid on any attempt and nobody knows."""
        return any(attempt.may_have_paid for attempt in self.attempts)

    @property
    def final(self) -> bool:
        """Whether nothing is left to be done about it."""
        return self.state in FINAL_STATES

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt that has no answer yet."""
        return next((attempt for attempt in self.attempts if attempt.answer is None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal(PaymentOrder):
    """Money to be paid out through the bank at a time."""

    kind: ClassVar[OrderKind] = OrderKind.WITHDRAWAL

    reserve: bool = False
    """Whether its money is held from the moment it is scheduled."""

    @property
    def held(self) -> int:
        """How many minor units of its wallet it reserves now."""
        return self.amount.minor if self.reserve and self.state is OrderState.SCHEDULED else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledDeposit(PaymentOrder):
    """Money to be credited at a time, collected from the bank first where that is asked for."""

    kind: ClassVar[OrderKind] = OrderKind.SCHEDULED_DEPOSIT

    collect: bool = False
    external_reference: str = ""
    credit: UUID | None = None
    """The transaction that credited it."""

    @property
    def held(self) -> int:
        """Nothing: it only ever adds."""
        return 0

    @property
    def asks_bank(self) -> bool:
        """Whether the bank is asked to collect it."""
        return self.collect

    @property
    def transitions(self) -> Mapping[OrderState, frozenset[OrderState]]:
        """Which states lead to which."""
        return COLLECTION_TRANSITIONS if self.collect else CREDIT_TRANSITIONS


def event_of(order: PaymentOrder, told: str | None = None) -> EventType:
    """Return what others are told when an order has come to its state, or of what else."""
    kind = "withdrawal" if order.kind is OrderKind.WITHDRAWAL else "scheduled_deposit"
    return EventType(f"{kind}.{told or order.state.lower()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on one order until the lease runs out, proven by the fence."""

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
        """What the bank is asked to pay or to collect: the same on every attempt."""
        return Payment(
            key=bank_key(self.kind, self.order),
            amount=self.amount,
            account=self.bank_account,
            owner=self.owner or self.wallet,
            collect=self.kind is OrderKind.SCHEDULED_DEPOSIT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPolicy:
    """How the bank is asked and when that is given up. Values come from the settings, which explain them."""

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
