"""What the product tells, brought into the model's form: plain values, to be compared as they are."""

from functools import singledispatch

from tests.model.records import Facts
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
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.change_wallet import ChangeWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.bank import BankStatementLine
from wallet_core.domain.model.commission_rule import CommissionRule
from wallet_core.domain.model.errors import InvalidField, Refusal, WalletError
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.payment_order import PaymentOrder, ScheduledDeposit, Withdrawal
from wallet_core.domain.model.transaction import Transaction
from wallet_core.domain.model.wallet import WalletView
from wallet_core.usecases.app import App
from wallet_core.usecases.change_hold import HoldCaptured, HoldChanged, capture_hold, change_hold
from wallet_core.usecases.change_payment_order import OrderChanged, change_scheduled_deposit, change_withdrawal
from wallet_core.usecases.change_wallet import WalletChanged, change_wallet
from wallet_core.usecases.commission import RuleChanged, change_rule
from wallet_core.usecases.move_money import BatchMoved, MoneyMoved, move_batch, move_money
from wallet_core.usecases.resolve_break import (
    BankStatementAccepted,
    DiscrepancyResolved,
    accept_bank_statement,
    resolve_discrepancy,
)


def asked(app: App, command: Command) -> Facts:
    """Ask by the use case of a command; return what is told, yes or no."""
    try:
        return facts_of(by_its_use_case(app, command))
    except Refusal as refusal:
        return facts_of(refusal)


def by_its_use_case(app: App, command: Command) -> object:  # noqa: C901, PLR0911  # a case a use case
    """Ask by the use case of a command; raises its refusal."""
    match command:
        case Deposit() | Transfer() | ReverseTransaction():
            return move_money(app, command)
        case BatchTransfer():
            return move_batch(app, command)
        case CreateWallet() | ChangeWallet():
            return change_wallet(app, command)
        case PlaceHold() | VoidHold():
            return change_hold(app, command)
        case CaptureHold():
            return capture_hold(app, command)
        case ScheduleDeposit() | CancelScheduledDeposit() | ResolveScheduledDeposit():
            return change_scheduled_deposit(app, command)
        case ScheduleWithdrawal() | CancelWithdrawal() | ResolveWithdrawal():
            return change_withdrawal(app, command)
        case ResolveDiscrepancy():
            return resolve_discrepancy(app, command)
        case AcceptBankStatement():
            return accept_bank_statement(app, command)
        case CreateCommissionRule() | EndCommissionRule():
            return change_rule(app, command)
        case _:  # a job's
            return app.ledger.post(command)


@singledispatch
def facts_of(told: object) -> Facts:
    """Return what is told as plain values."""
    raise TypeError(told)


@facts_of.register
def _refusal(told: WalletError) -> Facts:
    """Leave out what is written for people: the documents do not say how it is put."""
    about = told.fields() if not isinstance(told, InvalidField) else {"field": told.field}
    return {"refused": type(told).__name__, "replayed": isinstance(told, Refusal) and told.replayed, **about}


@facts_of.register
def _done(told: Done) -> Facts:
    """Leave out the service's own wallets that a rule may open."""
    facts: Facts = {"subject": told.subject, "available": told.available, "replayed": told.replayed}
    if told.transactions and told.order is None:
        facts["moves"] = [move_facts(moved) for moved in told.transactions]
    if told.wallet is not None and told.rule is None:
        facts["wallet"] = wallet_facts(told.wallet)
    if told.hold is not None:
        facts["hold"] = hold_facts(told.hold)
    if told.order is not None:
        facts["order"] = order_facts(told.order)
    if told.line is not None:
        facts["line"] = line_facts(told.line)
    if told.rule is not None:
        facts["rule"] = rule_facts(told.rule)
    return facts


@facts_of.register
def _moved(told: MoneyMoved) -> Facts:
    available = told.available.minor if told.available is not None else None
    return {"available": available, "replayed": told.replayed, "moves": [move_facts(told.transaction)]}


@facts_of.register
def _batch_moved(told: BatchMoved) -> Facts:
    return {"replayed": told.replayed, "moves": [move_facts(moved) for moved in told.transactions]}


