"""Post a command of a caller on a wallet: open it, change it, close it."""

from dataclasses import dataclass

from wallet_core.domain.commands.wallets.change_wallet import ChangeWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.model.wallet import WalletId, WalletView
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class WalletChanged:
    """The wallet as it is now."""

    wallet: WalletView
    replayed: bool


def change_wallet(app: App, command: CreateWallet | ChangeWallet, deadline: float | None = None) -> WalletChanged:
    """Open or change a wallet; a repeat returns the wallet of the first call, as it is now."""
    done = app.ledger.post(command, deadline)
    if done.wallet is not None:
        # Not read again: an error of that read would report a wallet that exists as missing.
        return WalletChanged(done.wallet, done.replayed)
    wallet = WalletId(done.subject.removeprefix("wallets/"))
    return WalletChanged(app.reads.wallets([wallet])[0], done.replayed)
