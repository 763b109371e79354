"""What an operator resolves: refused while a call may be in flight, done once, stored with its reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import (
    collect_due_deposits,
    pay_due_withdrawals,
    reconcile_bank_statement,
    reconcile_collections,
    reconcile_withdrawals,
)
from tests.support.books import balance_of, open_wallet, request
from tests.support.payouts import Bank, attention, bank_key, schedule, settled, withdrawal
from tests.support.scheduled import schedule_deposit
from tests.support.together import together
from tests.support.unreadable_statement import UnreadableStatement
from wallet_core.domain.commands.payments.match_statement import ResolveDiscrepancy
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet
from wallet_core.domain.model.bank import Answer, Payment, Status, line_name
from wallet_core.domain.model.errors import (
    CurrencyMismatch,
    InvalidField,
    RequestIdReused,
    ResourceNotFound,
    StateTransitionForbidden,
    SystemWalletForbidden,
    WalletError,
    WalletNotActive,
)
from wallet_core.domain.model.payment_order import FailureReason, OrderState, ResolutionKind
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.ports import BankGateway
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.change_payment_order import change_withdrawal
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.reconcile_order import reconcile
from wallet_core.usecases.resolve_break import resolve_discrepancy

IN_TRANSIT, EXTERNAL = (system_wallet(role, "USD") for role in (Role.IN_TRANSIT, Role.EXTERNAL))
EXECUTED, NOT_EXECUTED, APPLIED_TO_WALLET = (
    ResolutionKind.EXECUTED,
    ResolutionKind.NOT_EXECUTED,
    ResolutionKind.APPLIED_TO_WALLET,
)


@pytest.fixture
def app(app: App) -> App:
    """Return the core of a process whose calls to the bank end at once."""
    return with_grace(app, timedelta(microseconds=1))


def with_grace(app: App, grace: timedelta) -> App:
    """Return the core of a process whose calls to the bank may be on their way for so long."""
    return replace(app, payouts=replace(app.payouts, policy=replace(app.payouts.policy, grace=grace)))


@pytest.fixture
def stub(bank: BankServer) -> Iterator[Bank]:
    """Return a bank that pays or not, never answers, and has no status."""
    stub = Bank(bank.url)
    stub.mode(status=False)
    yield stub
    stub.forgive()


def in_doubt(app: App, stub: Bank, wallet: WalletId, amount: int = 300) -> UUID:
    """Return a withdrawal of which it is unknown whether the bank paid it; it did not."""
    stub.order("reset", times=1)
    id_ = schedule(app, wallet, amount)
    pay_due_withdrawals.run_once(app)
    assert withdrawal(app, id_).state is OrderState.IN_DOUBT
    return id_


def ask(order: UUID, resolution: ResolutionKind, *, to: str | None = None) -> ResolveWithdrawal:
    """Return an operator's resolution."""
    return ResolveWithdrawal(
        request=request(),
        id=new_id(),
        order=order,
        resolution=resolution,
        reason="asked by phone",
        bank_evidence="ticket 7",
        destination=WalletId(to) if to is not None else None,
    )


@pytest.mark.parametrize(
    ("resolution", "state", "reason", "left"),
    [
        (EXECUTED, OrderState.SUCCEEDED, None, 700),
        (NOT_EXECUTED, OrderState.FAILED, FailureReason.RESOLVED, 1000),
    ],
)
def test_operator_ends_a_doubt_when_the_bank_has_no_status(  # noqa: PLR0913, PLR0917  # each its end
    app: App,
    stub: Bank,
    alice: WalletId,
    resolution: ResolutionKind,
    state: OrderState,
    reason: FailureReason | None,
    left: int,
) -> None:
    """R5: pending until an operator resolves it; audited with reason, the bank's evidence and the operator."""

    id_ = in_doubt(app, stub, alice)
    reconcile_withdrawals.run_once(app, clock_offset=app.payouts.policy.backoff_max)
    assert withdrawal(app, id_).state is OrderState.IN_DOUBT

    settled(app, ask(id_, resolution))

    found = withdrawal(app, id_)
    assert (found.state, found.failure_reason) == (state, reason)
    (kept,) = found.resolutions
    assert (kept.kind, kept.reason, kept.bank_evidence, kept.operator) == (
        resolution,
        "asked by phone",
        "ticket 7",
        "tests",
    )
    assert (balance_of(app, alice), balance_of(app, IN_TRANSIT)) == (left, 0)


def test_nothing_is_resolved_while_a_call_may_be_on_its_way(app: App, stub: Bank, alice: WalletId) -> None:
    """By the settings of the process that calls, not of the one that resolves; validated only, it is refused alike."""

    id_ = in_doubt(with_grace(app, timedelta(hours=1)), stub, alice)
    for command in (ask(id_, NOT_EXECUTED), ask(id_, EXECUTED)):
        for tried in (replace(command, validate_only=True), command):
            with pytest.raises(StateTransitionForbidden, match="may still be in flight"):
                settled(app, tried)
    assert withdrawal(app, id_).state is OrderState.IN_DOUBT


