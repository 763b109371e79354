"""Holds on the posting path: read under the wallet's lock, written only under the fence that was read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.hold import Hold, HoldState
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Expected, Tx
from wallet_core.storage.posting.columns import Column, Insert

HOLDS: LiteralString = """
SELECT h.id, wallets.id, wallets.currency, h.amount, h.captured, h.state, h.expire_time, h.description, h.create_time,
    h.update_time, h.fence, h.caller
FROM holds AS h
JOIN wallets ON wallets.key = h.wallet
WHERE h.id = ANY(%s)
"""

# A hold and the key of its wallet.
INSERT_HOLDS: Insert[tuple[Hold, int]] = Insert(
    "holds",
    [
        Column("id", "uuid", lambda row: row[0].id),
        Column("wallet", "bigint", lambda row: row[1]),
        Column("amount", "bigint", lambda row: row[0].amount.minor),
        Column("captured", "bigint", lambda row: row[0].captured),
        Column("state", "text", lambda row: row[0].state),
        Column("expire_time", "timestamptz", lambda row: row[0].expire_time),
        Column("description", "text", lambda row: row[0].description),
        Column("create_time", "timestamptz", lambda row: row[0].create_time),
        Column("update_time", "timestamptz", lambda row: row[0].update_time),
        Column("fence", "bigint", lambda row: row[0].fence),
        Column("caller", "text", lambda row: row[0].caller),
    ],
)

# A claim raises the fence without the wallet's lock: where it was raised since it was read, nothing is written.
UPDATE_HOLD = """
UPDATE holds
SET captured = %s, state = %s, update_time = %s, lease_until = NULL
WHERE id = %s AND fence = %s
"""


def store_holds(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the holds that are new or have changed."""
    holds = sorted(ledger.pending.holds.values(), key=lambda one: one.id)
    new = ledger.pending.new
    INSERT_HOLDS.write(tx, [(hold, ledger.wallets[hold.wallet].key) for hold in holds if hold.id in new])
    return [
        (tx.execute(UPDATE_HOLD, [hold.captured, hold.state, hold.update_time, hold.id, hold.fence]), 1)
        for hold in holds
        if hold.id not in new
    ]


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
    caller: str,
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
        caller=caller,
    )
