"""Check a decision against the ledger's own rules, and apply it: the only place that changes ``LedgerState``."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from wallet_core.domain.deciding import facts
from wallet_core.domain.deciding.decision import ChangedWallet, Decision, Done, OpenedWallet
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.commission_rule import CommissionRule
from wallet_core.domain.model.errors import (
    ClockBehind,
    InsufficientFunds,
    LedgerBroken,
    LimitExceeded,
    ServiceWalletFull,
)
from wallet_core.domain.model.event import Event, EventType
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.money import INT64_MAX, INT64_MIN, Currency
from wallet_core.domain.model.payment_order import Attempt, PaymentOrder, Resolution, ScheduledDeposit
from wallet_core.domain.model.transaction import Entry, Movement, Reversals, Transaction, TransactionType
from wallet_core.domain.model.wallet import Role, Wallet, WalletId, wallet_name
from wallet_core.domain.model.webhook import WebhookChange


def check(ledger: LedgerState, decision: Decision) -> None:
    """Raise if the decision must not be applied; change nothing."""
    projection = Projection(ledger)
    if decision.order is not None:
        _check_transition(ledger, decision.order)
        projection.hold(decision.order.wallet, decision.order.held - _held_by_order(ledger, decision.order.id))
    if decision.hold is not None:
        projection.hold(decision.hold.wallet, decision.hold.held - _held_by_hold(ledger, decision.hold.id))
    for movement in decision.movements:
        projection.move(movement)
        _check_clock(ledger, movement)
    _check_amounts(ledger, decision)


def apply(ledger: LedgerState, decision: Decision, origin: facts.Origin | None) -> Done:
    """Apply a checked decision; its events name the request that it follows from."""
    _apply_opening(ledger, decision.opens, decision.first_of)
    if decision.wallet is not None:
        _apply_wallet(ledger, decision.wallet)
    if decision.hold is not None:
        _apply_hold(ledger, decision.hold)
    if decision.order is not None:
        _apply_order(ledger, decision.order, decision.attempt, decision.resolution)
    if decision.line is not None:
        ledger.lines[decision.line.number] = ledger.pending.lines[decision.line.number] = decision.line
    if decision.bank_statement is not None:
        ledger.bank_statement = ledger.pending.bank_statement = decision.bank_statement
    if decision.rule is not None:
        _apply_rule(ledger, decision.rule)
    if decision.webhook is not None:
        _apply_webhook(ledger, decision.webhook)
    ledger.references.update(decision.references)
    ledger.pending.references.update(decision.references)
    caller = origin.request.caller if origin is not None else ""
    transactions = tuple(_post(ledger, movement, caller) for movement in decision.movements)
    done = _done(ledger, decision, transactions)
    _publish(ledger, decision, done, origin)
    return done


def preview(ledger: LedgerState, decision: Decision, origin: facts.Origin | None) -> Done:
    """Return what ``apply`` would, and change nothing; *decision* has been checked."""
    return apply(_copy_for(ledger, decision), decision, origin)


class Projection:
    """The balances and holds that a decision would leave, computed step by step without applying it."""

    def __init__(self, ledger: LedgerState) -> None:
        self._ledger = ledger
        self._balance: defaultdict[WalletId, int] = defaultdict(int)
        self._held: defaultdict[WalletId, int] = defaultdict(int)

    def hold(self, wallet: WalletId, amount: int) -> None:
        """Reserve *amount* minor units more, or fewer where it is negative; raise if they are not available."""
        if amount > 0:
            self._require(self._ledger.wallet(wallet), amount)
        self._held[wallet] += amount

    def move(self, movement: Movement) -> None:
        """Move money; raise where a wallet has too little available, or a balance would leave 64 bits."""
        legs = [(self._ledger.wallets[leg.wallet], leg.amount) for leg in movement.legs]
        if sum(amount for _, amount in legs) != 0 or len({wallet.id for wallet, _ in legs}) < len(legs):
            raise LedgerBroken
        for wallet, amount in legs:
            if amount < 0 and wallet.role is not Role.EXTERNAL:
                self._require(wallet, -amount)
        self._require_range(legs)
        for wallet, amount in legs:
            self._balance[wallet.id] += amount

    def _require(self, wallet: Wallet, amount: int) -> None:
        available = wallet.available + self._balance[wallet.id] - self._held[wallet.id]
        if available < amount:
            raise InsufficientFunds(wallet.name, wallet.currency, available, amount)

    def _require_range(self, legs: Iterable[tuple[Wallet, int]]) -> None:
        """Raise where a balance would leave 64 bits; a caller's wallet is named before one of the service's."""
        full: ServiceWalletFull | None = None
        for wallet, amount in legs:
            balance = wallet.balance + self._balance[wallet.id]
            limit = INT64_MAX if amount > 0 else INT64_MIN
            after = balance + amount + (wallet.overdraft_limit if amount > 0 else 0)
            if not INT64_MIN <= after <= INT64_MAX:
                if wallet.role is Role.ORDINARY:
                    raise LimitExceeded(wallet.name, limit)
                full = full or ServiceWalletFull(wallet.name, limit)
        if full is not None:
            raise full


def _check_transition(ledger: LedgerState, after: PaymentOrder) -> None:
    before = ledger.orders.get(after.id)
    if before is not None and before.state != after.state and after.state not in before.transitions[before.state]:
        raise LedgerBroken


def _check_amounts(ledger: LedgerState, decision: Decision) -> None:
    """Refuse an amount above the limit for one call: on what a caller requests, not on what follows from it later."""
    for movement in decision.movements:
        by_caller = movement.type is TransactionType.TRANSFER or (
            movement.type is TransactionType.DEPOSIT and movement.cause is None
        )
        if by_caller and movement.amount.minor > ledger.amount_max:
            raise LimitExceeded(wallet_name(movement.destination), ledger.amount_max)
    order = decision.order
    is_new = isinstance(order, ScheduledDeposit) and order.id not in ledger.orders
    if order is not None and is_new and order.amount.minor > ledger.amount_max:
        raise LimitExceeded(wallet_name(order.wallet), ledger.amount_max)


def _check_clock(ledger: LedgerState, movement: Movement) -> None:
    """Raise where the transaction would be dated too far into the future, because a wallet's last time is.

    A time spreads from wallet to wallet, and through the service's own wallets over a whole currency.
    """
    latest = max(ledger.wallets[leg.wallet].last_time for leg in movement.legs)
    if latest > ledger.now and latest - ledger.now > ledger.clock_behind_max:
        raise ClockBehind


def _apply_opening(ledger: LedgerState, opens: Iterable[OpenedWallet], first_of: Currency | None) -> None:
    for new in opens:
        ledger.wallets[new.wallet.id] = new.wallet
        ledger.details[new.wallet.id] = new.details
        ledger.pending.opened.append(new)
    if first_of is not None:
        ledger.pending.currencies.append(first_of)


def _apply_wallet(ledger: LedgerState, change: ChangedWallet) -> None:
    wallet = ledger.wallets[change.id]
    wallet.state = change.state
    wallet.overdraft_limit = change.overdraft_limit
    wallet.labels = change.labels
    ledger.details[change.id] = change.details
    ledger.pending.changed.add(change.id)


def _apply_hold(ledger: LedgerState, hold: Hold) -> None:
    _reserve(ledger, hold.wallet, hold.held - _held_by_hold(ledger, hold.id))
    if hold.id not in ledger.holds:
        ledger.pending.new.add(hold.id)
    ledger.holds[hold.id] = ledger.pending.holds[hold.id] = hold


def _apply_order(
    ledger: LedgerState, order: PaymentOrder, attempt: Attempt | None, resolution: Resolution | None
) -> None:
    _reserve(ledger, order.wallet, order.held - _held_by_order(ledger, order.id))
    if order.id not in ledger.orders:
        ledger.pending.new.add(order.id)
    ledger.orders[order.id] = ledger.pending.orders[order.id] = order
    if attempt is not None:
        ledger.pending.attempts[order.key, attempt.number] = attempt
    if resolution is not None:
        ledger.pending.resolutions.append((order.name, resolution))


def _apply_rule(ledger: LedgerState, rule: CommissionRule) -> None:
    if rule.id not in ledger.rules:
        ledger.pending.new.add(rule.id)
    ledger.rules[rule.id] = ledger.pending.rules[rule.id] = rule


def _apply_webhook(ledger: LedgerState, change: WebhookChange) -> None:
    webhook = change.webhook
    if webhook.id not in ledger.webhooks:
        ledger.pending.new.add(webhook.id)
        counts = ledger.webhook_counts
        counts[webhook.confined_to] = counts.get(webhook.confined_to, 0) + 1
    ledger.webhooks[webhook.id] = webhook
    ledger.pending.webhooks.append(change)


def _post(ledger: LedgerState, movement: Movement, caller: str) -> Transaction:
    """Move money between locked wallets, and return it as a transaction with its entries."""
    legs = [(ledger.wallets[leg.wallet], leg.amount) for leg in movement.legs]
    time = max(ledger.now, *(wallet.last_time for wallet, _ in legs))
    entries = []
    for wallet, amount in legs:
        _touch(ledger, wallet)
        wallet.balance += amount
        wallet.sequence += 1
        wallet.last_time = time
        entries.append(Entry(wallet.id, wallet.key, wallet.sequence, amount, wallet.balance))
    transaction = Transaction(movement=movement, entries=tuple(entries), time=time, caller=caller)
    ledger.pending.transactions.append(transaction)
    if movement.type is TransactionType.REVERSAL and movement.cause is not None:
        _apply_reversal(ledger, ledger.transactions[movement.cause], transaction)
    return transaction


def _apply_reversal(ledger: LedgerState, original: Transaction, reversal: Transaction) -> None:
    before = original.reversals
    after = Reversals(ids=(*before.ids, reversal.id), amount=before.amount + reversal.movement.amount.minor)
    ledger.transactions[original.id] = replace(original, reversals=after)


def _reserve(ledger: LedgerState, wallet: WalletId, amount: int) -> None:
    if amount:
        found = ledger.wallets[wallet]
        _touch(ledger, found)
        found.held += amount


def _touch(ledger: LedgerState, wallet: Wallet) -> None:
    ledger.pending.touched.setdefault(wallet.id, wallet.sequence)


def _held_by_hold(ledger: LedgerState, hold: UUID) -> int:
    before = ledger.holds.get(hold)
    return before.held if before is not None else 0


def _held_by_order(ledger: LedgerState, order: UUID) -> int:
    before = ledger.orders.get(order)
    return before.held if before is not None else 0


def _publish(ledger: LedgerState, decision: Decision, done: Done, origin: facts.Origin | None) -> None:
    """Add the events of a decision: one for each transaction, then its own."""
    ledger.pending.events.extend(
        Event(EventType.TRANSACTION_POSTED, one.name, one.wallets, one.time, facts.posted(one, origin))
        for one in done.transactions
    )
    if decision.event is not None:
        # A capture is the subject of its request as a transaction, and its event is about the hold.
        subject = decision.hold.name if decision.hold is not None else decision.subject
        stated = facts.changed(decision, done.wallet, origin)
        ledger.pending.events.append(Event(decision.event, subject, _wallets_of(decision), ledger.now, stated))


def _wallets_of(decision: Decision) -> tuple[WalletId, ...]:
    """Return the wallets that a decision's own event concerns."""
    dependent = decision.hold or decision.order
    if dependent is not None:
        return (dependent.wallet,)
    if decision.wallet is not None:
        return (decision.wallet.id,)
    if decision.rule is not None:
        return (decision.rule.wallet,) if decision.rule.wallet is not None else ()
    return (decision.opens[-1].wallet.id,) if decision.opens else ()


