"""Reconcile with the bank statement: read on from the last line, match every line with its order, post returns.

Any number of schedulers may run it, and it may die at any point: a line is stored once, before it is matched; the
withdrawal's state lets a return be posted once; a line that is not matched yet is matched in the next round.
"""

from collections import Counter
from dataclasses import dataclass

import structlog

from wallet_core.domain.commands.payments.match_statement import LineMatch, ReturnWithdrawal, match_line
from wallet_core.domain.model.bank import UNREADABLE, BankStatementLine, BankStatementPage, MatchResult
from wallet_core.domain.model.errors import Refusal, ServiceError, cause_of
from wallet_core.usecases.app import App, new_id

_log = structlog.get_logger("wallet.reconcile_statement")

RETURNED, WAITING = "RETURNED", "WAITING"


@dataclass(frozen=True, slots=True)
class StatementProgress:
    """The results of a round by number of lines, and whether the bank has more lines."""

    counts: Counter[str]
    more: bool


def reconcile_statement(app: App) -> StatementProgress:
    """Read one page of the bank statement, and match all lines that can be matched.

    Raises ``ServiceError`` where the database fails.
    """
    more = _read_on(app)
    counts: Counter[str] = Counter()
    after, size = 0, app.payouts.bank_statement_page
    while lines := app.bank_statement_lines.unmatched(after=after, limit=size):
        after = lines[-1][0].number
        line_matches = [(line, match_line(line, met)) for line, met in lines]
        counts.update(_book_return(app, line_match) for _, line_match in line_matches if line_match.gives_back)
        matched = [(line, line_match) for line, line_match in line_matches if line_match.match_result is not None]
        app.bank_statement_lines.match_line(matched)
        counts.update(line_match.match_result or "" for _, line_match in matched)
        _log_discrepancies(matched)
        if len(lines) < size:
            break
    return StatementProgress(counts, more)


def _read_on(app: App) -> bool:
    """Read one page and store its lines; return whether there is more."""
    if not app.may_call_bank():
        return False
    place = app.bank_statement_lines.place()
    last = place.last
    # The last line is read again: if it has changed, this is not the statement that was read.
    page = app.bank.ledger(after=last.number - 1 if last else 0, limit=app.payouts.bank_statement_page + 1)
    error = _error(last, page)
    app.bank_statement_lines.note(place, error)
    if error or page is None:
        _log.warning("bank statement not read", error=error)
        return False
    if fresh := page.lines[1:] if last else page.lines:
        app.bank_statement_lines.keep(place, fresh)
    more = bool(fresh) and fresh[-1].number < page.last
    if not more:
        app.bank_statement_lines.note_read_to_end(place)
    return more


def _error(last: BankStatementLine | None, page: BankStatementPage | None) -> str:
    """Return why the statement cannot be read, empty where it can."""
    if page is None:
        return UNREADABLE
    if last is None:
        return "" if page.lines or not page.last else "it reports lines, and delivers none"
    first = page.lines[0] if page.lines else None
    if first is None or _content(first) != _content(last):
        return f"line {last.number} is no longer what it was when it was read: has the bank begun another ledger?"
    return "" if len(page.lines) > 1 or page.last == last.number else "it reports more lines, and delivers none"


def _content(line: BankStatementLine) -> tuple[object, ...]:
    """Return the content of a line, which the bank never changes."""
    return line.number, line.kind, line.key, line.amount, line.reference


def _book_return(app: App, line_match: LineMatch) -> str:
    """Post a return; its line is matched in the next round, once the return is posted."""
    if line_match.gives_back is None:
        return WAITING
    try:
        app.ledger.post(ReturnWithdrawal(id=new_id(), order=line_match.gives_back))
    except (Refusal, ServiceError) as error:
        # Another scheduler has posted it, a balance would leave 64 bits, or the wallet is locked: the next round tries
        # again, and no other line waits for this one.
        _log.warning("return not posted", order=str(line_match.gives_back), error=cause_of(error))
        return WAITING
    return RETURNED


def _log_discrepancies(matched: list[tuple[BankStatementLine, LineMatch]]) -> None:
    for line, line_match in matched:
        if line_match.match_result is MatchResult.NOTHING:
            _log.error("discrepancy", line=line.name, key=line.key, explanation=line_match.explanation)
