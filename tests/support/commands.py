"""Commands as callers make them: each with a request and an id of its own, and with defaults for most tests."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.cancel_order import CancelScheduledDeposit, CancelWithdrawal
from wallet_core.domain.commands.payments.match_statement import AcceptBankStatement, ResolveDiscrepancy
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet, UpdateWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.commands.webhooks.change_webhook import (
    DeleteWebhook,
    PingWebhook,
    RedeliverEvent,
    RotateWebhookSecret,
    UpdateWebhook,
)
from wallet_core.domain.commands.webhooks.create_webhook import CreateWebhook
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.model.access import Access, Right
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money, listed_currencies
from wallet_core.domain.model.payment_order import ResolutionKind
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import new_id
from wallet_core.usecases.webhooks import new_secret

Asked = TypeVar("Asked", bound=Command)

Fields = Any
"""A command's other fields, by keyword; they win over the usual ones."""


def request(id_: UUID | None = None, caller: str = "tests") -> Request:
    """Return a request of the tests' caller, which has all rights; new unless an id is given."""
    return Request(caller, id_ or uuid4())


def lacking(right: Right, command: Asked) -> Asked:
    """Return a command of a caller that has every right but this one."""
    requested = command.request or request()
    access = Access(requested.access.owner, requested.access.rights - {right})
    return replace(command, request=Request(requested.caller, requested.id, access))


def by_no_operator(command: Asked) -> Asked:
    """Return a command of a caller without the right of operations."""
    return lacking(Right.OPERATIONS, command)


def a_new_wallet(name: str, currency: str = "USD", **fields: Fields) -> CreateWallet:
    """Return the opening of a wallet."""
    id_ = WalletId(name)
    usual: dict[str, Fields] = {"request": request(), "asked_id": id_, "owner": "", "display_name": ""}
    usual |= {"listed": listed_currencies().get(currency)}
    return CreateWallet(id=id_, currency=currency, **{**usual, **fields})


def an_update(wallet: str, **fields: Fields) -> UpdateWallet:
    """Return a change of a wallet's name, labels or limit."""
    usual: dict[str, Fields] = {"etag": "", "display_name": None, "labels": None, "overdraft_limit": None}
    return UpdateWallet(request=request(), wallet=WalletId(wallet), **{**usual, **fields})


StateChange = FreezeWallet | UnfreezeWallet | CloseWallet


def a_change(verb: type[StateChange], wallet: str, etag: str = "") -> StateChange:
    """Return the freezing, unfreezing or closing of a wallet."""
    return verb(request=request(), wallet=WalletId(wallet), etag=etag)


def a_deposit(wallet: str, amount: Money, **fields: Fields) -> Deposit:
    """Return a deposit."""
    return Deposit(wallet=WalletId(wallet), amount=amount, **_detailed(fields))


def a_transfer(source: str, destination: str, amount: Money, **fields: Fields) -> Transfer:
    """Return a transfer."""
    ends: dict[str, Fields] = {"source": WalletId(source), "destination": WalletId(destination)}
    return Transfer(amount=amount, **_detailed({**ends, **fields}))


def an_item(source: str, destination: str, amount: Money, **fields: Fields) -> TransferTerms:
    """Return one transfer of a batch."""
    ends: dict[str, Fields] = {"source": WalletId(source), "destination": WalletId(destination)}
    item = _detailed({**ends, **fields})
    del item["request"]
    return TransferTerms(amount=amount, **item)


def a_batch(*items: TransferTerms) -> BatchTransfer:
    """Return transfers of which all are to be done or none."""
    return BatchTransfer(request=request(), id=new_id(), items=items)


def a_reversal(transaction: UUID, amount: Money | None = None, **fields: Fields) -> ReverseTransaction:
    """Return the reversal of a transaction, of all that is left unless an amount is given."""
    return ReverseTransaction(transaction=transaction, amount=amount, **_detailed({"keep_commission": False, **fields}))


def a_hold(wallet: str, amount: Money, expire_time: datetime, **fields: Fields) -> PlaceHold:
    """Return the placing of a hold."""
    return PlaceHold(wallet=WalletId(wallet), amount=amount, expire_time=expire_time, **{**_usual(), **fields})


def a_capture(hold: UUID, destination: str, amount: Money | None = None, **fields: Fields) -> CaptureHold:
    """Return the capture of a hold, of all that is left unless an amount is given."""
    to = WalletId(destination)
    return CaptureHold(hold=hold, destination=to, amount=amount, **_detailed({"final": False, **fields}))


def a_void(hold: UUID) -> VoidHold:
    """Return the end of a hold."""
    return VoidHold(request=request(), hold=hold)


def a_withdrawal(wallet: str, amount: Money, due: datetime | None = None, **fields: Fields) -> ScheduleWithdrawal:
    """Return a withdrawal, due now unless a time is given."""
    usual: dict[str, Fields] = {"request": request(), "description": "", "execute_time": due, "bank_account": ""}
    return ScheduleWithdrawal(wallet=WalletId(wallet), amount=amount, **{**usual, **fields})


