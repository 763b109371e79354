"""The whole core against a model of a few dictionaries: whatever is called in whatever order, they agree."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.books import request
from tests.support.database import Database
from tests.support.keeps_no_ledger import KeepsNoLedger
from tests.support.ledger_pages import a_deposit, a_new_wallet, a_transfer
from tests.support.truthful_bank import TruthfulBank
from wallet_core.bootstrap import verify
from wallet_core.domain.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.cancel_order import CancelWithdrawal
from wallet_core.domain.command import Command, Done
from wallet_core.domain.errors import (
    CurrencyMismatch,
    InsufficientFunds,
    Refusal,
    RequestIdReused,
    ResourceExists,
    ResourceNotFound,
    StateTransitionForbidden,
)
from wallet_core.domain.money import Money
from wallet_core.domain.order import OrderState, Withdrawal
from wallet_core.domain.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile import reconcile

NAMES = [WalletId(name) for name in ("alice", "bob", "carol", "dave", "erin")]
CURRENCY_OF = dict(zip(NAMES, ("USD", "USD", "USD", "EUR", "EUR"), strict=True))
# Those that are there from the beginning come first, and more often.
ANYBODY = st.sampled_from([*NAMES[:2] * 4, *NAMES])
AMOUNT = st.integers(min_value=1, max_value=60)
NTH = st.integers(min_value=0, max_value=99)
NOT_TAKEN = {OrderState.SCHEDULED, OrderState.CANCELLED, OrderState.FAILED}


@dataclass(slots=True)
class WhimsicalBank(KeepsNoLedger):
    """Answers as it is told to, does what it did, and says so when asked unless it keeps silent."""

    whim: AnswerKind = AnswerKind.ACCEPTED
    arrives: bool = True
    silent: bool = False
    paid: dict[str, TruthfulBank] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)

    def pay(self, payment: Payment) -> Answer:
        """Pay or not, and tell or not."""
        known = self.paid.setdefault(payment.key, TruthfulBank())
        return Answer(kind=known.pay(self.whim, arrives=self.arrives), reference="r", retry_after_s=0.0)

    def status(self, payment: Payment) -> Status:
        """Say the truth."""
        if self.silent:
            return Status(kind=StatusKind.SILENT)
        return Status(kind=self.paid.get(payment.key, TruthfulBank()).status(), amount=payment.amount)


class Core(RuleBasedStateMachine):
    """Calls on the core, each followed by a look at all balances."""

    def __init__(self, app: App, database: Database, config: Settings) -> None:
        super().__init__()
        database.clean()
        self.bank = WhimsicalBank()
        self.app = replace(app, bank=self.bank)
        self.config = config
        self.later = timedelta()
        self.balances: dict[WalletId, int] = {}
        self.withdrawals: dict[UUID, Withdrawal] = {}
        self.told: list[tuple[Command, Done | Refusal]] = []

    # What callers do.

    @initialize(amount=AMOUNT)
    def begin(self, amount: int) -> None:
        """Open some wallets with something in them, so that there is a story to tell."""
        for name in ("alice", "bob", "dave"):
            self.create(WalletId(name))
        self.deposit(WalletId("alice"), amount * 3)
        self.deposit(WalletId("bob"), amount)

    @rule(name=st.sampled_from(NAMES))
    def create(self, name: WalletId) -> None:
        """Open a wallet, unless there is one of that name."""
        expected = ResourceExists if name in self.balances else None
        self.post(a_new_wallet(name, CURRENCY_OF[name]), expected)
        self.balances.setdefault(name, 0)

    @rule(name=ANYBODY, amount=AMOUNT)
    def deposit(self, name: WalletId, amount: int) -> None:
        """Put money into a wallet, if it is there and of that currency."""
        self.post(a_deposit(amount, name), self.missing(name, "USD"))
        if self.missing(name, "USD") is None:
            self.balances[name] += amount

    @rule(name=ANYBODY, amount=AMOUNT)
    def deposit_euros(self, name: WalletId, amount: int) -> None:
        """Likewise."""
        self.post(replace(a_deposit(amount, name), amount=Money("EUR", amount)), self.missing(name, "EUR"))
        if self.missing(name, "EUR") is None:
            self.balances[name] += amount

    @rule(source=ANYBODY, destination=ANYBODY, amount=AMOUNT, currency=st.sampled_from(["USD"] * 5 + ["EUR"]))
    def transfer(self, source: WalletId, destination: WalletId, amount: int, currency: str) -> None:
        """Move money, if both wallets are there, of that currency, and the first one has it."""
        if source == destination:
            return
        expected = self.missing(source, currency) or self.missing(destination, currency)
        if expected is None and self.expected()[source] < amount:
            expected = InsufficientFunds
        self.post(a_transfer(amount, source, destination, currency=currency), expected)
        if expected is None:
            self.balances[source] -= amount
            self.balances[destination] += amount

    @precondition(lambda self: self.told)
    @rule(nth=NTH)
    def repeat(self, nth: int) -> None:
        """Ask again for what was asked before: the same is told, and nothing happens."""
        command, before = self.told[nth % len(self.told)]
        again = self.outcome(command)
        if isinstance(before, Done):
            assert isinstance(again, Done)
            assert (again.subject, again.available, again.replayed) == (before.subject, before.available, True)
        else:
            assert again == before

    @precondition(lambda self: self.told)
    @rule(nth=NTH, amount=AMOUNT)
    def reuse(self, nth: int, amount: int) -> None:
        """Use a request id again for something that was never asked."""
        command, _ = self.told[nth % len(self.told)]
        other = replace(a_transfer(amount, request=command.request), description="another")
        assert isinstance(self.outcome(other), RequestIdReused)

    @rule(name=ANYBODY, amount=AMOUNT)
    def validate(self, name: WalletId, amount: int) -> None:
        """Only ask: nothing happens, nothing is kept."""
        self.outcome(replace(a_deposit(amount, name), validate_only=True))
        self.outcome(a_transfer(amount, name, NAMES[0] if name != NAMES[0] else NAMES[1], validate_only=True))

    # Payouts.

    @rule(name=ANYBODY, amount=AMOUNT)
    def schedule(self, name: WalletId, amount: int) -> None:
        """Promise to pay out, if the wallet is there; whether it has the money is looked at later."""
        command = ScheduleWithdrawal(
            request=request(),
            id=new_id(),
            wallet=name,
            amount=Money("USD", amount),
            execute_time=None,
            bank_account="",
            description="",
        )
        self.post(command, self.missing(name, "USD"))
        if self.missing(name, "USD") is None:
            self.bank.amounts[f"wd-{command.id}"] = amount
            self.withdrawals[command.id] = self.app.reads.withdrawal(command.id)

    @precondition(lambda self: self.withdrawals)
    @rule(nth=NTH)
    def cancel(self, nth: int) -> None:
        """Call one off, if nothing has begun."""
        id_ = list(self.withdrawals)[nth % len(self.withdrawals)]
        begun = self.withdrawals[id_].state is not OrderState.SCHEDULED
        self.post(CancelWithdrawal(request=request(), order=id_), StateTransitionForbidden if begun else None)
        self.withdrawals[id_] = self.app.reads.withdrawal(id_)

    @precondition(lambda self: self.withdrawals)
    @rule(whim=st.sampled_from(AnswerKind), arrives=st.booleans(), abandon=st.sampled_from([False] * 5 + [True]))
    def pay_out(self, whim: AnswerKind, *, arrives: bool, abandon: bool) -> None:
        """Pay what is due, or claim it and do nothing."""
        self.bank.whim, self.bank.arrives = whim, arrives
        for claim in self.app.claims.to_pay(limit=5, lease=self.lease, clock_offset=self.later):
            if not abandon:
                pay_out(self.app, claim, clock_offset=self.later)
        self.look()

    @precondition(lambda self: self.withdrawals)
    @rule(whim=st.sampled_from(AnswerKind), silent=st.booleans())
    def reconcile(self, whim: AnswerKind, *, silent: bool) -> None:
        """Ask about what is in doubt, or was left behind."""
        self.bank.whim, self.bank.silent = whim, silent
        for claim in self.app.claims.to_reconcile(limit=5, lease=self.lease, clock_offset=self.later):
            reconcile(self.app, claim, clock_offset=self.later)
        self.look()

    @rule(seconds=st.sampled_from([1, 2, 4]))
    def time_passes(self, seconds: int) -> None:
        """Leases run out, grace is over."""
        self.later += timedelta(seconds=seconds)

    # What must hold.

    @invariant()
    def balances_agree(self) -> None:
        """Every wallet has what the model says, and none less than nothing."""
        expected = self.expected()
        found = {view.id: view.balance for view in self.app.reads.wallets(list(expected))}
        assert found == expected
        assert all(balance >= 0 for balance in found.values())

    @invariant()
    def bank_agrees(self) -> None:
        """Nothing was paid twice, nothing released that was paid, nothing kept that was not."""
        for id_, withdrawal in self.withdrawals.items():
            executions = self.bank.paid.get(f"wd-{id_}", TruthfulBank()).executions
            assert executions <= 1
            if withdrawal.final:
                assert (executions == 1) == (withdrawal.state is OrderState.SUCCEEDED)

    def teardown(self) -> None:
        """Prove that the books are right."""
        assert [check for check in verify(self.config) if check.broken] == []

    # Steps.

    @property
    def lease(self) -> timedelta:
        """How long a claim holds."""
        return self.app.payouts.policy.lease

    def expected(self) -> dict[WalletId, int]:
        """Return what each wallet has: what came and went, less what is on its way to the bank or there."""
        expected = dict(self.balances)
        for withdrawal in self.withdrawals.values():
            if withdrawal.state not in NOT_TAKEN:
                expected[withdrawal.wallet] -= withdrawal.amount.minor
        return expected

    def missing(self, name: WalletId, currency: str) -> type[Refusal] | None:
        """Return why money of that currency can neither come nor go."""
        if name not in self.balances:
            return ResourceNotFound
        return CurrencyMismatch if CURRENCY_OF[name] != currency else None

    def look(self) -> None:
        """Read the withdrawals again; the model knows what each state means for the money."""
        self.withdrawals = {id_: self.app.reads.withdrawal(id_) for id_ in self.withdrawals}
        for withdrawal in self.withdrawals.values():
            if withdrawal.state is OrderState.SCHEDULED:
                assert not withdrawal.attempts

    def outcome(self, command: Command) -> Done | Refusal:
        """Post a command and return what was told."""
        try:
            return self.app.ledger.post(command)
        except Refusal as refusal:
            return refusal

    def post(self, command: Command, expected: type[Refusal] | None) -> None:
        """Post a command of which the model knows whether and why it is refused."""
        told = self.outcome(command)
        assert type(told) is (expected or Done)
        self.told.append((command, told))


def test_the_core_and_its_model_agree(app: App, database: Database, settings: Settings) -> None:
    """Wallets in two currencies, replays, reused ids, payouts against a bank of every mood."""

    run_state_machine_as_test(
        lambda: Core(app, database, settings),  # type: ignore[arg-type]  # anything that makes a machine will do
        settings=_SETTINGS,
    )


_SETTINGS = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