@facts_of.register
def _wallet_changed(told: WalletChanged) -> Facts:
    return {"replayed": told.replayed, "wallet": wallet_facts(told.wallet)}


@facts_of.register
def _hold_changed(told: HoldChanged) -> Facts:
    available = told.available.minor if told.available is not None else None
    return {"available": available, "replayed": told.replayed, "hold": hold_facts(told.hold)}


@facts_of.register
def _hold_captured(told: HoldCaptured) -> Facts:
    return {"replayed": told.replayed, "hold": hold_facts(told.hold), "moves": [move_facts(told.transaction)]}


@facts_of.register
def _order_changed(told: OrderChanged) -> Facts:  # type: ignore[type-arg]  # of either kind
    return {"replayed": told.replayed, "order": order_facts(told.order)}


@facts_of.register
def _discrepancy_resolved(told: DiscrepancyResolved) -> Facts:
    return {"replayed": told.replayed, "line": line_facts(told.line)}


@facts_of.register
def _bank_statement_accepted(told: BankStatementAccepted) -> Facts:
    found = told.bank_statement
    return {"replayed": told.replayed, "ledger": (found.number, found.reason, found.accepted_by)}


@facts_of.register
def _rule_changed(told: RuleChanged) -> Facts:
    return {"replayed": told.replayed, "rule": rule_facts(told.rule)}


# What is told of each thing, as ``LedgerState`` tells it.


def wallet_facts(view: WalletView) -> Facts:
    """Return what is told of a wallet."""
    about = {"currency": view.currency, "state": view.state, "balance": view.balance, "held": view.held}
    return {
        "wallet": view.id,
        **about,
        "limit": view.overdraft_limit,
        "labels": dict(view.labels),
        "title": view.display_name,
    }


def hold_facts(hold: Hold) -> Facts:
    """Return what is told of a hold."""
    about = {"wallet": hold.wallet, "amount": hold.amount.minor, "captured": hold.captured}
    return {"id": str(hold.id), **about, "state": hold.state, "left": hold.held}


def order_facts(order: PaymentOrder) -> Facts:
    """Return what is told of an order."""
    about = {"kind": order.kind, "wallet": order.wallet, "amount": order.amount.minor, "state": order.state}
    about |= {
        "reserve": isinstance(order, Withdrawal) and order.reserve,
        "collect": isinstance(order, ScheduledDeposit) and order.collect,
        "reason": order.failure_reason,
        "unapplied": order.unapplied,
        "found_out": [one.kind for one in order.resolutions],
    }
    credit = order.credit if isinstance(order, ScheduledDeposit) else None
    return {"id": str(order.id), **about, "credit": credit, "answers": [one.answer for one in order.attempts]}


def move_facts(moved: Transaction) -> Facts:
    """Return what is told of a transaction."""
    what = moved.movement
    fee = what.commission
    about = {
        "kind": what.type,
        "source": what.source,
        "destination": what.destination,
        "amount": what.amount.minor,
        "fee": (fee.amount.minor, fee.payer, fee.rule) if fee is not None else None,
        "cause": what.cause,
    }
    legs = {leg.wallet: (leg.amount, leg.balance_after) for leg in moved.entries}
    back = moved.reversals.amount
    return {"id": str(moved.id), **about, "legs": legs, "returned": back}


def line_facts(line: BankStatementLine) -> Facts:
    """Return what is told of a line of the bank's ledger."""
    return {"number": line.number, "kind": line.kind, "key": line.key, "amount": line.amount.minor, "state": line.state}


def rule_facts(rule: CommissionRule) -> Facts:
    """Return what is told of a rule."""
    about = {"currency": rule.currency, "threshold": rule.threshold, "rate": rule.rate_millionths}
    about |= {"fixed": rule.fixed, "least": rule.minimum, "most": rule.maximum, "payer": rule.payer}
    label = (rule.label.key, rule.label.value) if rule.label is not None else None
    return {"id": str(rule.id), **about, "wallet": rule.wallet, "label": label, "ends": rule.end_time is not None}
