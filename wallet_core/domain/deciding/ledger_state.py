"""The state of the ledger that commands are decided on, and the writes that gather while they are decided.

``storage.posting`` fills it under the wallets' locks and stores the pending writes in the same database transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from wallet_core.domain.deciding.decision import OpenedWallet, Request, UniqueReference
from wallet_core.domain.deciding.records import Record
from wallet_core.domain.model.bank import BankStatement, BankStatementLine, line_name, statement_name
from wallet_core.domain.model.commission_rule import Commission, CommissionRule, Side, commission_on
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    ExternalReferenceReused,
    LedgerBroken,
    ResourceNotFound,
    WalletNotActive,
)
from wallet_core.domain.model.event import Event
from wallet_core.domain.model.hold import Hold, HoldState, hold_name
from wallet_core.domain.model.money import INT64_MAX, Currency, Money
from wallet_core.domain.model.payment_order import Attempt, OrderKind, PaymentOrder, Resolution, order_name
from wallet_core.domain.model.transaction import Transaction, transaction_name
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
from wallet_core.domain.model.webhook import Webhook, WebhookChange, webhook_name


@dataclass(slots=True, kw_only=True)
class PendingWrites:
    """What a batch has decided and the store writes. Ids in *new* are inserted, all others updated."""

    opened: list[OpenedWallet] = field(default_factory=list)
    currencies: list[Currency] = field(default_factory=list)
    """Currencies whose first wallets are among *opened*."""
    touched: dict[WalletId, int] = field(default_factory=dict)
    """Wallets whose balance or held amount has changed, with the sequence that each had when it was loaded."""
    changed: set[WalletId] = field(default_factory=set)
    """Wallets whose state, limit, labels or details have changed."""
    transactions: list[Transaction] = field(default_factory=list)
    new: set[UUID] = field(default_factory=set)
    """Ids of orders, holds and rules that the database does not have yet."""
    orders: dict[UUID, PaymentOrder] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    resolutions: list[tuple[str, Resolution]] = field(default_factory=list)
    """Each with the name of its order."""
    lines: dict[int, BankStatementLine] = field(default_factory=dict)
    bank_statement: BankStatement | None = None
    """The bank statement that was accepted."""
    holds: dict[UUID, Hold] = field(default_factory=dict)
    rules: dict[UUID, CommissionRule] = field(default_factory=dict)
    webhooks: list[WebhookChange] = field(default_factory=list)
    """In order: one webhook may be changed more than once."""
    references: dict[UniqueReference, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class LedgerState:
    """The locked rows that a batch of commands is decided on, as they are after what was decided before.

    Commands read it by the methods below; ``apply`` alone changes it, so a refused command leaves no trace. *now* is
    the database's clock, read after all locks were acquired.
    """

    now: datetime
    wallets: dict[WalletId, Wallet]
    details: dict[WalletId, WalletDetails] = field(default_factory=dict)
    open_items: dict[WalletId, frozenset[str]] = field(default_factory=dict)
    """Names of the open orders and holds of a wallet: as many as the batch could end, and one more."""
    orders: dict[UUID, PaymentOrder] = field(default_factory=dict)
    lines: dict[int, BankStatementLine] = field(default_factory=dict)
    bank_statement: BankStatement | None = None
    """The one that is read now, where a command needs it."""
    executed_keys: frozenset[str] = frozenset()
    """Idempotency keys of these orders that the bank statement has an execution of."""
    holds: dict[UUID, Hold] = field(default_factory=dict)
    transactions: dict[UUID, Transaction] = field(default_factory=dict)
    rules: dict[UUID, CommissionRule] = field(default_factory=dict)
    webhooks: dict[UUID, Webhook] = field(default_factory=dict)
    webhook_counts: dict[str | None, int] = field(default_factory=dict)
    """How many webhooks there are, by the owner that they are confined to."""
    deliveries: frozenset[tuple[UUID, int]] = frozenset()
    """Those of the deliveries that commands name which exist."""
    references: dict[UniqueReference, str] = field(default_factory=dict)
    """Unique references that are used, each with the payment that has it."""
    records: dict[Request, Record] = field(default_factory=dict)
    fresh_keys: list[int] = field(default_factory=list)
    amount_max: int = INT64_MAX
    """The largest deposit, transfer or scheduled deposit, in minor units."""
    clock_behind_max: timedelta = timedelta.max
    """How far the clock may be behind the last time of a wallet in which money moves."""
    pending: PendingWrites = field(default_factory=PendingWrites)

    def wallet(self, wallet: WalletId) -> Wallet:
        """Return a wallet that must exist."""
        found = self.wallets.get(wallet)
        if found is None:
            raise ResourceNotFound(wallet_name(wallet))
        return found

    def wallet_of(self, dependent: PaymentOrder | Hold | None) -> Wallet | None:
        """Return the wallet of an order or a hold; None where there is none."""
        return self.wallets.get(dependent.wallet) if dependent is not None else None

    def view(self, wallet: WalletId) -> WalletView:
        """Return a wallet with its details, which must have been loaded."""
        return view_of(self.wallet(wallet), self.details[wallet])

    def debit_wallet(self, wallet: WalletId, currency: str, *, or_frozen: bool = False) -> Wallet:
        """Return a wallet that may be debited in this currency: an active one, or a frozen one too."""
        found = self._wallet_in(wallet, currency)
        if found.state is not WalletState.ACTIVE and not (or_frozen and found.state is WalletState.FROZEN):
            raise WalletNotActive(found.name, found.state)
        return found

    def credit_wallet(self, wallet: WalletId, currency: str) -> Wallet:
        """Return a wallet that may be credited in this currency: any but a closed one."""
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
        """Return an order that must exist."""
        found = self.orders.get(order)
        if found is None or found.kind is not kind:
            raise ResourceNotFound(order_name(kind, order))
        return found

    def bank_executed(self, order: PaymentOrder) -> bool:
        """Return whether the bank statement, as far as it was read, has an execution of an order.

        If so, no decline by the bank counts: the order is not released, failed, cancelled or sent again.
        """
        return order.key in self.executed_keys

    def hold(self, hold: UUID) -> Hold:
        """Return a hold that must exist."""
        found = self.holds.get(hold)
        if found is None:
            raise ResourceNotFound(hold_name(hold))
        return found

    def webhook(self, webhook: UUID) -> Webhook:
        """Return a webhook that must exist."""
        found = self.webhooks.get(webhook)
        if found is None:
            raise ResourceNotFound(webhook_name(webhook))
        return found

    def line(self, number: int) -> BankStatementLine:
        """Return a bank statement line that must have been read."""
        found = self.lines.get(number)
        if found is None:
            raise ResourceNotFound(line_name(number))
        return found

    def followed_statement(self, statement: int) -> BankStatement:
        """Return the bank statement of this number, which is the one that is read now or an earlier one."""
        found = self.bank_statement
        if found is None:
            raise LedgerBroken
        if statement > found.number:
            raise ResourceNotFound(statement_name(statement))
        return found if statement == found.number else BankStatement(number=statement)

    def transaction(self, transaction: UUID) -> Transaction:
        """Return a transaction that must exist, with its reversals."""
        found = self.transactions.get(transaction)
        if found is None:
            raise ResourceNotFound(transaction_name(transaction))
        return found

    def require_unused(self, references: Iterable[UniqueReference]) -> None:
        """Raise for a unique reference that a payment has."""
        for reference in references:
            if reference in self.references:
                raise ExternalReferenceReused(reference.text, self.references[reference])

    def commission(self, amount: Money, source: Wallet, destination: Wallet) -> Commission | None:
        """Return the commission on a transfer by the rules that are live now.

        A transfer from the commission wallet is free: its commission would go back to the wallet it comes from.
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
        """Return the name of an order or a hold that is open in a wallet, None where there is none."""
        closed = {order.name for order in self.orders.values() if order.final}
        closed |= {hold.name for hold in self.holds.values() if hold.state is not HoldState.ACTIVE}
        opened = {order.name for order in self.pending.orders.values() if order.wallet == wallet}
        opened |= {hold.name for hold in self.pending.holds.values() if hold.wallet == wallet}
        return min((self.open_items.get(wallet, frozenset()) | opened) - closed, default=None)

    def next_key(self) -> int:
        """Return the key for the next wallet that is opened."""
        opened = sum(new.wallet.role is Role.ORDINARY for new in self.pending.opened)
        return self.fresh_keys[opened]
