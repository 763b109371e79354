"""Read the facts of an event: the resource as the event has stated it."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.commission_rule import Commission, CommissionRule, Label, Payer
from wallet_core.domain.model.event import Event
from wallet_core.domain.model.hold import Hold, HoldState
from wallet_core.domain.model.instants import instant_of
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import (
    Attempt,
    FailureReason,
    OrderKind,
    OrderState,
    ScheduledDeposit,
    Withdrawal,
    bank_key,
)
from wallet_core.domain.model.transaction import Entry, Movement, Transaction, TransactionDetails, TransactionType
from wallet_core.domain.model.wallet import WalletId, WalletState, WalletView

Resource = Transaction | WalletView | Hold | Withdrawal | ScheduledDeposit | CommissionRule
Facts = Mapping[str, Any]


def stated(event: Event) -> Resource | None:
    """Return the resource right after an event; None where the event states none, e.g. one of release 0.2."""
    collection, _, id_ = event.subject.partition("/")
    read = _READ.get(collection)
    return read(id_, event, json.loads(event.facts)) if read is not None and event.facts is not None else None


def _transaction(id_: str, event: Event, facts: Facts) -> Transaction:
    """Return a transaction; keys of wallets are not stated, and are 0."""
    currency = facts["currency"]
    commission = None
    if "commission_rule" in facts:
        charged = Money(currency, facts["commission"])
        commission = Commission(charged, UUID(facts["commission_rule"]), Payer(facts["commission_payer"]))
    movement = Movement(
        id=UUID(id_),
        type=TransactionType(facts["type"]),
        amount=Money(currency, facts["amount"]),
        source=WalletId(facts["source"]),
        destination=WalletId(facts["destination"]),
        commission=commission,
        details=TransactionDetails(
            description=facts.get("description", ""),
            external_reference=facts.get("external_reference", ""),
            labels=facts.get("labels", {}),
        ),
        cause=_optional(UUID, facts.get("cause")),
        batch=_optional(UUID, facts.get("batch")),
        batch_item=facts.get("batch_item"),
    )
    entries = tuple(
        Entry(WalletId(wallet), 0, sequence, amount, after)
        for wallet, (sequence, amount, after) in facts["entries"].items()
    )
    caller, *_ = facts.get("request", [""])
    return Transaction(movement=movement, entries=entries, time=event.time, caller=caller)


def _wallet(id_: str, _event: Event, facts: Facts) -> WalletView:
    return WalletView(
        id=WalletId(id_),
        currency=facts["currency"],
        owner=facts.get("owner", ""),
        display_name=facts.get("display_name", ""),
        labels=facts.get("labels", {}),
        state=WalletState(facts["state"]),
        balance=facts["balance"],
        held=facts["held"],
        overdraft_limit=facts["overdraft_limit"],
        create_time=instant_of(facts["create_time"]),
        revision=facts["revision"],
    )


def _hold(id_: str, _event: Event, facts: Facts) -> Hold:
    return Hold(
        id=UUID(id_),
        wallet=WalletId(facts["wallet"]),
        amount=Money(facts["currency"], facts["amount"]),
        captured=facts["captured"],
        state=HoldState(facts["state"]),
        expire_time=instant_of(facts["expire_time"]),
        description=facts.get("description", ""),
        create_time=instant_of(facts["create_time"]),
        update_time=instant_of(facts["update_time"]),
        caller=facts.get("caller", ""),
    )


def _withdrawal(id_: str, event: Event, facts: Facts) -> Withdrawal:
    return Withdrawal(**_order(OrderKind.WITHDRAWAL, UUID(id_), event, facts), reserve=facts["reserve"])


def _scheduled_deposit(id_: str, event: Event, facts: Facts) -> ScheduledDeposit:
    return ScheduledDeposit(
        **_order(OrderKind.SCHEDULED_DEPOSIT, UUID(id_), event, facts),
        collect=facts["collect"],
        external_reference=facts.get("external_reference", ""),
        credit=_optional(UUID, facts.get("credit")),
    )


def _order(kind: OrderKind, id_: UUID, event: Event, facts: Facts) -> dict[str, Any]:
    """Return what orders of both kinds have; when an attempt was made is not stated, and is the event's time."""
    return {
        "id": id_,
        "wallet": WalletId(facts["wallet"]),
        "amount": Money(facts["currency"], facts["amount"]),
        "bank_account": facts.get("bank_account", ""),
        "description": facts.get("description", ""),
        "execute_time": instant_of(facts["execute_time"]),
        "create_time": instant_of(facts["create_time"]),
        "update_time": instant_of(facts["update_time"]),
        "state": OrderState(facts["state"]),
        "next_attempt_time": None,
        "bank_reference": facts.get("bank_reference", ""),
        "failure_reason": _optional(FailureReason, facts.get("failure_reason")),
        "attention": facts.get("attention", ""),
        "caller": facts.get("caller", ""),
        "attempts": tuple(
            Attempt(
                number=number,
                key=bank_key(kind, id_),
                start_time=event.time,
                in_flight_until=event.time,
                is_resend=is_resend,
                answer=AnswerKind(answer) if answer else None,
                reference=reference,
            )
            for number, is_resend, answer, reference in facts.get("attempts", ())
        ),
    }


def _rule(id_: str, _event: Event, facts: Facts) -> CommissionRule:
    return CommissionRule(
        id=UUID(id_),
        currency=facts["currency"],
        threshold=facts["threshold"],
        rate_millionths=facts["rate_millionths"],
        fixed=facts["fixed"],
        minimum=facts["minimum"],
        maximum=facts.get("maximum"),
        payer=Payer(facts["payer"]),
        wallet=_optional(WalletId, facts.get("wallet")),
        label=_optional(lambda pair: Label(*pair), facts.get("label")),
        start_time=instant_of(facts["start_time"]),
        end_time=_optional(instant_of, facts.get("end_time")),
        create_time=instant_of(facts["create_time"]),
    )


def _optional(make: Callable[[Any], Any], value: Any) -> Any:  # noqa: ANN401  # of any fact
    return make(value) if value is not None else None


_READ: Mapping[str, Callable[[str, Event, Facts], Resource]] = {
    "transactions": _transaction,
    "wallets": _wallet,
    "holds": _hold,
    "withdrawals": _withdrawal,
    "scheduledDeposits": _scheduled_deposit,
    "commissionRules": _rule,
}
