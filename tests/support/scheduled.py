"""Scheduled deposits and reserved withdrawals for tests, and the bank's side of what is collected."""

from datetime import datetime
from uuid import UUID

from tests.support.commands import a_cancelled_deposit, a_cancelled_withdrawal, a_scheduled_deposit, a_withdrawal
from tests.support.payouts import Bank
from wallet_core.domain.model import payment_order as order
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderKind, ScheduledDeposit, Withdrawal
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App
from wallet_core.usecases.change_payment_order import change_scheduled_deposit, change_withdrawal


def schedule_deposit(  # noqa: PLR0913  # a scheduled deposit's fields
    app: App,
    wallet: WalletId,
    amount: int,
    *,
    collect: bool,
    execute_time: datetime | None = None,
    bank_account: str = "",
    external_reference: str = "",
) -> UUID:
    """Schedule a deposit in USD, due now unless a time is given; return its id."""
    words = {"bank_account": bank_account, "external_reference": external_reference}
    command = a_scheduled_deposit(wallet, Money("USD", amount), execute_time, collect=collect, **words)
    return change_scheduled_deposit(app, command).order.id


def reserve(app: App, wallet: WalletId, amount: int) -> UUID:
    """Schedule a payout in USD, due now, with its money held; return its id."""
    return change_withdrawal(app, a_withdrawal(wallet, Money("USD", amount), reserve=True)).order.id


def scheduled_deposit(app: App, id_: UUID) -> ScheduledDeposit:
    """Return a scheduled deposit as it is now."""
    return app.reads.scheduled_deposit(id_)


def cancel_deposit(app: App, id_: UUID) -> ScheduledDeposit:
    """Cancel a scheduled deposit."""
    return change_scheduled_deposit(app, a_cancelled_deposit(id_)).order


def cancel_withdrawal(app: App, id_: UUID) -> Withdrawal:
    """Cancel a withdrawal."""
    return change_withdrawal(app, a_cancelled_withdrawal(id_)).order


def collection_key(id_: UUID) -> str:
    """Return the key that the bank gets for a collection."""
    return order.bank_key(OrderKind.SCHEDULED_DEPOSIT, id_)


class CollectingBank(Bank):
    """The bank stub, with its own records of collections."""

    def collect_calls(self, id_: UUID) -> int:
        """Return the number of calls to collect."""
        return int(self.stats()["posts"].get(collection_key(id_), 0))

    def collected(self, id_: UUID) -> int:
        """Return how often the bank collected, by its own ledger."""
        return sum((line["kind"], line["key"]) == ("collection", collection_key(id_)) for line in self.ledger())

    def held_back(self) -> int:
        """Return how many answers the bank holds back now."""
        return int(str(self.stats()["held"]))

    def sent(self, id_: UUID) -> list[str]:
        """Return the requests to collect, as they were sent."""
        return list(self._get(f"/orders/requests?key={collection_key(id_)}")["bodies"])

    def forget_collection(self, id_: UUID) -> None:
        """Forget a collection's key; the ledger stays."""
        self._post("/orders/forget", {"key": collection_key(id_)})

    def take_key(self, id_: UUID, amount: int) -> None:
        """Collect on a key without a call of ours, as another client's mistake would."""
        self._post(
            "/orders/execute",
            {"key": collection_key(id_), "amount": amount, "currency": "USD", "kind": "collection", "account": ""},
        )

    def settle(self, id_: UUID, outcome: str) -> None:
        """Have a person at the bank decide on what pends: ``executed`` or ``failed``."""
        self._post("/orders/settle", {"key": collection_key(id_), "outcome": outcome})
