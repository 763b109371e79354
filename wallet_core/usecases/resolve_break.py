"""Resolve discrepancies, and accept another bank statement, by hand."""

from dataclasses import dataclass

from wallet_core.domain.commands.payments.match_statement import AcceptBankStatement, ResolveDiscrepancy
from wallet_core.domain.model.bank import BankStatement, BankStatementLine
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class BankStatementAccepted:
    """The bank statement that is read since."""

    bank_statement: BankStatement
    replayed: bool


@dataclass(frozen=True, slots=True)
class DiscrepancyResolved:
    """The bank statement line as it is now."""

    line: BankStatementLine
    replayed: bool


def resolve_discrepancy(app: App, command: ResolveDiscrepancy, deadline: float | None = None) -> DiscrepancyResolved:
    """Resolve a discrepancy; a repeat returns the bank statement line as it is now."""
    done = app.ledger.post(command, deadline)
    return DiscrepancyResolved(done.line or app.reads.bank_statement_line(command.line), done.replayed)


def accept_bank_statement(
    app: App, command: AcceptBankStatement, deadline: float | None = None
) -> BankStatementAccepted:
    """Read the statement that the bank shows now; a repeat returns the one that the first call accepted."""
    done = app.ledger.post(command, deadline)
    return BankStatementAccepted(done.bank_statement or app.reads.bank_statement(command.statement + 1), done.replayed)
