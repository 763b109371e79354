"""The bank shows another ledger than the one that was followed: nothing is sent again until a person accepts it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from scheduler.jobs import pay_due_withdrawals, reconcile_bank_statement, reconcile_withdrawals
from scheduler.process import BankStatementGate
from tests.support.books import request
from tests.support.commands import an_accepted_ledger
from tests.support.payouts import attention, bank_key, schedule, withdrawal
from tests.support.scripted_bank import BankBehaviour, ScriptedBank
from tests.support.together import together
from wallet_core.domain.model.attention import AttentionKind
from wallet_core.domain.model.bank import AnswerKind, BankStatementLine, LineKind
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App
from wallet_core.usecases.resolve_break import accept_bank_statement

LONG_AFTER = timedelta(hours=1)


@pytest.fixture
def scripted_bank() -> ScriptedBank:
    """Return the bank."""
    return ScriptedBank()


@pytest.fixture
def api(app: App, scripted_bank: ScriptedBank) -> App:
    """Return the core with that bank."""
    return replace(app, bank=scripted_bank)


def paid(api: App, scripted_bank: ScriptedBank, wallet: WalletId, *, arrives: bool = True) -> UUID:
    """Return a withdrawal that the bank has paid, or has never received."""
    scripted_bank.behaviour = BankBehaviour() if arrives else BankBehaviour(answer=AnswerKind.UNKNOWN, arrives=False)
    id_ = schedule(api, wallet, 100)
    pay_due_withdrawals.run_once(api)
    scripted_bank.behaviour = BankBehaviour()
    return id_


def begun_anew(scripted_bank: ScriptedBank, *before: BankStatementLine) -> None:
    """Let the bank begin another statement: other lines first, then repeated ones."""
    lines = (*before, *scripted_bank.lines)
    scripted_bank.lines = [replace(line, number=number) for number, line in enumerate(lines, start=1)]


def a_line(key: str, reference: str = "other") -> BankStatementLine:
    """Return a line about 1.00."""
    return BankStatementLine(number=0, kind=LineKind.EXECUTION, key=key, amount=Money("USD", 100), reference=reference)


def kinds(app: App) -> list[tuple[AttentionKind, str]]:
    """Return what is listed for a person."""
    return [(item.kind, item.name) for item in attention(app)]


def test_nothing_is_sent_again_until_the_other_ledger_was_accepted_and_read(
    api: App, scripted_bank: ScriptedBank, alice: WalletId
) -> None:
    """Its lines are numbered on; a repeated line matches its order again, and counts once."""

    first, lost = paid(api, scripted_bank, alice), paid(api, scripted_bank, alice, arrives=False)
    reconcile_bank_statement.run_once(api)
    begun_anew(scripted_bank, a_line("stranger"))
    reconcile_bank_statement.run_once(api)
    assert kinds(api) == [(AttentionKind.RECONCILIATION_STALLED, "bankStatements/1")]
    reconcile_withdrawals.run_once(api, clock_offset=LONG_AFTER)
    assert len(withdrawal(api, lost).attempts) == 1

    accepted = accept_bank_statement(api, an_accepted_ledger(1)).bank_statement
    assert (accepted.name, accepted.reason, accepted.accepted_by) == ("bankStatements/2", "begun anew", "tests")
    assert kinds(api) == []
    reconcile_withdrawals.run_once(api, clock_offset=2 * LONG_AFTER)
    assert len(withdrawal(api, lost).attempts) == 1, "the new ledger has not been read to its end yet"

    reconcile_bank_statement.run_once(api)
    assert kinds(api) == [(AttentionKind.DISCREPANCY, "bankStatementLines/2")]
    reconcile_withdrawals.run_once(api, clock_offset=3 * LONG_AFTER)
    reconcile_bank_statement.run_once(api)

    assert [withdrawal(api, id_).state for id_ in (first, lost)] == [OrderState.SUCCEEDED] * 2
    assert [scripted_bank.executed(bank_key(id_)) for id_ in (first, lost)] == [1, 1]
    assert kinds(api) == [(AttentionKind.DISCREPANCY, "bankStatementLines/2")]


def test_second_payment_in_another_ledger_is_a_discrepancy(
    api: App, scripted_bank: ScriptedBank, alice: WalletId
) -> None:
    """Under another reference it is another payment; both lines of the new statement are then one too many."""

    id_ = paid(api, scripted_bank, alice)
    reconcile_bank_statement.run_once(api)
    begun_anew(scripted_bank, a_line(bank_key(id_)))
    reconcile_bank_statement.run_once(api)
    accept_bank_statement(api, an_accepted_ledger(1))
    reconcile_bank_statement.run_once(api)

    assert kinds(api) == [(AttentionKind.DISCREPANCY, f"bankStatementLines/{number}") for number in (2, 3)]
    assert all("the bank did it 2 times" in item.explanation for item in attention(api))


def test_of_concurrent_operators_one_accepts_the_statement_and_a_repeat_returns_the_same(
    api: App, scripted_bank: ScriptedBank, alice: WalletId
) -> None:
    """The others find it accepted; nothing more is accepted where nothing was replaced."""

    paid(api, scripted_bank, alice)
    reconcile_bank_statement.run_once(api)
    with pytest.raises(StateTransitionForbidden, match="provides no other statement"):
        accept_bank_statement(api, an_accepted_ledger(1))
    begun_anew(scripted_bank, a_line("stranger"))
    reconcile_bank_statement.run_once(api)
    commands = [an_accepted_ledger(1) for _ in range(6)]
    outcomes = together([lambda one=one: accept_bank_statement(api, one) for one in commands])  # type: ignore[misc]  # one each

    assert (
        sorted(type(one).__name__ for one in outcomes) == ["BankStatementAccepted"] + ["StateTransitionForbidden"] * 5
    )
    (winner,) = (command for command, one in zip(commands, outcomes, strict=True) if not isinstance(one, Exception))
    again = accept_bank_statement(api, winner)
    assert (again.replayed, again.bank_statement) == (True, api.reads.bank_statement(2))


def test_a_reader_of_the_replaced_statement_writes_nothing_more(
    api: App, scripted_bank: ScriptedBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """Its lines would take the numbers of the new one's, and its end is not the new one's end."""

    paid(api, scripted_bank, alice)
    reconcile_bank_statement.run_once(api)
    place = api.bank_statement_lines.place()
    begun_anew(scripted_bank, a_line("stranger"))
    reconcile_bank_statement.run_once(api)
    accept_bank_statement(api, an_accepted_ledger(1))
    api.bank_statement_lines.keep(place, [replace(a_line("late"), number=2)])
    api.bank_statement_lines.note_read_to_end(place)
    api.bank_statement_lines.note(place, "it is another one")

    assert api.bank_statement_lines.is_replaced()
    assert api.reads.vitals().bank_statement_read_time is None
    assert kinds(api) == []
    reconcile_bank_statement.run_once(api)
    kept = owner.execute("SELECT number, statement, key FROM bank_statement_lines ORDER BY number").fetchall()
    assert [(number, ledger) for number, ledger, _ in kept] == [(1, 1), (2, 2), (3, 2)]
    assert "late" not in {key for _, _, key in kept}


def test_scheduler_that_starts_pays_nothing_until_the_other_ledger_was_accepted_and_read(
    api: App, scripted_bank: ScriptedBank, alice: WalletId
) -> None:
    """As after every start."""

    paid(api, scripted_bank, alice)
    reconcile_bank_statement.run_once(api)
    begun_anew(scripted_bank, a_line("stranger"))
    gate = BankStatementGate(api, provides_statement=True)
    reconcile_bank_statement.run_once(api)
    assert not gate.is_open()
    accept_bank_statement(api, replace(an_accepted_ledger(1), request=request()))
    assert not gate.is_open()
    reconcile_bank_statement.run_once(api)
    assert gate.is_open()
