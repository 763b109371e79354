"""Decide on a batch of commands, one after the other, each seeing what those before it did."""

from collections.abc import Sequence

from wallet_core.domain.deciding.command import Command, Done, Outcome, Refused
from wallet_core.domain.deciding.fingerprint import fingerprint
from wallet_core.domain.deciding.ledger_state import LedgerState, Record
from wallet_core.domain.model.errors import ClockBehind, LedgerBroken, Refusal


def decide(books: LedgerState, commands: Sequence[Command]) -> list[Outcome]:
    """Return the outcome of each command, in order; what is to be stored gathers in the books.

    They are decided in that order too, but for those that go first: a rule that begins or ends now does so for all.

    In order of precedence: may the caller ask this at all, and of these wallets; was the request answered before, here
    or earlier in this batch; then the command's own rules. A refusal leaves no trace but its record.
    """
    places = sorted(range(len(commands)), key=lambda place: not commands[place].runs_before_batch)
    outcomes = {place: _decide_one(books, commands[place]) for place in places}
    return [outcomes[place] for place in range(len(commands))]


def _decide_one(books: LedgerState, command: Command) -> Outcome:
    try:
        command.authorize()
        if command.request is not None and command.request.access.owner is not None:
            command.request.access.require(command.wallets_to_authorize(books))
    except Refusal as refusal:
        return Refused(refusal)
    if command.request is None:
        return _outcome(books, command)
    asked = fingerprint(command)
    if earlier := books.records.get(command.request):
        return earlier.outcome_for(command.method, asked)
    outcome = _outcome(books, command)
    if not command.validate_only and (isinstance(outcome, Done) or outcome.refusal.recorded):
        books.record(_record(command, asked, outcome))
    return outcome


def _outcome(books: LedgerState, command: Command) -> Outcome:
    try:
        decision = command.decide(books)
        books.check(decision)
    except (Refusal, ClockBehind) as refusal:
        return Refused(refusal)
    return books.preview(decision) if command.validate_only else books.apply(decision)


def _record(command: Command, asked: bytes, outcome: Outcome) -> Record:
    if command.request is None:
        raise ValueError(command.method)
    if isinstance(outcome, Refused):
        if not isinstance(outcome.refusal, Refusal):
            raise LedgerBroken
        return Record(request=command.request, method=command.method, fingerprint=asked, refusal=outcome.refusal)
    return Record(
        request=command.request,
        method=command.method,
        fingerprint=asked,
        subject=outcome.subject,
        available=outcome.available,
    )
