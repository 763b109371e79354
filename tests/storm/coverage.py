"""Whether the storm was one: what it must have done at least. One in which nothing happened has proven nothing."""

from collections import Counter
from collections.abc import Iterator

from tests.storm.books import LedgerState
from tests.storm.injector import InjectionLog
from tests.storm.journal import Journal, all_done
from tests.storm.orders import state_of
from tests.storm.plan import Verb
from tests.storm.timetable import Component, FaultKind

# A fraction of what a slow machine does.
_CALLS_A_SECOND = 2.5
_SUCCEEDED_A_SECOND = 0.1


def too_little(seconds: float, journals: list[Journal], injected: InjectionLog, books: LedgerState) -> Iterator[str]:
    """Yield everything that happened too seldom."""
    verbs = Counter(call.verb for call, _ in all_done(journals))
    withdrawals = Counter(map(state_of, books.withdrawals))
    collections = Counter(state_of(order) for order in books.scheduled_deposits if order.collect)
    hit = Counter(
        component
        for (component, kind_of_fault), times in injected.injections.items()
        if kind_of_fault is not FaultKind.PAUSED
    )
    paused = sum(
        times for (_, kind_of_fault), times in injected.injections.items() if kind_of_fault is FaultKind.PAUSED
    )
    least = [
        ("calls were done", sum(verbs.values()), round(seconds * _CALLS_A_SECOND)),
        *((f"times a {verb} was done", verbs[verb], 1) for verb in Verb),
        *((f"times the {component} was killed", hit[component], 1) for component in Component),
        ("times a scheduler was paused", paused, 1),
        ("withdrawals succeeded", withdrawals["SUCCEEDED"], round(seconds * _SUCCEEDED_A_SECOND)),
        ("withdrawals failed", withdrawals["FAILED"], 1),
        ("withdrawals were in doubt", books.doubted_withdrawals, 1),
        ("collections succeeded", collections["SUCCEEDED"], 1),
        ("attempts at the bank had no answer, or none that could be read", _unknown(books), 1),
    ]
    yield from (
        f"the storm was too weak: {times} {what}, {most} at least" for what, times, most in least if times < most
    )


def _unknown(books: LedgerState) -> int:
    return books.answers["none"] + books.answers["UNKNOWN"]
