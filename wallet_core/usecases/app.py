"""What every use case is handed: the ledger, the reads, the claims, the bank, and how payouts are paced."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import uuid_utils

from wallet_core.domain.model.attention import AttentionPolicy, Vitals
from wallet_core.domain.model.payment_order import PaymentPolicy
from wallet_core.ledger.ledger import Ledger
from wallet_core.ports import BankGateway, Documents
from wallet_core.storage.posting.bank_statement import BankStatementLines
from wallet_core.storage.reads.all import Reads
from wallet_core.storage.scheduling.claims import Claims
from wallet_core.storage.scheduling.journal import Journal
from wallet_core.usecases.currencies import Currencies


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutSettings:
    """How this process asks the bank, beside the policy that decides."""

    policy: PaymentPolicy
    parallelism: int
    send_window_s: float
    resends: bool
    """Whether the bank honours keys, so that sending again is safe."""
    bank_statement_page: int
    """Lines of the bank's ledger that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The core of one process, wired. ``bootstrap`` makes it."""

    ledger: Ledger
    reads: Reads
    claims: Claims
    bank_statement_lines: BankStatementLines
    journal: Journal
    may_call_bank: Callable[[], bool]
    """Takes one call from the pace at which all processes together may call the bank; False where none is left."""
    ping: Callable[[], None]
    """Asks the database whether it can serve us: it takes writes, and its schema is ours; raises ``ServiceError``."""
    vitals: Callable[[], Vitals]
    """Reads them by a connection that no crowd of reads can take; raises ``ServiceError``."""
    bank: BankGateway
    documents: Documents
    currencies: Currencies
    payouts: PayoutSettings
    attention: AttentionPolicy
    jitter: Callable[[], float]
    """Returns a random number in [0, 1)."""


def new_id() -> UUID:
    """Return an id for something new: a UUIDv7, so that what is made together lies together in an index."""
    return UUID(bytes=uuid_utils.uuid7().bytes)
