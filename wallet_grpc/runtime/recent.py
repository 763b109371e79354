"""How long the calls of the last minute took, in this process."""

from collections import deque
from time import monotonic

_LAST_S = 60.0
_MOST = 5000

# Appended to by every call; the oldest go first.
_CALLS: deque[tuple[float, float]] = deque(maxlen=_MOST)


def record(seconds: float) -> None:
    """Record a call that has ended."""
    _CALLS.append((monotonic(), seconds))


def durations() -> list[float]:
    """Return the seconds that recent calls took, the shortest first."""
    since = monotonic() - _LAST_S
    return sorted(seconds for at, seconds in tuple(_CALLS) if at >= since)
