"""The outbox: events, committed in the transaction of what they report.

Transactions commit concurrently, so positions have gaps and become visible out of order. The events of one wallet stay
in order: its lock is held from before an event gets its position until the commit.
"""

from collections.abc import Sequence
from datetime import datetime

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.event import Event
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.posting.columns import Column, Insert

# The columns of the outbox, which the journal has too.
EVENT_COLUMNS: tuple[Column[Event], ...] = (
    Column("type", "text", "type"),
    Column("subject", "text", "subject"),
    Column("wallets", "text[]", "wallets"),
    Column("time", "timestamptz", "time"),
    Column("facts", "text", "facts"),
)

INSERT_OUTBOX_EVENTS = Insert("outbox", EVENT_COLUMNS)


def event_of(type_: str, subject: str, wallets: Sequence[str], time: datetime, facts: str | None) -> Event:
    """Return the event of a row."""
    return Event(type_, subject, tuple(map(WalletId, wallets)), time, facts)


def store_events(tx: Tx, ledger: LedgerState) -> None:
    """Append the events of a batch to the outbox, in the batch's transaction."""
    INSERT_OUTBOX_EVENTS.write(tx, ledger.pending.events)
