"""The values that a command and the ledger exchange: what to lock, what is decided, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from wallet_core.domain.model.access import EVERYTHING, NOBODY, Access, Person
from wallet_core.domain.model.bank import BankStatement, BankStatementLine
from wallet_core.domain.model.commission_rule import CommissionRule
from wallet_core.domain.model.errors import ClockBehind, Refusal
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.money import Currency
from wallet_core.domain.model.payment_order import Attempt, PaymentOrder, Resolution
from wallet_core.domain.model.transaction import Movement, Transaction
from wallet_core.domain.model.wallet import Labels, Wallet, WalletDetails, WalletId, WalletState, WalletView
from wallet_core.domain.model.webhook import Webhook, WebhookChange


@dataclass(frozen=True, slots=True)
class Request:
    """The idempotency key of a call: all calls of one caller with this id request the same thing."""

    caller: str
    id: UUID
    access: Access = field(default=EVERYTHING, compare=False)
    """What the caller may do now; a repeat may come with other rights."""
    person: Person = field(default=NOBODY, compare=False)
    """The person who uses the calling system now; a repeat may come from another person."""


@dataclass(frozen=True, slots=True)
class UniqueReference:
    """An external reference that one payment of a caller may have."""

    caller: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSet:
    """The rows that a command decides on.

    An order, a hold or a transaction adds the wallets that it belongs to: their locks protect it.
    """

    wallets: frozenset[WalletId] = frozenset()
    details: frozenset[WalletId] = frozenset()
    """Wallets whose details are read too: display name, create time, revision."""
    open_items: frozenset[WalletId] = frozenset()
    """Wallets whose open orders and holds are read too."""
    orders: frozenset[UUID] = frozenset()
    claimed: frozenset[UUID] = frozenset()
    """Orders whose wallet is known from their claim and is in ``wallets`` already."""
    settlement_wallets_of: frozenset[UUID] = frozenset()
    """Orders whose currency's in-transit and external wallets are locked too."""
    holds: frozenset[UUID] = frozenset()
    transactions: frozenset[UUID] = frozenset()
    rules_of: frozenset[str] = frozenset()
    """Currencies whose commission rules may apply."""
    rules: frozenset[UUID] = frozenset()
    lines: frozenset[int] = frozenset()
    """Bank statement lines, by number."""
    bank_statement: bool = False
    """Whether the cursor on the bank statement is locked and read."""
    references: frozenset[UniqueReference] = frozenset()
    """Unique references whose payments are looked up. No lock protects them: the database refuses a second use."""
    changes_rules: bool = False
    """Whether the commission rules are locked exclusively."""
    webhooks: frozenset[UUID] = frozenset()
    deliveries: frozenset[tuple[UUID, int]] = frozenset()
    """Deliveries to webhooks whose existence is looked up."""
    creates_webhook: bool = False
    """Whether no other webhook may be created meanwhile, and all are counted."""
    new_wallets: int = 0
    """How many wallet keys are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedWallet:
    """A wallet that a decision opens."""

    wallet: Wallet
    details: WalletDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedWallet:
    """A wallet as a decision leaves it, but for its money."""

    id: WalletId
    state: WalletState
    overdraft_limit: int
    labels: Labels
    details: WalletDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An accepted command before it is applied: what moves, what opens, what changes."""

    subject: str
    """The resource that the response is about."""
    movements: tuple[Movement, ...] = ()
    """Applied in order, after the decision's hold and order."""
    available_of: WalletId | None = None
    """The wallet whose available balance is returned to the caller."""
    opens: tuple[OpenedWallet, ...] = ()
    """The requested wallet comes last, after the service wallets that it needs."""
    first_of: Currency | None = None
    """The currency whose first wallets these are: it is stored with them."""
    wallet: ChangedWallet | None = None
    hold: Hold | None = None
    """A hold that is new or has changed."""
    order: PaymentOrder | None = None
    """A payment order that is new or has changed."""
    attempt: Attempt | None = None
    """An attempt of that order that is new or has its result."""
    resolution: Resolution | None = None
    """An operator's resolution of that order."""
    line: BankStatementLine | None = None
    """A bank statement line that an operator has resolved."""
    bank_statement: BankStatement | None = None
    """The bank statement that is read from now on."""
    rule: CommissionRule | None = None
    """A commission rule that is new or has been given an end."""
    webhook: WebhookChange | None = None
    """A webhook that is new or changed, or that is to send something."""
    references: Mapping[UniqueReference, str] = field(default_factory=dict)
    """Unique references that it uses, each with the payment that has it from now on."""
    event: EventType | None = None
    """The event to publish; every movement publishes one of its own besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An applied decision. A replayed one has only its subject: the use case reads the resource again."""

    subject: str
    transactions: tuple[Transaction, ...] = ()
    available: int | None = None
    """In minor units, of the wallet that the decision named."""
    wallet: WalletView | None = None
    """The wallet that was opened or changed."""
    hold: Hold | None = None
    order: PaymentOrder | None = None
    line: BankStatementLine | None = None
    bank_statement: BankStatement | None = None
    rule: CommissionRule | None = None
    webhook: Webhook | None = None
    replayed: bool = False
    owners: Mapping[str, str] = field(default_factory=dict)
    """Owners of the locked wallets, by wallet id, where the caller is confined to one owner's wallets."""

    @property
    def transaction(self) -> Transaction | None:
        """The transaction, where there is one."""
        return self.transactions[0] if self.transactions else None


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused command, or one that cannot be decided because the database's clock is behind."""

    refusal: Refusal | ClockBehind


Outcome = Done | Refused
