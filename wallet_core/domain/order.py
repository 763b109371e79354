"""The withdrawal: its life as a table of states, its attempts, and the policy that paces them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.bank import AnswerKind, Payment
from wallet_core.domain.money import Money
from wallet_core.domain.wallet import WalletId


class WithdrawalState(StrEnum):
    """Where a withdrawal is in its life."""

    SCHEDULED = "SCHEDULED"
    """Waiting for its time; no money has moved."""
    PROCESSING = "PROCESSING"
    """Taken from the wallet and on its way to the bank."""
    IN_DOUBT = "IN_DOUBT"
    """The bank may or may not have paid."""
    SUCCEEDED = "SUCCEEDED"
    """The bank paid."""
    FAILED = "FAILED"
    """The bank did not pay and will not; the wallet has its money."""
    CANCELLED = "CANCELLED"
    """Cancelled before its time; no money moved."""


# ARCHITECTURE.md draws the same steps, a CHECK in the database lists the same states; tests hold them together.
TRANSITIONS: dict[WithdrawalState, frozenset[WithdrawalState]] = {
    WithdrawalState.SCHEDULED: frozenset(
        {WithdrawalState.PROCESSING, WithdrawalState.FAILED, WithdrawalState.CANCELLED}
    ),
    WithdrawalState.PROCESSING: frozenset(
        {WithdrawalState.SUCCEEDED, WithdrawalState.FAILED, WithdrawalState.IN_DOUBT}
    ),
    WithdrawalState.IN_DOUBT: frozenset({WithdrawalState.SUCCEEDED, WithdrawalState.FAILED}),
    WithdrawalState.SUCCEEDED: frozenset(),
    WithdrawalState.FAILED: frozenset(),
    WithdrawalState.CANCELLED: frozenset(),
}


class FailureReason(StrEnum):
    """Why a withdrawal failed."""

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    """The wallet had too little when the time came; the bank was not asked."""
    WALLET_NOT_ACTIVE = "WALLET_NOT_ACTIVE"
    """The wallet was frozen or closed when the time came; the bank was not asked."""
    BANK_REFUSED = "BANK_REFUSED"
    """The bank said no for good."""
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    """The bank said "not now" as often as it is asked."""


def withdrawal_name(withdrawal: UUID) -> str:
    """Return the resource name of a withdrawal."""
    return f"withdrawals/{withdrawal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to the bank, recorded before it is made; without an answer it may have been paid."""

    number: int
    key: str
    start_time: datetime
    answer: AnswerKind | None = None
    reference: str = ""
    detail: str = ""

    @property
    def may_have_paid(self) -> bool:
        """Whether the bank may have paid on this attempt and nobody knows."""
        return self.answer in {None, AnswerKind.UNKNOWN}

    @property
    def counts(self) -> bool:
        """Whether the bank may have heard of it."""
        return self.answer is not AnswerKind.NOT_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Money to be paid out through the bank at a time."""

    id: UUID
    wallet: WalletId
    amount: Money
    bank_account: str
    description: str
    execute_time: datetime
    create_time: datetime
    update_time: datetime
    state: WithdrawalState = WithdrawalState.SCHEDULED
    next_attempt_time: datetime | None
    lease_until: datetime | None = None
    fence: int = 0
    asks: int = 0
    bank_reference: str = ""
    failure_reason: FailureReason | None = None
    attention: str = ""
    attempts: tuple[Attempt, ...] = ()

    @property
    def name(self) -> str:
        """The resource name."""
        return withdrawal_name(self.id)

    @property
    def attempts_counted(self) -> int:
        """How often the bank was asked to pay."""
        return sum(attempt.counts for attempt in self.attempts)

    @property
    def final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not TRANSITIONS[self.state]

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt that has no answer yet."""
        return next((attempt for attempt in self.attempts if attempt.answer is None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on one withdrawal until the lease runs out, proven by the fence."""

    withdrawal: UUID
    fence: int
    state: WithdrawalState
    wallet: WalletId
    owner: str
    amount: Money
    bank_account: str

    @property
    def payment(self) -> Payment:
        """What the bank is asked to pay: the same on every attempt."""
        return Payment(
            key=bank_key(self.withdrawal),
            amount=self.amount,
            account=self.bank_account,
            owner=self.owner or self.wallet,
        )


def bank_key(withdrawal: UUID) -> str:
    """Return the idempotency key that the bank gets for a withdrawal, the same for all its attempts."""
    return f"wd-{withdrawal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutPolicy:
    """How payouts are paced and when they are given up. Values come from the settings, which explain them."""

    attempts_max: int
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
