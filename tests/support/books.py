"""Data for tests, made through the service's own use cases."""

from uuid import UUID, uuid4

from wallet_core.domain.command import Request
from wallet_core.domain.create_wallet import CreateWallet
from wallet_core.domain.deposit import Deposit
from wallet_core.domain.money import Money
from wallet_core.domain.transfer import Transfer
from wallet_core.domain.wallet import WalletId
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.move_money import MoneyMoved, move_money


def request(id_: UUID | None = None, caller: str = "tests") -> Request:
    """Return a request of the tests' caller, new unless an id is given."""
    return Request(caller, id_ or uuid4())


def open_wallet(app: App, wallet: str, balance: int = 0, currency: str = "USD") -> WalletId:
    """Open a wallet and deposit *balance* minor units into it."""
    id_ = WalletId(wallet)
    change_wallet(
        app,
        CreateWallet(request=request(), id=id_, asked_id=id_, currency=currency, owner="", display_name=""),
    )
    if balance:
        deposit(app, id_, balance, currency)
    return id_


def deposit(app: App, wallet: WalletId, amount: int, currency: str = "USD", id_: UUID | None = None) -> MoneyMoved:
    """Deposit *amount* minor units."""
    return move_money(
        app,
        Deposit(
            request=request(id_),
            id=new_id(),
            wallet=wallet,
            amount=Money(currency, amount),
            description="",
            external_reference="",
        ),
    )


def transfer(app: App, source: WalletId, destination: WalletId, amount: int, id_: UUID | None = None) -> MoneyMoved:
    """Transfer *amount* minor units of USD."""
    return move_money(
        app,
        Transfer(
            request=request(id_),
            id=new_id(),
            source=source,
            destination=destination,
            amount=Money("USD", amount),
            description="",
        ),
    )


def balance_of(app: App, wallet: WalletId) -> int:
    """Return a wallet's balance in minor units."""
    return app.reads.wallets([wallet])[0].balance