def test_of_concurrent_operators_one_resolves_and_the_others_learn_that_it_has_ended(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """Exactly one effect, with any findings of each."""

    id_ = in_doubt(app, stub, alice)
    requests = [ask(id_, EXECUTED if number % 2 else NOT_EXECUTED) for number in range(8)]

    outcomes = together([lambda one=one: settled(app, one) for one in requests])  # type: ignore[misc]  # one each

    assert sorted(type(one).__name__ for one in outcomes) == ["StateTransitionForbidden"] * 7 + ["Withdrawal"]
    assert len(withdrawal(app, id_).resolutions) == 1
    assert balance_of(app, IN_TRANSIT) == 0


def test_a_repeat_settles_nothing_more_and_another_use_of_its_id_is_refused(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """As everywhere."""

    id_ = in_doubt(app, stub, alice)
    first = ask(id_, NOT_EXECUTED)
    settled(app, first)

    again = change_withdrawal(app, replace(first, id=new_id()))
    assert (again.replayed, again.order.state) == (True, OrderState.FAILED)
    with pytest.raises(RequestIdReused):
        settled(app, replace(first, resolution=EXECUTED))
    assert balance_of(app, alice) == 1000


def test_worker_that_was_asking_meanwhile_changes_nothing_more(app: App, stub: Bank, alice: WalletId) -> None:
    """Its claim is worth nothing once the order has ended; nothing is sent again."""

    id_ = in_doubt(app, stub, alice)
    stub.mode(status=True)
    far = app.payouts.policy.lease * 2
    (claim,) = app.claims.to_reconcile(limit=1, lease=app.payouts.policy.lease, clock_offset=far)
    settled(app, ask(id_, NOT_EXECUTED))

    result = reconcile(app, claim, clock_offset=far)

    assert result is None
    assert (withdrawal(app, id_).state, stub.executions(id_), balance_of(app, alice)) == (OrderState.FAILED, 0, 1000)


def test_bank_that_had_paid_what_an_operator_released_is_a_discrepancy(app: App, stub: Bank, alice: WalletId) -> None:
    """An operator can err; the bank statement reveals it.

    The discrepancy is closed once, by the operator who resolved it.
    """

    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay_due_withdrawals.run_once(app)
    settled(app, ask(id_, NOT_EXECUTED))  # before its ledger was read
    reconcile_bank_statement.run_once(app)

    (item,) = attention(app)
    assert (item.name, item.bank_key, item.amount.minor) == (line_name(1), bank_key(id_), 300)
    close = ResolveDiscrepancy(request=request(), line=1, reason="the customer paid it back")
    others = [replace(close, request=request()) for _ in range(4)]
    outcomes = together([lambda one=one: resolve_discrepancy(app, one) for one in (close, *others)])  # type: ignore[misc]
    assert sorted(type(one).__name__ for one in outcomes) == ["DiscrepancyResolved"] + ["StateTransitionForbidden"] * 4
    assert attention(app) == []
    assert app.reads.bank_statement_line(1).resolution == "the customer paid it back"


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"to": "alice"}, InvalidField),
        ({"resolution": APPLIED_TO_WALLET}, InvalidField),
        ({"resolution": APPLIED_TO_WALLET, "to": EXTERNAL}, SystemWalletForbidden),
        ({"resolution": APPLIED_TO_WALLET, "to": "alice"}, StateTransitionForbidden),
        ({"order": UUID(int=7)}, ResourceNotFound),
    ],
)
def test_what_makes_no_sense_is_refused_and_moves_nothing(
    app: App, stub: Bank, alice: WalletId, changes: dict[str, object], refused: type[WalletError]
) -> None:
    """A destination where there is none, none where there is one, the service's own, nothing that waits."""

    fields: dict[str, object] = {"order": in_doubt(app, stub, alice), "resolution": EXECUTED, **changes}
    with pytest.raises(refused):
        settled(app, ask(**fields))  # type: ignore[arg-type]  # as in the cases


@pytest.mark.parametrize("state", ["scheduled", "succeeded", "cancelled"])
def test_what_is_not_under_way_cannot_be_resolved(app: App, stub: Bank, alice: WalletId, state: str) -> None:
    """Cancel what is scheduled; what has ended has ended."""

    del stub
    time = None if state == "succeeded" else app.reads.wallets([alice])[0].create_time.replace(year=2099)
    id_ = schedule(app, alice, 10, execute_time=time)
    pay_due_withdrawals.run_once(app)
    for resolution in (EXECUTED, NOT_EXECUTED):
        with pytest.raises(StateTransitionForbidden):
            settled(app, ask(id_, resolution))


