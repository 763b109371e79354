"""What each verb does to the model's books, as the protos' comments say it; refusals in the order of their lists."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import floor
from typing import Any
from uuid import UUID

from tests.support import model_orders as orders
from tests.support.model_books import (
    ACTIVE,
    CLOSED,
    DESTINATION,
    FROZEN,
    MOST,
    OPEN,
    SCHEDULED,
    SCHEDULED_DEPOSIT,
    SOURCE,
    WITHDRAWAL,
    Facts,
    Fee,
    Hold,
    LedgerState,
    Move,
    PaymentOrder,
    Purse,
    Record,
    Refused,
    Tariff,
    labels_of,
    refuse_systems,
    simple_legs,
)
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import ExpireHold, VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment
from wallet_core.domain.commands.payments.cancel_order import CancelOrder, CancelScheduledDeposit, CancelWithdrawal
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.commands.wallets.change_wallet import (
    ChangeWallet,
    CloseWallet,
    FreezeWallet,
    UnfreezeWallet,
    UpdateWallet,
)
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.money import Money

# docs/errors.md: decided and stored with the request id.
_FINAL = {
    *("ResourceNotFound", "ResourceExists", "EtagMismatch", "CurrencyMismatch", "WalletNotActive"),
    *("StateTransitionForbidden", "InsufficientFunds", "LimitExceeded"),
}

# What is still open in a wallet stands here for its name: the documents do not say which is told of several.
STILL_OPEN = "… is still open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Yes:
    """What a caller is told of what was done."""

    subject: str
    available: int | None = None
    replayed: bool = False
    facts: Facts

    @property
    def told(self) -> Facts:
        """All of it."""
        return {"subject": self.subject, "available": self.available, "replayed": self.replayed, **self.facts}


def answer(books: LedgerState, command: Command) -> Facts:
    """Do what is asked, or not; return what is told."""
    try:
        _permit(command)
        return _answered(books, command).told
    except Refused as no:
        return no.facts


def _answered(books: LedgerState, command: Command) -> Yes:
    record = books.records.get(command.request)
    if command.request is not None and record is not None:
        return _again(books, command, record)
    if command.validate_only:
        return _done(books.aside(), command)
    try:
        yes = _done(books, command)
    except Refused as no:
        if command.request is not None and no.reason in _FINAL:
            books.records[command.request] = Record(method=command.method, asked=content(command), refused=no)
        raise
    if command.request is not None:
        books.records[command.request] = Record(
            method=command.method, asked=content(command), subject=yes.subject, available=yes.available
        )
    return yes


def _again(books: LedgerState, command: Command, record: Record) -> Yes:
    if record.asked != content(command):
        about = {"request_id": str(command.request.id if command.request else ""), "method": record.method}
        raise Refused("RequestIdReused", **about, resource=record.subject)
    if record.refused is not None:
        raise record.refused.again()
    facts = books.facts_of(record.subject)
    return Yes(subject=record.subject, available=record.available, replayed=True, facts=facts)


def content(command: Command) -> object:
    """Return what is asked for: all but who asks, how, and the ids that the service makes up."""
    return type(command).__name__, _plain(asdict(command))


def _plain(value: Any) -> Any:  # noqa: ANN401  # anything that a command is made of
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key not in {"request", "validate_only", "id"}}
    return [_plain(one) for one in value] if isinstance(value, (tuple, list)) else value


def _done(books: LedgerState, command: Command) -> Yes:
    subject, available_of = _VERBS[type(command)](books, command)
    available = books.available(available_of) if available_of is not None else None
    return Yes(subject=subject, available=available, facts=books.facts_of(subject))


# What is refused before anything is looked up.


def _permit(command: Command) -> None:
    match command:
        case Deposit() | PlaceHold() | ScheduleWithdrawal() | ScheduleDeposit():
            _permit_wallet(command)
            _positive(command.amount)
        case BatchTransfer():
            _permit_items(command)
        case Transfer():
            _permit_transfer(command, command)
        case CaptureHold():
            refuse_systems(command.destination)
            _positive(command.amount)
        case ReverseTransaction():
            _positive(command.amount)
        case ChangeWallet():
            refuse_systems(command.wallet)
            if isinstance(command, UpdateWallet) and command.overdraft_limit is not None:
                _not_negative("wallet.overdraft_limit", command.overdraft_limit.minor)
        case CreateWallet():
            _not_negative("wallet.overdraft_limit", command.overdraft_limit)
        case CreateCommissionRule():
            _permit_rule(command)


def _positive(amount: Money | None) -> None:
    if amount is not None and amount.minor <= 0:
        raise Refused("InvalidField", field="amount")


def _not_negative(name: str, value: int) -> None:
    if value < 0:
        raise Refused("InvalidField", field=name)


def _permit_wallet(command: Deposit | PlaceHold | ScheduleWithdrawal | ScheduleDeposit) -> None:
    if isinstance(command, ScheduleWithdrawal):
        _permit_source(command.wallet, command)
    else:
        refuse_systems(command.wallet)


def _permit_source(name: str, command: Command) -> None:
    """Let nobody take from the service's own wallets, but operations from what the service has earned."""
    if not (_by_operations(command) and name.startswith("system:commission:")):
        refuse_systems(name)


