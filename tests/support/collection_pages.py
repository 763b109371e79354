"""A scheduled deposit in memory: in any state, with or without the bank, and the commands that move it on."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from tests.support.ledger_pages import ALICE, EXTERNAL, IN_TRANSIT, NOW, a_request, books_of, wallet
from tests.support.payout_pages import AMOUNT, JITTER, LEASE_UNTIL, ON_ITS_WAY, POLICY, Answered
from tests.support.scheduled import collection_key
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment, StartPayment
from wallet_core.domain.commands.payments.cancel_order import CancelScheduledDeposit
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.payments.settle_doubt import SettleDoubt, TakeOver
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import Answer, AnswerKind, Status, StatusKind
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.payment_order import (
    Attempt,
    Claim,
    OrderKind,
    OrderState,
    PaymentPolicy,
    ScheduledDeposit,
)
from wallet_core.domain.model.transaction import Transaction

DEPOSIT = UUID(int=9)
ACCEPTED, DECLINED_RETRYABLE, DECLINED = AnswerKind.ACCEPTED, AnswerKind.DECLINED_RETRYABLE, AnswerKind.DECLINED
NOT_SENT, UNKNOWN = AnswerKind.NOT_SENT, AnswerKind.UNKNOWN
SCHEDULED, PROCESSING, IN_DOUBT = OrderState.SCHEDULED, OrderState.PROCESSING, OrderState.IN_DOUBT
SUCCEEDED, FAILED, CANCELLED = OrderState.SUCCEEDED, OrderState.FAILED, OrderState.CANCELLED
UNTOUCHED, CREDITED = (100, 0, -100), (110, 0, -110)
STALE = Refused(StaleClaim(f"scheduledDeposits/{DEPOSIT}"))


@dataclass(slots=True)
class Collection:
    """One deposit of ten units into a wallet that has a hundred, on a ledger in memory."""

    books: LedgerState
    policy: PaymentPolicy = POLICY
    resends: bool = True

    @property
    def now(self) -> ScheduledDeposit:
        """The deposit as it is now."""
        found = self.books.orders[DEPOSIT]
        assert isinstance(found, ScheduledDeposit)
        return found

    @property
    def money(self) -> tuple[int, int, int]:
        """What is in the wallet, in transit, and external."""
        alice, way, outside = (self.books.wallets[id_].balance for id_ in (ALICE, IN_TRANSIT, EXTERNAL))
        return alice, way, outside

    @property
    def moved(self) -> list[Transaction]:
        """What has been posted."""
        return self.books.pending.transactions

    def claim(self, fence: int | None = None) -> Claim:
        """Return a claim with *fence*, by default the latest."""
        return Claim(
            kind=OrderKind.SCHEDULED_DEPOSIT,
            order=DEPOSIT,
            fence=self.now.fence if fence is None else fence,
            state=self.now.state,
            wallet=ALICE,
            owner="",
            amount=AMOUNT,
            bank_account="DE02",
        )

    def start(self, claim: Claim | None = None) -> Done | Refused:
        """Decide on StartPayment."""
        return self._decide(StartPayment(id=uuid4(), claim=claim or self.claim(), policy=self.policy, jitter=JITTER))

    def credit(self, claim: Claim | None = None) -> Done | Refused:
        """Decide on CreditDeposit."""
        return self._decide(CreditDeposit(id=uuid4(), claim=claim or self.claim()))

    def cancel(self) -> Done | Refused:
        """Decide on CancelScheduledDeposit."""
        return self._decide(CancelScheduledDeposit(request=a_request(), order=DEPOSIT))

    def answer(self, answer: AnswerKind | Answer, attempt: int = 0, claim: Claim | None = None) -> Done | Refused:
        """Decide on SettlePayment, by default of the latest attempt."""
        return self._decide(
            SettlePayment(
                id=uuid4(),
                claim=claim or self.claim(),
                policy=self.policy,
                jitter=JITTER,
                attempt=attempt or len(self.now.attempts),
                answer=answer if isinstance(answer, Answer) else Answer(kind=answer, reference="ref"),
            )
        )

    def take_over(self, claim: Claim | None = None) -> Done | Refused:
        """Decide on TakeOver."""
        return self._decide(TakeOver(id=uuid4(), claim=claim or self.claim(), policy=self.policy, jitter=JITTER))

    def apply_status(self, status: StatusKind | Status, claim: Claim | None = None) -> Done | Refused:
        """Decide on SettleDoubt; a bank that executed did so by default with the right amount."""
        reported = status if isinstance(status, Status) else Status(kind=status, amount=AMOUNT, reference="ref")
        return self._decide(
            SettleDoubt(
                id=uuid4(),
                claim=claim or self.claim(),
                policy=self.policy,
                jitter=JITTER,
                status=reported,
                resends=self.resends,
            )
        )

    def claimed_again(self) -> None:
        """Stamp the next fence, as another worker's claim does."""
        self.books.orders[DEPOSIT] = replace(
            self.now, fence=self.now.fence + 1, lease_until=self.books.now + self.policy.lease
        )

    def _decide(self, command: Command) -> Done | Refused:
        return decide(self.books, [command])[0]


def a_deposit_order(
    state: OrderState = OrderState.PROCESSING,
    answers: tuple[Answered, ...] = (None,),
    *,
    collect: bool = True,
    now: datetime = NOW,
    balance: int = 100,
) -> Collection:
    """Return a deposit in *state* whose attempts, all begun at NOW, have had these answers; claimed with fence 1."""
    books = books_of(wallet(ALICE, balance), now=now)
    final = state not in {*ON_ITS_WAY, OrderState.SCHEDULED}
    books.orders[DEPOSIT] = ScheduledDeposit(
        id=DEPOSIT,
        wallet=ALICE,
        amount=AMOUNT,
        collect=collect,
        bank_account="DE02",
        description="wages",
        external_reference="standing-1",
        execute_time=NOW,
        create_time=NOW,
        update_time=NOW,
        state=state,
        next_attempt_time=None if final else NOW,
        lease_until=None if final else LEASE_UNTIL,
        fence=1,
        attempts=tuple(
            Attempt(
                number=number,
                key=collection_key(DEPOSIT),
                start_time=NOW,
                in_flight_until=NOW + POLICY.grace,
                answer=answer,
            )
            for number, answer in enumerate(answers, start=1)
        ),
    )
    return Collection(books)