def test_money_of_a_closed_wallet_is_applied_once_where_the_operator_directs(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """Of what the bank gave back; not into a closed wallet, nor one of another currency."""

    bob, euro = open_wallet(app, "bob"), open_wallet(app, "euro", currency="EUR")
    id_ = schedule(app, alice, 1000)
    pay_due_withdrawals.run_once(app)
    change_wallet(app, CloseWallet(request=request(), wallet=alice, etag=""))
    stub.give_back(id_)
    reconcile_bank_statement.run_once(app)

    with pytest.raises(WalletNotActive):
        settled(app, ask(id_, APPLIED_TO_WALLET, to=alice))
    with pytest.raises(CurrencyMismatch):
        settled(app, ask(id_, APPLIED_TO_WALLET, to=euro))
    outcomes = together([lambda: settled(app, ask(id_, APPLIED_TO_WALLET, to=bob))] * 3)

    assert sorted(type(one).__name__ for one in outcomes) == ["StateTransitionForbidden"] * 2 + ["Withdrawal"]
    assert (balance_of(app, bob), balance_of(app, IN_TRANSIT)) == (1000, 0)
    assert (withdrawal(app, id_).state, withdrawal(app, id_).unapplied) == (OrderState.RETURNED, False)
    assert attention(app) == []


def test_no_payment_that_the_statement_shows_is_released(app: App, stub: Bank, alice: WalletId) -> None:
    """With any information of the operator."""

    stub.order("execute_then_silence", times=1)
    id_ = schedule(app, alice, 300)
    pay_due_withdrawals.run_once(app)
    reconcile_bank_statement.run_once(app)

    with pytest.raises(StateTransitionForbidden, match="statement shows it as executed"):
        settled(app, ask(id_, NOT_EXECUTED))
    settled(app, ask(id_, EXECUTED))
    assert balance_of(app, alice) == 700


@dataclass(frozen=True)
class BankWhoseAnswerIsLate(UnreadableStatement):
    """Pays, and runs something else before the answer is returned."""

    bank: BankGateway
    meanwhile: Callable[[], object]

    def pay(self, payment: Payment) -> Answer:
        """Pay."""
        answer = self.bank.pay(payment)
        self.meanwhile()
        return answer

    def status(self, payment: Payment) -> Status:
        """Query."""
        return self.bank.status(payment)


def test_acceptance_after_an_operator_has_released_the_money_is_listed_until_acknowledged(
    app: App, stub: Bank, alice: WalletId
) -> None:
    """A worker that paused with the bank's acceptance; a bank without a statement would never reveal it."""

    del stub
    id_ = schedule(app, alice, 300)
    late = BankWhoseAnswerIsLate(app.bank, lambda: settled(app, ask(id_, NOT_EXECUTED)))
    pay_due_withdrawals.run_once(replace(app, bank=late))

    found = withdrawal(app, id_)
    assert (found.state, found.unapplied, balance_of(app, alice)) == (OrderState.FAILED, False, 1000)
    (item,) = attention(app)
    assert (str(item.kind), item.name) == ("DISCREPANCY", found.name)
    with pytest.raises(StateTransitionForbidden):
        settled(app, ask(id_, APPLIED_TO_WALLET, to=alice))
    settled(app, ask(id_, ResolutionKind.ACKNOWLEDGED))
    with pytest.raises(StateTransitionForbidden):
        settled(app, ask(id_, ResolutionKind.ACKNOWLEDGED))
    assert attention(app) == []
    assert [one.kind for one in withdrawal(app, id_).resolutions] == [NOT_EXECUTED, ResolutionKind.ACKNOWLEDGED]


@pytest.mark.parametrize(
    ("resolution", "state", "balance"),
    [(EXECUTED, OrderState.SUCCEEDED, 1300), (NOT_EXECUTED, OrderState.FAILED, 1000)],
)
def test_a_collection_in_doubt_is_settled_likewise(  # noqa: PLR0913, PLR0917  # each its end
    app: App, stub: Bank, alice: WalletId, resolution: ResolutionKind, state: OrderState, balance: int
) -> None:
    """Credited if the operator found that it was collected; nothing to release if not."""

    stub.order("reset", times=1)
    id_ = schedule_deposit(app, alice, 300, collect=True)
    collect_due_deposits.run_once(app)
    reconcile_collections.run_once(app, clock_offset=app.payouts.policy.backoff_max)
    assert app.reads.scheduled_deposit(id_).state is OrderState.IN_DOUBT

    command = ask(id_, resolution)
    fields = {
        name: getattr(command, name) for name in ("request", "id", "order", "resolution", "reason", "bank_evidence")
    }
    found = settled(app, ResolveScheduledDeposit(**fields))

    assert (found.state, balance_of(app, alice)) == (state, balance)


def test_resolutions_are_kept_for_ever(app: App, stub: Bank, alice: WalletId, owner: psycopg.Connection) -> None:
    """The service itself cannot take one back."""

    settled(app, ask(in_doubt(app, stub, alice), EXECUTED))
    owner.execute("SET ROLE wallet_service")
    for statement in (
        "DELETE FROM resolutions",
        "UPDATE resolutions SET reason = 'x'",
        "DELETE FROM bank_statement_lines",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(statement)
