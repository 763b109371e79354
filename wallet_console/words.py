"""Words, signs and tones of what the service says in enums; the English word is the key of its translations."""

from typing import Any, NamedTuple

from google.protobuf.message import Message

_ID_SHOWN = 8


class Word(NamedTuple):
    """How a value is shown. The sign says the same as the colour."""

    text: str
    tone: str = "plain"
    """``good``, ``wait``, ``bad``, ``off`` or ``plain``."""
    sign: str = "·"


_GOOD, _WAIT, _BAD, _OFF = ("good", "✓"), ("wait", "◷"), ("bad", "!"), ("off", "–")

_WORDS = {
    # Wallets, transactions, holds.
    "ACTIVE": Word("Active", *_GOOD),
    "FROZEN": Word("Frozen", "wait", "‖"),
    "CLOSED": Word("Closed", *_OFF),
    "POSTED": Word("Posted", *_GOOD),
    "PARTIALLY_REVERSED": Word("Partly reversed", "wait", "↺"),
    "REVERSED": Word("Reversed", "off", "↺"),
    "CAPTURED": Word("Captured", *_GOOD),
    "VOIDED": Word("Voided", *_OFF),
    "EXPIRED": Word("Expired", *_OFF),
    # Payment orders.
    "SCHEDULED": Word("Scheduled", "plain", "◷"),
    "PROCESSING": Word("Processing", "wait", "→"),
    "IN_DOUBT": Word("In doubt", "bad", "?"),
    "SUCCEEDED": Word("Succeeded", *_GOOD),
    "FAILED": Word("Failed", "bad", "✕"),
    "CANCELLED": Word("Cancelled", *_OFF),
    "RETURNED": Word("Returned", "wait", "↩"),
    # Answers of the bank.
    "ACCEPTED": Word("Accepted", *_GOOD),
    "DECLINED_RETRYABLE": Word("Declined for now", "wait", "↻"),
    "DECLINED": Word("Declined", "bad", "✕"),
    "NOT_SENT": Word("Not sent", *_OFF),
    "UNKNOWN": Word("Unknown", "bad", "?"),
    "UNSPECIFIED": Word("No answer yet", *_WAIT),
    # Webhooks.
    "ENABLED": Word("Enabled", *_GOOD),
    "DISABLED": Word("Disabled", "bad", "‖"),
    "DELETED": Word("Deleted", *_OFF),
    "PENDING": Word("Pending", *_WAIT),
    "DELIVERED": Word("Delivered", *_GOOD),
    "DEAD": Word("Dead letter", "bad", "✕"),
    # Types of transactions.
    "DEPOSIT": Word("Deposit"),
    "TRANSFER": Word("Transfer"),
    "WITHDRAWAL": Word("Payout"),
    "WITHDRAWAL_SETTLEMENT": Word("Payout settled"),
    "WITHDRAWAL_RELEASE": Word("Payout released"),
    "REVERSAL": Word("Reversal"),
    "HOLD_CAPTURE": Word("Hold captured"),
    "COLLECTION": Word("Collection"),
    "WITHDRAWAL_RETURN": Word("Payout returned"),
    "RETURN_APPLICATION": Word("Return applied"),
    "COLLECTION_APPLICATION": Word("Collection applied"),
    # Why a payment order failed.
    "INSUFFICIENT_FUNDS": Word("Insufficient funds", "bad", "✕"),
    "WALLET_NOT_ACTIVE": Word("Wallet not active", "bad", "✕"),
    "BANK_DECLINED": Word("The bank declined", "bad", "✕"),
    "ATTEMPTS_EXHAUSTED": Word("All attempts failed", "bad", "✕"),
    "LIMIT_EXCEEDED": Word("Limit exceeded", "bad", "✕"),
    "RESOLVED": Word("Resolved by hand", "bad", "✕"),
    # Decisions of operators.
    "EXECUTED": Word("The bank executed it"),
    "NOT_EXECUTED": Word("The bank did not execute it"),
    "APPLIED_TO_WALLET": Word("Credited to a wallet"),
    "ACKNOWLEDGED": Word("Acknowledged"),
    # Who pays a commission.
    "SOURCE": Word("Source, on top"),
    "DESTINATION": Word("Destination, out of the amount"),
    # Kinds of attention.
    "OVERDUE": Word("Overdue", *_WAIT),
    "UNAPPLIED_FUNDS": Word("Unapplied funds", "bad", "!"),
    "DISCREPANCY": Word("Discrepancy", "bad", "≠"),
    "RECONCILIATION_STALLED": Word("Reconciliation stalled", "bad", "‖"),
    "MISSING_AT_BANK": Word("Missing at the bank", "bad", "≠"),
    "CLOCK_BEHIND": Word("Clock behind", "bad", "!"),
    "WEBHOOK_DISABLED": Word("Webhook disabled", "bad", "‖"),
    "WEBHOOK_DEAD_LETTERS": Word("Dead letters", "bad", "✕"),
    "EVENTS_STALLED": Word("Events stalled", "bad", "‖"),
    "CHECKPOINTS_STALLED": Word("Checkpoints stalled", "bad", "‖"),
    # Lines of the bank statement.
    "EXECUTION": Word("Payout"),
    "RETURN": Word("Return"),
    "OTHER": Word("Other"),
    # Types of events.
    "TRANSACTION_POSTED": Word("Money moved"),
    "WALLET_CREATED": Word("Wallet created"),
    "WALLET_UPDATED": Word("Wallet updated"),
    "WALLET_FROZEN": Word("Wallet frozen", "wait", "‖"),
    "WALLET_UNFROZEN": Word("Wallet unfrozen", *_GOOD),
    "WALLET_CLOSED": Word("Wallet closed", *_OFF),
    "HOLD_PLACED": Word("Hold placed"),
    "HOLD_CAPTURED": Word("Hold captured"),
    "HOLD_VOIDED": Word("Hold voided"),
    "HOLD_EXPIRED": Word("Hold expired"),
    "WITHDRAWAL_SCHEDULED": Word("Payout scheduled", "plain", "◷"),
    "WITHDRAWAL_PROCESSING": Word("Payout processing", "wait", "→"),
    "WITHDRAWAL_IN_DOUBT": Word("Payout in doubt", "bad", "?"),
    "WITHDRAWAL_SUCCEEDED": Word("Payout succeeded", *_GOOD),
    "WITHDRAWAL_FAILED": Word("Payout failed", "bad", "✕"),
    "WITHDRAWAL_CANCELLED": Word("Payout cancelled", *_OFF),
    "WITHDRAWAL_RETURNED": Word("Payout returned", "wait", "↩"),
    "WITHDRAWAL_APPLIED_TO_WALLET": Word("Payout applied to a wallet"),
    "WITHDRAWAL_ACKNOWLEDGED": Word("Payout acknowledged"),
    "SCHEDULED_DEPOSIT_SCHEDULED": Word("Deposit scheduled", "plain", "◷"),
    "SCHEDULED_DEPOSIT_PROCESSING": Word("Deposit processing", "wait", "→"),
    "SCHEDULED_DEPOSIT_IN_DOUBT": Word("Deposit in doubt", "bad", "?"),
    "SCHEDULED_DEPOSIT_SUCCEEDED": Word("Deposit succeeded", *_GOOD),
    "SCHEDULED_DEPOSIT_FAILED": Word("Deposit failed", "bad", "✕"),
    "SCHEDULED_DEPOSIT_CANCELLED": Word("Deposit cancelled", *_OFF),
    "SCHEDULED_DEPOSIT_APPLIED_TO_WALLET": Word("Deposit applied to a wallet"),
    "SCHEDULED_DEPOSIT_ACKNOWLEDGED": Word("Deposit acknowledged"),
    "COMMISSION_RULE_CREATED": Word("Commission rule created"),
    "COMMISSION_RULE_ENDED": Word("Commission rule ended"),
    "DISCREPANCY_RESOLVED": Word("Discrepancy resolved"),
    "BANK_STATEMENT_ACCEPTED": Word("Bank statement accepted"),
}

