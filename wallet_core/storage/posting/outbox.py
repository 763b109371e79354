"""The outbox: events as they are committed, in the transaction of what happened.

Events are committed side by side: positions have gaps and become visible out of order. The events of one wallet
stay in order: the wallet's lock is held from before an event gets its position until it is committed.
"""

from collections.abc import Sequence
from datetime import datetime

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.event import Event
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.posting.arrays import texts, times

INSERT_OUTBOX_EVENTS = """
INSERT INTO outbox (type, subject, wallets, time)
SELECT type, subject, string_to_array(wallets, ' '), time
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS happened (type, subject, wallets, time)
"""


def event_of(type_: str, subject: str, wallets: Sequence[str], time: datetime) -> Event:
    """Return the event of a row."""
    return Event(type_, subject, tuple(map(WalletId, wallets)), time)


def store_events(tx: Tx, ledger: LedgerState) -> None:
    """Append the events of a batch to the outbox, in the batch's transaction."""
    if ledger.pending.events:
        tx.execute(INSERT_OUTBOX_EVENTS, columns(ledger.pending.events))


def columns(events: Sequence[Event]) -> list[str]:
    """Return events as arrays: types, subjects, wallets, times."""
    return [
        texts(event.type for event in events),
        texts(event.subject for event in events),
        texts(" ".join(event.wallets) for event in events),
        times(event.time for event in events),
    ]
