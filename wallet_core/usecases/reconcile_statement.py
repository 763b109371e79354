"""Follow the bank's ledger: read on from the last line, hold every line to its order, book what came back.

Safe to run by many at once and to die in anywhere: a line is written once, before it is judged; a return is booked
once, by the withdrawal's state; and what has not been judged is judged in the next round.
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
    """What became of how many lines, and whether the bank has more to read."""

    counts: Counter[str]
    more: bool


def reconcile_statement(app: App) -> StatementProgress:
    """Read one page of the bank's ledger and judge all that can be judged.

    Raises ``ServiceError`` where the database fails.
    """
    more = _read_on(app)
    counts: Counter[str] = Counter()
    after, size = 0, app.payouts.bank_statement_page
    while lines := app.bank_statement_lines.unmatched(after=after, limit=size):
        after = lines[-1][0].number
        line_matches = [(line, match_line(line, met)) for line, met in lines]
        counts.update(_book_return(app, line_match) for _, line_match in line_matches if line_match.gives_back)
        judged = [(line, line_match) for line, line_match in line_matches if line_match.match_result is not None]
        app.bank_statement_lines.match_line(judged)
        counts.update(line_match.match_result or "" for _, line_match in judged)
        _tell(judged)
        if len(lines) < size:
            break
    return StatementProgress(counts, more)


def _read_on(app: App) -> bool:
    """Read one page and keep its lines; say whether there is more."""
    if not app.may_call_bank():
        return False
    place = app.bank_statement_lines.place()
    last = place.last
    # The last line is read once more: it must still be there, or this is not the ledger that was read.
    page = app.bank.ledger(after=last.number - 1 if last else 0, limit=app.payouts.bank_statement_page + 1)
    trouble = _trouble(last, page)
    app.bank_statement_lines.note(place, trouble)
    if trouble or page is None:
        _log.warning("the bank's ledger cannot be followed", why=trouble)
        return False
    if fresh := page.lines[1:] if last else page.lines:
        app.bank_statement_lines.keep(place, fresh)
    more = bool(fresh) and fresh[-1].number < page.last
    if not more:
        app.bank_statement_lines.note_read_to_end(place)
    return more


def _trouble(last: BankStatementLine | None, page: BankStatementPage | None) -> str:
    """Return why the ledger cannot be followed, empty where it can."""
    if page is None:
        return UNREADABLE
    if last is None:
        return "" if page.lines or not page.last else "it says that it has lines, and shows none"
    first = page.lines[0] if page.lines else None
    if first is None or _said(first) != _said(last):
        return f"line {last.number} is no longer what it was when it was read: has the bank begun another ledger?"
    return "" if len(page.lines) > 1 or page.last == last.number else "it says that it has more lines, and shows none"


def _said(line: BankStatementLine) -> tuple[object, ...]:
    """Return what the bank says in a line: it never says it otherwise."""
    return line.number, line.kind, line.key, line.amount, line.reference


def _book_return(app: App, line_match: LineMatch) -> str:
    """Book what came back; it is judged once it is seen to be booked."""
    if line_match.gives_back is None:
        return WAITING
    try:
        app.ledger.post(ReturnWithdrawal(id=new_id(), order=line_match.gives_back))
    except (Refusal, ServiceError) as error:
        # Booked by another follower at the same moment, no room, or a wallet that is locked for long: the next round
        # sees which, and no other line waits for this one.
        _log.warning("return not booked", order=str(line_match.gives_back), why=cause_of(error))
        return WAITING
    return RETURNED


def _tell(judged: list[tuple[BankStatementLine, LineMatch]]) -> None:
    for line, line_match in judged:
        if line_match.match_result is MatchResult.NOTHING:
            _log.error("discrepancy", line=line.name, key=line.key, why=line_match.explanation)
