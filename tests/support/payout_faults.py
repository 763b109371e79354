"""Payouts named by their fault: the name is the account that they go to, so that a fault can be ordered for each."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.support.books import open_wallet
from tests.support.payout_service import PayoutService
from tests.support.payouts import schedule
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import Withdrawal

Fault = Mapping[str, Any]
"""A fault of the bank's and its parameters, as it is ordered."""


class FaultyPayouts:
    """Payouts out of one wallet of a service."""

    def __init__(self, service: PayoutService) -> None:
        self.service = service
        self.ids: dict[str, UUID] = {}
        self._wallet = open_wallet(service.app, "alice", 1000)

    def schedule(self, name: str, *faults: Fault) -> UUID:
        """Schedule a payout that is due now, and whose first calls run into these faults, one after the other."""
        for fault in faults:
            self.service.bank.order(times=1, match={"account": name}, **fault)
        self.ids[name] = schedule(self.service.app, self._wallet, 10, bank_account=name)
        return self.ids[name]

    def warm_up(self) -> None:
        """Have a payout paid of which nothing is expected: processes take their time over their first call."""
        self.schedule("first")
        self.service.until(lambda: answers_to(self.now("first")) not in ([], [None]))

    def now(self, name: str) -> Withdrawal:
        """Return a payout as it is now."""
        return self.service.now(self.ids[name])

    def until(self, name: str, *answers: AnswerKind) -> Withdrawal:
        """Wait until a payout's attempts have had these answers; return it as it is then."""
        self.service.until(lambda: answers_to(self.now(name)) == list(answers))
        return self.now(name)

    def until_all_final(self) -> None:
        """Wait until nothing can happen to any of them any more."""
        self.service.until_final(*self.ids.values())


def answers_to(found: Withdrawal) -> list[AnswerKind | None]:
    """Return the bank's answer to each attempt, as far as that is known."""
    return [attempt.answer for attempt in found.attempts]
