"""Decide a batch of commands in order, each on the state that those before it left."""

from collections.abc import Sequence

from wallet_core.domain.deciding.apply import apply, check, preview
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Outcome, Refused
from wallet_core.domain.deciding.facts import Origin
from wallet_core.domain.deciding.fingerprint import fingerprint
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.deciding.records import record_of
from wallet_core.domain.model.errors import ClockBehind, Refusal


def decide(ledger: LedgerState, commands: Sequence[Command]) -> list[Outcome]:
    """Return the outcome of each command, in the order given; pending writes gather in *ledger*.

    Commands are decided in that order too, except that changes of commission rules come first: a rule that begins or
    ends now does so for the whole batch.

    In order of precedence: the caller's rights, on the call and on these wallets; an earlier outcome of the same
    request, stored or from earlier in this batch; the command's own rules. A refusal leaves only its record.
    """
    places = sorted(range(len(commands)), key=lambda place: not commands[place].runs_before_batch)
    outcomes = {place: _decide_one(ledger, commands[place]) for place in places}
    return [outcomes[place] for place in range(len(commands))]


def _decide_one(ledger: LedgerState, command: Command) -> Outcome:
    request = command.request
    try:
        command.authorize()
        if request is not None and request.access.owner is not None:
            command.require_owner(ledger)
    except Refusal as refusal:
        return Refused(refusal)
    if request is None:
        return _outcome(ledger, command, origin=None)
    hash_ = fingerprint(command.method, command)
    if earlier := ledger.records.get(request):
        return earlier.replay(command.method, hash_)
    outcome = _outcome(ledger, command, Origin(request, hash_))
    record = None if command.validate_only else record_of(request, command.method, hash_, outcome)
    if record is not None:
        ledger.records[request] = record
        ledger.pending.records.append(record)
    return outcome


def _outcome(ledger: LedgerState, command: Command, origin: Origin | None) -> Outcome:
    try:
        decision = command.decide(ledger)
        check(ledger, decision)
    except (Refusal, ClockBehind) as refusal:
        return Refused(refusal)
    act = preview if command.validate_only else apply
    return act(ledger, decision, origin)
