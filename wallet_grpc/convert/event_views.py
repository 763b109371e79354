"""What of an event a reader may see: its number, and which of its wallets."""

from collections.abc import Iterable

from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_core.storage.reads.all import Reads
from wallet_grpc.security.access import Principal, Scope

# Cached wallets of a reader, each with whether it is its owner's.
_REMEMBERED_MAX = 10_000


class EventView:
    """Events as one reader sees them: a watcher, or a webhook with the rights of its creator."""

    def __init__(self, reads: Reads, principal: Principal) -> None:
        self._reads = reads
        self._principal = principal
        self._owned: dict[WalletId, bool] = {}
        """Cached wallets, each with whether it belongs to the reader's owner, which never changes."""

    @property
    def shows_numbers(self) -> bool:
        """Whether the reader may see event numbers, which reveal the activity of others."""
        return self._principal.owner is None

    @property
    def shows_changes(self) -> bool:
        """Whether the reader may see what has changed, amounts and balances among it."""
        return Scope.WALLET_READ in self._principal.scopes

    def readable(self, wallets: Iterable[WalletId]) -> frozenset[WalletId]:
        """Return those of some wallets that the reader may see in an event."""
        asked = frozenset(wallets)
        if self._principal.owner is not None:
            return self._owned_by(self._principal.owner, asked)
        if Scope.OPERATIONS in self._principal.scopes:
            return asked
        return frozenset(wallet for wallet in asked if not is_system(wallet))

    def _owned_by(self, owner: str, wallets: frozenset[WalletId]) -> frozenset[WalletId]:
        if unknown := wallets - self._owned.keys():
            if len(self._owned) > _REMEMBERED_MAX:
                self._owned.clear()
                unknown = wallets
            owned = self._reads.owned(owner, unknown)
            self._owned.update((wallet, wallet in owned) for wallet in unknown)
        return frozenset(wallet for wallet in wallets if self._owned[wallet])
