"""Follow the bank's ledger: read on from the last line, hold every line to its order, book what came back.

Safe to run by many at once and to die in anywhere: a line is written once, before it is judged; a return is booked
once, by the withdrawal's state; and what has not been judged is judged in the next round.
"""

from collections import Counter
from dataclasses import dataclass

import structlog

from wallet_core.domain.bank import UNREADABLE, BankLine, LedgerPage, Meets
from wallet_core.domain.errors import NotServed, Refusal, cause_of
from wallet_core.domain.follow_up import ReturnWithdrawal, Verdict, judge
from wallet_core.usecases.app import App, new_id

_log = structlog.get_logger("wallet.follow_up")

RETURNED, WAITING = "RETURNED", "WAITING"


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of how many lines, and whether the bank has more to read."""

    counts: Counter[str]
    more: bool


def follow_up(app: App) -> Followed:
    """Read one page of the bank's ledger and judge all that can be judged.

    Raises ``NotServed`` where the database fails.
    """
    more = _read_on(app)
    counts: Counter[str] = Counter()
    after, size = 0, app.payouts.follow_up_page
    while lines := app.bank_lines.to_judge(after=after, limit=size):
        after = lines[-1][0].number
        verdicts = [(line, judge(line, met)) for line, met in lines]
        counts.update(_book_return(app, verdict) for _, verdict in verdicts if verdict.gives_back)
        judged = [(line, verdict) for line, verdict in verdicts if verdict.meets is not None]
        app.bank_lines.judge(judged)
        counts.update(verdict.meets or "" for _, verdict in judged)
        _tell(judged)
        if len(lines) < size:
            break
    return Followed(counts, more)


def _read_on(app: App) -> bool:
    """Read one page and keep its lines; say whether there is more."""
    if not app.may_call_bank():
        return False
    place = app.bank_lines.place()
    last = place.last
    # The last line is read once more: it must still be there, or this is not the ledger that was read.
    page = app.bank.ledger(after=last.number - 1 if last else 0, limit=app.payouts.follow_up_page + 1)
    trouble = _trouble(last, page)
    app.bank_lines.note(place, trouble)
    if trouble or page is None:
        _log.warning("the bank's ledger cannot be followed", why=trouble)
        return False
    if fresh := page.lines[1:] if last else page.lines:
        app.bank_lines.keep(place, fresh)
    more = bool(fresh) and fresh[-1].number < page.last
    if not more:
        app.bank_lines.note_read_to_end(place)
    return more


def _trouble(last: BankLine | None, page: LedgerPage | None) -> str:
    """Return why the ledger cannot be followed, empty where it can."""
    if page is None:
        return UNREADABLE
    if last is None:
        return "" if page.lines or not page.last else "it says that it has lines, and shows none"
    first = page.lines[0] if page.lines else None
    if first is None or _said(first) != _said(last):
        return f"line {last.number} is no longer what it was when it was read: has the bank begun another ledger?"
    return "" if len(page.lines) > 1 or page.last == last.number else "it says that it has more lines, and shows none"


def _said(line: BankLine) -> tuple[object, ...]:
    """Return what the bank says in a line: it never says it otherwise."""
    return line.number, line.kind, line.key, line.amount, line.reference


def _book_return(app: App, verdict: Verdict) -> str:
    """Book what came back; it is judged once it is seen to be booked."""
    if verdict.gives_back is None:
        return WAITING
    try:
        app.ledger.post(ReturnWithdrawal(id=new_id(), order=verdict.gives_back))
    except (Refusal, NotServed) as error:
        # Booked by another follower at the same moment, no room, or a wallet that is locked for long: the next round
        # sees which, and no other line waits for this one.
        _log.warning("return not booked", order=str(verdict.gives_back), why=cause_of(error))
        return WAITING
    return RETURNED


def _tell(judged: list[tuple[BankLine, Verdict]]) -> None:
    for line, verdict in judged:
        if verdict.meets is Meets.NOTHING:
            _log.error("discrepancy", line=line.name, key=line.key, why=verdict.why)