# Where the page of a resource is.
_PAGES = {
    "wallets": "/wallets/",
    "transactions": "/transactions/",
    "withdrawals": "/payouts/",
    "scheduledDeposits": "/collections/",
    "holds": "/holds/",
    "webhooks": "/webhooks/",
    "commissionRules": "/commission#",
    "bankStatementLines": "/reconciliation/lines/",
    "bankStatements": "/reconciliation/statements/",
}


def value_name(message: Message, field: str) -> str:
    """Return the name of an enum field's value without what all names of the enum begin with; a new value's number."""
    enum: Any = message.DESCRIPTOR.fields_by_name[field].enum_type
    value = enum.values_by_number.get(getattr(message, field))
    if value is None:
        return str(getattr(message, field))
    prefix = str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")
    return str(value.name).removeprefix(prefix)


def of(message: Message, field: str) -> Word:
    """Return how an enum field of a message is shown."""
    return word(value_name(message, field))


def word(name: str) -> Word:
    """Return how a value is shown; one that this release does not know by its own name."""
    return _WORDS.get(name) or Word(name.replace("_", " ").capitalize())


def all_words() -> list[str]:
    """Return every word, for the translations."""
    return [one.text for one in _WORDS.values()]


def last_part(name: str) -> str:
    """Return the id in a resource name."""
    return name.rpartition("/")[2]


def short_id(name: str) -> str:
    """Return the id in a resource name; a UUID by its last characters, which differ most."""
    last = last_part(name)
    is_uuid = len(last) == 36 and last.count("-") == 4  # noqa: PLR2004  # the form of a UUID
    return f"…{last[-_ID_SHOWN:]}" if is_uuid else last


def path_of(name: str) -> str:
    """Return where the page of a resource is; empty where it has none."""
    collection, _, last = name.partition("/")
    return f"{_PAGES[collection]}{last}" if last and collection in _PAGES else ""
