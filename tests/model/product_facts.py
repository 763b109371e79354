"""The product's answers in the model's form: plain values, to be compared as they are."""

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


def call_product(app: App, command: Command) -> Facts:
    """Call the use case of a command; return the answer, done or refused."""
    try:
        return facts_of(by_its_use_case(app, command))
    except Refusal as refusal:
        return facts_of(refusal)


def by_its_use_case(app: App, command: Command) -> object:  # noqa: C901, PLR0911  # a case a use case
    """Call the use case of a command; raises its refusal."""
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
def facts_of(value: object) -> Facts:
    """Return an answer as plain values."""
    raise TypeError(value)


@facts_of.register
def _refusal(error: WalletError) -> Facts:
    """Leave out texts for people: the documents do not define their wording."""
    about = error.fields() if not isinstance(error, InvalidField) else {"field": error.field}
    return {"refused": type(error).__name__, "replayed": isinstance(error, Refusal) and error.replayed, **about}


@facts_of.register
def _done(result: Done) -> Facts:
    """Leave out the service's own wallets that a rule may open."""
    facts: Facts = {"subject": result.subject, "available": result.available, "replayed": result.replayed}
    if result.transactions and result.order is None:
        facts["moves"] = [transaction_facts(moved) for moved in result.transactions]
    if result.wallet is not None and result.rule is None:
        facts["wallet"] = wallet_facts(result.wallet)
    if result.hold is not None:
        facts["hold"] = hold_facts(result.hold)
    if result.order is not None:
        facts["order"] = order_facts(result.order)
    if result.line is not None:
        facts["line"] = line_facts(result.line)
    if result.rule is not None:
        facts["rule"] = rule_facts(result.rule)
    return facts


@facts_of.register
def _moved(result: MoneyMoved) -> Facts:
    available = result.available.minor if result.available is not None else None
    return {"available": available, "replayed": result.replayed, "moves": [transaction_facts(result.transaction)]}


@facts_of.register
def _batch_moved(result: BatchMoved) -> Facts:
    return {"replayed": result.replayed, "moves": [transaction_facts(moved) for moved in result.transactions]}


@facts_of.register
def _wallet_changed(result: WalletChanged) -> Facts:
    return {"replayed": result.replayed, "wallet": wallet_facts(result.wallet)}


@facts_of.register
def _hold_changed(result: HoldChanged) -> Facts:
    available = result.available.minor if result.available is not None else None
    return {"available": available, "replayed": result.replayed, "hold": hold_facts(result.hold)}


@facts_of.register
def _hold_captured(result: HoldCaptured) -> Facts:
    return {
        "replayed": result.replayed,
        "hold": hold_facts(result.hold),
        "moves": [transaction_facts(result.transaction)],
    }


@facts_of.register
def _order_changed(result: OrderChanged) -> Facts:  # type: ignore[type-arg]  # of either kind
    return {"replayed": result.replayed, "order": order_facts(result.order)}


@facts_of.register
def _discrepancy_resolved(result: DiscrepancyResolved) -> Facts:
    return {"replayed": result.replayed, "line": line_facts(result.line)}


@facts_of.register
def _bank_statement_accepted(result: BankStatementAccepted) -> Facts:
    found = result.bank_statement
    return {"replayed": result.replayed, "ledger": (found.number, found.reason, found.accepted_by)}


@facts_of.register
def _rule_changed(result: RuleChanged) -> Facts:
    return {"replayed": result.replayed, "rule": rule_facts(result.rule)}


# The facts of each resource, as ``LedgerState`` has them.


def wallet_facts(view: WalletView) -> Facts:
    """Return a wallet's facts."""
    about = {"currency": view.currency, "state": view.state, "balance": view.balance, "held": view.held}
    return {
        "wallet": view.id,
        **about,
        "limit": view.overdraft_limit,
        "labels": dict(view.labels),
        "title": view.display_name,
    }


def hold_facts(hold: Hold) -> Facts:
    """Return a hold's facts."""
    about = {"wallet": hold.wallet, "amount": hold.amount.minor, "captured": hold.captured}
    return {"id": str(hold.id), **about, "state": hold.state, "left": hold.held}


def order_facts(order: PaymentOrder) -> Facts:
    """Return an order's facts."""
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


def transaction_facts(moved: Transaction) -> Facts:
    """Return a transaction's facts."""
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
    """Return the facts of a line of the bank statement."""
    return {"number": line.number, "kind": line.kind, "key": line.key, "amount": line.amount.minor, "state": line.state}


def rule_facts(rule: CommissionRule) -> Facts:
    """Return a rule's facts."""
    about = {"currency": rule.currency, "threshold": rule.threshold, "rate": rule.rate_millionths}
    about |= {"fixed": rule.fixed, "least": rule.minimum, "most": rule.maximum, "payer": rule.payer}
    label = (rule.label.key, rule.label.value) if rule.label is not None else None
    return {"id": str(rule.id), **about, "wallet": rule.wallet, "label": label, "ends": rule.end_time is not None}