def _by_operations(command: Command) -> bool:
    return command.request is not None and command.request.access.may(Right.OPERATIONS)


def _permit_transfer(terms: TransferTerms, command: Command) -> None:
    _permit_source(terms.source, command)
    refuse_systems(terms.destination)
    _positive(terms.amount)
    if terms.source == terms.destination:
        raise Refused("InvalidField", field="destination")
    most = terms.max_commission
    if most is not None and (most.minor < 0 or most.currency != terms.amount.currency):
        raise Refused("InvalidField", field="max_commission")


def _permit_items(command: BatchTransfer) -> None:
    for place, item in enumerate(command.items):
        try:
            _permit_transfer(item, command)
        except Refused as no:
            if no.reason == "InvalidField":
                raise Refused("InvalidField", field=f"items[{place}].{no.about['field']}") from None
            raise Refused(no.reason, **no.about, item=place) from None


def _permit_rule(command: CreateCommissionRule) -> None:
    _not_negative("rule.threshold_minor_units", command.threshold)
    _not_negative("rule.rate_millionths", command.rate_millionths)
    _not_negative("rule.fixed_minor_units", command.fixed)
    _not_negative("rule.minimum_minor_units", command.minimum)
    if command.rate_millionths > 1_000_000:
        raise Refused("InvalidField", field="rule.rate_millionths")
    if command.maximum is not None and command.maximum < command.minimum:
        raise Refused("InvalidField", field="rule.maximum_minor_units")
    if command.wallet is not None:
        refuse_systems(command.wallet)


# Wallets.


def _create_wallet(books: LedgerState, command: CreateWallet) -> tuple[str, None]:
    if command.id in books.wallets:
        raise Refused("ResourceExists", resource=f"wallets/{command.id}")
    books.open_systems(command.currency)
    books.wallets[command.id] = Purse(
        currency=command.currency,
        limit=command.overdraft_limit,
        labels=labels_of(command.labels),
        title=command.display_name,
    )
    return f"wallets/{command.id}", None


def _change_wallet(books: LedgerState, command: ChangeWallet) -> tuple[str, None]:
    name = command.wallet
    purse = books.wallet(name)
    if command.etag and command.etag != purse.etag:
        raise Refused("EtagMismatch", resource=f"wallets/{name}")
    match command:
        case UpdateWallet():
            _update(books, command, purse)
        case FreezeWallet():
            _turn(name, purse, before=ACTIVE, after=FROZEN, because="only an active wallet can be frozen")
        case UnfreezeWallet():
            _turn(name, purse, before=FROZEN, after=ACTIVE, because="only a frozen wallet can be unfrozen")
        case CloseWallet():
            _close(books, name, purse)
    purse.etag = None
    return f"wallets/{name}", None


