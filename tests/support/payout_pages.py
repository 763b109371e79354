"""A payout in memory: one withdrawal in any state, and the commands that move it on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from tests.support.ledger_pages import ALICE, IN_TRANSIT, NOW, books_of, wallet
from tests.support.payouts import bank_key
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment, StartPayment
from wallet_core.domain.commands.payments.order_command import PaymentCommand
from wallet_core.domain.commands.payments.settle_doubt import SettleDoubt, TakeOver
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import Answer, AnswerKind, Status, StatusKind
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import Attempt, Claim, OrderKind, OrderState, PaymentPolicy, Withdrawal

WITHDRAWAL = UUID(int=7)
AMOUNT = Money("USD", 10)
POLICY = PaymentPolicy(
    attempts_max=3,
    resends_max=5,
    backoff_first=timedelta(seconds=1),
    backoff_max=timedelta(seconds=60),
    retry_after_max=timedelta(seconds=300),
    lease=timedelta(seconds=30),
    grace=timedelta(seconds=60),
    bank_key_retention=timedelta(hours=20),
    attention_after=timedelta(minutes=15),
)
# Full jitter at its longest, so that waits are those of the policy.
JITTER = 1.0
LEASE_UNTIL = NOW + POLICY.lease
ON_ITS_WAY = (OrderState.PROCESSING, OrderState.IN_DOUBT)

Answered = AnswerKind | None


@dataclass(slots=True)
class Payout:
    """One withdrawal of ten units from a wallet that had a hundred, on a ledger in memory."""

    books: LedgerState
    policy: PaymentPolicy = POLICY
    resends: bool = True

    @property
    def now(self) -> Withdrawal:
        """The withdrawal as it is now."""
        found = self.books.orders[WITHDRAWAL]
        assert isinstance(found, Withdrawal)
        return found

    @property
    def money(self) -> tuple[int, int]:
        """What is in the wallet and what is in transit to the bank."""
        return self.books.wallets[ALICE].balance, self.books.wallets[IN_TRANSIT].balance

    def claim(self, fence: int | None = None) -> Claim:
        """Return a claim with *fence*, by default the latest."""
        return Claim(
            kind=OrderKind.WITHDRAWAL,
            order=WITHDRAWAL,
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
        self.books.orders[WITHDRAWAL] = replace(
            self.now, fence=self.now.fence + 1, lease_until=self.books.now + self.policy.lease
        )

    def _decide(self, command: PaymentCommand) -> Done | Refused:
        return decide(self.books, [command])[0]


def a_payout(
    state: OrderState = OrderState.PROCESSING,
    answers: tuple[Answered, ...] = (None,),
    *,
    now: datetime = NOW,
    balance: int = 100,
) -> Payout:
    """Return a payout in *state* whose attempts, all begun at NOW, have had these answers; claimed with fence 1."""
    books = books_of(wallet(ALICE, balance), now=now)
    if state in ON_ITS_WAY:
        books.wallets[ALICE].balance -= AMOUNT.minor
        books.wallets[IN_TRANSIT].balance += AMOUNT.minor
    key = bank_key(WITHDRAWAL)
    final = state not in {*ON_ITS_WAY, OrderState.SCHEDULED}
    books.orders[WITHDRAWAL] = Withdrawal(
        id=WITHDRAWAL,
        wallet=ALICE,
        amount=AMOUNT,
        bank_account="DE02",
        description="",
        execute_time=NOW,
        create_time=NOW,
        update_time=NOW,
        state=state,
        next_attempt_time=None if final else NOW,
        lease_until=None if final else LEASE_UNTIL,
        fence=1,
        attempts=tuple(
            Attempt(number=number, key=key, start_time=NOW, in_flight_until=NOW + POLICY.grace, answer=answer)
            for number, answer in enumerate(answers, start=1)
        ),
    )
    return Payout(books)
