"""Reads: what callers are shown. Each is of one instant and locks nothing."""

from dataclasses import dataclass

from sqlalchemy import select

from wallet_core.storage.read_access import AccessReads
from wallet_core.storage.read_attention import AttentionReads
from wallet_core.storage.read_currencies import CurrencyReads
from wallet_core.storage.read_holds import HoldReads
from wallet_core.storage.read_journal import JournalReads
from wallet_core.storage.read_orders import OrderReads
from wallet_core.storage.read_rules import RuleReads
from wallet_core.storage.read_statements import StatementReads
from wallet_core.storage.read_transactions import TransactionReads
from wallet_core.storage.read_wallets import WalletReads
from wallet_core.storage.tables import page_token_keys


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
    AccessReads,
    JournalReads,
):
    """Everything that can be looked up. Raises ``ResourceNotFound``, or ``NotServed`` where the database fails."""

    def page_token_key(self) -> str:
        """Return the secret that page tokens are signed with, the same for all processes."""
        return str(self.read(lambda tx: tx.execute(select(page_token_keys.c.secret)).scalar_one()))
