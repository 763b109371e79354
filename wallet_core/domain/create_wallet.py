"""Open a wallet."""

from dataclasses import dataclass
from typing import ClassVar

from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import ResourceExists
from wallet_core.domain.wallet import (
    SYSTEM_ROLES,
    NewWallet,
    Role,
    Wallet,
    WalletId,
    WalletState,
    system_wallet,
    system_wallet_key,
    wallet_name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWallet(Command):
    """Open an empty wallet, and with the first one of its currency the service's own."""

    method: ClassVar[str] = "CreateWallet"

    id: WalletId
    """The id it gets: the one asked for, or one made up."""
    asked_id: WalletId | None
    currency: str
    owner: str
    display_name: str

    def needs(self) -> Needs:
        """Lock a wallet of that name, if there is one, and the service's own."""
        system = {system_wallet(role, self.currency) for role in SYSTEM_ROLES}
        return Needs(wallets=frozenset({self.id, *system}), new_wallets=1)

    def decide(self, books: Books) -> Decision:
        """Refuse a name that is taken."""
        if self.id in books.wallets:
            raise ResourceExists(wallet_name(self.id))
        system = tuple(
            NewWallet(wallet=self._empty_system(books, role), owner="", display_name="")
            for role in SYSTEM_ROLES
            if system_wallet(role, self.currency) not in books.wallets
        )
        opened = NewWallet(
            wallet=self._empty(books, self.id, Role.ORDINARY, books.next_key()),
            owner=self.owner,
            display_name=self.display_name,
        )
        return Decision(subject=wallet_name(self.id), opens=(*system, opened), fact="wallet.created")

    def _empty_system(self, books: Books, role: Role) -> Wallet:
        key = system_wallet_key(role, self.currency)
        return self._empty(books, system_wallet(role, self.currency), role, key)

    def _empty(self, books: Books, wallet: WalletId, role: Role, key: int) -> Wallet:
        return Wallet(
            key=key,
            id=wallet,
            role=role,
            currency=self.currency,
            state=WalletState.ACTIVE,
            balance=0,
            held=0,
            overdraft_limit=0,
            sequence=0,
            last_time=books.now,
        )
