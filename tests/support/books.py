"""Data for tests, made through the service's own use cases."""

from uuid import UUID

from tests.support import commands
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.move_money import MoneyMoved, move_money

request = commands.request


def open_wallet(app: App, wallet: str, balance: int = 0, currency: str = "USD") -> WalletId:
    """Open a wallet and deposit *balance* minor units into it."""
    change_wallet(app, commands.a_new_wallet(wallet, currency))
    if balance:
        deposit(app, WalletId(wallet), balance, currency)
    return WalletId(wallet)


def deposit(app: App, wallet: WalletId, amount: int, currency: str = "USD", id_: UUID | None = None) -> MoneyMoved:
    """Deposit *amount* minor units."""
    return move_money(app, commands.a_deposit(wallet, Money(currency, amount), request=request(id_)))


def transfer(app: App, source: WalletId, destination: WalletId, amount: int, id_: UUID | None = None) -> MoneyMoved:
    """Transfer *amount* minor units of USD."""
    return move_money(app, commands.a_transfer(source, destination, Money("USD", amount), request=request(id_)))


def balance_of(app: App, wallet: WalletId) -> int:
    """Return a wallet's balance in minor units."""
    return app.reads.wallets([wallet])[0].balance