def a_scheduled_deposit(wallet: str, amount: Money, due: datetime | None = None, **fields: Fields) -> ScheduleDeposit:
    """Return a scheduled deposit, by default due now and not collected."""
    usual: dict[str, Fields] = {"request": request(), "description": "", "execute_time": due, "bank_account": ""}
    usual |= {"external_reference": "", "collect": False}
    return ScheduleDeposit(wallet=WalletId(wallet), amount=amount, **{**usual, **fields})


def a_cancelled_withdrawal(order: UUID) -> CancelWithdrawal:
    """Return the cancelling of a withdrawal."""
    return CancelWithdrawal(request=request(), order=order)


def a_cancelled_deposit(order: UUID) -> CancelScheduledDeposit:
    """Return the cancelling of a scheduled deposit."""
    return CancelScheduledDeposit(request=request(), order=order)


OrderResolution = ResolveWithdrawal | ResolveScheduledDeposit


def a_resolution(
    verb: type[OrderResolution], order: UUID, resolution: ResolutionKind, to: str | None = None, **fields: Fields
) -> OrderResolution:
    """Return what a person has found out about an order."""
    usual: dict[str, Fields] = {"reason": "asked by phone", "bank_evidence": ""}
    usual |= {"request": request(), "id": new_id(), "destination": WalletId(to) if to is not None else None}
    return verb(order=order, resolution=resolution, **{**usual, **fields})


def a_closed_discrepancy(line: int) -> ResolveDiscrepancy:
    """Return what a person has found out about a line of the bank statement."""
    return ResolveDiscrepancy(request=request(), line=line, reason="looked into")


def an_accepted_ledger(ledger: int) -> AcceptBankStatement:
    """Return the accepting of the bank statement that it shows in place of this one."""
    return AcceptBankStatement(request=request(), statement=ledger, reason="begun anew")


def a_rule(currency: str = "USD", **fields: Fields) -> CreateCommissionRule:
    """Return a rule that charges nothing, of every source, from now on without an end."""
    terms: dict[str, Fields] = {"threshold": 0, "rate_millionths": 0, "fixed": 0, "minimum": 0, "maximum": None}
    scope = {"payer": Payer.SOURCE, "wallet": None, "label": None, "start_time": None, "end_time": None}
    terms |= {"listed": listed_currencies().get(currency)}
    return CreateCommissionRule(request=request(), id=new_id(), currency=currency, **{**terms, **scope, **fields})


def an_end(rule: UUID, end_time: datetime | None = None) -> EndCommissionRule:
    """Return the end of a rule, now unless a time is given."""
    return EndCommissionRule(request=request(), rule=rule, end_time=end_time)


# Webhooks.


def a_webhook(url: str = "https://shop.example/events", **fields: Fields) -> CreateWebhook:
    """Return the creation of a webhook for all events."""
    usual: dict[str, Fields] = {"id": new_id(), "secret": new_secret(), "description": "", "types": (), "wallet": None}
    usual |= {"owner": "", "label": None, "enabled": True, "most": 1000, "most_of_owner": 1000, "request": request()}
    return CreateWebhook(url=url, **{**usual, **fields})


def a_webhook_update(webhook: UUID, etag: str = "", **fields: Fields) -> UpdateWebhook:
    """Return a change of these fields of a webhook."""
    paths = tuple(sorted("state" if name == "enabled" else name for name in fields))
    return UpdateWebhook(request=request(), webhook=webhook, etag=etag, paths=paths, **fields)


def a_rotation(
    webhook: UUID, *, etag: str = "", now: bool = False, overlap: timedelta = timedelta(days=1)
) -> RotateWebhookSecret:
    """Return the rotation of a webhook's secret."""
    return RotateWebhookSecret(
        request=request(), webhook=webhook, etag=etag, secret=new_secret(), expire_previous_now=now, overlap=overlap
    )


def a_webhook_deletion(webhook: UUID, etag: str = "") -> DeleteWebhook:
    """Return the deletion of a webhook."""
    return DeleteWebhook(request=request(), webhook=webhook, etag=etag)


def a_ping(webhook: UUID) -> PingWebhook:
    """Return a ping of a webhook."""
    return PingWebhook(request=request(), webhook=webhook)


def a_redelivery(webhook: UUID, *, number: int | None = None, since: datetime | None = None) -> RedeliverEvent:
    """Return the redelivery of one event, or of dead letters."""
    return RedeliverEvent(request=request(), webhook=webhook, number=number, dead_since=since, delivery="deliveries/x")


def _detailed(fields: dict[str, Fields]) -> dict[str, Fields]:
    """Return the fields of a command that posts a transaction, those of its details as one value."""
    names = {"description", "external_reference", "labels"} & fields.keys()
    details = TransactionDetails(**{name: fields[name] for name in names})
    others = {name: value for name, value in fields.items() if name not in names}
    return {"request": request(), "id": new_id(), "details": details, **others}


def _usual(**fields: Fields) -> dict[str, Fields]:
    return {"request": request(), "id": new_id(), "description": "", **fields}