def _update(books: LedgerState, command: UpdateWallet, purse: Purse) -> None:
    name = command.wallet
    if purse.state == CLOSED:
        raise Refused("WalletNotActive", resource=f"wallets/{name}", state=purse.state)
    limit = 0 if command.clear_overdraft_limit else purse.limit
    if command.overdraft_limit is not None:
        if command.overdraft_limit.currency != purse.currency:
            raise Refused("CurrencyMismatch", resource=f"wallets/{name}", currency=purse.currency)
        limit = command.overdraft_limit.minor
    used = books.held(name) - purse.balance
    if limit < used:
        raise Refused("LimitExceeded", resource=f"wallets/{name}", limit=used)
    if limit + purse.balance > MOST:
        raise Refused("LimitExceeded", resource=f"wallets/{name}", limit=MOST)
    purse.limit = limit
    if command.labels is not None:
        purse.labels = labels_of(command.labels)
    if command.display_name is not None:
        purse.title = command.display_name


def _turn(name: str, purse: Purse, *, before: str, after: str, because: str) -> None:
    if purse.state != before:
        raise Refused("StateTransitionForbidden", resource=f"wallets/{name}", state=purse.state, because=because)
    purse.state = after


def _close(books: LedgerState, name: str, purse: Purse) -> None:
    why = ""
    if purse.state == CLOSED:
        why = "the wallet is closed"
    elif purse.balance:
        why = "the balance is not zero"
    elif open_item_in(books, name):
        why = STILL_OPEN
    if why:
        raise Refused("StateTransitionForbidden", resource=f"wallets/{name}", state=purse.state, because=why)
    purse.state = CLOSED


def open_item_in(books: LedgerState, name: str, *, ever: bool = False) -> set[str]:
    """Return the names of all that is not final in a wallet, or that ever was in it."""
    holds = {f"holds/{id_}": one.state == ACTIVE for id_, one in books.holds.items() if one.wallet == name}
    orders_ = {f"{one.kind}/{id_}": one.state in OPEN for id_, one in books.orders.items() if one.wallet == name}
    return {thing for thing, open_ in (holds | orders_).items() if open_ or ever}


# Money.


def _deposit(books: LedgerState, command: Deposit) -> tuple[str, str]:
    books.taker(command.wallet, command.amount.currency)
    outside = f"system:external:{command.amount.currency}"
    _post(books, command.id, "DEPOSIT", outside, command.wallet, command.amount.minor)
    return f"transactions/{command.id}", command.wallet


def _post(  # noqa: PLR0913, PLR0917  # what a movement is made of
    books: LedgerState, id_: UUID, kind: str, source: str, destination: str, amount: int, cause: UUID | None = None
) -> None:
    legs = simple_legs(source, destination, amount)
    books.post(Move(id=id_, kind=kind, source=source, destination=destination, amount=amount, legs=legs, cause=cause))


def _transfer(books: LedgerState, command: Transfer) -> tuple[str, str]:
    _move(books, command)
    return f"transactions/{command.id}", command.source


def _move(books: LedgerState, terms: TransferTerms) -> None:
    source, destination, amount = terms.source, terms.destination, terms.amount.minor
    books.giver(source, terms.amount.currency)
    books.taker(destination, terms.amount.currency)
    fee = books.fee(amount, source, destination)
    if fee is not None and terms.max_commission is not None and fee.amount > terms.max_commission.minor:
        raise Refused("LimitExceeded", resource=f"commissionRules/{fee.rule}", limit=terms.max_commission.minor)
    legs = simple_legs(source, destination, amount)
    if fee is not None:
        legs[source if fee.payer == SOURCE else destination] -= fee.amount
        legs[f"system:commission:{terms.amount.currency}"] = fee.amount
    books.post(
        Move(id=terms.id, kind="TRANSFER", source=source, destination=destination, amount=amount, fee=fee, legs=legs)
    )


def _batch_transfer(books: LedgerState, command: BatchTransfer) -> tuple[str, None]:
    before = {name: purse.balance for name, purse in books.wallets.items()}
    for place, item in enumerate(command.items):
        try:
            _move(books, item)
        except Refused as no:
            for name, balance in before.items():
                books.wallets[name].balance = balance
            for done in command.items[:place]:
                del books.moves[done.id]
            raise Refused(no.reason, **no.about, item=place) from None
    books.batches[command.id] = [item.id for item in command.items]
    return f"batches/{command.id}", None


