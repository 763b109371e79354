"""The model's answer to a command: replayed, refused or done, as the protos document it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tests.model.ledger import LedgerState
from tests.model.money_verbs import batch_transfer, change_wallet, create_wallet, deposit, reverse, transfer
from tests.model.order_verbs import (
    cancel,
    capture_hold,
    create_rule,
    credit,
    end_rule,
    expire_hold,
    place_hold,
    schedule_deposit,
    schedule_withdrawal,
    settle,
    void_hold,
)
from tests.model.records import Facts, Record, Refused
from tests.model.validation import validate
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import ExpireHold, VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment
from wallet_core.domain.commands.payments.cancel_order import CancelScheduledDeposit, CancelWithdrawal
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet, UpdateWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command

# docs/errors.md: decided and stored with the request id.
_FINAL = {
    *("ResourceNotFound", "ResourceExists", "EtagMismatch", "CurrencyMismatch", "WalletNotActive"),
    *("StateTransitionForbidden", "InsufficientFunds", "LimitExceeded"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Yes:
    """The answer to a command that was done."""

    subject: str
    available: int | None = None
    replayed: bool = False
    facts: Facts

    @property
    def facts_with_outcome(self) -> Facts:
        """All of it."""
        return {"subject": self.subject, "available": self.available, "replayed": self.replayed, **self.facts}


def answer(books: LedgerState, command: Command) -> Facts:
    """Execute a command, or refuse it; return the answer."""
    try:
        validate(command)
        return _answered(books, command).facts_with_outcome
    except Refused as no:
        return no.facts


def _answered(books: LedgerState, command: Command) -> Yes:
    record = books.records.get(command.request)
    if command.request is not None and record is not None:
        return _again(books, command, record)
    if command.validate_only:
        return _done(books.copy_of_all(), command)
    try:
        yes = _done(books, command)
    except Refused as no:
        if command.request is not None and no.reason in _FINAL:
            books.records[command.request] = Record(method=command.method, content=content(command), refused=no)
        raise
    if command.request is not None:
        books.records[command.request] = Record(
            method=command.method, content=content(command), subject=yes.subject, available=yes.available
        )
    return yes


def _again(books: LedgerState, command: Command, record: Record) -> Yes:
    if record.content != content(command):
        about = {"request_id": str(command.request.id if command.request else ""), "method": record.method}
        raise Refused("RequestIdReused", **about, resource=record.subject)
    if record.refused is not None:
        raise record.refused.copied()
    facts = books.facts_of(record.subject)
    return Yes(subject=record.subject, available=record.available, replayed=True, facts=facts)


def content(command: Command) -> object:
    """Return a command's content: all but its caller, its options, and the ids that the service generates."""
    return type(command).__name__, _plain(asdict(command))


def _plain(value: Any) -> Any:  # noqa: ANN401  # anything that a command is made of
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key not in {"request", "validate_only", "id"}}
    return [_plain(one) for one in value] if isinstance(value, (tuple, list)) else value


def _done(books: LedgerState, command: Command) -> Yes:
    subject, available_of = _VERBS[type(command)](books, command)
    available = books.available(available_of) if available_of is not None else None
    return Yes(subject=subject, available=available, facts=books.facts_of(subject))


_VERBS: dict[type[Command], Callable[[LedgerState, Any], tuple[str, str | None]]] = {
    CreateWallet: create_wallet,
    UpdateWallet: change_wallet,
    FreezeWallet: change_wallet,
    UnfreezeWallet: change_wallet,
    CloseWallet: change_wallet,
    Deposit: deposit,
    Transfer: transfer,
    BatchTransfer: batch_transfer,
    ReverseTransaction: reverse,
    PlaceHold: place_hold,
    CaptureHold: capture_hold,
    VoidHold: void_hold,
    ExpireHold: expire_hold,
    ScheduleWithdrawal: schedule_withdrawal,
    ScheduleDeposit: schedule_deposit,
    CancelWithdrawal: cancel,
    CancelScheduledDeposit: cancel,
    CreditDeposit: credit,
    SettlePayment: settle,
    CreateCommissionRule: create_rule,
    EndCommissionRule: end_rule,
}
