"""The seed's plan for the processes: which is hit when, how, and for how long."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle

# Longer than a lease, and at its longest longer than the grace time too; both are in ``system.SETTINGS``.
PAUSE_S = (1.8, 4.5)
DOWN_S = (0.0, 1.5)
BETWEEN_S = (0.5, 1.9)

# A victim that is back is let alone for a moment, so that the load gets something done.
_RESPITE_S = 1.0
_QUIET_AT_THE_END_S = 2.0


class Component(StrEnum):
    """A part of the service, or its bank."""

    SERVER = "server"
    SCHEDULER_1 = "scheduler-1"
    SCHEDULER_2 = "scheduler-2"
    POSTGRES = "postgres"
    BANK = "bank"


class FaultKind(StrEnum):
    """How a victim is hit. All that is killed is killed by SIGKILL."""

    KILLED = "killed"
    PAUSED = "paused"
    """By SIGSTOP, for longer than a lease; it then continues where it was."""
    POSTMASTER = "killed, its children left to notice"
    FAMILY = "killed with all its children"
    BACKEND = "one of its children killed"
    """PostgreSQL then ends all others and recovers by itself."""


@dataclass(frozen=True, slots=True)
class Injection:
    """One injection of the storm."""

    at_s: float
    component: Component
    kind_of_fault: FaultKind
    back_after_s: float
    chance: float
    """Between 0 and 1; decides which child is hit, and whether one that is still starting is spared."""


_DATABASE = (FaultKind.POSTMASTER, FaultKind.FAMILY, FaultKind.BACKEND)
_ROUND = (
    *((component, FaultKind.KILLED) for component in Component if component is not Component.POSTGRES),
    *((component, FaultKind.PAUSED) for component in (Component.SCHEDULER_1, Component.SCHEDULER_2)),
)


def injections(seed: int, seconds: float) -> Iterator[Injection]:
    """Yield the injections of a storm in order: every component once a round, the rounds shuffled."""
    chance = random.Random(f"{seed}/blows")  # noqa: S311  # fault injection, not secrets
    database = cycle(chance.sample(_DATABASE, k=len(_DATABASE)))
    free_at = dict.fromkeys(Component, 0.0)
    waiting: list[tuple[Component, FaultKind]] = []
    at_s = chance.uniform(*BETWEEN_S)
    while at_s < seconds - _QUIET_AT_THE_END_S:
        if not waiting:
            waiting = [*_ROUND, (Component.POSTGRES, next(database))]
            chance.shuffle(waiting)
        hit = next((one for one in waiting if free_at[one[0]] <= at_s), None)
        if hit is not None:
            waiting.remove(hit)
            component, kind_of_fault = hit
            back_after_s = chance.uniform(*(PAUSE_S if kind_of_fault is FaultKind.PAUSED else DOWN_S))
            free_at[component] = at_s + back_after_s + _RESPITE_S
            yield Injection(at_s, component, kind_of_fault, back_after_s, chance.random())
        at_s += chance.uniform(*BETWEEN_S)