def _reverse(books: LedgerState, command: ReverseTransaction) -> tuple[str, None]:
    id_ = command.transaction
    name = f"transactions/{id_}"
    if id_ not in books.moves:
        raise Refused("ResourceNotFound", resource=name)
    first = books.moves[id_]
    currency = command.amount.currency if command.amount is not None else books.wallets[first.source].currency
    books.giver(first.destination, currency, *([FROZEN] if _by_operations(command) else []))
    books.taker(first.source, currency)
    left = first.amount - first.returned
    state = "POSTED" if not first.returned else "PARTIALLY_REVERSED" if left else "REVERSED"
    if first.kind not in {"TRANSFER", "DEPOSIT"}:
        why = "only transfers and deposits can be reversed"
        raise Refused("StateTransitionForbidden", resource=name, state=state, because=why)
    if not left:
        why = "all of it was reversed already"
        raise Refused("StateTransitionForbidden", resource=name, state=state, because=why)
    amount = command.amount.minor if command.amount is not None else left
    if amount > left:
        raise Refused("LimitExceeded", resource=name, limit=left)
    _give_back(books, command, first, amount)
    return f"transactions/{command.id}", None


def _give_back(books: LedgerState, command: ReverseTransaction, first: Move, amount: int) -> None:
    legs = simple_legs(first.destination, first.source, amount)
    fee, share = None, 0
    if first.fee is not None:
        # Of the whole commission so much belongs to what will have gone back, rounded down.
        due = floor(Fraction(first.fee.amount * (first.returned + amount), first.amount))
        share = due - first.fee_returned - first.fee_kept
        if not command.keep_commission:
            legs[first.source if first.fee.payer == SOURCE else first.destination] += share
            legs[f"system:commission:{books.wallets[first.source].currency}"] = -share
            other = DESTINATION if first.fee.payer == SOURCE else SOURCE
            fee = Fee(amount=-share, payer=other, rule=first.fee.rule)
    books.post(
        Move(
            id=command.id,
            kind="REVERSAL",
            source=first.destination,
            destination=first.source,
            amount=amount,
            fee=fee,
            legs=legs,
            cause=command.transaction,
        )
    )
    first.returned += amount
    if command.keep_commission:
        first.fee_kept += share
    else:
        first.fee_returned += share


# Holds.


def _place_hold(books: LedgerState, command: PlaceHold) -> tuple[str, str]:
    if books.past(command.expire_time):
        raise Refused("InvalidField", field="expire_time")
    books.giver(command.wallet, command.amount.currency)
    books.require(command.wallet, command.amount.minor)
    books.holds[command.id] = Hold(
        wallet=command.wallet, amount=command.amount.minor, expires=books.hour_of(command.expire_time)
    )
    return f"holds/{command.id}", command.wallet


def _hold(books: LedgerState, id_: UUID) -> Hold:
    if id_ not in books.holds:
        raise Refused("ResourceNotFound", resource=f"holds/{id_}")
    return books.holds[id_]


def _capture_hold(books: LedgerState, command: CaptureHold) -> tuple[str, None]:
    hold, destination = _hold(books, command.hold), command.destination
    books.wallet(destination)
    if destination == hold.wallet:
        raise Refused("InvalidField", field="destination")
    name, currency = f"holds/{command.hold}", books.wallets[hold.wallet].currency
    if command.amount is not None:
        currency = command.amount.currency
    books.giver(hold.wallet, currency)
    books.taker(destination, currency)
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
        _post(books, command.id, "HOLD_CAPTURE", hold.wallet, destination, amount, command.hold)
    except Refused:
        hold.captured = before
        raise
    hold.lease = None
    if command.final or not hold.left:
        hold.state = "CAPTURED"
    return f"transactions/{command.id}", None


def _void_hold(books: LedgerState, command: VoidHold) -> tuple[str, None]:
    hold, name = _hold(books, command.hold), f"holds/{command.hold}"
    if hold.state != ACTIVE:
        raise Refused("StateTransitionForbidden", resource=name, state=hold.state, because="the hold has ended")
    hold.state = "VOIDED"
    return name, None


def _expire_hold(books: LedgerState, command: ExpireHold) -> tuple[str, None]:
    name, hold = f"holds/{command.claim.hold}", books.holds[command.claim.hold]
    if hold.state != ACTIVE or hold.fence != command.claim.fence:
        raise Refused("StaleClaim", resource=name)
    hold.state = "EXPIRED"
    return name, None


