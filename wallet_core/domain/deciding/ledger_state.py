"""The books while they are open: locked wallets, what hangs on them, earlier outcomes, and what has been decided.

``storage.posting`` fills them under the locks and stores what they have gathered. Commands read them; ``book`` alone
changes them, so a refused command leaves no trace.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from wallet_core.domain.deciding.command import ChangedWallet, Decision, Done, OpenedWallet, Outcome, Refused, Request
from wallet_core.domain.model.bank import BankStatement, BankStatementLine, ledger_name, line_name
from wallet_core.domain.model.commission_rule import Commission, CommissionRule, Side, commission_on
from wallet_core.domain.model.errors import (
    ClockBehind,
    CurrencyMismatch,
    InsufficientFunds,
    LedgerBroken,
    LimitExceeded,
    Refusal,
    RequestIdReused,
    ResourceNotFound,
    ServiceWalletFull,
    WalletNotActive,
)
from wallet_core.domain.model.event import Event, EventType
from wallet_core.domain.model.hold import Hold, HoldState, hold_name
from wallet_core.domain.model.money import INT64_MAX, INT64_MIN, Currency, Money
from wallet_core.domain.model.payment_order import (
    Attempt,
    OrderKind,
    PaymentOrder,
    Resolution,
    ScheduledDeposit,
    order_name,
)
from wallet_core.domain.model.stored_refusals import from_record, to_record
from wallet_core.domain.model.transaction import (
    Entry,
    Movement,
    Reversals,
    Transaction,
    TransactionType,
    transaction_name,
)
from wallet_core.domain.model.wallet import (
    Role,
    Wallet,
    WalletDetails,
    WalletId,
    WalletState,
    WalletView,
    view_of,
    wallet_name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The outcome of a request, as it is kept for ever."""

    request: Request
    method: str
    fingerprint: bytes
    subject: str | None = None
    available: int | None = None
    refusal: Refusal | None = None

    def outcome_for(self, method: str, fingerprint: bytes) -> Outcome:
        """Repeat the outcome to a call of the same kind, or say that the id was used for something else."""
        if (method, fingerprint) != (self.method, self.fingerprint):
            return Refused(RequestIdReused(str(self.request.id), self.method, self.subject or ""))
        if self.refusal is not None:
            # One of its own: two callers raise it at the same time.
            repeated = from_record(*to_record(self.refusal))
            repeated.replayed = True
            return Refused(repeated)
        if self.subject is None:
            raise LedgerBroken
        return Done(subject=self.subject, available=self.available, replayed=True)


