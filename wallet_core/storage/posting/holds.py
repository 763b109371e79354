"""Holds on the posting path: read under the wallet's lock, written behind the fence."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.hold import Hold, HoldState
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Expected, Tx

HOLDS: LiteralString = """
SELECT h.id, wallets.id, wallets.currency, h.amount, h.captured, h.state, h.expire_time, h.description, h.create_time,
    h.update_time, h.fence
FROM holds AS h
JOIN wallets ON wallets.key = h.wallet
WHERE h.id = ANY(%s)
"""

INSERT_HOLD = """
INSERT INTO holds (id, wallet, amount, captured, state, expire_time, description, create_time, update_time, fence)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

# A claim stamps the fence without the wallet's lock: where it has moved on since it was read, nothing is written.
UPDATE_HOLD = """
UPDATE holds
SET captured = %s, state = %s, update_time = %s, lease_until = NULL
WHERE id = %s AND fence = %s
"""


def store_holds(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the holds that are new or have changed."""
    expected: Expected = []
    for hold in sorted(ledger.pending.holds.values(), key=lambda one: one.id):
        if hold.id in ledger.pending.new:
            key = ledger.wallets[hold.wallet].key
            row = [hold.id, key, hold.amount.minor, hold.captured, hold.state, hold.expire_time, hold.description]
            tx.execute(INSERT_HOLD, [*row, hold.create_time, hold.update_time, hold.fence])
        else:
            changed = [hold.captured, hold.state, hold.update_time]
            expected.append((tx.execute(UPDATE_HOLD, [*changed, hold.id, hold.fence]), 1))
    return expected


def hold_of(row: Sequence[Any]) -> Hold:
    """Return the hold in a row of ``HOLDS``."""
    return _hold(*row)


def _hold(
    id_: UUID,
    wallet: str,
    currency: str,
    amount: int,
    captured: int,
    state: str,
    expire_time: datetime,
    description: str,
    create_time: datetime,
    update_time: datetime,
    fence: int,
) -> Hold:
    return Hold(
        id=id_,
        wallet=WalletId(wallet),
        amount=Money(currency, amount),
        captured=captured,
        state=HoldState(state),
        expire_time=expire_time,
        description=description,
        create_time=create_time,
        update_time=update_time,
        fence=fence,
    )
