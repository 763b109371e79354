"""Follow the bank's ledger: read on from the last line, hold every line to its order, book what came back.

Safe to run by many at once and to die in anywhere: a line is written once, before it is judged; a return is booked
once, by the withdrawal's state; and what has not been judged is judged in the next round.
"""

from collections import Counter
from dataclasses import dataclass

import structlog

from wallet_core.domain.bank import BankLine, Meets
from wallet_core.domain.errors import Refusal
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
        verdicts = [(line, judge(line, met, earlier)) for line, met, earlier in lines]
        counts.update(_book_return(app, verdict) for _, verdict in verdicts if verdict.gives_back)
        judged = [(line, verdict) for line, verdict in verdicts if verdict.meets is not None]
        app.bank_lines.judge(judged)
        counts.update(verdict.meets or "" for _, verdict in judged)
        _tell(judged)
        if len(lines) < size:
            break
    return Followed(counts, more)


def _read_on(app: App) -> bool:
    if not app.may_call_bank():
        return False
    last = app.bank_lines.last_number()
    page = app.bank.ledger(after=last, limit=app.payouts.follow_up_page)
    if page is None:
        _log.warning("the bank's ledger cannot be read", after=last)
    elif page.last < last:
        _log.error("the bank's ledger ends before the line that was read last", last=page.last, read=last)
    elif page.lines:
        app.bank_lines.keep(page.lines)
        return page.lines[-1].number < page.last
    return False


def _book_return(app: App, verdict: Verdict) -> str:
    """Book what came back; it is judged once it is seen to be booked."""
    if verdict.gives_back is None:
        return WAITING
    try:
        app.ledger.post(ReturnWithdrawal(id=new_id(), order=verdict.gives_back))
    except Refusal as refusal:
        # Booked by another follower at the same moment, or there is no room: the next round sees which.
        _log.warning("return not booked", why=str(refusal))
        return WAITING
    return RETURNED


def _tell(judged: list[tuple[BankLine, Verdict]]) -> None:
    for line, verdict in judged:
        if verdict.meets is Meets.NOTHING:
            _log.error("discrepancy", line=line.name, key=line.key, why=verdict.why)