@dataclass(slots=True, kw_only=True)
class PendingWrites:
    """What has been decided and is to be stored. What is new is told apart from what has changed by its set."""

    opened: list[OpenedWallet] = field(default_factory=list)
    currencies: list[Currency] = field(default_factory=list)
    """Of which the first wallets are among those."""
    touched: dict[WalletId, int] = field(default_factory=dict)
    """Wallets whose money or holds have changed, and the sequence at which each was found."""
    changed: set[WalletId] = field(default_factory=set)
    """Wallets of which anything else has changed."""
    transactions: list[Transaction] = field(default_factory=list)
    new: set[UUID] = field(default_factory=set)
    """Those of the orders, holds and rules that were not there before."""
    orders: dict[UUID, PaymentOrder] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    resolutions: list[tuple[str, Resolution]] = field(default_factory=list)
    """With the name of the order that each is about."""
    lines: dict[int, BankStatementLine] = field(default_factory=dict)
    bank_statement: BankStatement | None = None
    """One that was accepted."""
    holds: dict[UUID, Hold] = field(default_factory=dict)
    rules: dict[UUID, CommissionRule] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class LedgerState:
    """What a batch of commands decides on. *now* is the database's clock once all locks were held."""

    now: datetime
    wallets: dict[WalletId, Wallet]
    details: dict[WalletId, WalletDetails] = field(default_factory=dict)
    open_items: dict[WalletId, frozenset[str]] = field(default_factory=dict)
    """What was found open in a wallet, by name; as many as a batch could end, and one more."""
    orders: dict[UUID, PaymentOrder] = field(default_factory=dict)
    lines: dict[int, BankStatementLine] = field(default_factory=dict)
    bank_statement: BankStatement | None = None
    """The one that is followed, where that was asked for."""
    executed_keys: frozenset[str] = frozenset()
    """Keys, of the orders here, that the bank's own ledger says it has executed."""
    holds: dict[UUID, Hold] = field(default_factory=dict)
    transactions: dict[UUID, Transaction] = field(default_factory=dict)
    rules: dict[UUID, CommissionRule] = field(default_factory=dict)
    records: dict[Request, Record] = field(default_factory=dict)
    fresh_keys: list[int] = field(default_factory=list)
    amount_max: int = INT64_MAX
    """What one deposit, transfer or scheduled deposit may be, in minor units."""
    clock_behind_max: timedelta = timedelta.max
    """How far the clock may be behind the last time of a wallet that money moves in."""
    pending: PendingWrites = field(default_factory=PendingWrites)

    # What commands ask.

    def wallet(self, wallet: WalletId) -> Wallet:
        """Return a wallet that must exist."""
        found = self.wallets.get(wallet)
        if found is None:
            raise ResourceNotFound(wallet_name(wallet))
        return found

    def wallet_of(self, dependents: PaymentOrder | Hold | None) -> Wallet | None:
        """Return the wallet that an order or a hold hangs on; None where there is none."""
        return self.wallets.get(dependents.wallet) if dependents is not None else None

    def view(self, wallet: WalletId) -> WalletView:
        """Return all of a wallet whose details were asked for."""
        return view_of(self.wallet(wallet), self.details[wallet])

    def debit_wallet(self, wallet: WalletId, currency: str, *, or_frozen: bool = False) -> Wallet:
        """Return a wallet that money of this currency may be taken from: an active one, or a frozen one too."""
        found = self._wallet_in(wallet, currency)
        if found.state is not WalletState.ACTIVE and not (or_frozen and found.state is WalletState.FROZEN):
            raise WalletNotActive(found.name, found.state)
        return found

    def credit_wallet(self, wallet: WalletId, currency: str) -> Wallet:
        """Return a wallet that money of this currency may be given to: a frozen one may receive."""
        found = self._wallet_in(wallet, currency)
        if found.state is WalletState.CLOSED:
            raise WalletNotActive(found.name, found.state)
        return found

    def _wallet_in(self, wallet: WalletId, currency: str) -> Wallet:
        found = self.wallet(wallet)
        if found.currency != currency:
            raise CurrencyMismatch(found.name, found.currency)
        return found

    def order(self, kind: OrderKind, order: UUID) -> PaymentOrder:
        """Return an order that must exist, as it is after what was decided before."""
        found = self.orders.get(order)
        if found is None or found.kind is not kind:
            raise ResourceNotFound(order_name(kind, order))
        return found

    def bank_executed(self, order: PaymentOrder) -> bool:
        """Tell whether the bank's own ledger, as far as it was read, says that it has executed an order.

        Then no refusal of the bank's is believed: nothing is released, failed, cancelled or sent for it any more.
        """
        return order.key in self.executed_keys

    def hold(self, hold: UUID) -> Hold:
        """Return a hold that must exist, as it is after what was decided before."""
        found = self.holds.get(hold)
        if found is None:
            raise ResourceNotFound(hold_name(hold))
        return found

    def line(self, number: int) -> BankStatementLine:
        """Return a line of the bank's ledger that must have been read, as it is after what was decided before."""
        found = self.lines.get(number)
        if found is None:
            raise ResourceNotFound(line_name(number))
        return found

    def followed_statement(self, ledger: int) -> BankStatement:
        """Return the bank's ledger of this number, which must be the one that is followed."""
        found = self.bank_statement
        if found is None:
            raise LedgerBroken
        if ledger > found.number:
            raise ResourceNotFound(ledger_name(ledger))
        return found if ledger == found.number else BankStatement(number=ledger)

    def transaction(self, transaction: UUID) -> Transaction:
        """Return a transaction that must exist, with what has been given back of it."""
        found = self.transactions.get(transaction)
        if found is None:
            raise ResourceNotFound(transaction_name(transaction))
        return found

    def commission(self, amount: Money, source: Wallet, destination: Wallet) -> Commission | None:
        """Return what a transfer is charged by the rules that are live now; nothing of what the service itself gives.

        Its commission would come from the wallet that it goes to.
        """
        if not self.rules or source.role is Role.COMMISSION:
            return None
        return commission_on(
            amount,
            Side(source.id, source.labels),
            Side(destination.id, destination.labels),
            (rule for rule in self.rules.values() if rule.currency == amount.currency),
            self.now,
        )

    def open_item_in(self, wallet: WalletId) -> str | None:
        """Return the name of something that is not final in a wallet, None where all is."""
        ended = {order.name for order in self.orders.values() if order.final}
        ended |= {hold.name for hold in self.holds.values() if hold.state is not HoldState.ACTIVE}
        begun = {order.name for order in self.pending.orders.values() if order.wallet == wallet}
        begun |= {hold.name for hold in self.pending.holds.values() if hold.wallet == wallet}
        return min((self.open_items.get(wallet, frozenset()) | begun) - ended, default=None)

    def next_key(self) -> int:
        """Return the key of the next wallet to be opened."""
        opened = sum(new.wallet.role is Role.ORDINARY for new in self.pending.opened)
        return self.fresh_keys[opened]

    # What ``decide`` does with a decision.

    def check(self, decision: Decision) -> None:
        """Raise if the decision cannot be booked; change nothing."""
        projection = Projection(self)
        if decision.order is not None:
            self._check_transition(decision.order)
            projection.hold(decision.order.wallet, decision.order.held - self._held_by_order(decision.order.id))
        if decision.hold is not None:
            projection.hold(decision.hold.wallet, decision.hold.held - self._held_by_hold(decision.hold.id))
        for movement in decision.movements:
            projection.move(movement)
            self._check_clock(movement)
        self._check_sizes(decision)

    def _check_sizes(self, decision: Decision) -> None:
        """Refuse what is too much for one call: of what callers bring in and move, not of what becomes of it later."""
        for movement in decision.movements:
            asked = movement.type is TransactionType.TRANSFER or (
                movement.type is TransactionType.DEPOSIT and movement.cause is None
            )
            if asked and movement.amount.minor > self.amount_max:
                raise LimitExceeded(wallet_name(movement.destination), self.amount_max)
        order = decision.order
        is_new = isinstance(order, ScheduledDeposit) and order.id not in self.orders
        if order is not None and is_new and order.amount.minor > self.amount_max:
            raise LimitExceeded(wallet_name(order.wallet), self.amount_max)

    def _check_clock(self, movement: Movement) -> None:
        """Raise where a time would have to be raised too far: the clock is wrong, or was when the wallet last moved.

        Each wallet that it met would be dated into the future, and through the service's own wallets a whole currency.
        """
        latest = max(self.wallets[leg.wallet].last_time for leg in movement.legs)
        if latest > self.now and latest - self.now > self.clock_behind_max:
            raise ClockBehind

    def apply(self, decision: Decision) -> Done:
        """Take a checked decision into the books."""
        self._apply_opening(decision.opens, decision.first_of)
        if decision.wallet is not None:
            self._apply_wallet(decision.wallet)
        if decision.hold is not None:
            self._apply_hold(decision.hold)
        if decision.order is not None:
            self._apply_order(decision.order, decision.attempt, decision.resolution)
        if decision.line is not None:
            self.lines[decision.line.number] = self.pending.lines[decision.line.number] = decision.line
        if decision.bank_statement is not None:
            self.bank_statement = self.pending.bank_statement = decision.bank_statement
        if decision.rule is not None:
            self._apply_rule(decision.rule)
        transactions = tuple(self._move(movement) for movement in decision.movements)
        for transaction in transactions:
            self.pending.events.append(
                Event(EventType.TRANSACTION_POSTED, transaction.name, transaction.wallets, transaction.time)
            )
        if decision.event is not None:
            self.pending.events.append(Event(decision.event, decision.subject, _affected_wallets(decision), self.now))
        return self._answer(decision, transactions)

    def preview(self, decision: Decision) -> Done:
        """Return what ``book`` would, changing nothing; *decision* has been checked."""
        return self._copy_for(decision).apply(decision)

    def record(self, record: Record) -> None:
        """Keep the outcome of a request."""
        self.records[record.request] = record
        self.pending.records.append(record)

    def _answer(self, decision: Decision, transactions: tuple[Transaction, ...]) -> Done:
        """Return what the caller is told of a booked decision."""
        shown = decision.opens[-1].wallet.id if decision.opens else None
        if decision.wallet is not None:
            shown = decision.wallet.id
        return Done(
            subject=decision.subject,
            transactions=transactions,
            available=self.wallets[decision.available_of].available if decision.available_of is not None else None,
            wallet=self.view(shown) if shown is not None else None,
            hold=decision.hold,
            order=decision.order,
            line=decision.line,
            bank_statement=decision.bank_statement,
            rule=decision.rule,
        )

    def _apply_opening(self, opens: Iterable[OpenedWallet], first_of: Currency | None) -> None:
        for new in opens:
            self.wallets[new.wallet.id] = new.wallet
            self.details[new.wallet.id] = new.details
            self.pending.opened.append(new)
        if first_of is not None:
            self.pending.currencies.append(first_of)

    def _move(self, movement: Movement) -> Transaction:
        legs = [(self.wallets[leg.wallet], leg.amount) for leg in movement.legs]
        time = max(self.now, *(wallet.last_time for wallet, _ in legs))
        entries = []
        for wallet, amount in legs:
            self._touch(wallet)
            wallet.balance += amount
            wallet.sequence += 1
            wallet.last_time = time
            entries.append(Entry(wallet.id, wallet.key, wallet.sequence, amount, wallet.balance))
        transaction = Transaction(
            id=movement.id,
            type=movement.type,
            amount=movement.amount,
            source=movement.source,
            destination=movement.destination,
            entries=tuple(entries),
            commission=movement.commission,
            description=movement.description,
            external_reference=movement.external_reference,
            labels=movement.labels,
            cause=movement.cause,
            batch=movement.batch,
            batch_item=movement.batch_item,
            time=time,
        )
        self.pending.transactions.append(transaction)
        if movement.type is TransactionType.REVERSAL and movement.cause is not None:
            self._apply_reversal(self.transactions[movement.cause], transaction)
        return transaction

    def _touch(self, wallet: Wallet) -> None:
        self.pending.touched.setdefault(wallet.id, wallet.sequence)

    def _apply_reversal(self, original: Transaction, reversal: Transaction) -> None:
        before = original.reversals
        after = Reversals(ids=(*before.ids, reversal.id), amount=before.amount + reversal.amount.minor)
        self.transactions[original.id] = replace(original, reversals=after)

    def _apply_wallet(self, change: ChangedWallet) -> None:
        wallet = self.wallets[change.id]
        wallet.state = change.state
        wallet.overdraft_limit = change.overdraft_limit
        wallet.labels = change.labels
        self.details[change.id] = change.details
        self.pending.changed.add(change.id)

    def _apply_hold(self, hold: Hold) -> None:
        self._reserve(hold.wallet, hold.held - self._held_by_hold(hold.id))
        if hold.id not in self.holds:
            self.pending.new.add(hold.id)
        self.holds[hold.id] = self.pending.holds[hold.id] = hold

    def _apply_order(self, order: PaymentOrder, attempt: Attempt | None, resolution: Resolution | None) -> None:
        self._reserve(order.wallet, order.held - self._held_by_order(order.id))
        if order.id not in self.orders:
            self.pending.new.add(order.id)
        self.orders[order.id] = self.pending.orders[order.id] = order
        if attempt is not None:
            self.pending.attempts[order.key, attempt.number] = attempt
        if resolution is not None:
            self.pending.resolutions.append((order.name, resolution))

    def _apply_rule(self, rule: CommissionRule) -> None:
        if rule.id not in self.rules:
            self.pending.new.add(rule.id)
        self.rules[rule.id] = self.pending.rules[rule.id] = rule

    def _reserve(self, wallet: WalletId, amount: int) -> None:
        if amount:
            found = self.wallets[wallet]
            self._touch(found)
            found.held += amount

    def _held_by_hold(self, hold: UUID) -> int:
        before = self.holds.get(hold)
        return before.held if before is not None else 0

    def _held_by_order(self, order: UUID) -> int:
        before = self.orders.get(order)
        return before.held if before is not None else 0

    def _check_transition(self, after: PaymentOrder) -> None:
        before = self.orders.get(after.id)
        if before is not None and before.state != after.state and after.state not in before.transitions[before.state]:
            raise LedgerBroken

    def _copy_for(self, decision: Decision) -> "LedgerState":
        """Return books of their own with all that *decision* is about."""
        ids = {leg.wallet for movement in decision.movements for leg in movement.legs}
        ids |= {one.wallet for one in (decision.hold, decision.order) if one is not None}
        ids |= {decision.wallet.id} if decision.wallet is not None else set()
        ids |= {decision.available_of} if decision.available_of is not None else set()
        opened = {new.wallet.id for new in decision.opens}
        return LedgerState(
            now=self.now,
            wallets={id_: replace(self.wallets[id_]) for id_ in ids - opened},
            details=dict(self.details),
            orders=dict(self.orders),
            lines=dict(self.lines),
            bank_statement=self.bank_statement,
            holds=dict(self.holds),
            transactions=dict(self.transactions),
            rules=dict(self.rules),
        )


