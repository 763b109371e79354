"""What the verbs of holds, payment orders and commission rules do to the model's ledger."""

from uuid import UUID

from tests.model import payment_orders as orders
from tests.model.ledger import LedgerState
from tests.model.money_verbs import post
from tests.model.records import (
    ACTIVE,
    SCHEDULED,
    SCHEDULED_DEPOSIT,
    WITHDRAWAL,
    Hold,
    PaymentOrder,
    Refused,
    RuleRecord,
)
from tests.model.validation import by_operations
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import ExpireHold, VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment
from wallet_core.domain.commands.payments.cancel_order import CancelOrder, CancelWithdrawal
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal

# Holds.


def place_hold(books: LedgerState, command: PlaceHold) -> tuple[str, str]:
    """Reserve money in a wallet."""
    if books.past(command.expire_time):
        raise Refused("InvalidField", field="expire_time")
    books.debit_wallet(command.wallet, command.amount.currency)
    books.require(command.wallet, command.amount.minor)
    books.holds[command.id] = Hold(
        wallet=command.wallet, amount=command.amount.minor, expires=books.hour_of(command.expire_time)
    )
    return f"holds/{command.id}", command.wallet


def _hold_of(books: LedgerState, id_: UUID) -> Hold:
    if id_ not in books.holds:
        raise Refused("ResourceNotFound", resource=f"holds/{id_}")
    return books.holds[id_]


def capture_hold(books: LedgerState, command: CaptureHold) -> tuple[str, None]:
    """Capture a hold, whole or in part."""
    hold, destination = _hold_of(books, command.hold), command.destination
    books.wallet(destination)
    if destination == hold.wallet:
        raise Refused("InvalidField", field="destination")
    name, currency = f"holds/{command.hold}", books.wallets[hold.wallet].currency
    if command.amount is not None:
        currency = command.amount.currency
    books.debit_wallet(hold.wallet, currency)
    books.credit_wallet(destination, currency)
    if hold.state != ACTIVE:
        raise Refused("StateTransitionForbidden", resource=name, state=hold.state, because="the hold has ended")
    if hold.overdue:
        why = "the hold has expired"
        raise Refused("StateTransitionForbidden", resource=name, state="EXPIRED", because=why)
    amount = command.amount.minor if command.amount is not None else hold.left
    if amount > hold.left:
        raise Refused("LimitExceeded", resource=name, limit=hold.left)
    before = hold.captured
    hold.captured += amount
    try:
        post(books, command.id, "HOLD_CAPTURE", hold.wallet, destination, amount, command.hold)
    except Refused:
        hold.captured = before
        raise
    hold.lease = None
    if command.final or not hold.left:
        hold.state = "CAPTURED"
    return f"transactions/{command.id}", None


def void_hold(books: LedgerState, command: VoidHold) -> tuple[str, None]:
    """Release a hold."""
    hold, name = _hold_of(books, command.hold), f"holds/{command.hold}"
    if hold.state != ACTIVE:
        raise Refused("StateTransitionForbidden", resource=name, state=hold.state, because="the hold has ended")
    hold.state = "VOIDED"
    return name, None


def expire_hold(books: LedgerState, command: ExpireHold) -> tuple[str, None]:
    """Expire a hold, as its claim permits."""
    name, hold = f"holds/{command.claim.hold}", books.holds[command.claim.hold]
    if hold.state != ACTIVE or hold.fence != command.claim.fence:
        raise Refused("StaleClaim", resource=name)
    hold.state = "EXPIRED"
    return name, None


# Orders.


def schedule_withdrawal(books: LedgerState, command: ScheduleWithdrawal) -> tuple[str, None]:
    """Schedule a withdrawal."""
    if books.past(command.execute_time):
        raise Refused("InvalidField", field="execute_time")
    books.debit_wallet(command.wallet, command.amount.currency)
    if command.reserve:
        books.require(command.wallet, command.amount.minor)
    books.orders[command.id] = PaymentOrder(
        kind=WITHDRAWAL,
        wallet=command.wallet,
        amount=command.amount.minor,
        reserve=command.reserve,
        next=books.hour_of(command.execute_time),
    )
    return f"{WITHDRAWAL}/{command.id}", None