# Orders.


def _schedule_withdrawal(books: LedgerState, command: ScheduleWithdrawal) -> tuple[str, None]:
    if books.past(command.execute_time):
        raise Refused("InvalidField", field="execute_time")
    books.giver(command.wallet, command.amount.currency)
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


def _schedule_deposit(books: LedgerState, command: ScheduleDeposit) -> tuple[str, None]:
    if books.past(command.execute_time):
        raise Refused("InvalidField", field="execute_time")
    books.taker(command.wallet, command.amount.currency)
    books.orders[command.id] = PaymentOrder(
        kind=SCHEDULED_DEPOSIT,
        wallet=command.wallet,
        amount=command.amount.minor,
        collect=command.collect,
        next=books.hour_of(command.execute_time),
    )
    return f"{SCHEDULED_DEPOSIT}/{command.id}", None


def _cancel(books: LedgerState, command: CancelOrder) -> tuple[str, None]:
    kind = WITHDRAWAL if isinstance(command, CancelWithdrawal) else SCHEDULED_DEPOSIT
    order, name = books.orders.get(command.order), f"{kind}/{command.order}"
    if order is None or order.kind != kind:
        raise Refused("ResourceNotFound", resource=name)
    if order.wallet.startswith("system:") and not _by_operations(command):
        raise Refused("PermissionMissing", permission="operations")
    if order.state != SCHEDULED:
        why = "only a scheduled order can be cancelled"
        raise Refused("StateTransitionForbidden", resource=name, state=order.state, because=why)
    order.state, order.lease = "CANCELLED", None
    return name, None


def _credit(books: LedgerState, command: CreditDeposit) -> tuple[str, None]:
    orders.credit(books, command.claim.order, command.claim.fence, command.id)
    return f"{SCHEDULED_DEPOSIT}/{command.claim.order}", None


def _settle(books: LedgerState, command: SettlePayment) -> tuple[str, None]:
    claim = command.claim
    orders.settle(books, claim.order, claim.fence, command.attempt, command.answer.kind, command.id)
    return f"{claim.kind}/{claim.order}", None


# Commission.


def _create_rule(books: LedgerState, command: CreateCommissionRule) -> tuple[str, None]:
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
    books.tariffs[command.id] = Tariff(
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


def _end_rule(books: LedgerState, command: EndCommissionRule) -> tuple[str, None]:
    name = f"commissionRules/{command.rule}"
    if books.past(command.end_time):
        raise Refused("InvalidField", field="end_time")
    if command.rule not in books.tariffs:
        raise Refused("ResourceNotFound", resource=name)
    tariff = books.tariffs[command.rule]
    if tariff.over:
        raise Refused("StateTransitionForbidden", resource=name, state="ENDED", because="the rule has ended")
    end = books.hour_of(command.end_time)
    if tariff.end is not None and end > tariff.end:
        why = "the rule ends earlier; its end can only be moved to an earlier time"
        raise Refused("StateTransitionForbidden", resource=name, state="ENDING", because=why)
    tariff.end = end
    tariff.over = command.end_time is None
    return name, None


_VERBS: dict[type[Command], Callable[[LedgerState, Any], tuple[str, str | None]]] = {
    CreateWallet: _create_wallet,
    UpdateWallet: _change_wallet,
    FreezeWallet: _change_wallet,
    UnfreezeWallet: _change_wallet,
    CloseWallet: _change_wallet,
    Deposit: _deposit,
    Transfer: _transfer,
    BatchTransfer: _batch_transfer,
    ReverseTransaction: _reverse,
    PlaceHold: _place_hold,
    CaptureHold: _capture_hold,
    VoidHold: _void_hold,
    ExpireHold: _expire_hold,
    ScheduleWithdrawal: _schedule_withdrawal,
    ScheduleDeposit: _schedule_deposit,
    CancelWithdrawal: _cancel,
    CancelScheduledDeposit: _cancel,
    CreditDeposit: _credit,
    SettlePayment: _settle,
    CreateCommissionRule: _create_rule,
    EndCommissionRule: _end_rule,
}