class Projection:
    """What a decision in the making does to the wallets that it touches, step by step, without doing it."""

    def __init__(self, books: LedgerState) -> None:
        self._books = books
        self._balance: defaultdict[WalletId, int] = defaultdict(int)
        self._held: defaultdict[WalletId, int] = defaultdict(int)

    def hold(self, wallet: WalletId, amount: int) -> None:
        """Reserve so many minor units more, or fewer; raise if they are not there."""
        if amount > 0:
            self._require(self._books.wallet(wallet), amount)
        self._held[wallet] += amount

    def move(self, movement: Movement) -> None:
        """Move money; raise where a wallet's floor or the size of a number forbids it."""
        legs = [(self._books.wallets[leg.wallet], leg.amount) for leg in movement.legs]
        if sum(amount for _, amount in legs) != 0 or len({wallet.id for wallet, _ in legs}) < len(legs):
            raise LedgerBroken
        for wallet, amount in legs:
            if amount < 0 and wallet.role is not Role.EXTERNAL:
                self._require(wallet, -amount)
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
        for wallet, amount in legs:
            self._balance[wallet.id] += amount

    def _require(self, wallet: Wallet, amount: int) -> None:
        available = wallet.available + self._balance[wallet.id] - self._held[wallet.id]
        if available < amount:
            raise InsufficientFunds(wallet.name, wallet.currency, available, amount)


def _affected_wallets(decision: Decision) -> tuple[WalletId, ...]:
    """Return the wallet that something beside the movement of money happened to."""
    changed = decision.hold or decision.order
    if changed is not None:
        return (changed.wallet,)
    if decision.wallet is not None:
        return (decision.wallet.id,)
    if decision.rule is not None:
        return (decision.rule.wallet,) if decision.rule.wallet is not None else ()
    return (decision.opens[-1].wallet.id,) if decision.opens else ()
