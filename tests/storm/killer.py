"""The storm itself: strikes and mends by the seed's timetable, until its time is over and everything runs again."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from tests.storm.stand import Stand
from tests.storm.weather import Blow, Manner, Victim

_LOOK_EVERY_S = 0.2

# On a slow machine a process could be killed again and again before it is up; only some are, the others are spared.
_SHARE_HIT_AT_BIRTH = 0.2

Tell = Callable[[float, str], None]


@dataclass(slots=True)
class Toll:
    """What the storm did to whom."""

    blows: Counter[tuple[Victim, Manner]] = field(default_factory=Counter)
    fallen: list[str] = field(default_factory=list)
    """What ended without having been hit: nothing may."""


def rage(stand: Stand, blows: Iterable[Blow], seconds: float, *, tell: Tell, tick: Callable[[float], None]) -> Toll:
    """Strike as planned for so many seconds, in this thread; then mend everything.

    Blows that come due while another is being dealt with come a little late; most on a process that is still starting
    are left out.
    """
    toll = Toll()
    begun = monotonic()
    pause = threading.Event()

    def wait_until(at_s: float) -> None:
        while (left_s := begun + at_s - monotonic()) > 0:
            tick(monotonic() - begun)
            _see_who_fell(stand, toll, monotonic() - begun, tell)
            pause.wait(min(left_s, _LOOK_EVERY_S))

    for at_s, blow, strikes in _timetable(blows):
        if at_s >= seconds:
            break
        wait_until(at_s)
        part = stand.parts[blow.victim]
        if strikes:
            # Asked first, so that a fall just before is not taken for our doing.
            _see_who_fell(stand, toll, monotonic() - begun, tell)
            if blow.lot > _SHARE_HIT_AT_BIRTH and not part.up():
                tell(monotonic() - begun, f"{blow.victim} is still starting, and spared")
                continue
            part.hit(blow)
            toll.blows[blow.victim, blow.manner] += 1
            tell(monotonic() - begun, f"{blow.victim} {blow.manner}, for {blow.back_after_s:.1f} s")
        else:
            part.start()
    wait_until(seconds)
    for part in stand.parts.values():
        part.start()
    tell(monotonic() - begun, "all is started again; nothing more is killed")
    return toll


def _timetable(blows: Iterable[Blow]) -> list[tuple[float, Blow, bool]]:
    """Return every strike and every mending in the order of their times."""
    times: list[tuple[float, Blow, bool]] = []
    for blow in blows:
        times += [(blow.at_s, blow, True), (blow.at_s + blow.back_after_s, blow, False)]
    return sorted(times, key=lambda time: time[0])


def _see_who_fell(stand: Stand, toll: Toll, at_s: float, tell: Tell) -> None:
    for victim, part in stand.parts.items():
        if (how := part.fell()) is not None:
            toll.fallen.append(f"{victim} {how} at {at_s:.1f} s")
            tell(at_s, f"{victim} {how}: nobody had hit it")
