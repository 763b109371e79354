"""The load's own tally: every call with its request and its result, kept until its outcome is definite."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from tests.storm.plan import Step, Verb

# Nothing was decided, or nobody knows: to be asked again with the same id. The empty one is gRPC's own, e.g. of a
# connection that broke.
AGAIN = frozenset(
    {
        "",
        "DATABASE_UNAVAILABLE",
        "DEADLINE_TOO_SHORT",
        "OUTCOME_UNKNOWN",
        "SERVER_DRAINING",
        "SERVER_OVERLOADED",
        "TRANSACTION_CONFLICT",
    }
)
# Decided, for ever.
FINAL = frozenset({"INSUFFICIENT_FUNDS", "LIMIT_EXCEEDED", "STATE_TRANSITION_FORBIDDEN"})
# Said of a time that is past: this attempt did nothing, an earlier one may have. Definite once all is calm.
TOO_LATE = "INVALID_FIELDS"

# How much a wallet gained or lost.
Leg = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A yes: what was made or changed, and of money that moved each wallet's part."""

    name: str
    amount: int
    legs: tuple[Leg, ...] = ()
    replayed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A no that is final."""

    reason: str


@dataclass(slots=True, kw_only=True)
class Call:
    """One call, and every result that was received for it."""

    caller: int
    step: Step
    about: str
    """The resource that it is about, where it is about an earlier one."""
    time: datetime | None
    outcome: Done | Refused | None = None
    tries: int = 0

    @property
    def verb(self) -> Verb:
        """What was asked for."""
        return self.step.verb

    @property
    def wallet(self) -> str:
        """The wallet that it is about."""
        return f"wallets/{self.step.wallet}"

    @property
    def other(self) -> str:
        """Where its money goes, of a verb that has two ends."""
        return f"wallets/{self.step.other}"

    @property
    def done(self) -> Done | None:
        """What was made; None where nothing was, or nobody knows yet."""
        return self.outcome if isinstance(self.outcome, Done) else None

    def __str__(self) -> str:
        return f"caller {self.caller}, step {self.step.number}, {self.verb} {self.step.request_id}"


@dataclass(slots=True)
class Journal:
    """The calls and results of one caller, and the results that it should never have received."""

    calls: list[Call] = field(default_factory=list)
    by_step: dict[int, Call] = field(default_factory=dict)
    passed_over: int = 0
    """Steps about something that was refused, or that has no result yet."""
    wrong: list[str] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    """When it was given a definite answer, on the monotonic clock."""

    def add(self, call: Call) -> None:
        """Keep a call from before it is made."""
        self.calls.append(call)
        self.by_step[call.step.number] = call

    def name_made_by(self, step: int) -> str | None:
        """Return what a later step calls what an earlier one made: a transaction, a hold or an order."""
        made = self.by_step.get(step)
        return made.done.name if made is not None and made.done is not None else None

    def open(self) -> list[Call]:
        """Return the calls of which nobody knows what became."""
        return [call for call in self.calls if call.outcome is None]


def longest_silence_s(journals: list[Journal]) -> float:
    """Return the longest time in which nobody was given a definite answer."""
    times = sorted(at for journal in journals for at in journal.heard_at)
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


def all_done(journals: list[Journal], *verbs: Verb) -> Iterator[tuple[Call, Done]]:
    """Go through the calls that were done, of some verbs or of all."""
    for journal in journals:
        for call in journal.calls:
            if call.done is not None and (not verbs or call.verb in verbs):
                yield call, call.done
