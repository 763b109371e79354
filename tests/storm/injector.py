"""The storm itself: strikes and mends by the seed's timetable, until its time is over and everything runs again."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from tests.storm.system import System
from tests.storm.timetable import Component, FaultKind, Injection

_LOOK_EVERY_S = 0.2

# On a slow machine a process could be killed again and again before it is up; only some are, the others are spared.
_SHARE_HIT_AT_BIRTH = 0.2

Log = Callable[[float, str], None]


@dataclass(slots=True)
class InjectionLog:
    """The faults that the storm injected."""

    injections: Counter[tuple[Component, FaultKind]] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    """What ended without having been hit: nothing may."""


def inject(
    system: System, injections: Iterable[Injection], seconds: float, *, log: Log, tick: Callable[[float], None]
) -> InjectionLog:
    """Inject faults as planned for this many seconds, in this thread; then start everything again.

    Injections that come due while another is in progress come a little late; most on a process that is still starting
    are left out.
    """
    injected = InjectionLog()
    begun = monotonic()
    pause = threading.Event()

    def wait_until(at_s: float) -> None:
        while (left_s := begun + at_s - monotonic()) > 0:
            tick(monotonic() - begun)
            _record_crashes(system, injected, monotonic() - begun, log)
            pause.wait(min(left_s, _LOOK_EVERY_S))

    for at_s, injection, injects in _timetable(injections):
        if at_s >= seconds:
            break
        wait_until(at_s)
        part = system.parts[injection.component]
        if injects:
            # Checked first, so that a crash just before is not taken for an injected one.
            _record_crashes(system, injected, monotonic() - begun, log)
            if injection.chance > _SHARE_HIT_AT_BIRTH and not part.up():
                log(monotonic() - begun, f"{injection.component} is still starting, and spared")
                continue
            part.hit(injection)
            injected.injections[injection.component, injection.kind_of_fault] += 1
            log(
                monotonic() - begun,
                f"{injection.component} {injection.kind_of_fault}, for {injection.back_after_s:.1f} s",
            )
        else:
            part.start()
    wait_until(seconds)
    for part in system.parts.values():
        part.start()
    log(monotonic() - begun, "all is started again; nothing more is killed")
    return injected


def _timetable(injections: Iterable[Injection]) -> list[tuple[float, Injection, bool]]:
    """Return every strike and every mending in the order of their times."""
    times: list[tuple[float, Injection, bool]] = []
    for injection in injections:
        times += [(injection.at_s, injection, True), (injection.at_s + injection.back_after_s, injection, False)]
    return sorted(times, key=lambda time: time[0])


def _record_crashes(system: System, injected: InjectionLog, at_s: float, log: Log) -> None:
    for component, part in system.parts.items():
        if (how := part.crash()) is not None:
            injected.crashed.append(f"{component} {how} at {at_s:.1f} s")
            log(at_s, f"{component} {how}: no fault was injected")