def _done(ledger: LedgerState, decision: Decision, transactions: tuple[Transaction, ...]) -> Done:
    wallet = decision.opens[-1].wallet.id if decision.opens else None
    if decision.wallet is not None:
        wallet = decision.wallet.id
    return Done(
        subject=decision.subject,
        transactions=transactions,
        available=ledger.wallets[decision.available_of].available if decision.available_of is not None else None,
        wallet=ledger.view(wallet) if wallet is not None else None,
        hold=decision.hold,
        order=decision.order,
        line=decision.line,
        bank_statement=decision.bank_statement,
        rule=decision.rule,
        webhook=decision.webhook.webhook if decision.webhook is not None else None,
    )


def _copy_for(ledger: LedgerState, decision: Decision) -> LedgerState:
    """Return a copy that a decision can be applied to, with copies of the wallets that it changes."""
    ids = {leg.wallet for movement in decision.movements for leg in movement.legs}
    ids |= {one.wallet for one in (decision.hold, decision.order) if one is not None}
    ids |= {decision.wallet.id} if decision.wallet is not None else set()
    ids |= {decision.available_of} if decision.available_of is not None else set()
    opened = {new.wallet.id for new in decision.opens}
    return LedgerState(
        now=ledger.now,
        wallets={id_: replace(ledger.wallets[id_]) for id_ in ids - opened},
        details=dict(ledger.details),
        orders=dict(ledger.orders),
        lines=dict(ledger.lines),
        bank_statement=ledger.bank_statement,
        holds=dict(ledger.holds),
        transactions=dict(ledger.transactions),
        rules=dict(ledger.rules),
        webhooks=dict(ledger.webhooks),
        webhook_counts=dict(ledger.webhook_counts),
        references=dict(ledger.references),
    )
