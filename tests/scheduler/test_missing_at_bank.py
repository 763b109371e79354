"""Reconciliation the other way: what we call done and the bank statement does not have is listed for a person."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, pay_due_withdrawals, reconcile_bank_statement
from tests.support.books import balance_of, request
from tests.support.payouts import Bank, attention, schedule, settled, withdrawal
from tests.support.scheduled import schedule_deposit
from wallet_core.domain.commands.payments.resolve_order import ResolveOrder, ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.model.attention import AttentionKind
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.payment_order import OrderState, ResolutionKind
from wallet_core.domain.model.wallet import WalletId
from wallet_core.ports import BankGateway
from wallet_core.usecases.app import App, new_id

EXECUTED, ACKNOWLEDGED, APPLIED_TO_WALLET = (
    ResolutionKind.EXECUTED,
    ResolutionKind.ACKNOWLEDGED,
    ResolutionKind.APPLIED_TO_WALLET,
)


class SaysYes:
    """A bank that accepts everything and does nothing; its statement is that of another."""

    def __init__(self, other: BankGateway) -> None:
        self.status, self.ledger = other.status, other.ledger

    def pay(self, payment: Payment) -> Answer:
        """Accept."""
        return Answer(kind=AnswerKind.ACCEPTED, reference=f"yes-{payment.key}")


class SaysNoLate(SaysYes):
    """A bank whose clear no comes after something else has happened."""

    def __init__(self, other: BankGateway, meanwhile: Callable[[], object]) -> None:
        super().__init__(other)
        self._meanwhile = meanwhile

    def pay(self, payment: Payment) -> Answer:
        """Decline, late."""
        del payment
        self._meanwhile()
        return Answer(kind=AnswerKind.DECLINED)


@pytest.fixture
def stub(bank: BankServer) -> Iterator[Bank]:
    """Return the bank."""
    stub = Bank(bank.url)
    yield stub
    stub.forgive()


@pytest.fixture
def hasty(app: App, stub: Bank) -> App:
    """Return the core, for a bank whose lines are due at once, and whose calls end at once."""
    del stub
    policy = replace(app.payouts.policy, grace=timedelta(microseconds=1))
    due_at_once = replace(app.attention, bank_statement_line_due=timedelta())
    return replace(app, payouts=replace(app.payouts, policy=policy), attention=due_at_once)


def listed(app: App) -> list[tuple[AttentionKind, str]]:
    """Return what is listed for a person, once the bank statement was read to its end."""
    reconcile_bank_statement.run_once(app)
    return [(item.kind, item.name) for item in attention(app)]


def noted(verb: type[ResolveOrder], id_: UUID, kind: ResolutionKind = ACKNOWLEDGED) -> ResolveOrder:
    """Return an operator's resolution."""
    return verb(request=request(), id=new_id(), order=id_, resolution=kind, reason="found out", bank_evidence="")


def test_acknowledged_payments_missing_from_the_statement_are_found(hasty: App, alice: WalletId, stub: Bank) -> None:
    """A payout and a collection, each until a person has looked into it; what it did do is not listed."""

    honest = schedule(hasty, alice, 50)
    pay_due_withdrawals.run_once(hasty)
    liar = replace(hasty, bank=SaysYes(hasty.bank))
    paid, collected = schedule(hasty, alice, 100), schedule_deposit(hasty, alice, 500, collect=True)
    pay_due_withdrawals.run_once(liar)
    collect_due_deposits.run_once(liar)

    assert listed(hasty) == [
        (AttentionKind.MISSING_AT_BANK, f"withdrawals/{paid}"),
        (AttentionKind.MISSING_AT_BANK, f"scheduledDeposits/{collected}"),
    ]
    assert [withdrawal(hasty, id_).reconciled for id_ in (honest, paid)] == [True, False]
    assert stub.executions(honest) == 1

    settled(hasty, noted(ResolveWithdrawal, paid))
    settled(hasty, noted(ResolveScheduledDeposit, collected))

    assert listed(hasty) == []
    assert [one.kind for one in withdrawal(hasty, paid).resolutions] == [ACKNOWLEDGED]
    assert balance_of(hasty, alice) == 1000 - 50 - 100 + 500


