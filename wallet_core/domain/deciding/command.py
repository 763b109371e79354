"""A command: what a caller or a job asks, as a value that knows which rows it needs and how it decides."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
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

if TYPE_CHECKING:
    from wallet_core.domain.deciding.ledger_state import LedgerState


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's promise that all calls with this id ask for the same thing."""

    caller: str
    id: UUID
    access: Access = field(default=EVERYTHING, compare=False)
    """What may be reached by it: of whoever asks now, and no part of the promise."""
    person: Person = field(default=NOBODY, compare=False)
    """Who asks now, for the system; no part of the promise either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSet:
    """The rows that a command decides on. What hangs on a wallet brings that wallet, a transaction all of its own."""

    wallets: frozenset[WalletId] = frozenset()
    details: frozenset[WalletId] = frozenset()
    """Wallets of which all is to be known, not only what decides about money."""
    open_items: frozenset[WalletId] = frozenset()
    """Wallets of which it must be known whether anything is open in them."""
    orders: frozenset[UUID] = frozenset()
    claimed: frozenset[UUID] = frozenset()
    """Orders too, whose wallet is known and named."""
    settlement_wallets_of: frozenset[UUID] = frozenset()
    """Orders whose currency's way to the bank and world outside are needed beside their wallet."""
    holds: frozenset[UUID] = frozenset()
    transactions: frozenset[UUID] = frozenset()
    rules_of: frozenset[str] = frozenset()
    """Currencies whose commission rules may apply."""
    rules: frozenset[UUID] = frozenset()
    lines: frozenset[int] = frozenset()
    """Lines of the bank's ledger."""
    bank_statement: bool = False
    """Whether it must be known which ledger of the bank is followed, while nobody reads on."""
    changes_rules: bool = False
    """Whether nothing else may be decided by rules at the same time."""
    new_wallets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedWallet:
    """A wallet that a decision opens."""

    wallet: Wallet
    details: WalletDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedWallet:
    """What a decision makes of all in a wallet but its money."""

    id: WalletId
    state: WalletState
    overdraft_limit: int
    labels: Labels
    details: WalletDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A yes, before it is booked: what moves, what opens, what changes."""

    subject: str
    """The resource that the answer is about."""
    movements: tuple[Movement, ...] = ()
    """Booked in order, after what the decision frees or holds."""
    available_of: WalletId | None = None
    """The wallet whose available balance the caller is told."""
    opens: tuple[OpenedWallet, ...] = ()
    """The wallet asked for comes last, after the service's own that it needs."""
    first_of: Currency | None = None
    """The currency whose first wallets these are: it is written down with them."""
    wallet: ChangedWallet | None = None
    hold: Hold | None = None
    """A hold that is new or has changed."""
    order: PaymentOrder | None = None
    """An order that is new or has changed."""
    attempt: Attempt | None = None
    """An attempt of that order that is new or has been answered."""
    resolution: Resolution | None = None
    """What a person has decided about that order."""
    line: BankStatementLine | None = None
    """A line of the bank's ledger that a person has looked into."""
    bank_statement: BankStatement | None = None
    """The ledger of the bank that is followed from now on."""
    rule: CommissionRule | None = None
    """A commission rule that is new or has been given an end."""
    event: EventType | None = None
    """What others are told; a movement tells itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A yes, booked. A replayed one carries only its subject: the first one's result is read again."""

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
    replayed: bool = False
    owners: Mapping[str, str] = field(default_factory=dict)
    """Of the wallets that were locked for it, where its caller is confined to one owner's."""

    @property
    def transaction(self) -> Transaction | None:
        """The transaction, where there is one."""
        return self.transactions[0] if self.transactions else None


@dataclass(frozen=True, slots=True)
class Refused:
    """A no; or that nothing can be decided by the clock there is."""

    refusal: Refusal | ClockBehind


Outcome = Done | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(ABC):
    """Something to be decided on locked rows."""

    method: ClassVar[str]
    runs_before_batch: ClassVar[bool] = False
    """Whether it is decided before its neighbours: they are then decided as it leaves things, at the same instant."""

    request: Request | None = None
    """None for the service's own jobs: state and fence guard them."""
    validate_only: bool = False

    @property
    def access(self) -> Access:
        """What whoever asks may reach."""
        return self.request.access if self.request is not None else EVERYTHING

    @property
    def person(self) -> Person:
        """Who asks, for the system that calls."""
        return self.request.person if self.request is not None else NOBODY

    @property
    def weight(self) -> int:
        """How many calls' worth of work it is; a batch holds only so much."""
        return 1

    @abstractmethod
    def lock_set(self) -> LockSet:
        """Say which rows to lock and read before deciding."""

    def authorize(self) -> None:  # noqa: B027  # most commands are permitted to all who may call
        """Raise if the caller may not ask this at all; asked before anything is looked up."""

    def wallets_to_authorize(self, books: "LedgerState") -> Iterable[Wallet | None]:
        """Return the wallets that it takes from or changes, None for one that is not there; not those that only gain.

        Who is confined to the wallets of one owner may do it to those alone. Where nothing is said, not at all.
        """
        del books
        return (None,)

    @abstractmethod
    def decide(self, books: "LedgerState") -> Decision:
        """Decide, changing nothing; raise a ``Refusal`` to say no."""