def schedule_deposit(books: LedgerState, command: ScheduleDeposit) -> tuple[str, None]:
    """Schedule a deposit."""
    if books.past(command.execute_time):
        raise Refused("InvalidField", field="execute_time")
    books.credit_wallet(command.wallet, command.amount.currency)
    books.orders[command.id] = PaymentOrder(
        kind=SCHEDULED_DEPOSIT,
        wallet=command.wallet,
        amount=command.amount.minor,
        collect=command.collect,
        next=books.hour_of(command.execute_time),
    )
    return f"{SCHEDULED_DEPOSIT}/{command.id}", None


def cancel(books: LedgerState, command: CancelOrder) -> tuple[str, None]:
    """Cancel a payment order."""
    kind = WITHDRAWAL if isinstance(command, CancelWithdrawal) else SCHEDULED_DEPOSIT
    order, name = books.orders.get(command.order), f"{kind}/{command.order}"
    if order is None or order.kind != kind:
        raise Refused("ResourceNotFound", resource=name)
    if order.wallet.startswith("system:") and not by_operations(command):
        raise Refused("PermissionMissing", permission="operations")
    if order.state != SCHEDULED:
        why = "only a scheduled order can be cancelled"
        raise Refused("StateTransitionForbidden", resource=name, state=order.state, because=why)
    order.state, order.lease = "CANCELLED", None
    return name, None


def credit(books: LedgerState, command: CreditDeposit) -> tuple[str, None]:
    """Credit a scheduled deposit."""
    orders.credit(books, command.claim.order, command.claim.fence, command.id)
    return f"{SCHEDULED_DEPOSIT}/{command.claim.order}", None


def settle(books: LedgerState, command: SettlePayment) -> tuple[str, None]:
    """Settle an attempt of a payment order."""
    claim = command.claim
    orders.settle(books, claim.order, claim.fence, command.attempt, command.answer.kind, command.id)
    return f"{claim.kind}/{claim.order}", None


# Commission.


def create_rule(books: LedgerState, command: CreateCommissionRule) -> tuple[str, None]:
    """Create a commission rule."""
    if books.past(command.start_time):
        raise Refused("InvalidField", field="rule.start_time")
    start = command.start_time or books.began
    if command.end_time is not None and command.end_time <= start:
        raise Refused("InvalidField", field="rule.end_time")
    if command.wallet is not None and books.wallet(command.wallet).currency != command.currency:
        currency = books.wallets[command.wallet].currency
        raise Refused("CurrencyMismatch", resource=f"wallets/{command.wallet}", currency=currency)
    books.open_systems(command.currency)
    books.happened += 1
    books.rules[command.id] = RuleRecord(
        currency=command.currency,
        threshold=command.threshold,
        rate=command.rate_millionths,
        fixed=command.fixed,
        least=command.minimum,
        most=command.maximum,
        payer=str(command.payer),
        wallet=command.wallet,
        label=(command.label.key, command.label.value) if command.label is not None else None,
        started=books.happened if command.start_time is None else None,
        end=books.hour_of(command.end_time) if command.end_time is not None else None,
    )
    return f"commissionRules/{command.id}", None


def end_rule(books: LedgerState, command: EndCommissionRule) -> tuple[str, None]:
    """End a commission rule."""
    name = f"commissionRules/{command.rule}"
    if books.past(command.end_time):
        raise Refused("InvalidField", field="end_time")
    if command.rule not in books.rules:
        raise Refused("ResourceNotFound", resource=name)
    rule_record = books.rules[command.rule]
    if rule_record.over:
        raise Refused("StateTransitionForbidden", resource=name, state="ENDED", because="the rule has ended")
    end = books.hour_of(command.end_time)
    if rule_record.end is not None and end > rule_record.end:
        why = "the rule ends earlier; its end can only be moved to an earlier time"
        raise Refused("StateTransitionForbidden", resource=name, state="ENDING", because=why)
    rule_record.end = end
    rule_record.over = command.end_time is None
    return name, None
