"""The facts of an event: what it reports, as JSON that is stored with it for ever.

The journal's hash covers them, and verify compares them with the tables, so what they state cannot be changed
unnoticed in either place. No name in Python is stored, so no rename makes stored facts unreadable; ``stated``
reads them. Empty fields are left out. Amounts are in minor units, times in microseconds since 1970.
"""

import json
from dataclasses import dataclass
from typing import Any

from wallet_core.domain.deciding.decision import Decision, Request
from wallet_core.domain.model.access import Person
from wallet_core.domain.model.bank import BankStatement, BankStatementLine
from wallet_core.domain.model.commission_rule import CommissionRule
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.instants import microseconds_of
from wallet_core.domain.model.payment_order import Attempt, PaymentOrder, Resolution, ScheduledDeposit, Withdrawal
from wallet_core.domain.model.transaction import Transaction
from wallet_core.domain.model.wallet import WalletView

# Made once: ``json.dumps`` with options makes an encoder for each call.
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Origin:
    """The request of a caller that an event follows from. Events of the service's own jobs have none."""

    request: Request
    fingerprint: bytes


def posted(transaction: Transaction, origin: Origin | None) -> str:
    """Return the facts of a posted transaction: what it moved, for whom, by whose request, and every balance after."""
    moved = transaction.movement
    facts: dict[str, Any] = {
        "type": moved.type,
        "currency": moved.amount.currency,
        "amount": moved.amount.minor,
        "source": moved.source,
        "destination": moved.destination,
        "entries": {one.wallet: (one.sequence, one.amount, one.balance_after) for one in transaction.entries},
    }
    if moved.commission is not None:
        facts["commission"] = moved.commission.amount.minor
        facts["commission_rule"] = str(moved.commission.rule)
        facts["commission_payer"] = moved.commission.payer
    details = moved.details
    if details.description:
        facts["description"] = details.description
    if details.external_reference:
        facts["external_reference"] = details.external_reference
    if details.labels:
        facts["labels"] = details.labels
    if moved.cause is not None:
        facts["cause"] = str(moved.cause)
    if moved.batch is not None:
        facts["batch"] = str(moved.batch)
        facts["batch_item"] = moved.batch_item
    if origin is not None:
        facts["request"] = _request(origin)
    return _encoded(facts)


def changed(decision: Decision, wallet: WalletView | None, origin: Origin | None) -> str:
    """Return the facts of a decision's own event: the resource as the decision leaves it."""
    if decision.hold is not None:
        facts = _hold(decision.hold)
    elif decision.order is not None:
        facts = _order(decision.order, decision.resolution)
    elif decision.rule is not None:
        facts = _rule(decision.rule)
    elif decision.line is not None:
        facts = _line(decision.line)
    elif decision.bank_statement is not None:
        facts = _bank_statement(decision.bank_statement)
    else:
        facts = _wallet(wallet) if wallet is not None else {}
    if origin is not None:
        facts["request"] = _request(origin)
    return _encoded({name: value for name, value in facts.items() if value not in (None, "", {}, [])})


def _request(origin: Origin) -> tuple[str, str, str]:
    return origin.request.caller, str(origin.request.id), origin.fingerprint.hex()


def _wallet(wallet: WalletView) -> dict[str, Any]:
    return {
        "currency": wallet.currency,
        "owner": wallet.owner,
        "display_name": wallet.display_name,
        "labels": wallet.labels,
        "state": wallet.state,
        "balance": wallet.balance,
        "held": wallet.held,
        "overdraft_limit": wallet.overdraft_limit,
        "create_time": microseconds_of(wallet.create_time),
        "revision": wallet.revision,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "wallet": hold.wallet,
        "currency": hold.amount.currency,
        "amount": hold.amount.minor,
        "captured": hold.captured,
        "state": hold.state,
        "expire_time": microseconds_of(hold.expire_time),
        "description": hold.description,
        "create_time": microseconds_of(hold.create_time),
        "update_time": microseconds_of(hold.update_time),
        "caller": hold.caller,
    }


def _order(order: PaymentOrder, resolution: Resolution | None) -> dict[str, Any]:
    """Return the facts of an order, the attempts at the bank so far among them."""
    facts = {
        "wallet": order.wallet,
        "currency": order.amount.currency,
        "amount": order.amount.minor,
        "state": order.state,
        "bank_account": order.bank_account,
        "description": order.description,
        "execute_time": microseconds_of(order.execute_time),
        "create_time": microseconds_of(order.create_time),
        "update_time": microseconds_of(order.update_time),
        "bank_reference": order.bank_reference,
        "failure_reason": order.failure_reason,
        "attention": order.attention,
        "caller": order.caller,
        "attempts": list(map(_attempt, order.attempts)),
        "resolution": _resolution(resolution) if resolution is not None else None,
    }
    if isinstance(order, Withdrawal):
        facts |= {"reserve": order.reserve}
    if isinstance(order, ScheduledDeposit):
        credit = str(order.credit) if order.credit is not None else None
        facts |= {"collect": order.collect, "external_reference": order.external_reference, "credit": credit}
    return facts


def _attempt(attempt: Attempt) -> tuple[int, bool, str, str]:
    return attempt.number, attempt.is_resend, attempt.answer or "", attempt.reference


def _resolution(resolution: Resolution) -> dict[str, Any]:
    return {
        "kind": resolution.kind,
        "reason": resolution.reason,
        "bank_evidence": resolution.bank_evidence,
        "operator": resolution.operator,
        **_person(resolution.person),
    }


def _rule(rule: CommissionRule) -> dict[str, Any]:
    return {
        "currency": rule.currency,
        "threshold": rule.threshold,
        "rate_millionths": rule.rate_millionths,
        "fixed": rule.fixed,
        "minimum": rule.minimum,
        "maximum": rule.maximum,
        "payer": rule.payer,
        "wallet": rule.wallet,
        "label": (rule.label.key, rule.label.value) if rule.label is not None else None,
        "start_time": microseconds_of(rule.start_time),
        "end_time": microseconds_of(rule.end_time) if rule.end_time is not None else None,
        "create_time": microseconds_of(rule.create_time),
    }


def _line(line: BankStatementLine) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "key": line.key,
        "currency": line.amount.currency,
        "amount": line.amount.minor,
        "reference": line.reference,
        "explanation": line.explanation,
        "resolution": line.resolution,
        "resolved_by": line.resolved_by,
        **_person(line.person),
    }


def _bank_statement(statement: BankStatement) -> dict[str, Any]:
    return {"reason": statement.reason, "accepted_by": statement.accepted_by, **_person(statement.person)}


def _person(person: Person) -> dict[str, str]:
    return {"person": person.name, "token_id": person.token_id}
