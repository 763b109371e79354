"""Ownership of wallets: what a caller that is confined to one owner may read."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text

from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.dependents import WALLETS_OF

_OWNED = text("SELECT id FROM wallets WHERE id = ANY(:ids) AND owner = :owner")


class AccessReads(Reader):
    """Reads of ownership."""

    def owned(self, owner: str, ids: Iterable[WalletId]) -> frozenset[WalletId]:
        """Return those of some wallets that exist and belong to the owner."""
        parameters = {"ids": list(ids), "owner": owner}
        return frozenset(self.read(lambda tx: tx.execute(_OWNED, parameters).scalars().all()))

    def wallets_of(self, dependent: UUID) -> frozenset[WalletId]:
        """Return the wallets of the order, hold or transaction with this id; none where there is none."""
        parameters = {"orders": [dependent], "holds": [dependent], "transactions": [dependent]}
        rows = self.read(lambda tx: tx.exec_driver_sql(WALLETS_OF, parameters).all())
        return frozenset(WalletId(wallet) for _, wallet, _ in rows)
