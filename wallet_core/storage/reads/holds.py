"""Holds."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.model.hold import Hold, hold_name
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.filter import Condition
from wallet_core.domain.queries.lists import HOLD_FIELDS, Page
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.holds import HOLDS, hold_of
from wallet_core.storage.reads.pages import Place
from wallet_core.storage.reads.payment_orders import page_by_create_time

_COLUMNS = {name: f"o.{name}" for name in HOLD_FIELDS}


class HoldReads(Reader):
    """Reads of holds."""

    def hold(self, hold: UUID) -> Hold:
        """Return one hold."""
        found = self.read(lambda tx: _holds(tx, [hold]))
        if not found:
            raise ResourceNotFound(hold_name(hold))
        return found[0]

    def list_holds(
        self, *, wallet: WalletId | None, size: int, before: Place | None, conditions: Sequence[Condition]
    ) -> Page[Hold]:
        """Return holds of one wallet or of all, newest first, from below the create time and id *before*."""

        def read(tx: Connection) -> Page[Hold]:
            page = page_by_create_time(
                tx, "holds", _COLUMNS, wallet=wallet, size=size, before=before, conditions=conditions
            )
            return page.showing(_holds(tx, [row[0] for row in page.items]))

        return self.read(read)


def _holds(tx: Connection, ids: Sequence[UUID]) -> list[Hold]:
    found = {row[0]: hold_of(row) for row in tx.exec_driver_sql(HOLDS, (list(ids),))}
    return [found[id_] for id_ in ids if id_ in found]
