"""Whose wallets are whose: what a caller who is confined to one owner's is allowed to look at."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text

from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.dependents import WALLETS_OF

_OWNED = text("SELECT id FROM wallets WHERE id = ANY(:ids) AND owner = :owner")


class AccessReads(Reader):
    """Reads of who owns what."""

    def owned(self, owner: str, ids: Iterable[WalletId]) -> frozenset[WalletId]:
        """Return those of some wallets that are there and that owner's."""
        asked = {"ids": list(ids), "owner": owner}
        return frozenset(self.read(lambda tx: tx.execute(_OWNED, asked).scalars().all()))

    def wallets_of(self, dependents: UUID) -> frozenset[WalletId]:
        """Return the wallets that an order, a hold or a transaction of this id hangs on; none where there is none."""
        asked = {"orders": [dependents], "holds": [dependents], "transactions": [dependents]}
        rows = self.read(lambda tx: tx.exec_driver_sql(WALLETS_OF, asked).all())
        return frozenset(WalletId(wallet) for _, wallet, _ in rows)
