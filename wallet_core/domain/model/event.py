"""Events, and journal records: events in the one order in which they are published."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from wallet_core.domain.model.instants import microseconds_of
from wallet_core.domain.model.wallet import WalletId


class EventType(StrEnum):
    """The types of events. The protos explain each."""

    TRANSACTION_POSTED = "transaction.posted"
    WALLET_CREATED = "wallet.created"
    WALLET_UPDATED = "wallet.updated"
    WALLET_FROZEN = "wallet.frozen"
    WALLET_UNFROZEN = "wallet.unfrozen"
    WALLET_CLOSED = "wallet.closed"
    HOLD_PLACED = "hold.placed"
    HOLD_CAPTURED = "hold.captured"
    HOLD_VOIDED = "hold.voided"
    HOLD_EXPIRED = "hold.expired"
    WITHDRAWAL_SCHEDULED = "withdrawal.scheduled"
    WITHDRAWAL_PROCESSING = "withdrawal.processing"
    WITHDRAWAL_IN_DOUBT = "withdrawal.in_doubt"
    WITHDRAWAL_SUCCEEDED = "withdrawal.succeeded"
    WITHDRAWAL_FAILED = "withdrawal.failed"
    WITHDRAWAL_CANCELLED = "withdrawal.cancelled"
    WITHDRAWAL_RETURNED = "withdrawal.returned"
    WITHDRAWAL_APPLIED_TO_WALLET = "withdrawal.applied_to_wallet"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal.acknowledged"
    SCHEDULED_DEPOSIT_SCHEDULED = "scheduled_deposit.scheduled"
    SCHEDULED_DEPOSIT_PROCESSING = "scheduled_deposit.processing"
    SCHEDULED_DEPOSIT_IN_DOUBT = "scheduled_deposit.in_doubt"
    SCHEDULED_DEPOSIT_SUCCEEDED = "scheduled_deposit.succeeded"
    SCHEDULED_DEPOSIT_FAILED = "scheduled_deposit.failed"
    SCHEDULED_DEPOSIT_CANCELLED = "scheduled_deposit.cancelled"
    SCHEDULED_DEPOSIT_APPLIED_TO_WALLET = "scheduled_deposit.applied_to_wallet"
    SCHEDULED_DEPOSIT_ACKNOWLEDGED = "scheduled_deposit.acknowledged"
    COMMISSION_RULE_CREATED = "commission_rule.created"
    COMMISSION_RULE_ENDED = "commission_rule.ended"
    DISCREPANCY_RESOLVED = "discrepancy.resolved"
    BANK_STATEMENT_ACCEPTED = "bank_statement.accepted"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened, published once it is committed."""

    type: str
    """An ``EventType``, or the type of an event that a later release has written."""
    subject: str
    """The name of its resource."""
    wallets: tuple[WalletId, ...]
    """The wallets that it concerns, service wallets too; none where it concerns all."""
    time: datetime
    facts: str | None = None
    """What it reports, as JSON; None for an event that release 0.2 has written."""


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """An event at its place in the journal. Its hash covers it and, by the hash before it, all records before it."""

    number: int
    event: Event
    hash: bytes = b""

    def chained(self, before: bytes) -> "JournalRecord":
        """Return the record with its hash; *before* is the hash of the record before, empty for the first."""
        microseconds = microseconds_of(self.event.time)
        fields = [self.number, self.event.type, self.event.subject, " ".join(self.event.wallets), microseconds]
        if self.event.facts is not None:
            fields.append(self.event.facts)
        return replace(self, hash=hashlib.sha256(before + "\n".join(map(str, fields)).encode()).digest())