def test_nothing_is_missing_before_its_line_is_due_and_the_ledger_was_read_since(
    hasty: App, alice: WalletId, owner: psycopg.Connection
) -> None:
    """A bank may be late; an unread statement proves nothing; a bank without a statement has no lines."""

    liar = replace(hasty, bank=SaysYes(hasty.bank))
    schedule(hasty, alice, 100)
    pay_due_withdrawals.run_once(liar)
    assert attention(hasty) == []
    patient = replace(hasty, attention=replace(hasty.attention, bank_statement_line_due=timedelta(hours=1)))
    assert listed(patient) == []
    owner.execute("UPDATE bank_statement_cursor SET read_to_end_at = read_to_end_at + interval '2 hours'")

    assert [item.kind for item in attention(patient)] == [AttentionKind.MISSING_AT_BANK]


def test_line_that_comes_after_all_reconciles_the_order(hasty: App, alice: WalletId, stub: Bank) -> None:
    """It was only late: no operator has to look."""

    liar = replace(hasty, bank=SaysYes(hasty.bank))
    id_ = schedule(hasty, alice, 100)
    pay_due_withdrawals.run_once(liar)
    assert listed(hasty) == [(AttentionKind.MISSING_AT_BANK, f"withdrawals/{id_}")]
    stub.execute(key=f"wd-{id_}", amount=100)

    assert listed(hasty) == []
    assert withdrawal(hasty, id_).reconciled


def test_line_of_another_amount_reconciles_nothing(hasty: App, alice: WalletId, stub: Bank) -> None:
    """Both are listed: what the bank did, and what it did not."""

    liar = replace(hasty, bank=SaysYes(hasty.bank))
    id_ = schedule(hasty, alice, 100)
    pay_due_withdrawals.run_once(liar)
    stub.execute(key=f"wd-{id_}", amount=99)

    assert listed(hasty) == [
        (AttentionKind.MISSING_AT_BANK, f"withdrawals/{id_}"),
        (AttentionKind.DISCREPANCY, "bankStatementLines/1"),
    ]


def test_clear_decline_after_an_operator_resolved_it_as_executed_is_listed(hasty: App, alice: WalletId) -> None:
    """The mirror of an acceptance after an operator's NOT_EXECUTED.

    Acknowledged once, and no money waits to be applied.
    """

    id_ = schedule(hasty, alice, 100)
    late = SaysNoLate(hasty.bank, lambda: settled(hasty, noted(ResolveWithdrawal, id_, EXECUTED)))
    pay_due_withdrawals.run_once(replace(hasty, bank=late))

    found = withdrawal(hasty, id_)
    assert (found.state, found.unapplied) == (OrderState.SUCCEEDED, False)
    assert "answered only after it had been settled as done" in found.attention
    assert listed(hasty) == [(AttentionKind.DISCREPANCY, f"withdrawals/{id_}")]
    with pytest.raises(StateTransitionForbidden, match="no unapplied funds"):
        settled(hasty, replace(noted(ResolveWithdrawal, id_, APPLIED_TO_WALLET), destination=alice))
    settled(hasty, noted(ResolveWithdrawal, id_))
    assert listed(hasty) == []
    with pytest.raises(StateTransitionForbidden, match="can be acknowledged"):
        settled(hasty, noted(ResolveWithdrawal, id_))


def test_ledger_that_was_not_read_for_long_is_listed_where_one_is_kept(hasty: App, owner: psycopg.Connection) -> None:
    """Then what is missing would stay unnoticed."""

    reconcile_bank_statement.run_once(hasty)
    before = hasty.reads.vitals().bank_statement_read_time
    assert before is not None
    assert attention(hasty) == []
    owner.execute("UPDATE bank_statement_cursor SET read_to_end_at = read_to_end_at - interval '1 day'")

    (item,) = attention(hasty)
    assert (item.kind, item.since) == (AttentionKind.RECONCILIATION_STALLED, before - timedelta(days=1))
    assert attention(replace(hasty, attention=replace(hasty.attention, bank_provides_statement=False))) == []
