"""Settle by hand what the service cannot settle by itself."""

from dataclasses import dataclass

from wallet_core.domain.bank import BankLedger, BankLine
from wallet_core.domain.follow_up import AcceptBankLedger, ResolveDiscrepancy
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class BankLedgerAccepted:
    """The ledger that is followed since."""

    ledger: BankLedger
    replayed: bool


@dataclass(frozen=True, slots=True)
class DiscrepancyResolved:
    """The line as it is now."""

    line: BankLine
    replayed: bool


def resolve_discrepancy(app: App, command: ResolveDiscrepancy, deadline: float | None = None) -> DiscrepancyResolved:
    """Close a discrepancy; a repeat returns the line as it is now."""
    done = app.ledger.post(command, deadline)
    return DiscrepancyResolved(done.line or app.reads.bank_line(command.line), done.replayed)


def accept_bank_ledger(app: App, command: AcceptBankLedger, deadline: float | None = None) -> BankLedgerAccepted:
    """Follow the ledger that the bank shows now; a repeat returns the one that the first call accepted."""
    done = app.ledger.post(command, deadline)
    return BankLedgerAccepted(done.bank_ledger or app.reads.bank_ledger(command.ledger + 1), done.replayed)
