"""All reads. Each is of one instant and locks nothing."""

from dataclasses import dataclass

from sqlalchemy import text

from wallet_core.storage.reads.access import AccessReads
from wallet_core.storage.reads.attention import AttentionReads
from wallet_core.storage.reads.checkpoints import CheckpointReads
from wallet_core.storage.reads.currencies import CurrencyReads
from wallet_core.storage.reads.figures import FigureReads
from wallet_core.storage.reads.holds import HoldReads
from wallet_core.storage.reads.journal import JournalReads
from wallet_core.storage.reads.payment_orders import OrderReads
from wallet_core.storage.reads.rules import RuleReads
from wallet_core.storage.reads.statements import StatementReads
from wallet_core.storage.reads.transactions import TransactionReads
from wallet_core.storage.reads.wallets import WalletReads
from wallet_core.storage.reads.webhooks import WebhookReads

_PAGE_TOKEN_KEY = text("SELECT secret FROM page_token_keys")


@dataclass(frozen=True)
class Reads(
    WalletReads,
    TransactionReads,
    StatementReads,
    OrderReads,
    HoldReads,
    CurrencyReads,
    RuleReads,
    AttentionReads,
    FigureReads,
    AccessReads,
    JournalReads,
    CheckpointReads,
    WebhookReads,
):
    """Everything that can be read. Raises ``ResourceNotFound``, or ``ServiceError`` where the database fails."""

    def page_token_key(self) -> str:
        """Return the secret that page tokens are signed with, the same for all processes."""
        return str(self.read(lambda tx: tx.execute(_PAGE_TOKEN_KEY).scalar_one()))
