"""Open a wallet."""

from dataclasses import dataclass

from wallet_core.domain.create_wallet import CreateWallet
from wallet_core.domain.wallet import WalletId, WalletView
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class WalletCreated:
    """The wallet as it is now."""

    wallet: WalletView
    replayed: bool


def create_wallet(app: App, command: CreateWallet, deadline: float | None = None) -> WalletCreated:
    """Open a wallet; a repeat returns the one that the first call opened."""
    done = app.ledger.post(command, deadline)
    if done.opened is not None:
        # Not read back: a read that failed here would tell of a wallet that is there that it is not.
        return WalletCreated(done.opened, replayed=False)
    wallet = WalletId(done.subject.removeprefix("wallets/"))
    return WalletCreated(app.reads.wallets([wallet])[0], done.replayed)
