"""All ledgers after the storm, read once: ours through the API, the bank's own, and what only our database has."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from wallet.v1.hold_service_pb2 import Hold
from wallet.v1.schedule_service_pb2 import ScheduledDeposit, Withdrawal
from wallet.v1.transaction_service_pb2 import Transaction
from wallet.v1.wallet_service_pb2 import Wallet

from tests.storm.bank import Line, StormyBank
from tests.storm.orders import PaymentOrder
from tests.storm.plan import WALLETS
from tests.storm.system import System
from tests.support.database import Database
from wallet_client import WalletClient

_PAGE = 1000
_SYSTEM_ROLES = ("external", "in_transit", "commission")

# Queried at least once: only orders in doubt are.
_DOUBTED = """
SELECT (SELECT count(*) FROM withdrawals WHERE inquiries > 0),
    (SELECT count(*) FROM scheduled_deposits WHERE inquiries > 0)
"""
_ANSWERS = "SELECT coalesce(answer, 'none'), count(*) FROM bank_attempts GROUP BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """Orders by state."""

    wallets: Mapping[str, Wallet]
    """The system's own too."""
    transactions: Mapping[str, Transaction]
    holds: Mapping[str, Hold]
    orders: Mapping[str, PaymentOrder]
    lines: list[Line]
    """The bank statement."""
    asked: Mapping[str, int]
    """The number of calls to the bank, by key."""
    doubted_withdrawals: int
    doubted_collections: int
    answers: Counter[str]
    """What the attempts at the bank were answered with, by our ledger."""
    broken_rules: list[str]

    @property
    def withdrawals(self) -> list[Withdrawal]:
        """The orders that pay out."""
        return [order for order in self.orders.values() if isinstance(order, Withdrawal)]

    @property
    def scheduled_deposits(self) -> list[ScheduledDeposit]:
        """The orders that bring in."""
        return [order for order in self.orders.values() if isinstance(order, ScheduledDeposit)]


def read_books(system: System, bank: StormyBank) -> LedgerState:
    """Read everything; all must be calm."""
    with WalletClient(system.target) as client, psycopg.connect(system.database_url) as database:
        currencies = sorted(set(WALLETS.values()))
        ours = [f"wallets/{wallet}" for wallet in WALLETS]
        systems = [f"wallets/system:{role}:{currency}" for role in _SYSTEM_ROLES for currency in currencies]
        doubted = database.execute(_DOUBTED).fetchone() or (0, 0)
        orders: list[PaymentOrder] = list(client.list_withdrawals(page_size=_PAGE))
        orders += client.list_scheduled_deposits(page_size=_PAGE)
        return LedgerState(
            wallets={wallet.name: wallet for wallet in client.batch_get_wallets([*ours, *systems])},
            transactions={
                transaction.name: transaction
                for wallet in ours
                for transaction in client.list_transactions(wallet, page_size=_PAGE)
            },
            holds={hold.name: hold for hold in client.list_holds(page_size=_PAGE)},
            orders={order.name: order for order in orders},
            lines=bank.lines(),
            asked=bank.asked(),
            doubted_withdrawals=doubted[0],
            doubted_collections=doubted[1],
            answers=Counter(dict(database.execute(_ANSWERS).fetchall())),
            broken_rules=Database(system.database_url).broken_rules(),
        )
