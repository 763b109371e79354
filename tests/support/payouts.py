"""Payouts for tests: scheduled through the use case, with a bank whose faults are ordered."""

from datetime import datetime
from uuid import UUID

import httpx

from tests.support.books import request
from wallet_core.domain.commands.payments.resolve_order import ResolveOrder, ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.model import payment_order as order
from wallet_core.domain.model.attention import AttentionItem
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderKind, PaymentOrder, Withdrawal
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App
from wallet_core.usecases.change_payment_order import change_scheduled_deposit, change_withdrawal


def schedule(
    app: App, wallet: WalletId, amount: int, *, execute_time: datetime | None = None, bank_account: str = ""
) -> UUID:
    """Schedule a payout in USD, due now unless a time is given; return its id."""
    scheduled = change_withdrawal(
        app,
        ScheduleWithdrawal(
            request=request(),
            wallet=wallet,
            amount=Money("USD", amount),
            execute_time=execute_time,
            bank_account=bank_account,
            description="",
        ),
    )
    return scheduled.order.id


def bank_key(id_: UUID) -> str:
    """Return the key that the bank gets for a withdrawal."""
    return order.bank_key(OrderKind.WITHDRAWAL, id_)


def withdrawal(app: App, id_: UUID) -> Withdrawal:
    """Return a withdrawal as it is now."""
    return app.reads.withdrawal(id_)


def attention(app: App) -> list[AttentionItem]:
    """Return what a person must look at."""
    return list(app.reads.list_attention(app.attention, size=100, after=None).items)


def settled(app: App, command: ResolveOrder) -> PaymentOrder:
    """Settle by hand, and return the order."""
    if isinstance(command, ResolveWithdrawal):
        return change_withdrawal(app, command).order
    assert isinstance(command, ResolveScheduledDeposit)
    return change_scheduled_deposit(app, command).order


def show_another_ledger(app: App) -> None:
    """Let it be found that the bank shows another ledger than the one that is followed."""
    app.bank_statement_lines.note(app.bank_statement_lines.place(), "line 1 is no longer what it was")


class Bank:
    """The bank stub by its URL: faults are ordered, and its own records read.

    Plain HTTP to a neighbour: no proxy, no certificates to load.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def order(self, fault: str, *, times: int | None = None, **parameters: object) -> None:
        """Order a fault, for a number of calls or for all."""
        self._post("/orders/faults", {"fault": fault, "times": times, **parameters})

    def forgive(self) -> None:
        """Clear all faults."""
        httpx.delete(f"{self._url}/orders/faults", trust_env=False, verify=False).raise_for_status()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for a while."""
        self._post("/orders/refuse", {"seconds": seconds})

    def mode(self, **modes: bool) -> None:
        """Switch modes: ``idempotent``, ``status``."""
        self._post("/orders/mode", modes)

    def release(self) -> None:
        """Release all answers that are held back."""
        self._post("/orders/release", {})

    def forget(self, id_: UUID) -> None:
        """Forget a withdrawal's key; the ledger stays."""
        self._post("/orders/forget", {"key": bank_key(id_)})

    def settle(self, id_: UUID, outcome: str) -> None:
        """Have a person at the bank decide on what pends: ``executed`` or ``failed``."""
        self._post("/orders/settle", {"key": bank_key(id_), "outcome": outcome})

    def give_back(self, id_: UUID) -> None:
        """Give back what was paid for a withdrawal."""
        self._post("/orders/return", {"key": bank_key(id_)})

    def execute(self, *, key: str | None, amount: int, kind: str = "execution") -> None:
        """Move money without a request of ours."""
        named = {"key": key} if key is not None else {}
        fields = {"amount": amount, "currency": "USD", "account": "", "owner": "x"}
        self._post("/orders/execute", {**named, **fields, "kind": kind})

    def posts(self, id_: UUID) -> int:
        """Return the number of calls to pay a withdrawal."""
        return int(self.stats()["posts"].get(bank_key(id_), 0))

    def executions(self, id_: UUID) -> int:
        """Return how often the bank paid a withdrawal, by its own ledger."""
        return sum(line["key"] == bank_key(id_) for line in self.ledger())

    def ledger(self) -> list[dict[str, str]]:
        """Return the bank's whole ledger."""
        lines: list[dict[str, str]] = []
        while True:
            after = int(lines[-1]["number"]) if lines else 0
            page = self._get(f"/ledger?after={after}&limit=1000")["lines"]
            if not page:
                return lines
            lines += page

    def bodies(self, id_: UUID) -> list[str]:
        """Return the requests to pay a withdrawal, as they were sent."""
        return list(self._get(f"/orders/requests?key={bank_key(id_)}")["bodies"])

    def stats(self) -> dict[str, dict[str, int]]:
        """Return what the bank counted."""
        return self._get("/orders/stats")

    def in_flight(self) -> tuple[int, int]:
        """Return how many calls to pay are open now, and the most that ever were."""
        stats = self._get("/orders/stats")
        return int(stats["in_flight"]), int(stats["in_flight_max"])

    def is_listening(self) -> bool:
        """Return whether the bank can be connected to."""
        try:
            self.stats()
        except httpx.ConnectError:
            return False
        return True

    def _post(self, path: str, body: object) -> None:
        httpx.post(self._url + path, json=body, trust_env=False, verify=False).raise_for_status()

    def _get(self, path: str) -> dict:  # type: ignore[type-arg]  # JSON
        return dict(httpx.get(self._url + path, trust_env=False, verify=False).raise_for_status().json())
